"""Reading elements without surprises: exactly one child, a text that is only text, an ID."""

import base64
import binascii
import re
from typing import cast

from lxml import etree

from broker.errors import BrokerError

_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:\-]{0,255}")
_IDS = etree.XPath("//@*[local-name()='ID' or local-name()='Id' or local-name()='id']")
_XML_SPACE = re.compile(r"[ \t\r\n]+")


def children(element: etree._Element, name: str) -> list[etree._Element]:
    """The direct children called `name` (`{namespace}local`)."""
    return list(element.iterchildren(name))


def find_child(element: etree._Element, name: str) -> etree._Element | None:
    """The only direct child called `name`, or None. Raises saml.structure when there are several."""
    found = children(element, name)
    if len(found) > 1:
        raise BrokerError("saml.structure", expected=f"one {local(name)}", actual=len(found))
    return found[0] if found else None


def get_child(element: etree._Element, name: str) -> etree._Element:
    """The only direct child called `name`. Raises saml.structure when there is none or are several."""
    found = find_child(element, name)
    if found is None:
        raise BrokerError("saml.structure", expected=f"one {local(name)}", actual=0)
    return found


def text_of(element: etree._Element) -> str:
    """The text of an element that holds text only. Raises saml.structure when it has children."""
    if len(element):
        raise BrokerError("saml.structure", expected=f"only text in {local(element.tag)}", actual="elements")
    return element.text or ""


def octets_of(element: etree._Element) -> bytes:
    """The base64 text of an element, decoded; XML white space is allowed anywhere (xs:base64Binary).

    Raises saml.structure.
    """
    try:
        return base64.b64decode(_XML_SPACE.sub("", text_of(element)), validate=True)
    except (binascii.Error, ValueError) as error:
        raise BrokerError("saml.structure", detail=f"{local(element.tag)} is not base64: {error}") from error


def id_of(element: etree._Element) -> str:
    """The ID of an element that may be signed. Raises saml.structure when it is missing or odd."""
    value = element.get("ID", "")
    if not _ID.fullmatch(value):
        raise BrokerError("saml.structure", expected=f"an ID on {local(element.tag)}", actual=value[:300])
    return value


def local(name: str) -> str:
    """The local part of `{namespace}local`, for what people read."""
    return name.rpartition("}")[2]


def all_ids(root: etree._Element) -> list[str]:
    """Every value that some reader may take for an ID: ID, Id, id and xml:id, on every element."""
    return cast("list[str]", _IDS(root))
