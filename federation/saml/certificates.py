"""The public key inside a certificate that an operator registered, parsed once."""

from functools import lru_cache

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    SECP384R1,
    SECP521R1,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from broker import limits
from broker.errors import BrokerError

VerificationKey = RSAPublicKey | EllipticCurvePublicKey

_CURVES = (SECP256R1, SECP384R1, SECP521R1)


@lru_cache(maxsize=20_000)
def verification_key(certificate: bytes) -> VerificationKey:
    """The key of a certificate (DER). Its dates do not matter: trust comes from its registration.

    Raises saml.algorithm for RSA below 2048 bits, for curves other than P-256, P-384 and P-521 and for keys
    of another kind, and saml.metadata for bytes that are no certificate.
    """
    try:
        key = x509.load_der_x509_certificate(certificate).public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BrokerError("saml.metadata", detail=f"not a usable certificate: {error}") from error
    if isinstance(key, RSAPublicKey):
        if key.key_size < limits.RSA_BITS_MIN:
            raise BrokerError("saml.algorithm", expected=f"RSA of {limits.RSA_BITS_MIN} bits", actual=key.key_size)
        return key
    if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, _CURVES):
        return key
    raise BrokerError(
        "saml.algorithm", expected="RSA or P-256, P-384, P-521", actual=type(key).__name__.removesuffix("PublicKey")
    )
