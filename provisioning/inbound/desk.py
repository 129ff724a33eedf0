"""One request of a source, answered: the core's flows, with what is read often put together by hand.

A read is a few statements and one dict; a write goes through the core's validation, and a group is changed as a set
without being loaded.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Any, cast

import structlog
from scim2_models import (
    BulkOperation,
    Context,
    Error,
    Meta,
    PatchOp,
    PayloadTooLargeException,
    PreconditionFailedException,
    Resource,
    ResourceType,
    ResponseParameters,
    SCIMException,
    SearchRequest,
)
from scim2_server.bulk import BulkPlan, BulkStep
from scim2_server.conditions import Conditions
from scim2_server.handler import ScimHandler
from scim2_server.requests import ScimRequest
from scim2_server.responses import ScimResponse
from scim2_server.routing import Operation
from scim2_server.service import BULK_SUCCESS_STATUS, ScimService

from broker import crypto
from provisioning.inbound import description
from provisioning.inbound.bodies import Body
from provisioning.inbound.errors import TooManyOperations, code_in, told
from provisioning.inbound.filters import as_identifier
from provisioning.inbound.group_changes import change_of_document, change_of_patch
from provisioning.inbound.journal import Asked, Journal
from provisioning.inbound.models import GroupRecord, Record, ScimSource
from provisioning.inbound.representation import (
    groups_of,
    members_of,
    show_group,
    show_record,
    version_of,
)
from provisioning.inbound.storage import USER, DirectoryStorage, document_of, keeps_members

log = structlog.get_logger(__name__)
LIST_SCHEMA = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
UNKNOWN_HEADER = "Countersign-Unknown-Members"
"""How many members of the request wait for a person of whom the source has not told."""


class Service(ScimService):
    """The protocol for one source: its cursors open for nobody else."""

    def __init__(self, source: ScimSource, *, trace_id: str) -> None:
        secret = crypto.derive_secret(f"source {source.pk}", purpose="scim-cursor")
        super().__init__(description.provider(source.dialect), secret=secret)
        self.trace_id = trace_id

    def error_of(self, exception: Exception) -> Error:  # type: ignore[override]  # a static method there
        """The error of one operation of a bulk."""
        refusal = told(exception)
        if refusal.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            log.error("scim operation failed", exc_info=exception)
        return Error.model_validate(refusal.body(trace_id=self.trace_id))

    def read_bulk(self, body: bytes, content_type: str | None) -> BulkPlan:
        """See the core. Raises TooManyOperations."""
        try:
            return super().read_bulk(body, content_type)
        except PayloadTooLargeException as error:
            raise TooManyOperations(detail=error.detail) from error  # the size was judged before

    def list_response(
        self, resource_type: ResourceType, search: SearchRequest[Any], page: Any, shown: list[dict[str, Any]]
    ) -> ScimResponse:
        """A page (RFC 7644 section 3.4.2, RFC 9865 section 2)."""
        body: dict[str, Any] = {"schemas": [LIST_SCHEMA]}
        if page.total is not None:
            body["totalResults"] = page.total
        body["itemsPerPage"] = len(shown)
        if search.cursor is None:
            body["startIndex"] = search.start_index
        else:
            for name, position in (("nextCursor", page.next), ("previousCursor", page.previous)):
                if sealed := self._seal([resource_type], search, position):
                    body[name] = sealed
        body["Resources"] = shown
        return ScimResponse(HTTPStatus.OK, body)


class Desk(ScimHandler):
    """Answers the requests of one source."""

    storage: DirectoryStorage
    service: Service

    def __init__(self, source: ScimSource, *, journal: Journal, body: Body) -> None:
        super().__init__(
            Service(source, trace_id=journal.actor.trace_id),
            DirectoryStorage(source, actor=journal.actor, journal=journal),
        )
        self.source = source
        self.journal = journal
        self.body = body

    # Reading

    def query(self, request: ScimRequest) -> ScimResponse:
        """GET of one resource."""
        with self.service.provider:
            target = self.service.route(request, Operation.query)
            resource_type = self.service.resource_type_at(cast(str, target.endpoint))
            parameters = self.service.read_response_parameters(resource_type, request.query)
            identifier = cast(str, target.resource_id)
            row = self._find(resource_type, identifier, to_write=False)
            if not self.service.read_conditions(request).check(version_of(row), "GET"):
                return ScimResponse(HTTPStatus.NOT_MODIFIED, None, {"ETag": version_of(row)})
            return self._answer(resource_type, row, request, parameters=parameters)

    def search(self, request: ScimRequest) -> ScimResponse:
        """GET of a list."""
        with self.service.provider:
            target = self.service.route(request, Operation.search)
            types = self.service.searched_types(target.endpoint)
            search, position = self.service.read_search_query(types, request.query)
            return self._list(types, search, position, request)

    def search_with_body(self, request: ScimRequest) -> ScimResponse:
        """POST of a search."""
        with self.service.provider:
            target = self.service.route(request, Operation.search_with_body)
            types = self.service.searched_types(target.endpoint)
            search, position = self.service.read_search_body(types, request.body, request.header("Content-Type"))
            return self._list(types, search, position, request)

    # Writing

    def create(self, request: ScimRequest) -> ScimResponse:
        """POST of a resource: 201 with its whole state."""
        with self.service.provider:
            target = self.service.route(request, Operation.create)
            resource_type = self.service.resource_type_at(cast(str, target.endpoint))
            resource = self.service.read_creation(resource_type, request.body, request.header("Content-Type"))
            with self.storage.operation():
                row = self._create(resource_type, resource)
                response = self._answer(resource_type, row, request, status=HTTPStatus.CREATED)
                self.journal.write_done(status=response.status)
            return response

    def replace(self, request: ScimRequest) -> ScimResponse:
        """PUT of a resource: 200 with its whole state."""
        with self.service.provider:
            target = self.service.route(request, Operation.replace)
            resource_type = self.service.resource_type_at(cast(str, target.endpoint))
            parameters = self.service.read_response_parameters(resource_type, request.query)
            conditions = self.service.read_conditions(request)
            replacement = self.service.read_replacement(resource_type, request.body, request.header("Content-Type"))
            with self.storage.operation():
                row = self._replace(resource_type, cast(str, target.resource_id), replacement, conditions)
                response = self._answer(resource_type, row, request, parameters=parameters)
                self.journal.write_done(status=response.status)
            return response

    def patch(self, request: ScimRequest) -> ScimResponse:
        """PATCH of a resource: 200 with a User's whole state, 204 for a group whose attributes nobody asked for."""
        with self.service.provider:
            target = self.service.route(request, Operation.patch)
            resource_type = self.service.resource_type_at(cast(str, target.endpoint))
            parameters = self.service.read_response_parameters(resource_type, request.query)
            conditions = self.service.read_conditions(request)
            patch = self.service.read_patch(resource_type, request.body, request.header("Content-Type"))
            with self.storage.operation():
                row = self._patch(resource_type, cast(str, target.resource_id), patch, conditions)
                if resource_type.name == USER or parameters.attributes or parameters.excluded_attributes:
                    response = self._answer(resource_type, row, request, parameters=parameters)
                else:
                    response = ScimResponse(HTTPStatus.NO_CONTENT, None, {"ETag": version_of(row)})
                self.journal.write_done(status=response.status)
            return response

    def delete(self, request: ScimRequest) -> ScimResponse:
        """DELETE of a resource."""
        with self.service.provider:
            target = self.service.route(request, Operation.delete)
            resource_type = self.service.resource_type_at(cast(str, target.endpoint))
            with self.storage.operation():
                self._delete(resource_type, cast(str, target.resource_id), self.service.read_conditions(request))
                self.journal.write_done(status=HTTPStatus.NO_CONTENT)
            return ScimResponse(HTTPStatus.NO_CONTENT)

    # Bulk: each operation is a transaction of its own, with its own entry in the journal.

    def bulk(self, request: ScimRequest) -> ScimResponse:
        """POST of many operations. Their number and size were judged before the first is done."""
        response = super().bulk(request)
        self.journal.begin(Asked("POST", "Bulk"))
        statuses = [str(one.get("status")) for one in (response.body or {}).get("Operations", ())]
        self.journal.effects.counts = {
            "operations": len(statuses),
            "refused": sum(not one.startswith("2") for one in statuses),
        }
        self.journal.write_done(status=response.status)
        return response

    def run_bulk_step(
        self, request: ScimRequest, plan: BulkPlan, step: BulkStep
    ) -> tuple[dict[str, Any], Resource[Any] | None]:
        """One operation, and its entry in the journal."""
        operation = plan.operation(step)
        steps = (operation.path or "").strip("/").split("/")
        subject = steps[-1] if as_identifier(steps[-1]) else ""
        asked = Asked(str(operation.method or ""), steps[0], subject)
        self.journal.begin(replace(asked, place=step.index + 1, sent=self.body.part(step.index)))
        fault = self.body.faults.get(step.index)
        if fault is None:
            outcome, resource = super().run_bulk_step(request, plan, step)
        else:
            outcome, resource = self.service.bulk_outcome(request.base_url, operation), None
            outcome = self.service.bulk_failure(outcome, fault)
        if outcome["status"] >= HTTPStatus.BAD_REQUEST:
            error = outcome["response"]
            code = code_in(error.detail or "")
            if not code:  # found wrong when the bulk was read
                error = self.service.error_of(SCIMException.from_error(error))
                outcome["response"], code = error, code_in(error.detail or "")
            self.journal.write_refused(status=int(outcome["status"]), code=code, detail=error.detail or "")
        return outcome, resource

    def apply_bulk_operation(
        self, resource_type: ResourceType, operation: BulkOperation[Resource[Any]]
    ) -> Resource[Any] | None:
        """One operation, inside its transaction."""
        method = cast(BulkOperation.Method, operation.method)
        conditions = Conditions(if_match=operation.version)
        identifier = operation.resource_id or ""
        row: Record | GroupRecord | None
        match method:
            case BulkOperation.Method.post:
                row = self._create(resource_type, cast(Resource[Any], operation.data))
            case BulkOperation.Method.put:
                row = self._replace(resource_type, identifier, cast(Resource[Any], operation.data), conditions)
            case BulkOperation.Method.patch:
                row = self._patch(resource_type, identifier, cast("PatchOp[Any]", operation.data), conditions)
            case _:
                self._delete(resource_type, identifier, conditions)
                row = None
        self.journal.write_done(status=BULK_SUCCESS_STATUS[method])
        return None if row is None else self._slim(resource_type, row)

    # The rows

    def _find(self, resource_type: ResourceType, identifier: str, *, to_write: bool) -> Record | GroupRecord:
        if resource_type.name == USER:
            return self.storage.people.find(identifier, to_write=to_write)
        return self.storage.groups.find(identifier, to_write=to_write)

    def _create(self, resource_type: ResourceType, resource: Resource[Any]) -> Record | GroupRecord:
        document = document_of(resource)
        if resource_type.name == USER:
            return self.storage.people.create(document)
        return self.storage.groups.create(change_of_document(document))

    def _replace(
        self, resource_type: ResourceType, identifier: str, replacement: Resource[Any], conditions: Conditions
    ) -> Record | GroupRecord:
        row = self._find(resource_type, identifier, to_write=True)
        _check(conditions, row)
        document = document_of(replacement)
        if isinstance(row, Record):
            # A PUT that does not speak of it neither opens nor closes an account.
            if "active" in row.document:
                document.setdefault("active", row.document["active"])
            return self.storage.people.update(row, document)
        if "members" in replacement.model_fields_set and "members" not in document:
            document["members"] = []  # said, and nobody: an empty list is left out of a document
        return self.storage.groups.change(row, change_of_document(document))

    def _patch(
        self, resource_type: ResourceType, identifier: str, patch: "PatchOp[Any]", conditions: Conditions
    ) -> Record | GroupRecord:
        row = self._find(resource_type, identifier, to_write=True)
        _check(conditions, row)
        if isinstance(row, GroupRecord):
            return self.storage.groups.change(row, change_of_patch(patch))
        model = self.service.get_model(resource_type)
        current = model.model_validate({**row.document, "id": str(row.person_id)})
        patch.patch(current)
        return self.storage.people.update(row, document_of(current))

    def _delete(self, resource_type: ResourceType, identifier: str, conditions: Conditions) -> None:
        row = self._find(resource_type, identifier, to_write=True)
        _check(conditions, row)
        if isinstance(row, Record):
            self.storage.people.delete(row)
        else:
            self.storage.groups.delete(row)

    # The answers

    def _list(
        self, types: list[ResourceType], search: SearchRequest[Any], position: Any, request: ScimRequest
    ) -> ScimResponse:
        if len(types) != 1:
            self.storage.search(types, search)  # refuses in its own words
        name = str(types[0].name)
        page = self.storage.page(name, search, position=position)
        shown = self.storage.show_page(name, page, base_url=request.base_url, parameters=search)
        if not _is_whole(search):
            shown = [self._project(types[0], one, search) for one in shown]
        self.journal.effects.count("found", len(shown))
        return self.service.list_response(types[0], search, page, shown)

    def _answer(
        self,
        resource_type: ResourceType,
        row: Record | GroupRecord,
        request: ScimRequest,
        *,
        parameters: ResponseParameters[Any] | None = None,
        status: HTTPStatus = HTTPStatus.OK,
    ) -> ScimResponse:
        if isinstance(row, Record):
            groups = groups_of(self.source, [row.person_id]).get(row.person_id, ())
            shown = show_record(row, base_url=request.base_url, groups=groups)
        else:
            members = members_of(row) if parameters is None or keeps_members(parameters) else None
            shown = show_group(row, base_url=request.base_url, members=members)
        location = shown["meta"]["location"]
        if parameters is not None and not _is_whole(parameters):
            shown = self._project(resource_type, shown, parameters)
        headers = {"ETag": version_of(row), "Content-Location": location}
        if status == HTTPStatus.CREATED:
            headers["Location"] = location
        return ScimResponse(status, shown, headers)

    def _project(
        self, resource_type: ResourceType, shown: Mapping[str, Any], parameters: ResponseParameters[Any]
    ) -> dict[str, Any]:
        """Only what was asked for (RFC 7644 section 3.9), and what is always returned."""
        resource = self.service.get_model(resource_type).model_validate(shown)
        dumped: dict[str, Any] = resource.model_dump(
            scim_ctx=Context.RESOURCE_QUERY_RESPONSE, response_parameters=parameters
        )
        return dumped

    def _slim(self, resource_type: ResourceType, row: Record | GroupRecord) -> Resource[Any]:
        """The resource with what a bulk's answer says of it: its id and version."""
        identifier = row.person_id if isinstance(row, Record) else row.uid
        model = self.service.get_model(resource_type)
        return model(id=str(identifier), meta=Meta(resource_type=resource_type.name, version=version_of(row)))


def _check(conditions: Conditions, row: Record | GroupRecord) -> None:
    """Raise PreconditionFailedException when the row is not the one that the client has read."""
    if not conditions.check(version_of(row), "PUT"):
        raise PreconditionFailedException


def _is_whole(parameters: ResponseParameters[Any]) -> bool:
    """Whether everything is answered, but for members that are left out anyway."""
    excluded = [str(path).lower() for path in parameters.excluded_attributes or ()]
    return not parameters.attributes and excluded in ([], ["members"])


def as_json(response: ScimResponse) -> bytes:
    """The body as it is sent."""
    return b"" if response.body is None else json.dumps(response.body, ensure_ascii=False).encode()
