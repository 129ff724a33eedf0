"""Clients' own assertions (private_key_jwt), honest unless a test says otherwise."""

import secrets
import time
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa

from tests.fakes.tokens import Signer, es256, forge, rs256, rsa_key

ISSUER = "http://localhost:8000"
TOKEN_ENDPOINT = f"{ISSUER}/oauth/token"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
KID = "crm-1"
KEY_NUMBER = 41


def assertion(
    client_id: str,
    *,
    key: Any = None,
    kid: str = KID,
    header: dict[str, Any] | None = None,
    sign: Signer | None = None,
    **claims: Any,
) -> str:
    """An assertion of the client; a claim or header member of ... is left out."""
    key = key or rsa_key(number=KEY_NUMBER)
    now = int(time.time())
    algorithm, signer = ("RS256", rs256(key)) if isinstance(key, rsa.RSAPrivateKey) else ("ES256", es256(key))
    head = {"alg": algorithm, "kid": kid, "typ": "client-authentication+jwt"} | (header or {})
    honest = {
        "iss": client_id,
        "sub": client_id,
        "aud": ISSUER,
        "iat": now,
        "exp": now + 60,
        "jti": secrets.token_urlsafe(16),
    }
    return forge(
        {name: value for name, value in head.items() if value is not ...},
        {name: value for name, value in (honest | claims).items() if value is not ...},
        sign or signer,
    )


def asserting(raw_assertion: str, **parameters: str) -> dict[str, str]:
    """The parameters with which it is presented."""
    return {"client_assertion": raw_assertion, "client_assertion_type": ASSERTION_TYPE, **parameters}
