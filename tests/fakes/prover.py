"""The holder of a key, who makes DPoP proofs (RFC 9449) with `cryptography` alone, honest or flawed."""

import base64
import hashlib
import json
import time
import uuid
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature


def base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def number(value: int, size: int = 0) -> str:
    return base64url(value.to_bytes(size or (value.bit_length() + 7) // 8))


class Prover:
    """One key, and proofs made with it. `nonce` is what the server gave last."""

    def __init__(self, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | None = None) -> None:
        self.key = key or ec.generate_private_key(ec.SECP256R1())
        self.nonce = ""

    @property
    def jwk(self) -> dict[str, str]:
        if isinstance(self.key, ec.EllipticCurvePrivateKey):
            point = self.key.public_key().public_numbers()
            size = (self.key.curve.key_size + 7) // 8
            names = {"secp256r1": "P-256", "secp384r1": "P-384"}
            crv = names[self.key.curve.name]
            return {"kty": "EC", "crv": crv, "x": number(point.x, size), "y": number(point.y, size)}
        numbers = self.key.public_key().public_numbers()
        return {"kty": "RSA", "n": number(numbers.n), "e": number(numbers.e)}

    @property
    def algorithm(self) -> str:
        return "ES256" if isinstance(self.key, ec.EllipticCurvePrivateKey) else "RS256"

    @property
    def thumbprint(self) -> str:
        members = json.dumps(self.jwk, sort_keys=True, separators=(",", ":")).encode()
        return base64url(hashlib.sha256(members).digest())

    def proof(
        self,
        method: str,
        address: str,
        *,
        access_token: str = "",
        header: dict[str, Any] | None = None,
        **changes: Any,
    ) -> str:
        """A proof for one request. A change to None leaves the claim or the header member out."""
        claims = {
            "jti": uuid.uuid4().hex,
            "htm": method,
            "htu": address,
            "iat": int(time.time()),
            "nonce": self.nonce or None,
            "ath": base64url(hashlib.sha256(access_token.encode()).digest()) if access_token else None,
        } | changes
        members = {"typ": "dpop+jwt", "alg": self.algorithm, "jwk": self.jwk} | (header or {})
        return self.sign(members, claims)

    def sign(self, header: dict[str, Any], claims: dict[str, Any]) -> str:
        parts = [
            base64url(json.dumps({name: value for name, value in part.items() if value is not None}).encode())
            for part in (header, claims)
        ]
        signed = ".".join(parts).encode()
        if isinstance(self.key, ec.EllipticCurvePrivateKey):
            r, s = decode_dss_signature(self.key.sign(signed, ec.ECDSA(hashes.SHA256())))
            size = (self.key.curve.key_size + 7) // 8
            signature = r.to_bytes(size) + s.to_bytes(size)
        else:
            signature = self.key.sign(signed, padding.PKCS1v15(), hashes.SHA256())
        return f"{signed.decode()}.{base64url(signature)}"
