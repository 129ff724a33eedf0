"""The bell is rung once for many, loses no last one, and lets nobody wait for a queue that is away."""

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as suite
from django.db import transaction

from broker import bell as module
from broker import limits
from broker.bell import Bell, Call, bell, ring, send
from broker.celery import app

TASK = "broker.delivery.tasks.carry"
SECONDS = 10.0


class Tower:
    """Keeps what is sent, and lets sending wait until it is allowed."""

    def __init__(self) -> None:
        self.sent: list[Call] = []
        self.may_send = threading.Event()
        self.may_send.set()
        self.is_reached = threading.Event()

    def __call__(self, call: Call) -> None:
        self.is_reached.set()
        assert self.may_send.wait(SECONDS)
        self.sent.append(call)


def test_calls_that_come_while_the_queue_is_slow_are_one_and_the_last_is_not_lost() -> None:
    tower = Tower()
    own = Bell(tower)
    tower.may_send.clear()
    own.ring((TASK, ("a",)))
    assert tower.is_reached.wait(SECONDS)
    for _ in range(1000):
        own.ring((TASK, ("a",)))
    own.ring((TASK, ("b",)))
    tower.may_send.set()
    assert own.finish(SECONDS)
    assert sorted(tower.sent) == [(TASK, ("a",)), (TASK, ("a",)), (TASK, ("b",))]


def test_whoever_rings_never_waits_for_the_queue() -> None:
    tower = Tower()
    own = Bell(tower)
    tower.may_send.clear()
    own.ring((TASK, ("a",)))
    assert tower.is_reached.wait(SECONDS)
    own.ring((TASK, ("b",)))
    assert tower.sent == []
    assert not own.finish(0.01)
    tower.may_send.set()
    assert own.finish(SECONDS)


def test_a_queue_that_is_away_is_survived() -> None:
    calls: list[Call] = []

    def refuse(call: Call) -> None:
        calls.append(call)
        if len(calls) == 1:
            raise ConnectionRefusedError

    own = Bell(refuse)
    own.ring((TASK, ("a",)))
    assert own.finish(SECONDS)
    own.ring((TASK, ("b",)))
    assert own.finish(SECONDS)
    assert len(calls) == 2


def test_no_more_calls_wait_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BELL_CALLS", 3)
    tower = Tower()
    own = Bell(tower)
    tower.may_send.clear()
    own.ring((TASK, ("a",)))
    assert tower.is_reached.wait(SECONDS)
    for number in range(10):
        own.ring((TASK, (str(number),)))
    tower.may_send.set()
    assert own.finish(SECONDS)
    assert len(tower.sent) == 4


def test_a_child_of_the_process_has_a_bell_of_its_own() -> None:
    tower = Tower()
    own = Bell(tower)
    own.ring((TASK, ("a",)))
    assert own.finish(SECONDS)
    own.begin_anew()
    own.ring((TASK, ("b",)))
    assert own.finish(SECONDS)
    assert tower.sent == [(TASK, ("a",)), (TASK, ("b",))]


@pytest.mark.django_db(transaction=True)
def test_it_rings_after_the_commit_and_not_after_a_rollback(monkeypatch: pytest.MonkeyPatch) -> None:
    rung: list[Call] = []
    monkeypatch.setattr(bell, "ring", rung.append)
    with transaction.atomic():
        ring(TASK, "a")
        assert rung == []
    with transaction.atomic():
        ring(TASK, "b")
        transaction.set_rollback(True)
    ring(TASK, "c")
    assert rung == [(TASK, ("a",)), (TASK, ("c",))]


@pytest.mark.django_db(transaction=True)
def test_a_bell_that_breaks_breaks_no_request(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(call: Call) -> None:
        raise RuntimeError

    monkeypatch.setattr(bell, "ring", fail)
    with transaction.atomic():
        ring(TASK, "a")


def test_what_is_sent_is_a_message_that_ends_by_itself(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    sent: list[tuple[Any, ...]] = []
    monkeypatch.setattr(app, "send_task", lambda *args, **options: sent.append((args, options)))
    settings.CELERY_TASK_ALWAYS_EAGER = True
    send((TASK, ("a",)))
    assert sent == [], "where there is no queue nobody is rung"
    settings.CELERY_TASK_ALWAYS_EAGER = False
    send((TASK, ("a",)))
    [((task,), options)] = sent
    assert (task, options["args"], options["retry"]) == (TASK, ("a",), False)
    assert options["expires"] == limits.BELL_LIFETIME.total_seconds()


def test_the_same_call_waits_for_the_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    tower = Tower()
    own = Bell(tower)
    own._thread = threading.current_thread()  # nobody sends: what is due is looked at
    own._rung[(TASK, ("a",))] = 99.99
    own.ring((TASK, ("a",)))
    own.ring((TASK, ("b",)))
    assert own._due == {(TASK, ("a",)): 99.99 + limits.BELL_INTERVAL.total_seconds(), (TASK, ("b",)): 100.0}


def test_the_product_itself_rings_its_queue(tmp_path: Path) -> None:
    """The suite has no queue to ring, so that a process with the product's own settings does."""
    program = (
        "import django; django.setup()\n"
        "from broker.bell import bell, ring\n"
        "from broker.operations.health import count_waiting_messages\n"
        f"ring({TASK!r}, 'a'); print(bell.finish(30), count_waiting_messages())"
    )
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "broker.settings", "BROKER_VAR": str(tmp_path)}
    environment = {name: value for name, value in environment.items() if name != "BROKER_REDIS_URL"}
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=suite.ROOT, env=environment, capture_output=True, text=True, timeout=120
    )
    assert run.stdout.strip() == "True 1", run.stderr[-500:]
