"""Who belongs at a target, asked of the database.

A scope is {"everyone": true} or {"groups": [...], "attributes": {attribute: [values]}}, and "organisations": [slugs]
narrows either. Groups are named by their name or as `source/name`. Whoever is in one of the groups and has one of the
values of each attribute belongs there; nobody does where a scope is empty.
"""

from collections.abc import Mapping
from typing import Any

from django.db import models
from django.db.models import Exists, OuterRef, Q

from broker.directory.attributes import IDENTIFIERS, NAMES
from broker.directory.models import Identifier, Membership, Person
from broker.registry import values
from broker.registry.values import BadValue

KEYS = ("everyone", "organisations", "groups", "attributes")
EXTERNAL_ID = "external_id"


def check_scope(scope: object) -> dict[str, Any]:
    """The scope in its one form. Raises BadValue."""
    if not isinstance(scope, Mapping):
        raise BadValue("a scope is a mapping")
    if unknown := sorted(set(scope) - set(KEYS)):
        raise BadValue(f"{unknown[0]!r} is not one of {', '.join(KEYS)}")
    everyone = scope.get("everyone", False)
    if not isinstance(everyone, bool):
        raise BadValue("everyone is true or false")
    found: dict[str, Any] = {"everyone": True} if everyone else {}
    if organisations := _texts(scope, "organisations"):
        found["organisations"] = sorted({values.slug(one) for one in organisations})
    if groups := _texts(scope, "groups"):
        found["groups"] = sorted(set(groups))
    attributes = scope.get("attributes") or {}
    if not isinstance(attributes, Mapping):
        raise BadValue("attributes is {attribute: [values]}")
    if attributes:
        found["attributes"] = {
            values.claim_name(str(name)): sorted(set(_texts(attributes, name))) for name in sorted(attributes)
        }
        for name, held in found["attributes"].items():
            if not held:
                raise BadValue(f"attributes.{name} names no value")
    if everyone and (groups or attributes):
        raise BadValue("everyone belongs there already: leave groups and attributes out")
    if organisations and not (everyone or groups or attributes):
        raise BadValue("say who of the organisations: everyone, groups or attributes")
    return found


def belonging(scope: Mapping[str, Any]) -> Q:
    """The condition on people that this (checked) scope is."""
    if not (scope.get("everyone") or scope.get("groups") or scope.get("attributes")):
        return Q(pk__in=[])
    condition = Q()
    if organisations := scope.get("organisations"):
        condition &= Q(organisation__slug__in=organisations)
    if groups := scope.get("groups"):
        memberships = Membership.objects.filter(group_condition(groups, "group__"), person=OuterRef("pk"))
        condition &= Q(Exists(memberships))
    for attribute, wanted in (scope.get("attributes") or {}).items():
        condition &= _has(attribute, wanted)
    return condition


def group_condition(names: list[str], prefix: str = "") -> Q:
    """The condition on groups that these names are: `name`, or `source/name`."""
    condition = Q(**{f"{prefix}name__in": names})
    for text in names:
        source, slash, name = text.partition("/")
        if slash and ":" in source:
            condition |= Q(**{f"{prefix}source": source, f"{prefix}name": name})
    return condition


def _has(attribute: str, wanted: list[str]) -> Q:
    if attribute in NAMES or attribute == EXTERNAL_ID:
        return Q(**{f"{attribute}__in": wanted})
    if attribute in IDENTIFIERS:
        return Q(Exists(Identifier.objects.filter(person=OuterRef("pk"), kind=attribute, value__in=wanted)))
    return Q(_HoldsClaim(attribute, wanted))


class _HoldsClaim(models.Func):
    """Whether one of the values of a claim is among those wanted."""

    output_field = models.BooleanField()
    conditional = True

    def __init__(self, claim: str, wanted: list[str]) -> None:
        super().__init__(models.F("claims"))
        self.claim = claim
        self.wanted = tuple(wanted)

    @property
    def identity(self) -> tuple[Any, ...]:
        return (*super().identity, self.claim, self.wanted)

    def as_sqlite(self, compiler: Any, connection: Any, **_: Any) -> tuple[str, tuple[str | int, ...]]:
        del connection
        column, parameters = compiler.compile(self.source_expressions[0])
        places = ", ".join(["%s"] * len(self.wanted))
        path = f'$."{self.claim}"'
        return (
            f"EXISTS (SELECT 1 FROM json_each({column}, %s) WHERE json_each.value IN ({places}))",  # noqa: S608 - a column and placeholders
            (*parameters, path, *self.wanted),
        )

    def as_postgresql(self, compiler: Any, connection: Any, **_: Any) -> tuple[str, list[Any]]:
        del connection
        column, parameters = compiler.compile(self.source_expressions[0])
        return f"({column} -> %s) ?| %s::text[]", [*parameters, self.claim, list(self.wanted)]


def people_of(scope: Mapping[str, Any]) -> models.QuerySet[Person]:
    """Who belongs there, active or not."""
    return Person.objects.filter(belonging(scope))


def _texts(scope: Mapping[str, Any], name: str) -> list[str]:
    held = scope.get(name) or []
    if not isinstance(held, list) or not all(isinstance(one, str) and one.strip() for one in held):
        raise BadValue(f"{name} wants a list of texts")
    return held
