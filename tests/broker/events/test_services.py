"""Recording: in the transaction of the cause, with who, what and where."""

import json

import pytest
from django.db import transaction
from pytest_django import DjangoCaptureOnCommitCallbacks

from broker.actors import SYSTEM, Actor, ActorKind
from broker.events.catalogue import CATALOGUE, LOGIN_REFUSED, SESSION_ENDED, EventType
from broker.events.models import Event
from broker.events.services import COUNTED, record

pytestmark = pytest.mark.django_db


def counted(event: str, connection: str, code: str) -> float:
    return COUNTED.labels(event, connection, code)._value.get()


def test_an_event_tells_who_did_what_from_where() -> None:
    actor = Actor(ActorKind.OPERATOR, "ann@acme.example", "192.0.2.7", "ABCDE-FGHJK")
    record(SESSION_ENDED, actor=actor, subject=("session", 7), connection="acme", application="crm", reason="leaver")
    event = Event.objects.get()
    assert (event.actor_kind, event.actor_id, event.address, event.trace_id) == (
        "operator",
        "ann@acme.example",
        "192.0.2.7",
        "ABCDE-FGHJK",
    )
    assert (event.subject_kind, event.subject_id, event.severity) == ("session", "7", "notice")
    assert event.details == {"reason": "leaver"}


def test_an_event_goes_with_the_transaction_that_fails() -> None:
    @transaction.atomic
    def end_session() -> None:
        record(SESSION_ENDED, actor=SYSTEM)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        end_session()
    assert not Event.objects.exists()


def test_a_cause_fails_with_its_event() -> None:
    with pytest.raises(TypeError), transaction.atomic():
        record(SESSION_ENDED, actor=SYSTEM, reason=object())
    assert not Event.objects.exists()


def test_an_event_is_counted_when_it_is_committed(
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    before = counted("login.refused", "acme", "saml.expired")
    with django_capture_on_commit_callbacks(execute=True):
        record(LOGIN_REFUSED, actor=SYSTEM, connection="acme", code="saml.expired")
        assert counted("login.refused", "acme", "saml.expired") == before
    assert counted("login.refused", "acme", "saml.expired") == before + 1


def test_line_breaks_from_outside_stay_within_their_value() -> None:
    event = record(SESSION_ENDED, actor=SYSTEM, reason="a\nb\x1b[31m")
    assert "\n" not in json.dumps(event.details)


@pytest.mark.parametrize("event_type", CATALOGUE.values(), ids=list(CATALOGUE))
def test_each_type_of_the_catalogue_is_named_and_explained(event_type: EventType) -> None:
    thing, _, happened = event_type.name.partition(".")
    assert thing
    assert happened
    assert event_type.name == event_type.name.lower()
    assert len(event_type.name) <= Event._meta.get_field("type").max_length
    assert event_type.meaning.endswith(".")
    assert CATALOGUE[event_type.name] is event_type
