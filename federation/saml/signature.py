"""Verifying one enveloped XML signature, and handing out the very bytes that it covers.

XML Signature 1.1, restricted as SAML core 5.4 restricts it. Nothing is looked up by an ID: a signature
covers its own parent, or it is refused.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from lxml import etree

from broker.errors import BrokerError
from broker.traces.collector import Collector
from federation.checks import Compared, run_checks
from federation.saml.algorithms import (
    DIGEST_METHODS,
    LEGACY_DIGEST_METHODS,
    LEGACY_SIGNATURE_METHODS,
    SIGNATURE_METHODS,
    SignatureMethod,
)
from federation.saml.canonical import canonical_bytes, inclusive_prefixes, remove_signature
from federation.saml.certificates import VerificationKey, verification_key
from federation.saml.elements import get_child, id_of, local, octets_of
from federation.saml.names import DS, DS11, ENVELOPED, EXCLUSIVE_C14N, clark
from federation.saml.parsing import parse_message, standalone
from federation.saml.structure import SIGNATURE

SIGNED_INFO = clark(DS, "SignedInfo")
SIGNATURE_VALUE = clark(DS, "SignatureValue")
KEY_INFO = clark(DS, "KeyInfo")
CANONICALIZATION_METHOD = clark(DS, "CanonicalizationMethod")
SIGNATURE_METHOD = clark(DS, "SignatureMethod")
REFERENCE = clark(DS, "Reference")
TRANSFORMS = clark(DS, "Transforms")
TRANSFORM = clark(DS, "Transform")
DIGEST_METHOD = clark(DS, "DigestMethod")
DIGEST_VALUE = clark(DS, "DigestValue")

# A KeyInfo is never used to choose a key; these are the forms in which honest senders describe one.
_KEY_DESCRIPTIONS = {
    clark(DS, "KeyName"),
    clark(DS, "KeyValue"),
    clark(DS, "X509Data"),
    clark(DS11, "DEREncodedKeyValue"),
}


@dataclass(frozen=True)
class SignatureCase:
    """One signature, what it claims to sign, and who may have signed it."""

    signed: etree._Element
    signature: etree._Element
    certificates: Sequence[bytes]
    sha1_accepted: bool

    @cached_property
    def signed_info(self) -> etree._Element:
        return get_child(self.signature, SIGNED_INFO)

    @cached_property
    def reference(self) -> etree._Element:
        return get_child(self.signed_info, REFERENCE)

    @cached_property
    def covered(self) -> bytes:
        """What the signature covers: the very bytes that are digested, and later read."""
        alone = standalone(self.signed)
        remove_signature(alone)
        return canonical_bytes(alone, get_child(self.reference, TRANSFORMS)[1])


def verify_enveloped(
    signed: etree._Element,
    *,
    certificates: Sequence[bytes],
    sha1_accepted: bool,
    trace: Collector,
    subject: str,
) -> etree._Element:
    """Verify the signature that is a child of `signed`; the root of the tree parsed from the signed bytes.

    `certificates` are DER and the only source of keys. The result is a new document: `signed` without its
    signature, in the canonical form whose digest was signed. Raises saml.structure, saml.algorithm and
    saml.signature.
    """
    case = SignatureCase(signed, get_child(signed, SIGNATURE), certificates, sha1_accepted)
    run_checks(SHAPE, case, trace=trace, subject=subject)
    run_checks(ALGORITHMS, case, trace=trace, subject=subject)
    run_checks(VALUES, case, trace=trace, subject=subject)
    return parse_message(case.covered)


def check_signature_children(case: SignatureCase) -> Compared:
    """SignedInfo, SignatureValue and perhaps KeyInfo; an Object could carry a second message."""
    names = [child.tag for child in case.signature]
    if names not in ([SIGNED_INFO, SIGNATURE_VALUE], [SIGNED_INFO, SIGNATURE_VALUE, KEY_INFO]):
        raise BrokerError("saml.structure", expected="SignedInfo, SignatureValue, KeyInfo", actual=_locals(names))
    return "SignedInfo, SignatureValue, KeyInfo", _locals(names)


def check_one_reference(case: SignatureCase) -> Compared:
    """One Reference: a second one would sign something that nobody reads, or the other way round."""
    names = [child.tag for child in case.signed_info]
    if names != [CANONICALIZATION_METHOD, SIGNATURE_METHOD, REFERENCE]:
        raise BrokerError("saml.structure", expected="one Reference", actual=_locals(names))
    return "one Reference", "one"


def check_reference_to_parent(case: SignatureCase) -> Compared:
    """The Reference names the ID of the element that the signature stands in; an empty URI would be the document."""
    expected, actual = "#" + id_of(case.signed), case.reference.get("URI")
    if actual != expected:
        raise BrokerError("saml.structure", expected=expected, actual=actual)
    return expected, actual


def check_reference_children(case: SignatureCase) -> Compared:
    names = [child.tag for child in case.reference]
    if names != [TRANSFORMS, DIGEST_METHOD, DIGEST_VALUE]:
        raise BrokerError("saml.structure", expected="Transforms, DigestMethod, DigestValue", actual=_locals(names))
    return "Transforms, DigestMethod, DigestValue", _locals(names)


def check_transforms(case: SignatureCase) -> Compared:
    """Exactly enveloped-signature, then exclusive C14N: others could choose what is digested."""
    transforms = list(get_child(case.reference, TRANSFORMS))
    algorithms = [one.get("Algorithm") if one.tag == TRANSFORM else one.tag for one in transforms]
    expected = "enveloped-signature, exclusive C14N"
    if algorithms != [ENVELOPED, EXCLUSIVE_C14N] or len(transforms[0]) > 0:
        raise BrokerError("saml.structure", expected=expected, actual=", ".join(str(one) for one in algorithms))
    inclusive_prefixes(transforms[1])
    return expected, expected


def check_no_parameters(case: SignatureCase) -> Compared:
    """Methods stand without parameters: a truncated HMAC was one."""
    for method in (get_child(case.signed_info, SIGNATURE_METHOD), get_child(case.reference, DIGEST_METHOD)):
        if len(method):
            raise BrokerError("saml.structure", expected="no parameters", actual=method[0].tag)
    return "no parameters", "none"


def check_key_info(case: SignatureCase) -> Compared:
    """A KeyInfo may describe a key, but not hide anything else. It is not read."""
    key_infos = [child for child in case.signature if child.tag == KEY_INFO]
    for key_info in key_infos:
        foreign = [one.tag for one in key_info if one.tag not in _KEY_DESCRIPTIONS]
        foreign += [one.tag for one in key_info.iterdescendants() if etree.QName(one).namespace not in (DS, DS11)]
        if foreign:
            raise BrokerError("saml.structure", expected="descriptions of a key", actual=foreign[0])
    return "descriptions of a key", f"{len(key_infos)} KeyInfo"


SHAPE = (
    check_signature_children,
    check_one_reference,
    check_reference_to_parent,
    check_reference_children,
    check_transforms,
    check_no_parameters,
    check_key_info,
)


def check_canonicalization_method(case: SignatureCase) -> Compared:
    method = get_child(case.signed_info, CANONICALIZATION_METHOD)
    actual = method.get("Algorithm")
    if actual != EXCLUSIVE_C14N:
        raise BrokerError("saml.algorithm", expected=EXCLUSIVE_C14N, actual=actual)
    inclusive_prefixes(method)
    return EXCLUSIVE_C14N, actual


def check_signature_method(case: SignatureCase) -> Compared:
    _signature_method(case)
    return "RSA or ECDSA with SHA-2", _signature_method_uri(case)


def check_digest_method(case: SignatureCase) -> Compared:
    _digest_name(case)
    return "SHA-2", get_child(case.reference, DIGEST_METHOD).get("Algorithm")


ALGORITHMS = (check_canonicalization_method, check_signature_method, check_digest_method)


def check_digest(case: SignatureCase) -> Compared:
    """The digest is that of the element as it stands here."""
    expected = octets_of(get_child(case.reference, DIGEST_VALUE))
    actual = hashlib.new(_digest_name(case), case.covered).digest()
    if actual != expected:
        raise BrokerError(
            "saml.signature",
            detail="the element was changed after it was signed",
            expected=expected.hex(),
            actual=actual.hex(),
        )
    return expected.hex(), actual.hex()


def check_signature_value(case: SignatureCase) -> Compared:
    """SignedInfo was signed with one of the registered keys, of the kind that the method asks for."""
    method = get_child(case.signed_info, CANONICALIZATION_METHOD)
    octets = canonical_bytes(standalone(case.signed_info), method)
    value = octets_of(get_child(case.signature, SIGNATURE_VALUE))
    return compare_signature(octets, value, method=_signature_method(case), certificates=case.certificates)


VALUES = (check_digest, check_signature_value)


def compare_signature(
    octets: bytes, value: bytes, *, method: SignatureMethod, certificates: Sequence[bytes]
) -> Compared:
    """`value` is a signature over `octets` by the key of one of `certificates` (DER), of the kind of `method`.

    Raises saml.signature, and the refusal of the first certificate when none of them is usable.
    """
    unusable = []
    for certificate in certificates:
        try:
            key = verification_key(certificate)
        except BrokerError as refusal:
            unusable.append(refusal)
            continue
        if isinstance(key, method.key_type) and _holds(key, method, value, octets):
            return "a registered key", _fingerprint(certificate)
    if unusable and len(unusable) == len(certificates):
        raise unusable[0]
    raise BrokerError(
        "saml.signature",
        detail="no registered key made this signature",
        expected=", ".join(_fingerprint(one) for one in certificates) or "no certificate is registered",
        actual=f"{method.words}, by another key",
    )


def _signature_method_uri(case: SignatureCase) -> str:
    return get_child(case.signed_info, SIGNATURE_METHOD).get("Algorithm", "")


def _signature_method(case: SignatureCase) -> SignatureMethod:
    accepted = SIGNATURE_METHODS | LEGACY_SIGNATURE_METHODS if case.sha1_accepted else SIGNATURE_METHODS
    uri = _signature_method_uri(case)
    if uri not in accepted:
        raise BrokerError("saml.algorithm", expected="RSA or ECDSA with SHA-2", actual=uri)
    return accepted[uri]


def _digest_name(case: SignatureCase) -> str:
    accepted = DIGEST_METHODS | LEGACY_DIGEST_METHODS if case.sha1_accepted else DIGEST_METHODS
    uri = get_child(case.reference, DIGEST_METHOD).get("Algorithm", "")
    if uri not in accepted:
        raise BrokerError("saml.algorithm", expected="SHA-2", actual=uri)
    return accepted[uri]


def _holds(key: VerificationKey, method: SignatureMethod, value: bytes, octets: bytes) -> bool:
    try:
        if isinstance(key, RSAPublicKey):
            key.verify(value, octets, PKCS1v15(), method.digest)
        else:
            # XML writes r and s side by side, each as long as the curve's order (XML Signature 6.4.3).
            size = (key.curve.key_size + 7) // 8
            if len(value) != 2 * size:
                return False
            r, s = int.from_bytes(value[:size]), int.from_bytes(value[size:])
            key.verify(encode_dss_signature(r, s), octets, ECDSA(method.digest))
    except InvalidSignature:
        return False
    return True


def _fingerprint(certificate: bytes) -> str:
    return f"SHA-256 {hashlib.sha256(certificate).hexdigest()}"


def _locals(names: Sequence[object]) -> str:
    return ", ".join(local(str(name)) for name in names)
