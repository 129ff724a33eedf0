"""Searches of AuthZEN 1.0: which subjects, resources or actions would be permitted.

Candidates are those that we know, or those that the caller sends. Each is judged by the engine as an evaluation would
be, so that a search finds exactly what evaluations permit. One request looks at a bounded number of them; where it
stops, its page token goes on.
"""

import hashlib
import json
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import Any

from broker import crypto, limits
from broker.access.authzen import Search, Sought
from broker.access.callers import EnforcingClient
from broker.access.declared import with_declared
from broker.access.entities import Action, Evaluation, Resource, Subject
from broker.access.models import DeclaredEntity
from broker.access.services import judge_many
from broker.actors import Actor
from broker.directory.models import Person
from broker.errors import BrokerError
from broker.events import catalogue
from broker.events.services import record
from broker.registry.models import Client
from broker.wording import in_words

CHUNK = 100
"""Candidates that are judged together."""
_SEAL_CONTEXT = "access.search.page_token"

Entity = Subject | Resource | Action


@dataclass(frozen=True, slots=True)
class Position:
    """Behind which candidate a search stands: the number of its source, and its key there ("" before the first)."""

    source: int = 0
    key: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """One page of results; an empty `next_token` is the end. `is_cut`: a bound ended the page, not its limit."""

    results: tuple[Entity, ...]
    next_token: str
    examined: int
    is_cut: bool


Source = Callable[[str, int], Sequence[tuple[str, Entity]]]
"""(key, count) -> at most `count` candidates behind that key, each with its own key, in an order that stays."""


def run_search(search: Search, *, caller: EnforcingClient, actor: Actor, now: datetime) -> Found:
    """One page of what is permitted; the book says who looked, and how far. Raises BrokerError("access.page_token")."""
    found = _find(search, caller=caller, now=now)
    record(
        catalogue.ACCESS_SEARCHED,
        actor=actor,
        sought=search.sought.value,
        found=len(found.results),
        examined=found.examined,
    )
    return found


def _find(search: Search, *, caller: EnforcingClient, now: datetime) -> Found:
    digest = _digest(search, caller)
    start, limit = _open_page(search, digest, now=now)
    walk = _walk(_sources(search, caller), start)
    found: list[Entity] = []
    position, examined = start, 0
    while examined < limits.ACCESS_SEARCH_CANDIDATES:
        chunk = list(islice(walk, min(CHUNK, limits.ACCESS_SEARCH_CANDIDATES - examined)))
        if not chunk:
            return Found(tuple(found), "", examined, is_cut=False)
        questions = [_question(search, candidate) for _, candidate in chunk]
        verdicts = judge_many(with_declared(questions, caller), caller=caller, now=now)
        for (behind, candidate), verdict in zip(chunk, verdicts, strict=True):
            if verdict.decision:
                if len(found) == limit:
                    token = _seal_page(digest, position, limit, now=now)
                    return Found(tuple(found), token, examined, is_cut=False)
                found.append(candidate)
            position, examined = behind, examined + 1
    is_cut = next(walk, None) is not None
    token = _seal_page(digest, position, limit, now=now) if is_cut else ""
    return Found(tuple(found), token, examined, is_cut=is_cut)


def _sources(search: Search, caller: EnforcingClient) -> list[Source]:
    """Where candidates come from. About what is not the caller's own there are none, known or not."""
    pattern = search.pattern
    if search.page.candidates is not None:
        return [_listed(search.page.candidates)]
    if search.sought is Sought.ACTION:
        return [_listed([Action(name) for name in caller.actions_on(pattern.resource)])]
    if search.sought is Sought.SUBJECT:
        if not caller.may_ask(pattern.resource):
            return []
        declared = _declared(caller, DeclaredEntity.Side.SUBJECT, pattern.subject.type)
        return [declared, *({"user": [_people], "client": [_clients]}.get(pattern.subject.type, []))]
    if pattern.resource.type in caller.own:
        ids = sorted(caller.own[pattern.resource.type]) if pattern.resource.type in caller.resource_types else []
        return [_listed([Resource(pattern.resource.type, one) for one in ids])]
    return [_declared(caller, DeclaredEntity.Side.RESOURCE, pattern.resource.type)]


def _walk(sources: Sequence[Source], start: Position) -> Iterator[tuple[Position, Entity]]:
    """The candidates behind a position, each with its own."""
    for number in range(start.source, len(sources)):
        key = start.key if number == start.source else ""
        is_full = True
        while is_full:
            chunk = sources[number](key, CHUNK)
            is_full = len(chunk) == CHUNK
            for key, candidate in chunk:
                yield Position(number, key), candidate


def _question(search: Search, candidate: Entity) -> Evaluation:
    """The evaluation that the caller would send: properties of the pattern are the candidate's, below its own."""
    pattern = search.pattern
    if isinstance(candidate, Subject):
        properties = {**pattern.subject.properties, **candidate.properties}
        return replace(pattern, subject=replace(candidate, properties=properties))
    if isinstance(candidate, Resource):
        properties = {**pattern.resource.properties, **candidate.properties}
        return replace(pattern, resource=replace(candidate, properties=properties))
    return replace(pattern, action=candidate)


def _listed(candidates: Sequence[Entity]) -> Source:
    def source(key: str, count: int) -> list[tuple[str, Entity]]:
        first = int(key) + 1 if key else 0
        return [(str(first + number), one) for number, one in enumerate(candidates[first : first + count])]

    return source


def _declared(caller: EnforcingClient, side: DeclaredEntity.Side, type_: str) -> Source:
    def source(key: str, count: int) -> list[tuple[str, Entity]]:
        if (side, type_) not in caller.declared:
            return []
        rows = DeclaredEntity.objects.filter(point_id=caller.point_id, side=side, type=type_, pk__gt=int(key or 0))
        make = Subject if side == DeclaredEntity.Side.SUBJECT else Resource
        return [(str(pk), make(type_, one)) for pk, one in rows.order_by("pk").values_list("pk", "entity_id")[:count]]

    return source


def _people(key: str, count: int) -> list[tuple[str, Entity]]:
    """People whose account is open."""
    people = Person.objects.filter(is_active=True).order_by("pk")
    if key:
        people = people.filter(pk__gt=uuid.UUID(key))
    ids = [str(pk) for pk in people.values_list("pk", flat=True)[:count]]
    return [(one, Subject("user", one)) for one in ids]


def _clients(key: str, count: int) -> list[tuple[str, Entity]]:
    """Clients that are in use."""
    rows = Client.objects.filter(enabled=True, retired_at=None, client_id__gt=key).order_by("client_id")
    return [(one, Subject("client", one)) for one in rows.values_list("client_id", flat=True)[:count]]


def _digest(search: Search, caller: EnforcingClient) -> str:
    """What a page token belongs to: the whole question but for the page, and who asks it."""
    candidates = search.page.candidates
    listed = None if candidates is None else [_written(one) for one in candidates]
    asked = [caller.client.client_id, search.sought.value, search.pattern.as_json(), listed]
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def _written(candidate: Entity) -> list[Any]:
    name = candidate.name if isinstance(candidate, Action) else candidate.id
    return [name, dict(candidate.properties)]


def _seal_page(digest: str, position: Position, limit: int, *, now: datetime) -> str:
    page = [digest, limit, position.source, position.key, int(now.timestamp())]
    return crypto.seal(json.dumps(page).encode(), context=_SEAL_CONTEXT)


def _open_page(search: Search, digest: str, *, now: datetime) -> tuple[Position, int]:
    """Where the search goes on, and its limit. A follow-up may leave out the limit, and may not change it."""
    asked = search.page.limit
    if not search.page.token:
        return Position(), limits.ACCESS_SEARCH_RESULTS if asked is None else min(asked, limits.ACCESS_SEARCH_RESULTS)
    try:
        sealed = crypto.unseal(search.page.token, context=_SEAL_CONTEXT)
    except crypto.UnsealError as error:
        raise BrokerError("access.page_token", expected="a page token of ours", actual="another value") from error
    was_for, limit, source, key, issued = json.loads(sealed)
    if was_for != digest:
        raise BrokerError("access.page_token", expected="the search that the token belongs to", actual="another search")
    if now.timestamp() - issued >= limits.ACCESS_PAGE_TOKEN_LIFETIME.total_seconds():
        raise BrokerError(
            "access.page_token", expected=f"within {in_words(limits.ACCESS_PAGE_TOKEN_LIFETIME)}", actual="later"
        )
    if asked is not None and min(asked, limits.ACCESS_SEARCH_RESULTS) != limit:
        raise BrokerError("access.page_token", expected=f"limit {limit}, or none", actual=f"limit {asked}")
    return Position(source, key), limit
