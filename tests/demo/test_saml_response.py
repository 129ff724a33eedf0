"""The demonstration's ERP believes the broker's answer only after every check."""

import base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from lxml import etree

from broker.traces.collector import Collector
from demo.keys import KeyPair
from demo.saml_metadata import IdentityProviderEntity
from demo.saml_response import CHECKED, CHECKS, Expected, ResponseRefused, StatusRefused, Told, read_response
from demo.saml_signature import sign
from federation.saml.encrypting import EncryptionKey, choose_recipient
from federation.saml.responses import Attribute, Envelope, SignedOn, write_refusal, write_response
from federation.saml.verified import NameID
from tests.fakes.saml_keys import key_pair

NOW = datetime(2026, 5, 4, 9, 30, tzinfo=UTC)
BROKER = "http://localhost:8000/saml/idp/metadata"
ERP = "https://erp.acme.example/saml"
ACS = "http://localhost:8005/acs"
SAML = "urn:oasis:names:tc:SAML:2.0:assertion"
PERSISTENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
STATUS = "urn:oasis:names:tc:SAML:2.0:status:"
BASIC = "urn:oasis:names:tc:SAML:2.0:attrname-format:basic"
KEY = key_pair("demo broker")
EXPECTED = Expected(
    issuer=IdentityProviderEntity(BROKER, "http://localhost:8000/saml/idp/sso", (KEY.der,)),
    audience=ERP,
    acs_url=ACS,
    request_id="_asked",
    key=key_pair("demo erp").rsa,
    now=NOW,
)
SIGNED_ON = SignedOn(
    name_id=NameID("f81d", PERSISTENT, BROKER, ERP),
    authenticated_at=NOW,
    context="https://refeds.org/profile/mfa",
    authority="http://localhost:8004",
    session_index="_session",
    session_until=NOW + timedelta(hours=8),
    attributes=[Attribute("urn:mail", BASIC, "mail", ["gina@globex.example"]), Attribute("g", BASIC, "", ["a", "b"])],
)


def signer(name: str) -> Any:
    return SimpleNamespace(private_key=key_pair(name).rsa, certificate=key_pair(name).der)


def envelope(**changes: Any) -> Envelope:
    return Envelope(**{"issuer": BROKER, "acs_url": ACS, "request_id": "_asked", "issued_at": NOW, **changes})


def response(
    *, key: str = "demo broker", audience: str = ERP, encrypted: bool = True, both: bool = True, **changes: Any
) -> bytes:
    recipient = choose_recipient([EncryptionKey(key_pair("demo erp").der)]) if encrypted else None
    return write_response(
        envelope(**changes),
        SIGNED_ON,
        audience=audience,
        signer=signer(key),
        sign_response=True,
        sign_assertion=both,
        recipient=recipient,
        trace=Collector(),
    )


def read(xml: bytes, **changes: Any) -> Told:
    fields = {name: getattr(EXPECTED, name) for name in EXPECTED.__dataclass_fields__}
    return read_response(base64.b64encode(xml).decode(), Expected(**{**fields, **changes}))


@pytest.mark.parametrize("encrypted", [False, True])
def test_the_brokers_answer_is_accepted(encrypted: bool) -> None:
    told = read(response(encrypted=encrypted))
    assert told.name_id == {"NameID": "f81d", "Format": PERSISTENT, "NameQualifier": BROKER, "SPNameQualifier": ERP}
    assert told.attributes == {"mail": ("gina@globex.example",), "g": ("a", "b")}
    assert (told.context, told.session_index) == ("https://refeds.org/profile/mfa", "_session")
    assert told.was_encrypted is encrypted


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: response(key="another"), "not signed by a key"),
        (lambda: response(both=False, encrypted=False), "exactly one signature"),
        (lambda: response(both=False), "exactly one signature"),
        (lambda: response(issuer="http://localhost:9999"), "comes from"),
        (lambda: response(acs_url="http://localhost:9999/acs"), "another place"),
        (lambda: response(request_id="_another"), "another request"),
        (lambda: response(request_id=""), "another request"),
        (lambda: response(audience="https://another.example"), "meant for"),
        (lambda: response(issued_at=NOW - timedelta(hours=1)), "for this time|no longer valid|this time"),
        (lambda: response(issued_at=NOW + timedelta(hours=1)), "not valid yet"),
        (lambda: b"<a/>", "no Response"),
        (lambda: b"<!DOCTYPE a [<!ENTITY b 'c'>]>" + response().split(b"?>", 1)[1], "no Response"),
        (lambda: b"no XML", "not XML"),
    ],
)
def test_an_answer_that_is_not_in_order_is_refused(make: Callable[[], bytes], why: str) -> None:
    with pytest.raises(ResponseRefused, match=why):
        read(make())


def test_what_is_encrypted_for_somebody_else_is_refused() -> None:
    with pytest.raises(ResponseRefused, match="not encrypted for our key"):
        read(response(), key=key_pair("another").rsa)


def test_a_changed_letter_is_noticed() -> None:
    with pytest.raises(ResponseRefused, match="altered"):
        read(response(encrypted=False).replace(b"gina@globex", b"olga@globex"))


def test_a_signature_that_moved_counts_for_what_it_signed_alone() -> None:
    root = etree.fromstring(response(encrypted=False))
    for signature in root.findall("{http://www.w3.org/2000/09/xmldsig#}Signature"):
        root.remove(signature)
    root.insert(1, root.find(f".//{{{SAML}}}Assertion/{{http://www.w3.org/2000/09/xmldsig#}}Signature"))
    with pytest.raises(ResponseRefused, match="about something else"):
        read(etree.tostring(root))


def test_two_assertions_are_one_too_many() -> None:
    root = etree.fromstring(response(encrypted=False))
    root.append(etree.fromstring(etree.tostring(root.find(f"{{{SAML}}}Assertion"))))
    root.remove(root.find("{http://www.w3.org/2000/09/xmldsig#}Signature"))
    sign(root, KeyPair(KEY.rsa, KEY.der))
    with pytest.raises(ResponseRefused, match="exactly one assertion"):
        read(etree.tostring(root))


def test_a_comment_does_not_cut_a_name() -> None:
    xml = response(encrypted=False).replace(b"gina@globex.example", b"gina@globex.example<!---->.thief.example")
    with pytest.raises(ResponseRefused, match="altered"):
        read(xml)
    told = read(response(encrypted=False).replace(b"gina@globex.example", b"gina@<!---->globex.example"))
    assert told.attributes["mail"] == ("gina@globex.example",)


def test_a_refusal_of_the_brokers_says_why() -> None:
    codes = (f"{STATUS}Responder", f"{STATUS}NoAuthnContext")
    with pytest.raises(StatusRefused, match="not as strong") as refused:
        read(write_refusal(envelope(), codes, "The sign-on was not as strong as asked.", signer=signer("demo broker")))
    assert refused.value.codes == codes


def test_a_refusal_that_nobody_signed_is_not_believed() -> None:
    codes = (f"{STATUS}Responder",)
    with pytest.raises(ResponseRefused, match="not signed by a key"):
        read(write_refusal(envelope(), codes, "", signer=signer("another")))


def test_every_check_is_on_the_page() -> None:
    assert len(CHECKED) == len(CHECKS)
