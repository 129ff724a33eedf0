"""Asking from many threads at one moment."""

import threading
from collections.abc import Callable
from typing import Any

from django.db import connection


def at_once(many: int, ask: Callable[[], Any]) -> list[Any]:
    """The answers of `many` threads that ask at one moment, each over its own connection; every one has answered."""
    ready = threading.Barrier(many, timeout=10)
    answers: list[Any] = []

    def run() -> None:
        try:
            ready.wait()
            answers.append(ask())
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(many)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert len(answers) == many
    return answers
