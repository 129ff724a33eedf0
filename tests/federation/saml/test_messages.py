"""AuthnRequests, and how a browser carries them."""

import base64
import zlib
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from lxml import etree
from saml2.xml.schema import validate

from federation.saml import messages
from tests.fakes.fake_idp import NS, PERSISTENT
from tests.federation.saml.test_signing import KEY, verify_with_xmlsec


def build(**options: Any) -> str:
    asked: dict[str, Any] = {
        "request_id": "_0123456789abcdef",
        "issuer": "https://sso.example/saml/sp/corp/metadata?a=1&b=2",
        "destination": "https://idp.example/sso",
        "acs_url": "https://sso.example/saml/sp/corp/acs",
        "issued_at": datetime(2026, 11, 23, 12, 0, 0, 999_999, tzinfo=UTC),
    }
    return messages.build_authn_request(**(asked | options))


FULL = {
    "force_authn": True,
    "is_passive": True,
    "name_id_format": PERSISTENT,
    "contexts": ("urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport", "urn:example:mfa"),
}


@pytest.mark.parametrize("options", [{}, FULL], ids=["plain", "with everything"])
def test_request_is_schema_valid_before_and_after_signing(options: dict[str, Any]) -> None:
    xml = build(**options)
    validate(xml)
    signed = base64.b64decode(messages.post_form(xml, signer=KEY)["SAMLRequest"]).decode()
    validate(signed.partition("?>")[2])
    verify_with_xmlsec(signed.encode())


def test_request_says_who_asks_and_where_the_answer_goes() -> None:
    root = etree.fromstring(build())
    assert root.attrib == {
        "ID": "_0123456789abcdef",
        "Version": "2.0",
        "IssueInstant": "2026-11-23T12:00:00Z",
        "Destination": "https://idp.example/sso",
        "AssertionConsumerServiceURL": "https://sso.example/saml/sp/corp/acs",
        "ProtocolBinding": "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST",
    }
    assert root.findtext("saml:Issuer", namespaces=NS) == "https://sso.example/saml/sp/corp/metadata?a=1&b=2"
    policy = root.find("samlp:NameIDPolicy", NS)
    assert policy is not None
    assert policy.attrib == {"AllowCreate": "true"}
    assert root.find("samlp:RequestedAuthnContext", NS) is None


def test_request_asks_for_what_is_wanted() -> None:
    root = etree.fromstring(build(**FULL))
    assert (root.get("ForceAuthn"), root.get("IsPassive")) == ("true", "true")
    policy, context = root.find("samlp:NameIDPolicy", NS), root.find("samlp:RequestedAuthnContext", NS)
    assert policy is not None
    assert context is not None
    assert policy.get("Format") == PERSISTENT
    assert context.get("Comparison") == "exact"
    assert [one.text for one in context] == list(FULL["contexts"])  # type: ignore[call-overload]  # a tuple


def test_time_is_told_in_utc() -> None:
    berlin = datetime(2026, 7, 1, 1, 30, tzinfo=timezone(timedelta(hours=2)))
    assert 'IssueInstant="2026-06-30T23:30:00Z"' in build(issued_at=berlin)


@pytest.mark.parametrize("hostile", ['"><x>', "&amp;", "' onload='x", "<!-- -->", "]]>"])
def test_values_are_escaped(hostile: str) -> None:
    root = etree.fromstring(build(issuer=hostile, destination=hostile))
    assert root.findtext("saml:Issuer", namespaces=NS) == hostile
    assert root.get("Destination") == hostile


def test_prefixes_are_the_usual_ones() -> None:
    assert build().startswith("<samlp:AuthnRequest xmlns:")


def test_redirect_carries_the_request_and_the_state() -> None:
    xml = build()
    url = messages.redirect_url("https://idp.example/sso", xml, relay_state="a b&c=d")
    query = parse_qs(urlsplit(url).query)
    assert zlib.decompress(base64.b64decode(query["SAMLRequest"][0]), wbits=-15).decode() == xml
    assert query["RelayState"] == ["a b&c=d"]
    assert query.keys() == {"SAMLRequest", "RelayState"}


def test_redirect_keeps_the_query_of_the_destination() -> None:
    url = messages.redirect_url("https://idp.example/sso?tenant=1", build(), signer=KEY)
    assert url.startswith("https://idp.example/sso?tenant=1&SAMLRequest=")
    assert parse_qs(urlsplit(url).query).keys() == {"tenant", "SAMLRequest", "SigAlg", "Signature"}


def test_signed_redirect_signs_from_samlrequest_to_sigalg_in_this_order() -> None:
    url = messages.redirect_url("https://idp.example/sso?tenant=1", build(), relay_state="r", signer=KEY)
    names = [pair.partition("=")[0] for pair in urlsplit(url).query.split("&")]
    assert names == ["tenant", "SAMLRequest", "RelayState", "SigAlg", "Signature"]


def test_form_carries_the_request_as_it_is_without_a_key() -> None:
    xml = build()
    fields = messages.post_form(xml, relay_state="r")
    assert base64.b64decode(fields["SAMLRequest"]).decode() == xml
    assert fields["RelayState"] == "r"
    assert "RelayState" not in messages.post_form(xml)
