"""Opening, finding, joining and ending single-sign-on sessions."""

import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from broker import crypto, limits
from broker.actors import Actor
from broker.directory.models import Person
from broker.events import catalogue
from broker.events.services import record
from broker.registry.models import Application, Client, IdentityProvider
from broker.sessions.models import Participant, Session
from broker.statements import insert

HANDLE_BYTES = 32
TRANSIENT_BYTES = 20


def open_session(
    person: Person,
    *,
    identity_provider: IdentityProvider,
    authenticated_at: datetime,
    context: str,
    methods: Sequence[str],
    upstream: Mapping[str, str],
    until: datetime | None = None,
) -> tuple[Session, str]:
    """Begin a session. Returns it with its handle, the cookie's value, which is stored nowhere."""
    now = timezone.now()
    handle = secrets.token_urlsafe(HANDLE_BYTES)
    session = Session(
        handle_hash=crypto.keyed_hash(handle, purpose="session"),
        person=person,
        identity_provider=identity_provider,
        authenticated_at=authenticated_at,
        context=context,
        methods=list(methods),
        upstream=dict(upstream),
        started_at=now,
        last_used_at=now,
        expires_at=_end(now, until),
    )
    insert(session)
    return session, handle


def renew_session(
    session: Session,
    *,
    identity_provider: IdentityProvider,
    authenticated_at: datetime,
    context: str,
    methods: Sequence[str],
    upstream: Mapping[str, str],
    until: datetime | None = None,
) -> str:
    """The same person authenticated afresh in the same browser: the participants stay, the handle changes.

    Returns the new handle; the old one opens nothing any more.
    """
    now = timezone.now()
    handle = secrets.token_urlsafe(HANDLE_BYTES)
    session.handle_hash = crypto.keyed_hash(handle, purpose="session")
    session.identity_provider = identity_provider
    session.authenticated_at = authenticated_at
    session.context = context
    session.methods = list(methods)
    session.upstream = dict(upstream)
    session.last_used_at = now
    session.expires_at = _end(now, until)
    # Only what changes: a session that somebody ended meanwhile stays ended.
    session.save(
        update_fields=[
            "handle_hash",
            "identity_provider",
            "authenticated_at",
            "context",
            "methods",
            "upstream",
            "last_used_at",
            "expires_at",
        ]
    )
    return handle


def find_live_session(handle: str, *, now: datetime) -> Session | None:
    """The live session behind a cookie, with its person and identity provider.

    None when there is none, when it ended or idled too long, when the person's account is closed, or when the
    identity provider was switched off: each is asked at every use.
    """
    if not handle or len(handle) > limits.COOKIE_BYTES:
        return None
    session = (
        Session.objects.select_related("person", "identity_provider__organisation")
        .filter(handle_hash__in=crypto.keyed_hashes(handle, purpose="session"))
        .order_by()
        .first()
    )
    if session is None or not is_usable(session, now=now):
        return None
    return session


def live_sessions_of(person: Person, *, now: datetime) -> QuerySet[Session]:
    """The person's sessions that may still open doors, the last used first; the same as `is_usable` asks of each."""
    return Session.objects.filter(
        person=person,
        person__is_active=True,
        ended_at=None,
        expires_at__gt=now,
        last_used_at__gt=now - limits.SESSION_IDLE,
        identity_provider__enabled=True,
        identity_provider__retired_at=None,
    ).order_by("-last_used_at", "-started_at")


def is_usable(session: Session, *, now: datetime) -> bool:
    """Whether this session may still open doors; `session` comes with its person and identity provider."""
    return (
        session.is_live(now=now, idle_since=now - limits.SESSION_IDLE)
        and session.person.is_active
        and session.identity_provider.is_in_use
    )


def join(
    session: Session, *, application: Application, client: Client | None, now: datetime, is_new_session: bool = False
) -> Participant:
    """Let an application take part; it keeps its `sid` when it comes back. A new session has nobody to look for.

    `client` is the client that signs on; None where the application does so over SAML.
    """
    values = {"client": client, "joined_at": now, "last_used_at": now}
    if is_new_session:
        participant = Participant(session=session, application=application, **values)
        insert(participant)
        return participant
    participant, has_joined = Participant.objects.get_or_create(
        session=session, application=application, defaults=values
    )
    if not has_joined:
        Participant.objects.filter(pk=participant.pk).update(last_used_at=now, **_by_openid(participant, client))
    return participant


def _by_openid(participant: Participant, client: Client | None) -> dict[str, Any]:
    """What changes when this client is new to the participant. One that joined over SAML is told of the end by both."""
    if client is None or client.pk == participant.client_id:
        return {}
    if participant.client_id is None and not participant.name_id:
        return {"client": client, "name_id": Participant.PERSISTENT}
    return {"client": client}


def keep_name_id(participant: Participant, name_id: Mapping[str, str]) -> None:
    """Remember the NameID that the application was told, for its logout."""
    if participant.name_id != name_id:
        participant.name_id = dict(name_id)
        Participant.objects.filter(pk=participant.pk).update(name_id=participant.name_id)


def transient_name_of(participant: Participant) -> str:
    """How the application knows the person in this session alone: drawn at the first time, kept for its logout."""
    if not participant.transient_name:
        drawn = f"_{secrets.token_hex(TRANSIENT_BYTES)}"
        # Of two tabs, one draws for both.
        Participant.objects.filter(pk=participant.pk, transient_name="").update(transient_name=drawn)
        participant.refresh_from_db(fields=["transient_name"])
    return participant.transient_name


def touch(session: Session, *, now: datetime) -> None:
    """Note that the session was used, at most once per `limits.SESSION_TOUCH_INTERVAL`."""
    if now - session.last_used_at >= limits.SESSION_TOUCH_INTERVAL:
        Session.objects.filter(pk=session.pk, ended_at=None).update(last_used_at=now)


@transaction.atomic
def end_session(session: Session, *, reason: str, actor: Actor) -> bool:
    """End a session for good. Returns whether it was this call that ended it."""
    now = timezone.now()
    ended = Session.objects.filter(pk=session.pk, ended_at=None).update(ended_at=now, end_reason=reason)
    if ended:
        record(
            catalogue.SESSION_ENDED,
            actor=actor,
            subject=("session", session.pk),
            connection=session.identity_provider.slug,
            reason=reason,
            person=str(session.person_id),
        )
    return bool(ended)


def _end(now: datetime, until: datetime | None) -> datetime:
    """The absolute end: ours, or the identity provider's where that is earlier."""
    ours = now + limits.SESSION_ABSOLUTE
    return min(ours, until) if until else ours


def forget_ended(*, now: datetime) -> int:
    """Delete sessions that ended or expired longer ago than their retention. Returns how many."""
    _, counts = Session.objects.filter(expires_at__lt=now - limits.SESSION_RETENTION).delete()
    return counts.get("sso_sessions.Session", 0)
