"""What an AuthnRequest may consist of (SAML core 3.4.1): an allow-list, judged before any signature."""

from lxml import etree

from broker.errors import BrokerError
from federation.checks import Compared
from federation.saml.elements import id_of
from federation.saml.names import SAML, SAMLP, clark
from federation.saml.structure import (
    CONDITIONS,
    ISSUER,
    ONCE_ONLY,
    SIGNATURE,
    SUBJECT,
    check_unique_ids,
    compare_children,
    compare_signature_places,
    compare_version,
)

AUTHN_REQUEST = clark(SAMLP, "AuthnRequest")
NAME_ID_POLICY = clark(SAMLP, "NameIDPolicy")
REQUESTED_CONTEXT = clark(SAMLP, "RequestedAuthnContext")
SCOPING = clark(SAMLP, "Scoping")
CONTEXT_REFERENCES = (clark(SAML, "AuthnContextClassRef"), clark(SAML, "AuthnContextDeclRef"))

# name -> (fewest, most)
REQUEST_CHILDREN: dict[str, tuple[int, int]] = {
    ISSUER: (1, 1),
    SIGNATURE: (0, 1),
    clark(SAMLP, "Extensions"): (0, 1),
    SUBJECT: (0, 1),
    NAME_ID_POLICY: (0, 1),
    CONDITIONS: (0, 1),
    REQUESTED_CONTEXT: (0, 1),
    SCOPING: (0, 1),
}


def check_root(root: etree._Element) -> Compared:
    """The message is a samlp:AuthnRequest of SAML 2.0."""
    if root.tag != AUTHN_REQUEST:
        raise BrokerError("saml.structure", expected="samlp:AuthnRequest", actual=root.tag)
    return compare_version(root)


def check_request_id(root: etree._Element) -> Compared:
    """The answer will name it."""
    return "an ID", id_of(root)


def check_children(root: etree._Element) -> Compared:
    return compare_children(root, REQUEST_CHILDREN)


def check_nothing_twice(root: etree._Element) -> Compared:
    """No second request, no answer and no assertion is hidden anywhere inside."""
    for element in root.iter(AUTHN_REQUEST, *ONCE_ONLY):
        if element is not root:
            raise BrokerError("saml.structure", expected="one AuthnRequest", actual=f"a hidden {element.tag}")
    return "one AuthnRequest", "so it is"


def check_signature_place(root: etree._Element) -> Compared:
    """A signature is a direct child of the request: it signs its own parent."""
    return compare_signature_places(root, [root])


REQUEST_STRUCTURE = (
    check_root,
    check_request_id,
    check_children,
    check_nothing_twice,
    check_signature_place,
    check_unique_ids,
)
