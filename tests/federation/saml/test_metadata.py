"""Metadata of others: what is read, what is odd, what is refused."""

import base64
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from broker import limits
from broker.errors import BrokerError
from federation.saml.metadata import read_identity_provider, read_service_provider
from tests.fakes.fake_idp import DS, MD, POST, REDIRECT, SAMLP, SHIBMD, FakeIdentityProvider
from tests.fakes.saml_keys import key_pair

SP_CERTIFICATE = base64.b64encode(key_pair("service provider").der).decode()
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def idp_metadata(**options: object) -> str:
    return FakeIdentityProvider(scopes=["example.org"]).metadata(**options)  # type: ignore[arg-type]  # by name


def sp_metadata(*, endpoints: str, keys: str = "", attributes: str = "") -> bytes:
    return (
        f'<md:EntityDescriptor xmlns:md="{MD}" xmlns:ds="{DS}" entityID="https://crm.example/saml">'
        f'<md:SPSSODescriptor protocolSupportEnumeration="{SAMLP}" {attributes}>{keys}{endpoints}'
        "</md:SPSSODescriptor></md:EntityDescriptor>"
    ).encode()


def acs(location: str, index: str, *, binding: str = POST, default: str = "") -> str:
    is_default = f'isDefault="{default}"' if default else ""
    return f'<md:AssertionConsumerService Binding="{binding}" Location="{location}" index="{index}" {is_default}/>'


def refused(xml: str | bytes) -> str:
    """The detail with which metadata of an identity provider is refused."""
    with pytest.raises(BrokerError) as caught:
        read_identity_provider(xml.encode() if isinstance(xml, str) else xml)
    assert caught.value.code == "saml.metadata"
    return caught.value.detail


def test_identity_provider_is_read_as_it_describes_itself() -> None:
    idp = FakeIdentityProvider(scopes=["example.org", "example.com"])
    read = read_identity_provider(idp.metadata(wants_signed_requests=True, comment="of us").encode())
    assert read.entity_id == idp.entity_id
    assert read.sso_endpoints == {REDIRECT: idp.sso_url, POST: idp.sso_url}
    assert [one.der for one in read.signing_certificates] == [idp.key.der]
    assert read.signing_certificates[0].subject.startswith("CN=idp ")
    assert len(read.signing_certificates[0].fingerprint) == 64
    assert read.wants_signed_requests is True
    assert (read.scopes, read.scope_patterns) == (("example.org", "example.com"), ())
    assert len(read.name_id_formats) == 1
    assert (read.valid_until, read.oddities) == (None, ())


def test_both_certificates_of_a_rollover_are_read_in_order_and_doubles_once() -> None:
    old, new = key_pair("old"), key_pair("new")
    read = read_identity_provider(idp_metadata(keys=[old, new, old]).encode())
    assert [one.der for one in read.signing_certificates] == [old.der, new.der]


def test_key_without_a_use_is_for_signing_too_and_one_for_encryption_is_not() -> None:
    assert read_identity_provider(idp_metadata().replace(' use="signing"', "").encode()).signing_certificates
    assert "no usable certificate" in refused(idp_metadata().replace('use="signing"', 'use="encryption"'))


def test_oddities_are_told_in_sentences() -> None:
    xml = FakeIdentityProvider(sso_url="http://idp.example/sso").metadata(
        keys=[key_pair("e", expired=True), key_pair("x")]
    )
    pattern = f'<md:Extensions><s:Scope xmlns:s="{SHIBMD}" regexp="true">^.+$</s:Scope></md:Extensions>'
    read = read_identity_provider(xml.replace("<md:KeyDescriptor", pattern + "<md:KeyDescriptor", 1).encode())
    assert (read.scopes, read.scope_patterns) == ((), ("^.+$",))
    told = " ".join(read.oddities)
    assert "The address http://idp.example/sso is not https." in told
    assert "The signing certificate CN=e expired on" in told
    assert "The scope ^.+$ is a regular expression and is not used." in told


def test_certificate_that_cannot_verify_anything_is_left_out_and_told() -> None:
    weak, good = key_pair("weak", bits=1024), key_pair("good")
    read = read_identity_provider(idp_metadata(keys=[weak, good]).encode())
    assert [one.der for one in read.signing_certificates] == [good.der]
    assert "CN=weak is not used: its key is 1024" in read.oddities[0]
    assert "CN=weak" in refused(idp_metadata(keys=[weak]))


def test_organisation_and_contacts_are_read() -> None:
    contact = '<md:ContactPerson contactType="technical"><md:GivenName>Ada</md:GivenName>'
    people = (
        '<md:Organization><md:OrganizationName xml:lang="en">Corp</md:OrganizationName><md:OrganizationDisplayName '
        'xml:lang="en"> Corp Ltd </md:OrganizationDisplayName><md:OrganizationURL xml:lang="en">https://corp.example'
        f"</md:OrganizationURL></md:Organization>{contact}"
        "<md:SurName>L.</md:SurName><md:EmailAddress>mailto:ada@corp.example</md:EmailAddress></md:ContactPerson>"
    )
    read = read_identity_provider(
        idp_metadata().replace("</md:EntityDescriptor>", people + "</md:EntityDescriptor>").encode()
    )
    assert read.organisation == "Corp Ltd"
    assert [(one.kind, one.name, one.email) for one in read.contacts] == [("technical", "Ada L.", "ada@corp.example")]


def test_the_only_identity_provider_of_a_collection_is_found() -> None:
    sp = sp_metadata(endpoints=acs("https://crm.example/acs", "0")).decode()
    inner = f"<md:EntitiesDescriptor>{idp_metadata()}</md:EntitiesDescriptor>"
    xml = f'<md:EntitiesDescriptor xmlns:md="{MD}">{sp}{inner}</md:EntitiesDescriptor>'
    assert read_identity_provider(xml.encode()).entity_id == "https://idp.example.org/saml"
    assert read_service_provider(xml.encode()).entity_id == "https://crm.example/saml"


def test_several_identity_providers_are_refused() -> None:
    xml = f'<md:EntitiesDescriptor xmlns:md="{MD}">{idp_metadata()}{idp_metadata()}</md:EntitiesDescriptor>'
    assert "one identity provider" in refused(xml)


@time_machine.travel(NOW)
@pytest.mark.parametrize("place", ["EntityDescriptor", "IDPSSODescriptor"])
def test_metadata_is_believed_until_its_end(place: str) -> None:
    def until(moment: datetime) -> str:
        return idp_metadata().replace(f"<md:{place} ", f'<md:{place} validUntil="{moment:%Y-%m-%dT%H:%M:%SZ}" ')

    later = NOW + timedelta(seconds=1)
    assert read_identity_provider(until(later).encode()).valid_until == later
    assert "valid until" in refused(until(NOW))


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("SingleSignOnService", "SingleLogoutService", "no SingleSignOnService"),
        ("bindings:HTTP-", "bindings:URI-", "no SingleSignOnService"),
        ("IDPSSODescriptor", "AttributeAuthorityDescriptor", "one identity provider"),
        (SAMLP, "urn:oasis:names:tc:SAML:1.1:protocol", "one identity provider"),
        ('entityID="https://idp.example.org/saml"', 'entityID=""', "entityID"),
        ('entityID="https://idp.example.org/saml"', "", "entityID"),
        ("https://idp.example.org/saml", "https://" + "x" * 1_024, "entityID"),
        ("https://idp.example.org/sso", "javascript:alert(1)", "no http address"),
        ("https://idp.example.org/sso", "/sso", "no http address"),
        ("https://idp.example.org/sso", "https:///sso", "no http address"),
        ("https://idp.example.org/sso", "https://idp.example.org/sso#x", "no http address"),
        ("https://idp.example.org/sso", "", "no http address"),
        ("https://idp.example.org/sso", "https://[::1/sso", "no http address"),
        ("<ds:X509Certificate>", "<ds:X509Certificate>AAAA", "cannot be read"),
        ("<ds:X509Certificate>", "<ds:X509Certificate>!", "cannot be read"),
        ("<ds:X509Certificate>", "<ds:X509Certificate><x/>", "only text"),
        (f'xmlns:md="{MD}"', 'xmlns:md="urn:x"', "not SAML metadata"),
        ("<md:EntityDescriptor ", '<md:EntityDescriptor validUntil="tomorrow" ', "validUntil"),
    ],
)
def test_metadata_that_cannot_serve_is_refused_with_a_reason(old: str, new: str, told: str) -> None:
    xml = idp_metadata()
    assert old in xml
    assert told in refused(xml.replace(old, new))


def test_metadata_is_bounded() -> None:
    assert "more than" in refused(idp_metadata().encode() + b" " * limits.SAML_METADATA_BYTES)
    assert "too many" in refused(idp_metadata(keys=[key_pair(f"k{i}", kind="p256") for i in range(21)]))


def test_text_around_a_comment_is_read_whole() -> None:
    xml = idp_metadata().replace(">example.org<", ">example<!-- x -->.org<")
    assert read_identity_provider(xml.encode()).scopes == ("example.org",)


def test_service_provider_is_read_as_it_describes_itself() -> None:
    keys = "".join(
        f'<md:KeyDescriptor use="{use}"><ds:KeyInfo><ds:X509Data><ds:X509Certificate>{SP_CERTIFICATE}'
        "</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>"
        for use in ("signing", "encryption")
    )
    endpoints = (
        acs("https://crm.example/b", "7")
        + acs("https://crm.example/a", "3", default="false")
        + acs("https://crm.example/c", "9", default="true")
        + acs("https://crm.example/artifact", "1", binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Artifact")
    )
    attributes = 'WantAssertionsSigned="1" AuthnRequestsSigned="true"'
    read = read_service_provider(sp_metadata(endpoints=endpoints, keys=keys, attributes=attributes))
    assert [(one.location, one.index, one.is_default) for one in read.assertion_consumer_services] == [
        ("https://crm.example/c", 9, True),
        ("https://crm.example/a", 3, False),
        ("https://crm.example/b", 7, False),
    ]
    assert (read.wants_assertions_signed, read.authn_requests_signed) == (True, True)
    assert [one.der for one in read.signing_certificates] == [key_pair("service provider").der]
    assert [one.der for one in read.encryption_certificates] == [key_pair("service provider").der]


def test_service_provider_without_keys_and_flags_is_read() -> None:
    read = read_service_provider(sp_metadata(endpoints=acs("https://crm.example/acs", "0")))
    assert (read.signing_certificates, read.encryption_certificates) == ((), ())
    assert (read.wants_assertions_signed, read.authn_requests_signed) == (False, False)


@pytest.mark.parametrize(
    "endpoints",
    [
        "",
        acs("https://crm.example/acs", "0", binding=REDIRECT),
        acs("https://crm.example/acs", ""),
        acs("https://crm.example/acs", "-1"),
        acs("https://crm.example/acs", "65536"),
        acs("https://crm.example/acs", "9" * 5_000),
        acs("https://crm.example/acs", "\N{SUPERSCRIPT TWO}"),
        acs("javascript:alert(1)", "0"),
    ],
)
def test_service_provider_that_cannot_be_answered_is_refused(endpoints: str) -> None:
    with pytest.raises(BrokerError) as caught:
        read_service_provider(sp_metadata(endpoints=endpoints))
    assert caught.value.code == "saml.metadata"
