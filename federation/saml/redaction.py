"""A message as people may read it in a trace: indented, and without what only machines need."""

import re

from lxml import etree

from broker.errors import BrokerError
from broker.traces.collector import Collector
from federation.saml.names import DS, XENC, clark
from federation.saml.parsing import parse_message, standalone

_MARKED = {
    clark(DS, "SignatureValue"): "signature",
    clark(DS, "X509Certificate"): "certificate",
    clark(DS, "Modulus"): "modulus",
    clark(XENC, "CipherValue"): "cipher value",
}
_BASE64 = re.compile(r"[A-Za-z0-9+/]{48,}={0,2}")


def redacted(message: bytes | etree._Element) -> str:
    """`message` indented, with signature values, certificates and cipher values replaced by a short mark.

    Never raises: what is no message is shown as the text that it is, without its long base64.
    """
    try:
        root = parse_message(message) if isinstance(message, bytes) else standalone(message)
    except (BrokerError, etree.LxmlError) as error:
        return _unreadable(message if isinstance(message, bytes) else b"", error)
    for element in root.iter(*_MARKED):
        for child in list(element):
            element.remove(child)
        element.text = f"({len(element.text or '')} characters of {_MARKED[element.tag]})"
    etree.indent(root)
    return etree.tostring(root, encoding="unicode")


def _unreadable(raw: bytes, error: Exception) -> str:
    text = raw[: Collector.MESSAGE_CHARS].decode("utf-8", "backslashreplace")
    shown = _BASE64.sub(lambda match: f"({len(match[0])} characters of base64)", text)
    return f"({len(raw)} bytes that are no SAML message: {error})\n{shown}"
