"""Policies come into force by two humans, and nothing is stored that could not."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from broker import limits
from broker.access.activation import request_activation, request_retirement
from broker.access.declaring import change_schema, current_schema
from broker.access.doctor import check_policies
from broker.access.in_force import policies_in_force
from broker.access.models import Decision, Policy, PolicySchema, PolicySet, PolicyVersion
from broker.access.registering import (
    add_version,
    change_policy,
    discard,
    end_trial,
    register_policy,
    try_version,
)
from broker.access.source import BadPolicy
from broker.actors import SYSTEM
from broker.approvals.models import Approval
from broker.approvals.services import approve, refuse
from broker.errors import BrokerError
from broker.events.models import Event
from broker.registry.cache import raise_version
from broker.registry.values import BadValue
from tests.broker.access.house import ADA, BOB, PERSON, SCHEMA, ask, draft, in_force, out_of_force, permits, reread
from tests.factories import make_application, make_person

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("settled")]

State = PolicyVersion.State
READ = 'permit(principal, action == Action::"read", resource is record);'
WRITE = 'permit(principal, action == Action::"write", resource is record);'


def code_of(act, *args, **kwargs):
    with pytest.raises(BrokerError) as caught:
        act(*args, **kwargs)
    return caught.value.code


def set_number():
    return PolicySet.objects.order_by("-number").first().number


# --- Registering -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "fields",
    [
        {"slug": "Not a slug"},
        {"slug": "built-in"},
        {"owner": "nobody"},
        {"resource_types": [""]},
        {"resource_types": [5]},
        {"applications": ["Not a slug"]},
        {"name": "x" * 201},
    ],
)
def test_a_policy_that_cannot_be_is_not_registered(fields):
    fields = {"slug": "erp", "name": "ERP", "owner": "erp@acme.example"} | fields
    with pytest.raises(BadValue):
        register_policy(fields.pop("slug"), actor=ADA, **fields)
    assert not Policy.objects.exists()


@pytest.mark.parametrize(
    "source",
    [
        "",
        "permit(principal",
        f"{READ}\npermit(principal is Nobody, action, resource);",
        READ + "\x00",
        "permit(principal, action, resource) when { resource.colour == 1 };",
        'permit(principal, action == Action::"fly", resource);',
    ],
)
def test_what_does_not_compile_or_agree_stores_nothing(source):
    policy = register_policy("erp", name="ERP", owner="erp@acme.example", actor=ADA)
    before = Event.objects.count()
    with pytest.raises(BadPolicy) as caught:
        add_version(policy, source, actor=ADA)
    assert caught.value.faults[0].line >= 1
    assert str(caught.value).startswith("line ")
    assert not PolicyVersion.objects.exists()
    assert Event.objects.count() == before


def test_the_same_text_is_no_new_version():
    first = draft(READ, slug="erp")
    assert draft(READ.replace("\n", "\r\n"), slug="erp") == first
    assert draft(WRITE, slug="erp").number == 2
    assert draft(READ, slug="erp").number == 3


def test_a_draft_changes_nothing():
    draft(READ)
    assert not permits()


# --- Confines --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "source",
    [
        "permit(principal, action, resource);",
        'permit(principal, action == Action::"read", resource is invoice);',
        f'{READ}\nforbid(principal, action == Action::"read", resource == invoice::"1");',
        'permit(principal, action == Action::"read", resource in record::"1");',
    ],
)
def test_a_policy_does_not_reach_beyond_its_types(source):
    with pytest.raises(BadPolicy, match="confined"):
        draft(source, resource_types=["record"])
    assert draft(READ, resource_types=["record"])


@pytest.mark.parametrize(
    "source",
    [
        'permit(principal, action == Action::"sign_on", resource is Application);',
        'permit(principal is User, action == Action::"sign_on", resource);',
        "permit(principal, action, resource);",
        'permit(principal, action == Action::"sign_on", resource == Application::"crm");',
    ],
)
def test_a_policy_does_not_reach_beyond_its_applications(source):
    with pytest.raises(BadPolicy, match="confined"):
        draft(source, applications=["erp"])
    assert draft(
        'permit(principal, action == Action::"sign_on", resource == Application::"erp");', applications=["erp"]
    )
    assert draft(READ, applications=["erp"])


def test_confines_cannot_be_drawn_tighter_than_what_is_in_force():
    version = in_force(READ)
    with pytest.raises(BadPolicy, match="confined"):
        change_policy(version.policy, resource_types=["invoice"], actor=ADA)
    assert change_policy(version.policy, resource_types=["record"], actor=ADA).resource_types == ["record"]


def test_confines_that_changed_since_hold_at_the_activation_too():
    version = draft(READ)
    change_policy(version.policy, resource_types=["invoice"], actor=ADA)
    approval = request_activation(version, actor=ADA)
    assert code_of(approve, approval, actor=BOB) == "policy.invalid"
    assert reread(version).state == State.DRAFT
    assert not permits()


# --- Four eyes -------------------------------------------------------------------------------------------------------
def test_a_second_operator_brings_it_into_force():
    version, before = in_force(READ), set_number()
    assert (version.state, version.approved_by) == (State.ACTIVE, "bob@acme.example")
    assert permits()
    event = Event.objects.get(type="policy.activated")
    assert (event.subject_id, event.details["proposed_by"]) == (version.policy.slug, "ada@acme.example")
    assert PolicySet.objects.get(pk=before).members == {str(version.pk): version.digest}


@pytest.mark.parametrize("ask", [request_activation, request_retirement])
def test_nobody_brings_their_own_into_force_or_out_of_it(ask):
    version = draft(READ) if ask is request_activation else in_force(READ)
    before = permits()
    approval = ask(version, actor=ADA)
    assert code_of(approve, approval, actor=ADA) == "approval.own"
    assert code_of(ask, reread(version), actor=SYSTEM) == "approval.not_allowed"
    assert permits() is before


def test_a_refused_version_stays_a_draft():
    version = draft(READ)
    refuse(request_activation(version, actor=ADA), reason="too wide", actor=BOB)
    assert reread(version).state == State.DRAFT
    assert not permits()


def test_a_newer_version_takes_the_place_of_the_older():
    first = in_force(READ, slug="erp")
    second = in_force(WRITE, slug="erp")
    assert (reread(first).state, second.state) == (State.RETIRED, State.ACTIVE)
    assert not permits()
    assert permits(action="write")


def test_what_changed_since_it_was_asked_has_to_be_asked_anew():
    first, second = draft(READ, slug="erp"), draft(WRITE, slug="erp")
    asked = request_activation(first, actor=ADA)
    approve(request_activation(second, actor=ADA), actor=BOB)
    assert code_of(approve, asked, actor=BOB) == "approval.changed"
    assert reread(first).state == State.DRAFT


def test_going_out_of_force_needs_a_second_operator_too():
    in_force("permit(principal, action, resource is record);")
    version = in_force('forbid(principal, action == Action::"read", resource is record);')
    assert not permits()
    assert out_of_force(version).state == State.RETIRED
    assert permits()


@pytest.mark.parametrize("state", [State.ACTIVE, State.RETIRED])
def test_only_drafts_and_candidates_come_into_force(state):
    version = in_force(READ)
    if state == State.RETIRED:
        version = out_of_force(version)
    for act in (request_activation, try_version, discard, end_trial):
        with pytest.raises(BadValue):
            act(version, actor=ADA)


def test_what_is_not_in_force_cannot_go_out_of_it():
    with pytest.raises(BadValue):
        request_retirement(draft(READ), actor=ADA)


def test_a_discarded_draft_comes_into_force_no_more():
    version = draft(READ)
    approval = request_activation(version, actor=ADA)
    assert discard(version, actor=ADA).state == State.RETIRED
    approval.refresh_from_db()
    assert approval.state == Approval.State.WITHDRAWN
    assert draft(READ, slug=version.policy.slug).number == 2


def test_the_database_itself_knows_one_active_version_and_no_unapproved_one():
    version = in_force(READ, slug="erp")
    other = draft(WRITE, slug="erp")
    for values in ({"state": "active", "activated_at": timezone.now(), "approved_by": "x"}, {"state": "active"}):
        with pytest.raises(IntegrityError), transaction.atomic():
            PolicyVersion.objects.filter(pk=other.pk).update(**values)
    with pytest.raises(IntegrityError), transaction.atomic():
        PolicyVersion.objects.filter(pk=version.pk).update(approved_by="")


# --- The schema ------------------------------------------------------------------------------------------------------
def declare(**fields):
    return change_schema(**{"source": SCHEMA, "person_properties": PERSON, "client_properties": ""} | fields, actor=ADA)


def test_the_same_declarations_are_no_new_schema():
    number = current_schema().number
    assert declare().number == number
    assert declare(client_properties="zone?: String").number == number + 1
    assert PolicySchema.objects.count() == number + 1


@pytest.mark.parametrize(
    "fields", [{"source": "entity"}, {"source": SCHEMA + "entity User;"}, {"person_properties": "a: B"}]
)
def test_declarations_that_cannot_be_store_nothing(fields):
    number = current_schema().number
    with pytest.raises(BadPolicy):
        declare(**fields)
    assert current_schema().number == number


WITHOUT_RECORDS = "entity invoice; action read appliesTo { principal: [User], resource: [invoice] };"


def test_what_is_in_force_or_tried_has_to_agree_with_new_declarations():
    in_force(READ, slug="records")
    with pytest.raises(BadPolicy, match="records 1: "):
        declare(source=WITHOUT_RECORDS)
    assert permits()


def test_a_draft_that_agrees_with_the_declarations_no_more_is_not_tried():
    version = draft(READ)
    declare(source=WITHOUT_RECORDS)
    with pytest.raises(BadPolicy):
        try_version(version, actor=ADA)
    assert code_of(approve, request_activation(version, actor=ADA), actor=BOB) == "policy.invalid"
    assert reread(version).state == State.DRAFT


# --- Sets ------------------------------------------------------------------------------------------------------------
def test_every_change_is_a_new_set_and_a_set_is_never_changed():
    in_force(READ, slug="earlier")
    before = list(PolicySet.objects.order_by("number").values())
    version = in_force(READ)
    out_of_force(version)
    after = list(PolicySet.objects.order_by("number").values())
    added = [one["members"] for one in after[len(before) :]]
    assert [str(version.pk) in members for members in added] == [True, False]
    assert added[0][str(version.pk)] == version.digest
    assert after[: len(before)] == before


def test_a_new_set_is_followed_when_the_registry_is_asked_for_its_version(monkeypatch):
    policies_in_force()
    number = policies_in_force().policy_set.number
    in_force(READ)
    assert policies_in_force().policy_set.number > number


def test_an_installation_without_a_set_still_has_the_built_in_rules():
    PolicySet.objects.all().delete()
    held = policies_in_force()
    assert held.policy_set.number == 0
    assert "built-in/sign-on-default" in held.compiled.rules


def test_a_thousand_rules_of_which_one_hundred_can_concern(monkeypatch):
    monkeypatch.setattr(limits, "REGISTRY_POLL_INTERVAL", timedelta(hours=1))
    rules = [f'permit(principal == User::"p{n}", action == Action::"read", resource is record);' for n in range(100)]
    rules += [f'permit(principal == User::"p{n}", action == Action::"write", resource is invoice);' for n in range(900)]
    in_force("\n".join(rules))
    assert permits(("user", "p99"))
    assert not permits(("user", "p100"))
    assert permits(("user", "p899"), "write", ("invoice", "1"))
    assert len(policies_in_force().compiled.concerning("read", "record").rules) == 102, "with the two built in"


# --- A set that cannot be asked --------------------------------------------------------------------------------------
def spoil(version):
    """What only another version of the product, or another hand, could do to a stored text."""
    PolicyVersion.objects.filter(pk=version.pk).update(source="permit(", digest="0" * 64)
    PolicySet.objects.update(members={str(version.pk): "0" * 64} if version.state == State.ACTIVE else {})
    raise_version()


def test_a_set_that_cannot_be_asked_denies_everything_and_the_doctor_says_so():
    version = in_force(READ)
    assert check_policies()[0].level == "ok"
    spoil(version)
    decided = ask()
    assert (decided.verdict.decision, decided.verdict.reasons) == (False, ())
    assert Decision.objects.latest("at").has_failed
    person, application = make_person(), make_application()
    assert not permits(("user", str(person.pk)), "sign_on", ("application", application.slug))
    (finding,) = check_policies()
    assert finding.level == "fault"
    assert "line 1" in finding.text


def test_a_candidate_that_cannot_be_asked_changes_nothing():
    in_force(READ)
    version = try_version(draft(WRITE), actor=ADA)
    PolicyVersion.objects.filter(pk=version.pk).update(source="permit(", digest="0" * 64)
    raise_version()
    PolicySet.objects.filter(number=set_number()).update(cause="again", candidates=[version.pk, 10**6])
    raise_version()
    assert permits()
    assert policies_in_force().candidates == ()


def test_the_doctor_names_policies_without_an_owner_and_candidates_that_wait():
    in_force(READ, slug="orphan", owner="")
    for _ in range(limits.SHADOWS_PER_DECISION + 1):
        try_version(draft(WRITE), actor=ADA)
    texts = [(one.level, one.text) for one in check_policies()]
    assert texts == [("warning", "nobody owns orphan"), ("warning", "1 candidates are not tried: too many are")]
