"""Who may ask for decisions, and about what: a client that is registered as an enforcement point, by what it proves."""

from collections.abc import Mapping
from dataclasses import dataclass

from broker.access.entities import Resource
from broker.access.models import DeclaredEntity, EnforcementPoint
from broker.registry.cache import parties
from broker.registry.models import Client

APPLICATION = "application"
API = "api"


@dataclass(frozen=True, slots=True)
class EnforcingClient:
    """A verified client that asks for decisions (a Caller). One without an enforcement point has no resource at all."""

    client: Client
    resource_types: Mapping[str, tuple[str, ...]]
    """{type of resource: the actions on it}"""
    own: Mapping[str, frozenset[str]]
    """{type that we know ourselves: the ids that are the client's}: its application, the APIs that it guards."""
    declared: frozenset[tuple[str, str]] = frozenset()
    """(side, type) of what is declared for it, so that nothing else is looked up."""
    point_id: int | None = None

    def may_ask(self, resource: Resource) -> bool:
        """Whether this resource is one of the caller's own."""
        if resource.type not in self.resource_types:
            return False
        return resource.id in self.own[resource.type] if resource.type in self.own else True

    def actions_on(self, resource: Resource) -> tuple[str, ...]:
        """The actions that a search for actions looks at."""
        return self.resource_types[resource.type] if self.may_ask(resource) else ()


def enforcing_client(client: Client) -> EnforcingClient:
    """What the client may ask about, from memory where nothing changed."""
    return parties.get(("enforcement_point", client.pk), lambda: _load(client))


def _load(client: Client) -> EnforcingClient:
    application = frozenset({client.application.slug}) if client.application else frozenset()
    guarded = frozenset(client.introspects.values_list("identifier", flat=True))
    own = {APPLICATION: application, API: guarded}
    point = EnforcementPoint.objects.filter(client=client).first()
    if point is None:
        return EnforcingClient(client, {}, own)
    declared = DeclaredEntity.objects.filter(point=point).order_by().values_list("side", "type").distinct()
    actions = {name: tuple(actions) for name, actions in point.resource_types.items()}
    return EnforcingClient(client, actions, own, frozenset(declared), point.pk)
