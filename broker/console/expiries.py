"""What ends when: certificates of identity providers, our own, clients' credentials, flows, and what readers add."""

import base64
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from django.conf import settings
from django.utils import timezone
from django.utils.module_loading import import_string

from broker.keys.models import SigningKey
from broker.registry.cache import parties
from broker.registry.credentials import due_credentials
from broker.registry.models import Client, Flow, IdentityProvider

LINGERS = timedelta(days=7)
"""How long a client's credential is listed after it ended."""


@dataclass(frozen=True, slots=True)
class Expiry:
    """One thing with an end. `place` is the name of its console page, with the row's key."""

    kind: str
    owner: str
    name: str
    ends_at: datetime
    place: tuple[str, str]

    def days_left(self, now: datetime) -> int:
        """Whole days, negative once it has ended."""
        return (self.ends_at - now).days


def list_expiries() -> list[Expiry]:
    """Everything that has an end, the soonest first. What parties brought is remembered while the registry stands."""
    theirs = parties.get(("expiries",), _of_parties)
    return sorted([*theirs, *_own_certificates()], key=lambda expiry: expiry.ends_at)


def _of_parties() -> list[Expiry]:
    """With those of `settings.EXPIRY_READERS`: who writes what they read raises the registry's version."""
    read = (expiry for reader in settings.EXPIRY_READERS for expiry in import_string(reader)())
    return [*_identity_provider_certificates(), *_client_credentials(), *_flows(), *read]


def _identity_provider_certificates() -> list[Expiry]:
    rows = IdentityProvider.objects.filter(retired_at=None).order_by().values_list("pk", "slug", "certificates")
    return [
        Expiry(
            "identity provider's certificate",
            slug,
            str(certificate.get("fingerprint", ""))[:16],
            _aware(datetime.fromisoformat(certificate["not_after"])),
            ("admin:registry_identityprovider_change", str(pk)),
        )
        for pk, slug, certificates in rows
        for certificate in certificates
    ]


def _client_credentials() -> list[Expiry]:
    """Secrets, registered certificates, and the dated exceptions of clients."""
    now = timezone.now()
    clients = Client.objects.filter(retired_at=None).prefetch_related("secrets").order_by("pk")
    return [
        Expiry(
            f"client {credential.kind}",
            client.client_id,
            credential.name if credential.kind == "exception" else f"{credential.kind} {credential.name}"[:60],
            credential.due_at,
            ("admin:registry_client_change", str(client.pk)),
        )
        for client, credential in due_credentials(clients, now=now)
        if credential.due_at is not None and (credential.is_live or now < credential.due_at + LINGERS)
    ]


def _flows() -> list[Expiry]:
    in_force = Flow.objects.filter(state=Flow.State.APPROVED, ended_at=None, client__retired_at=None)
    return [
        Expiry(
            "flow",
            flow.client.client_id,
            f"{flow.grant} {flow.resource}",
            flow.ends_at,
            ("admin:registry_flow_change", str(flow.pk)),
        )
        for flow in in_force.select_related("client", "resource")
        if flow.ends_at is not None
    ]


def _own_certificates() -> list[Expiry]:
    rows = SigningKey.objects.exclude(certificate="").exclude(state=SigningKey.State.RETIRED)
    return [
        Expiry(
            "our own certificate",
            "countersign",
            f"{row.use} {row.kid}",
            x509.load_der_x509_certificate(base64.b64decode(row.certificate)).not_valid_after_utc,
            ("admin:keys_signingkey_change", str(row.pk)),
        )
        for row in rows
    ]


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
