"""AuthZEN 1.0 on the wire: requests are parsed once into values of this room, and answers are written from them.

Whatever a request holds beyond what is read here is ignored, as section "JSON Serialization" demands.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from broker import limits
from broker.access.entities import Action, Evaluation, Resource, Subject
from broker.access.errors import InvalidAccessRequest
from broker.access.services import Decided, Semantic
from broker.keys.strict_json import NotStrictJson, read_object

JSON_TYPE = "application/json"
Json = Mapping[str, Any]


class Sought(StrEnum):
    """What a search looks for, as its address says."""

    SUBJECT = "subject"
    RESOURCE = "resource"
    ACTION = "action"


@dataclass(frozen=True, slots=True)
class Batch:
    """Several evaluations in the order of the request; in the place of one that cannot be evaluated stands why."""

    items: tuple[Evaluation | InvalidAccessRequest, ...]
    semantic: Semantic


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of the results is asked for. `limit` is None when the request does not say."""

    token: str = ""
    limit: int | None = None
    candidates: tuple[Subject | Resource | Action, ...] | None = None
    """What the caller wants judged, instead of what we know (`page.properties.candidates`)."""


@dataclass(frozen=True, slots=True)
class Search:
    """A search. What is sought has an empty id, and an action that is sought an empty name."""

    sought: Sought
    pattern: Evaluation
    page: Page = field(default_factory=Page)


def read_body(raw: bytes, *, content_type: str, charset: str | None = None) -> dict[str, Any]:
    """The JSON object of a request (section "HTTPS JSON Binding", RFC 7493). Raises InvalidAccessRequest."""
    if content_type != JSON_TYPE or (charset or "utf-8").lower() not in {"utf-8", "utf8"}:
        raise InvalidAccessRequest("Content-Type", f"{JSON_TYPE} in UTF-8")
    if not raw:
        raise InvalidAccessRequest("body", "a JSON object")
    try:
        return read_object(raw, depth=limits.ACCESS_JSON_DEPTH)
    except NotStrictJson as error:
        raise InvalidAccessRequest("body", f"one JSON object with each member once; {error}") from error


def read_evaluation(body: Json) -> Evaluation:
    """The request of an access evaluation. Raises InvalidAccessRequest."""
    return Evaluation(
        subject=_subject(_entity(body, "subject")),
        action=_action(_entity(body, "action")),
        resource=_resource(_entity(body, "resource")),
        context=_object(body, "context"),
    )


def read_evaluations(body: Json) -> Evaluation | Batch:
    """The request of several; without items it is the request of one. Raises InvalidAccessRequest.

    An item inherits whole top-level values and is judged by itself: only what is wrong at the top refuses them all.
    """
    semantic = _semantic(_object(body, "options"))
    items = body.get("evaluations", [])
    if not isinstance(items, list):
        raise InvalidAccessRequest("evaluations", "an array")
    if not items:
        return read_evaluation(body)
    if len(items) > limits.ACCESS_EVALUATIONS:
        raise InvalidAccessRequest("evaluations", f"at most {limits.ACCESS_EVALUATIONS} items")
    defaults = {name: body[name] for name in ("subject", "action", "resource", "context") if name in body}
    _check_defaults(defaults)
    return Batch(tuple(_read_item(item, defaults) for item in items), semantic)


def read_search(sought: Sought, body: Json) -> Search:
    """The request of a search. An id of what is sought is ignored. Raises InvalidAccessRequest."""
    pattern = Evaluation(
        subject=_subject(_entity(body, "subject"), is_sought=sought is Sought.SUBJECT),
        action=Action("") if sought is Sought.ACTION else _action(_entity(body, "action")),
        resource=_resource(_entity(body, "resource"), is_sought=sought is Sought.RESOURCE),
        context=_object(body, "context"),
    )
    return Search(sought, pattern, _page(_object(body, "page"), sought, pattern))


def write_decision(decided: Decided) -> dict[str, Any]:
    """One decision with its id and its reasons (section "Decision Context")."""
    context: dict[str, Any] = {"id": decided.decision_id}
    status = "200" if decided.verdict.decision else "403"
    if decided.reason_admin:
        context["reason_admin"] = {status: decided.reason_admin}
    if decided.reason_user:
        context["reason_user"] = {status: decided.reason_user}
    return {"decision": decided.verdict.decision, "context": context}


def write_fault(fault: InvalidAccessRequest) -> dict[str, Any]:
    """An item of a batch that could not be evaluated: closed, and why."""
    return {"decision": False, "context": {"error": {"status": fault.status, "message": fault.message}}}


def write_entity(entity: Subject | Resource | Action) -> dict[str, str]:
    """A result of a search."""
    return {"name": entity.name} if isinstance(entity, Action) else {"type": entity.type, "id": entity.id}


def _read_item(item: Any, defaults: Json) -> Evaluation | InvalidAccessRequest:
    if not isinstance(item, dict):
        return InvalidAccessRequest("evaluations", "an object as each item")
    try:
        return read_evaluation({**defaults, **item})
    except InvalidAccessRequest as fault:
        return fault


def _check_defaults(defaults: Json) -> None:
    """A default that could be nobody's value is wrong at the top, whether or not an item uses it."""
    if "subject" in defaults:
        _subject(_entity(defaults, "subject"))
    if "action" in defaults:
        _action(_entity(defaults, "action"))
    if "resource" in defaults:
        _resource(_entity(defaults, "resource"))
    _object(defaults, "context")


def _semantic(options: Json) -> Semantic:
    value = options.get("evaluations_semantic", Semantic.EXECUTE_ALL.value)
    try:
        return Semantic(value)
    except ValueError as error:
        raise InvalidAccessRequest(
            "options.evaluations_semantic", f"one of {', '.join(one.value for one in Semantic)}"
        ) from error


def _subject(entity: Json, *, is_sought: bool = False) -> Subject:
    return Subject(
        type=_text(entity, "subject.type", limits.ACCESS_NAME_CHARS),
        id="" if is_sought else _text(entity, "subject.id", limits.ACCESS_ID_CHARS),
        properties=_object(entity, "properties", place="subject.properties"),
    )


def _resource(entity: Json, *, is_sought: bool = False) -> Resource:
    return Resource(
        type=_text(entity, "resource.type", limits.ACCESS_NAME_CHARS),
        id="" if is_sought else _text(entity, "resource.id", limits.ACCESS_ID_CHARS),
        properties=_object(entity, "properties", place="resource.properties"),
    )


def _action(entity: Json) -> Action:
    return Action(
        name=_text(entity, "action.name", limits.ACCESS_NAME_CHARS),
        properties=_object(entity, "properties", place="action.properties"),
    )


def _page(page: Json, sought: Sought, pattern: Evaluation) -> Page:
    token, limit = page.get("token", ""), page.get("limit")
    if not isinstance(token, str):
        raise InvalidAccessRequest("page.token", "a string")
    # In Python true is a number, in JSON it is none.
    if "limit" in page and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 0):
        raise InvalidAccessRequest("page.limit", "a whole number of at least 0")
    properties = _object(page, "properties", place="page.properties")
    candidates = _candidates(properties, sought, pattern) if "candidates" in properties else None
    return Page(token, limit, candidates)


def _candidates(properties: Json, sought: Sought, pattern: Evaluation) -> tuple[Subject | Resource | Action, ...]:
    """Candidates as an evaluation would name them; one that stands twice is judged once.

    Their types are the type that is sought.
    """
    place = "page.properties.candidates"
    listed = properties["candidates"]
    if not isinstance(listed, list) or len(listed) > limits.ACCESS_SEARCH_CANDIDATES:
        raise InvalidAccessRequest(place, f"an array of at most {limits.ACCESS_SEARCH_CANDIDATES} objects")
    found: dict[str, Subject | Resource | Action] = {}
    for one in listed:
        if not isinstance(one, dict):
            raise InvalidAccessRequest(place, "an object as each candidate")
        if sought is Sought.ACTION:
            action = _action(one)
            found.setdefault(action.name, action)
        elif sought is Sought.SUBJECT:
            subject = _subject({"type": pattern.subject.type, **one})
            if subject.type != pattern.subject.type:
                raise InvalidAccessRequest(place, "candidates of the type that is sought")
            found.setdefault(subject.id, subject)
        else:
            resource = _resource({"type": pattern.resource.type, **one})
            if resource.type != pattern.resource.type:
                raise InvalidAccessRequest(place, "candidates of the type that is sought")
            found.setdefault(resource.id, resource)
    return tuple(found.values())


def _entity(body: Json, name: str) -> Json:
    if name not in body:
        raise InvalidAccessRequest(name, "an object")
    return _object(body, name)


def _object(body: Json, name: str, *, place: str = "") -> dict[str, Any]:
    """An object that may be absent; null is not the same as absent (section "JSON Payload Considerations")."""
    value = body.get(name, {})
    if not isinstance(value, dict):
        raise InvalidAccessRequest(place or name, "an object")
    return value


def _text(entity: Json, place: str, chars: int) -> str:
    value = entity.get(place.rpartition(".")[2])
    if not isinstance(value, str) or not 0 < len(value) <= chars:
        raise InvalidAccessRequest(place, f"a string of 1 to {chars} characters")
    return value


def write_batch(batch: Batch, results: Sequence[Decided]) -> dict[str, Any]:
    """The answers in the order of the request; a semantic that stops early leaves out what was not evaluated."""
    decided = iter(results)
    answers: list[dict[str, Any]] = []
    for item in batch.items:
        if isinstance(item, InvalidAccessRequest):
            answers.append(write_fault(item))
        else:
            answers.append(write_decision(next(decided)))
        if batch.semantic.ends_with(decision=answers[-1]["decision"]):
            break
    return {"evaluations": answers}


def evaluations_of(batch: Batch) -> list[Evaluation]:
    """What the engine has to judge: with `deny_on_first_deny` nothing behind an item that cannot be evaluated."""
    found = []
    for item in batch.items:
        if isinstance(item, InvalidAccessRequest):
            if batch.semantic.ends_with(decision=False):
                break
        else:
            found.append(item)
    return found
