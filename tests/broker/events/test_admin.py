"""The book in the console: to read, to find, to export; never to change."""

import csv
import io
import json
from collections.abc import Callable

import pytest
from django.contrib import admin
from django.http import StreamingHttpResponse
from django.test import Client, RequestFactory
from django.utils import timezone

from broker.actors import Actor, ActorKind
from broker.console.models import Operator
from broker.events.admin import EventAdmin, SealAdmin
from broker.events.catalogue import LOGIN_REFUSED, REQUEST_REFUSED
from broker.events.models import Event, Seal
from broker.events.services import record

pytestmark = pytest.mark.django_db


@pytest.fixture
def events() -> EventAdmin:
    return EventAdmin(Event, admin.site)


@pytest.fixture
def request_of(rf: RequestFactory) -> Callable[..., object]:
    """A request by an operator of a role."""

    def _request(role: str = "viewer", path: str = "/admin/events/event/") -> object:
        request = rf.get(path)
        request.user = Operator.objects.create(
            email=f"{role}@acme.example", role=role, created_at=timezone.now(), must_change_password=False
        )
        return request

    return _request


def lines_of(answer: StreamingHttpResponse) -> str:
    return b"".join(answer.streaming_content).decode()  # type: ignore[arg-type] - it is not asynchronous


@pytest.mark.parametrize("role", ["viewer", "operator"])
@pytest.mark.parametrize(("room", "model"), [(EventAdmin, Event), (SealAdmin, Seal)])
def test_every_role_may_read_and_none_may_change(request_of, role: str, room: type, model: type) -> None:
    page = room(model, admin.site)
    request = request_of(role)
    assert page.has_view_permission(request)
    assert not page.has_add_permission(request)
    assert not page.has_change_permission(request)
    assert not page.has_delete_permission(request)


def test_a_viewer_may_export_and_delete_nothing(events: EventAdmin, request_of) -> None:
    assert set(events.get_actions(request_of())) == {"export_json_lines", "export_csv"}


@pytest.mark.parametrize("typed", ["ABCDE-FGH23", "abcde-fgh23", "abcdefgh23", " ABCDEFGH23 "])
def test_a_trace_id_is_found_as_people_type_it(events: EventAdmin, request_of, typed: str) -> None:
    wanted = record(REQUEST_REFUSED, actor=Actor(ActorKind.ANONYMOUS, trace_id="ABCDE-FGH23"))
    record(REQUEST_REFUSED, actor=Actor(ActorKind.ANONYMOUS, trace_id="ZZZZZ-FGH23"))
    found, _ = events.get_search_results(request_of(), Event.objects.all(), typed)
    assert list(found) == [wanted]


def test_a_subject_of_ten_letters_is_not_taken_for_a_trace(events: EventAdmin, request_of) -> None:
    wanted = record(REQUEST_REFUSED, actor=Actor(ActorKind.ANONYMOUS), subject=("client", "billing123"))
    found, _ = events.get_search_results(request_of(), Event.objects.all(), "billing123")
    assert list(found) == [wanted]


@pytest.mark.parametrize(
    ("query", "count"), [("", 2), ("?type=login.refused", 1), ("?code=saml.expired", 1), ("?severity=notice", 0)]
)
def test_events_are_filtered(events: EventAdmin, request_of, query: str, count: int) -> None:
    record(LOGIN_REFUSED, actor=Actor(ActorKind.ANONYMOUS), code="saml.expired", connection="acme")
    record(REQUEST_REFUSED, actor=Actor(ActorKind.ANONYMOUS), code="request.malformed")
    listed = events.get_changelist_instance(request_of(path=f"/admin/events/event/{query}"))
    assert listed.queryset.count() == count


def test_json_lines_hold_every_column_of_every_event(events: EventAdmin, request_of) -> None:
    first = record(LOGIN_REFUSED, actor=Actor(ActorKind.ANONYMOUS), code="saml.expired", note="ü\n")
    record(REQUEST_REFUSED, actor=Actor(ActorKind.ANONYMOUS))
    answer = events.export_json_lines(request_of(), Event.objects.all())
    rows = [json.loads(line) for line in lines_of(answer).splitlines()]
    assert [row["id"] for row in rows] == [first.id, first.id + 1]
    assert set(rows[0]) == {field.name for field in Event._meta.concrete_fields}
    assert rows[0]["details"] == {"note": "ü\n"}


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t"])
def test_csv_holds_no_formula(events: EventAdmin, request_of, start: str) -> None:
    record(REQUEST_REFUSED, actor=Actor(ActorKind.CLIENT, f"{start}1+2"), code="request.malformed")
    answer = events.export_csv(request_of(), Event.objects.all())
    [row] = csv.DictReader(io.StringIO(lines_of(answer)))
    assert row["actor_id"] == f"'{start}1+2"
    assert json.loads(row["details"]) == {}


def test_an_export_of_nothing_has_its_head_line(events: EventAdmin, request_of) -> None:
    assert lines_of(events.export_csv(request_of(), Event.objects.none())).startswith("id,at,type")


def test_details_are_shown_as_text(events: EventAdmin) -> None:
    event = record(REQUEST_REFUSED, actor=Actor(ActorKind.ANONYMOUS), text="<script>")
    assert "<script>" not in events.pretty_details(event)
    assert "&lt;script&gt;" in events.pretty_details(event)


def test_a_type_says_what_it_means(events: EventAdmin) -> None:
    event = record(REQUEST_REFUSED, actor=Actor(ActorKind.ANONYMOUS), subject=("client", "crm"))
    assert events.meaning(event) == REQUEST_REFUSED.meaning
    assert (events.subject(event), events.actor(event)) == ("client crm", "anonymous")
    event.type = "long.gone"
    assert events.meaning(event) == "No longer in the catalogue."


# --- Through the console --------------------------------------------------------------------------------------------
@pytest.fixture
def viewer(client: Client) -> Client:
    """A browser in which a viewer is signed in."""
    operator = Operator.objects.create(
        email="viewer@acme.example", role="viewer", created_at=timezone.now(), must_change_password=False
    )
    client.force_login(operator, backend="broker.console.backends.OperatorBackend")
    return client


def test_the_pages_of_the_book_open_for_a_viewer(viewer: Client) -> None:
    event = record(LOGIN_REFUSED, actor=Actor(ActorKind.ANONYMOUS), code="saml.expired", text="<script>")
    pages = ["/admin/events/event/", "/admin/events/event/?q=abcde-fgh23", "/admin/events/event/?code=saml.expired"]
    for page in (*pages, "/admin/events/seal/", f"/admin/events/event/{event.id}/change/"):
        answer = viewer.get(page)
        assert answer.status_code == 200
    assert b"&lt;script&gt;" in answer.content
    assert LOGIN_REFUSED.meaning.encode()[:20] in answer.content


@pytest.mark.parametrize("action", ["add/", "{id}/change/", "{id}/delete/"])
def test_the_console_takes_no_change_of_the_book(viewer: Client, action: str) -> None:
    event = record(LOGIN_REFUSED, actor=Actor(ActorKind.ANONYMOUS), code="saml.expired")
    answer = viewer.post(f"/admin/events/event/{action.format(id=event.id)}", {"code": "other", "post": "yes"})
    assert answer.status_code == 403
    assert Event.objects.get(id=event.id).code == "saml.expired"


def test_a_viewer_downloads_what_is_selected(viewer: Client) -> None:
    record(LOGIN_REFUSED, actor=Actor(ActorKind.ANONYMOUS), code="saml.expired")
    chosen = record(LOGIN_REFUSED, actor=Actor(ActorKind.ANONYMOUS), code="saml.issuer")
    answer = viewer.post("/admin/events/event/", {"action": "export_json_lines", "_selected_action": [chosen.id]})
    assert answer["Content-Disposition"] == 'attachment; filename="events.jsonl"'
    assert [json.loads(line)["id"] for line in lines_of(answer).splitlines()] == [chosen.id]
