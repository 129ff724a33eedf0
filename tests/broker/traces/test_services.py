"""Traces: saved after the refusal, sealed in the database, gone after their time, never a cause of trouble."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
import time_machine
from django.conf import settings as django_settings
from django.db import connection
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from broker.traces import tasks
from broker.traces.collector import Collector
from broker.traces.models import Hop, Trace
from broker.traces.services import ALPHABET, forget_expired, make_trace_id, read_trace, save_trace

CANARY = "ann@canary.example"
Outcome = Trace.Outcome


def collected(hop: str = "acs", value: str = CANARY) -> Collector:
    collector = Collector(hop)
    collector.check("check_audience", passed=False, expected="https://us.example", actual=value)
    collector.message("Response", f"<Attribute>{value}</Attribute>")
    collector.note("asked the identity provider", subject=value)
    return collector


@pytest.fixture
def save() -> Callable[..., None]:
    """`save(Outcome.REFUSED, code=…)` adds a hop to the trace ABCDE-FGH23."""

    def _save(outcome: Outcome = Outcome.UNDER_WAY, **fields: object) -> None:
        collector = fields.pop("collector", None) or collected()
        save_trace("ABCDE-FGH23", collector, outcome=outcome, **fields)

    return _save


# --- Ids ------------------------------------------------------------------------------------------------------------
def test_an_id_can_be_read_out_on_the_telephone() -> None:
    ids = {make_trace_id() for _ in range(500)}
    assert len(ids) == 500
    assert all(re.fullmatch(rf"[{ALPHABET}]{{5}}-[{ALPHABET}]{{5}}", trace_id) for trace_id in ids)
    assert not set("ILOU") & set(ALPHABET)
    assert len(max(ids)) <= Trace._meta.pk.max_length


# --- Saving ---------------------------------------------------------------------------------------------------------
@pytest.mark.django_db
def test_a_trace_is_read_as_it_was_collected(save: Callable[..., None]) -> None:
    save(Outcome.REFUSED, code="saml.audience", connection="acme", application="crm", is_new=True)
    [hop] = read_trace("ABCDE-FGH23")
    assert hop["name"] == "acs"
    assert hop["entries"] == collected().entries
    trace = Trace.objects.get()
    assert (trace.outcome, trace.code, trace.connection, trace.application) == (
        "refused",
        "saml.audience",
        "acme",
        "crm",
    )


@pytest.mark.django_db
def test_hops_stay_in_order(save: Callable[..., None]) -> None:
    for name in ("authorize", "acs", "resume"):
        save(collector=collected(name), is_new=name == "authorize")
    assert [hop["name"] for hop in read_trace("ABCDE-FGH23")] == ["authorize", "acs", "resume"]


@pytest.mark.django_db
def test_what_is_known_is_not_erased_by_a_later_hop(save: Callable[..., None]) -> None:
    save(application="crm", is_new=True)
    save(connection="acme")
    save(Outcome.SUCCEEDED)
    trace = Trace.objects.get()
    assert (trace.outcome, trace.connection, trace.application) == ("succeeded", "acme", "crm")


@pytest.mark.django_db
@pytest.mark.parametrize("later", [Outcome.SUCCEEDED, Outcome.UNDER_WAY])
def test_a_refusal_is_never_painted_over(save: Callable[..., None], later: Outcome) -> None:
    save(Outcome.REFUSED, code="saml.expired", connection="acme", is_new=True)
    save(later, connection="other", application="other")
    trace = Trace.objects.get()
    assert (trace.outcome, trace.code, trace.connection) == ("refused", "saml.expired", "acme")
    assert Hop.objects.count() == 2


@pytest.mark.django_db
def test_a_later_refusal_ends_what_had_succeeded(save: Callable[..., None]) -> None:
    save(Outcome.SUCCEEDED, connection="acme", is_new=True)
    save(Outcome.REFUSED, code="oauth.code")
    trace = Trace.objects.get()
    assert (trace.outcome, trace.code, trace.connection) == ("refused", "oauth.code", "acme")


@pytest.mark.django_db
def test_a_hop_whose_trace_was_forgotten_begins_a_new_one(save: Callable[..., None]) -> None:
    save(Outcome.REFUSED, code="saml.expired")
    assert Trace.objects.get().code == "saml.expired"
    assert len(read_trace("ABCDE-FGH23")) == 1


@pytest.mark.django_db
def test_a_hop_with_a_long_name_is_saved(save: Callable[..., None]) -> None:
    save(collector=collected("h" * 500), is_new=True)
    assert read_trace("ABCDE-FGH23")[0]["name"] == "h" * 100


@pytest.mark.django_db
def test_a_new_trace_costs_two_inserts(
    save: Callable[..., None], django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(2):
        save(is_new=True)


# --- Sealed ---------------------------------------------------------------------------------------------------------
@pytest.mark.django_db
def test_the_database_holds_no_plaintext(save: Callable[..., None]) -> None:
    save(Outcome.REFUSED, code="saml.audience", is_new=True)
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM traces_hop")
        stored = str(cursor.fetchall())
    assert CANARY not in stored
    assert "check_audience" not in stored
    assert CANARY in str(read_trace("ABCDE-FGH23"))


@pytest.mark.django_db
def test_a_hop_that_was_moved_to_another_trace_does_not_open(save: Callable[..., None]) -> None:
    save(is_new=True)
    save_trace("ZZZZZ-ZZZZZ", collected(value="another"), outcome=Outcome.UNDER_WAY, is_new=True)
    Hop.objects.filter(trace_id="ABCDE-FGH23").update(trace_id="ZZZZZ-ZZZZZ")
    moved, own = read_trace("ZZZZZ-ZZZZZ")
    assert "cannot be opened" in moved["entries"][0]["text"]
    assert CANARY not in str(moved)
    assert own["entries"] == collected(value="another").entries


@pytest.mark.django_db
@pytest.mark.parametrize("damage", ["", "x", "k1.", "k1.AAAA", "gone.AAAA", "ü" * 50])
def test_a_damaged_hop_does_not_hide_the_others(save: Callable[..., None], damage: str) -> None:
    save(is_new=True)
    save(Outcome.SUCCEEDED)
    Hop.objects.filter(id=Hop.objects.earliest("id").id).update(sealed=damage)
    broken, whole = read_trace("ABCDE-FGH23")
    assert "cannot be opened" in broken["entries"][0]["text"]
    assert whole["entries"] == collected().entries


@pytest.mark.django_db
def test_a_trace_opens_after_the_master_key_was_rotated(save: Callable[..., None], settings: Settings) -> None:
    save(is_new=True)
    settings.BROKER_MASTER_KEYS = {"k2": bytes(32), **django_settings.BROKER_MASTER_KEYS}
    save(Outcome.SUCCEEDED)
    assert [hop["entries"] for hop in read_trace("ABCDE-FGH23")] == [collected().entries] * 2


@pytest.mark.django_db
def test_an_unknown_trace_is_empty() -> None:
    assert read_trace("NOSUC-HTRAC") == []


# --- Expiry ---------------------------------------------------------------------------------------------------------
@pytest.mark.django_db
def test_a_trace_goes_with_its_hops_after_the_days_of_the_setting(
    save: Callable[..., None], settings: Settings
) -> None:
    settings.TRACE_DAYS = 3
    save(Outcome.REFUSED, is_new=True)
    assert forget_expired(now=timezone.now() + timedelta(days=3) - timedelta(minutes=1)) == 0
    assert forget_expired(now=timezone.now() + timedelta(days=3, minutes=1)) == 1
    assert not Hop.objects.exists()


@pytest.mark.django_db
def test_the_scheduled_task_forgets(save: Callable[..., None], settings: Settings) -> None:
    save(is_new=True)
    assert tasks.forget() == 0
    with time_machine.travel(timezone.now() + timedelta(days=settings.TRACE_DAYS + 1)):
        assert tasks.forget() == 1
    assert tasks.forget.name in {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()}


# --- The collector --------------------------------------------------------------------------------------------------
class Unprintable:
    """A value that cannot even be turned into text."""

    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


def test_a_collector_never_raises() -> None:
    collector = Collector("acs")
    collector.check("check_a", passed=True, expected=Unprintable(), actual=Unprintable())
    collector.note("a note", value=Unprintable())
    collector.message("a message", Unprintable())
    collector.message("bytes", b"\xff\x00")
    assert len(collector.entries) == 4


def test_long_values_are_cut() -> None:
    collector = Collector("acs")
    collector.check("check_a", passed=False, expected="e" * 9_000, actual="a" * 9_000)
    collector.note("n" * 90_000, value="v" * 9_000)
    collector.message("t" * 9_000, "m" * 90_000)
    check, note, message = collector.entries
    assert (len(check["expected"]), len(check["actual"])) == (2_000, 2_000)
    assert (len(note["text"]), len(note["values"]["value"])) == (2_000, 2_000)
    assert (len(message["title"]), len(message["text"])) == (2_000, 64_000)


def test_no_attempt_can_fill_a_trace_without_end() -> None:
    collector = Collector("acs")
    for number in range(1_000):
        collector.note(str(number))
    assert len(collector.entries) == Collector.ENTRIES_MAX
    collector.check("audience", passed=False)
    assert collector.entries[-1]["name"] == "audience", "what failed is never left out"


@pytest.mark.django_db
@pytest.mark.parametrize("value", ["\ud800", "\x00", "\u202e", "<script>", "ü" * 5_000])
def test_whatever_came_from_outside_can_be_saved_and_read(save: Callable[..., None], value: str) -> None:
    collector = collected(value=value)
    save(Outcome.REFUSED, collector=collector, is_new=True)
    [hop] = read_trace("ABCDE-FGH23")
    assert [entry["type"] for entry in hop["entries"]] == ["check", "message", "note"]
