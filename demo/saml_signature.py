"""Signing and encrypting elements (XML Signature 1.1, XML Encryption 1.1), on lxml and cryptography alone."""

import base64
import os

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from lxml import etree
from lxml.builder import ElementMaker

from demo.keys import KeyPair

DS = "http://www.w3.org/2000/09/xmldsig#"
XENC = "http://www.w3.org/2001/04/xmlenc#"
EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
ENVELOPED = f"{DS}enveloped-signature"
RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
SHA256 = f"{XENC}sha256"
AES_256_GCM = "http://www.w3.org/2009/xmlenc11#aes256-gcm"
RSA_OAEP = f"{XENC}rsa-oaep-mgf1p"
NONCE_BYTES = 12

ds = ElementMaker(namespace=DS, nsmap={"ds": DS})
xenc = ElementMaker(namespace=XENC, nsmap={"xenc": XENC})


def sign(element: etree._Element, key: KeyPair) -> None:
    """Give `element`, which has an ID, an enveloped signature behind its first child (the Issuer)."""
    hasher = hashes.Hash(hashes.SHA256())
    hasher.update(_canonical(element))
    signed_info = ds.SignedInfo(
        ds.CanonicalizationMethod(Algorithm=EXCLUSIVE),
        ds.SignatureMethod(Algorithm=RSA_SHA256),
        ds.Reference(
            ds.Transforms(ds.Transform(Algorithm=ENVELOPED), ds.Transform(Algorithm=EXCLUSIVE)),
            ds.DigestMethod(Algorithm=SHA256),
            ds.DigestValue(base64.b64encode(hasher.finalize()).decode()),
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


def encrypt(element: etree._Element, certificate: bytes) -> etree._Element:
    """`element` as an xenc:EncryptedData for the key of this certificate (DER): AES-256-GCM under RSA-OAEP."""
    public = x509.load_der_x509_certificate(certificate).public_key()
    if not isinstance(public, RSAPublicKey):
        raise TypeError("the service provider's encryption certificate holds no RSA key")
    secret, nonce = AESGCM.generate_key(256), os.urandom(NONCE_BYTES)
    sealed = nonce + AESGCM(secret).encrypt(nonce, etree.tostring(element), None)
    # rsa-oaep-mgf1p is OAEP with SHA-1 by its definition (XML Encryption 5.5.2).
    wrapped = public.encrypt(secret, OAEP(MGF1(hashes.SHA1()), hashes.SHA1(), None))  # noqa: S303 - see above
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


def _canonical(element: etree._Element) -> bytes:
    return bytes(etree.tostring(element, method="c14n", exclusive=True, with_tail=False))
