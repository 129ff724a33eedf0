"""How requests arrive: what is given back as it came, and what no browser should carry."""

import base64
import tracemalloc
import zlib
from urllib.parse import quote

import pytest

from broker import limits
from broker.errors import BrokerError
from federation.saml.bindings import read_form, read_redirect, read_relay_state

XML = b"<samlp:AuthnRequest/>"


def deflated(raw: bytes) -> bytes:
    deflate = zlib.compressobj(level=9, wbits=-15)
    return deflate.compress(raw) + deflate.flush()


def query(octets: bytes, rest: str = "") -> str:
    return f"SAMLRequest={quote(base64.b64encode(octets), safe='')}{rest}"


QUERY = query(deflated(XML))


def refusal(raw_query: str) -> str:
    with pytest.raises(BrokerError) as caught:
        read_redirect(raw_query)
    return caught.value.code


def test_a_redirect_is_inflated() -> None:
    assert read_redirect(QUERY).raw == XML
    assert read_redirect(QUERY).query_signature is None


@pytest.mark.parametrize(
    "raw_query",
    [
        QUERY + "&SAMLEncoding=urn%3Aoasis%3Anames%3Atc%3ASAML%3A2.0%3Abindings%3AURL-Encoding%3ADEFLATE",
        QUERY + "&utm_source=mail&x",
        "&" + QUERY,
        f"SAMLRequest={base64.b64encode(deflated(XML)).decode()}",
        f"SAMLRequest={quote(base64.encodebytes(deflated(XML)), safe='')}",
    ],
    ids=["encoding named", "other parameters", "empty pair", "base64 as it is", "base64 in lines"],
)
def test_honest_queries_are_read(raw_query: str) -> None:
    assert read_redirect(raw_query).raw == XML


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("x" * 80, "x" * 80),
        ("x" * 500, "x" * 500),
        ("a+b%2Bc%20d", "a b+c d"),
        ("%C3%A9%F0%9F%90%98", "é🐘"),
        ("https%3A%2F%2Ferp.example%2F%3Fa%3D1%26b%3D2", "https://erp.example/?a=1&b=2"),
        ("%22%3E%3Cscript%3E", '"><script>'),
        ("", ""),
    ],
)
def test_relay_state_is_decoded_once(raw: str, text: str) -> None:
    assert read_redirect(f"{QUERY}&RelayState={raw}").relay_state == text


def test_the_signature_is_over_the_octets_as_they_came_in_the_order_of_the_specification() -> None:
    raw = "SigAlg=urn%3aX&Signature=AAAA&RelayState=a+b&" + QUERY.replace("%2B", "%2b")
    signature = read_redirect(raw).query_signature
    assert signature is not None
    assert signature.octets.decode() == f"{QUERY.replace('%2B', '%2b')}&RelayState=a+b&SigAlg=urn%3aX"
    assert (signature.algorithm, signature.value) == ("urn:X", b"\0\0\0")


def test_an_absent_relay_state_is_not_among_the_signed_octets() -> None:
    signature = read_redirect(f"{QUERY}&SigAlg=a&Signature=AAAA").query_signature
    assert signature is not None
    assert b"RelayState" not in signature.octets
    signature = read_redirect(f"{QUERY}&RelayState=&SigAlg=a&Signature=AAAA").query_signature
    assert signature is not None
    assert b"&RelayState=&" in signature.octets


@pytest.mark.parametrize(
    ("raw_query", "code"),
    [
        ("", "request.malformed"),
        ("SAMLResponse=x", "request.malformed"),
        (f"{QUERY}&{QUERY}", "request.malformed"),
        (f"{QUERY}&RelayState=a&RelayState=b", "request.malformed"),
        (f"{QUERY}&Relay%53tate=b", "request.malformed"),
        (QUERY.replace("SAML", "%53AML"), "request.malformed"),
        (f"{QUERY}&SigAlg=a", "request.malformed"),
        (f"{QUERY}&Signature=AAAA", "request.malformed"),
        (f"{QUERY}&RelayState=%ff", "request.malformed"),
        (f"{QUERY}&RelayState=é", "request.malformed"),
        (f"{QUERY}&RelayState=%00", "saml_idp.relay_state"),
        (f"{QUERY}&RelayState=a%0d%0aSet-Cookie", "saml_idp.relay_state"),
        (f"{QUERY}&SAMLEncoding=urn%3Anone", "saml_idp.encoding"),
        (f"{QUERY}&SigAlg=a&Signature=%25", "saml_idp.encoding"),
        ("SAMLRequest=", "saml_idp.encoding"),
        ("SAMLRequest=%3Cxml%3E", "saml_idp.encoding"),
        (query(XML), "saml_idp.encoding"),
        (query(zlib.compress(XML)), "saml_idp.encoding"),
        (query(deflated(XML)[:-3]), "saml_idp.encoding"),
        (query(deflated(XML) + b"x"), "saml_idp.encoding"),
    ],
)
def test_a_query_that_is_none_is_refused(raw_query: str, code: str) -> None:
    assert refusal(raw_query) == code


def test_a_deflate_bomb_is_refused_before_it_grows() -> None:
    bomb = deflated(b"<a>" + b" " * 50_000_000 + b"</a>")
    assert len(bomb) < 64_000
    raw_query = query(bomb)
    tracemalloc.start()
    assert refusal(raw_query) == "saml_idp.too_large"
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * limits.SAML_MESSAGE_BYTES


def test_inflated_size_is_bounded_to_the_byte() -> None:
    at_the_limit = b" " * limits.SAML_MESSAGE_BYTES
    assert read_redirect(query(deflated(at_the_limit))).raw == at_the_limit
    assert refusal(query(deflated(at_the_limit + b" "))) == "saml_idp.too_large"


def test_a_form_is_not_inflated() -> None:
    text = base64.b64encode(XML).decode()
    assert read_form({"SAMLRequest": [text], "RelayState": ["a+b"]}).raw == XML
    assert read_form({"SAMLRequest": [text], "RelayState": ["a+b"]}).relay_state == "a+b"
    assert read_form({"SAMLRequest": [base64.b64encode(deflated(XML)).decode()]}).raw == deflated(XML)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({}, "request.malformed"),
        ({"SAMLRequest": ["AAAA", "AAAA"]}, "request.malformed"),
        ({"SAMLRequest": ["AAAA"], "RelayState": ["a", "a"]}, "request.malformed"),
        ({"SAMLRequest": ["AAAA"], "RelayState": ["\0"]}, "saml_idp.relay_state"),
        ({"SAMLRequest": ["<xml>"]}, "saml_idp.encoding"),
        ({"SAMLRequest": ["A" * (limits.SAML_POST_BYTES + 1)]}, "saml_idp.too_large"),
    ],
)
def test_a_form_that_is_none_is_refused(fields: dict[str, list[str]], code: str) -> None:
    with pytest.raises(BrokerError) as caught:
        read_form(fields)
    assert caught.value.code == code


def test_a_relay_state_alone_stands_at_most_once() -> None:
    assert read_relay_state([]) == ""
    assert read_relay_state(["/invoices"]) == "/invoices"
    with pytest.raises(BrokerError):
        read_relay_state(["a", "b"])
