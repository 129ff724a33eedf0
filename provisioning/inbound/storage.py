"""The core's view of people and groups: resources in, resources out (scim2_server.storage.ScimStorage)."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from scim2_models import NotImplementedException, Resource, ResourceType, ResponseParameters, SearchRequest
from scim2_server.storage import ScimStorage, SearchPage

from broker import limits
from broker.actors import Actor
from provisioning.inbound import description
from provisioning.inbound.filters import GROUP_COLUMNS, USER_COLUMNS, condition_of
from provisioning.inbound.group_changes import change_of_document
from provisioning.inbound.groups import Groups
from provisioning.inbound.journal import Journal
from provisioning.inbound.models import GroupRecord, Record, ScimSource
from provisioning.inbound.paging import Page, order_of, read_page, total_key, totals, within_time
from provisioning.inbound.people import People
from provisioning.inbound.records import live_records
from provisioning.inbound.representation import (
    groups_of,
    members_of,
    members_of_many,
    numbers_of_members,
    show_group,
    show_record,
)

USER = "User"
_NOT_STORED = ("id", "meta", "groups")


class DirectoryStorage(ScimStorage):
    """One source's people and groups, for one request."""

    supports_cursors = True

    def __init__(self, source: ScimSource, *, actor: Actor, journal: Journal) -> None:
        self.source = source
        self.journal = journal
        self.people = People(source, actor=actor, journal=journal)
        self.groups = Groups(source, actor=actor, journal=journal)

    @contextmanager
    def operation(self) -> Iterator[None]:
        """One operation is one transaction: record, person, group, events and journal."""
        with transaction.atomic():
            yield

    def get(
        self,
        resource_type: ResourceType,
        resource_id: str,
        *,
        response_parameters: ResponseParameters[Any] | None = None,
    ) -> Resource[Any]:
        """The resource. Without `response_parameters` it is about to be written, and others wait for it."""
        to_write = response_parameters is None
        if resource_type.name == USER:
            record = self.people.find(resource_id, to_write=to_write)
            groups = () if to_write else groups_of(self.source, [record.person_id]).get(record.person_id, ())
            return self._resource(USER, show_record(record, base_url="", groups=groups))
        group = self.groups.find(resource_id, to_write=to_write)
        members = members_of(group) if response_parameters is None or keeps_members(response_parameters) else None
        return self._resource("Group", show_group(group, base_url="", members=members))

    def search(
        self, resource_types: list[ResourceType], search_request: SearchRequest[Any], *, position: Any = None
    ) -> SearchPage:
        """One page of one type; a search over several at once is not offered."""
        if len(resource_types) != 1:
            raise NotImplementedException(detail="Search /Users or /Groups, one at a time")
        name = str(resource_types[0].name)
        page = self.page(name, search_request, position=position)
        shown = self.show_page(name, page, base_url="", parameters=search_request)
        return SearchPage(page.total, [self._resource(name, one) for one in shown], page.next, page.previous)

    def create(self, resource_type: ResourceType, resource: Resource[Any]) -> Resource[Any]:
        """Store it. Raises UniquenessException, InvalidValueException."""
        if resource_type.name == USER:
            record = self.people.create(document_of(resource))
            return self._resource(USER, show_record(record, base_url="", groups=()))
        group = self.groups.create(change_of_document(document_of(resource)))
        return self._resource("Group", show_group(group, base_url="", members=members_of(group)))

    def update(
        self, resource_type: ResourceType, resource: Resource[Any], *, expected_version: str | None = None
    ) -> Resource[Any]:
        """Replace its state. Raises NotFoundException, PreconditionFailedException, UniquenessException."""
        if resource_type.name == USER:
            record = self.people.find(str(resource.id), to_write=True)
            record = self.people.update(record, document_of(resource), expected_version=expected_version)
            return self._resource(USER, show_record(record, base_url="", groups=()))
        group = self.groups.find(str(resource.id), to_write=True)
        change = change_of_document({"members": [], **document_of(resource)})
        group = self.groups.change(group, change, expected_version=expected_version)
        return self._resource("Group", show_group(group, base_url="", members=members_of(group)))

    def delete(self, resource_type: ResourceType, resource_id: str, *, expected_version: str | None = None) -> None:
        """Delete it. Raises NotFoundException, PreconditionFailedException."""
        if resource_type.name == USER:
            self.people.delete(self.people.find(resource_id, to_write=True), expected_version=expected_version)
        else:
            self.groups.delete(self.groups.find(resource_id, to_write=True), expected_version=expected_version)

    def page(self, name: str, search: SearchRequest[Any], *, position: Any) -> Page[Any]:
        """The rows of one page. Raises InvalidFilterException, InvalidPathException, InvalidCursorException."""
        is_user = name == USER
        rows: QuerySet[Any] = live_records(self.source) if is_user else GroupRecord.objects.filter(source=self.source)
        columns, key = (USER_COLUMNS, "person_id") if is_user else (GROUP_COLUMNS, "uid")
        scans = 0
        if search.filter is not None:
            condition = condition_of(search.filter, model=description.model_of(name), source=self.source)
            rows, scans = rows.filter(condition.where), condition.scans
        order = order_of(search, columns, key=key, has_emails=is_user)
        model = Record if is_user else GroupRecord

        def newest() -> Any:
            changed = model._default_manager.filter(source=self.source).order_by("-changed_at")
            return changed.values_list("changed_at", flat=True).first()

        def total_of(found: QuerySet[Any]) -> int:
            return totals.get(total_key(name, self.source.pk, search), mark=newest, count=found.count)

        def read() -> Page[Any]:
            return read_page(rows, search, order, position=position, total_of=total_of)

        page: Page[Any] = within_time(read, scans=scans)
        return page if is_user or not keeps_members(search) else self.fitting(page)

    def show_page(
        self, name: str, page: Page[Any], *, base_url: str, parameters: ResponseParameters[Any]
    ) -> list[dict[str, Any]]:
        """The page's rows as they are answered."""
        if name == USER:
            groups = groups_of(self.source, [row.person_id for row in page.rows]) if page.rows else {}
            return [show_record(row, base_url=base_url, groups=groups.get(row.person_id, ())) for row in page.rows]
        members = members_of_many(page.rows) if keeps_members(parameters) else {}
        return [show_group(row, base_url=base_url, members=members.get(row.group_id)) for row in page.rows]

    def fitting(self, page: Page[Any]) -> Page[Any]:
        """The page of groups with as many as their members fit into one answer; the next page begins after them."""
        numbers = numbers_of_members(page.rows)
        fits, total = 0, 0
        for row in page.rows:
            total += numbers.get(row.group_id, 0)
            if fits and total > limits.SCIM_LIST_MEMBERS:
                break
            fits += 1
        return page if fits == len(page.rows) else page.shortened(fits)

    def _resource(self, name: str, shown: Mapping[str, Any]) -> Resource[Any]:
        meta = {key: value for key, value in shown["meta"].items() if key != "location"}
        model = description.model_of(name, self.source.dialect)
        return model.model_validate({**shown, "meta": meta})


def document_of(resource: Resource[Any]) -> dict[str, Any]:
    """What is kept of a resource: its JSON without what we say of it ourselves."""
    document: dict[str, Any] = resource.model_dump()
    for name in _NOT_STORED:
        document.pop(name, None)
    return document


def keeps_members(parameters: ResponseParameters[Any]) -> bool:
    """Whether the answer shows a group's members."""
    excluded = {str(path).lower().rpartition(":")[2] for path in parameters.excluded_attributes or ()}
    if parameters.attributes:
        return any(str(path).lower().rpartition(":")[2].startswith("members") for path in parameters.attributes)
    return "members" not in excluded
