"""What should be at a target: for a chunk of people in a few queries, and the same of what a target shows."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from broker.directory.attributes import NAMES
from broker.directory.models import Identifier, Person
from provisioning.outbound.mapping import (
    MANAGER,
    Document,
    attributes_of,
    differences,
    digest,
    project,
    write_document,
)
from provisioning.outbound.models import RemoteAccount, Target
from provisioning.outbound.scope import EXTERNAL_ID, belonging
from provisioning.scim.mapping import ENTERPRISE_SCHEMA, USER_SCHEMA

__all__ = ["Wanted", "differences", "digest_of_remote", "document_of_remote", "wanted_accounts"]

Aim = RemoteAccount.Aim
AIM_OF_LEAVERS = {
    Target.LeaverPolicy.DEACTIVATE: Aim.DISABLED,
    Target.LeaverPolicy.DELETE: Aim.GONE,
    Target.LeaverPolicy.KEEP: Aim.LEFT,
}
"""{policy of a target: what shall become of the account of somebody who left}"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What one person's account at one target should be.

    `document` is what the mapping writes of the person, `digest` its hash. `belongs` says whether the scope holds the
    person, active or not; `fault` why an account cannot be made.
    """

    person_id: UUID
    aim: RemoteAccount.Aim
    belongs: bool
    document: Document
    digest: str
    version: int
    fault: str = ""

    @property
    def should_exist(self) -> bool:
        """Whether an account may stand there: one that is closed may, and is not made only to be closed."""
        return self.aim in (Aim.PRESENT, Aim.DISABLED)

    @property
    def active(self) -> bool:
        """Whether the account shall let the person in."""
        return self.aim == Aim.PRESENT

    def body(self) -> dict[str, Any]:
        """The User to create (RFC 7643 section 4.1)."""
        schemas = [USER_SCHEMA, ENTERPRISE_SCHEMA] if ENTERPRISE_SCHEMA in self.document else [USER_SCHEMA]
        return {"schemas": schemas, "externalId": str(self.person_id), "active": self.active, **self.document}


def wanted_accounts(target: Target, people: Sequence[Person]) -> dict[UUID, Wanted]:
    """What should be at the target for these people. At most three queries, however many they are."""
    ids = [person.pk for person in people]
    belongs = set(Person.objects.filter(belonging(target.scope), pk__in=ids).values_list("pk", flat=True))
    mapping = target.mapping
    needed = attributes_of(mapping)
    identifiers = _identifiers(ids) if needed & set(Identifier.Kind.values) else {}
    managers = _managers(target, people) if MANAGER in mapping else {}
    return {
        person.pk: _wanted(
            target,
            person,
            values_of(person, identifiers.get(person.pk, {}), needed) | managers.get(person.pk, {}),
            belongs=person.pk in belongs,
        )
        for person in people
    }


def values_of(person: Person, identifiers: Mapping[str, str], needed: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The values in force of the attributes that are `needed`, and of no other."""
    found: dict[str, tuple[str, ...]] = {}
    for name in needed:
        if name in NAMES or name == EXTERNAL_ID:
            held = getattr(person, name)
            found[name] = (held,) if held else ()
        elif name in identifiers:
            found[name] = (identifiers[name],)
        else:
            found[name] = tuple(person.claims.get(name, ()))
    return found


def document_of_remote(target: Target, resource: Mapping[str, Any]) -> Document:
    """What the target shows of what the mapping writes."""
    return project(target.mapping, resource)


def digest_of_remote(target: Target, resource: Mapping[str, Any]) -> str:
    """The hash of that: equal to `Wanted.digest` when nothing differs."""
    return digest(project(target.mapping, resource))


def _wanted(target: Target, person: Person, values: Mapping[str, tuple[str, ...]], *, belongs: bool) -> Wanted:
    aim = Aim.PRESENT if belongs and person.is_active else AIM_OF_LEAVERS[Target.LeaverPolicy(target.leaver_policy)]
    document = write_document(target.mapping, values)
    fault = "" if "userName" in document or aim != Aim.PRESENT else "userName has no value"
    return Wanted(person.pk, aim, belongs, document, digest(document), person.version, fault)


def _identifiers(ids: Sequence[UUID]) -> dict[UUID, dict[str, str]]:
    found: dict[UUID, dict[str, str]] = {}
    for person_id, kind, value in Identifier.objects.filter(person__in=ids).values_list("person_id", "kind", "value"):
        found.setdefault(person_id, {})[kind] = value
    return found


def _managers(target: Target, people: Sequence[Person]) -> dict[UUID, dict[str, tuple[str, ...]]]:
    """The manager by the target's own id (RFC 7643 section 4.3), or nobody until they have an account there."""
    rule = target.mapping[MANAGER].split("|")
    named: dict[UUID, UUID] = {}
    for person in people:
        held = next((person.claims[name][0] for name in rule if person.claims.get(name)), "")
        try:
            named[person.pk] = UUID(held)
        except ValueError:
            continue
    accounts = RemoteAccount.objects.filter(target=target, person__in=set(named.values())).exclude(remote_id="")
    remote_ids = dict(accounts.values_list("person_id", "remote_id"))
    empty = dict.fromkeys(rule, ())
    return {
        person.pk: empty | ({rule[0]: (remote_ids[named[person.pk]],)} if named.get(person.pk) in remote_ids else {})
        for person in people
    }
