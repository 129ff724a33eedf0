"""What a Response and an Assertion may consist of: an allow-list, judged before any signature.

Signature wrapping lives from elements in places where a verifier and a reader of claims look at different
things. So every element has one place, every signature covers its own parent, and there is one assertion.
"""

from collections import Counter
from enum import StrEnum

from lxml import etree

from broker.errors import BrokerError
from federation.checks import Compared
from federation.saml.elements import all_ids, children, find_child, get_child, id_of, local
from federation.saml.names import DS, SAML, SAMLP, STATUS_SUCCESS, XENC, clark

RESPONSE = clark(SAMLP, "Response")
STATUS = clark(SAMLP, "Status")
STATUS_CODE = clark(SAMLP, "StatusCode")
STATUS_MESSAGE = clark(SAMLP, "StatusMessage")
ASSERTION = clark(SAML, "Assertion")
ENCRYPTED_ASSERTION = clark(SAML, "EncryptedAssertion")
ISSUER = clark(SAML, "Issuer")
SUBJECT = clark(SAML, "Subject")
CONDITIONS = clark(SAML, "Conditions")
AUTHN_STATEMENT = clark(SAML, "AuthnStatement")
ATTRIBUTE_STATEMENT = clark(SAML, "AttributeStatement")
SIGNATURE = clark(DS, "Signature")

# name -> (fewest, most)
RESPONSE_CHILDREN: dict[str, tuple[int, int]] = {
    ISSUER: (0, 1),
    SIGNATURE: (0, 1),
    clark(SAMLP, "Extensions"): (0, 1),
    STATUS: (1, 1),
    ASSERTION: (0, 1),
    ENCRYPTED_ASSERTION: (0, 1),
}
ASSERTION_CHILDREN: dict[str, tuple[int, int]] = {
    ISSUER: (1, 1),
    SIGNATURE: (0, 1),
    SUBJECT: (1, 1),
    CONDITIONS: (0, 1),
    clark(SAML, "Advice"): (0, 1),
    AUTHN_STATEMENT: (1, 8),
    clark(SAML, "AuthzDecisionStatement"): (0, 8),
    ATTRIBUTE_STATEMENT: (0, 8),
}
# These stand in one place of the message only, however deep somebody hides another one.
ONCE_ONLY = (RESPONSE, ASSERTION, ENCRYPTED_ASSERTION)


class Kind(StrEnum):
    """What an answer brings; none of them can turn into another."""

    ASSERTION = "an assertion"
    ENCRYPTED = "an encrypted assertion"
    REFUSAL = "a refusal"


def check_root(root: etree._Element) -> Compared:
    """The message is a samlp:Response of SAML 2.0 (SAML core 3.3.3)."""
    if root.tag != RESPONSE:
        raise BrokerError("saml.structure", expected="samlp:Response", actual=root.tag)
    return compare_version(root)


def check_children(root: etree._Element) -> Compared:
    """Issuer, Signature, Extensions, Status and at most one assertion; nothing else."""
    return compare_children(root, RESPONSE_CHILDREN)


def check_one_kind(root: etree._Element) -> Compared:
    """Success with exactly one assertion, plain or encrypted, or a refusal without any."""
    plain, encrypted = len(children(root, ASSERTION)), len(children(root, ENCRYPTED_ASSERTION))
    status = top_status(root)
    if plain + encrypted != (1 if status == STATUS_SUCCESS else 0):
        raise BrokerError(
            "saml.structure",
            expected="success with one assertion, or a refusal with none",
            actual=f"{status} with {plain} assertions and {encrypted} encrypted ones",
        )
    return "one kind of answer", kind_of(root)


def check_nothing_twice(root: etree._Element) -> Compared:
    """No Response and no assertion stands anywhere but in its place: not in Advice, Extensions or a signature."""
    places = {RESPONSE: root.getparent(), ASSERTION: root, ENCRYPTED_ASSERTION: root}
    for element in root.iter(*ONCE_ONLY):
        if element.getparent() is not places[element.tag]:
            raise BrokerError("saml.structure", expected="one assertion in its place", actual=f"a hidden {element.tag}")
    return "one assertion in its place", "so it is"


def check_signature_places(root: etree._Element) -> Compared:
    """Every ds:Signature is a direct child of the Response or of its assertion: it signs its own parent."""
    allowed = [root, *children(root, ASSERTION)]
    return compare_signature_places(root, allowed)


def check_unique_ids(root: etree._Element) -> Compared:
    """No value is an ID twice: whoever looks one up finds what was signed."""
    repeated = [value for value, count in Counter(all_ids(root)).items() if count > 1]
    if repeated:
        raise BrokerError("saml.structure", expected="unique IDs", actual=f"repeated: {repeated[0][:100]}")
    return "unique IDs", "unique"


def check_id(root: etree._Element) -> Compared:
    return "an ID", id_of(root)


def check_plain_assertion(root: etree._Element) -> Compared:
    """An assertion that is not encrypted is built as it must be."""
    assertion = find_child(root, ASSERTION)
    if assertion is None:
        return "an assertion that is built well", "none to look at"
    compare_version(assertion)
    id_of(assertion)
    return compare_children(assertion, ASSERTION_CHILDREN)


RESPONSE_STRUCTURE = (
    check_root,
    check_id,
    check_children,
    check_one_kind,
    check_nothing_twice,
    check_signature_places,
    check_unique_ids,
    check_plain_assertion,
)


def check_decrypted_root(assertion: etree._Element) -> Compared:
    """The plaintext is one saml:Assertion of SAML 2.0, with an ID and the children that it may have."""
    if assertion.tag != ASSERTION:
        raise BrokerError("saml.structure", expected="saml:Assertion", actual=assertion.tag)
    compare_version(assertion)
    id_of(assertion)
    return compare_children(assertion, ASSERTION_CHILDREN)


def check_decrypted_alone(assertion: etree._Element) -> Compared:
    """Nothing else is hidden in the plaintext, and nothing in it is encrypted again as a whole."""
    for element in assertion.iter(*ONCE_ONLY, clark(XENC, "EncryptedData")):
        if element is not assertion and not _is_encrypted_value(element):
            raise BrokerError("saml.structure", expected="one assertion", actual=f"a hidden {element.tag}")
    return "one assertion", "so it is"


def check_decrypted_signature_place(assertion: etree._Element) -> Compared:
    return compare_signature_places(assertion, [assertion])


DECRYPTED_STRUCTURE = (
    check_decrypted_root,
    check_decrypted_alone,
    check_decrypted_signature_place,
    check_unique_ids,
)


def kind_of(root: etree._Element) -> Kind:
    """Which of the three kinds a Response is that passed `RESPONSE_STRUCTURE`."""
    if find_child(root, ASSERTION) is not None:
        return Kind.ASSERTION
    if find_child(root, ENCRYPTED_ASSERTION) is not None:
        return Kind.ENCRYPTED
    return Kind.REFUSAL


def top_status(root: etree._Element) -> str:
    """The value of the outermost StatusCode. Raises saml.structure when there is not exactly one."""
    return get_child(get_child(root, STATUS), STATUS_CODE).get("Value", "")


def _is_encrypted_value(element: etree._Element) -> bool:
    """An EncryptedID or EncryptedAttribute: it stays closed and is never read."""
    parent = element.getparent()
    return parent is not None and parent.tag in (clark(SAML, "EncryptedID"), clark(SAML, "EncryptedAttribute"))


def compare_version(element: etree._Element) -> Compared:
    """The element is of SAML 2.0. Raises saml.structure."""
    version = element.get("Version")
    if version != "2.0":
        raise BrokerError("saml.structure", expected="Version 2.0", actual=version)
    return f"{local(element.tag)} 2.0", f"{local(element.tag)} {version}"


def compare_children(element: etree._Element, allowed: dict[str, tuple[int, int]]) -> Compared:
    """The children are `allowed` ones only, each as often as it may be: (fewest, most). Raises saml.structure."""
    counts = Counter(str(child.tag) for child in element)
    for name in counts:
        if name not in allowed:
            raise BrokerError("saml.structure", expected="elements that SAML knows here", actual=name)
    for name, (fewest, most) in allowed.items():
        if not fewest <= counts[name] <= most:
            expected = f"{fewest} to {most} {local(name)} in {local(element.tag)}"
            raise BrokerError("saml.structure", expected=expected, actual=counts[name])
    return "elements that SAML knows here", ", ".join(local(name) for name in counts)


def compare_signature_places(root: etree._Element, allowed: list[etree._Element]) -> Compared:
    """Every signature in the document is a direct child of one of `allowed`. Raises saml.structure."""
    signatures = list(root.iter(SIGNATURE))
    for signature in signatures:
        parent = signature.getparent()
        if not any(parent is one for one in allowed):
            raise BrokerError(
                "saml.structure",
                expected="a signature directly in what it signs",
                actual=f"one in {'nothing' if parent is None else parent.tag}",
            )
    return "signatures directly in what they sign", len(signatures)
