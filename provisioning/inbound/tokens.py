"""Bearer tokens of sources: issuing, taking over, ending and checking them (RFC 6750).

A token is 256 random bits, or was made elsewhere and is as long; a keyed hash holds it. Two are live at most: the one
in use and its successor. What a process remembers of a token is forgotten when a source or token changes.
"""

import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.db import DatabaseError, transaction
from django.utils import timezone

from broker import crypto, limits
from broker.actors import Actor
from broker.errors import BrokerError
from broker.events import catalogue
from broker.events.services import record
from broker.registry.cache import parties, raise_version
from broker.registry.values import BadValue
from broker.seldom import Seldom
from provisioning.inbound.models import ScimSource, SourceToken

log = structlog.get_logger(__name__)
PURPOSE = "scim-token"
PREFIX = "cst_"
TOKEN_BYTES = 32
LIVE_TOKENS = 2
_BEARER = re.compile(r"Bearer +([A-Za-z0-9\-._~+/]+=*)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Caller:
    """The source that a token proves, and the token's row."""

    source: ScimSource
    token: int
    expires_at: datetime


@transaction.atomic
def issue_token(
    source: ScimSource,
    *,
    actor: Actor,
    overlap: timedelta = limits.SCIM_TOKEN_OVERLAP,
    lifetime: timedelta = limits.SCIM_TOKEN_LIFETIME,
) -> str:
    """Give the source a new token and return it: it is shown this once. The one in use ends after `overlap`."""
    value = f"{PREFIX}{secrets.token_urlsafe(TOKEN_BYTES)}"
    _store(source, value, actor=actor, overlap=overlap, lifetime=lifetime)
    return value


@transaction.atomic
def import_token(source: ScimSource, value: str, *, actor: Actor) -> bool:
    """Take over a token that was made elsewhere. Returns whether it is new here. Raises BadValue."""
    if not limits.SCIM_TOKEN_CHARS_MIN <= len(value) <= limits.SCIM_TOKEN_CHARS_MAX:
        raise BadValue(
            f"a token has {limits.SCIM_TOKEN_CHARS_MIN} to {limits.SCIM_TOKEN_CHARS_MAX} characters, not {len(value)}"
        )
    if not _BEARER.fullmatch(f"Bearer {value}"):
        raise BadValue("a token has only the characters of RFC 6750 section 2.1")
    if holds_token(source, value):
        return False
    if SourceToken.objects.filter(secret_hash__in=crypto.keyed_hashes(value, purpose=PURPOSE)).exists():
        raise BadValue("this token was in use before; make a new one")
    _store(source, value, actor=actor, overlap=limits.SCIM_TOKEN_OVERLAP, lifetime=limits.SCIM_TOKEN_LIFETIME)
    return True


@transaction.atomic
def end_token(token: SourceToken, *, reason: str, actor: Actor) -> bool:
    """End one token now. Returns whether it was live. `reason` is a word for the book."""
    now = timezone.now()
    if not SourceToken.objects.filter(pk=token.pk, expires_at__gt=now).update(expires_at=now):
        return False
    raise_version()
    record(
        catalogue.SCIM_TOKEN_ENDED,
        actor=actor,
        subject=("scim_source", token.source.slug),
        token=token.pk,
        reason=reason,
    )
    return True


def live_tokens(source: ScimSource, *, now: datetime) -> list[SourceToken]:
    """Those that have not ended, the newest first."""
    return list(SourceToken.objects.filter(source=source, expires_at__gt=now).order_by("-created_at", "-pk"))


def holds_token(source: ScimSource, value: str) -> bool:
    """Whether it is a live token of the source: for those who manage tokens."""
    hashes = crypto.keyed_hashes(value, purpose=PURPOSE)
    return SourceToken.objects.filter(source=source, secret_hash__in=hashes, expires_at__gt=timezone.now()).exists()


def find_caller(header: str, *, now: datetime) -> Caller:
    """The source whose token the Authorization header has. Raises BrokerError (scim.unauthenticated).

    What is remembered is asked for its end each time. Nothing is remembered of a wrong token.
    """
    found = _BEARER.fullmatch(header.strip()) if len(header) <= limits.SCIM_TOKEN_CHARS_MAX + 16 else None
    if found is None:
        raise BrokerError("scim.unauthenticated", detail="no bearer token")
    hashes = tuple(crypto.keyed_hashes(found.group(1), purpose=PURPOSE))
    caller = parties.get(("scim-token", hashes), lambda: _load(hashes))
    if caller.expires_at <= now:
        raise BrokerError("scim.unauthenticated", detail=f"token {caller.token} has ended")
    source = caller.source
    if not source.enabled or source.retired_at is not None:
        raise BrokerError("scim.unauthenticated", detail=f"source {source.slug} is not in use")
    return caller


def _load(hashes: tuple[str, ...]) -> Caller:
    rows = SourceToken.objects.filter(secret_hash__in=hashes).select_related("source__organisation")
    token = rows.first()
    if token is None:
        raise BrokerError("scim.unauthenticated", detail="an unknown token")
    return Caller(token.source, token.pk, token.expires_at)


def _store(source: ScimSource, value: str, *, actor: Actor, overlap: timedelta, lifetime: timedelta) -> None:
    now = timezone.now()
    ScimSource.objects.select_for_update().get(pk=source.pk)
    live = live_tokens(source, now=now)
    for older in live[LIVE_TOKENS - 1 :]:
        end_token(older, reason="third", actor=actor)
    ends = now + overlap
    SourceToken.objects.filter(pk__in=[one.pk for one in live[: LIVE_TOKENS - 1]], expires_at__gt=ends).update(
        expires_at=ends
    )
    token = SourceToken.objects.create(
        source=source,
        secret_hash=crypto.keyed_hash(value, purpose=PURPOSE),
        created_at=now,
        created_by=actor.identifier[:200],
        expires_at=now + lifetime,
    )
    raise_version()
    record(
        catalogue.SCIM_TOKEN_ISSUED,
        actor=actor,
        subject=("scim_source", source.slug),
        token=token.pk,
        until=token.expires_at.isoformat(),
    )


uses = Seldom()


def note_use(token: int, *, address: str, now: datetime) -> None:
    """Write the use, at most once in the interval (`broker.limits`). One that cannot be written refuses nobody."""
    if not uses.is_due(token, interval=limits.SCIM_TOKEN_TOUCH_INTERVAL, now=now):
        return
    try:
        with transaction.atomic():
            SourceToken.objects.filter(pk=token).update(last_used_at=now, last_used_from=address)
    except DatabaseError as error:
        log.warning("use of a token not written", token=token, error=type(error).__name__)
