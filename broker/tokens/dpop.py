"""DPoP (RFC 9449): a request shows that its sender holds the key to which a token is, or shall be, bound.

Each proof is good for one request: it names the method and the address, carries a nonce of ours that is younger than
ten minutes, and its jti works once.
"""

import base64
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest

from broker import crypto, limits
from broker.errors import BrokerError
from broker.keys.proofs import Proof, verify_proof
from broker.once.services import AlreadyUsed, claim_once
from broker.tokens.errors import InvalidProof, OAuthError, UseNonce
from broker.traces.collector import Collector
from broker.wording import in_words, json_kind

TYPE = "dpop+jwt"
HEADER = "DPoP"
NONCE_HEADER = "DPoP-Nonce"
NONCE_PURPOSE = "dpop-nonce"
_JTI = re.compile(r"[\x21-\x7e]{8,256}", re.ASCII)
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Shown:
    """A proof that came with a request, and what it has to say. `access_token` is empty at the token endpoint."""

    proof: Proof
    method: str
    address: str
    access_token: str = field(repr=False)
    now: datetime


def read_proof(request: HttpRequest) -> str:
    """The header as it came; empty where there is none. Two headers reach us joined by a comma, which no JWT has."""
    return str(request.META.get("HTTP_DPOP", ""))


def address_of(request: HttpRequest) -> str:
    """The address that `htu` has to name: ours by the settings, never by the Host header."""
    return f"{settings.BROKER_BASE_URL}{request.path}"


def check_proof(raw: str, *, method: str, address: str, access_token: str = "", now: datetime, trace: Collector) -> str:
    """The thumbprint of the key that a proof shows (RFC 9449 section 4.3), `jkt`.

    `access_token` is the token that came with it; at the token endpoint there is none. Raises UseNonce when only a
    nonce of ours is missing, and InvalidProof.
    """
    try:
        proof = verify_proof(raw, typ=TYPE, trace=trace)
    except BrokerError as error:
        trace.check("dpop.proof", passed=False, expected=error.expected, actual=error.actual or error.code)
        raise InvalidProof(error.code, detail=error.detail, expected=error.expected, actual=error.actual) from error
    shown = Shown(proof, method, address, access_token, now)
    for check in PROOF_CHECKS:
        name = f"dpop.{check.__name__.removeprefix('check_')}"
        try:
            check(shown)
        except OAuthError as error:
            trace.check(name, passed=False, expected=error.expected, actual=error.actual)
            raise
        trace.check(name, passed=True)
    return proof.thumbprint


def fresh_nonce(*, now: datetime) -> str:
    """The nonce of this window: a keyed hash of its number, so that no process has to remember it."""
    return crypto.keyed_hash(str(_window(now)), purpose=NONCE_PURPOSE)


def check_forms(shown: Shown) -> None:
    """The four claims of every proof stand in their forms."""
    claims = shown.proof.claims
    for name in ("htm", "htu"):
        if not isinstance(claims.get(name), str):
            raise InvalidProof("claim", detail=name, expected=name, actual=json_kind(claims.get(name)))
    issued = claims.get("iat")
    if isinstance(issued, bool) or not isinstance(issued, int | float):
        raise InvalidProof("claim", detail="iat", expected="iat", actual=json_kind(issued))
    if not isinstance(claims.get("jti"), str) or not _JTI.fullmatch(claims["jti"]):
        raise InvalidProof("claim", detail="jti", expected="jti of 8 to 256 characters", actual="another")


def check_method(shown: Shown) -> None:
    """It was made for this method."""
    if shown.proof.claims["htm"] != shown.method:
        raise InvalidProof("method", expected=shown.method, actual=str(shown.proof.claims["htm"])[:20])


def check_address(shown: Shown) -> None:
    """It was made for this address; query and fragment do not count (RFC 9449 section 4.3)."""
    actual = str(shown.proof.claims["htu"])
    if _normal(actual) != _normal(shown.address):
        raise InvalidProof("address", expected=shown.address, actual=actual[:300])


def check_fresh(shown: Shown) -> None:
    """It was made just now."""
    age = shown.now.timestamp() - shown.proof.claims["iat"]
    if not -limits.DPOP_SKEW.total_seconds() <= age <= limits.DPOP_AGE.total_seconds():
        expected = f"made at most {in_words(limits.DPOP_AGE)} ago"
        raise InvalidProof("fresh", expected=expected, actual=f"{age:.0f} seconds ago")


def check_nonce(shown: Shown) -> None:
    """It carries a nonce of ours from this window or the one before, so that none was made in advance."""
    windows = (shown.now, shown.now - limits.DPOP_NONCE_WINDOW)
    current = {value for at in windows for value in crypto.keyed_hashes(str(_window(at)), purpose=NONCE_PURPOSE)}
    nonce = shown.proof.claims.get("nonce")
    if not isinstance(nonce, str) or nonce not in current:
        raise UseNonce(
            "nonce", expected="the nonce of the DPoP-Nonce header", actual="none" if not nonce else "another"
        )


def check_token(shown: Shown) -> None:
    """Beside an access token it names that token, and no other (`ath`)."""
    if not shown.access_token:
        return
    digest = hashlib.sha256(shown.access_token.encode("ascii")).digest()
    expected = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    if shown.proof.claims.get("ath") != expected:
        raise InvalidProof("token", expected="the hash of the access token", actual="another, or none")


def check_unused(shown: Shown) -> None:
    """It was not shown before; remembered for as long as it would pass."""
    until = shown.now + limits.DPOP_AGE + limits.DPOP_SKEW + timedelta(seconds=1)
    try:
        claim_once("dpop", f"{shown.proof.thumbprint} {shown.proof.claims['jti']}", until=until)
    except AlreadyUsed as error:
        raise InvalidProof("used", expected="a proof that was not shown before", actual="one that was") from error


PROOF_CHECKS: tuple[Callable[[Shown], None], ...] = (
    check_forms,
    check_method,
    check_address,
    check_fresh,
    check_nonce,
    check_token,
    check_unused,
)


def _window(at: datetime) -> int:
    return int(at.timestamp() // limits.DPOP_NONCE_WINDOW.total_seconds())


def _normal(address: str) -> tuple[object, ...]:
    """Scheme and host in lower case, the port written out, the path as it is (RFC 3986 section 6.2)."""
    try:
        parts = urlsplit(address)
        port = parts.port or _PORTS.get(parts.scheme.lower(), 0)
    except ValueError:
        return ()
    return parts.scheme.lower(), (parts.hostname or "").lower(), port, parts.username, parts.path or "/"
