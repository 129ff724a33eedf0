"""A message as people may read it in a trace: indented, and without what only machines need."""

from lxml import etree

from broker.errors import BrokerError
from federation.saml.names import DS, XENC, clark
from federation.saml.parsing import parse_message, standalone

_MARKED = {
    clark(DS, "SignatureValue"): "signature",
    clark(DS, "X509Certificate"): "certificate",
    clark(DS, "Modulus"): "modulus",
    clark(XENC, "CipherValue"): "cipher value",
}


def redacted(message: bytes | etree._Element) -> str:
    """`message` indented, with signature values, certificates and cipher values replaced by a short mark.

    Never raises: what is no message is told by its size.
    """
    try:
        root = parse_message(message) if isinstance(message, bytes) else standalone(message)
    except (BrokerError, etree.LxmlError) as error:
        size = len(message) if isinstance(message, bytes) else "?"
        return f"({size} bytes that are no SAML message: {error})"
    for element in root.iter(*_MARKED):
        for child in list(element):
            element.remove(child)
        element.text = f"({len(element.text or '')} characters of {_MARKED[element.tag]})"
    etree.indent(root)
    return etree.tostring(root, encoding="unicode")
