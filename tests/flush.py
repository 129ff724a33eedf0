"""Lets Django empty the tables after a transactional test, although the database keeps the book from being emptied."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

import pytest
from django.db import connections, transaction
from django.db.backends.base.operations import BaseDatabaseOperations

guard = import_module("broker.events.migrations.0002_insert_only")


@contextmanager
def without_triggers(using: str = "default") -> Iterator[None]:
    """The book without its triggers, for a flush or for a test that plays somebody who owns the database."""
    connection = connections[using]
    if connection.vendor == "postgresql":
        tables = ("events_event", "events_seal")
        lift = [f"ALTER TABLE {table} DISABLE TRIGGER USER" for table in tables]
        restore = [f"ALTER TABLE {table} ENABLE TRIGGER USER" for table in tables]
    else:
        lift = [f"DROP TRIGGER {name}" for name in guard.TRIGGERS["sqlite"]]
        restore = guard.SQLITE
    with transaction.atomic(using=using), connection.cursor() as cursor:
        for statement in lift:
            cursor.execute(statement)
        yield
        for statement in restore:
            cursor.execute(statement)


def let_flushes_pass(patch: pytest.MonkeyPatch) -> None:
    """Make every flush of this process lift the triggers first."""
    flush = BaseDatabaseOperations.execute_sql_flush

    def execute_sql_flush(self: BaseDatabaseOperations, sql_list: list[str]) -> None:
        with without_triggers(self.connection.alias):
            flush(self, sql_list)

    patch.setattr(BaseDatabaseOperations, "execute_sql_flush", execute_sql_flush)
