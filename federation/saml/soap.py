"""SOAP 1.1 as SAML uses it: one message in one Body, asked and answered over one connection (SAML bindings 3.2)."""

from collections.abc import Callable

from lxml import etree

from broker.errors import BrokerError
from federation.checks import Compared
from federation.saml.elements import children, get_child, local, text_of
from federation.saml.names import SOAP, clark

ENVELOPE = clark(SOAP, "Envelope")
HEADER = clark(SOAP, "Header")
BODY = clark(SOAP, "Body")
FAULT = clark(SOAP, "Fault")
CONTENT_TYPE = "text/xml"
ACTION = '"http://www.oasis-open.org/committees/security"'
"""The value of SOAPAction that SAML bindings 3.2.3.1 advises."""
FAULT_CHARS = 300
_WRAPPED = f'<soap:Envelope xmlns:soap="{SOAP}"><soap:Body/></soap:Envelope>'


def wrap(message: etree._Element) -> bytes:
    """`message` in an envelope, as UTF-8 XML. A signature in it stays whole: its canonical form is exclusive."""
    envelope = etree.fromstring(_WRAPPED)
    envelope[0].append(message)
    octets: bytes = etree.tostring(envelope, encoding="UTF-8", xml_declaration=True)
    return octets


def check_envelope(root: etree._Element) -> Compared:
    if root.tag != ENVELOPE:
        raise BrokerError("saml.structure", expected="soap:Envelope", actual=root.tag)
    return "soap:Envelope", local(root.tag)


def check_parts(root: etree._Element) -> Compared:
    """A Body, perhaps after a Header, which is not read; no header may demand to be understood (SOAP 1.1 4.2.3)."""
    names = [child.tag for child in root]
    if names not in ([BODY], [HEADER, BODY]):
        raise BrokerError("saml.structure", expected="Header, Body", actual=", ".join(local(str(one)) for one in names))
    for header in children(root, HEADER):
        if any(one.get(clark(SOAP, "mustUnderstand")) in ("1", "true") for one in header):
            raise BrokerError("saml.structure", expected="no header that has to be understood", actual="one")
    return "Header, Body", ", ".join(local(str(one)) for one in names)


def check_body(root: etree._Element) -> Compared:
    """One message, and no Fault in its place."""
    body = get_child(root, BODY)
    if len(body) != 1:
        raise BrokerError("saml.structure", expected="one message in the Body", actual=len(body))
    if body[0].tag == FAULT:
        raise BrokerError("logout.fault", detail=_reason(body[0]), expected="a message", actual="a SOAP fault")
    return "one message", local(body[0].tag)


SOAP_STRUCTURE: tuple[Callable[[etree._Element], Compared], ...] = (check_envelope, check_parts, check_body)


def message_of(root: etree._Element) -> etree._Element:
    """The message of an envelope that passed `SOAP_STRUCTURE`."""
    return get_child(root, BODY)[0]


def _reason(fault: etree._Element) -> str:
    texts = [text_of(one) for name in ("faultcode", "faultstring") for one in children(fault, name) if not len(one)]
    return ": ".join(texts)[:FAULT_CHARS]
