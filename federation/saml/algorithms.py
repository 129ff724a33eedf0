"""Algorithms that are accepted, by their URIs (RFC 9231); what is not in these tables does not exist.

SHA-1 in signatures and digests stands in tables of its own, which are looked at only while an identity
provider's dated exception lasts.
"""

from dataclasses import dataclass

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from federation.saml.names import DS, XENC, XENC11

_MORE = "http://www.w3.org/2001/04/xmldsig-more#"


@dataclass(frozen=True, slots=True)
class SignatureMethod:
    """A kind of key together with a hash."""

    key_type: type[RSAPublicKey] | type[EllipticCurvePublicKey]
    digest: hashes.HashAlgorithm

    @property
    def words(self) -> str:
        """How people call it."""
        kind = "RSA" if self.key_type is RSAPublicKey else "ECDSA"
        return f"{kind} with {self.digest.name.upper().replace('SHA', 'SHA-')}"


SIGNATURE_METHODS: dict[str, SignatureMethod] = {
    _MORE + "rsa-sha256": SignatureMethod(RSAPublicKey, hashes.SHA256()),
    _MORE + "rsa-sha384": SignatureMethod(RSAPublicKey, hashes.SHA384()),
    _MORE + "rsa-sha512": SignatureMethod(RSAPublicKey, hashes.SHA512()),
    _MORE + "ecdsa-sha256": SignatureMethod(EllipticCurvePublicKey, hashes.SHA256()),
    _MORE + "ecdsa-sha384": SignatureMethod(EllipticCurvePublicKey, hashes.SHA384()),
    _MORE + "ecdsa-sha512": SignatureMethod(EllipticCurvePublicKey, hashes.SHA512()),
}
LEGACY_SIGNATURE_METHODS: dict[str, SignatureMethod] = {
    DS + "rsa-sha1": SignatureMethod(RSAPublicKey, hashes.SHA1()),  # noqa: S303 - behind a dated exception
    _MORE + "ecdsa-sha1": SignatureMethod(EllipticCurvePublicKey, hashes.SHA1()),  # noqa: S303 - as above
}

# URI -> name for hashlib
DIGEST_METHODS: dict[str, str] = {
    XENC + "sha256": "sha256",
    _MORE + "sha384": "sha384",
    XENC + "sha512": "sha512",
}
LEGACY_DIGEST_METHODS: dict[str, str] = {DS + "sha1": "sha1"}

RSA_SHA256 = _MORE + "rsa-sha256"
SHA256 = XENC + "sha256"

# URI -> bytes of the key
GCM_CIPHERS: dict[str, int] = {
    XENC11 + "aes128-gcm": 16,
    XENC11 + "aes192-gcm": 24,
    XENC11 + "aes256-gcm": 32,
}
CBC_CIPHERS: dict[str, int] = {XENC + "aes128-cbc": 16, XENC + "aes256-cbc": 32}
CIPHERS: dict[str, int] = GCM_CIPHERS | CBC_CIPHERS

RSA_OAEP_MGF1P = XENC + "rsa-oaep-mgf1p"
RSA_OAEP = XENC11 + "rsa-oaep"
RSA_1_5 = XENC + "rsa-1_5"
"""Known by name only: whoever offers nothing else gets nothing."""
# SHA-1 is no weakness inside OAEP, and the default of both key transports.
OAEP_DIGESTS: dict[str, hashes.HashAlgorithm] = {
    DS + "sha1": hashes.SHA1(),  # noqa: S303 - see above
    XENC + "sha256": hashes.SHA256(),
}
OAEP_MASKS: dict[str, hashes.HashAlgorithm] = {
    XENC11 + "mgf1sha1": hashes.SHA1(),  # noqa: S303 - see above
    XENC11 + "mgf1sha256": hashes.SHA256(),
}
