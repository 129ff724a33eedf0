"""Messages that want to hurt the parser, or to be read in another encoding than they were checked in."""

import base64
import zlib

import pytest

from broker import limits
from broker.errors import BrokerError
from federation.saml.guard import decode_post
from federation.saml.metadata import read_identity_provider
from tests.federation.saml.desk import Desk

LAUGHS = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 10))
BILLION_LAUGHS = f'<!DOCTYPE r [<!ENTITY l0 "ha">{LAUGHS}]>'
QUADRATIC = f'<!DOCTYPE r [<!ENTITY a "{"a" * 50_000}">]>'

DOCUMENTS: dict[str, tuple[bytes, str]] = {
    "billion laughs in a text": (f"{BILLION_LAUGHS}<r>&l9;</r>".encode(), "saml.doctype"),
    "billion laughs in an attribute": (f'{BILLION_LAUGHS}<r a="&l9;"/>'.encode(), "saml.doctype"),
    "quadratic blow-up": (f"{QUADRATIC}<r>{'&a;' * 20_000}</r>".encode(), "saml.doctype"),
    "external entity": (b'<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]><r>&x;</r>', "saml.doctype"),
    "external document type": (b'<!DOCTYPE r SYSTEM "http://169.254.169.254/x.dtd"><r/>', "saml.doctype"),
    "parameter entity": (b'<!DOCTYPE r [<!ENTITY % x SYSTEM "http://127.0.0.1/x">%x;]><r/>', "saml.doctype"),
    "default attribute": (b'<!DOCTYPE r [<!ATTLIST r ID CDATA "_1">]><r/>', "saml.doctype"),
    "entity nobody declared": (b"<r>&x;</r>", "saml.malformed"),
    "nesting beyond the limit": (b"<a>" * 41 + b"</a>" * 41, "saml.structure"),
    "nesting beyond the parser's limit": (b"<a>" * 30_000 + b"</a>" * 30_000, "saml.malformed"),
    "too many elements": (b"<r>" + b"<a/>" * limits.SAML_ELEMENTS + b"</r>", "saml.structure"),
    "an element of attributes": (b"<r" + b"".join(b" a%d=''" % i for i in range(20_000)) + b"/>", "saml.structure"),
    "namespaces everywhere": (
        b"<r" + b"".join(b" xmlns:n%d='urn:n'" % i for i in range(9_000)) + b"/>",
        "saml.structure",
    ),
    "same attribute twice": (b'<r a="1" a="2"/>', "saml.malformed"),
    "same attribute by two prefixes": (b'<r xmlns:a="u" xmlns:b="u" a:x="1" b:x="2"/>', "saml.malformed"),
    "prefix nobody bound": (b"<a:r/>", "saml.malformed"),
    "two roots": (b"<r/><r/>", "saml.malformed"),
    "text behind the root": (b"<r/>x", "saml.malformed"),
    "nothing": (b"", "saml.malformed"),
    "space": (b" \n ", "saml.malformed"),
    "NUL in a text": (b"<r>a\0b</r>", "saml.malformed"),
    "NUL behind the root": (b"<r/>\0", "saml.malformed"),
    "control character by reference": (b"<r>&#1;</r>", "saml.malformed"),
    "NUL by reference": (b"<r>&#0;</r>", "saml.malformed"),
    "XML 1.1": (b'<?xml version="1.1"?><r/>', "saml.malformed"),
    "no UTF-8": (b"<r>\xff</r>", "saml.encoding"),
    "overlong UTF-8": (b"<r>\xc0\xbc</r>", "saml.encoding"),
    "surrogates in UTF-8": (b"<r>\xed\xa0\x80</r>", "saml.encoding"),
    "UTF-16 with a mark": ("<r/>".encode("utf-16"), "saml.encoding"),
    "UTF-16 without a mark": ("<r/>".encode("utf-16-le"), "saml.malformed"),
    "UTF-32": ("<r/>".encode("utf-32"), "saml.encoding"),
    "UTF-7": (b'<?xml version="1.0" encoding="UTF-7"?>+ADw-r+AD4-', "saml.encoding"),
    "UTF-7 by another spelling": (b"<?xml version='1.0'  encoding = 'utf7'?><r/>", "saml.encoding"),
    "EBCDIC": (b'<?xml version="1.0" encoding="IBM037"?><r/>', "saml.encoding"),
    "ISO 8859-1": (b'<?xml version="1.0" encoding="ISO-8859-1"?><r/>', "saml.encoding"),
    "declared behind a mark": (b'\xef\xbb\xbf<?xml version="1.0" encoding="UTF-16"?><r/>', "saml.encoding"),
    "no SAML": (b"<html><body>Sign in</body></html>", "saml.structure"),
    "stylesheet": (b'<?xml-stylesheet href="x"?><r/>', "saml.processing_instruction"),
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_hostile_document_is_refused(name: str) -> None:
    raw, code = DOCUMENTS[name]
    assert Desk().code(raw) == code


@pytest.mark.parametrize("name", DOCUMENTS)
def test_hostile_document_is_no_metadata(name: str) -> None:
    with pytest.raises(BrokerError) as caught:
        read_identity_provider(DOCUMENTS[name][0])
    assert caught.value.code == "saml.metadata"


def test_honest_answer_behind_a_byte_order_mark_is_accepted() -> None:
    desk = Desk()
    assert desk.verify(b"\xef\xbb\xbf" + desk.respond(pretty=True)).subject == "alice"


def test_document_type_around_an_honest_answer_is_refused() -> None:
    desk = Desk()
    for document_type in (b"<!DOCTYPE samlp:Response>", b'<!DOCTYPE samlp:Response [<!ENTITY a "b">]>'):
        assert desk.code(document_type + desk.respond()) == "saml.doctype"


def test_prefixes_times_elements_times_declarations_are_not_worked_through() -> None:
    """20 KiB of it cost seconds, 200 KiB hours; and a digest is computed before any signature is verified."""
    desk = Desk()
    declared = b"".join(b" xmlns:n%d='urn:n'" % i for i in range(500))
    elements = b"<samlp:Extensions%b>%b</samlp:Extensions>" % (declared, b"<n0:a/>" * 2_000)
    raw = desk.respond(prefix_list=" ".join(["saml"] * 2_000))
    assert desk.code(raw) == "saml.structure"
    raw = desk.respond(prefix_list="saml")
    assert desk.code(raw.replace(b"<samlp:Status>", elements + b"<samlp:Status>")) == "saml.structure"


def test_message_of_the_greatest_size_is_read_and_a_larger_one_is_not() -> None:
    desk = Desk()
    raw = desk.respond()
    padding = limits.SAML_MESSAGE_BYTES - len(raw)
    assert desk.verify(raw + b" " * padding).subject == "alice"
    assert desk.code(raw + b" " * (padding + 1)) == "saml.too_large"


def test_form_field_is_measured_before_it_is_decoded() -> None:
    with pytest.raises(BrokerError) as caught:
        decode_post("A" * (limits.SAML_POST_BYTES + 1))
    assert (caught.value.code, caught.value.status) == ("saml.too_large", 413)


@pytest.mark.parametrize(
    "value", ["!", "A", "AAA", "A-_A", "AA\0A", "\N{CYRILLIC SMALL LETTER A}AAA", "====", "%41%41"]
)
def test_what_is_no_base64_is_refused(value: str) -> None:
    with pytest.raises(BrokerError) as caught:
        decode_post(value)
    assert caught.value.code == "saml.encoding"


def test_base64_may_be_broken_into_lines() -> None:
    assert decode_post(base64.encodebytes(b"<r/>" * 100).decode().replace("\n", "\r\n")) == b"<r/>" * 100


def test_deflated_post_is_not_inflated() -> None:
    bomb = zlib.compress(b"<" * 50_000_000)
    assert Desk().code(bomb) in ("saml.encoding", "saml.malformed")
