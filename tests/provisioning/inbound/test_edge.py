"""The edge of /scim/v2: who may ask, how often and what is read at all."""

import json
from datetime import timedelta

import pytest
import time_machine
from django.conf import settings
from django.db import OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from broker import limits
from broker.actors import SYSTEM
from broker.directory.models import Person
from broker.events.models import Event
from broker.registry.values import BadValue
from broker.throttling import Budget
from provisioning.inbound import views
from provisioning.inbound.journal import forget_expired, read_sealed
from provisioning.inbound.models import JournalEntry, SourceToken
from provisioning.inbound.sources import change_source, retire_source
from provisioning.inbound.tokens import end_token, import_token, issue_token, live_tokens
from tests.provisioning.inbound.conftest import PATCH, USER, Caller, assert_refused, last_entry, make_source, user

AMOUNT = 100


# Who


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer ", "Bearer wrong", "Basic YTpi", "bearer cst_\u00e9", "Bearer a b", "Bearer " + "a" * 5000],
    ids=["none", "empty", "blank", "wrong", "basic", "not ascii", "two", "long"],
)
@pytest.mark.parametrize("path", ["/Users", "/ServiceProviderConfig", "/Nowhere", "/Me", "/Bulk", ""])
def test_without_a_live_token_nothing_is_told(db, header, path):
    answer = Client().get(f"/scim/v2{path}", headers={"Authorization": header} if header else {})
    assert_refused(answer, 401, "scim.unauthenticated")
    assert answer["WWW-Authenticate"] == 'Bearer realm="SCIM"'
    assert answer["Cache-Control"] == "no-store"
    assert Event.objects.filter(type="scim.refused", code="scim.unauthenticated").count() == 1
    assert not JournalEntry.objects.exists()


def test_a_token_ends_on_its_day(call):
    assert call("GET", "/Users").status_code == 200
    with time_machine.travel(timezone.now() + limits.SCIM_TOKEN_LIFETIME + timedelta(seconds=1), tick=False):
        assert_refused(call("GET", "/Users"), 401, "scim.unauthenticated")


def test_an_ended_token_is_refused_at_once(call):
    assert call("GET", "/Users").status_code == 200
    end_token(SourceToken.objects.get(), reason="lost", actor=SYSTEM)
    assert_refused(call("GET", "/Users"), 401, "scim.unauthenticated")


@pytest.mark.parametrize("how", ["disabled", "retired"])
def test_a_source_that_is_not_in_use_is_refused(call, how):
    assert call("GET", "/Users").status_code == 200
    if how == "disabled":
        change_source(call.source, enabled=False, actor=SYSTEM)
    else:
        retire_source(call.source, actor=SYSTEM)
    assert_refused(call("GET", "/Users"), 401, "scim.unauthenticated")


def test_a_rotated_token_goes_on_for_a_week_and_a_third_ends_the_first(call):
    second = Caller(call.source)
    assert call("GET", "/Users").status_code == second("GET", "/Users").status_code == 200
    third = Caller(call.source)
    assert_refused(call("GET", "/Users"), 401, "scim.unauthenticated")
    assert second("GET", "/Users").status_code == third("GET", "/Users").status_code == 200
    with time_machine.travel(timezone.now() + limits.SCIM_TOKEN_OVERLAP + timedelta(seconds=1), tick=False):
        assert_refused(second("GET", "/Users"), 401, "scim.unauthenticated")
        assert third("GET", "/Users").status_code == 200


def test_a_token_is_kept_as_a_hash_and_its_use_is_written(call):
    call("GET", "/Users")
    token = SourceToken.objects.get()
    assert call.token not in str(SourceToken.objects.values().get())
    assert token.last_used_at is not None
    assert token.last_used_from == "127.0.0.1"


@pytest.mark.parametrize(
    "value", ["short", "a" * 31, "a" * 513, "with spaces in it, and rather long for that", "é" * 40]
)
def test_a_token_made_elsewhere_that_nobody_could_trust_is_not_taken_over(db, value):
    with pytest.raises(BadValue):
        import_token(make_source(), value, actor=SYSTEM)
    assert not SourceToken.objects.exists()


def test_a_token_made_elsewhere_is_taken_over_once_and_is_one_sources(db):
    source, value = make_source(), "made-elsewhere-0123456789-0123456789"
    assert import_token(source, value, actor=SYSTEM) is True
    assert import_token(source, value, actor=SYSTEM) is False
    assert Caller(source, value)("GET", "/Users").status_code == 200
    with pytest.raises(BadValue):
        import_token(make_source(), value, actor=SYSTEM)
    assert len(live_tokens(source, now=timezone.now())) == 1


def test_who_asks_too_often_waits_and_others_do_not(call, make_caller, monkeypatch):
    permits = 3 * settings.THROTTLE_PROCESSES
    monkeypatch.setattr(views, "BUDGET", Budget("scim", permits))
    other = make_caller()
    with time_machine.travel(timezone.now(), tick=False):
        # A process alone has its share of the budget; with a store, all of it.
        answers = [call("GET", "/Users") for _ in range(permits + 1)]
        assert [one.status_code for one in answers[:3]] == [200] * 3
        refused = answers[-1]
        assert_refused(refused, 429, "scim.too_many")
        assert 1 <= int(refused["Retry-After"]) <= limits.THROTTLE_WINDOW_SECONDS
        assert other("GET", "/Users").status_code == 200


# Where


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/Users", "GET, POST"),
        ("PATCH", "/Groups", "GET, POST"),
        ("POST", "/Users/x", "DELETE, GET, PATCH, PUT"),
        ("GET", "/Bulk", "POST"),
        ("POST", "/ServiceProviderConfig", "GET"),
        ("DELETE", "/Schemas", "GET"),
        ("PUT", "/ResourceTypes", "GET"),
        ("OPTIONS", "/Users", "GET, POST"),
    ],
)
def test_a_method_that_is_not_offered_is_refused_with_those_that_are(call, method, path, allowed):
    answer = call(method, path, {} if method not in {"GET", "OPTIONS"} else None)
    assert_refused(answer, 405, "scim.method")
    assert answer["Allow"] == allowed


@pytest.mark.parametrize(
    "path", ["/Nowhere", "/Nowhere/1", "/Users/1/2", "/Users/", "/Schemas/none", "/ResourceTypes/x"]
)
def test_an_address_that_is_none_is_not_found(call, path):
    answer = call("GET", path)
    if path == "/Users/":
        assert answer.status_code == 200
    else:
        assert_refused(answer, 404, "scim.not_found")


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "POST"])
def test_a_source_has_no_self(call, method):
    body = {"PUT": user("me"), "POST": user("me"), "PATCH": {"schemas": [PATCH], "Operations": []}}.get(method)
    assert_refused(call(method, "/Me", body), 501, "scim.not_supported")


def test_a_search_over_everything_at_once_is_not_offered(call):
    assert_refused(call("GET", "/"), 501, "scim.not_supported")
    assert_refused(
        call("POST", "/.search", {"schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"]}),
        501,
        "scim.not_supported",
    )


def test_what_is_said_of_ourselves_is_true(call):
    said = call("GET", "/ServiceProviderConfig").json()
    assert said["patch"] == said["sort"] == said["etag"] == {"supported": True}
    assert said["changePassword"] == {"supported": False}
    assert said["bulk"] == {"supported": True, "maxOperations": 1000, "maxPayloadSize": 1024 * 1024}
    assert said["filter"] == {"supported": True, "maxResults": 200}
    assert said["pagination"] == {
        "cursor": True,
        "index": True,
        "defaultPaginationMethod": "index",
        "defaultPageSize": 100,
        "maxPageSize": 200,
        "cursorTimeout": 3600,
    }
    (scheme,) = said["authenticationSchemes"]
    assert scheme["type"] == "oauthbearertoken"
    schemas = {
        one["id"]: {each["name"] for each in one["attributes"]} for one in call("GET", "/Schemas").json()["Resources"]
    }
    assert not schemas[USER] & {"password", "roles", "entitlements", "x509Certificates"}
    assert {one["endpoint"] for one in call("GET", "/ResourceTypes").json()["Resources"]} == {"/Users", "/Groups"}


@pytest.mark.parametrize("media_type", ["application/scim+json", "application/json", "application/json; charset=utf-8"])
def test_both_kinds_of_json_come_in_and_one_goes_out(call, media_type):
    answer = call("POST", "/Users", user("ada"), content_type=media_type)
    assert answer.status_code == 201
    assert answer["Content-Type"] == "application/scim+json"


# What is read


@pytest.mark.parametrize("media_type", ["text/plain", "application/xml", "application/x-www-form-urlencoded"])
def test_another_media_type_is_refused(call, media_type):
    assert_refused(call("POST", "/Users", user("ada"), content_type=media_type), 415, "scim.media_type")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"null",
        b"{",
        b"\xff\xfe{}",
        b'{"userName": "\xc3\x28"}',
        b'{"userName": "a", "userName": "b"}',
        b'{"userName": "a", "USERNAME": "b"}',
        b'{"userName": NaN}',
        b'{"userName": "\\u0000"}',
        b'{"userName": "\\ud800"}',
        b'{"name":' * 40 + b"{}" + b"}" * 40,
        b"[" * 100_000,
    ],
    ids=[
        "empty",
        "list",
        "null",
        "torn",
        "utf-16",
        "not utf-8",
        "twice",
        "twice in another case",
        "NaN",
        "NUL",
        "half a pair",
        "deep",
        "very deep",
    ],
)
def test_what_is_not_plain_json_is_refused(call, raw):
    answer = call("POST", "/Users", raw)
    assert_refused(answer, 400, "scim.syntax", "invalidSyntax")
    assert not Person.objects.exists()


def test_a_body_of_more_than_a_megabyte_is_refused_before_it_is_read(call):
    body = json.dumps(user("ada", title="a" * limits.SCIM_BODY_BYTES)).encode()
    with CaptureQueriesContext(connection) as spent:
        assert_refused(call("POST", "/Users", body), 413, "scim.too_large")
    assert not any("directory_person" in one["sql"] for one in spent)
    assert not Person.objects.exists()


def test_a_parameter_that_stands_twice_is_refused(call):
    assert_refused(call("GET", "/Users?count=1&count=2"), 400, "scim.syntax", "invalidSyntax")


@pytest.mark.parametrize("query", ["count=many", "startIndex=x", "sortOrder=up", "attributes=a[", "sortBy=a["])
def test_parameters_that_are_none_are_refused(call, query):
    assert call("GET", f"/Users?{query}").status_code == 400


# What is left


def test_what_was_sent_is_sealed_and_opens_in_the_console_only(call):
    call("POST", "/Users", user("ada", title="Analyst of engines"))
    entry = last_entry()
    assert "Analyst" not in entry.sealed
    assert json.loads(read_sealed(entry)["sent"])["title"] == "Analyst of engines"
    JournalEntry.objects.update(trace_id="other")
    entry.refresh_from_db()
    assert "sent" not in read_sealed(entry)


@pytest.mark.parametrize(
    "body",
    [
        user("ada", password="hunter2-hunter2"),
        {"schemas": [PATCH], "Operations": [{"op": "replace", "path": "password", "value": "hunter2-hunter2"}]},
        {"schemas": [PATCH], "Operations": [{"op": "replace", "value": {"password": "hunter2-hunter2"}}]},
    ],
)
def test_a_password_that_somebody_sends_is_kept_nowhere(call, body):
    shown = call.create("bob")
    call(
        "PATCH" if "Operations" in body else "POST", f"/Users/{shown['id']}" if "Operations" in body else "/Users", body
    )
    entry = last_entry()
    assert entry.code == "scim.mutability"
    assert "hunter2" not in json.dumps(read_sealed(entry))


def test_a_long_body_is_kept_in_part(call):
    call("POST", "/Users", user("ada", nickName="n" * 300, profileUrl="https://a.example/" + "p" * 40_000))
    sealed = read_sealed(last_entry())
    assert len(sealed["sent"]) == limits.SCIM_JOURNAL_BYTES
    assert sealed["cut"] > 40_000


def test_a_read_is_in_the_journal_with_what_was_asked_and_how_much_was_found(call):
    call.create("ada")
    call.found('userName eq "ada"')
    entry = last_entry()
    assert (entry.method, entry.resource, entry.status, entry.counts) == ("GET", "Users", 200, {"found": 1})
    assert "ada" not in entry.sealed
    assert json.loads(read_sealed(entry)["sent"]) == {"filter": 'userName eq "ada"'}


def test_an_id_that_is_none_of_ours_is_not_written_into_the_open(call):
    call("GET", "/Users/ada@acme.example")
    assert last_entry().subject == ""


def test_the_journal_forgets_reads_before_the_rest(call):
    call.create("ada")
    call("GET", "/Users")
    week = timezone.now() + limits.SCIM_JOURNAL_READS_RETENTION + timedelta(minutes=1)
    assert forget_expired(now=week) == 1
    assert last_entry().method == "POST"
    assert forget_expired(now=timezone.now() + limits.SCIM_JOURNAL_RETENTION + timedelta(minutes=1)) == 1


def test_our_own_mistake_says_nothing_of_itself_and_is_in_the_journal(call, monkeypatch):
    def broken(*args, **kwargs):
        raise RuntimeError("secret inside")

    monkeypatch.setattr("provisioning.inbound.people.write_attributes", broken)
    answer = call("POST", "/Users", user("ada"))
    assert_refused(answer, 500, "scim.fault")
    assert b"secret inside" not in answer.content
    assert last_entry().code == "scim.fault"
    assert not Person.objects.exists()


def test_a_database_that_is_away_is_told_as_that(call, monkeypatch):
    def away(*args, **kwargs):
        raise OperationalError("gone")

    monkeypatch.setattr("provisioning.inbound.people.People.find", away)
    answer = call("GET", "/Users/00000000-0000-4000-8000-000000000000")
    assert_refused(answer, 503, "scim.unavailable")
    assert answer["Retry-After"] == "30"


# What it costs


def asked(spent):
    """The statements, but for the one that every process makes twice a second, however often it is asked."""
    return [one["sql"][:100] for one in spent if "registry_registryversion" not in one["sql"]]


def test_one_user_costs_three_statements(call):
    shown = call.create("ada")
    call.create_group("Staff", shown["id"])
    call.read(shown["id"])
    with CaptureQueriesContext(connection) as spent:
        call.read(shown["id"])
    assert len(asked(spent)) <= 3, asked(spent)


def test_a_page_of_a_hundred_costs_six_statements(call):
    for number in range(AMOUNT + 5):
        call.create(f"p{number}", title="Analyst")
    call.found('title eq "analyst"')
    with CaptureQueriesContext(connection) as spent:
        found = call.found('title eq "analyst"', count=AMOUNT)
    assert len(found) == AMOUNT
    assert len(asked(spent)) <= 6, asked(spent)
    with CaptureQueriesContext(connection) as spent:
        assert len(call.found('userName eq "p7"')) == 1
    assert len(asked(spent)) <= 3, asked(spent)


def test_a_token_is_issued_with_an_event_that_does_not_show_it(call):
    value = issue_token(call.source, actor=SYSTEM)
    events = Event.objects.filter(type="scim.token_issued")
    assert events.count() == 2
    assert not any(value in str(one.details) for one in events)
