"""Finding parties, from memory where nothing changed.

What no party could be called is asked neither of the memory, which strangers would fill with it, nor of the database.
"""

from collections.abc import Callable
from uuid import UUID

from broker import limits
from broker.registry import values
from broker.registry.cache import parties
from broker.registry.models import Client, Domain, Flow, HomeRealmDomain, IdentityProvider, Resource, ServiceProvider
from broker.registry.values import BadValue
from broker.statements import Parameter, Read


def find_identity_provider(slug: str) -> IdentityProvider | None:
    """The identity provider under `slug`, enabled or not, with its organisation; None when there is none."""
    if not _can_be(values.slug, slug):
        return None
    return parties.get(
        ("identity_provider", slug),
        lambda: _IDENTITY_PROVIDER.first(slug=slug),
    )


def identity_provider_of(pk: UUID) -> IdentityProvider:
    """The identity provider that a session or a grant refers to, in use or not, with its organisation."""
    return parties.get(
        ("identity_provider_of", pk),
        lambda: IdentityProvider.objects.select_related("organisation").defer("metadata").get(pk=pk),
    )


def find_client(client_id: str) -> Client | None:
    """The client under `client_id`, enabled or not, with its application and secrets; None when there is none."""
    return parties.get(
        ("client", client_id),
        lambda: (
            Client.objects.select_related("application")
            .prefetch_related("secrets")
            .filter(client_id=client_id, retired_at=None)
            .order_by()
            .first()
        ),
    )


def find_resource(identifier: str) -> Resource | None:
    """The resource under `identifier`, letter by letter, with its introspectors; None when there is none."""
    if not _can_be(values.resource_identifier, identifier):
        return None
    return parties.get(
        ("resource", identifier),
        lambda: Resource.objects.prefetch_related("introspectors").filter(identifier=identifier).order_by().first(),
    )


def flows_of(client_id: int, resource_id: int) -> tuple[Flow, ...]:
    """The registered flows of a client to a resource (both by primary key), approved or not, one for each grant.

    What only a request asked for is not among them. Their ends are judged at each use.
    """
    return parties.get(
        ("flows", client_id, resource_id),
        lambda: tuple(Flow.objects.filter(client_id=client_id, resource_id=resource_id, is_draft=False).order_by("pk")),
    )


def find_workload_clients(issuer: str, subject: str) -> list[str]:
    """The client_ids of the clients for which that subject of that platform stands, whatever their state."""
    by_workload = parties.get(("workload_clients",), _clients_by_workload)
    return by_workload.get((issuer, subject), [])


def find_home_realm(domain: str) -> IdentityProvider | None:
    """The enabled identity provider to which the e-mail domain `domain` leads."""
    if not _can_be(values.domain, domain):
        return None
    slug = parties.get(
        ("home_realm", domain.lower()),
        lambda: _HOME_REALM.first(name=domain.lower()),
    )
    found = find_identity_provider(slug[0]) if slug else None
    return found if found and found.is_in_use else None


def find_only_identity_provider() -> IdentityProvider | None:
    """The one enabled identity provider, when there is exactly one."""
    found = parties.get(
        ("only_identity_provider",),
        lambda: list(
            IdentityProvider.objects.select_related("organisation").filter(
                enabled=True, retired_at=None, organisation__enabled=True
            )[:2]
        ),
    )
    return found[0] if len(found) == 1 else None


def proved_domains(organisation_id: int) -> frozenset[str]:
    """The domains, in lower case, for which the organisation's identity providers may speak."""
    return parties.get(
        ("proved_domains", organisation_id),
        lambda: frozenset(name for (name,) in _PROVED_DOMAINS.rows(organisation=organisation_id)),
    )


def find_service_provider(entity_id: str) -> ServiceProvider | None:
    """The SAML face under `entity_id`, with its application, enabled or not; None when there is none."""
    if not 0 < len(entity_id) <= limits.SAML_ENTITY_ID_CHARS:
        return None
    return parties.get(
        ("service_provider", entity_id),
        lambda: _SERVICE_PROVIDER.first(entity_id=entity_id),
    )


def find_service_provider_of(slug: str) -> ServiceProvider | None:
    """The SAML face of the application under `slug`, with the application; None when there is none."""
    if not _can_be(values.slug, slug):
        return None
    return parties.get(
        ("service_provider_of", slug),
        lambda: (
            ServiceProvider.objects.select_related("application")
            .filter(application__slug=slug, application__retired_at=None)
            .order_by()
            .first()
        ),
    )


def every_proved_domain() -> tuple[str, ...]:
    """The domains, in lower case, for which anybody here may speak."""
    return parties.get(
        ("every_proved_domain",),
        lambda: tuple(
            Domain.objects.filter(proved_at__isnull=False, organisation__retired_at=None)
            .order_by("name")
            .values_list("name", flat=True)
        ),
    )


def _clients_by_workload() -> dict[tuple[str, str], list[str]]:
    """One memory of them all: issuers and subjects come from strangers, who would fill one memory each."""
    found: dict[tuple[str, str], list[str]] = {}
    rows = Client.objects.filter(retired_at=None).exclude(workload={}).order_by("client_id")
    for client_id, workload in rows.values_list("client_id", "workload"):
        found.setdefault((workload["issuer"], workload["subject"]), []).append(client_id)
    return found


def _can_be(judge: Callable[[str], str], text: str) -> bool:
    try:
        judge(text)
    except BadValue:
        return False
    return True


_IDENTITY_PROVIDER = Read[IdentityProvider](
    lambda: (
        IdentityProvider.objects.select_related("organisation")
        .defer("metadata")
        .filter(slug=Parameter(IdentityProvider, "slug"), retired_at=None)
        .order_by()
    )
)
_HOME_REALM = Read[tuple[str]](
    lambda: (
        HomeRealmDomain.objects.filter(name=Parameter(HomeRealmDomain, "name"), identity_provider__retired_at=None)
        .order_by()
        .values_list("identity_provider__slug")
    )
)
_PROVED_DOMAINS = Read[tuple[str]](
    lambda: (
        Domain.objects.filter(organisation=Parameter(Domain, "organisation"), proved_at__isnull=False)
        .order_by()
        .values_list("name")
    )
)
_SERVICE_PROVIDER = Read[ServiceProvider](
    lambda: (
        ServiceProvider.objects.select_related("application")
        .filter(entity_id=Parameter(ServiceProvider, "entity_id"))
        .order_by()
    )
)
