"""What Globex's identity provider tells of a person: ID token and userinfo, in order or with a fault."""

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from demo.authorization import AuthorizationRequest
from demo.jwt import half_hash, public_jwk, write_jwt
from demo.people import Employee
from demo.sign_ons import SignedOn
from demo.token_faults import TokenFault

KEY_ID = "globex-1"
VALID_FOR = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Issuer:
    """Who we are: our issuer, the key that we publish, and one that we do not."""

    issuer: str
    key: RSAPrivateKey
    stray_key: RSAPrivateKey

    def jwks(self) -> dict[str, Any]:
        """The key set that we publish."""
        return {"keys": [public_jwk(self.key, kid=KEY_ID)]}


def write_id_token(
    asked: AuthorizationRequest,
    signed_on: SignedOn,
    *,
    issuer: Issuer,
    audience: str,
    access_token: str,
    fault: TokenFault,
    now: datetime,
) -> str:
    """The ID token (OpenID Connect Core 2), with `fault`."""
    expiry = now - VALID_FOR if fault is TokenFault.EXPIRED else now + VALID_FOR
    claims: dict[str, Any] = {
        "iss": "https://login.another.example" if fault is TokenFault.OTHER_ISSUER else issuer.issuer,
        "aud": "another-client" if fault is TokenFault.WRONG_AUDIENCE else audience,
        "sub": subject_of(signed_on.employee),
        "iat": _seconds(min(now, expiry - VALID_FOR)),
        "exp": _seconds(expiry),
        "auth_time": _seconds(signed_on.at),
        "nonce": "of-another-sign-on" if fault is TokenFault.WRONG_NONCE else asked.nonce,
        "acr": signed_on.context,
        "amr": signed_on.methods,
        "at_hash": half_hash(access_token),
    }
    if fault is TokenFault.UNKNOWN_KEY:
        return write_jwt(claims, key=issuer.stray_key, kid="nobody-knows-this-key")
    token = write_jwt(claims, key=issuer.key, kid=KEY_ID)
    if fault is TokenFault.ALTERED:
        other = write_jwt(claims | {"sub": "somebody-else"}, key=issuer.stray_key, kid=KEY_ID)
        token = ".".join((*other.split(".")[:2], token.split(".")[2]))
    return token


def write_userinfo(employee: Employee, *, fault: TokenFault) -> dict[str, Any]:
    """The userinfo answer (OpenID Connect Core 5.3), with `fault`."""
    domain = "acme.example" if fault is TokenFault.FOREIGN_DOMAIN else employee.domain
    return {
        "sub": "somebody-else" if fault is TokenFault.OTHER_USERINFO else subject_of(employee),
        "email": f"{employee.login}@{domain}",
        "email_verified": True,
        "name": employee.name,
        "given_name": employee.given_name,
        "family_name": employee.family_name,
        "department": employee.department,
        "employee_id": employee.employee_id,
        "groups": list(employee.groups),
    }


def subject_of(employee: Employee) -> str:
    """The person's `sub`: the same at each sign-on, and no name."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"https://{employee.domain}/people/{employee.login}"))


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())
