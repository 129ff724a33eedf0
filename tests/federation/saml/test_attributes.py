"""Attributes of a verified assertion: what is read, what is skipped, what is too much."""

from typing import Any

import pytest
from lxml import etree

from broker import limits
from tests.fakes.fake_idp import SAML, XSI, Draft, build_assertion
from tests.federation.saml.desk import Desk


def with_value(xml: str) -> Any:
    """An assertion whose attribute `odd` has `xml` inside its value."""

    def build(draft: Draft) -> etree._Element:
        assertion = build_assertion(draft)
        statement = assertion.find(f"{{{SAML}}}AttributeStatement")
        assert statement is not None
        statement.append(
            etree.fromstring(
                f'<saml:Attribute xmlns:saml="{SAML}" xmlns:xsi="{XSI}" Name="odd">'
                f"<saml:AttributeValue>plain</saml:AttributeValue>{xml}</saml:Attribute>"
            )
        )
        return assertion

    return build


def test_one_name_in_two_attributes_is_one_attribute(desk: Desk) -> None:
    raw = desk.respond(attributes={"odd": "first"}, assertion_builder=with_value(""))
    assert desk.verify(raw).attributes["odd"] == ("first", "plain")


def test_name_id_as_a_value_is_its_text(desk: Desk) -> None:
    value = "<saml:AttributeValue>\n <saml:NameID>e-1</saml:NameID> </saml:AttributeValue>"
    assert desk.verify(desk.respond(assertion_builder=with_value(value))).attributes["odd"] == ("plain", "e-1")


@pytest.mark.parametrize(
    "value",
    [
        '<saml:AttributeValue xsi:nil="true"/>',
        '<saml:AttributeValue xsi:nil="1">x</saml:AttributeValue>',
        '<saml:AttributeValue><x:a xmlns:x="urn:x">1</x:a></saml:AttributeValue>',
        "<saml:AttributeValue><saml:NameID>1</saml:NameID><saml:NameID>2</saml:NameID></saml:AttributeValue>",
    ],
)
def test_value_that_is_no_text_is_skipped_and_noted(desk: Desk, value: str) -> None:
    verified = desk.verify(desk.respond(assertion_builder=with_value(value)))
    assert verified.attributes["odd"] == ("plain",)
    notes = [entry for entry in desk.trace.entries if entry["type"] == "note"]
    assert notes[0]["values"] == {"names": "odd"}


def test_empty_value_is_an_empty_text(desk: Desk) -> None:
    assert desk.verify(desk.respond(attributes={"a": ["", "x"]})).attributes == {"a": ("", "x")}


def test_attributes_cannot_be_changed_afterwards(desk: Desk) -> None:
    attributes: Any = desk.verify(desk.respond()).attributes
    with pytest.raises(TypeError):
        attributes["mail"] = ("mallory@example.org",)


def test_attribute_without_a_name_is_refused(desk: Desk) -> None:
    assert desk.code(desk.respond(attributes={"": "x"})) == "saml.structure"


@pytest.mark.parametrize(
    ("attributes", "one_more"),
    [
        (
            {f"a{i}": "x" for i in range(limits.SAML_ATTRIBUTES)},
            {f"a{i}": "x" for i in range(limits.SAML_ATTRIBUTES + 1)},
        ),
        ({"a": ["x"] * limits.SAML_ATTRIBUTE_VALUES}, {"a": ["x"] * (limits.SAML_ATTRIBUTE_VALUES + 1)}),
        ({"a": "x" * limits.SAML_ATTRIBUTE_VALUE_CHARS}, {"a": "x" * (limits.SAML_ATTRIBUTE_VALUE_CHARS + 1)}),
        ({"a" * limits.SAML_NAME_ID_CHARS: "x"}, {"a" * (limits.SAML_NAME_ID_CHARS + 1): "x"}),
    ],
    ids=["attributes", "values", "characters of a value", "characters of a name"],
)
def test_attributes_up_to_the_limit_are_read_and_one_more_is_refused(
    desk: Desk, attributes: dict[str, Any], one_more: dict[str, Any]
) -> None:
    assert desk.verify(desk.respond(attributes=attributes)).attributes.keys() == attributes.keys()
    assert desk.code(desk.respond(attributes=one_more)) == "saml.attributes"
    assert [entry["name"] for entry in desk.trace.entries if entry.get("passed") is False] == ["attributes"]
