"""Encrypting and decrypting elements (XML Encryption 1.1): AES-256-GCM under RSA-OAEP, and nothing else."""

import base64
import binascii
import os

from cryptography import x509
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from lxml import etree
from lxml.builder import ElementMaker

from demo.saml_metadata import AES_256_GCM, DS, RSA_OAEP, parser

XENC = "http://www.w3.org/2001/04/xmlenc#"
NONCE_BYTES = 12
NAMES = {"ds": DS, "xenc": XENC}
# rsa-oaep-mgf1p is OAEP with SHA-1 by its definition (XML Encryption 5.5.2).
OAEP_MGF1P = OAEP(MGF1(hashes.SHA1()), hashes.SHA1(), None)  # noqa: S303 - see above

ds = ElementMaker(namespace=DS, nsmap={"ds": DS})
xenc = ElementMaker(namespace=XENC, nsmap={"xenc": XENC})


class NotReadable(Exception):
    """The text says why an element cannot be decrypted."""


def encrypt(element: etree._Element, certificate: bytes) -> etree._Element:
    """`element` as an xenc:EncryptedData for the key of this certificate (DER): AES-256-GCM under RSA-OAEP."""
    public = x509.load_der_x509_certificate(certificate).public_key()
    if not isinstance(public, RSAPublicKey):
        raise TypeError("the service provider's encryption certificate holds no RSA key")
    secret, nonce = AESGCM.generate_key(256), os.urandom(NONCE_BYTES)
    sealed = nonce + AESGCM(secret).encrypt(nonce, etree.tostring(element), None)
    wrapped = public.encrypt(secret, OAEP_MGF1P)
    sealed_element: etree._Element = xenc.EncryptedData(
        xenc.EncryptionMethod(Algorithm=AES_256_GCM),
        ds.KeyInfo(
            xenc.EncryptedKey(
                xenc.EncryptionMethod(ds.DigestMethod(Algorithm=f"{DS}sha1"), Algorithm=RSA_OAEP),
                xenc.CipherData(xenc.CipherValue(base64.b64encode(wrapped).decode())),
            )
        ),
        xenc.CipherData(xenc.CipherValue(base64.b64encode(sealed).decode())),
        Type=f"{XENC}Element",
    )
    return sealed_element


def decrypt(sealed: etree._Element, key: RSAPrivateKey) -> etree._Element:
    """The element inside the xenc:EncryptedData in `sealed`. Raises NotReadable."""
    content, wrapped = sealed.find("xenc:EncryptedData", NAMES), sealed.find(".//xenc:EncryptedKey", NAMES)
    if content is None or wrapped is None:
        raise NotReadable("The encrypted element is not built as we accept it.")
    if [_method(content), _method(wrapped)] != [AES_256_GCM, RSA_OAEP]:
        raise NotReadable(f"It is encrypted with {_method(content)} under {_method(wrapped)}.")
    try:
        octets = _cipher_value(content)
        secret = AESGCM(key.decrypt(_cipher_value(wrapped), OAEP_MGF1P))
        return etree.fromstring(secret.decrypt(octets[:NONCE_BYTES], octets[NONCE_BYTES:], None), parser())
    except (ValueError, binascii.Error, InvalidTag, etree.XMLSyntaxError) as error:
        raise NotReadable("It is not encrypted for our key.") from error


def _method(element: etree._Element) -> str:
    method = element.find("xenc:EncryptionMethod", NAMES)
    return "" if method is None else method.get("Algorithm", "")


def _cipher_value(element: etree._Element) -> bytes:
    return base64.b64decode(element.findtext("xenc:CipherData/xenc:CipherValue", "", NAMES))
