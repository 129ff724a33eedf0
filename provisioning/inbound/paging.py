"""Orders and pages of a list, by index (RFC 7644 section 3.4.2.4) or by cursor (RFC 9865), and how many there are.

A page is found by an index in its order. The number of results is only counted when the page does not tell it, and
then remembered for as long as nothing of the source changed, at most `limits.SCIM_TOTAL_AGE`: a list of a hundred
thousand is not counted anew for each of its pages.
"""

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Generic, TypeVar

from django.db import DatabaseError, connection, models, transaction
from django.db.models import F, Q, QuerySet
from scim2_models import InvalidCursorException, InvalidPathException, SearchRequest

from broker import limits
from provisioning.inbound.filters import Column, Kind, TooCostly, as_identifier

Row = TypeVar("Row", bound=models.Model)
SORTED_AS = {"emails": "emails.value", "emails.value": "emails.value", "emails.type": "emails.type"}
EMAIL_COLUMNS = {"emails.value": Column("email", Kind.FOLDED), "emails.type": Column("email_type", Kind.FOLDED)}


@dataclass(frozen=True, slots=True)
class Order:
    """By this column, if any, and then by id."""

    column: Column | None
    key: str
    """The column of the id."""
    is_descending: bool = False

    def fields(self, *, is_backward: bool = False) -> list[Any]:
        """For order_by: a row without a value comes last, and first in a descending order (RFC 7644 3.4.2.3)."""
        down = self.is_descending != is_backward
        steps: list[Any] = []
        if self.column is not None:
            steps.append(
                F(self.column.name).desc(nulls_first=True) if down else F(self.column.name).asc(nulls_last=True)
            )
        steps.append(f"-{self.key}" if down else self.key)
        return steps


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """Rows of one page, how many there are in all (None where a cursor does not say), and the pages around."""

    rows: list[Row]
    total: int | None
    next: Any = None
    previous: Any = None
    order: Order | None = None

    def shortened(self, length: int) -> "Page[Row]":
        """The beginning of the page; by a cursor, the next page begins after it."""
        if self.order is None or not length:
            return replace(self, rows=self.rows[:length])
        return replace(self, rows=self.rows[:length], next=_position("next", self.order, self.rows[length - 1]))


def order_of(search: SearchRequest[Any], columns: Mapping[str, Column], *, key: str, has_emails: bool = False) -> Order:
    """The order that a search asks for. Raises InvalidPathException for what cannot be sorted by."""
    if search.sort_by is None:
        return Order(None, key)
    name = _path_name(str(search.sort_by))
    column = columns.get(name)
    if column is None and has_emails and name in SORTED_AS:
        column = EMAIL_COLUMNS[SORTED_AS[name]]
    if column is None:
        raise InvalidPathException(path=name[:200], detail=f"{name[:200]} is not an attribute to sort by")
    return Order(column, key, is_descending=search.sort_order == SearchRequest.SortOrder.descending)


def read_page(
    rows: QuerySet[Row],
    search: SearchRequest[Any],
    order: Order,
    *,
    position: Any,
    total_of: Callable[[QuerySet[Row]], int],
) -> Page[Row]:
    """One page. `total_of` counts when it must."""
    count = limits.SCIM_PAGE if search.count is None else min(search.count, limits.SCIM_PAGE)
    if search.cursor is not None:
        return _by_cursor(rows, order, count, position)
    start = search.start_index_0 or 0
    if count == 0:
        return Page([], total_of(rows))
    found = _slice(rows, order, start, count + 1)
    if len(found) > count or (start and not found):
        return Page(found[:count], total_of(rows))
    return Page(found, start + len(found))


def within_time(read: Callable[[], Any], *, scans: int) -> Any:
    """What `read` returns; where no index serves the filter, within the time that it may take of the database.

    Raises TooCostly.
    """
    if not scans or connection.vendor != "postgresql":
        return read()
    try:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SELECT set_config('statement_timeout', %s, true)", [str(_milliseconds())])
            return read()
    except DatabaseError as error:
        if getattr(error.__cause__, "sqlstate", "") == "57014":  # query_canceled
            raise TooCostly from error
        raise


class Totals:
    """Numbers of results that this process counted, each with the mark of its source's newest change."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._found: OrderedDict[tuple[str, ...], tuple[Any, float, int]] = OrderedDict()

    def get(self, key: tuple[str, ...], *, mark: Callable[[], Any], count: Callable[[], int]) -> int:
        """The remembered number, else what `count` returns."""
        newest = mark()
        with self._lock:
            found = self._found.get(key)
            if found and found[0] == newest and self._clock() - found[1] < limits.SCIM_TOTAL_AGE.total_seconds():
                return found[2]
        total = count()
        with self._lock:
            self._found[key] = (newest, self._clock(), total)
            self._found.move_to_end(key)
            if len(self._found) > limits.SCIM_TOTALS_REMEMBERED:
                self._found.popitem(last=False)
        return total

    def forget(self) -> None:
        """Forget every number, as a new process would."""
        with self._lock:
            self._found.clear()


totals = Totals()


def total_key(kind: str, source_id: int, search: SearchRequest[Any]) -> tuple[str, ...]:
    """Under which a search's number is remembered; no value of the filter stands in it."""
    digest = hashlib.sha256(str(search.filter or "").encode()).hexdigest()
    return connection.alias, str(connection.settings_dict["NAME"]), kind, str(source_id), digest


def _slice(rows: QuerySet[Row], order: Order, start: int, count: int) -> list[Row]:
    ordered = rows.order_by(*order.fields())
    if not start:
        return list(ordered[:count])
    # What is skipped is skipped in the index, without its rows.
    chosen = ordered.values_list("pk")[start : start + count]
    return list(rows.model._default_manager.filter(pk__in=chosen).select_related(None).order_by(*order.fields()))


def _by_cursor(rows: QuerySet[Row], order: Order, count: int, position: Any) -> Page[Row]:
    """The page after, or before, the row that the position names."""
    if count == 0:
        return Page([], None)
    is_backward = False
    if position is not None:
        is_backward, where = _beyond(order, position)
        rows = rows.filter(where)
    found = list(rows.order_by(*order.fields(is_backward=is_backward))[: count + 1])
    has_more, found = len(found) > count, found[:count]
    if is_backward:
        found.reverse()
    if not found:
        return Page([], None)
    has_next = has_more if not is_backward else True
    has_previous = has_more if is_backward else position is not None
    return Page(
        found,
        None,
        next=_position("next", order, found[-1]) if has_next else None,
        previous=_position("previous", order, found[0]) if has_previous else None,
        order=order,
    )


def _position(direction: str, order: Order, row: models.Model) -> dict[str, Any]:
    value = getattr(row, order.column.name) if order.column else None
    if isinstance(value, datetime):
        value = value.isoformat()
    return {"d": direction, "k": value, "i": str(getattr(row, order.key))}


def _beyond(order: Order, position: Any) -> tuple[bool, Q]:
    """Whether the page goes backward, and the condition of the rows beyond the position."""
    try:
        direction, value, identifier = position["d"], position["k"], as_identifier(position["i"])
    except (KeyError, TypeError) as error:
        raise InvalidCursorException from error
    if direction not in {"next", "previous"} or identifier is None:
        raise InvalidCursorException
    is_backward = direction == "previous"
    is_down = order.is_descending != is_backward
    later = Q(**{f"{order.key}__{'lt' if is_down else 'gt'}": identifier})
    if order.column is None:
        return is_backward, later
    name = order.column.name
    nothing = Q(**{f"{name}__isnull": True})
    if value is None:
        # Rows without a value stand at the end, in a descending order at the beginning.
        return is_backward, (nothing & later) | (~nothing if is_down else Q(pk__in=()))
    if order.column.kind is Kind.MOMENT:
        value = datetime.fromisoformat(value)
    beyond = Q(**{f"{name}__{'lt' if is_down else 'gt'}": value}) | (Q(**{name: value}) & later)
    return is_backward, beyond if is_down else beyond | nothing


def _path_name(path: str) -> str:
    lower = path.lower()
    for core in ("user", "group"):
        lower = lower.removeprefix(f"urn:ietf:params:scim:schemas:core:2.0:{core}:")
    return lower


def _milliseconds() -> int:
    return int(limits.SCIM_FILTER_SECONDS * 1000)
