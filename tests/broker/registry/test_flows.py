"""The register decides: inside an approved flow a token may be issued, outside it depends on the client's mode."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from broker import limits
from broker.actors import SYSTEM, Actor, ActorKind
from broker.errors import BrokerError
from broker.events.models import Event
from broker.registry.flow_evidence import evidence
from broker.registry.flow_use import touch_flow, uses
from broker.registry.flows import CHECKS, FAR_FUTURE, FlowQuestion, Permit, permit, still_permits
from broker.registry.models import Client, Flow, FlowEvidence
from broker.registry.registering.flow_drafts import end_flow
from broker.registry.registering.flows import change_flow
from broker.registry.registering.resources import change_resource
from broker.registry.services import find_resource, flows_of
from broker.traces.collector import Collector
from tests.factories import make_flow, make_resource, make_service

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
LAST_DAY = datetime(2026, 12, 31, tzinfo=UTC).date()
END = datetime(2027, 1, 1, tzinfo=UTC)
READ, WRITE = "invoices.read", "invoices.write"
BY_CLIENT = Actor(ActorKind.CLIENT, "nightly", address="192.0.2.7", trace_id="AAAAA-BBBBB")


class Desk:
    """A client with one flow, and the question that it asks unless a test says otherwise."""

    def __init__(self) -> None:
        self.client = make_service(client_id="nightly", enforcement="enforce")
        self.resource = make_resource(identifier="https://erp.example/api")
        self.flow = make_flow(self.client, self.resource, scopes=[READ], expires=LAST_DAY)
        self.trace = Collector()

    def ask(self, **question: Any) -> Permit:
        wanted = {
            "client": self.client,
            "grant": "client_credentials",
            "resource": self.resource,
            "scopes": (READ,),
            "subject_class": Flow.SubjectClass.CLIENT,
            "now": NOW,
        } | question
        self.trace = Collector()
        return permit(FlowQuestion(**wanted), actor=BY_CLIENT, trace=self.trace)

    def refused(self, **question: Any) -> BrokerError:
        with pytest.raises(BrokerError) as caught:
            self.ask(**question)
        return caught.value

    def set(self, mode: str) -> None:
        Client.objects.filter(pk=self.client.pk).update(enforcement=mode)
        self.client.enforcement = mode

    def change(self, **fields: Any) -> None:
        make = {"state": Flow.State.APPROVED, "approved_by": "security@acme.example"}
        Flow.objects.filter(pk=self.flow.pk).update(**{**make, **fields})
        change_resource(self.resource, actor=SYSTEM, token_lifetime=self.resource.token_lifetime + 1)
        self.resource.refresh_from_db()


@pytest.fixture
def desk() -> Desk:
    return Desk()


Break = Callable[[Desk], dict[str, Any]]

BREAKS: dict[str, tuple[Break, str]] = {
    "another grant": (lambda desk: {"grant": "token_exchange"}, "flow.none"),
    "another client": (lambda desk: {"client": make_service()}, "flow.none"),
    "another resource": (lambda desk: {"resource": make_resource()}, "flow.none"),
    "only proposed": (lambda desk: desk.change(state="proposed") or {}, "flow.not_approved"),
    "refused": (lambda desk: desk.change(state="refused") or {}, "flow.not_approved"),
    "for a person": (lambda desk: {"subject_class": Flow.SubjectClass.PERSON}, "flow.subject_class"),
    "impersonation": (lambda desk: {"impersonation": True}, "flow.impersonation"),
    "a wider scope": (lambda desk: {"scopes": (READ, WRITE)}, "flow.scope"),
    "another scope": (lambda desk: {"scopes": (WRITE,)}, "flow.scope"),
    "no scope left": (lambda desk: desk.change(scopes=["gone"]) or {"scopes": ()}, "flow.scope"),
    "a scope of no resource": (lambda desk: {"scopes": (READ, "admin")}, "flow.scope_unknown"),
    "a scope in other letters": (lambda desk: {"scopes": ("Invoices.read",)}, "flow.scope_unknown"),
    "after its last day": (lambda desk: {"now": END}, "flow.ended"),
    "ended by an operator": (lambda desk: end_flow(desk.flow, actor=SYSTEM, now=NOW) and {}, "flow.ended"),
    "in its last hours": (lambda desk: {"now": END - timedelta(hours=3)}, "flow.browned_out"),
}


@pytest.mark.parametrize("name", BREAKS)
def test_an_enforced_client_gets_nothing_outside_its_flow(desk: Desk, name: str) -> None:
    breaking, code = BREAKS[name]
    question = breaking(desk)

    assert desk.refused(**question).code == code
    assert desk.trace.entries[-1]["passed"] is False


def test_inside_its_flow_a_client_gets_what_it_asked_for(desk: Desk) -> None:
    given = desk.ask()

    assert given == Permit(desk.flow.pk, (READ,), END, ())
    assert [entry["passed"] for entry in desk.trace.entries] == [True] * (len(CHECKS) + 1)
    assert not FlowEvidence.objects.exists()


def test_no_scope_asks_for_all_that_flow_and_resource_still_share(desk: Desk) -> None:
    desk.change(scopes=[WRITE, "gone", READ])

    assert desk.ask(scopes=()).scopes == (WRITE, READ)


def test_a_scope_that_is_asked_for_twice_is_issued_once(desk: Desk) -> None:
    assert desk.ask(scopes=(READ, READ)).scopes == (READ,)


def test_impersonation_is_allowed_by_a_flow_that_says_so(desk: Desk) -> None:
    desk.change(impersonation=True)

    assert desk.ask(impersonation=True).flow_id == desk.flow.pk
    assert desk.ask(impersonation=False).flow_id == desk.flow.pk


# --- Modes --------------------------------------------------------------------------------------------------------
SOFT = [
    "another grant",
    "another resource",
    "only proposed",
    "refused",
    "for a person",
    "a wider scope",
    "another scope",
    "after its last day",
]


@pytest.mark.parametrize(("mode", "warnings"), [("observe", ()), ("warn", ("outside-flow",))])
@pytest.mark.parametrize("name", SOFT)
def test_an_observed_or_warned_client_gets_what_it_asked_for(
    desk: Desk, name: str, mode: str, warnings: tuple[str, ...]
) -> None:
    desk.set(mode)
    breaking, code = BREAKS[name]
    question = breaking(desk)

    given = desk.ask(**question)

    assert given == Permit(None, question.get("scopes", (READ,)), FAR_FUTURE, warnings)
    assert FlowEvidence.objects.get().code == code


@pytest.mark.parametrize("mode", ["observe", "warn"])
@pytest.mark.parametrize("name", ["impersonation", "a scope of no resource", "ended by an operator", "no scope left"])
def test_in_no_mode_a_client_impersonates_invents_scopes_or_goes_on_after_it_was_ended(
    desk: Desk, name: str, mode: str
) -> None:
    desk.set(mode)
    breaking, code = BREAKS[name]

    assert desk.refused(**breaking(desk)).code == code


def test_impersonation_without_any_flow_is_refused_in_each_mode(desk: Desk) -> None:
    desk.set("observe")

    assert desk.refused(grant="token_exchange", impersonation=True).code == "flow.none"


def test_an_unknown_mode_is_enforced(desk: Desk) -> None:
    desk.client.enforcement = "lenient"

    assert desk.refused(scopes=(WRITE,)).code == "flow.scope"


def test_an_observed_client_without_a_flow_that_names_no_scope_gets_all_of_the_resource(desk: Desk) -> None:
    desk.set("observe")

    assert desk.ask(grant="token_exchange", scopes=()).scopes == (READ, WRITE)


def test_a_resource_without_scopes_gives_nothing_in_any_mode(desk: Desk) -> None:
    desk.set("observe")

    assert desk.refused(resource=make_resource(scopes={}), scopes=()).code == "flow.none"


def test_an_observed_client_is_not_browned_out(desk: Desk) -> None:
    desk.set("observe")

    assert desk.ask(now=END - timedelta(hours=3)).flow_id == desk.flow.pk


# --- The end ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("before_end", "warnings"),
    [
        (timedelta(days=30, seconds=1), ()),
        (timedelta(days=30), ("flow-ends=2026-12-31",)),
        (timedelta(days=1, seconds=1), ("flow-ends=2026-12-31",)),
        (timedelta(hours=1, seconds=-300), ("flow-ends=2026-12-31",)),
        (timedelta(microseconds=1), ("flow-ends=2026-12-31",)),
    ],
)
def test_a_token_comes_with_a_warning_from_thirty_days_before_the_end(
    desk: Desk, before_end: timedelta, warnings: tuple[str, ...]
) -> None:
    assert desk.ask(now=END - before_end).warnings == warnings


@pytest.mark.parametrize(
    ("moment", "is_refused"),
    [
        (END - timedelta(days=1, microseconds=1), False),
        (END - timedelta(days=1), True),
        (END - timedelta(days=1) + limits.FLOW_BROWN_OUT_WINDOW, False),
        (END - timedelta(hours=7, microseconds=1), False),
        (END - timedelta(hours=7), True),
        (END - timedelta(hours=7) + limits.FLOW_BROWN_OUT_WINDOW - timedelta(microseconds=1), True),
        (END - timedelta(hours=7) + limits.FLOW_BROWN_OUT_WINDOW, False),
    ],
)
def test_on_its_last_day_the_first_five_minutes_of_each_hour_are_refused(
    desk: Desk, moment: datetime, is_refused: bool
) -> None:
    if is_refused:
        assert desk.refused(now=moment).code == "flow.browned_out"
        assert not FlowEvidence.objects.exists()
    else:
        assert desk.ask(now=moment).flow_id == desk.flow.pk


def test_a_flow_that_an_operator_ended_stops_at_the_next_request(desk: Desk) -> None:
    desk.ask()

    end_flow(desk.flow, actor=SYSTEM, now=NOW)

    assert desk.refused().code == "flow.ended"
    assert Event.objects.filter(type="flow.ended").count() == 1


def test_time_is_judged_at_each_request_and_not_remembered(desk: Desk) -> None:
    desk.ask(now=END - timedelta(minutes=50))

    assert desk.refused(now=END).code == "flow.ended"


# --- What was issued before ---------------------------------------------------------------------------------------
STANDING = [name for name, (_, code) in BREAKS.items() if code != "flow.browned_out"]


def stands(desk: Desk, **question: Any) -> str:
    """The code of what a token that was issued before fails by; empty when it stands."""
    wanted = {
        "client": desk.client,
        "grant": "client_credentials",
        "resource": desk.resource,
        "scopes": (READ,),
        "subject_class": Flow.SubjectClass.CLIENT,
        "now": NOW,
    } | question
    try:
        still_permits(FlowQuestion(**wanted), trace=Collector())
    except BrokerError as error:
        return error.code
    return ""


@pytest.mark.parametrize("name", STANDING)
def test_what_would_not_be_issued_does_not_stand_any_more(desk: Desk, name: str) -> None:
    breaking, code = BREAKS[name]

    assert stands(desk, **breaking(desk)) == code
    assert not FlowEvidence.objects.exists()


def test_what_was_issued_stands_through_a_brown_out(desk: Desk) -> None:
    assert stands(desk) == ""
    assert stands(desk, now=END - timedelta(hours=3)) == ""


def test_what_an_observed_client_got_stands_until_an_operator_ends_its_flow(desk: Desk) -> None:
    desk.set("observe")
    assert stands(desk, scopes=(WRITE,)) == ""

    end_flow(desk.flow, actor=SYSTEM, now=NOW)
    assert stands(desk) == "flow.ended"


# --- What it costs ------------------------------------------------------------------------------------------------
def test_a_permit_asks_the_database_nothing_once_the_register_is_remembered(desk: Desk) -> None:
    resource = find_resource("https://erp.example/api")
    desk.ask(resource=resource)
    touch_flow(desk.flow.pk, now=NOW)

    with CaptureQueriesContext(
        connection,
    ) as queries:
        given = desk.ask(resource=find_resource("https://erp.example/api"))
        assert given.flow_id is not None
        touch_flow(given.flow_id, now=NOW)

    # The version row, at most twice a second.
    assert [query["sql"] for query in queries if "registryversion" not in query["sql"]] == []


def test_repeated_requests_outside_a_flow_write_once_a_minute(desk: Desk) -> None:
    desk.refused(scopes=(WRITE,))
    with CaptureQueriesContext(connection) as queries:
        for second in range(1, 60):
            desk.refused(scopes=(WRITE,), now=NOW + timedelta(seconds=second))
    assert [query["sql"] for query in queries if "registryversion" not in query["sql"]] == []

    desk.refused(scopes=(WRITE,), now=NOW + timedelta(seconds=60))

    row = FlowEvidence.objects.get()
    assert (row.count, row.first_seen_at, row.last_seen_at) == (61, NOW, NOW + timedelta(seconds=60))


def test_a_change_of_a_flow_or_a_resource_is_seen_at_the_next_request(desk: Desk) -> None:
    desk.ask()
    change_flow(desk.flow, actor=SYSTEM, scopes=[WRITE], approved_by="security@acme.example")
    assert desk.refused().code == "flow.scope"

    change_resource(desk.resource, actor=SYSTEM, scopes={READ: "Read"})
    resource = find_resource(desk.resource.identifier)
    assert desk.refused(resource=resource, scopes=(WRITE,)).code == "flow.scope_unknown"


@pytest.mark.parametrize("identifier", ["https://erp.example/api/", "https://ERP.example/api", "", "erp", "x" * 4_000])
def test_a_resource_is_found_letter_by_letter(desk: Desk, identifier: str) -> None:
    assert find_resource(identifier) is None
    assert find_resource("https://erp.example/api") == desk.resource


# --- Evidence -----------------------------------------------------------------------------------------------------
def test_the_first_refusal_of_its_kind_makes_a_proposed_flow_with_its_evidence(desk: Desk) -> None:
    desk.refused(grant="token_exchange", subject_class=Flow.SubjectClass.PERSON, scopes=(WRITE, READ))

    draft = Flow.objects.get(is_draft=True)
    assert (draft.state, draft.grant, draft.scopes) == ("proposed", "token_exchange", [READ, WRITE])
    assert (draft.subject_class, draft.owner, draft.purpose, draft.expires) == ("person", "", "", None)
    assert draft.proposed_by == "nightly"
    row = draft.evidence.get()
    assert (row.code, row.enforcement, row.scopes) == ("flow.none", "enforce", [WRITE, READ])
    assert (row.address, row.trace_id, row.count) == ("192.0.2.7", "AAAAA-BBBBB", 1)
    event = Event.objects.get(type="flow.proposed")
    assert (event.code, event.subject_id) == ("flow.none", str(draft.pk))
    assert event.details["resource"] == "https://erp.example/api"


def test_a_proposal_does_not_let_the_next_request_through(desk: Desk) -> None:
    desk.refused(scopes=(WRITE,))

    assert desk.refused(scopes=(WRITE,), now=NOW + timedelta(hours=1)).code == "flow.scope"
    assert desk.ask().flow_id == desk.flow.pk


def test_each_kind_makes_one_proposal_whatever_the_order_of_its_scopes(desk: Desk) -> None:
    desk.refused(grant="token_exchange", scopes=(READ, WRITE))
    desk.refused(grant="token_exchange", scopes=(WRITE, READ, WRITE))
    desk.refused(grant="token_exchange", scopes=(READ,))
    desk.refused(grant="jwt_bearer", scopes=(READ,))
    desk.refused(scopes=(WRITE,))

    assert Flow.objects.filter(is_draft=True).count() == 4


def test_another_process_counts_on_instead_of_proposing_again(desk: Desk) -> None:
    desk.refused(scopes=(WRITE,))
    evidence.forget()
    desk.refused(scopes=(WRITE,), now=NOW + timedelta(seconds=1))

    assert FlowEvidence.objects.get().count == 2
    assert Event.objects.filter(type="flow.proposed").count() == 1


@pytest.mark.parametrize("name", ["only proposed", "after its last day"])
def test_what_its_own_flow_would_allow_is_evidence_for_that_flow(desk: Desk, name: str) -> None:
    breaking, _ = BREAKS[name]

    desk.refused(**breaking(desk))

    assert FlowEvidence.objects.get().flow_id == desk.flow.pk
    assert not Flow.objects.filter(is_draft=True).exists()


def test_a_scope_that_the_resource_does_not_have_is_no_proposal(desk: Desk) -> None:
    desk.refused(scopes=("admin",))

    assert not FlowEvidence.objects.exists()


def test_a_client_that_invents_kinds_fills_no_table(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "FLOW_EVIDENCE_KINDS", 3)
    for grant in ("a", "b", "c", "d", "e"):
        desk.refused(grant=grant)
    assert FlowEvidence.objects.count() == 3

    with CaptureQueriesContext(connection) as queries:
        desk.refused(grant="f")
    assert [query["sql"] for query in queries if "flowevidence" in query["sql"]] == []


@pytest.mark.django_db(transaction=True)
def test_what_was_noted_outlives_the_refusal(desk: Desk) -> None:
    def request() -> None:
        desk.ask(scopes=(WRITE,))
        with transaction.atomic():
            Flow.objects.all().delete()

    with pytest.raises(BrokerError):
        request()

    assert FlowEvidence.objects.count() == 1


# --- Last use -----------------------------------------------------------------------------------------------------
def test_the_last_use_is_written_once_an_hour(desk: Desk) -> None:
    for minutes in (0, 59, 60, 61):
        touch_flow(desk.flow.pk, now=NOW + timedelta(minutes=minutes))
    desk.flow.refresh_from_db()
    assert desk.flow.last_used_at == NOW + timedelta(minutes=60)

    uses.forget()
    touch_flow(desk.flow.pk, now=NOW + timedelta(minutes=70))
    desk.flow.refresh_from_db()
    assert desk.flow.last_used_at == NOW + timedelta(minutes=60)


def test_drafts_are_not_among_the_flows_of_a_client(desk: Desk) -> None:
    desk.refused(grant="token_exchange")
    change_resource(desk.resource, actor=SYSTEM, token_lifetime=900)

    assert [flow.pk for flow in flows_of(desk.client.pk, desk.resource.pk)] == [desk.flow.pk]
