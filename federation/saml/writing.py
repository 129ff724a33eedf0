"""Making the elements of our own messages. Text and values are escaped by the library; the order is the caller's."""

from lxml import etree

from federation.saml.names import SAML, SAMLP, clark
from federation.saml.verified import NameID

_NAMESPACES = {"saml": SAML, "samlp": SAMLP}


def element(
    name: str, *children: etree._Element | None, text: str | None = None, **attributes: str | None
) -> etree._Element:
    """The element `saml:…` or `samlp:…`; children and attributes that are None are left out.

    Raises ValueError for a text that XML cannot hold.
    """
    prefix, _, local = name.partition(":")
    namespace = _NAMESPACES[prefix]
    made = etree.Element(
        clark(namespace, local),
        {key: value for key, value in attributes.items() if value is not None},
        nsmap={prefix: namespace},
    )
    made.text = text
    made.extend([child for child in children if child is not None])
    return made


def name_id_element(name_id: NameID) -> etree._Element:
    """A saml:NameID; a qualifier that is empty is left out."""
    return element(
        "saml:NameID",
        text=name_id.value,
        Format=name_id.format,
        NameQualifier=name_id.name_qualifier or None,
        SPNameQualifier=name_id.sp_name_qualifier or None,
    )
