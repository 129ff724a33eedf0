"""Attributes of a verified assertion: values by Name, bounded."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from lxml import etree

from broker import limits
from broker.errors import BrokerError
from federation.saml.elements import children, text_of
from federation.saml.names import SAML, XSI, clark
from federation.saml.structure import ATTRIBUTE_STATEMENT

ATTRIBUTE = clark(SAML, "Attribute")
ATTRIBUTE_VALUE = clark(SAML, "AttributeValue")
NAME_ID = clark(SAML, "NameID")
_NIL = clark(XSI, "nil")


@dataclass(frozen=True, slots=True)
class Attributes:
    """Values and friendly names by Name; `skipped` names what is there and could not be read as text."""

    values: Mapping[str, tuple[str, ...]]
    friendly_names: Mapping[str, str]
    skipped: tuple[str, ...]


def read_attributes(assertion: etree._Element) -> Attributes:
    """The attributes of all AttributeStatements, in order; one Name told twice is one attribute.

    A value is a text, or the text of the one NameID in it (eduPersonTargetedID); nil and other XML is skipped,
    as is what is encrypted by itself. Raises saml.attributes and saml.structure.
    """
    elements = [
        attribute
        for statement in children(assertion, ATTRIBUTE_STATEMENT)
        for attribute in children(statement, ATTRIBUTE)
    ]
    _check_count("attributes", len(elements), limits.SAML_ATTRIBUTES)
    values: dict[str, tuple[str, ...]] = {}
    friendly_names: dict[str, str] = {}
    skipped: list[str] = []
    total = 0
    for element in elements:
        name = element.get("Name", "")
        _check_name(name)
        read = [_read_value(value) for value in children(element, ATTRIBUTE_VALUE)]
        total += len(read)
        _check_count("attribute values", total, limits.SAML_ATTRIBUTE_VALUES)
        if None in read:
            skipped.append(name)
        values[name] = values.get(name, ()) + tuple(text for text in read if text is not None)
        if "FriendlyName" in element.attrib:
            friendly_names[name] = element.get("FriendlyName", "")[: limits.SAML_NAME_ID_CHARS]
    return Attributes(MappingProxyType(values), MappingProxyType(friendly_names), tuple(skipped))


def _read_value(value: etree._Element) -> str | None:
    if value.get(_NIL) in ("true", "1"):
        return None
    if len(value) == 1 and value[0].tag == NAME_ID:
        value = value[0]
    if len(value):
        return None
    text = text_of(value)
    _check_count("characters of a value", len(text), limits.SAML_ATTRIBUTE_VALUE_CHARS)
    return text


def _check_name(name: str) -> None:
    if not name:
        raise BrokerError("saml.structure", expected="a Name on each Attribute", actual="none")
    _check_count("characters of a Name", len(name), limits.SAML_NAME_ID_CHARS)


def _check_count(what: str, count: int, most: int) -> None:
    if count > most:
        raise BrokerError("saml.attributes", expected=f"at most {most} {what}", actual=count)
