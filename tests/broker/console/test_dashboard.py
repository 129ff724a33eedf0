"""The overview: it counts what happened, says when nothing did, and links to where more is known."""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from broker.actors import SYSTEM, Actor, ActorKind
from broker.approvals.models import Approval
from broker.console.dashboard import read_dashboard
from broker.console.expiries import list_expiries
from broker.console.models import Operator
from broker.delivery.enqueueing import NewDelivery, enqueue
from broker.delivery.models import Delivery, Lane
from broker.directory.models import Conflict
from broker.events.catalogue import LOGIN_REFUSED, LOGIN_SUCCEEDED
from broker.events.services import record
from broker.registry import credential_values
from broker.registry.cache import raise_version
from broker.registry.models import ClientSecret
from broker.traces.collector import Collector
from broker.traces.models import Trace
from broker.traces.services import save_trace
from provisioning.inbound.tokens import issue_token
from provisioning.leaver.models import Case
from provisioning.outbound.models import Hold
from provisioning.planning.models import Drift
from tests.factories import (
    make_application,
    make_client,
    make_flow,
    make_identity_provider,
    make_person,
    make_resource,
    make_service,
)
from tests.fakes.certificates import make_certificate
from tests.provisioning.inbound.conftest import make_source
from tests.provisioning.planning.house import make_target

pytestmark = pytest.mark.django_db


def certificate(days: int, fingerprint: str = "ab12") -> dict[str, str]:
    ends_at = timezone.now() + timedelta(days=days, hours=1)
    return {"der": "", "subject": "CN=adfs", "fingerprint": fingerprint, "not_after": ends_at.isoformat()}


def refuse(code: str, *, connection: str = "acme", trace_id: str = "") -> None:
    actor = Actor(ActorKind.ANONYMOUS, trace_id=trace_id)
    record(LOGIN_REFUSED, actor=actor, connection=connection, application="crm", code=code)


def test_an_empty_overview_says_that_nothing_is_recorded(console):
    text = console.get("/admin/").content.decode()
    assert text.count("Nothing recorded yet") == 6
    assert "no sign-on has ended today" in text
    assert "<b>0</b>" not in text


def test_todays_sign_ons_are_counted_by_identity_provider_and_code():
    for _ in range(3):
        record(LOGIN_SUCCEEDED, actor=SYSTEM, connection="acme", application="crm")
    refuse("saml.expired")
    refuse("saml.expired")
    refuse("saml.signature", connection="globex")
    dashboard = read_dashboard(now=timezone.now())
    assert (dashboard.succeeded, dashboard.refused, dashboard.attempts) == (3, 3, 6)
    acme, globex = dashboard.connections
    assert (acme.slug, acme.succeeded, acme.refused) == ("acme", 3, 2)
    assert [(row.code, row.count) for row in acme.codes] == [("saml.expired", 2)]
    assert (globex.slug, globex.refused) == ("globex", 1)


def test_yesterday_is_not_today():
    with time_machine.travel("2026-11-22T23:59:59Z", tick=False):
        refuse("saml.expired")
    with time_machine.travel("2026-11-23T00:00:01Z", tick=False):
        dashboard = read_dashboard(now=timezone.now())
    assert dashboard.attempts == 0
    assert len(dashboard.refusals) == 1


def test_a_count_leads_to_the_traces_behind_it(console):
    for trace_id, code in (("AAAAA-AAAAA", "saml.expired"), ("BBBBB-BBBBB", "saml.signature")):
        save_trace(
            trace_id, Collector(hop="POST"), outcome=Trace.Outcome.REFUSED, code=code, connection="acme", is_new=True
        )
        refuse(code, trace_id=trace_id)
    row = read_dashboard(now=timezone.now()).connections[0]
    link = next(counted.link for counted in row.codes if counted.code == "saml.expired")
    text = console.get(link).content.decode()
    assert "AAAAA-AAAAA" in text
    assert "BBBBB-BBBBB" not in text


def test_a_refusal_is_linked_while_its_trace_is_kept(console):
    save_trace("AAAAA-AAAAA", Collector(hop="POST"), outcome=Trace.Outcome.REFUSED, is_new=True)
    refuse("saml.expired", trace_id="AAAAA-AAAAA")
    refuse("saml.expired", trace_id="CCCCC-CCCCC")
    text = console.get("/admin/").content.decode()
    assert "/admin/traces/trace/AAAAA-AAAAA/change/" in text
    assert "/admin/traces/trace/CCCCC-CCCCC/change/" not in text
    assert "CCCCC-CCCCC" in text


def test_what_ends_within_sixty_days_is_named_and_the_rest_is_counted(console):
    make_identity_provider(slug="acme", certificates=[certificate(-3, "dead"), certificate(10, "soon")])
    make_identity_provider(slug="globex", certificates=[certificate(61, "later")])
    dashboard = read_dashboard(now=timezone.now())
    assert [(row.owner, row.name, row.days) for row in dashboard.endings] == [
        ("acme", "dead", -3),
        ("acme", "soon", 10),
    ]
    assert dashboard.things_with_an_end == 3
    text = console.get("/admin/").content.decode()
    assert "10 days" in text
    assert "later" not in text


def test_a_clients_secret_that_must_be_rotated_is_among_the_endings():
    client = make_client()
    ClientSecret.objects.filter(client=client).update(rotate_by=timezone.now().date() + timedelta(days=5))
    assert [(row.kind, row.owner) for row in list_expiries()] == [("client secret", client.client_id)]


def test_certificates_and_dated_exceptions_of_clients_are_among_the_endings():
    today = timezone.now().date()
    client = make_client(
        secret=None,
        authentication="self_signed_tls_client_auth",
        certificates=[credential_values.certificate(make_certificate())],
    )
    make_client(client_id="old", secret=None, token_endpoint_audience_until=today + timedelta(days=3))
    assert [(row.kind, row.owner, row.days_left(timezone.now())) for row in list_expiries()] == [
        ("client exception", "old", 3),
        ("client certificate", client.client_id, 89),
    ]


def test_a_clients_secret_that_ended_is_listed_for_a_week():
    client = make_client()
    for days, count in ((1, 1), (8, 0)):
        ClientSecret.objects.filter(client=client).update(expires_at=timezone.now() - timedelta(days=days))
        raise_version()
        assert len(list_expiries()) == count


def test_what_nobody_owns_is_named():
    make_application(slug="crm", name="CRM", owner="")
    make_application(slug="erp", name="ERP", owner="erp@acme.example")
    dashboard = read_dashboard(now=timezone.now())
    assert [(row.kind, row.name) for row in dashboard.unowned] == [("application", "CRM")]
    assert dashboard.unowned_count == 1


def test_a_tail_that_nobody_seals_is_called_late():
    with time_machine.travel("2026-11-23T10:00:00Z", tick=False):
        refuse("saml.expired")
        assert not read_dashboard(now=timezone.now()).book_is_late
    with time_machine.travel("2026-11-23T10:06:00Z", tick=False):
        dashboard = read_dashboard(now=timezone.now())
    assert dashboard.book_is_late
    assert (dashboard.book.tail, dashboard.book.sealed_at) == (1, None)


def test_names_of_parties_are_text(console):
    make_application(slug="crm", name="<script>alert(1)</script>", owner="")
    text = console.get("/admin/").content.decode()
    assert "<script>alert(1)" not in text
    assert "&lt;script&gt;alert(1)" in text


def test_the_overview_costs_the_same_for_many_parties(django_assert_max_num_queries):
    for number in range(30):
        make_identity_provider(slug=f"idp-{number}", certificates=[certificate(10)])
        refuse("saml.expired", connection=f"idp-{number}")
    with django_assert_max_num_queries(31):
        read_dashboard(now=timezone.now())


def test_the_overview_says_what_waits_in_the_flow_register(console):
    client, resource = make_service(client_id="nightly"), make_resource()
    today = timezone.now().date()
    make_flow(client, resource, expires=today + timedelta(days=9), last_used_at=timezone.now())
    make_flow(client, resource, grant="token_exchange")
    make_flow(client, resource, grant="jwt_bearer", expires=today - timedelta(days=1))
    make_flow(client, resource, grant="a", state="proposed", is_draft=True, owner="", expires=None)
    operator = Operator.objects.get()
    for number, days in ((1, 1), (2, -1)):
        Approval.objects.create(
            kind="flow", subject_kind="flow", subject_id=str(number), title="x", requested_by=operator,
            requested_at=timezone.now(), expires_at=timezone.now() + timedelta(days=days),
        )  # fmt: skip

    flows = read_dashboard(now=timezone.now()).flows
    text = console.get("/admin/").content.decode()

    assert (flows.approved, flows.asked, flows.waiting, flows.ending, flows.unused) == (2, 1, 1, 1, 1)
    assert "?standing=asked" in text
    for link in ("?standing=asked", "?standing=ending", "?standing=unused", "?state__exact=approved"):
        assert console.get(f"/admin/registry/flow/{link}").status_code == 200
    assert [(row.kind, row.owner, row.days) for row in read_dashboard(now=timezone.now()).endings] == [
        ("flow", "nightly", -1),
        ("flow", "nightly", 9),
    ]


def numbers() -> dict[str, tuple[int, bool]]:
    return {row.text: (row.number, row.is_bad) for row in read_dashboard(now=timezone.now()).concerns}


def test_nothing_that_was_never_looked_at_is_said_to_be_well(console):
    dashboard = read_dashboard(now=timezone.now())
    assert dashboard.concerned == 0
    text = console.get("/admin/").content.decode()
    assert "no target is in use, nobody left" in text
    assert "Leavers late or reopened" not in text


def test_red_leavers_dead_letters_stopped_lanes_and_holds_stand_on_the_overview(console):
    case = make_case(state="late")
    make_case(state="open")
    enqueue("scim", [NewDelivery("target:crm", "person:1"), NewDelivery("target:erp", "person:1")], actor=SYSTEM)
    Delivery.objects.filter(lane="target:erp").update(state=Delivery.State.DEAD, settled_at=timezone.now())
    Lane.objects.filter(name="target:erp").update(state=Lane.State.STOPPED)
    target = make_target(probe_problem="target.not_scim")
    Hold.objects.create(
        name="breaker:crm:1",
        target=target,
        number=1,
        state=Hold.State.OPEN,
        count=9,
        counted=9,
        accounts=10,
        opened_at=timezone.now(),
    )
    Drift.objects.create(
        target=target, kind="shadow", title="mallory", first_seen=timezone.now(), last_seen=timezone.now()
    )
    Conflict.objects.create(
        person=case.person,
        attribute="title",
        source="idp:acme",
        values=["Queen"],
        code="authority.not_authoritative",
        opened_at=timezone.now(),
    )
    assert numbers() == {
        "Leavers late or reopened": (1, True),
        "Leavers not closed yet": (1, False),
        "Differences at targets": (1, True),
        "Holds that wait for a second operator": (1, True),
        "Targets whose last probe failed": (1, True),
        "Targets without a credential": (0, False),
        "Lanes through which nothing goes": (1, True),
        "Dead letters": (1, True),
        "Late deliveries": (0, False),
        "Deliveries under way or held back": (1, False),
        "Open conflicts between sources": (1, True),
    }
    text = console.get("/admin/").content.decode()
    assert "Nothing recorded yet: no target" not in text
    for row in read_dashboard(now=timezone.now()).concerns:
        assert row.text in text
        listed = console.get(row.link)
        assert listed.status_code == 200
        if "?" in row.link:
            assert listed.context["cl"].result_count == row.number, row.text


def test_the_last_token_of_a_source_is_among_the_endings_once_it_ends_soon(console):
    source = make_source(slug="workday")
    issue_token(source, actor=SYSTEM, lifetime=timedelta(days=300))
    assert read_dashboard(now=timezone.now()).endings == []
    with time_machine.travel(timezone.now() + timedelta(days=290)):
        [ending] = read_dashboard(now=timezone.now()).endings
        assert (ending.kind, ending.owner, ending.days) == ("SCIM token", "workday", 9)
        issue_token(source, actor=SYSTEM)
        assert read_dashboard(now=timezone.now()).endings == []
    assert f"/admin/inbound/scimsource/{source.pk}/change/" in ending.link


def make_case(*, state: str) -> Case:
    now = timezone.now()
    return Case.objects.create(
        person=make_person(), state=state, state_since=now, opened_at=now, left_at=now, cause_event=1
    )
