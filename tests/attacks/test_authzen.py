"""Hostile requests for decisions: whatever is sent, nobody gets what no rule permits, and nothing falls over."""

import itertools
import json
from typing import Any

import pytest
from django.utils import timezone

from broker import limits
from broker.access.models import Decision
from broker.console.models import Operator
from tests.broker.access.gateway import Gateway, action, entity, make_gateway
from tests.factories import make_application, make_client, make_person

pytestmark = pytest.mark.django_db

POLICY = """
@id("own") permit (principal == User::"alice", action == Action::"read", resource == record::"1");
@id("level") permit (principal, action == Action::"read", resource is record)
when { resource has level && resource.level < 3 };
@id("soft") permit (principal, action == Action::"write", resource is record)
when { context.action has soft && context.action.soft };
@id("staff") permit (principal in Group::"idp/staff", action, resource);
@id("friend") permit (principal, action == Action::"read", resource is record)
when { resource has friend && resource.friend == User::"mallory" };
"""
MALLORY, READ, WRITE, SECRET = entity("user", "mallory"), action("read"), action("write"), entity("record", "secret")


@pytest.fixture
def gateway() -> Gateway:
    return make_gateway(policy=POLICY)


def decision(gateway: Gateway, subject: Any = MALLORY, act: Any = READ, resource: Any = SECRET, **more: Any) -> bool:
    answer = gateway.evaluate(subject=subject, action=act, resource=resource, **more)
    assert answer.status_code == 200, answer.content
    return answer.json()["decision"]


def test_the_rules_permit_what_they_are_meant_to(gateway):
    assert decision(gateway, entity("user", "alice"), resource=entity("record", "1")) is True
    assert decision(gateway, resource=entity("record", "2", level=1)) is True
    assert decision(gateway, act=action("write", soft=True)) is True


@pytest.mark.parametrize(
    "name",
    [
        'alice"',
        '" || true || "',
        'alice" }; permit (principal, action, resource);//',
        'User::"alice"',
        "alice\n",
        " alice",
        "alice ",
        "ALICE",
        "a\u200dlice",
        "\u0430lice",
        "ａｌｉｃｅ",
        "alice\u0301",
        "*",
        "?principal",
        "../alice",
        "%61lice",
        "\\u0061lice",
        "x" * limits.ACCESS_ID_CHARS,
        "𝔞" * 500,
    ],
)
def test_a_name_that_only_looks_like_another_is_nobody(gateway, name):
    assert decision(gateway, entity("user", name), resource=entity("record", "1")) is False
    assert decision(gateway, entity("user", "alice"), resource=entity("record", name)) is False


@pytest.mark.parametrize(
    "type_", ["User", "USER", "user ", "User::", "Group", "T__user", "_user", "\u0075ser\u200b", "Action"]
)
def test_a_type_that_only_looks_like_ours_is_another(gateway, type_):
    assert decision(gateway, entity(type_, "alice"), resource=entity("record", "1")) is False


@pytest.mark.parametrize(
    "type_", ["Record", "record ", "record::x", "T__record", "Application", "application", "Group"]
)
def test_a_resource_type_that_is_not_registered_is_denied_however_it_is_written(gateway, type_):
    assert decision(gateway, entity("user", "alice"), resource=entity(type_, "1")) is False


@pytest.mark.parametrize("name", ["Read", "read ", 'read"', "Action::read", "sign_on", "*", ""])
def test_an_action_that_only_looks_like_another_is_another(gateway, name):
    answer = gateway.evaluate(subject=entity("user", "alice"), action=action(name), resource=entity("record", "1"))
    assert answer.status_code == (200 if name else 400)
    assert answer.json().get("decision", False) is False


@pytest.mark.parametrize(
    "forged",
    [
        {"groups": ["idp/staff"]},
        {"parents": [{"type": "Group", "id": "idp/staff"}]},
        {"parents": [{"__entity": {"type": "Group", "id": "idp/staff"}}]},
        {"uid": {"type": "User", "id": "alice"}},
        {"id": "alice", "type": "user"},
        {"__entity": {"type": "User", "id": "alice"}},
        {"tags": {"staff": True}},
        {"attrs": {}, "ancestors": [{"type": "Group", "id": "idp/staff"}]},
    ],
)
def test_nobody_joins_a_group_or_becomes_another_by_properties(gateway, forged):
    assert decision(gateway, entity("user", "mallory", **forged), resource=entity("record", "1")) is False


@pytest.mark.parametrize(
    "friend",
    [
        {"__entity": {"type": "User", "id": "mallory"}},
        {"__extn": {"fn": "decimal", "arg": "1.0"}},
        {"__expr": 'User::"mallory"'},
        {"type": "User", "id": "mallory"},
        'User::"mallory"',
    ],
)
def test_no_value_that_is_sent_becomes_a_reference_to_an_entity(gateway, friend):
    assert decision(gateway, resource=entity("record", "secret", friend=friend)) is False


@pytest.mark.parametrize(
    "context",
    [
        {"action": {"soft": True}},
        {"action.soft": True},
        {"action": True},
        {"soft": True},
        {"principal": {"id": "alice"}},
    ],
)
def test_the_context_does_not_stand_for_the_action(gateway, context):
    assert decision(gateway, act=WRITE, context=context) is False


@pytest.mark.parametrize(
    "level",
    ["1", "", [], [1], {}, {"value": 1}, True, False, None, 1.5, -1.5, 2**63, -(2**63) - 1, 1e300, 10**19, "NaN"],
)
def test_a_value_of_another_type_than_the_rule_expects_permits_nothing(gateway, level):
    assert decision(gateway, resource=entity("record", "secret", level=level)) is False


def test_a_leaver_does_not_come_back_by_what_is_sent():
    leaver = make_person(is_active=False)
    gateway = make_gateway(policy="permit (principal, action, resource is record);")
    for spelling in (
        str(leaver.pk),
        str(leaver.pk).upper(),
        leaver.pk.hex,
        f"{{{leaver.pk}}}",
        f"urn:uuid:{leaver.pk}",
    ):
        subject = entity("user", spelling, active=True, known=False, is_active=True)
        assert decision(gateway, subject) is False
    assert decision(gateway, entity("user", str(make_person().pk))) is True


def test_another_application_is_not_asked_about_by_another_spelling():
    make_application(slug="crm")
    gateway = make_gateway(
        application=make_application(slug="erp"),
        resource_types={"application": ["open"]},
        policy="permit (principal, action, resource);",
    )
    for slug in ("crm", "CRM", "crm ", "erp/../crm", "erpcrm"):
        assert decision(gateway, act=action("open"), resource=entity("application", slug)) is False
    assert decision(gateway, act=action("open"), resource=entity("application", "erp")) is True


@pytest.mark.parametrize("opening", ["[", '{"a":', '{"a":['])
def test_a_body_that_is_deep_is_refused_and_costs_no_stack(gateway, opening):
    for depth in (limits.ACCESS_JSON_DEPTH + 1, 10_000, 50_000):
        body = '{"subject":' + opening * depth
        answer = gateway.post("/access/v1/evaluation", body[: limits.ACCESS_BODY_BYTES])
        assert answer.status_code == 400


def test_properties_as_deep_as_the_body_may_be_are_an_answer(gateway):
    value: Any = 1
    for _ in range(limits.ACCESS_JSON_DEPTH - 4):
        value = {"a": value}
    assert decision(gateway, resource=entity("record", "secret", value=value)) is False


def test_a_body_full_of_members_is_an_answer(gateway):
    many = {f"member{number}": number for number in range(8_000)}
    assert decision(gateway, resource=entity("record", "secret", **many)) is False


def test_a_full_batch_of_large_items_is_an_answer(gateway):
    large = limits.ACCESS_BODY_BYTES // (limits.ACCESS_EVALUATIONS + 3) - 120
    items = [
        {"resource": entity("record", f"{number}", text="x" * large)} for number in range(limits.ACCESS_EVALUATIONS)
    ]
    answer = gateway.evaluate_all(subject=MALLORY, action=READ, evaluations=items)
    assert answer.status_code == 200
    assert {one["decision"] for one in answer.json()["evaluations"]} == {False}


def test_what_names_are_too_long_for_a_column_is_kept_all_the_same(gateway):
    long = "t" * limits.ACCESS_NAME_CHARS
    assert (
        decision(gateway, entity(long, "雪" * limits.ACCESS_ID_CHARS), action("a" * limits.ACCESS_NAME_CHARS)) is False
    )
    assert Decision.objects.count() == 1


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
def test_no_other_method_decides(gateway, method):
    body = json.dumps({"subject": entity("user", "alice"), "action": READ, "resource": entity("record", "1")})
    answer = gateway.http.generic(
        method,
        "/access/v1/evaluation",
        body,
        content_type="application/json",
        headers={"Authorization": gateway.authorization, "X-HTTP-Method-Override": "POST"},
    )
    assert answer.status_code == 405
    assert not Decision.objects.exists()


def test_a_page_of_another_site_cannot_ask_in_a_browser(gateway):
    answer = gateway.evaluate(subject=MALLORY, action=READ, resource=SECRET, headers={"Origin": "https://evil.example"})
    assert not [name for name in answer.headers if name.lower().startswith("access-control")]
    assert answer["X-Content-Type-Options"] == "nosniff"


def test_an_operator_s_cookie_opens_nothing(gateway):
    operator = Operator(email="ada@acme.example", name="Ada", must_change_password=False, created_at=timezone.now())
    operator.save()
    gateway.http.force_login(operator, backend="broker.console.backends.OperatorBackend")
    body = json.dumps({"subject": entity("user", "alice"), "action": READ, "resource": entity("record", "1")})
    answer = gateway.http.post("/access/v1/evaluation", body, content_type="application/json")
    assert answer.status_code == 401


def test_two_credentials_are_none(gateway):
    other = Gateway(make_client(kind="service", application=None), None)
    both = f"{gateway.authorization}, {other.authorization}"
    assert (
        gateway.evaluate(subject=MALLORY, action=READ, resource=SECRET, headers={"Authorization": both}).status_code
        == 401
    )


def test_an_answer_tells_nothing_of_the_rules_beyond_their_ids(gateway):
    """Neither texts of rules nor values that we know of people."""
    person = make_person(name="Very Secret Name", claims={"department": ["hidden-department"]})
    answer = gateway.evaluate(subject=entity("user", str(person.pk)), action=READ, resource=SECRET)
    for text in (b"Very Secret Name", b"hidden-department", b"permit (", b"Group::"):
        assert text not in answer.content


def test_probing_gets_one_answer_whatever_exists_elsewhere():
    """Of resources that are not the caller's own, the answer is the same, known, permitted or nothing."""
    make_gateway(resource_types={"payslip": ["read"]}, resources=[entity("payslip", "7")])
    gateway = make_gateway(policy="permit (principal, action, resource is payslip);")
    person = make_person()
    answers = set()
    for subject, resource in itertools.product(
        (entity("user", str(person.pk)), MALLORY), (entity("payslip", "7"), entity("payslip", "8"), entity("nix", "7"))
    ):
        body = gateway.evaluate(subject=subject, action=READ, resource=resource).json()
        assert body["context"].pop("id")
        answers.add(json.dumps(body, sort_keys=True))
    assert len(answers) == 1


def test_the_same_question_has_the_same_answer_until_something_changes(gateway):
    asked = {"subject": entity("user", "alice"), "act": READ, "resource": entity("record", "1")}
    began = timezone.now()
    assert {decision(gateway, **asked) for _ in range(20)} == {True}
    assert Decision.objects.filter(at__gte=began).count() == 20
