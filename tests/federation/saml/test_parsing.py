"""The one parser: bounds, and what a copy of an element carries. Hostile documents are in tests/attacks."""

import pytest
from lxml import etree

from broker import limits
from broker.errors import BrokerError
from federation.saml.parsing import parse_message, standalone


def code(raw: bytes) -> str:
    with pytest.raises(BrokerError) as caught:
        parse_message(raw)
    return caught.value.code


def test_greatest_depth_is_read_and_one_more_is_refused() -> None:
    depth = limits.SAML_DEPTH
    assert parse_message(b"<a>" * depth + b"</a>" * depth).tag == "a"
    assert code(b"<a>" * (depth + 1) + b"</a>" * (depth + 1)) == "saml.structure"


def test_greatest_number_of_elements_is_read_and_one_more_is_refused() -> None:
    raw = b"<r>" + b"<a/>" * (limits.SAML_ELEMENTS - 1) + b"</r>"
    assert len(parse_message(raw)) == limits.SAML_ELEMENTS - 1
    assert code(raw.replace(b"</r>", b"<a/></r>")) == "saml.structure"


def test_text_is_read_as_it_stands() -> None:
    assert parse_message("<r> a&amp;b <![CDATA[<c>]]>&#13;é</r>".encode()).text == " a&b <c>\ré"


def test_copy_of_an_element_knows_the_namespaces_around_it_and_not_the_text_behind() -> None:
    inner = parse_message(b'<r xmlns:x="urn:x" xmlns="urn:r"><a v="x:1"> <b/>t </a>behind</r>')[0]
    alone = standalone(inner)
    assert alone.getroottree().getroot() is alone
    assert alone.nsmap == {"x": "urn:x", None: "urn:r"}
    assert etree.tostring(alone).endswith(b"</a>")
    alone.set("v", "changed")
    assert inner.get("v") == "x:1"


def test_copy_of_a_root_is_another_document() -> None:
    root = parse_message(b'<r xmlns:x="urn:x" v="x:1"><b/>&#13;</r>')
    copy = standalone(root)
    copy[0].tag = "c"
    assert etree.tostring(root) == b'<r xmlns:x="urn:x" v="x:1"><b/>&#13;</r>'
    assert etree.tostring(copy) == b'<r xmlns:x="urn:x" v="x:1"><c/>&#13;</r>'


def test_an_element_stands_alone_whatever_letters_its_names_have() -> None:
    root = parse_message('<r><é ü="1" xmlns:å="urn:x"><å:ö/></é></r>'.encode())
    alone = standalone(root[0])
    assert (alone.tag, alone.get("ü"), alone[0].tag) == ("é", "1", "{urn:x}ö")
