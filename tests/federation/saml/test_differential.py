"""Two implementations, one verdict: ours and python-xmlsec's on the same documents."""

import copy
from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
import xmlsec
from lxml import etree

from broker.errors import BrokerError
from broker.traces.collector import Collector
from federation.saml.messages import build_authn_request
from federation.saml.parsing import parse_message
from federation.saml.signature import verify_enveloped
from federation.saml.signing import sign_enveloped
from tests.fakes.fake_idp import DS, NS, FakeIdentityProvider
from tests.fakes.saml_keys import KeyPair, key_pair
from tests.federation.saml.desk import Desk

KEY = key_pair("differential")


def xmlsec_accepts(raw: bytes, key: KeyPair) -> bool:
    """The verdict of python-xmlsec on the root's own signature."""
    root = etree.fromstring(raw)
    signature = root.find("ds:Signature", NS)
    if signature is None:
        return False
    context = xmlsec.SignatureContext()
    context.key = xmlsec.Key.from_memory(key.certificate_pem, xmlsec.constants.KeyDataFormatCertPem)
    context.register_id(root, "ID")
    try:
        context.verify(signature)
    except xmlsec.Error:
        return False
    return True


def we_accept(raw: bytes, key: KeyPair) -> bool:
    """Our verdict on the same signature."""
    try:
        verify_enveloped(
            parse_message(raw), certificates=(key.der,), sha1_accepted=False, trace=Collector(), subject=""
        )
    except BrokerError:
        return False
    return True


@pytest.mark.parametrize(
    "text", ["plain", "Zoë 🐘 & <b> ]]>", " \t\n\r ", "", "\N{COMBINING ACUTE ACCENT}e", "x" * 4_000]
)
@pytest.mark.parametrize("prefixes", [None, "xs", "xs xsi saml", "#default", "nobody xs"])
def test_what_xmlsec_signs_verifies_here(text: str, prefixes: str | None) -> None:
    desk = Desk()
    raw = desk.respond(attributes={"cn": text}, prefix_list=prefixes, attribute_type="xs:string")
    assert xmlsec_accepts(raw, desk.idp.key)
    assert desk.verify(raw).attributes == {"cn": (text,)}


@pytest.mark.parametrize("issuer", ["https://sp.example", "https://sp.example/?a=1&b=<2>", "urn:Zoë"])
def test_what_we_sign_verifies_with_xmlsec(issuer: str) -> None:
    request = build_authn_request(
        request_id="_1",
        issuer=issuer,
        destination="https://idp.example/sso",
        acs_url="https://sp.example/acs",
        issued_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    signed = sign_enveloped(request.encode(), signer=SimpleNamespace(private_key=KEY.rsa, certificate=KEY.der))
    assert xmlsec_accepts(signed, KEY)
    assert we_accept(signed, KEY)
    assert not xmlsec_accepts(signed.replace(b"sp.example", b"sp.exampel"), KEY)


def _mutants(raw: bytes) -> dict[str, bytes]:
    """Documents made from a signed one: some harmless, some not."""
    mutants = {"unchanged": raw}
    changes: dict[str, Callable[[bytes], bytes]] = {
        "other quotes": lambda one: one.replace(b'Version="2.0"', b"Version='2.0'"),
        "other order of attributes": lambda one: one.replace(b' Version="2.0"', b"", 1).replace(
            b"<samlp:Response ", b'<samlp:Response Version="2.0" ', 1
        ),
        "entity for a letter": lambda one: one.replace(b">alice<", b">&#97;lice<"),
        "CDATA": lambda one: one.replace(b">alice<", b"><![CDATA[alice]]><"),
        "unused namespace": lambda one: one.replace(b"<samlp:Response ", b'<samlp:Response xmlns:u="urn:u" ', 1),
        "space in a tag": lambda one: one.replace(b"<saml:Subject>", b"<saml:Subject  >"),
        "line end in a tag": lambda one: one.replace(b"</saml:Subject>", b"</saml:Subject\n>"),
        "empty element written out": lambda one: one.replace(
            b"/></samlp:Status>", b"></samlp:StatusCode></samlp:Status>"
        ),
        "space in a text": lambda one: one.replace(b">alice<", b">alice <"),
        "space between elements": lambda one: one.replace(b"<saml:Subject>", b" <saml:Subject>"),
        "other text": lambda one: one.replace(b">alice<", b">mallory<"),
        "other attribute": lambda one: one.replace(b'NameFormat="', b'NameFormat="x'),
        "carriage return": lambda one: one.replace(b">alice<", b">alice&#13;<"),
        "other prefix": lambda one: one.replace(b"saml:NameID", b"x:NameID").replace(
            b"<x:NameID", b'<x:NameID xmlns:x="urn:oasis:names:tc:SAML:2.0:assertion"'
        ),
        "comment": lambda one: one.replace(b">alice<", b">al<!-- -->ice<"),
        "line end in the signature value": lambda one: one.replace(b"</ds:SignatureValue>", b"\n</ds:SignatureValue>"),
        "space in SignedInfo": lambda one: one.replace(b"<ds:SignedInfo>", b"<ds:SignedInfo> "),
        "other digest": lambda one: one.replace(b"<ds:DigestValue>", b"<ds:DigestValue>AAAA"),
        "no KeyInfo": _without("ds:KeyInfo"),
        "object": _with("Object"),
        "second SignedInfo": _twice("ds:SignedInfo"),
        "second reference": _twice("ds:SignedInfo/ds:Reference"),
        "second transform": _twice("ds:SignedInfo/ds:Reference/ds:Transforms/ds:Transform"),
        "empty URI": lambda one: one.replace(b'URI="#', b'URI="" x="#'),
    }
    return mutants | {name: change(raw) for name, change in changes.items()}


def _signature(raw: bytes) -> tuple[etree._Element, etree._Element]:
    root = etree.fromstring(raw)
    signature = root.find("ds:Signature", NS)
    assert signature is not None
    return root, signature


def _without(path: str) -> Callable[[bytes], bytes]:
    def change(raw: bytes) -> bytes:
        root, signature = _signature(raw)
        element = signature.find(path, NS)
        if element is not None:
            signature.remove(element)
        return etree.tostring(root)

    return change


def _with(name: str) -> Callable[[bytes], bytes]:
    def change(raw: bytes) -> bytes:
        root, signature = _signature(raw)
        etree.SubElement(signature, f"{{{DS}}}{name}")
        return etree.tostring(root)

    return change


def _twice(path: str) -> Callable[[bytes], bytes]:
    def change(raw: bytes) -> bytes:
        root, signature = _signature(raw)
        element = signature.find(path, NS)
        assert element is not None
        element.addnext(copy.deepcopy(element))
        return etree.tostring(root)

    return change


MUTANTS = sorted(_mutants(Desk().respond()))
HARMLESS = {
    "unchanged",
    "other quotes",
    "other order of attributes",
    "entity for a letter",
    "CDATA",
    "unused namespace",
    "space in a tag",
    "line end in a tag",
    "empty element written out",
    "line end in the signature value",
    "no KeyInfo",
}


@pytest.mark.parametrize("pretty", [False, True])
@pytest.mark.parametrize("name", MUTANTS)
def test_our_verdict_is_that_of_xmlsec_or_stricter(name: str, *, pretty: bool) -> None:
    idp = FakeIdentityProvider()
    raw = idp.response(request_id="_1", acs_url="https://sp.example/acs", audience="https://sp.example", pretty=pretty)
    mutant = _mutants(raw)[name]
    ours, theirs = we_accept(mutant, idp.key), xmlsec_accepts(mutant, idp.key)
    assert theirs or not ours
    assert ours is (name in HARMLESS)
