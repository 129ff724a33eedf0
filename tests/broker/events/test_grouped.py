"""Committing events together: each request waits for the commit that holds its event, and fails with it."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import DataError, OperationalError

from broker import limits
from broker.actors import SYSTEM
from broker.errors import BrokerError
from broker.events import catalogue
from broker.events.grouped import GroupCommit, record_durably
from broker.events.models import Event


class Book:
    """Takes events in groups. While `gate` is closed, a commit lasts."""

    def __init__(self):
        self.groups = []
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self.is_away = False

    def write(self, events):
        self.entered.set()
        assert self.gate.wait(10)
        if self.is_away:
            raise OperationalError("away")
        if any(event.type == "poison" for event in events):
            raise DataError("poison")
        self.groups.append([event.type for event in events])


@pytest.fixture
def book():
    return Book()


@pytest.fixture
def line(book):
    return GroupCommit(book.write)


def outcome(line, name):
    try:
        line.commit(Event(type=name))
    except (BrokerError, OperationalError) as error:
        return error
    return None


def wait_for(line, count):
    """Until so many stand in line."""
    for _ in range(10_000):
        if len(line._line) >= count:
            return
        threading.Event().wait(0.001)
    raise AssertionError("nobody came")


def gather(line, book, names):
    """Let `names` come while the commit of "first" lasts. Returns what became of each."""
    book.gate.clear()
    with ThreadPoolExecutor(len(names) + 1) as threads:
        first = threads.submit(outcome, line, "first")
        assert book.entered.wait(10)
        others = []
        for count, name in enumerate(names, start=1):
            others.append(threads.submit(outcome, line, name))
            wait_for(line, count)
        book.gate.set()
        return first.result(10), [other.result(10) for other in others]


def test_one_event_is_committed_at_once(line, book):
    assert outcome(line, "a") is None
    assert book.groups == [["a"]]


def test_what_comes_during_a_commit_goes_into_the_next_one_together_and_in_order(line, book):
    assert gather(line, book, ["a", "b", "c"]) == (None, [None, None, None])
    assert book.groups == [["first"], ["a", "b", "c"]]


def test_nobody_is_left_waiting_and_the_line_starts_anew(line, book):
    for _ in range(3):
        gather(line, book, ["a", "b"])
    assert book.groups == [["first"], ["a", "b"]] * 3
    assert outcome(line, "last") is None


def test_a_commit_takes_a_limited_number_and_the_rest_follows(line, book, monkeypatch):
    monkeypatch.setattr(limits, "EVENTS_PER_COMMIT", 2)
    assert gather(line, book, ["a", "b", "c", "d", "e"])[1] == [None] * 5
    assert book.groups == [["first"], ["a", "b"], ["c", "d"], ["e"]]


def test_a_failed_commit_fails_each_of_its_requests_and_no_later_one(line, book):
    book.is_away = True
    first, others = gather(line, book, ["a", "b"])
    assert all(isinstance(error, OperationalError) for error in (first, *others))
    assert book.groups == []
    book.is_away = False
    assert outcome(line, "c") is None


def test_an_event_that_cannot_be_stored_fails_alone(line, book):
    _, (before, poison, after) = gather(line, book, ["a", "poison", "b"])
    assert (before, after) == (None, None)
    assert isinstance(poison.__cause__, DataError)
    assert book.groups == [["first"], ["a"], ["b"]]


def test_when_too_many_wait_a_request_is_refused(line, book, monkeypatch):
    monkeypatch.setattr(limits, "EVENTS_IN_LINE", 2)
    book.gate.clear()
    with ThreadPoolExecutor(3) as threads:
        waiting = [threads.submit(outcome, line, "first")]
        assert book.entered.wait(10)
        for count in (1, 2):
            waiting.append(threads.submit(outcome, line, "a"))
            wait_for(line, count)
        refused = outcome(line, "one too many")
        book.gate.set()
        assert [one.result(10) for one in waiting] == [None] * 3
    assert refused.code == "service.unavailable"
    assert book.groups == [["first"], ["a", "a"]]


def test_who_waits_too_long_is_not_told_of_a_success(line, book, monkeypatch):
    monkeypatch.setattr(limits, "EVENT_COMMIT_WAIT", timedelta(milliseconds=20))
    book.gate.clear()
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(outcome, line, "first")
        assert book.entered.wait(10)
        assert isinstance(outcome(line, "a"), OperationalError)
        book.gate.set()
        assert first.result(10) is None
    assert book.groups == [["first"]], "who gave up is written by nobody"


def test_an_interrupted_writer_takes_nobody_along(line, book, monkeypatch):
    def interrupted(events):
        raise KeyboardInterrupt

    monkeypatch.setattr(line, "_write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        line.commit(Event(type="a"))
    monkeypatch.setattr(line, "_write", book.write)
    assert outcome(line, "b") is None
    assert book.groups == [["b"]]


def test_a_forked_child_begins_with_an_empty_line(line, book):
    os.register_at_fork(after_in_child=line.begin_anew)
    book.gate.clear()
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(outcome, line, "first")
        assert book.entered.wait(10)
        line._lock.acquire()
        child = os.fork()
        if child == 0:
            line._write = lambda events: None
            line.commit(Event(type="of the child"))
            os._exit(7)
        line._lock.release()
        book.gate.set()
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        assert first.result(10) is None


@pytest.mark.django_db
def test_within_a_transaction_it_is_written_as_any_other():
    record_durably(catalogue.TOKEN_ISSUED, actor=SYSTEM, subject=("grant", "x"), jti="j")
    event = Event.objects.get()
    assert (event.type, event.subject_id, event.details) == ("token.issued", "x", {"jti": "j"})
