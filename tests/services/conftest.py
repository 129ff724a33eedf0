"""What only these tests need: many threads at once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from django.db import connection, connections


@pytest.fixture
def at_once() -> Callable[..., list[Any]]:
    """Calls every function in a thread and with a database connection of its own, all at one moment.

    Gives what each returned or raised, in order.
    """

    def run(functions: list[Callable[[], Any]]) -> list[Any]:
        assert connection.vendor == "postgresql", "claims about concurrency are tested on PostgreSQL"
        start = Barrier(len(functions))

        def call(function: Callable[[], Any]) -> Any:
            try:
                connections["default"].ensure_connection()
                start.wait(timeout=30)
                return function()
            except Exception as error:  # noqa: BLE001 - what was raised is the answer
                return error
            finally:
                connections.close_all()

        with ThreadPoolExecutor(len(functions)) as threads:
            return list(threads.map(call, functions))

    return run
