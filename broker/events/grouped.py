"""Rows of requests at the same moment, committed together: each waits for the one commit that holds its own.

A commit costs the same for one row as for hundreds. So the first request to come writes its row at once, and
whatever gathers meanwhile is written by the next one in line, in one statement. There is no thread beside the requests
and nothing to drain: what is not committed has a request that waits for it, and whose answer has not left.
"""

import os
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from threading import Event as Signal
from threading import Lock
from typing import Any, Generic, TypeVar

from django.db import (
    DEFAULT_DB_ALIAS,
    DatabaseError,
    DataError,
    IntegrityError,
    InterfaceError,
    OperationalError,
    connection,
    connections,
    models,
)

from broker import limits
from broker.actors import Actor
from broker.errors import BrokerError
from broker.events.catalogue import EventType
from broker.events.models import Event
from broker.events.services import COUNTED, as_event, insert_event

Row = TypeVar("Row")
STALE_CONNECTIONS = 20
"""A pool's worth: after a restart of the database each of its connections fails once, before anything is sent."""


def record_durably(
    event_type: EventType,
    *,
    actor: Actor,
    subject: tuple[str, object] = ("", ""),
    connection: str = "",
    application: str = "",
    code: str = "",
    **details: Any,
) -> None:
    """As `record`, for an event that stands for itself: on return it is committed, together with others. Nobody is
    left a notice of it.

    Within a transaction, and on SQLite, it is written as any other. Raises BrokerError (service.unavailable) when too
    many wait, and DatabaseError when it could not be committed: then what it reports must not happen.
    """
    values = {
        "actor": actor,
        "subject": subject,
        "connection": connection,
        "application": application,
        "code": code,
        **details,
    }
    event = as_event(event_type, **values)
    if not may_group():
        insert_event(event)
        return
    committing.commit(event)
    COUNTED.labels(event_type.name, connection, code).inc()


@dataclass(slots=True, eq=False)
class _Waiting(Generic[Row]):
    """One request in line: its turn comes when its row is settled, or when it has to write for all in line."""

    row: Row
    turn: Signal = field(default_factory=Signal)
    is_settled: bool = False
    error: Exception | None = None


class GroupCommit(Generic[Row]):
    """A line of rows. `write` commits all that it is given or none, and raises DatabaseError."""

    def __init__(self, write: Callable[[Sequence[Row]], None]) -> None:
        self._write = write
        self.begin_anew()

    def begin_anew(self) -> None:
        """As in a new process: nobody waits, nobody writes."""
        self._lock = Lock()
        self._line: deque[_Waiting[Row]] = deque()
        self._is_led = False

    def commit(self, row: Row) -> None:
        """Return once `row` is committed. Raises BrokerError, DatabaseError."""
        waiting = _Waiting(row)
        with self._lock:
            if len(self._line) >= limits.EVENTS_IN_LINE:
                expected = f"at most {limits.EVENTS_IN_LINE} events in line"
                raise BrokerError("service.unavailable", detail="too many events wait for a commit", expected=expected)
            self._line.append(waiting)
            leads, self._is_led = not self._is_led, True
        if not leads and not waiting.turn.wait(limits.EVENT_COMMIT_WAIT.total_seconds()):
            self._give_up(waiting)
        if not waiting.is_settled:
            self._lead()
        if waiting.error is not None:
            raise OperationalError("the row was not committed") from waiting.error

    def _give_up(self, waiting: _Waiting[Row]) -> None:
        """Leave the line. What is being written now may yet be committed: a row too many, never one too few."""
        with self._lock:
            if waiting.turn.is_set():
                return
            if waiting in self._line:
                self._line.remove(waiting)
        raise OperationalError("no commit within the time that a request waits")

    def _lead(self) -> None:
        """Write what is in line, for all who wait, and hand over to who came meanwhile."""
        with self._lock:
            group = [self._line.popleft() for _ in range(min(len(self._line), limits.EVENTS_PER_COMMIT))]
        for waiting in group:
            waiting.error = OperationalError("the request that wrote the row was interrupted")
        try:
            for waiting, error in zip(group, self._outcomes([one.row for one in group]), strict=True):
                waiting.error = error
        finally:
            with self._lock:
                successor = self._line[0] if self._line else None
                self._is_led = successor is not None
                if successor is not None:
                    successor.turn.set()
            for waiting in group:
                waiting.is_settled = True
                waiting.turn.set()

    def _outcomes(self, rows: list[Row]) -> list[Exception | None]:
        """What became of each. A row that the database cannot take fails alone."""
        try:
            self._write(rows)
        except (DataError, IntegrityError) as error:
            return [error] if len(rows) == 1 else [self._outcomes([row])[0] for row in rows]
        except DatabaseError as error:
            return [error] * len(rows)
        return [None] * len(rows)


def may_group() -> bool:
    """Whether a row can be committed by another request's connection: not within a transaction, nor on SQLite."""
    database = connections[DEFAULT_DB_ALIAS]  # `connection` looks it up anew at each attribute
    # Who has no connection yet is in no transaction, and needs none when another writes the row.
    is_open = database.connection is not None
    return database.vendor == "postgresql" and not database.in_atomic_block and (database.autocommit or not is_open)


def copy_rows(written: Sequence[models.Model]) -> None:
    """One COPY in a transaction of its own, on this request's connection; on another where that one proves stale.

    The rows are of one model. They get no id back that the database gives out.
    """
    model = type(written[0])
    for _ in range(STALE_CONNECTIONS):
        connection.ensure_connection()
        is_begun = False
        try:
            with connection.wrap_database_errors, connection.cursor() as cursor, cursor.copy(_copy_sql(model)) as rows:
                is_begun = True
                for one in written:
                    values = [
                        field.get_db_prep_save(getattr(one, field.attname), connection) for field in _fields(model)
                    ]
                    rows.write_row(values)
        except (OperationalError, InterfaceError):
            # Where COPY has not begun nothing was sent, so that nothing can be committed twice.
            is_stale = not is_begun and connection.connection is not None and connection.connection.closed
            if not is_stale:
                raise
            connection.close()
        else:
            return
    raise OperationalError("every connection was stale")


@cache
def _copy_sql(model: type[models.Model]) -> str:
    columns = ", ".join(connection.ops.quote_name(one.column) for one in _fields(model))
    return f"COPY {connection.ops.quote_name(model._meta.db_table)} ({columns}) FROM STDIN"


@cache
def _fields(model: type[models.Model]) -> tuple[Any, ...]:
    """Every column but an id that the database gives out."""
    return tuple(one for one in model._meta.local_concrete_fields if not isinstance(one, models.AutoField))


committing: GroupCommit[Event] = GroupCommit(copy_rows)
# A child of this process has none of its threads: nobody of the line is left, nor who held its lock.
os.register_at_fork(after_in_child=committing.begin_anew)
