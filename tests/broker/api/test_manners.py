"""What all of /api/v1 does alike: problems, tags, keys, pages, parameters, budgets, deprecation."""

import base64
import json
from dataclasses import replace
from datetime import date, timedelta

import pytest
import time_machine
from django.db import OperationalError
from django.test import Client as DjangoClient
from django.utils import timezone

from broker import limits
from broker.api import authentication, clients, grants, idempotence
from broker.api.deprecation import USES, Deprecated
from broker.api.models import StoredAnswer
from broker.api.tasks import forget
from broker.events.models import Event
from broker.registry.models import Client, ClientSecret
from broker.throttling import Budget
from tests.broker.api.calls import PROBLEM, make_caller, pointers, refused
from tests.factories import make_service

pytestmark = pytest.mark.django_db
NEW = {"client_id": "mirror", "owner": "mirror@acme.example"}


# --- Problems


@pytest.mark.parametrize(
    "path", ["/api/v1", "/api/v1/", "/api/v1/nothing", "/api/v2/clients", "/api/", "/api/v1/clients/"]
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "BREW"])
def test_an_unknown_address_is_a_problem_and_no_page(path, method):
    answer = DjangoClient().generic(method, path)
    assert (answer.status_code, answer["Content-Type"]) == (404, PROBLEM)
    assert answer.json()["trace_id"] == answer["Countersign-Trace"]


def test_a_problem_says_what_it_means_and_who_can_mend_it():
    body = make_caller().get("/clients/nobody").json()
    assert body["type"] == "urn:countersign:refusal:api.not_found"
    assert body["title"]
    assert body["remedy"]
    assert body["mender"] == "the application's team"


def test_what_nobody_foresaw_is_a_problem_that_tells_nothing(monkeypatch, caplog):
    api = make_caller()

    def fail(client):
        raise ZeroDivisionError("the-secret-value")

    monkeypatch.setattr(clients, "show_client", fail)
    answer = api.get("/clients")
    assert refused(answer) == (500, "service.fault")
    assert b"the-secret-value" not in answer.content
    assert "the-secret-value" not in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_an_answer_that_cannot_be_written_is_a_problem_too(monkeypatch):
    api = make_caller()
    monkeypatch.setattr(clients, "show_client", lambda client: {"client_id": object()})
    answer = api.http.get("/api/v1/clients", headers={"Authorization": f"Bearer {api.token}"})
    assert (answer.status_code, answer["Content-Type"]) == (500, PROBLEM)


def test_a_database_that_is_away_is_a_503_that_says_when_to_come_again(monkeypatch):
    api = make_caller()

    def fail(client):
        raise OperationalError("password=hunter2")

    monkeypatch.setattr(clients, "show_client", fail)
    answer = api.get("/clients")
    assert refused(answer) == (503, "service.unavailable")
    assert int(answer["Retry-After"]) > 0
    assert b"hunter2" not in answer.content


@pytest.mark.parametrize("method", ["PUT", "TRACE", "OPTIONS", "BREW", "POST", "PATCH"])
def test_a_method_that_is_not_there_is_refused_with_those_that_are(method):
    answer = make_caller().send(method, "/resources", {} if method in ("POST", "PATCH", "PUT") else None)
    assert refused(answer) == (405, "request.method")
    assert answer["Allow"] == "GET, HEAD"


def test_head_tells_what_get_would_without_a_body():
    api = make_caller()
    make_service(client_id="mirror")
    answer = api.send("HEAD", "/clients/mirror")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer["ETag"] == api.etag("/clients/mirror")


@pytest.mark.parametrize("accept", ["text/html", "application/xml", "image/*"])
def test_answers_are_json_or_nothing(accept):
    answer = make_caller().get("/clients", Accept=accept)
    assert refused(answer) == (406, "api.not_acceptable")


def test_no_parameter_changes_the_kind_of_answer():
    api = make_caller()
    assert refused(api.get("/clients?format=api")) == (400, "api.invalid")
    assert refused(api.get("/clients?format=json")) == (400, "api.invalid")


@pytest.mark.parametrize("request_id", ["7f1d-11", "a" * 100])
def test_the_callers_own_request_id_comes_back(request_id):
    api = make_caller()
    for path in ("/clients", "/clients/nobody"):
        assert api.get(path, X_Request_ID=request_id)["X-Request-ID"] == request_id


@pytest.mark.parametrize("request_id", ["", "a" * 1000, "a b", "ä", "a\tb"])
def test_a_request_id_of_no_use_does_not_come_back(request_id):
    assert not make_caller().get("/clients", X_Request_ID=request_id).has_header("X-Request-ID")


def test_every_answer_is_kept_by_nobody():
    api = make_caller()
    for answer in (api.get("/clients"), api.get("/clients/nobody"), api.post("/clients", NEW)):
        assert answer["Cache-Control"] == "no-store"


# --- If-Match


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_a_change_needs_the_tag_of_what_was_read(method):
    api = make_caller()
    make_service(client_id="mirror")
    body = {"enabled": False} if method == "PATCH" else None
    path = "/clients/mirror"
    assert refused(api.send(method, path, body)) == (428, "api.precondition_required")
    stale = api.etag(path)
    Client.objects.filter(client_id="mirror").update(owner="else@acme.example")
    for tag in (stale, '""', '"nothing"', f"W/{api.etag(path)}", api.etag(path).strip('"'), ",", "**"):
        assert refused(api.send(method, path, body, If_Match=tag)) == (412, "api.precondition_failed")
    client = Client.objects.get(client_id="mirror")
    assert client.enabled
    assert client.retired_at is None
    assert api.send(method, path, body, If_Match=f'"other", {api.etag(path)}').status_code in (200, 204)


def test_a_refused_change_tells_no_tag_to_go_on_with():
    api = make_caller()
    make_service(client_id="mirror")
    answer = api.patch("/clients/mirror", {"enabled": False}, If_Match='"x"')
    assert api.etag("/clients/mirror").strip('"') not in answer.content.decode()


# --- Idempotency-Key


def test_the_same_request_under_the_same_key_has_its_effect_once():
    api = make_caller()
    first = api.post("/clients", NEW, Idempotency_Key="k-1")
    again = api.post("/clients", NEW, Idempotency_Key="k-1")
    assert again.status_code == first.status_code == 201
    assert again.json() == first.json()
    assert (again["Idempotency-Replayed"], again["ETag"], again["Location"]) == (
        "true",
        first["ETag"],
        first["Location"],
    )
    assert Event.objects.filter(type="party.created", subject_id="mirror").count() == 1


def test_a_secret_is_in_the_first_answer_only():
    api = make_caller()
    make_service(client_id="mirror", secret=None)
    first = api.post("/clients/mirror/secrets", Idempotency_Key="k-1").json()
    again = api.post("/clients/mirror/secrets", Idempotency_Key="k-1").json()
    value = first.pop("client_secret")
    assert again == first
    assert ClientSecret.objects.filter(client__client_id="mirror").count() == 1
    assert value not in str(list(StoredAnswer.objects.values()))


@pytest.mark.parametrize(
    ("path", "body"),
    [("/clients", {**NEW, "owner": "other@acme.example"}), ("/flows", NEW), ("/clients/x/secrets", NEW)],
)
def test_another_request_under_the_same_key_is_refused(path, body):
    api = make_caller()
    api.post("/clients", NEW, Idempotency_Key="k-1")
    assert refused(api.post(path, body, Idempotency_Key="k-1")) == (422, "api.idempotency_key")


def test_the_key_of_another_caller_is_another_key():
    one, other = make_caller(), make_caller()
    one.post("/clients", NEW, Idempotency_Key="k-1")
    assert refused(other.post("/clients", NEW, Idempotency_Key="k-1")) == (409, "api.conflict")
    answer = other.post("/clients", {**NEW, "client_id": "second"}, Idempotency_Key="k-1")
    assert answer.json()["client_id"] == "second"


def test_what_failed_may_be_sent_again_under_its_key():
    api = make_caller()
    body = {"client_id": "mirror", "application": "erp"}
    assert refused(api.post("/clients", body, Idempotency_Key="k-1"))[0] == 400
    assert not StoredAnswer.objects.exists()
    assert api.post("/clients", NEW, Idempotency_Key="k-1").status_code == 201


def test_a_key_is_good_for_a_day():
    api = make_caller()
    api.post("/clients", NEW, Idempotency_Key="k-1")
    later = timezone.now() + limits.API_ANSWER_KEPT
    StoredAnswer.objects.update(expires_at=timezone.now())
    assert forget() == 1
    assert refused(api.post("/clients", NEW, Idempotency_Key="k-1")) == (409, "api.conflict")
    with time_machine.travel(later, tick=False):
        assert idempotence.forget_answers(now=timezone.now()) == 0


@pytest.mark.parametrize("key", ["", '""', "a" * 201, "a b", "ä", '"a"b"', "a\nb"])
def test_a_key_of_no_use_is_refused(key):
    answer = make_caller().post("/clients", NEW, Idempotency_Key=key)
    assert refused(answer) == (422, "api.idempotency_key")
    assert not Client.objects.filter(client_id="mirror").exists()


def test_a_key_with_and_without_its_quotes_is_one():
    api = make_caller()
    api.post("/clients", NEW, Idempotency_Key='"k-1"')
    assert api.post("/clients", NEW, Idempotency_Key="k-1")["Idempotency-Replayed"] == "true"


# --- Pages


def test_pages_show_everything_once_while_others_register():
    api = make_caller("registry.read", client_id="aaa")
    for number in range(5):
        make_service(client_id=f"c{number}")
    seen, answer = [], api.get("/clients?limit=2")
    while True:
        seen += [item["client_id"] for item in answer.json()["items"]]
        if not answer.json()["next_cursor"]:
            break
        make_service(client_id=f"b{len(seen)}")
        answer = api.get(answer["Link"].partition("/api/v1")[2].partition(">")[0])
    assert seen == ["aaa", "c0", "c1", "c2", "c3", "c4"]
    assert not answer.has_header("Link")


def test_the_next_page_keeps_the_filter():
    api = make_caller()
    for number in range(3):
        make_service(client_id=f"c{number}", owner="a+b@acme.example")
    answer = api.get("/clients?owner=a%2Bb@acme.example&limit=2")
    assert "owner=a%2Bb" in answer["Link"]
    assert [
        i["client_id"] for i in api.get(answer["Link"][1:].partition("/api/v1")[2].partition(">")[0]).json()["items"]
    ] == ["c2"]


@pytest.mark.parametrize("limit", ["0", "-1", "201", "1e2", "", "１", "0x10", "9" * 400, " 5", "all"])
def test_a_limit_that_cannot_be_is_refused(limit):
    assert refused(answer := make_caller().get(f"/clients?limit={limit}")) == (400, "api.invalid")
    assert pointers(answer) == ["?limit"]


def test_a_page_has_its_greatest_size():
    api = make_caller()
    assert api.get(f"/clients?limit={limits.API_PAGE}").status_code == 200
    assert api.get(f"/clients?owner={'a' * limits.API_PARAMETER_CHARS}").json()["items"] == []
    assert refused(api.get(f"/clients?limit={limits.API_PAGE + 1}"))[0] == 400


def cursor(*values):
    return base64.urlsafe_b64encode(json.dumps(list(values)).encode()).rstrip(b"=").decode()


UUID = "0190a2b4-7c11-7c3e-9d5b-2f6d1c0a9e44"


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/clients", "x"),
        ("/clients", ""),
        ("/clients", "===="),
        ("/clients", "ä"),
        ("/clients", cursor()),
        ("/clients", cursor("a", "b")),
        ("/clients", cursor(1)),
        ("/clients", cursor(None)),
        ("/clients", cursor(["a"])),
        ("/clients", cursor("a\0b")),
        ("/clients", base64.urlsafe_b64encode(b'["\\ud800"]').decode()),
        ("/clients", base64.urlsafe_b64encode(b'["\xff"]').decode()),
        ("/clients", base64.urlsafe_b64encode(b"[" * 300).decode()),
        ("/clients", base64.urlsafe_b64encode(b'{"a": 1}').decode()),
        ("/flows", cursor("one")),
        ("/flows", cursor("9" * 30)),
        ("/flows", cursor("-" + "9" * 30)),
        ("/flows", cursor("1.5")),
        ("/grants", cursor("2026-01-01T00:00:00", UUID)),
        ("/grants", cursor("2026-01-01", UUID)),
        ("/grants", cursor("0001-01-01T00:00:00+23:59", UUID)),
        ("/grants", cursor("9999-12-31T23:59:59-23:59", UUID)),
        ("/grants", cursor("2026-13-01T00:00:00Z", UUID)),
        ("/grants", cursor("2026-01-01T00:00:00Z", "no-uuid")),
        ("/grants", cursor("2026-01-01T00:00:00Z")),
    ],
)
def test_a_cursor_that_is_not_ours_is_refused(path, text):
    assert refused(answer := make_caller().get(f"{path}?cursor={text}")) == (400, "api.invalid")
    assert pointers(answer) == ["?cursor"]


@pytest.mark.parametrize(
    ("path", "parameter"),
    [
        ("/clients?unknown=1", "?unknown"),
        ("/clients?kind=sign_on&kind=service", "?kind"),
        ("/clients?kind=both", "?kind"),
        ("/clients?owner=%00", "?owner"),
        ("/clients?owner=" + "a" * 501, "?owner"),
        ("/clients?client__secrets__secret_hash__startswith=k1", "?client__secrets__secret_hash__startswith"),
        ("/clients?owner__contains=a", "?owner__contains"),
        ("/flows?state=any", "?state"),
        ("/approvals?state=any", "?state"),
        ("/resources?identifier=x", "?identifier"),
        ("/clients/mirror?fields=id", "?fields"),
        ("/clients/mirror/secrets?scheme=keyed", "?scheme"),
    ],
)
def test_a_parameter_that_nobody_reads_is_an_error(path, parameter):
    api = make_caller()
    make_service(client_id="mirror")
    assert refused(answer := api.get(path)) == (400, "api.invalid")
    assert pointers(answer) == [parameter]


def test_a_change_takes_no_parameters():
    api = make_caller()
    assert refused(api.post("/clients?dry_run=true", NEW)) == (400, "api.invalid")
    assert not Client.objects.filter(client_id="mirror").exists()


# --- Budgets


def test_each_caller_has_its_budget_and_is_told_what_is_left(monkeypatch, settings):
    settings.THROTTLE_PROCESSES = 1
    monkeypatch.setattr(authentication, "BUDGET", Budget("api", 10))
    one, other = make_caller(), make_caller()
    with time_machine.travel(timezone.now().replace(microsecond=0), tick=False):
        answers = [one.get("/clients") for _ in range(12)]
        assert [answer.status_code for answer in answers] == [200] * 10 + [429] * 2
        assert answers[0]["RateLimit-Policy"] == '"api";q=10;w=10'
        assert refused(answers[-1]) == (429, "request.too_many")
        assert 1 <= int(answers[-1]["Retry-After"]) <= 10
        assert answers[-1]["RateLimit"].startswith('"api";r=0;t=')
        assert other.get("/clients").status_code == 200


# --- Deprecation

OLD = Deprecated("grants", date(2026, 1, 1), date(2027, 1, 1), "https://sso.acme.example/docs/v2")


def uses(client_id):
    return sum(
        sample.value
        for metric in USES.collect()
        for sample in metric.samples
        if sample.name.endswith("_total") and sample.labels == {"name": "grants", "client": client_id}
    )


def test_what_goes_away_says_when_in_every_answer_and_knows_who_still_uses_it(monkeypatch):
    monkeypatch.setattr(grants.Grants, "deprecated", OLD)
    api = make_caller()
    answer = api.get("/grants?limit=1")
    assert answer["Deprecation"] == "@1767225600"
    assert answer["Sunset"] == "Fri, 01 Jan 2027 00:00:00 GMT"
    assert '<https://sso.acme.example/docs/v2>; rel="successor-version"' in answer["Link"]
    assert refused(api.get("/grants?limit=0"))[0] == 400
    assert api.get("/grants?limit=0")["Sunset"]
    assert uses(api.client.client_id) == 3
    anonymous = DjangoClient().get("/api/v1/grants")
    assert anonymous["Deprecation"]
    assert not api.get("/clients").has_header("Deprecation")


def test_a_page_of_what_goes_away_still_leads_to_the_next(monkeypatch):
    monkeypatch.setattr(grants.Grants, "deprecated", OLD)
    make_caller()
    answer = make_caller().get("/grants?limit=1")
    assert 'rel="next"' in answer["Link"]
    assert 'rel="successor-version"' in answer["Link"]


def test_an_end_before_its_beginning_cannot_be_declared():
    with pytest.raises(ValueError, match="after"):
        replace(OLD, gone=OLD.since - timedelta(days=1))
