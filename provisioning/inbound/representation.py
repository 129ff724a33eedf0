"""Users and Groups as they are answered, put together by hand from what is stored: no model is built to be read."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db.models import Count, QuerySet

from broker.directory.models import Membership
from broker.statements import Parameter, Read
from provisioning.inbound.models import GroupRecord, Record, ScimSource
from provisioning.inbound.records import known_people
from provisioning.scim.mapping import GROUP_SCHEMA

Groups = Mapping[UUID, Sequence[tuple[UUID, str]]]
"""{person: [(uid of the group, its name)]}"""


def show_record(record: Record, *, base_url: str, groups: Sequence[tuple[UUID, str]]) -> dict[str, Any]:
    """The User that a source told of, with the groups of the same source."""
    identifier = str(record.person_id)
    document = record.document
    shown: dict[str, Any] = {"schemas": document["schemas"], "id": identifier}
    shown.update(document)
    if groups:
        shown["groups"] = [
            {"value": str(uid), "$ref": f"{base_url}/Groups/{uid}", "display": name, "type": "direct"}
            for uid, name in groups
        ]
    shown["meta"] = meta_of("User", record, f"{base_url}/Users/{identifier}")
    return shown


def show_group(group: GroupRecord, *, base_url: str, members: Iterable[UUID] | None) -> dict[str, Any]:
    """The Group that a source told of. None: its members were not asked for."""
    identifier = str(group.uid)
    shown: dict[str, Any] = {"schemas": [GROUP_SCHEMA], "id": identifier, "displayName": group.display}
    if group.external_id:
        shown["externalId"] = group.external_id
    if members is not None:
        shown["members"] = [
            {"value": str(person), "$ref": f"{base_url}/Users/{person}", "type": "User"} for person in members
        ]
    shown["meta"] = meta_of("Group", group, f"{base_url}/Groups/{identifier}")
    return shown


def meta_of(name: str, row: Record | GroupRecord, location: str) -> dict[str, Any]:
    """RFC 7643 section 3.1."""
    return {
        "resourceType": name,
        "created": written(row.created_at),
        "lastModified": written(row.changed_at),
        "location": location,
        "version": version_of(row),
    }


def version_of(row: Record | GroupRecord) -> str:
    """The weak entity tag (RFC 7644 section 3.14)."""
    return f'W/"{row.version}"'


def written(moment: datetime) -> str:
    """As SCIM's dateTime."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def groups_of(source: ScimSource, people: Sequence[UUID]) -> Groups:
    """The groups of these people that the source tells of, by name: one statement."""
    if len(people) == 1:
        rows = _GROUPS_OF_ONE.rows(source=source.pk, person=people[0])
    else:
        rows = list(_groups(Membership.objects.filter(person__in=people, group__scim_record__source=source)))
    found: dict[UUID, list[tuple[UUID, str]]] = {}
    for person, uid, display in rows:
        found.setdefault(person, []).append((uid, display))
    return found


def _groups(memberships: QuerySet[Membership]) -> Any:
    columns = ("person_id", "group__scim_record__uid", "group__scim_record__display")
    return memberships.order_by("group__scim_record__display_name").values_list(*columns)


_GROUPS_OF_ONE = Read[tuple[UUID, UUID, str]](
    lambda: _groups(
        Membership.objects.filter(
            person=Parameter(Membership, "person"), group__scim_record__source=Parameter(GroupRecord, "source")
        )
    )
)


def members_of(group: GroupRecord) -> list[UUID]:
    """Who is in the group, as far as its source knows them, in the order of ids."""
    return members_of_many([group])[group.group_id]


def numbers_of_members(groups: Sequence[GroupRecord]) -> dict[int, int]:
    """{row of the directory's group: how many are in it}, in one statement."""
    rows = Membership.objects.filter(group__in=[one.group_id for one in groups]).order_by().values_list("group")
    return dict(rows.annotate(number=Count("pk"))) if groups else {}


def members_of_many(groups: Sequence[GroupRecord]) -> dict[int, list[UUID]]:
    """{row of the directory's group: its members}, of groups of one source.

    Asked in two steps: right after many people or members came, PostgreSQL has no statistics of them, and would look
    through all records of the source for each member.
    """
    found: dict[int, list[UUID]] = {one.group_id: [] for one in groups}
    memberships = Membership.objects.filter(group__in=list(found)).order_by("person_id")
    rows = list(memberships.values_list("group", "person_id")) if groups else []
    known = known_people(groups[0].source_id, {person for _, person in rows}) if rows else set()
    for group, person in rows:
        if person in known:
            found[group].append(person)
    return found
