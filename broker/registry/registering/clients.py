"""Clients: an application's OpenID face, or an integration's own. Their secrets: broker.registry.secrets."""

from datetime import date, datetime
from typing import Any, TypedDict, Unpack

from django.db import transaction
from django.utils import timezone

from broker.actors import Actor
from broker.registry import credential_values, values
from broker.registry.credential_names import registered_names
from broker.registry.models import Application, Client
from broker.registry.registering.changes import (
    assign,
    check_row,
    record_changed,
    record_created,
    record_retired,
    save_new,
)
from broker.registry.values import BadValue

Authentication = Client.Authentication
SECRET_AUTHENTICATION = (Authentication.CLIENT_SECRET_BASIC, Authentication.CLIENT_SECRET_POST)


class ClientFields(TypedDict, total=False):
    """What can be said of a client; what is left out stays as it is."""

    application: Application | None
    owner: str
    enabled: bool
    authentication: str
    redirect_uris: list[str]
    post_logout_redirect_uris: list[str]
    initiate_login_uri: str
    backchannel_logout_uri: str
    backchannel_logout_session_required: bool
    pkce: str
    subject_type: str
    id_token_algorithm: str
    jwks: dict[str, object]
    jwks_url: str
    workload: dict[str, Any]
    tls: dict[str, str]
    certificates: list[dict[str, str]]
    token_endpoint_audience_until: date | None
    dpop_bound_access_tokens: bool
    tls_client_certificate_bound_access_tokens: bool
    require_pushed_authorization_requests: bool
    enforcement: str


@transaction.atomic
def create_client(client_id: str, *, kind: Client.Kind, actor: Actor, **fields: Unpack[ClientFields]) -> Client:
    """Register a client, without a secret yet. Raises BadValue."""
    columns = _checked(fields)
    now = timezone.now()
    client = Client(client_id=values.own_client_id(client_id), kind=kind, created_at=now, **columns)
    _check(client)
    _date_credentials(client, now=now)
    save_new(client)
    record_created("client", client_id, actor=actor, fields={"kind": kind} | _told(columns), **_where(client))
    return client


@transaction.atomic
def change_client(client: Client, *, actor: Actor, **fields: Unpack[ClientFields]) -> Client:
    """Change what `fields` names; no event when nothing differs. Raises BadValue."""
    client = Client.objects.select_for_update().get(pk=client.pk)
    changes = assign(client, _checked(fields))
    if changes:
        _check(client)
        _date_credentials(client, now=timezone.now())
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
    return client.authentication in SECRET_AUTHENTICATION


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
    if columns.get("backchannel_logout_uri"):
        values.logout_uri(columns["backchannel_logout_uri"])
    if columns.get("workload"):
        columns["workload"] = credential_values.workload(columns["workload"])
    if columns.get("tls"):
        columns["tls"] = credential_values.tls_identity(columns["tls"])
    if columns.get("certificates"):
        columns["certificates"] = credential_values.certificates(columns["certificates"])
    return columns


def _check(client: Client) -> None:
    check_row(client)
    check_means(client)
    if client.kind == Client.Kind.SIGN_ON:
        if client.application is None:
            raise BadValue("a client for sign-on belongs to an application")
        if not client.redirect_uris:
            raise BadValue("a client for sign-on needs at least one redirect URI")


def check_means(client: Client) -> None:
    """Raises BadValue unless the client has what its method of authentication needs, and nothing that rivals it."""
    if client.workload and (client.jwks or client.jwks_url):
        raise BadValue("a client proves itself by keys of its own or by a workload, not by both")
    if client.token_endpoint_audience_until and client.authentication != Authentication.PRIVATE_KEY_JWT:
        raise BadValue("only private_key_jwt has an audience to make an exception for")
    match client.authentication:
        case Authentication.PRIVATE_KEY_JWT:
            if not (client.jwks or client.jwks_url or client.workload):
                raise BadValue("private_key_jwt needs its keys, the address of its keys, or a workload")
            if client.jwks:
                credential_values.assertion_keys(client.jwks)
        case Authentication.TLS_CLIENT_AUTH:
            if not client.tls:
                raise BadValue("tls_client_auth needs the name by which the certificate is known")
        case Authentication.SELF_SIGNED_TLS_CLIENT_AUTH:
            if not client.certificates and not credential_values.chained_certificates(client.jwks):
                raise BadValue("self_signed_tls_client_auth needs a certificate, or keys with their certificates (x5c)")


def _date_credentials(client: Client, *, now: datetime) -> None:
    """Note when each key, certificate and workload was registered; those that go are forgotten."""
    known = client.credential_dates
    client.credential_dates = {
        f"{kind}:{name}": known.get(f"{kind}:{name}", now.isoformat()) for kind, name in registered_names(client)
    }


def _told(columns: dict[str, Any]) -> dict[str, Any]:
    return {name: value.slug if isinstance(value, Application) else value for name, value in columns.items()}


def _where(client: Client) -> dict[str, str]:
    return {"application": client.application.slug if client.application else ""}
