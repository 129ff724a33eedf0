"""What our directory and registry know of those whom a question names: a few entities, never a whole directory.

A person's own row is read at each question, so that a change counts at the next one; their groups are remembered
until a membership comes or goes. What we know of somebody is never taken from the caller.
"""

import json
import threading
import uuid
from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from django.db import connection
from django.db.models import Max, Sum

from broker import limits
from broker.access.attributes import EVERY, OWNED
from broker.access.entities import Evaluation
from broker.access.names import OURS, Unreadable, cedar_record, cedar_type
from broker.access.policy import Question
from broker.directory.models import Group, Identifier, Membership, Person
from broker.registry import values
from broker.registry.cache import parties
from broker.registry.models import Application, Client, IdentityProvider, Organisation
from broker.registry.services import find_client
from broker.registry.values import BadValue

GROUPS_REMEMBERED = 10_000
"""People whose groups one process remembers."""
_SINGLE_CLAIMS = ("department", "title", "employee_id")


@dataclass(frozen=True, slots=True)
class Known:
    """What we know of one subject or resource."""

    id: str
    attributes: Mapping[str, Any]
    parents: tuple[Mapping[str, str], ...] = ()
    tags: Mapping[str, list[str]] = field(default_factory=dict)


Slices = dict[tuple[str, str], Known]
"""{(AuthZEN type, id as the caller writes it): what we know}; who is not in it is not ours."""


def load_slices(evaluations: Iterable[Evaluation]) -> Slices:
    """What we know of everybody whom the questions name: a query for people, and one for groups not remembered."""
    named = {(one.type, one.id) for evaluation in evaluations for one in (evaluation.subject, evaluation.resource)}
    slices: Slices = {}
    people: defaultdict[uuid.UUID, list[str]] = defaultdict(list)
    for kind, identifier in named:
        if kind == "user" and (key := _person_key(identifier)):
            people[key].append(identifier)
        elif kind == "client" and (client := _find_client(identifier)):
            slices[kind, identifier] = _client(client)
        elif kind == "application" and (application := find_application(identifier)):
            slices[kind, identifier] = known_application(application)
    for key, person in _people(list(people)).items():
        for written in people[key]:
            slices["user", written] = person
    return slices


def write_question(evaluation: Evaluation, slices: Slices) -> Question:
    """The question as the engine takes it. Raises Unreadable."""
    subject, resource = evaluation.subject, evaluation.resource
    for text in (subject.type, subject.id, evaluation.action.name, resource.type, resource.id):
        if not 0 < len(text) <= limits.ACCESS_ID_CHARS:
            raise Unreadable(f"an id, a type or a name has 1 to {limits.ACCESS_ID_CHARS} characters")
    entities: dict[tuple[str, str], dict[str, Any]] = {}
    uids = []
    # The subject comes last: where both are the same, it is what it is as a subject.
    for one in (resource, subject):
        known = slices.get((one.type, one.id))
        uid = {"type": cedar_type(one.type), "id": known.id if known else one.id}
        entities[uid["type"], uid["id"]] = _entity(uid, one.type, known, cedar_record(one.properties))
        uids.append(uid)
    context = cedar_record(evaluation.context) | {"action": cedar_record(evaluation.action.properties)}
    return Question(
        principal=uids[1],
        action=evaluation.action.name,
        resource=uids[0],
        context=context,
        entities=list(entities.values()),
    )


def find_application(slug: str) -> Application | None:
    """The application under `slug`, enabled or not; None when there is none."""
    try:
        values.slug(slug)
    except BadValue:
        return None
    return parties.get(
        ("application", slug), lambda: Application.objects.filter(slug=slug, retired_at=None).order_by().first()
    )


def known_application(application: Application) -> Known:
    """What we know of an application."""
    attributes = {
        "enabled": application.enabled,
        "name": application.name,
        "kind": application.kind,
        "owner": application.owner,
    }
    return Known(application.slug, attributes)


def known_by_heart(person: Person) -> Known:
    """The little of a person that the built-in rules look at."""
    return Known(str(person.pk), {"active": person.is_active})


def known_person(person: Person) -> Known:
    """What we know of a person, from a row that was just read; identifiers and groups that were read with it count."""
    held = person.held_identifiers
    texts = {
        "organisation": _organisation_slug(person.organisation_id),
        "external_id": person.external_id,
        "name": person.name,
        "given_name": person.given_name,
        "family_name": person.family_name,
        "email": held.get(Identifier.Kind.EMAIL),
        "eppn": held.get(Identifier.Kind.EPPN),
    }
    providers = _providers()
    named = (_group_name(one.identity_provider_id, one.source, one.group, providers) for one in person.held_memberships)
    groups = sorted(name for name in named if name)
    return _known(str(person.pk), texts, person.claims, groups, is_active=person.is_active)


def _entity(uid: dict[str, str], kind: str, known: Known | None, told: dict[str, Any]) -> dict[str, Any]:
    owned = OWNED[kind] if known else EVERY
    attributes = {name: value for name, value in told.items() if name not in owned}
    attributes |= {"id": uid["id"], "known": known is not None}
    entity: dict[str, Any] = {"uid": uid, "attrs": attributes, "parents": []}
    if known:
        attributes |= known.attributes
        entity["parents"] = list(known.parents)
        if known.tags:
            entity["tags"] = dict(known.tags)
    return entity


def _person_key(identifier: str) -> uuid.UUID | None:
    """The key that a text stands for, however it is written: another spelling is nobody else."""
    try:
        return uuid.UUID(identifier) if len(identifier) <= limits.ACCESS_ID_CHARS else None
    except ValueError:
        return None


def _find_client(client_id: str) -> Client | None:
    try:
        values.client_id(client_id)
    except BadValue:
        return None
    return find_client(client_id)


def _client(client: Client) -> Known:
    attributes: dict[str, Any] = {"active": client.enabled, "kind": client.kind, "owner": client.owner}
    if client.application is not None:
        attributes["application"] = {"__entity": {"type": OURS["application"], "id": client.application.slug}}
    return Known(client.client_id, attributes)


# By hand: the ORM takes longer to write this query than the database to answer it, at each decision.
_TABLES = {
    "person": Person._meta.db_table,
    "organisation": Organisation._meta.db_table,
    "identifier": Identifier._meta.db_table,
    "membership": Membership._meta.db_table,
}
_PEOPLE_SQL = """
SELECT p.id, p.is_active, p.external_id, p.name, p.given_name, p.family_name, p.claims, o.slug,
  (SELECT i.value FROM {identifier} i WHERE i.person_id = p.id AND i.kind = 'email'),
  (SELECT i.value FROM {identifier} i WHERE i.person_id = p.id AND i.kind = 'eppn'),
  (SELECT COUNT(*) FROM {membership} m WHERE m.person_id = p.id),
  (SELECT MAX(m.id) FROM {membership} m WHERE m.person_id = p.id),
  (SELECT MAX(m.since) FROM {membership} m WHERE m.person_id = p.id)
FROM {person} p JOIN {organisation} o ON o.id = p.organisation_id WHERE p.id IN (%s)
""".format(**_TABLES)  # noqa: S608 - the names of our own tables


def _people(keys: list[uuid.UUID]) -> dict[uuid.UUID, Known]:
    if not keys:
        return {}
    adapt = Person._meta.pk.get_db_prep_value
    with connection.cursor() as cursor:
        cursor.execute(_PEOPLE_SQL % ", ".join(["%s"] * len(keys)), [adapt(key, connection) for key in keys])
        rows = [(uuid.UUID(str(row[0])), *row[1:]) for row in cursor.fetchall()]
    renamed = _renamed()
    memberships = _groups.of({row[0]: (*row[10:13], renamed) for row in rows})
    return {row[0]: _person(row, memberships[row[0]]) for row in rows}


def _person(row: tuple[Any, ...], groups: tuple[str, ...]) -> Known:
    key, is_active, external_id, name, given_name, family_name, written, organisation, email, eppn = row[:10]
    claims = json.loads(written) if isinstance(written, str) else written
    texts = {
        "organisation": organisation,
        "external_id": external_id,
        "name": name,
        "given_name": given_name,
        "family_name": family_name,
        "email": email,
        "eppn": eppn,
    }
    return _known(str(key), texts, claims, groups, is_active=bool(is_active))


def _known(
    key: str, texts: Mapping[str, str | None], claims: Mapping[str, Any], groups: Iterable[str], *, is_active: bool
) -> Known:
    tags = {claim: [one for one in held if isinstance(one, str)] for claim, held in claims.items()}
    attributes: dict[str, Any] = {name: text for name, text in texts.items() if text}
    attributes |= {claim: tags[claim][0] for claim in _SINGLE_CLAIMS if tags.get(claim)}
    attributes["active"] = is_active
    return Known(key, attributes, tuple({"type": OURS["group"], "id": group} for group in groups), tags)


_State = tuple[Any, ...]
"""How many memberships somebody has, the greatest id and the latest beginning among them; and the last renaming."""
_Named = tuple[uuid.UUID | None, str, str]
"""A group: its identity provider, or else its source; and its name."""


class _Groups:
    """The groups of people, `<who tells of them>/<name>`, remembered until the state of their memberships differs.

    Memberships are added and removed, never changed, so no change goes unseen. (An id alone would not do: SQLite
    gives out that of a transaction which was rolled back once more.)
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: OrderedDict[uuid.UUID, tuple[_State, tuple[_Named, ...]]] = OrderedDict()

    def of(self, people: Mapping[uuid.UUID, _State]) -> dict[uuid.UUID, tuple[str, ...]]:
        """The groups of each, given the states of their memberships."""
        with self._lock:
            held = {key: self._held.get(key) for key in people}
        found = {key: one[1] for key, one in held.items() if one and one[0] == people[key]}
        found |= {key: () for key, state in people.items() if not state[0]}
        missing = [key for key in people if key not in found]
        if missing:
            read: defaultdict[uuid.UUID, list[_Named]] = defaultdict(list)
            for key, provider, source, name in (
                Membership.objects.filter(person_id__in=missing)
                .order_by()
                .values_list("person_id", "group__identity_provider_id", "group__source", "group__name")
            ):
                read[key].append((provider, source, name))
            with self._lock:
                for key in missing:
                    found[key] = tuple(read[key])
                    self._held[key] = (people[key], found[key])
                    self._held.move_to_end(key)
                while len(self._held) > GROUPS_REMEMBERED:
                    self._held.popitem(last=False)
        providers = _providers() if any(found.values()) else _Providers({}, frozenset())
        return {
            key: tuple(sorted(text for named in groups if (text := _group_name(*named, providers))))
            for key, groups in found.items()
        }


_groups = _Groups()


class _Providers(NamedTuple):
    """Identity providers: {id: slug} of those in use, and every slug that ever was one's."""

    in_use: Mapping[uuid.UUID, str]
    slugs: frozenset[str]


def _group_name(provider: uuid.UUID | None, source: str, name: str, providers: _Providers) -> str:
    """As policies name it; "" where nobody tells of it any more."""
    if provider is not None:
        return f"{providers.in_use[provider]}/{name}" if provider in providers.in_use else ""
    slug = source.partition(":")[2]
    # A feed that is called as an identity provider is, or was, gives no membership in that one's groups.
    return f"{source if slug in providers.slugs else slug}/{name}" if slug else ""


def _renamed() -> tuple[Any, ...]:
    """When groups got other names, which no membership shows."""
    renamed = Group.objects.exclude(renamed_at=None)
    return parties.get(
        ("groups_renamed",), lambda: tuple(renamed.aggregate(at=Max("renamed_at"), versions=Sum("version")).values())
    )


def _providers() -> _Providers:
    """What one that is not in use said of groups counts no more; its name is nobody else's all the same."""
    return parties.get(("identity_providers",), _read_providers)


def _read_providers() -> _Providers:
    rows = list(IdentityProvider.objects.order_by().values_list("pk", "slug", "enabled", "retired_at"))
    in_use = {key: slug for key, slug, is_enabled, retired_at in rows if is_enabled and retired_at is None}
    return _Providers(in_use, frozenset(row[1] for row in rows))


def _organisation_slug(organisation_id: int) -> str:
    return parties.get(
        ("organisation_slug", organisation_id),
        lambda: Organisation.objects.values_list("slug", flat=True).get(pk=organisation_id),
    )
