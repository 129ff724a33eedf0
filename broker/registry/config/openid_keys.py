"""The keys of `identity_providers:` that OpenID Connect alone has, and the discovery document that they lead to."""

from collections.abc import Mapping
from typing import Any

from broker.registry import values
from broker.registry.config.sources import read_secret
from broker.registry.config.table import Table
from broker.registry.models import IdentityProvider
from broker.registry.openid import DiscoveryReading, Unreachable, fetch_discovery
from broker.registry.registering.openid_providers import BY_SECRET
from broker.registry.values import BadValue

Authentication = IdentityProvider.Authentication


def read_openid(table: Table, key: str) -> dict[str, Any]:
    """issuer, client_id, authentication, our secret, assertion_audience, scopes; with {"discovery": Discovery}.

    When an issuer does not answer whose document is already held, that is kept, with a note.
    """
    issuer = table.text("issuer", values.issuer)
    authentication = table.choice("authentication", Authentication)
    reading = _discover(table, key, issuer) if issuer is not None else None
    if reading is not None:
        table.reading.notes += [f"{table.path}: {oddity}" for oddity in reading.oddities]
        announced = reading.discovery.authentication_methods
        if authentication is not None and authentication not in announced:
            table.reading.notes.append(
                f"{table.path}: the provider does not announce {authentication}, only {', '.join(announced)}"
            )
    return {
        "issuer": issuer,
        "client_id": table.text("client_id", values.client_id),
        "authentication": authentication,
        "client_secret": read_secret(table),
        "assertion_audience": table.choice("assertion_audience", IdentityProvider.AssertionAudience),
        "scopes": table.texts("scopes", values.scope),
        "discovery": reading.discovery if reading is not None else None,
    }


def openid_faults(values: Mapping[str, Any], *, is_new: bool) -> list[tuple[str, str]]:
    """What is wrong with an OpenID provider that ends up with `values`."""
    by_secret = values.get("authentication", Authentication.CLIENT_SECRET_BASIC) in BY_SECRET
    if is_new and by_secret and "client_secret" not in values:
        return [("", "client_secret_env or client_secret_file is missing")]
    if not by_secret and "client_secret" in values:
        return [("authentication", f"{values['authentication']} uses no secret, and one is given")]
    return []


def _discover(table: Table, key: str, issuer: str) -> DiscoveryReading | None:
    try:
        return fetch_discovery(issuer)
    except Unreachable as error:
        held = IdentityProvider.objects.filter(slug=key, issuer=issuer, retired_at=None).exclude(discovery={})
        if held.exists():
            table.reading.notes.append(f"{table.path}: {error}; the document that is registered stays")
        else:
            table.problem("issuer", str(error))
    except BadValue as error:
        table.problem("issuer", str(error))
    return None
