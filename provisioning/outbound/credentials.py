"""Our credential at a target: sealed, presented, and for OAuth client credentials exchanged for a token."""

import base64
import threading
import time
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from broker import crypto, limits
from broker.errors import BrokerError
from broker.keys.strict_json import NotStrictJson, read_object
from broker.outgoing import fetch
from broker.registry.values import BadValue
from provisioning.outbound.connectors.base import TargetError
from provisioning.outbound.models import Target

SHOWN_BEFORE = "(the credential that is registered)"
SHOWN_AFTER = "(another credential)"
_TOKEN_TYPES = frozenset({"bearer"})


def seal_credential(target: Target, value: str) -> bool:
    """Set the credential on the saved target, unsaved. Returns whether it is another than before. Raises BadValue."""
    if not 1 <= len(value) <= limits.TARGET_CREDENTIAL_CHARS or not value.isascii() or not value.isprintable():
        raise BadValue(
            f"a credential has 1 to {limits.TARGET_CREDENTIAL_CHARS} printable ASCII characters, and nothing else"
        )
    if " " in value and target.authentication == Target.Authentication.BEARER:
        raise BadValue("a bearer token holds no space (RFC 6750 section 2.1); leave the word Bearer out")
    if holds_credential(target, value):
        return False
    target.credential_sealed = crypto.seal(value.encode(), context=_context(target))
    return True


def holds_credential(target: Target, value: str) -> bool:
    """Whether `value` is the credential that is registered: for those who manage credentials."""
    try:
        return bool(target.credential_sealed) and credential_of(target) == value
    except TargetError:
        return False  # it does not open any more: whatever is given now replaces it


def credential_of(target: Target) -> str:
    """The credential to present. Raises TargetError("target.credential") when there is none that opens."""
    try:
        return crypto.unseal(target.credential_sealed, context=_context(target)).decode()
    except crypto.UnsealError as error:
        raise TargetError("target.credential", is_sent=False, detail="missing, or it does not open") from error


def reseal_credentials() -> int:
    """Let go of older master keys. Returns how many credentials were sealed anew; one that does not open is left."""
    return crypto.reseal(Target.objects.all(), "credential_sealed", context=_context)


@dataclass(frozen=True, slots=True)
class _Token:
    value: str
    until: float


class Authorization:
    """The Authorization header for one target, the same for all threads. A token is asked for once until it ends."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._lock = threading.Lock()
        self._token: _Token | None = None
        self._is_bearer = target.authentication == Target.Authentication.BEARER

    def header(self) -> str:
        """Raises TargetError (target.credential, target.no_token)."""
        with self._lock:
            if self._token is None or (self._token.until and time.monotonic() >= self._token.until):
                self._token = _Token(credential_of(self._target), 0.0) if self._is_bearer else self._fetch()
            return f"Bearer {self._token.value}"

    def forget(self, header: str) -> bool:
        """The target refused this header. Returns whether asking for a new token may help."""
        with self._lock:
            if self._is_bearer:
                return False
            if self._token is not None and header == f"Bearer {self._token.value}":
                self._token = None
            return True

    def _fetch(self) -> _Token:
        """RFC 6749 section 4.4, with the client's secret as RFC 6749 section 2.3.1 writes it."""
        target = self._target
        pair = f"{quote(target.token_client_id, safe='')}:{quote(credential_of(target), safe='')}"
        form = {"grant_type": "client_credentials"} | ({"scope": target.token_scope} if target.token_scope else {})
        try:
            answer = fetch(
                target.token_url,
                purpose=f"token for target {target.slug}",
                max_bytes=limits.TARGET_TOKEN_BYTES,
                accept="application/json",
                method="POST",
                headers={
                    "Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}",
                    "Content-Type": "application/x-www-form-urlencoded",
                },
                body=urlencode(form).encode(),
            )
        except BrokerError as error:
            raise TargetError("target.no_token", is_sent=False, detail=error.detail) from error
        if answer.status != 200:
            raise TargetError(
                "target.no_token", is_sent=False, status=answer.status, detail=f"the token endpoint: {answer.status}"
            )
        try:
            said = read_object(answer.body)
        except NotStrictJson as error:
            raise TargetError(
                "target.no_token", is_sent=False, detail="the token endpoint's answer: no JSON"
            ) from error
        value, kind, lifetime = said.get("access_token"), said.get("token_type"), said.get("expires_in", 300)
        if not isinstance(value, str) or not value or not value.isascii() or not value.isprintable() or " " in value:
            raise TargetError("target.no_token", is_sent=False, detail="no access_token that can be presented")
        if not isinstance(kind, str) or kind.lower() not in _TOKEN_TYPES:
            raise TargetError("target.no_token", is_sent=False, detail="the token_type is not Bearer")
        if isinstance(lifetime, bool) or not isinstance(lifetime, int | float) or lifetime <= 0:
            lifetime = 300
        return _Token(value, time.monotonic() + max(float(lifetime) * 0.9 - 5.0, 1.0))


def _context(target: Target) -> str:
    """The place of a sealed credential: moved to another row, it does not open."""
    return f"outbound.Target.credential_sealed.{target.pk}"
