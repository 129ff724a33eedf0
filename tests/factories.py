"""Rows for tests, with honest defaults; every keyword overrides a field."""

import itertools
from datetime import timedelta
from typing import Any

from django.utils import timezone

from broker import crypto
from broker.actors import SYSTEM
from broker.directory.models import LinkedIdentity, Person
from broker.keys.models import SigningKey
from broker.keys.services import ensure_keys
from broker.registry.cache import raise_version
from broker.registry.models import (
    Application,
    Client,
    ClientSecret,
    Domain,
    Flow,
    HomeRealmDomain,
    IdentityProvider,
    Organisation,
    Resource,
)
from broker.sessions.models import Participant, Session
from federation.claims.models import ClaimMapping, ReleaseRule

_numbers = itertools.count(1)
CLIENT_SECRET = "the-suite's-client-secret-0123456789abcdef"


_keys: list[SigningKey] = []


def make_keys() -> None:
    """Our first keys. They are made once per process and put back as they were: making RSA keys takes its time."""
    if not _keys:
        ensure_keys(SYSTEM)
        _keys.extend(SigningKey.objects.all())
    elif not SigningKey.objects.exists():
        SigningKey.objects.bulk_create(_keys)


def make_organisation(*, domains: tuple[str, ...] = ("acme.example",), **fields: Any) -> Organisation:
    fields = {"slug": f"org{next(_numbers)}", "name": "Acme", "owner": "it@acme.example"} | fields
    organisation = Organisation.objects.create(created_at=timezone.now(), **fields)
    for name in domains:
        Domain.objects.create(
            organisation=organisation, name=name, proof="operator", proved_at=timezone.now(), proved_by="suite"
        )
    raise_version()
    return organisation


def make_identity_provider(
    *,
    home_realm_domains: tuple[str, ...] = (),
    claims: dict[str, list[str]] | None = None,
    **fields: Any,
) -> IdentityProvider:
    slug = fields.get("slug", f"idp{next(_numbers)}")
    fields = {
        "slug": slug,
        "name": "Acme sign-on",
        "protocol": "saml",
        "issuer": f"https://{slug}.example/metadata",
        "sso_url": f"https://{slug}.example/sso",
        "sso_binding": "redirect",
    } | fields
    if "organisation" not in fields:
        fields["organisation"] = make_organisation(domains=(f"{slug}.example",))
    identity_provider = IdentityProvider.objects.create(created_at=timezone.now(), **fields)
    for name in home_realm_domains:
        HomeRealmDomain.objects.create(identity_provider=identity_provider, name=name)
    if claims is not None:
        ClaimMapping.objects.create(identity_provider=identity_provider, claims=claims)
    raise_version()
    return identity_provider


def make_application(*, release: tuple[str, ...] = ("email", "name"), **fields: Any) -> Application:
    fields = {"slug": f"app{next(_numbers)}", "name": "CRM", "kind": "crm", "owner": "crm@acme.example"} | fields
    application = Application.objects.create(created_at=timezone.now(), **fields)
    ReleaseRule.objects.create(application=application, claims=list(release))
    raise_version()
    return application


def make_client(*, secret: str | None = CLIENT_SECRET, **fields: Any) -> Client:
    """A sign-on client with the secret `CLIENT_SECRET` and one redirect URI."""
    fields = {
        "client_id": f"client{next(_numbers)}",
        "kind": "sign_on",
        "redirect_uris": ["https://crm.example/callback"],
    } | fields
    if "application" not in fields:
        fields["application"] = make_application()
    client = Client.objects.create(created_at=timezone.now(), **fields)
    if secret:
        ClientSecret.objects.create(
            client=client,
            scheme="keyed",
            secret_hash=crypto.keyed_hash(secret, purpose="client-secret"),
            created_at=timezone.now(),
        )
    raise_version()
    return client


def make_service(*, secret: str | None = CLIENT_SECRET, **fields: Any) -> Client:
    """The client of an integration, which asks in its own name."""
    fields = {
        "client_id": f"service{next(_numbers)}",
        "kind": Client.Kind.SERVICE,
        "owner": "integration@acme.example",
        "redirect_uris": [],
    } | fields
    return make_client(secret=secret, **fields)


def make_resource(**fields: Any) -> Resource:
    """An API with two scopes."""
    fields = {
        "identifier": f"https://api{next(_numbers)}.example",
        "scopes": {"invoices.read": "Read invoices", "invoices.write": "Change invoices"},
    } | fields
    resource = Resource.objects.create(**fields)
    raise_version()
    return resource


def make_flow(client: Client, resource: Resource, **fields: Any) -> Flow:
    """An approved flow for the first scope of the resource, which ends in a year."""
    fields = {
        "grant": Flow.Grant.CLIENT_CREDENTIALS,
        "scopes": list(resource.scopes)[:1],
        "purpose": "Nightly invoice mirror",
        "data_classes": ["invoices"],
        "owner": "integration@acme.example",
        "state": Flow.State.APPROVED,
        "approved_by": "security@acme.example",
        "expires": (timezone.now() + timedelta(days=365)).date(),
    } | fields
    flow = Flow.objects.create(client=client, resource=resource, **fields)
    raise_version()
    return flow


def make_person(**fields: Any) -> Person:
    now = timezone.now()
    fields = {"name": "Alice Ålesund", "given_name": "Alice", "family_name": "Ålesund"} | fields
    if "organisation" not in fields:
        fields["organisation"] = make_organisation(domains=())
    return Person.objects.create(created_at=now, updated_at=now, **fields)


def link(person: Person, identity_provider: IdentityProvider, subject: str) -> LinkedIdentity:
    return LinkedIdentity.objects.create(
        person=person,
        identity_provider=identity_provider,
        issuer=identity_provider.issuer,
        subject=subject,
        linked_at=timezone.now(),
        linked_by="suite",
    )


def make_session(*, handle: str = "the-session's-handle", **fields: Any) -> Session:
    """A live session whose cookie value is `handle`."""
    now = timezone.now()
    if "identity_provider" not in fields:
        fields["identity_provider"] = make_identity_provider()
    if "person" not in fields:
        fields["person"] = make_person(organisation=fields["identity_provider"].organisation)
    fields = {
        "authenticated_at": now,
        "started_at": now,
        "last_used_at": now,
        "expires_at": now + timedelta(hours=12),
    } | fields
    return Session.objects.create(handle_hash=crypto.keyed_hash(handle, purpose="session"), **fields)


def make_participant(**fields: Any) -> Participant:
    now = timezone.now()
    if "session" not in fields:
        fields["session"] = make_session()
    if "client" not in fields:
        fields["client"] = make_client()
    return Participant.objects.create(
        application=fields["client"].application, joined_at=now, last_used_at=now, **fields
    )
