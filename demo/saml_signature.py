"""Signing and verifying elements (XML Signature 1.1), on lxml and cryptography alone."""

import base64
import binascii
import copy
import hmac
from collections.abc import Sequence

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from lxml import etree
from lxml.builder import ElementMaker

from demo.keys import KeyPair
from demo.saml_metadata import parser

DS = "http://www.w3.org/2000/09/xmldsig#"
EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
ENVELOPED = f"{DS}enveloped-signature"
RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"
NAMES = {"ds": DS}
METHOD_ELEMENTS = ("CanonicalizationMethod", "SignatureMethod", "Transform", "DigestMethod")
METHODS = [EXCLUSIVE, RSA_SHA256, ENVELOPED, EXCLUSIVE, SHA256]
"""All that is accepted, in the order in which it stands."""

ds = ElementMaker(namespace=DS, nsmap={"ds": DS})


class NotSigned(Exception):
    """The text says what is wrong with the signature."""


def sign(element: etree._Element, key: KeyPair) -> None:
    """Give `element`, which has an ID, an enveloped signature behind its first child (the Issuer)."""
    signed_info = ds.SignedInfo(
        ds.CanonicalizationMethod(Algorithm=EXCLUSIVE),
        ds.SignatureMethod(Algorithm=RSA_SHA256),
        ds.Reference(
            ds.Transforms(ds.Transform(Algorithm=ENVELOPED), ds.Transform(Algorithm=EXCLUSIVE)),
            ds.DigestMethod(Algorithm=SHA256),
            ds.DigestValue(base64.b64encode(_sha256(_canonical(element))).decode()),
            URI="#" + element.get("ID", ""),
        ),
    )
    value = key.private.sign(_canonical(signed_info), PKCS1v15(), hashes.SHA256())
    certificate = base64.b64encode(key.certificate).decode()
    signature = ds.Signature(
        signed_info,
        ds.SignatureValue(base64.b64encode(value).decode()),
        ds.KeyInfo(ds.X509Data(ds.X509Certificate(certificate))),
    )
    element.insert(1, signature)


def verify(element: etree._Element, certificates: Sequence[bytes]) -> etree._Element:
    """`element` as it was signed: parsed anew from exactly the octets whose digest the signature covers.

    The signature is a child of `element`, covers it whole, and is made by a key of `certificates` (DER).
    Raises NotSigned.
    """
    signatures = element.findall("ds:Signature", NAMES)
    if len(signatures) != 1:
        raise NotSigned("It does not bear exactly one signature.")
    signed_info = signatures[0].find("ds:SignedInfo", NAMES)
    if signed_info is None or _methods(signed_info) != METHODS:
        raise NotSigned("Its signature is not built as we accept it.")
    references = signed_info.findall("ds:Reference", NAMES)
    if [one.get("URI") for one in references] != [f"#{element.get('ID')}"]:
        raise NotSigned("Its signature is about something else.")
    octets = _canonical(_without_signature(element))
    if not hmac.compare_digest(_octets(references[0], "ds:DigestValue"), _sha256(octets)):
        raise NotSigned("It was altered after it was signed.")
    _check_value(_octets(signatures[0], "ds:SignatureValue"), _canonical(signed_info), certificates)
    return etree.fromstring(octets, parser())


def _without_signature(element: etree._Element) -> etree._Element:
    """The enveloped-signature transform (XML Signature 6.6.4): the signature goes, the text behind it stays."""
    bare = copy.deepcopy(element)
    signature = bare.findall("ds:Signature", NAMES)[0]
    before = signature.getprevious()
    if before is None:
        bare.text = (bare.text or "") + (signature.tail or "")
    else:
        before.tail = (before.tail or "") + (signature.tail or "")
    bare.remove(signature)
    return bare


def _check_value(value: bytes, signed: bytes, certificates: Sequence[bytes]) -> None:
    for certificate in certificates:
        key = x509.load_der_x509_certificate(certificate).public_key()
        if isinstance(key, RSAPublicKey):
            try:
                key.verify(value, signed, PKCS1v15(), hashes.SHA256())
            except InvalidSignature:
                continue
            return
    raise NotSigned("It is not signed by a key of the metadata.")


def _methods(signed_info: etree._Element) -> list[str]:
    """The algorithms in document order. Anything else inside a method or transform, such as XPath, counts too."""
    found = []
    for one in signed_info.iter(*(f"{{{DS}}}{name}" for name in METHOD_ELEMENTS)):
        found.append(one.get("Algorithm", ""))
        found += [str(child.tag) for child in one]
    return found


def _octets(parent: etree._Element, path: str) -> bytes:
    try:
        return base64.b64decode(parent.findtext(path, "", NAMES))
    except binascii.Error as error:
        raise NotSigned("Its signature cannot be decoded.") from error


def _sha256(octets: bytes) -> bytes:
    hasher = hashes.Hash(hashes.SHA256())
    hasher.update(octets)
    return hasher.finalize()


def _canonical(element: etree._Element) -> bytes:
    return bytes(etree.tostring(element, method="c14n", exclusive=True, with_comments=False, with_tail=False))
