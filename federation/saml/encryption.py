"""Opening a saml:EncryptedAssertion: once, with our own keys (XML Encryption 1.1).

AES in GCM or CBC mode with a key transported by RSA-OAEP; PKCS #1 v1.5 transport and 3DES do not exist here.
CBC has no integrity of its own, so the caller must not tell a stranger why a plaintext was refused.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from lxml import etree

from broker import limits
from broker.errors import BrokerError
from federation.checks import Compared
from federation.saml.algorithms import CIPHERS, GCM_CIPHERS, OAEP_DIGESTS, OAEP_MASKS, RSA_OAEP, RSA_OAEP_MGF1P
from federation.saml.elements import find_child, get_child, local, octets_of
from federation.saml.names import DS, XENC, XENC11, clark

ENCRYPTED_DATA = clark(XENC, "EncryptedData")
ENCRYPTED_KEY = clark(XENC, "EncryptedKey")
ENCRYPTION_METHOD = clark(XENC, "EncryptionMethod")
CIPHER_DATA = clark(XENC, "CipherData")
CIPHER_VALUE = clark(XENC, "CipherValue")
KEY_INFO = clark(DS, "KeyInfo")
DIGEST_METHOD = clark(DS, "DigestMethod")
MASK = clark(XENC11, "MGF")
OAEP_LABEL = clark(XENC, "OAEPparams")

_GCM_IV_BYTES, _GCM_TAG_BYTES, _CBC_IV_BYTES = 12, 16, 16


@dataclass(frozen=True, slots=True)
class EncryptedCase:
    """The saml:EncryptedAssertion that is looked at."""

    wrapper: etree._Element

    def method(self) -> str:
        """The URI of the content's cipher."""
        return _algorithm(get_child(self.wrapper, ENCRYPTED_DATA))

    def encrypted_keys(self) -> list[etree._Element]:
        """The transported keys: inside EncryptedData's KeyInfo or beside EncryptedData, as both are usual."""
        return list(self.wrapper.iter(ENCRYPTED_KEY))


def decrypt_assertion(case: EncryptedCase, *, keys: Sequence[RSAPrivateKey]) -> bytes:
    """The plaintext of a case that passed `ENCRYPTED_STRUCTURE`: unverified XML, a message of its own.

    Raises saml.decryption, and saml.structure for what is no base64.
    """
    method = case.method()
    content_key = _unwrap(case, keys, size=CIPHERS[method])
    octets = _cipher_value(get_child(case.wrapper, ENCRYPTED_DATA))
    return _open_gcm(content_key, octets) if method in GCM_CIPHERS else _open_cbc(content_key, octets)


def check_wrapper_children(case: EncryptedCase) -> Compared:
    """One EncryptedData, and EncryptedKeys beside it (SAML core 2.3.4)."""
    names = [child.tag for child in case.wrapper]
    if names.count(ENCRYPTED_DATA) != 1 or set(names) - {ENCRYPTED_DATA, ENCRYPTED_KEY}:
        raise BrokerError("saml.structure", expected="one EncryptedData", actual=", ".join(map(local, names)))
    return "one EncryptedData", ", ".join(map(local, names))


def check_one_encrypted_data(case: EncryptedCase) -> Compared:
    """No second EncryptedData anywhere inside: nothing is decrypted twice."""
    count = sum(1 for _ in case.wrapper.iter(ENCRYPTED_DATA))
    if count != 1:
        raise BrokerError("saml.structure", expected="one EncryptedData", actual=count)
    return "one EncryptedData", count


def check_encrypted_keys(case: EncryptedCase) -> Compared:
    """At least one transported key and not many, each in one of the two usual places."""
    found = case.encrypted_keys()
    data = get_child(case.wrapper, ENCRYPTED_DATA)
    places = (case.wrapper, find_child(data, KEY_INFO))
    if not 1 <= len(found) <= limits.SAML_ENCRYPTED_KEYS:
        raise BrokerError(
            "saml.structure", expected=f"1 to {limits.SAML_ENCRYPTED_KEYS} EncryptedKeys", actual=len(found)
        )
    if not all(any(one.getparent() is place for place in places) for one in found):
        raise BrokerError("saml.structure", expected="EncryptedKey in KeyInfo or beside the data", actual="elsewhere")
    return f"1 to {limits.SAML_ENCRYPTED_KEYS} EncryptedKeys", len(found)


def check_type(case: EncryptedCase) -> Compared:
    """What is encrypted is an element, where the type is told at all."""
    actual = get_child(case.wrapper, ENCRYPTED_DATA).get("Type")
    if actual not in (None, XENC + "Element"):
        raise BrokerError("saml.structure", expected=XENC + "Element", actual=actual)
    return XENC + "Element", actual


def check_cipher_data(case: EncryptedCase) -> Compared:
    """Each cipher value stands in the message; a reference would have to be fetched."""
    for holder in (get_child(case.wrapper, ENCRYPTED_DATA), *case.encrypted_keys()):
        names = [child.tag for child in get_child(holder, CIPHER_DATA)]
        if names != [CIPHER_VALUE]:
            raise BrokerError("saml.structure", expected="CipherValue", actual=", ".join(map(local, names)))
    return "CipherValue", "CipherValue"


def check_cipher(case: EncryptedCase) -> Compared:
    actual = case.method()
    if actual not in CIPHERS:
        raise BrokerError("saml.algorithm", expected="AES in GCM or CBC mode", actual=actual)
    return "AES in GCM or CBC mode", actual


def check_key_transport(case: EncryptedCase) -> Compared:
    """RSA-OAEP; PKCS #1 v1.5 lets a sender try out keys until one fits."""
    methods = [_algorithm(one) for one in case.encrypted_keys()]
    for encrypted_key in case.encrypted_keys():
        _oaep(encrypted_key)
    return "RSA-OAEP", ", ".join(methods)


ENCRYPTED_STRUCTURE = (
    check_wrapper_children,
    check_one_encrypted_data,
    check_encrypted_keys,
    check_type,
    check_cipher_data,
    check_cipher,
    check_key_transport,
)


def _unwrap(case: EncryptedCase, keys: Sequence[RSAPrivateKey], *, size: int) -> bytes:
    """The content key, opened with the first of our keys that fits."""
    for content_key in _unwrapped(case, keys):
        if len(content_key) == size:
            return content_key
    raise BrokerError("saml.decryption", detail="none of our keys opens the transported key")


def _unwrapped(case: EncryptedCase, keys: Sequence[RSAPrivateKey]) -> Iterator[bytes]:
    for encrypted_key in case.encrypted_keys():
        octets, padding = _cipher_value(encrypted_key), _oaep(encrypted_key)
        for key in keys:
            try:
                yield key.decrypt(octets, padding)
            except ValueError:
                continue


def _oaep(encrypted_key: etree._Element) -> OAEP:
    """The padding that an EncryptedKey names (XML Encryption 5.5.2). Raises saml.algorithm."""
    method = get_child(encrypted_key, ENCRYPTION_METHOD)
    transport = _algorithm(encrypted_key)
    if transport not in (RSA_OAEP_MGF1P, RSA_OAEP):
        raise BrokerError("saml.algorithm", expected="RSA-OAEP", actual=transport)
    digest = _parameter(find_child(method, DIGEST_METHOD), OAEP_DIGESTS, default=hashes.SHA1())  # noqa: S303 - see table
    mask_element = find_child(method, MASK)
    if mask_element is not None and transport == RSA_OAEP_MGF1P:
        raise BrokerError("saml.algorithm", expected="no MGF beside rsa-oaep-mgf1p", actual="one")
    mask = _parameter(mask_element, OAEP_MASKS, default=hashes.SHA1())  # noqa: S303 - see table
    label = find_child(method, OAEP_LABEL)
    return OAEP(MGF1(mask), digest, None if label is None else octets_of(label))


def _parameter(
    element: etree._Element | None, accepted: dict[str, hashes.HashAlgorithm], *, default: hashes.HashAlgorithm
) -> hashes.HashAlgorithm:
    if element is None:
        return default
    uri = element.get("Algorithm", "")
    if uri not in accepted:
        raise BrokerError("saml.algorithm", expected="SHA-1 or SHA-256 inside RSA-OAEP", actual=uri)
    return accepted[uri]


def _open_gcm(key: bytes, octets: bytes) -> bytes:
    """IV, ciphertext, tag (XML Encryption 5.2.4)."""
    if len(octets) <= _GCM_IV_BYTES + _GCM_TAG_BYTES:
        raise BrokerError("saml.decryption", detail="the cipher value is too short for GCM")
    try:
        return AESGCM(key).decrypt(octets[:_GCM_IV_BYTES], octets[_GCM_IV_BYTES:], None)
    except InvalidTag as error:
        raise BrokerError("saml.decryption", detail="the GCM tag does not fit") from error


def _open_cbc(key: bytes, octets: bytes) -> bytes:
    """IV and ciphertext; the last byte counts the padding, whose other bytes are arbitrary (XML Encryption 5.2.3)."""
    if len(octets) < 2 * _CBC_IV_BYTES or len(octets) % _CBC_IV_BYTES:
        raise BrokerError("saml.decryption", detail="the cipher value is not whole blocks")
    decryptor = Cipher(AES(key), CBC(octets[:_CBC_IV_BYTES])).decryptor()
    padded = decryptor.update(octets[_CBC_IV_BYTES:]) + decryptor.finalize()
    padding = padded[-1]
    if not 1 <= padding <= _CBC_IV_BYTES:
        raise BrokerError("saml.decryption", detail="the padding does not fit")
    return padded[:-padding]


def _cipher_value(holder: etree._Element) -> bytes:
    return octets_of(get_child(get_child(holder, CIPHER_DATA), CIPHER_VALUE))


def _algorithm(holder: etree._Element) -> str:
    return get_child(holder, ENCRYPTION_METHOD).get("Algorithm", "")
