"""Clients: an application's OpenID face, or an integration's own. Their secrets: broker.registry.secrets."""

from typing import Any, TypedDict, Unpack

from django.db import transaction
from django.utils import timezone

from broker.actors import Actor
from broker.registry import values
from broker.registry.models import Application, Client
from broker.registry.registering.changes import (
    assign,
    check_row,
    record_changed,
    record_created,
    record_retired,
)
from broker.registry.values import BadValue

WORKLOAD_KEYS = ("issuer", "subject", "audience")
_SECRET = (Client.Authentication.CLIENT_SECRET_BASIC, Client.Authentication.CLIENT_SECRET_POST)


class ClientFields(TypedDict, total=False):
    """What can be said of a client; what is left out stays as it is."""

    application: Application | None
    owner: str
    enabled: bool
    authentication: str
    redirect_uris: list[str]
    post_logout_redirect_uris: list[str]
    initiate_login_uri: str
    pkce: str
    subject_type: str
    id_token_algorithm: str
    jwks: dict[str, object]
    jwks_url: str
    workload: dict[str, str]
    enforcement: str


@transaction.atomic
def create_client(client_id: str, *, kind: Client.Kind, actor: Actor, **fields: Unpack[ClientFields]) -> Client:
    """Register a client, without a secret yet. Raises BadValue."""
    columns = _checked(fields)
    client = Client(client_id=values.client_id(client_id), kind=kind, created_at=timezone.now(), **columns)
    _check(client)
    client.save()
    record_created("client", client_id, actor=actor, fields={"kind": kind} | _told(columns), **_where(client))
    return client


@transaction.atomic
def change_client(client: Client, *, actor: Actor, **fields: Unpack[ClientFields]) -> Client:
    """Change what `fields` names; no event when nothing differs. Raises BadValue."""
    client = Client.objects.select_for_update().get(pk=client.pk)
    changes = assign(client, _checked(fields))
    if changes:
        _check(client)
        client.save()
        record_changed("client", client.client_id, actor=actor, changes=changes, **_where(client))
    return client


@transaction.atomic
def retire_client(client: Client, *, actor: Actor) -> None:
    """Retire it and free its client_id. Its secrets and grants are valid no more."""
    client.retired_at = timezone.now()
    client.enabled = False
    client.save()
    ended = {"kind": client.kind, "owner": client.owner}
    record_retired("client", client.client_id, actor=actor, fields=ended, **_where(client))


def has_secret_authentication(client: Client) -> bool:
    """Whether the client authenticates with a secret."""
    return client.authentication in _SECRET


def _checked(fields: ClientFields) -> dict[str, Any]:
    columns: dict[str, Any] = dict(fields)
    for name in ("redirect_uris", "post_logout_redirect_uris"):
        if name in columns:
            columns[name] = values.redirect_uris(columns[name])
    if columns.get("jwks"):
        columns["jwks"] = values.key_set(columns["jwks"])
    for name in ("jwks_url", "initiate_login_uri"):
        if columns.get(name):
            values.web_address(columns[name])
    if columns.get("workload"):
        missing = [key for key in WORKLOAD_KEYS if not columns["workload"].get(key)]
        if missing:
            raise BadValue(f"a workload names issuer, subject and audience; {', '.join(missing)} is missing")
    return columns


def _check(client: Client) -> None:
    check_row(client)
    if client.kind == Client.Kind.SIGN_ON:
        if client.application is None:
            raise BadValue("a client for sign-on belongs to an application")
        if not client.redirect_uris:
            raise BadValue("a client for sign-on needs at least one redirect URI")


def _told(columns: dict[str, Any]) -> dict[str, Any]:
    return {name: value.slug if isinstance(value, Application) else value for name, value in columns.items()}


def _where(client: Client) -> dict[str, str]:
    return {"application": client.application.slug if client.application else ""}
