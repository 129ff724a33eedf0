"""What the doctor looks at among the parties: what is missing, what ends soon, what ended."""

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Q, QuerySet
from django.utils import timezone

from broker import limits
from broker.findings import Finding, listed
from broker.registry.credentials import due_credentials
from broker.registry.models import Application, Client, ClientSecret, Flow, IdentityProvider
from broker.registry.registering.clients import check_means
from broker.registry.registering.openid_providers import BY_SECRET
from broker.registry.values import BadValue

CERTIFICATE_WARNING = timedelta(days=60)
"""How long before its end an identity provider's certificate is spoken of."""
_LACKS_METADATA = Q(protocol=IdentityProvider.Protocol.SAML) & (Q(metadata="") | Q(sso_url="") | Q(certificates=[]))
_LACKS_REGISTRATION = Q(protocol=IdentityProvider.Protocol.OIDC) & (
    Q(discovery={}) | Q(client_id="") | Q(authentication__in=BY_SECRET, client_secret_sealed="")
)


def check_parties() -> list[Finding]:
    """Whether the registered parties are complete, and whether what they rest on still holds."""
    now = timezone.now()
    return [
        _check_identity_providers(),
        _check_discoveries(now),
        _check_domains(),
        _check_certificates(now),
        _check_applications(),
        _check_owners(),
        _check_secrets(now),
        _check_credentials(now),
        _check_flows(now),
    ]


def _check_identity_providers() -> Finding:
    name = "parties: identity providers"
    live = IdentityProvider.objects.filter(retired_at=None)
    count = live.count()
    if not count:
        return Finding(
            name, "warning", "0 are registered, so nobody can sign on", "Describe one and run manage.py apply"
        )
    useless = _named(live.filter(enabled=True).filter(_LACKS_METADATA), "slug")
    if useless:
        return Finding(name, "fault", f"enabled without usable metadata: {useless}", "Give their metadata")
    unregistered = _named(live.filter(enabled=True).filter(_LACKS_REGISTRATION), "slug")
    if unregistered:
        text = f"enabled without discovery document, client_id or secret: {unregistered}"
        return Finding(name, "fault", text, "Describe them wholly and run manage.py apply")
    enabled = live.filter(enabled=True).count()
    if not enabled:
        return Finding(name, "warning", f"none of {count} is enabled, so nobody can sign on", "Enable one")
    return Finding(name, "ok", f"{enabled} of {count} are enabled, each with metadata or a discovery document")


def _check_discoveries(now: datetime) -> Finding:
    name = "parties: discovery documents"
    live = IdentityProvider.objects.filter(protocol=IdentityProvider.Protocol.OIDC, retired_at=None, enabled=True)
    overdue = live.filter(discovered_at__lte=now - limits.DISCOVERY_OVERDUE)
    for one in overdue.exclude(discovery_problem="").order_by("slug")[:1]:
        hours = int(limits.DISCOVERY_OVERDUE.total_seconds() // 3600)
        text = f"not read for {hours} hours, of: {_named(overdue, 'slug')}; {one.slug}: {one.discovery_problem}"
        return Finding(name, "warning", text, "See whether the provider still answers; what was read last still serves")
    if slugs := _named(overdue, "slug"):
        return Finding(name, "warning", f"nobody reads them anew: {slugs}", "See whether the worker and beat run")
    return Finding(name, "ok", f"{live.count()} OpenID providers, each document read lately")


def _check_domains() -> Finding:
    name = "parties: domains"
    live = IdentityProvider.objects.filter(retired_at=None, enabled=True)
    speechless = _named(live.exclude(organisation__domains__proved_at__isnull=False), "slug")
    if speechless:
        text = f"identity providers of organisations without a proved domain: {speechless}; no e-mail of theirs counts"
        return Finding(name, "warning", text, "Name the organisation's domains and run manage.py apply")
    return Finding(name, "ok", f"the organisation of each of {live.count()} identity providers has a proved domain")


def _check_certificates(now: datetime) -> Finding:
    name = "parties: certificates"
    rows = list(IdentityProvider.objects.filter(retired_at=None, enabled=True).values_list("slug", "certificates"))
    ends = {
        slug: max(datetime.fromisoformat(certificate["not_after"]) for certificate in certificates)
        for slug, certificates in rows
        if certificates
    }
    ended = sorted(slug for slug, end in ends.items() if end <= now)
    ending = sorted(slug for slug, end in ends.items() if now < end < now + CERTIFICATE_WARNING)
    remedy = "Ask for their new metadata and run manage.py apply"
    if ended:
        return Finding(name, "warning", f"the last certificate has expired of: {listed(ended)}", remedy)
    if ending:
        text = f"the last certificate ends within {CERTIFICATE_WARNING.days} days of: {listed(ending)}"
        return Finding(name, "warning", text, remedy)
    return Finding(name, "ok", f"{len(ends)} identity providers have one that lasts {CERTIFICATE_WARNING.days} days")


def _check_applications() -> Finding:
    name = "parties: applications"
    live = Application.objects.filter(retired_at=None, enabled=True)
    count = live.count()
    if not count:
        text = "0 are registered and enabled, so there is nothing to sign on to"
        return Finding(name, "warning", text, "Describe one and run manage.py apply")
    with_client = live.filter(clients__kind=Client.Kind.SIGN_ON, clients__retired_at=None, clients__enabled=True)
    faceless = _named(live.exclude(pk__in=with_client.values("pk")).filter(service_provider=None), "slug")
    if faceless:
        return Finding(name, "warning", f"without an OpenID or SAML face: {faceless}", "Give them one, or retire them")
    return Finding(name, "ok", f"each of {count} has a face")


def _check_owners() -> Finding:
    name = "parties: owners"
    applications = Application.objects.filter(retired_at=None)
    clients = Client.objects.filter(retired_at=None, kind=Client.Kind.SERVICE)
    ownerless = [
        *applications.filter(owner="").values_list("slug", flat=True),
        *clients.filter(owner="").values_list("client_id", flat=True),
    ]
    if ownerless:
        return Finding(name, "warning", f"nobody owns: {listed(ownerless)}", "Name an owner for each")
    return Finding(name, "ok", f"{applications.count()} applications and {clients.count()} clients have an owner")


def _check_secrets(now: datetime) -> Finding:
    name = "parties: client secrets"
    live = ClientSecret.objects.filter(client__retired_at=None).exclude(expires_at__lte=now)
    overdue = _named(live.filter(rotate_by__lt=now.date()), "client__client_id")
    if overdue:
        text = f"secrets past the date by which they were to be rotated: {overdue}"
        return Finding(name, "warning", text, "Issue a new secret and end the old one")
    by_secret = (Client.Authentication.CLIENT_SECRET_BASIC, Client.Authentication.CLIENT_SECRET_POST)
    clients = Client.objects.filter(retired_at=None, enabled=True, kind=Client.Kind.SIGN_ON)
    without = clients.filter(authentication__in=by_secret).exclude(pk__in=live.values("client"))
    if without:
        text = f"clients for sign-on that have no live secret: {_named(without, 'client_id')}"
        return Finding(name, "fault", text, "Issue a secret in the console, or name one and run manage.py apply")
    return Finding(name, "ok", f"{live.count()} live secrets, none past its date")


def _check_credentials(now: datetime) -> Finding:
    name = "parties: client credentials"
    clients = Client.objects.filter(retired_at=None, enabled=True).prefetch_related("secrets").order_by("client_id")
    keyless = [client.client_id for client in clients if _lacks_means(client)]
    if keyless:
        text = f"clients that have nothing to authenticate with: {listed(keyless)}"
        return Finding(name, "warning", text, "Register their keys, certificates or workloads and run manage.py apply")
    by_tls = (Client.Authentication.TLS_CLIENT_AUTH, Client.Authentication.SELF_SIGNED_TLS_CLIENT_AUTH)
    certified = _named(clients.filter(authentication__in=by_tls), "client_id")
    if certified and not settings.CLIENT_CERTIFICATE_HEADER:
        text = f"nobody passes on the certificates by which these clients authenticate: {certified}"
        return Finding(name, "fault", text, "Set BROKER_CLIENT_CERTIFICATE_HEADER")
    soon = now + timedelta(days=max(limits.CREDENTIAL_EXPIRY_NOTICES))
    due = due_credentials(clients, now=now)
    ending = sorted({client.client_id for client, one in due if one.is_live and one.due_at and one.due_at <= soon})
    if ending:
        text = f"credentials end within {max(limits.CREDENTIAL_EXPIRY_NOTICES)} days, of: {listed(ending)}"
        return Finding(name, "warning", text, "Rotate them (manage.py rotate_secret, or a new certificate)")
    return Finding(name, "ok", f"{len(clients)} enabled clients, no credential of which ends soon")


def _lacks_means(client: Client) -> bool:
    """Whether its method is none of secrets, and what it needs is not registered."""
    try:
        check_means(client)
    except BadValue:
        return True
    return False


def _check_flows(now: datetime) -> Finding:
    name = "parties: flows"
    live = Flow.objects.filter(client__retired_at=None)
    flows = live.filter(is_draft=False)
    expired = _named(flows.filter(expires__lt=now.date()), "client__client_id")
    if expired:
        return Finding(
            name, "warning", f"flows have expired, of: {expired}", "Renew them with an approval, or retire them"
        )
    wanted = _named(live.filter(is_draft=True, owner="", state=Flow.State.PROPOSED), "client__client_id")
    if wanted:
        text = f"clients ask for what no flow allows: {wanted}"
        return Finding(name, "warning", text, "Complete or refuse the proposed flows in the console")
    proposed = flows.filter(state=Flow.State.PROPOSED).count()
    return Finding(name, "ok", f"{flows.count()} recorded, none expired, {proposed} only proposed")


def _named(rows: QuerySet[Any], field: str) -> str:
    """The rows by `field`, for a sentence; empty when there are none."""
    return listed(rows.order_by(field).values_list(field, flat=True).distinct())
