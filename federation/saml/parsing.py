"""From the wire to one tree: base64, size, encoding, and the only XML parser of SAML messages."""

import base64
import binascii
import copy
import re

from lxml import etree

from broker import limits
from broker.errors import BrokerError
from federation.checks import Compared

_NOT_UTF_8 = re.compile(rb"""<\?xml[^>]*\sencoding\s*=\s*["'](?!utf-8["'])""", re.IGNORECASE)
_TOO_DEEP = etree.XPath("/*" * (limits.SAML_DEPTH + 1))
_COMMENTS = etree.XPath("//comment()")
_INSTRUCTIONS = etree.XPath("//processing-instruction()")
_CROWDED = etree.XPath(f"boolean(//*[count(@*) > {limits.SAML_ELEMENT_ATTRIBUTES}])")


def decode_post(value: str) -> bytes:
    """The XML inside the form field SAMLResponse (SAML bindings 3.5.4).

    White space between the base64 characters is allowed, for senders break the lines; nothing is inflated.
    Raises saml.too_large and saml.encoding.
    """
    if len(value) > limits.SAML_POST_BYTES:
        raise BrokerError("saml.too_large", expected=limits.SAML_POST_BYTES, actual=len(value))
    try:
        return base64.b64decode("".join(value.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise BrokerError("saml.encoding", detail=f"not base64: {error}") from error


def parse_message(raw: bytes) -> etree._Element:
    """The root of a message that holds nothing but elements, attributes and text.

    No second parser ever reads a message: verified bytes and decrypted bytes come back to this function.
    Raises saml.too_large, saml.encoding, saml.malformed, saml.doctype, saml.comment,
    saml.processing_instruction and saml.structure (nested too deep, too many elements, attributes or namespaces).
    """
    if len(raw) > limits.SAML_MESSAGE_BYTES:
        raise BrokerError("saml.too_large", expected=limits.SAML_MESSAGE_BYTES, actual=len(raw))
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BrokerError("saml.encoding", detail=f"not UTF-8 at byte {error.start}") from error
    if _NOT_UTF_8.match(raw.removeprefix(b"\xef\xbb\xbf")):
        raise BrokerError("saml.encoding", detail="the XML declaration names another encoding than UTF-8")
    try:
        root = etree.fromstring(raw, _parser())
    except (etree.XMLSyntaxError, ValueError) as error:
        # Expanding an entity can already fail here, and then the document type is what to talk about.
        code = "saml.doctype" if b"<!DOCTYPE" in raw else "saml.malformed"
        raise BrokerError(code, detail=str(error)) from error
    for check in NODES:
        check(root)
    return root


def standalone(element: etree._Element) -> etree._Element:
    """A copy of `element` as the root of a document of its own, without the text behind it.

    It carries the namespace declarations of its ancestors: the PrefixList of a canonicalisation may name them.
    """
    if element.getparent() is None:
        return copy.deepcopy(element)
    # Only serialising writes the declarations of the ancestors too; a deep copy leaves out what it sees no use of.
    # In UTF-8: where ASCII is written, a name outside it becomes a character reference, which no name may hold.
    return etree.fromstring(etree.tostring(element, encoding="utf-8", with_tail=False), _parser())


def check_no_document_type(root: etree._Element) -> Compared:
    """A document type can declare entities, and default attributes that only some parsers add."""
    document = root.getroottree().docinfo
    if document.internalDTD is not None or next(root.iter(etree.Entity), None) is not None:
        raise BrokerError("saml.doctype", expected="no document type", actual="a document type")
    if document.xml_version != "1.0":
        raise BrokerError("saml.malformed", expected="XML 1.0", actual=document.xml_version)
    return "no document type", "none"


def check_no_comment(root: etree._Element) -> Compared:
    """A comment cuts a text in two for some readers and not for others; canonicalisation drops it."""
    if _COMMENTS(root):
        raise BrokerError("saml.comment", expected="no comment", actual="a comment")
    return "no comment", "none"


def check_no_processing_instruction(root: etree._Element) -> Compared:
    """Like a comment it cuts a text in two; SAML has no use for one."""
    if _INSTRUCTIONS(root):
        raise BrokerError("saml.processing_instruction", expected="no instruction", actual="an instruction")
    return "no instruction", "none"


def check_bounds(root: etree._Element) -> Compared:
    """Depth and number of elements are bounded, so that everything that walks the tree is."""
    if _TOO_DEEP(root):
        raise BrokerError("saml.structure", expected=f"at most {limits.SAML_DEPTH} deep", actual="deeper")
    count = sum(1 for _ in root.iter())
    if count > limits.SAML_ELEMENTS:
        raise BrokerError("saml.structure", expected=f"at most {limits.SAML_ELEMENTS} elements", actual=count)
    return f"at most {limits.SAML_ELEMENTS} elements", count


def check_attributes(root: etree._Element) -> Compared:
    """Canonicalisation sorts the attributes of an element by insertion: its work grows with the square of them."""
    expected = f"at most {limits.SAML_ELEMENT_ATTRIBUTES} attributes on an element"
    if _CROWDED(root):
        raise BrokerError("saml.structure", expected=expected, actual="more")
    return expected, "so it is"


def check_namespaces(root: etree._Element) -> Compared:
    """Canonicalisation looks prefixes up at each element, through all the declarations that are in force there."""
    expected = f"at most {limits.SAML_NAMESPACES} namespace declarations in force"
    in_force = 0
    for event, _ in etree.iterwalk(root, events=("start-ns", "end-ns")):
        in_force += 1 if event == "start-ns" else -1
        if in_force > limits.SAML_NAMESPACES:
            raise BrokerError("saml.structure", expected=expected, actual="more")
    return expected, "so it is"


NODES = (
    check_no_document_type,
    check_no_comment,
    check_no_processing_instruction,
    check_bounds,
    check_attributes,
    check_namespaces,
)


def _parser() -> etree.XMLParser:
    # A parser of its own for each message: one that is shared between threads is locked while it parses.
    # The encoding is given, so that no declaration inside the message can choose another one.
    return etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        attribute_defaults=False,
        huge_tree=False,
        recover=False,
        remove_blank_text=False,
        remove_comments=False,
        remove_pis=False,
        collect_ids=False,
    )
