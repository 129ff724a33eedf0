"""Closing an assertion for one application (XML Encryption 1.1): AES with a key transported by RSA-OAEP.

GCM unless the application's metadata says that it knows nothing but CBC, which proves no integrity; 3DES and PKCS #1
v1.5 do not exist here.
"""

import base64
import os
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.hashes import SHA1
from lxml import etree

from broker.errors import BrokerError
from federation.saml.algorithms import CIPHERS, GCM_CIPHERS, RSA_1_5, RSA_OAEP, RSA_OAEP_MGF1P
from federation.saml.certificates import verification_key
from federation.saml.names import DS, SAML, XENC, XENC11

PREFERRED_CIPHERS = (
    XENC11 + "aes256-gcm",
    XENC11 + "aes192-gcm",
    XENC11 + "aes128-gcm",
    XENC + "aes256-cbc",
    XENC + "aes128-cbc",
)
KEY_TRANSPORTS = (RSA_OAEP_MGF1P, RSA_OAEP, RSA_1_5)
_GCM_IV_BYTES, _CBC_BLOCK_BYTES = 12, 16


@dataclass(frozen=True, slots=True)
class EncryptionKey:
    """A key of an application's metadata to which we may encrypt, and the methods that stand beside it (URIs)."""

    certificate: bytes
    """DER."""
    methods: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Recipient:
    """An RSA key, and the cipher and key transport that its owner understands."""

    public_key: RSAPublicKey
    cipher: str
    key_transport: str


def choose_recipient(keys: Sequence[EncryptionKey]) -> Recipient:
    """The first of `keys` that we can encrypt to, with the best methods that its owner names.

    Raises saml_idp.encryption when there is none: what should be closed does not travel open.
    """
    for key in keys:
        public_key = verification_key(key.certificate)
        ciphers = [one for one in key.methods if one not in KEY_TRANSPORTS] or PREFERRED_CIPHERS
        transports = [one for one in key.methods if one in KEY_TRANSPORTS] or KEY_TRANSPORTS
        cipher = next((one for one in PREFERRED_CIPHERS if one in ciphers), None)
        transport = next((one for one in (RSA_OAEP_MGF1P, RSA_OAEP) if one in transports), None)
        if isinstance(public_key, RSAPublicKey) and cipher and transport:
            return Recipient(public_key, cipher, transport)
    named = "; ".join(", ".join(key.methods) or "no method named" for key in keys)
    raise BrokerError("saml_idp.encryption", expected="RSA-OAEP with AES", actual=named or "no key for encryption")


def encrypt_assertion(assertion: etree._Element, *, recipient: Recipient) -> etree._Element:
    """A saml:EncryptedAssertion that holds `assertion`, the root of a document of its own."""
    content_key = os.urandom(CIPHERS[recipient.cipher])
    seal = _seal_gcm if recipient.cipher in GCM_CIPHERS else _seal_cbc
    octets = seal(content_key, etree.tostring(assertion, with_tail=False, encoding="UTF-8"))
    # SHA-1 is no weakness inside OAEP, and the one digest that every reader of both transports knows.
    padding = OAEP(MGF1(SHA1()), SHA1(), None)  # noqa: S303 - see above
    transported = recipient.public_key.encrypt(content_key, padding)
    return etree.fromstring(
        f'<saml:EncryptedAssertion xmlns:saml="{SAML}">'
        f'<xenc:EncryptedData xmlns:xenc="{XENC}" Type="{XENC}Element">'
        f'<xenc:EncryptionMethod Algorithm="{recipient.cipher}"/>'
        f'<ds:KeyInfo xmlns:ds="{DS}"><xenc:EncryptedKey>'
        f'<xenc:EncryptionMethod Algorithm="{recipient.key_transport}">'
        f'<ds:DigestMethod Algorithm="{DS}sha1"/></xenc:EncryptionMethod>'
        f"{_cipher_data(transported)}</xenc:EncryptedKey></ds:KeyInfo>{_cipher_data(octets)}"
        "</xenc:EncryptedData></saml:EncryptedAssertion>"
    )


def _seal_gcm(key: bytes, plaintext: bytes) -> bytes:
    """IV, ciphertext, tag (XML Encryption 5.2.4)."""
    iv = os.urandom(_GCM_IV_BYTES)
    return iv + AESGCM(key).encrypt(iv, plaintext, None)


def _seal_cbc(key: bytes, plaintext: bytes) -> bytes:
    """IV and ciphertext; the last byte counts the padding (XML Encryption 5.2.3)."""
    iv = os.urandom(_CBC_BLOCK_BYTES)
    padding = _CBC_BLOCK_BYTES - len(plaintext) % _CBC_BLOCK_BYTES
    encryptor = Cipher(AES(key), CBC(iv)).encryptor()
    return iv + encryptor.update(plaintext + bytes([padding]) * padding) + encryptor.finalize()


def _cipher_data(octets: bytes) -> str:
    text = base64.b64encode(octets).decode("ascii")
    return f"<xenc:CipherData><xenc:CipherValue>{text}</xenc:CipherValue></xenc:CipherData>"
