"""Signing a JWT with the cached key beside the raw signature of `cryptography`: `python -m bench.jwt`.

Both sign the same bytes; ours also writes header and claims as JSON and base64. 100 % would be a signature for free.
"""

import platform
import sys
import time
from importlib.metadata import version

from cryptography.hazmat.backends.openssl import backend
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from bench.paired import Ratio, paired
from broker.keys import jose

CLAIMS = {
    "iss": "https://sso.example.com",
    "sub": "8b2e4c1a-6d55-4e0f-9b1c-2f6f1f0f7a11",
    "aud": "https://api.example.com/orders",
    "client_id": "orders-web",
    "iat": 1_772_000_000,
    "exp": 1_772_000_600,
    "jti": "f3b0c44298fc1c149afbf4c8996fb924",
    "scope": "openid profile email orders:read orders:write",
    "grant": "1d2f6a80-3d7e-4c6f-8a58-7f0f6f6f2b10",
}


def main(*, rounds: int = 60) -> list[tuple[str, Ratio, float]]:
    """Print the shares, and return each with its name and its target."""
    results = [
        ("RS256", _rs256(rounds), 0.88),
        ("ES256", _es256(rounds), 0.50),
    ]
    print(
        f"python-jose {version('python-jose')}, cryptography {version('cryptography')}"
        f" ({backend.openssl_version_text()}), Python {platform.python_version()}"
    )
    print(f"access token of {len(CLAIMS)} claims; {rounds} pairs, thread CPU time")
    for name, ratio, target in results:
        print(
            f"{name}: {ratio.median:.1%} of the raw signature ({ratio.low:.1%} to {ratio.high:.1%});"
            f" target {target:.0%}"
        )
    return results


def _rs256(rounds: int) -> Ratio:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    material = jose.signing_material(key, kid="bench", algorithm="RS256")
    signed, scheme, digest = _signed_bytes(material), padding.PKCS1v15(), hashes.SHA256()
    return paired(
        lambda: key.sign(signed, scheme, digest),
        lambda: jose.sign(CLAIMS, key=material, typ="at+jwt"),
        rounds=rounds,
        per_round=50,
        clock=time.thread_time,
    )


def _es256(rounds: int) -> Ratio:
    key = ec.generate_private_key(ec.SECP256R1())
    material = jose.signing_material(key, kid="bench", algorithm="ES256")
    signed, scheme = _signed_bytes(material), ec.ECDSA(hashes.SHA256())
    return paired(
        lambda: key.sign(signed, scheme),
        lambda: jose.sign(CLAIMS, key=material, typ="at+jwt"),
        rounds=rounds,
        per_round=300,
        clock=time.thread_time,
    )


def _signed_bytes(material: jose.SigningMaterial) -> bytes:
    return jose.sign(CLAIMS, key=material, typ="at+jwt").rpartition(".")[0].encode()


if __name__ == "__main__":
    sys.exit(0 if all(ratio.median >= target for _, ratio, target in main()) else 1)
