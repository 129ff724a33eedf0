"""The list of a client's credentials with the evidence of each: since when, until when, last used, from where."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from broker import limits
from broker.registry.credential_names import registered_names
from broker.registry.models import Client, ClientSecret, CredentialKind, CredentialUse
from broker.registry.registering.clients import has_secret_authentication


@dataclass(frozen=True, slots=True)
class Credential:
    """One thing by which a client proves, or proved, who it is. Nothing in it is secret."""

    kind: str
    """A CredentialKind, or "exception": a date until which something weaker passes."""
    name: str
    owner: str
    is_live: bool
    """Whether it is accepted now, as far as the registration says: an authority's certificates are judged in TLS."""
    created_at: datetime | None
    """None for a key that only its address shows: it is known by its use."""
    due_at: datetime | None
    """When it ends, or has to be replaced."""
    last_used_at: datetime | None = None
    last_used_from: str = ""
    uses: int = 0
    """In the days of `limits.CREDENTIAL_USE_RETENTION`, as far as they are written."""
    superseded_uses: int = 0
    """Of them, after a newer secret had been used."""

    def days_left(self, now: datetime) -> int | None:
        """Whole days to `due_at`, negative once it has passed."""
        return (self.due_at - now).days if self.due_at else None


def list_credentials(client: Client, *, now: datetime) -> list[Credential]:
    """All of a client's credentials, the live ones first; those of the past as long as their use is remembered."""
    uses = _uses_of(client)
    found = [
        *(_secret(client, secret, uses, now=now) for secret in _newest_first(client)),
        *(_registered(client, kind, name, uses, now=now) for kind, name in registered_names(client)),
        *(_exception(client, name, until, now=now) for name, until in exceptions_of(client)),
    ]
    named = {(credential.kind, credential.name) for credential in found}
    found += [_remembered(client, key, uses) for key in uses if key not in named]
    return sorted(found, key=lambda credential: not credential.is_live)


def due_credentials(clients: Iterable[Client], *, now: datetime) -> list[tuple[Client, Credential]]:
    """What ends, or ended, of these clients, without the evidence of its use. Costs one question, for secrets."""
    found: list[tuple[Client, Credential]] = []
    for client in clients:
        listed = [
            *(_secret(client, secret, {}, now=now) for secret in _newest_first(client)),
            *(_registered(client, kind, name, {}, now=now) for kind, name in registered_names(client)),
            *(_exception(client, name, until, now=now) for name, until in exceptions_of(client)),
        ]
        found += [(client, credential) for credential in listed if credential.due_at is not None]
    return found


def exceptions_of(client: Client) -> list[tuple[str, date]]:
    """(what passes, last day) of the dated exceptions of a client."""
    found: list[tuple[str, date]] = []
    if client.token_endpoint_audience_until:
        found.append(("token endpoint as audience", client.token_endpoint_audience_until))
    if until := client.workload.get("long_lived_until"):
        found.append(("workload token of a day", date.fromisoformat(until)))
    return found


_Uses = Mapping[tuple[str, str], list[CredentialUse]]


def _uses_of(client: Client) -> _Uses:
    """The days of each credential, the newest first."""
    found: dict[tuple[str, str], list[CredentialUse]] = {}
    for use in CredentialUse.objects.filter(client=client).order_by("-day"):
        found.setdefault((use.kind, use.name), []).append(use)
    return found


def _newest_first(client: Client) -> list[ClientSecret]:
    return sorted(client.secrets.all(), key=lambda secret: (secret.created_at, secret.pk), reverse=True)


def _secret(client: Client, secret: ClientSecret, uses: _Uses, *, now: datetime) -> Credential:
    ends = [secret.expires_at] if secret.expires_at else []
    ends += [datetime.combine(secret.rotate_by, time.max, UTC)] if secret.rotate_by else []
    return _with_use(
        client,
        CredentialKind.SECRET,
        str(secret.pk),
        uses,
        is_live=has_secret_authentication(client) and (secret.expires_at is None or now < secret.expires_at),
        created_at=secret.created_at,
        due_at=min(ends, default=None),
    )


def _registered(client: Client, kind: CredentialKind, name: str, uses: _Uses, *, now: datetime) -> Credential:
    dated = client.credential_dates.get(f"{kind}:{name}")
    ends = {one["thumbprint"]: datetime.fromisoformat(one["not_after"]) for one in client.certificates}
    due_at = ends.get(name) if kind == CredentialKind.CERTIFICATE else None
    return _with_use(
        client,
        kind,
        name,
        uses,
        is_live=due_at is None or now <= due_at,
        created_at=datetime.fromisoformat(dated) if dated else client.created_at,
        due_at=due_at,
    )


def _exception(client: Client, name: str, until: date, *, now: datetime) -> Credential:
    due_at = datetime.combine(until + timedelta(days=1), time.min, UTC)
    return Credential("exception", name, client.owner, now < due_at, created_at=None, due_at=due_at)


def _remembered(client: Client, key: tuple[str, str], uses: _Uses) -> Credential:
    """A credential that only its use shows: a key at the client's address, or one that is registered no more."""
    is_live = key[0] == CredentialKind.KEY and bool(client.jwks_url)
    return _with_use(client, CredentialKind(key[0]), key[1], uses, is_live=is_live, created_at=None, due_at=None)


def _with_use(
    client: Client,
    kind: CredentialKind,
    name: str,
    uses: _Uses,
    *,
    is_live: bool,
    created_at: datetime | None,
    due_at: datetime | None,
) -> Credential:
    days = uses.get((kind, name), [])
    return Credential(
        kind=kind.value,
        name=name,
        owner=client.owner,
        is_live=is_live,
        created_at=created_at,
        due_at=due_at,
        last_used_at=days[0].last_used_at if days else None,
        last_used_from=days[0].last_used_from if days else "",
        uses=sum(day.count for day in days[: limits.CREDENTIAL_USE_RETENTION.days]),
        superseded_uses=sum(day.superseded_count for day in days),
    )
