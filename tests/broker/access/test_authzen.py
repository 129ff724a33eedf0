"""The decision endpoints: who may ask, what is refused as no request at all, and how batches are answered."""

import json
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import DatabaseError, connection
from django.test import Client as Http
from django.utils import timezone

from broker import limits
from broker.access import points
from broker.access.models import Decision
from broker.actors import SYSTEM
from broker.events.models import Event
from broker.registry.cache import raise_version
from broker.throttling import throttle
from tests.broker.access.gateway import Gateway, action, entity, make_gateway
from tests.broker.tokens.desk import basic
from tests.factories import CLIENT_SECRET, make_application, make_client, make_person

pytestmark = pytest.mark.django_db

POLICY = """
@id("read") permit (principal == User::"alice", action == Action::"read", resource is record);
@id("never") forbid (principal, action, resource == record::"secret");
"""
ALICE, BOB, ONE, READ = entity("user", "alice"), entity("user", "bob"), entity("record", "1"), action("read")
ASKED = {"subject": ALICE, "action": READ, "resource": ONE}
PATHS = [
    "/access/v1/evaluation",
    "/access/v1/evaluations",
    "/access/v1/search/subject",
    "/access/v1/search/resource",
    "/access/v1/search/action",
]


@pytest.fixture
def gateway() -> Gateway:
    return make_gateway(policy=POLICY)


def refused(answer: Any, status: int, code: str) -> dict[str, Any]:
    """The body of a refusal, which is never a decision."""
    assert answer.status_code == status, answer.content
    body = answer.json()
    assert body["code"] == code
    assert "decision" not in body
    assert "evaluations" not in body
    assert "results" not in body
    assert answer["Cache-Control"] == "no-store"
    return body


# --- Decisions --------------------------------------------------------------------------------------------------------
def test_a_denial_is_an_answer_of_status_200(gateway):
    answer = gateway.evaluate(subject=BOB, action=READ, resource=ONE)
    assert answer.status_code == 200
    assert answer.json()["decision"] is False


def test_a_decision_says_its_id_and_its_reasons(gateway):
    body = gateway.evaluate(**ASKED).json()
    assert body["decision"] is True
    stored = Decision.objects.get(pk=body["context"]["id"])
    assert stored.decision is True
    assert "403" in gateway.evaluate(subject=BOB, action=READ, resource=ONE).json()["context"]["reason_admin"]


def test_answers_are_kept_by_no_cache(gateway):
    assert gateway.evaluate(**ASKED)["Cache-Control"] == "no-store"


# --- Who may ask ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Basic",
        "Basic !!!",
        "Basic YWxpY2U=",
        basic("no-such-client", CLIENT_SECRET),
        "Bearer ",
        "Bearer not.a.token",
        "Negotiate abc",
        "DPoP x",
    ],
)
def test_who_proves_nothing_learns_nothing(gateway, path, authorization):
    answer = gateway.ask(path, ASKED, headers={"Authorization": authorization})
    refused(answer, 401, "access.unauthenticated")
    assert "Basic" in answer["WWW-Authenticate"]
    assert 'Bearer realm="countersign", resource_metadata="' in answer["WWW-Authenticate"]


def test_a_wrong_secret_and_an_unknown_client_get_the_same_answer(gateway):
    wrong = gateway.evaluate(**ASKED, headers={"Authorization": basic(gateway.client.client_id, "wrong" * 10)})
    unknown = gateway.evaluate(**ASKED, headers={"Authorization": basic("nobody", "wrong" * 10)})
    bodies = [{**refused(answer, 401, "access.unauthenticated"), "trace_id": ""} for answer in (wrong, unknown)]
    assert bodies[0] == bodies[1]


def test_a_refused_caller_is_in_the_book_with_the_reason(gateway):
    gateway.http = Http(REMOTE_ADDR="192.0.2.77")  # refusals of one address are counted, not written, in a flood
    gateway.evaluate(**ASKED, headers={"Authorization": basic("nobody", "wrong" * 10)})
    event = Event.objects.filter(type="token.refused").latest("pk")
    assert event.details["reason"] == "unknown_client"
    assert "decision request" in event.details["hop"]


def test_a_client_that_is_switched_off_is_refused_at_the_next_request(gateway):
    assert gateway.evaluate(**ASKED).json()["decision"] is True
    gateway.client.enabled = False
    gateway.client.save()
    raise_version()
    refused(gateway.evaluate(**ASKED), 401, "access.unauthenticated")


@pytest.mark.parametrize("path", PATHS)
def test_nobody_is_authenticated_before_the_method_is_right(gateway, path):
    answer = gateway.http.get(path, headers={"Authorization": gateway.authorization})
    assert answer.status_code == 405
    assert answer["Allow"] == "POST"


def test_a_credential_in_the_body_or_the_address_is_none(gateway):
    body = {**ASKED, "client_id": gateway.client.client_id, "client_secret": CLIENT_SECRET}
    path = f"/access/v1/evaluation?client_id={gateway.client.client_id}&client_secret={CLIENT_SECRET}"
    refused(gateway.ask(path, body, headers={"Authorization": ""}), 401, "access.unauthenticated")


@pytest.fixture
def _small_share(monkeypatch):
    """This process has two permits of each budget of searches, and ten of decisions."""
    monkeypatch.setattr(throttle, "_share", lambda: limits.SEARCH_REQUESTS // 2)
    monkeypatch.setattr(throttle, "_lease", None)
    with time_machine.travel(timezone.now(), tick=False):
        yield


@pytest.mark.usefixtures("_small_share")
def test_a_client_that_hammers_gets_no_decision_and_is_told_when_to_come_back(gateway):
    share = limits.DECISION_REQUESTS // (limits.SEARCH_REQUESTS // 2)
    answers = [gateway.evaluate(**ASKED) for _ in range(share + 1)]
    assert {answer.status_code for answer in answers[:-1]} == {200}
    assert answers[0]["RateLimit"].startswith(f'"decisions";r={share - 1};')
    refused(answers[-1], 429, "request.too_many")
    assert 1 <= int(answers[-1]["Retry-After"]) <= limits.THROTTLE_WINDOW_SECONDS
    assert make_gateway().evaluate(**ASKED).status_code == 200, "another client has a budget of its own"


@pytest.mark.usefixtures("_small_share")
def test_searches_have_a_smaller_budget_of_their_own(gateway):
    asked = {"subject": ALICE, "action": READ, "resource": {"type": "record"}}
    assert [gateway.search("resource", **asked).status_code for _ in range(3)] == [200, 200, 429]
    assert gateway.evaluate(**ASKED).status_code == 200


# --- About what -------------------------------------------------------------------------------------------------------
def test_a_client_without_an_enforcement_point_is_always_told_no(gateway):
    other = Gateway(make_client(kind="service", application=None), None)
    assert other.evaluate(**ASKED).json()["decision"] is False
    assert other.search("resource", subject=ALICE, action=READ, resource={"type": "record"}).json()["results"] == []


def test_what_is_not_the_caller_s_own_is_denied_like_what_does_not_exist(gateway):
    make_gateway(resource_types={"invoice": ["read"]}, policy="permit (principal, action, resource is invoice);")
    foreign = gateway.evaluate(subject=ALICE, action=READ, resource=entity("invoice", "1")).json()
    absent = gateway.evaluate(subject=ALICE, action=READ, resource=entity("nothing", "1")).json()
    for answer in (foreign, absent):
        assert answer["decision"] is False
        answer["context"].pop("id")
    assert foreign == absent


def test_the_own_application_is_the_only_application_one_may_ask_about():
    own, other = make_application(slug="erp"), make_application(slug="crm")
    gateway = make_gateway(
        application=own,
        resource_types={"application": ["open"]},
        policy='permit (principal, action == Action::"open", resource is Application);',
    )
    asked = {"subject": ALICE, "action": action("open")}
    assert gateway.evaluate(**asked, resource=entity("application", own.slug)).json()["decision"] is True
    assert gateway.evaluate(**asked, resource=entity("application", other.slug)).json()["decision"] is False


def test_a_point_that_was_retired_asks_about_nothing_more(gateway):
    assert gateway.evaluate(**ASKED).json()["decision"] is True
    points.retire_point(gateway.point, actor=SYSTEM)
    assert gateway.evaluate(**ASKED).json()["decision"] is False


def test_what_is_declared_wins_over_what_is_sent():
    gateway = make_gateway(
        resources=[entity("record", "1", status="archived")],
        policy='permit (principal, action, resource is record) when {resource has status && resource.status=="open"};',
    )
    sent = entity("record", "1", status="open")
    assert gateway.evaluate(subject=ALICE, action=READ, resource=sent).json()["decision"] is False
    assert gateway.evaluate(subject=ALICE, action=READ, resource={**sent, "id": "2"}).json()["decision"] is True


def test_a_leaver_is_denied_at_the_next_request():
    person = make_person()
    gateway = make_gateway(policy="permit (principal, action, resource is record);")
    asked = {"subject": entity("user", str(person.pk)), "action": READ, "resource": ONE}
    assert gateway.evaluate(**asked).json()["decision"] is True
    person.is_active = False
    person.updated_at = timezone.now()
    person.save()
    assert gateway.evaluate(**asked).json()["decision"] is False


# --- What is no request -----------------------------------------------------------------------------------------------
WRONG_TYPES = [None, True, 1, 1.5, "text", [], [{}]]


@pytest.mark.parametrize("name", ["subject", "action", "resource", "context"])
@pytest.mark.parametrize("value", WRONG_TYPES)
def test_each_top_level_field_is_an_object(gateway, name, value):
    body = refused(gateway.evaluate(**{**ASKED, name: value}), 400, "access.invalid_request")
    assert body["error"] == f"{name}: an object is expected."


@pytest.mark.parametrize("place", ["subject.type", "subject.id", "action.name", "resource.type", "resource.id"])
@pytest.mark.parametrize("value", [None, True, 1, 1.5, [], {}, ""])
def test_each_name_is_a_string_with_something_in_it(gateway, place, value):
    name, part = place.split(".")
    body = refused(gateway.evaluate(**{**ASKED, name: {**ASKED[name], part: value}}), 400, "access.invalid_request")
    assert body["error"].startswith(f"{place}: a string")


@pytest.mark.parametrize("name", ["subject", "action", "resource"])
@pytest.mark.parametrize("value", WRONG_TYPES)
def test_properties_are_an_object(gateway, name, value):
    body = {**ASKED, name: {**ASKED[name], "properties": value}}
    refused(gateway.evaluate(**body), 400, "access.invalid_request")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b" ",
        b"null",
        b"[]",
        b'"text"',
        b"{",
        b'{"subject":',
        b'{"a":1}{"b":2}',
        b'{"subject":{"type":"user","id":"a"},"subject":{"type":"user","id":"b"}}',
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": 1e999}',
        b'{"a": 1' + b"0" * 400 + b"}",
        b"\xff\xfe{\x00}\x00",
        b'{"a": "\xc3\x28"}',
        b'{"a": "\\ud800"}',
        b'{"a": "\\u0000"}',
        b'{"a": "' + b"\x00" + b'"}',
        b'{"a": 01}',
        b"{'a': 1}",
        b'{"a": 1,}',
        b"\xef\xbb\xbf{}",
    ],
)
@pytest.mark.parametrize("path", PATHS)
def test_a_body_that_two_readers_could_read_differently_is_refused(gateway, path, raw):
    refused(gateway.post(path, raw), 400, "access.invalid_request")


@pytest.mark.parametrize(
    "content_type",
    ["", "text/json", "application/jsonp", "application/json; charset=utf-16", "multipart/form-data; boundary=x"],
)
@pytest.mark.parametrize("path", PATHS)
def test_another_content_type_is_refused(gateway, path, content_type):
    refused(gateway.post(path, json.dumps(ASKED), content_type=content_type), 400, "access.invalid_request")


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=utf-8", "Application/JSON", "application/json;x=1"]
)
def test_parameters_and_case_of_the_content_type_do_not_matter(gateway, content_type):
    assert gateway.post(PATHS[0], json.dumps(ASKED), content_type=content_type).json()["decision"] is True


@pytest.mark.parametrize("value", ["a" * 201, "two\twords", "umlaut-ä", " leads"])
def test_a_request_id_that_is_no_plain_text_is_refused_and_not_given_back(gateway, value):
    answer = gateway.evaluate(**ASKED, headers={"X-Request-ID": value})
    refused(answer, 400, "access.invalid_request")
    assert "X-Request-ID" not in answer


@pytest.mark.parametrize("status", [200, 400, 401, 405])
def test_the_request_id_comes_back_whatever_the_answer(gateway, status):
    headers = {"X-Request-ID": "a b:c/9"}
    answer = {
        200: lambda: gateway.evaluate(**ASKED, headers=headers),
        400: lambda: gateway.evaluate(headers=headers),
        401: lambda: gateway.evaluate(**ASKED, headers=headers | {"Authorization": ""}),
        405: lambda: gateway.http.get(PATHS[0], headers=headers),
    }[status]()
    assert answer.status_code == status
    assert answer["X-Request-ID"] == "a b:c/9"


def test_a_body_beyond_the_limit_is_refused_before_it_is_read(gateway):
    answer = gateway.post(PATHS[0], b"x" * (limits.ACCESS_BODY_BYTES + 1))
    assert answer.status_code == 413


# --- Batches ----------------------------------------------------------------------------------------------------------
GOOD, NO, BAD = {"resource": ONE}, {"resource": entity("record", "secret")}, {"resource": "record"}


def batch(gateway: Gateway, items: list[Any], semantic: str = "execute_all") -> list[bool]:
    options = {"evaluations_semantic": semantic}
    answer = gateway.evaluate_all(subject=ALICE, action=READ, evaluations=items, options=options)
    assert answer.status_code == 200, answer.content
    return [one["decision"] for one in answer.json()["evaluations"]]


@pytest.mark.parametrize(
    ("semantic", "items", "expected"),
    [
        ("execute_all", [GOOD, NO, BAD, GOOD], [True, False, False, True]),
        ("deny_on_first_deny", [GOOD, GOOD, NO, GOOD], [True, True, False]),
        ("deny_on_first_deny", [GOOD, BAD, GOOD], [True, False]),
        ("deny_on_first_deny", [BAD, GOOD], [False]),
        ("deny_on_first_deny", [NO, BAD], [False]),
        ("deny_on_first_deny", [GOOD, GOOD], [True, True]),
        ("permit_on_first_permit", [NO, GOOD, GOOD], [False, True]),
        ("permit_on_first_permit", [BAD, NO, BAD, GOOD, NO], [False, False, False, True]),
        ("permit_on_first_permit", [NO, BAD, NO], [False, False, False]),
        ("permit_on_first_permit", [GOOD, BAD], [True]),
        ("execute_all", [BAD], [False]),
    ],
)
def test_each_semantic_answers_what_it_evaluated_and_no_more(gateway, semantic, items, expected):
    assert batch(gateway, items, semantic) == expected


def test_what_a_semantic_leaves_out_is_not_decided_at_all(gateway):
    batch(gateway, [NO, GOOD, GOOD], "deny_on_first_deny")
    assert Decision.objects.count() == 1
    batch(gateway, [BAD, GOOD, GOOD], "deny_on_first_deny")
    assert Decision.objects.count() == 1


def test_a_long_batch_keeps_its_order(gateway):
    items = [GOOD if number % 3 else NO for number in range(limits.ACCESS_EVALUATIONS)]
    assert batch(gateway, items) == [bool(number % 3) for number in range(limits.ACCESS_EVALUATIONS)]


@pytest.mark.parametrize("item", [None, True, 7, "x", [], {"subject": None}, {"context": []}, {"action": {"name": ""}}])
def test_an_item_that_is_no_evaluation_is_denied_and_says_why(gateway, item):
    answer = gateway.evaluate_all(subject=ALICE, action=READ, resource=ONE, evaluations=[item, {}]).json()
    bad, good = answer["evaluations"]
    assert bad["decision"] is False
    assert bad["context"]["error"]["status"] == 400
    assert "expected" in bad["context"]["error"]["message"]
    assert good["decision"] is True


def test_an_item_replaces_a_default_whole(gateway):
    """There is no merging: an item's resource without an id does not take the id of the default."""
    answer = gateway.evaluate_all(**ASKED, evaluations=[{"resource": {"type": "record"}}]).json()
    assert answer["evaluations"][0]["decision"] is False
    assert "resource.id" in answer["evaluations"][0]["context"]["error"]["message"]


@pytest.mark.parametrize(
    "body",
    [
        {"evaluations": {}},
        {"evaluations": "x"},
        {"evaluations": None},
        {"evaluations": [{}] * (limits.ACCESS_EVALUATIONS + 1)},
        {"evaluations": [{}], "options": []},
        {"evaluations": [{}], "options": {"evaluations_semantic": "allow_all"}},
        {"evaluations": [{}], "options": {"evaluations_semantic": None}},
        {"evaluations": [{}], "options": {"evaluations_semantic": ["execute_all"]}},
        {"evaluations": [{}], "subject": "alice"},
        {"evaluations": [{}], "subject": {"type": "user"}},
        {"evaluations": [{}], "context": []},
    ],
)
def test_what_is_wrong_at_the_top_refuses_the_whole_batch(gateway, body):
    refused(gateway.evaluate_all(**{**ASKED, **body}), 400, "access.invalid_request")


def test_a_batch_says_what_an_evaluation_says(gateway):
    for resource in (ONE, entity("record", "secret"), entity("record", 'quote "'), entity("record", "雪")):
        alone = gateway.evaluate(subject=ALICE, action=READ, resource=resource).json()["decision"]
        assert batch(gateway, [{"resource": resource}]) == [alone]


# --- When something is broken -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("path", PATHS)
def test_a_database_that_is_away_is_no_permission(gateway, path):
    def away(*_: Any) -> Any:
        raise DatabaseError("away")

    with time_machine.travel(timezone.now() + timedelta(seconds=5), tick=False), connection.execute_wrapper(away):
        answer = gateway.ask(path, ASKED)
    refused(answer, 503, "access.unavailable")
    assert answer["Retry-After"]


def test_the_metadata_needs_no_database_and_no_credential():
    def away(*_: Any) -> Any:
        raise DatabaseError("away")

    with connection.execute_wrapper(away):
        assert Http().get("/.well-known/authzen-configuration").status_code == 200


def test_a_question_costs_two_reads_and_one_row(django_assert_num_queries):
    """What is declared, the person, and the decision; a batch costs the same, and nothing else is read when warm."""
    gateway = make_gateway(policy=POLICY, resources=[ONE])
    people = [entity("user", str(make_person().pk)) for _ in range(20)]
    asked = {"action": READ, "resource": ONE}
    gateway.evaluate_all(**asked, evaluations=[{"subject": one} for one in people])
    with django_assert_num_queries(3):
        gateway.evaluate(**asked, subject=people[0])
    with django_assert_num_queries(3):
        gateway.evaluate_all(**asked, evaluations=[{"subject": one} for one in people])
