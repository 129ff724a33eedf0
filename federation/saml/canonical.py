"""What exactly is digested: the enveloped-signature transform and exclusive C14N (XML Signature 6.5 and 6.6)."""

from lxml import etree

from broker import limits
from broker.errors import BrokerError
from federation.saml.elements import get_child, local
from federation.saml.names import EXCLUSIVE_C14N, clark
from federation.saml.structure import SIGNATURE

INCLUSIVE_NAMESPACES = clark(EXCLUSIVE_C14N, "InclusiveNamespaces")


def remove_signature(alone: etree._Element) -> None:
    """The enveloped-signature transform on the root of a document: take its own Signature away."""
    signature = get_child(alone, SIGNATURE)
    before, tail = signature.getprevious(), signature.tail or ""
    # lxml takes the text behind an element away with it; the transform takes the element only.
    if before is None:
        alone.text = (alone.text or "") + tail
    else:
        before.tail = (before.tail or "") + tail
    alone.remove(signature)


def canonical_bytes(alone: etree._Element, method: etree._Element | None = None) -> bytes:
    """Exclusive C14N of a document's root, with the PrefixList of `method`. Raises saml.structure."""
    prefixes = [] if method is None else inclusive_prefixes(method)
    try:
        octets: bytes = etree.tostring(
            alone, method="c14n", exclusive=True, with_comments=False, inclusive_ns_prefixes=prefixes or None
        )
    except etree.LxmlError as error:
        raise BrokerError("saml.structure", detail=f"no canonical form: {error}") from error
    return octets


def inclusive_prefixes(method: etree._Element) -> list[str]:
    """The PrefixList of a canonicalisation. Raises saml.structure for any other parameter, and for a long list.

    Each prefix is looked up at every element, and nobody has proved yet that they know a key.
    """
    names = [child.tag for child in method]
    if names not in ([], [INCLUSIVE_NAMESPACES]):
        raise BrokerError("saml.structure", expected="InclusiveNamespaces", actual=", ".join(map(local, names)))
    prefixes = method[0].get("PrefixList", "").split() if names else []
    if len(prefixes) > limits.SAML_PREFIXES:
        raise BrokerError("saml.structure", expected=f"at most {limits.SAML_PREFIXES} prefixes", actual=len(prefixes))
    return prefixes
