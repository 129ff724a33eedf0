"""What is particular to identity providers that speak OpenID Connect: our client there, and their document."""

from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q

from broker import limits
from broker.actors import Actor
from broker.registry import values
from broker.registry.models import IdentityProvider
from broker.registry.openid import DEFAULT_SCOPES, Discovery, fetch_discovery
from broker.registry.registering.changes import assign, record_changed
from broker.registry.values import BadValue

Authentication = IdentityProvider.Authentication
BY_SECRET = (Authentication.CLIENT_SECRET_BASIC, Authentication.CLIENT_SECRET_POST)
FIELDS = frozenset(
    {"issuer", "discovery", "client_id", "authentication", "client_secret", "assertion_audience", "scopes"}
)
"""What can be said of an OpenID provider alone."""
MUTABLE_CLAIMS = frozenset(
    {"email", "preferred_username", "upn", "unique_name", "name", "nickname", "given_name", "family_name"}
)
"""Claims that a person or a provider's administrator can change to somebody else's: never a key (nOAuth)."""
PROBLEM_CHARS = 500


def openid_columns(columns: dict[str, Any], *, now: datetime) -> dict[str, Any]:
    """The given OpenID fields as columns, each in its one form; the secret is not among them. Raises BadValue."""
    found = {name: value for name, value in columns.items() if name in FIELDS - {"client_secret", "discovery"}}
    if "issuer" in found:
        values.issuer(found["issuer"])
    if "client_id" in found and values.client_id(found["client_id"]) == settings.BROKER_BASE_URL:
        raise BadValue("our own issuer cannot be our client_id elsewhere: what we sign there would pass for our own")
    if "scopes" in found:
        found["scopes"] = list(dict.fromkeys(values.scope(scope) for scope in found["scopes"] or DEFAULT_SCOPES))
        if "openid" not in found["scopes"]:
            raise BadValue("the scopes of an OpenID provider must hold openid")
    discovery: Discovery | None = columns.get("discovery")
    if discovery is not None:
        found |= {"discovery": discovery.as_column(), "discovered_at": now, "discovery_tried_at": now}
        found["discovery_problem"] = ""
    return found


def check_new_issuer(columns: dict[str, Any]) -> None:
    """Another issuer comes with its own document: the endpoints of the old one are not its own. Raises BadValue."""
    if not columns.get("discovery") and not columns.get("metadata"):
        raise BadValue("another issuer needs its own discovery document")


def check_openid_provider(identity_provider: IdentityProvider) -> None:
    """The row is whole: nothing that a sign-on needs is missing. Raises BadValue."""
    for name in ("issuer", "client_id", "authentication", "discovery"):
        if not getattr(identity_provider, name):
            raise BadValue(f"an OpenID provider needs its {name}")
    if identity_provider.authentication in BY_SECRET and not identity_provider.client_secret_sealed:
        raise BadValue(f"{identity_provider.authentication} needs our client secret")
    if identity_provider.authentication not in BY_SECRET and identity_provider.client_secret_sealed:
        raise BadValue(f"{identity_provider.authentication} uses no secret, and one is given")
    if identity_provider.subject == "name_id":
        raise BadValue("an OpenID provider has no NameID: its subject is sub, or an attribute")
    named = identity_provider.subject.removeprefix("attribute:").split()
    if mutable := MUTABLE_CLAIMS.intersection(named[::2]):
        raise BadValue(f"{', '.join(sorted(mutable))} can become another person's, so it is no subject")


def refresh_discovery(identity_provider: IdentityProvider, *, now: datetime, actor: Actor) -> bool:
    """Read the provider's document anew; the last good one stays when that fails. Returns whether it was good."""
    of_row = IdentityProvider.objects.filter(pk=identity_provider.pk)
    try:
        found = fetch_discovery(identity_provider.issuer).discovery
    except BadValue as error:
        of_row.update(discovery_tried_at=now, discovery_problem=str(error)[:PROBLEM_CHARS])
        return False
    with transaction.atomic():
        row = of_row.select_for_update().get()
        if row.retired_at is not None or row.issuer != identity_provider.issuer:
            return False
        changes = assign(row, {"discovery": found.as_column()})
        row.discovered_at = row.discovery_tried_at = now
        row.discovery_problem = ""
        row.save(update_fields=["discovery", "discovered_at", "discovery_tried_at", "discovery_problem"])
        if changes:
            record_changed("identity_provider", row.slug, actor=actor, changes=changes, connection=row.slug)
    return True


def refresh_due_discoveries(*, now: datetime, actor: Actor) -> int:
    """Read anew the documents that are due, the longest waiting first. Returns how many were good."""
    live = IdentityProvider.objects.filter(protocol=IdentityProvider.Protocol.OIDC, retired_at=None, enabled=True)
    due = live.filter(Q(discovery_tried_at=None) | Q(discovery_tried_at__lte=now - limits.DISCOVERY_INTERVAL))
    waiting = due.order_by(F("discovery_tried_at").asc(nulls_first=True), "pk")[: limits.DISCOVERY_BATCH]
    return sum(refresh_discovery(one, now=now, actor=actor) for one in waiting)
