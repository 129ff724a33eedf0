"""`applications:` the business systems downstream of us, with their SAML and OpenID faces."""

from collections.abc import Mapping
from typing import Any

from broker.actors import Actor
from broker.registry import metadata, values
from broker.registry.config.base import Changes, Section, Written, dotted, under
from broker.registry.config.client_means import BOUND, MEANS, exported_means, means_faults, read_bound, read_means
from broker.registry.config.client_secrets import SHOWN_AFTER, SHOWN_BEFORE, give_secret, secret_differs
from broker.registry.config.sources import METADATA_KEYS, read_metadata
from broker.registry.config.table import Entry, Table
from broker.registry.models import Application, Client, ServiceProvider
from broker.registry.registering import applications as registering
from broker.registry.registering import clients

_ON_THE_APPLICATION = ("id_token_algorithm", "pkce")
"""Keys of the OpenID face that may also stand beside it."""
_SAML = ("metadata", "name_id", "sign", "encrypt", "require_signed_requests", "idp_initiated")
_OIDC = (
    "client_id",
    *MEANS,
    *BOUND,
    "require_pushed_authorization_requests",
    "redirect_uris",
    "post_logout_redirect_uris",
    "initiate_login_uri",
    "backchannel_logout_uri",
    "backchannel_logout_session_required",
    "pkce",
    "subject_type",
    "id_token_algorithm",
)


class ApplicationsSection(Section):
    """Keys: slug, name, kind, owner, home_url, enabled; saml: a service provider; oidc: a client for sign-on."""

    name = "applications"
    kind = "application"
    key = "slug"
    faces = ("oidc", "saml")

    def identify(self, table: Table) -> str | None:
        """The slug."""
        return table.text("slug", values.slug)

    def read(self, table: Table, key: str) -> Entry:
        """See Section."""
        return table.entry(
            key,
            {
                "name": table.text("name"),
                "kind": table.choice("kind", Application.Kind),
                "owner": table.text("owner", values.email),
                "home_url": table.text("home_url", values.web_address),
                "enabled": table.flag("enabled"),
                **_read_saml(table),
                **_read_oidc(table),
            },
        )

    def present(self) -> dict[str, dict[str, Any]]:
        """See Section."""
        rows = Application.objects.filter(retired_at=None).select_related("service_provider")
        sign_on = {
            client.application_id: client
            for client in Client.objects.filter(retired_at=None, kind=Client.Kind.SIGN_ON).order_by()
        }
        return {row.slug: _present(row, sign_on.get(row.pk)) for row in rows}

    def names(self, key: str, values: Mapping[str, Any]) -> set[tuple[str, str]]:
        """See Section."""
        faces = {("client", values.get("oidc.client_id")), ("entity_id", values.get("saml.entity_id"))}
        return super().names(key, values) | {(kind, name) for kind, name in faces if name}

    def faults(self, values: Mapping[str, Any], *, is_new: bool) -> list[tuple[str, str]]:
        """See Section."""
        del is_new
        lacks_address = "oidc.client_id" in values and not values.get("oidc.redirect_uris")
        if lacks_address:
            return [("oidc", "redirect_uris is missing")]
        face = under("oidc", values)
        return [(f"oidc.{name}", text) for name, text in means_faults(face)] if "client_id" in face else []

    def compare(self, key: str, before: Mapping[str, Any], values: Mapping[str, Any]) -> Changes:
        """See Section. The secret that is registered already is no change."""
        changes = super().compare(key, before, values)
        if "oidc.client_secret" in changes:
            client_id = values.get("oidc.client_id") or before.get("oidc.client_id", "")
            if secret_differs(client_id, values["oidc.client_secret"]):
                was = SHOWN_BEFORE if "oidc.client_id" in before else None
                changes["oidc.client_secret"] = (was, SHOWN_AFTER)
            else:
                del changes["oidc.client_secret"]
        return changes

    def create(self, key: str, values: dict[str, Any], *, actor: Actor) -> Written:
        """See Section."""
        written = Written(registering.create_application(key, actor=actor, **_own(values)))
        self._write_faces(written, values, actor=actor)
        return written

    def change(self, key: str, values: dict[str, Any], *, actor: Actor) -> Written:
        """See Section."""
        written = Written(self._get(key))
        if _own(values):
            written.party = registering.change_application(written.party, actor=actor, **_own(values))
        self._write_faces(written, values, actor=actor)
        return written

    def retire(self, key: str, *, actor: Actor) -> None:
        """See Section."""
        registering.retire_application(self._get(key), actor=actor)

    def drop_face(self, key: str, face: str, *, actor: Actor) -> None:
        """See Section."""
        if face == "saml":
            found = ServiceProvider.objects.get(application=self._get(key))
            registering.retire_service_provider(found, actor=actor)
        elif client := _sign_on_client(self._get(key)):
            clients.retire_client(client, actor=actor)

    def exported(self, values: dict[str, Any]) -> dict[str, Any]:
        """See Section. The entityID of the SAML face follows from its metadata."""
        left_out = {"saml.entity_id"} | {name for name in values if name.startswith("oidc.")}
        own = {name: value for name, value in values.items() if name not in left_out}
        return own | dotted("oidc", exported_means(under("oidc", values)))

    def withheld(self, key: str, values: Mapping[str, Any]) -> list[str]:
        """See Section."""
        del key
        has_secret = values.get("oidc.authentication") in clients.SECRET_AUTHENTICATION
        return ["oidc.client_secret_env: its secret is kept as a hash"] if has_secret else []

    def _write_faces(self, written: Written, values: Mapping[str, Any], *, actor: Actor) -> None:
        saml = {name: value for name, value in under("saml", values).items() if name != "entity_id"}
        if saml:
            face = ServiceProvider.objects.filter(application=written.party).first()
            if face is None:
                registering.create_service_provider(written.party, actor=actor, **saml)
            else:
                registering.change_service_provider(face, actor=actor, **saml)
        if oidc := under("oidc", values):
            _write_client(written, oidc, actor=actor)

    def _get(self, key: str) -> Application:
        return Application.objects.get(slug=key, retired_at=None)


def _own(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if "." not in name}


def _write_client(written: Written, oidc: dict[str, Any], *, actor: Actor) -> None:
    """Create or change the OpenID face. Another client_id is another client: the old one is retired."""
    secret = oidc.pop("client_secret", None)
    client = _sign_on_client(written.party)
    client_id = oidc.pop("client_id", client.client_id if client else "")
    is_new = client is None or client.client_id != client_id
    if client is not None and is_new:
        oidc = {name: getattr(client, name) for name in _OIDC if name != "client_id"} | oidc
        clients.retire_client(client, actor=actor)
    if client is None or is_new:
        client = clients.create_client(
            client_id, kind=Client.Kind.SIGN_ON, application=written.party, actor=actor, **oidc
        )
    else:
        client = clients.change_client(client, actor=actor, **oidc)
    issued, warning = give_secret(client, secret, is_new=is_new, actor=actor)
    written.secrets |= issued
    written.notes += [warning] if warning else []


def _sign_on_client(application: Application) -> Client | None:
    return application.clients.filter(retired_at=None, kind=Client.Kind.SIGN_ON).first()


def _present(application: Application, client: Client | None) -> dict[str, Any]:
    own = {name: getattr(application, name) for name in ("name", "kind", "owner", "home_url", "enabled")}
    face = getattr(application, "service_provider", None)
    saml = {name: getattr(face, name) for name in (*_SAML, "entity_id")} if face else {}
    oidc = {name: getattr(client, name) for name in _OIDC} if client else {}
    return own | dotted("saml", saml) | dotted("oidc", oidc)


def _read_saml(table: Table) -> dict[str, Any]:
    inner = table.table("saml")
    if inner is None:
        return {}
    own_metadata = read_metadata(inner, metadata.read_service_provider)
    if not any(name in inner for name in METADATA_KEYS):
        inner.problem("", "metadata_file, metadata_url or metadata is missing")
    xml = own_metadata.get("metadata")
    saml = {
        "metadata": xml,
        "entity_id": metadata.read_service_provider(xml).entity_id if xml else None,
        "name_id": inner.choice("name_id", ServiceProvider.NameID),
        "sign": inner.choice("sign", ServiceProvider.Sign),
        "encrypt": inner.choice("encrypt", ServiceProvider.Encrypt),
        "require_signed_requests": inner.choice("require_signed_requests", ServiceProvider.RequireSigned),
        "idp_initiated": inner.flag("idp_initiated"),
    }
    inner.close()
    return dotted("saml", saml)


def _read_oidc(table: Table) -> dict[str, Any]:
    inner = table.table("oidc")
    beside = {
        "id_token_algorithm": table.choice("id_token_algorithm", Client.Algorithm),
        "pkce": table.choice("pkce", Client.PKCE),
    }
    if inner is None:
        for name in _ON_THE_APPLICATION:
            if name in table and "oidc" not in table:
                table.problem(name, "belongs to an oidc face, and this application has none")
        return {}
    inner.require("client_id")
    client_id = inner.text("client_id", values.own_client_id)
    oidc = {
        "client_id": client_id,
        **read_means(inner, client_id or ""),
        **read_bound(inner),
        "require_pushed_authorization_requests": inner.flag("require_pushed_authorization_requests"),
        "redirect_uris": inner.texts("redirect_uris", values.redirect_uri),
        "post_logout_redirect_uris": inner.texts("post_logout_redirect_uris", values.redirect_uri),
        "initiate_login_uri": inner.text("initiate_login_uri", values.web_address),
        "backchannel_logout_uri": inner.text("backchannel_logout_uri", values.logout_uri),
        "backchannel_logout_session_required": inner.flag("backchannel_logout_session_required"),
        "subject_type": inner.choice("subject_type", Client.SubjectType),
        "id_token_algorithm": inner.choice("id_token_algorithm", Client.Algorithm),
        "pkce": inner.choice("pkce", Client.PKCE),
    }
    for name in _ON_THE_APPLICATION:
        if name in table and name in inner:
            table.problem(name, f"is already given by oidc.{name}")
    inner.close()
    return dotted("oidc", oidc | {name: value for name, value in beside.items() if value is not None})


SECTION = ApplicationsSection()
