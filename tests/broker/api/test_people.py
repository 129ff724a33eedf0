"""/api/v1/people, conflicts and authority: why a value is what it is, and changing who may say so."""

import uuid
from datetime import timedelta

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from broker.actors import SYSTEM
from broker.directory.groups import add_members, create_group
from broker.directory.models import AuthorityRule, Conflict
from broker.directory.tasks import tend_authority
from broker.events.models import Event
from tests.broker.api.calls import make_caller, pointers, refused
from tests.broker.directory.sources import HR, LOGIN, fresh, say
from tests.factories import make_person

pytestmark = pytest.mark.django_db
READ, WRITE, RULE = "people.read", "people.write", "authority.write"
LOGINS_FIRST = "idp:*,scim:workday"


@pytest.fixture
def torn():
    """Somebody of whom HR and a login say different things."""
    person = make_person(external_id="4711")
    say(HR, person, title="Engineer", email="a@acme.example")
    say(LOGIN, person, title="Wizard")
    return person


def etag(api, conflict):
    return {"If_Match": api.etag(f"/conflicts/{conflict.pk}")}


def test_why_a_value_is_so_is_one_call(torn):
    api = make_caller(READ)
    shown = api.get(f"/people/{torn.pk}/attributes").json()
    (title,) = [one for one in shown["attributes"] if one["attribute"] == "title"]
    assert (shown["person"], title["values"], title["winner"]) == (str(torn.pk), ["Engineer"], "scim:workday")
    assert [(one["source"], one["values"], one["in_force"], one["conflict"]) for one in title["sources"]] == [
        ("scim:workday", ["Engineer"], True, ""),
        ("idp:acme-entra", ["Wizard"], False, "authority.not_authoritative"),
    ]
    assert all(one["evidence"] == "journal:1" and one["at"] for one in title["sources"])


def test_people_are_listed_and_shown_with_what_is_in_force(torn):
    add_members(create_group("engineering", source=HR, actor=SYSTEM), [torn.pk], actor=SYSTEM)
    make_person()
    api = make_caller(READ)
    (shown,) = api.get("/people?external_id=4711").json()["items"]
    assert api.get(f"/people/{torn.pk}").json() == shown
    assert (shown["identifiers"], shown["claims"]) == ({"email": "a@acme.example"}, {"title": ["Engineer"]})
    assert [(one["source"], one["name"]) for one in shown["groups"]] == [("scim:workday", "engineering")]
    assert len(api.get("/people").json()["items"]) == 2
    assert api.get("/people?organisation=none").json()["items"] == []


def test_a_page_of_people_costs_the_same_however_many_are_on_it():
    api = make_caller(READ)
    api.get("/people")
    spent = []
    for _ in range(2):
        for _ in range(5):
            say(HR, make_person(), email=f"{uuid.uuid4()}@acme.example")
        with CaptureQueriesContext(connection) as captured:
            api.get("/people")
        spent.append(len(captured))
    assert spent[0] == spent[1]


@pytest.mark.parametrize("path", ["/people/{}", "/people/{}/attributes"])
@pytest.mark.parametrize("key", [uuid.UUID(int=0), "nobody", "%00"])
def test_nobody_is_not_found(path, key):
    assert make_caller().get(path.format(key)).status_code in (400, 404)


@pytest.mark.parametrize("query", ["?name=Alice", "?organisation=%00", "?limit=0", "?external_id=1&external_id=2"])
def test_a_parameter_of_no_use_is_refused(query):
    assert refused(make_caller().get(f"/people{query}")) == (400, "api.invalid")


@pytest.mark.parametrize("scope", ["registry.read", "grants.read", WRITE, RULE])
def test_reading_people_needs_its_own_scope(scope, torn):
    api = make_caller(scope)
    for path in ("/people", f"/people/{torn.pk}", f"/people/{torn.pk}/attributes", "/conflicts", "/authority/rules"):
        assert refused(api.get(path)) == (403, "api.insufficient_scope")
    assert refused(api.get(f"/authority/simulation?attribute=title&sources={LOGINS_FIRST}"))[0] == 403


def test_who_resolves_conflicts_changes_no_rule(torn):
    """A rule counts for everybody, and could hand an attribute to a source that nobody checks."""
    api, conflict = make_caller(READ, WRITE), Conflict.objects.get()
    win = {"decision": "win", "would_change": 1}
    assert refused(api.patch(f"/conflicts/{conflict.pk}", win, **etag(api, conflict))) == (
        403,
        "api.insufficient_scope",
    )
    rule = {"attribute": "title", "sources": LOGINS_FIRST.split(","), "would_change": 1}
    assert refused(api.post("/authority/rules", rule)) == (403, "api.insufficient_scope")
    made = make_caller(READ, RULE).post("/authority/rules", rule)
    assert made.status_code == 201
    assert refused(api.delete(f"/authority/rules/{made.json()['id']}", If_Match="*")) == (403, "api.insufficient_scope")
    assert AuthorityRule.objects.count() == 1
    conflict.refresh_from_db()
    assert conflict.state != "scheduled"


def test_who_changes_rules_resolves_no_conflict(torn):
    api, conflict = make_caller(READ, RULE), Conflict.objects.get()
    answer = api.patch(f"/conflicts/{conflict.pk}", {"decision": "keep"}, **etag(api, conflict))
    assert refused(answer) == (403, "api.insufficient_scope")
    conflict.refresh_from_db()
    assert conflict.state == "open"


def test_who_only_reads_decides_nothing(torn):
    api, conflict = make_caller(READ), Conflict.objects.get()
    rule = {"attribute": "title", "sources": [], "would_change": 0}
    for answer in (
        api.patch(f"/conflicts/{conflict.pk}", {"decision": "keep"}, If_Match="*"),
        api.post("/authority/rules", rule),
        api.delete("/authority/rules/1", If_Match="*"),
    ):
        assert refused(answer) == (403, "api.insufficient_scope")
    assert not AuthorityRule.objects.exists()


# --- Conflicts ------------------------------------------------------------------------------------------------------


def test_a_conflict_is_listed_and_kept_with_a_note(torn):
    api = make_caller(READ, WRITE, RULE)
    (shown,) = api.get(f"/conflicts?state=open&person={torn.pk}&source=idp:acme-entra").json()["items"]
    assert (shown["values"], shown["winner"], shown["attribute"]) == (["Wizard"], "scim:workday", "title")
    conflict = Conflict.objects.get()
    answer = api.patch(f"/conflicts/{conflict.pk}", {"decision": "keep", "note": "HR is right"}, **etag(api, conflict))
    assert (answer.json()["state"], answer.json()["note"]) == ("kept", "HR is right")
    assert api.get("/conflicts?state=open").json()["items"] == []
    assert Event.objects.get(type="conflict.resolved").actor_id == api.client.client_id


def test_the_source_that_lost_wins_from_a_date_after_its_simulation(torn):
    api, conflict = make_caller(READ, WRITE, RULE), Conflict.objects.get()
    begins = timezone.now() + timedelta(days=1)
    sent = {"decision": "win", "valid_from": begins.isoformat(), "would_change": 1}
    answer = api.patch(f"/conflicts/{conflict.pk}", sent, **etag(api, conflict)).json()
    assert answer["state"] == "scheduled"
    rule = api.get(f"/authority/rules/{answer['rule']}").json()
    assert (rule["state"], rule["sources"][0]) == ("scheduled", "idp:acme-entra")
    with time_machine.travel(begins + timedelta(minutes=1)):
        tend_authority()
    assert fresh(torn).claims == {"title": ["Wizard"]}


@pytest.mark.parametrize(
    ("sent", "pointer"),
    [
        ({}, "/decision"),
        ({"decision": "drop"}, "/decision"),
        ({"decision": "win"}, "/would_change"),
        ({"decision": "win", "would_change": -1}, "/would_change"),
        ({"decision": "win", "would_change": 1, "valid_from": "tomorrow"}, "/valid_from"),
        ({"decision": "keep", "would_change": 1}, "/decision"),
        ({"decision": "keep", "note": "x" * 501}, "/note"),
        ({"decision": "keep", "state": "ended"}, "/state"),
    ],
)
def test_a_decision_that_says_too_little_or_too_much_is_refused(torn, sent, pointer):
    api = make_caller(READ, WRITE, RULE)
    answer = api.patch(f"/conflicts/{Conflict.objects.get().pk}", sent, If_Match="*")
    assert refused(answer) == (400, "api.invalid")
    assert pointer in pointers(answer)
    assert Conflict.objects.get().state == "open"


def test_a_decision_needs_what_was_read(torn):
    api, conflict = make_caller(READ, WRITE, RULE), Conflict.objects.get()
    read = etag(api, conflict)
    assert refused(api.patch(f"/conflicts/{conflict.pk}", {"decision": "keep"})) == (428, "api.precondition_required")
    say(LOGIN, fresh(torn), title="Witch")
    answer = api.patch(f"/conflicts/{conflict.pk}", {"decision": "keep"}, **read)
    assert refused(answer) == (412, "api.precondition_failed")
    assert Conflict.objects.get().state == "open"


def test_a_conflict_that_is_over_and_one_that_would_change_others_are_not_decided(torn):
    api, conflict = make_caller(READ, WRITE, RULE), Conflict.objects.get()
    path = f"/conflicts/{conflict.pk}"
    assert refused(api.patch(path, {"decision": "win", "would_change": 9}, If_Match="*")) == (
        409,
        "authority.simulation",
    )
    say(LOGIN, fresh(torn), title="Engineer")
    assert refused(api.patch(path, {"decision": "keep"}, If_Match="*")) == (409, "authority.conflict_over")
    assert refused(api.patch("/conflicts/0", {"decision": "keep"}, If_Match="*"))[0] == 404


# --- Authority ------------------------------------------------------------------------------------------------------


def test_a_rule_is_simulated_then_dated(torn):
    api = make_caller(READ, WRITE, RULE)
    shown = api.get(f"/authority/simulation?attribute=title&sources={LOGINS_FIRST}").json()
    assert (shown["checked"], shown["would_change"], shown["conclusive"]) == (1, 1, True)
    assert [(one["person"], one["before"], one["after"]) for one in shown["samples"]] == [
        (str(torn.pk), ["Engineer"], ["Wizard"])
    ]
    assert not AuthorityRule.objects.exists()
    begins = (timezone.now() + timedelta(days=1)).isoformat()
    sent = {"attribute": "title", "sources": LOGINS_FIRST.split(","), "valid_from": begins, "would_change": 1}
    made = api.post("/authority/rules", sent, Idempotency_Key="once")
    again = api.post("/authority/rules", sent, Idempotency_Key="once")
    assert (made.status_code, again.json()["id"], AuthorityRule.objects.count()) == (201, made.json()["id"], 1)
    assert api.get("/authority/rules?attribute=title&state=scheduled").json()["items"] == [made.json()]


def test_nobody_checked_is_said_to_prove_nothing():
    shown = make_caller(READ).get("/authority/simulation?attribute=tittle&sources=scim:workday").json()
    assert (shown["checked"], shown["conclusive"]) == (0, False)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("", "api.invalid"),
        ("?sources=scim:workday", "api.invalid"),
        ("?attribute=title&sources=hr", "authority.rule"),
        ("?attribute=title&sources=scim:a,scim:a", "authority.rule"),
        ("?attribute=groups", "authority.attribute"),
        ("?attribute=a%20b", "authority.attribute"),
        ("?attribute=title&chunk=1", "api.invalid"),
    ],
)
def test_a_simulation_of_no_rule_is_refused(query, code):
    assert refused(make_caller().get(f"/authority/simulation{query}")) == (400, code)


@pytest.mark.parametrize(
    ("changed", "status", "code"),
    [
        ({"would_change": 2}, 409, "authority.simulation"),
        ({"sources": ["hr"]}, 400, "authority.rule"),
        ({"attribute": "groups"}, 400, "authority.attribute"),
        ({"valid_from": "2001-01-01T00:00:00Z"}, 400, "authority.rule"),
        ({"valid_from": "2999-01-01T00:00:00Z"}, 400, "authority.rule"),
        ({"sources": "scim:workday"}, 400, "api.invalid"),
        ({"attribute": "t\x00"}, 400, "api.malformed"),
        ({"created_by": "me"}, 400, "api.invalid"),
    ],
)
def test_a_rule_that_cannot_be_is_refused(torn, changed, status, code):
    sent = {"attribute": "title", "sources": LOGINS_FIRST.split(","), "would_change": 1} | changed
    assert refused(make_caller().post("/authority/rules", sent)) == (status, code)
    assert not AuthorityRule.objects.exists()


def test_a_rule_without_its_simulation_is_refused(torn):
    answer = make_caller().post("/authority/rules", {"attribute": "title", "sources": []})
    assert refused(answer) == (400, "api.invalid")
    assert pointers(answer) == ["/would_change"]


def test_a_rule_is_taken_back_before_it_begins(torn):
    api = make_caller(READ, WRITE, RULE)
    begins = (timezone.now() + timedelta(days=1)).isoformat()
    sent = {"attribute": "title", "sources": LOGINS_FIRST.split(","), "would_change": 1}
    later = api.post("/authority/rules", sent | {"valid_from": begins}).json()["id"]
    path = f"/authority/rules/{later}"
    assert refused(api.delete(path)) == (428, "api.precondition_required")
    assert api.delete(path, If_Match=api.etag(path)).status_code == 204
    assert api.get(path).json()["state"] == "withdrawn"
    begun = api.post("/authority/rules", sent).json()["id"]
    assert refused(api.delete(f"/authority/rules/{begun}", If_Match="*")) == (400, "authority.rule")
