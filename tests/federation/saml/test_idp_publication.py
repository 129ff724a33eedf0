"""Our metadata as an identity provider, as strict applications read it."""

from typing import Any

import pytest
from lxml import etree
from saml2.xml.schema import validate

from federation.saml.entity import Contact
from federation.saml.metadata import read_identity_provider
from federation.saml.publication import Organisation, write_identity_provider
from tests.fakes.fake_idp import EMAIL, NS, PERSISTENT, SHIBMD
from tests.fakes.saml_keys import key_pair
from tests.federation.saml.test_signing import KEY, verify_with_xmlsec

FULL: dict[str, Any] = {
    "organisation": Organisation("Corp", "Corp & Sons <Ltd>", "https://corp.example"),
    "contacts": (Contact("technical", "Ada", "ada@corp.example"),),
}


def write(**options: Any) -> bytes:
    asked: dict[str, Any] = {
        "entity_id": "https://sso.example/saml/idp/metadata",
        "sso_url": "https://sso.example/saml/idp/sso",
        "signing_certificates": (KEY.certificate,),
        "scopes": ("acme.example", "globex.example"),
        "name_id_formats": (PERSISTENT, EMAIL),
        "signer": KEY,
    }
    return write_identity_provider(**(asked | options))


@pytest.mark.parametrize("options", [{}, FULL, {"scopes": ()}], ids=["plain", "with everything", "without scopes"])
def test_metadata_is_schema_valid_and_signed(options: dict[str, Any]) -> None:
    raw = write(**options)
    validate(raw.decode().partition("?>")[2])
    verify_with_xmlsec(raw)


def test_what_we_write_reads_as_what_we_are() -> None:
    new = key_pair("our next signing key").der
    read = read_identity_provider(write(**FULL, signing_certificates=(KEY.certificate, new)))
    assert read.entity_id == "https://sso.example/saml/idp/metadata"
    assert set(read.sso_endpoints.values()) == {"https://sso.example/saml/idp/sso"}
    assert {one.rpartition(":")[2] for one in read.sso_endpoints} == {"HTTP-Redirect", "HTTP-POST"}
    assert [one.der for one in read.signing_certificates] == [KEY.certificate, new]
    assert (read.scopes, read.scope_patterns) == (("acme.example", "globex.example"), ())
    assert read.name_id_formats == (PERSISTENT, EMAIL)
    assert (read.organisation, read.contacts) == ("Corp & Sons <Ltd>", FULL["contacts"])
    assert read.oddities == ()


def test_each_scope_says_that_it_is_no_pattern() -> None:
    scopes = list(etree.fromstring(write()).iter(f"{{{SHIBMD}}}Scope"))
    assert [one.get("regexp") for one in scopes] == ["false", "false"]


def test_that_requests_are_signed_is_not_wanted_of_everybody() -> None:
    descriptor = etree.fromstring(write()).find("md:IDPSSODescriptor", NS)
    assert descriptor is not None
    assert "WantAuthnRequestsSigned" not in descriptor.attrib


def test_there_is_room_for_the_domains_of_five_thousand_companies() -> None:
    scopes = [f"company-number-{number}.subsidiaries.example" for number in range(5_000)]
    raw = write(scopes=scopes)
    verify_with_xmlsec(raw)
    assert read_identity_provider(raw).scopes == tuple(scopes)


def test_equal_settings_give_equal_bytes() -> None:
    assert write(**FULL) == write(**FULL)
