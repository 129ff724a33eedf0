"""Client secrets: issuing, taking over, checking and ending them (RFC 6749 section 2.3.1).

Ours are 256 random bits, so a keyed hash holds them. Taken-over ones may be guessable, so they are held as Argon2 and
carry a date by which they must be rotated.
"""

import secrets
from datetime import datetime

from django.contrib.auth.hashers import Argon2PasswordHasher
from django.db import transaction
from django.db.models import Max
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from broker import crypto, limits
from broker.actors import Actor
from broker.errors import BrokerError
from broker.events import catalogue
from broker.events.services import record
from broker.once.services import AlreadyUsed, claim_once
from broker.registry.cache import raise_version
from broker.registry.models import Client, ClientSecret, CredentialKind, CredentialUse

PURPOSE = "client-secret"
PREFIX = "cs_"
SECRET_BYTES = 32
LIVE_SECRETS = 2
"""The one in use and its successor."""
ENDED = "client_secret_ended"
"""The kind under which it is remembered that a secret's end stands in the book."""
_ARGON2 = Argon2PasswordHasher()
_PROVED_MAX = 10_000
# Argon2 is slow on purpose, and an application asks for a token every few minutes. What it once proved is remembered
# as (row, its hash, keyed hash of what was presented); the process forgets it when it ends.
_proved: set[tuple[int, str, str]] = set()


class UnusableSecret(ValueError):
    """A secret that may not be taken over; the message says why and does not repeat it."""


@transaction.atomic
def issue_secret(client: Client, *, actor: Actor) -> str:
    """Give the client a new secret of ours and return it: it is shown this once and stored as a hash.

    The secret in use goes on; one that is older than that ends now, so that at most two are live.
    """
    value = f"{PREFIX}{secrets.token_urlsafe(SECRET_BYTES)}"
    hashed = crypto.keyed_hash(value, purpose=PURPOSE)
    _store(client, scheme=ClientSecret.Scheme.KEYED, secret_hash=hashed, rotate_by=None, actor=actor)
    return value


@transaction.atomic
def import_secret(client: Client, value: str, *, actor: Actor) -> str:
    """Take over a secret that the application already has. Returns a warning to show, or "".

    Raises UnusableSecret for one that nobody could call a secret. A secret that the client already holds is left as
    it is, so that a configuration can be applied again.
    """
    if len(value) < limits.CLIENT_SECRET_CHARS_MIN or len(value) > limits.CLIENT_SECRET_CHARS_MAX:
        raise UnusableSecret(
            f"a client secret has {limits.CLIENT_SECRET_CHARS_MIN} to {limits.CLIENT_SECRET_CHARS_MAX} characters"
        )
    if not holds_secret(client, value):
        now = timezone.now()
        hashed = _ARGON2.encode(value, _ARGON2.salt())
        rotate_by = now + limits.CLIENT_SECRET_ROTATE_WITHIN
        _store(client, scheme=ClientSecret.Scheme.ARGON2, secret_hash=hashed, rotate_by=rotate_by, actor=actor)
    if len(value) < limits.CLIENT_SECRET_CHARS_ADVISED:
        return (
            f"The secret of {client.client_id} is shorter than {limits.CLIENT_SECRET_CHARS_ADVISED} characters: "
            f"issue one of ours instead."
        )
    return ""


@transaction.atomic
def end_secret(secret: ClientSecret, *, reason: str, actor: Actor) -> bool:
    """End one secret now. Returns whether it was live. `reason` is a word for the book."""
    now = timezone.now()
    if not ClientSecret.objects.filter(pk=secret.pk).exclude(expires_at__lte=now).update(expires_at=now):
        return False
    raise_version()
    record_end(secret, reason=reason, actor=actor)
    return True


def record_end(secret: ClientSecret, *, reason: str, actor: Actor) -> bool:
    """The event of a secret's end, once: whoever ends it and whoever finds it ended both call this.

    Returns whether the book did not have it yet.
    """
    try:
        claim_once(ENDED, str(secret.pk), until=timezone.now() + limits.CREDENTIAL_END_NOTICE)
    except AlreadyUsed:
        return False
    client = secret.client
    uses = CredentialUse.objects.filter(client=client, kind=CredentialKind.SECRET, name=str(secret.pk))
    last_use = uses.aggregate(last=Max("last_used_at"))["last"]
    record(
        catalogue.CREDENTIAL_ENDED,
        actor=actor,
        subject=("client", client.client_id),
        application=client.application.slug if client.application else "",
        kind=CredentialKind.SECRET.value,
        name=str(secret.pk),
        reason=reason,
        owner=client.owner,
        last_used_at=last_use.isoformat() if last_use else "",
    )
    return True


def check_secret(client: Client | None, presented: str, *, is_quick: bool = False) -> ClientSecret:
    """The live secret of the client that `presented` is. Raises BrokerError (oauth.invalid_client).

    `is_quick` leaves out what takes long: taken-over secrets that were not proved to this process before.
    None stands for a client that does not exist: before the same refusal comes the work of one keyed secret.
    Writes nothing.
    """
    now = timezone.now()
    live = [] if client is None else _live_secrets(client, now=now)
    # Each is compared, also after a match: which of two secrets is in use does not show in the time.
    matching = [secret for secret in live if _matches(secret, presented, is_quick=is_quick)]
    if not live:
        _matches_keyed(crypto.keyed_hash("", purpose=PURPOSE), presented)
    if not matching:
        raise BrokerError("oauth.invalid_client", expected="a live secret of the client", actual="another value")
    return matching[0]


def has_slow_secret(client: Client) -> bool:
    """Whether a guess at the client's secret costs us the work of Argon2."""
    return any(secret.scheme == ClientSecret.Scheme.ARGON2 for secret in _live_secrets(client, now=timezone.now()))


def holds_secret(client: Client, value: str) -> bool:
    """Whether `value` is a live secret of the client: for those who manage secrets, never for who presents one."""
    try:
        check_secret(client, value)
    except BrokerError:
        return False
    return True


def _live_secrets(client: Client, *, now: datetime) -> list[ClientSecret]:
    """The secrets that have not ended; read from memory when the client came with them."""
    return [secret for secret in client.secrets.all() if secret.expires_at is None or now < secret.expires_at]


def _matches(secret: ClientSecret, presented: str, *, is_quick: bool) -> bool:
    if secret.scheme == ClientSecret.Scheme.KEYED:
        return _matches_keyed(secret.secret_hash, presented)
    proof = (secret.pk, secret.secret_hash, crypto.keyed_hash(presented, purpose=PURPOSE))
    if proof in _proved:
        return True
    if is_quick or not _ARGON2.verify(presented, secret.secret_hash):
        return False
    if len(_proved) >= _PROVED_MAX:
        _proved.clear()
    _proved.add(proof)
    return True


def _matches_keyed(secret_hash: str, presented: str) -> bool:
    key_id = secret_hash.partition(":")[0]
    try:
        expected = crypto.keyed_hash(presented, purpose=PURPOSE, key_id=key_id)
    except KeyError:
        return False  # The master key of this hash was taken away: nothing can match it any more.
    return constant_time_compare(secret_hash, expected)


def _store(
    client: Client, *, scheme: ClientSecret.Scheme, secret_hash: str, rotate_by: datetime | None, actor: Actor
) -> None:
    now = timezone.now()
    # A client that came with its secrets from memory would show the ones of then.
    live = ClientSecret.objects.filter(client=client).exclude(expires_at__lte=now).order_by("-created_at", "-pk")
    for older in live[LIVE_SECRETS - 1 :]:
        end_secret(older, reason="third", actor=actor)
    created = ClientSecret.objects.create(
        client=client,
        scheme=scheme,
        secret_hash=secret_hash,
        created_at=now,
        rotate_by=rotate_by.date() if rotate_by else None,
    )
    raise_version()
    record(
        catalogue.CLIENT_SECRET_ISSUED,
        actor=actor,
        subject=("client", client.client_id),
        application=client.application.slug if client.application else "",
        secret=created.pk,
        scheme=str(scheme),
    )
