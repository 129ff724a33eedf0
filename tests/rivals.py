"""Another operator who saves at the worst moment, on the one connection that a test has."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection


@contextmanager
def rival_saves_before(insert: int, table: str, save: Callable[[], object]) -> Iterator[None]:
    """Just before the `insert`-th INSERT into `table`, `save` makes a rival row, which is there from then on.

    What a real rival committed would outlive our rollbacks; here they take it away, so that it is saved again.
    """
    seen, is_saving = 0, False

    def saved() -> None:
        nonlocal is_saving
        is_saving = True
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT 1 FROM {connection.ops.quote_name(table)}")
            is_there = cursor.fetchone() is not None
        if not is_there:
            save()
        is_saving = False

    def watch(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        nonlocal seen
        if not is_saving and sql.startswith(("INSERT", "SELECT")):
            seen += sql.startswith(f'INSERT INTO "{table}"')
            if seen >= insert:
                saved()
        return execute(sql, params, many, context)

    with connection.execute_wrapper(watch):
        yield
    assert seen >= insert
    saved()
