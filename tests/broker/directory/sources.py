"""Sources that speak in the tests, in short."""

from typing import Any

from broker.actors import SYSTEM, Actor, ActorKind
from broker.directory.authority import Written, write_attributes
from broker.directory.models import Person
from broker.directory.sources import OPERATORS, Source, SourceKind
from broker.registry.cache import parties

HR, OTHER_HR = Source(SourceKind.SCIM, "workday"), Source(SourceKind.SCIM, "personio")
PAYROLL = Source(SourceKind.CSV, "payroll")
LOGIN, OTHER_LOGIN = Source(SourceKind.IDP, "acme-entra"), Source(SourceKind.IDP, "acme-okta")
OPERATOR = Actor(ActorKind.OPERATOR, "one@acme.example")
__all__ = ["HR", "LOGIN", "OPERATOR", "OPERATORS", "OTHER_HR", "OTHER_LOGIN", "PAYROLL", "fresh", "say"]


def say(source: Source, person: Person, **told: Any) -> Written:
    """A source says single values; None: that there is none. A tuple stands for itself."""
    values = {name: () if one is None else one if isinstance(one, tuple) else (str(one),) for name, one in told.items()}
    return write_attributes(person, values, source=source, evidence="journal:1", actor=SYSTEM)


def fresh(person: Person) -> Person:
    parties.forget()
    return Person.objects.get(pk=person.pk)
