"""Questions and their answers: whose word counts, what is kept, and no for everything that goes wrong."""

import ipaddress
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from broker import limits
from broker.access import decisions, tasks
from broker.access.decisions import hash_of, open_decision
from broker.access.models import Decision
from broker.access.services import NOT_OWN, Semantic, decide_many, judge_many
from broker.actors import SYSTEM
from broker.directory.models import Group, Identifier, Membership, Person
from broker.directory.services import deactivate_person, set_groups
from broker.registry.models import IdentityProvider
from broker.registry.registering.changes import raise_version
from tests.broker.access.house import Anyone, Nobody, ask, in_force, permits, question
from tests.factories import make_application, make_client, make_identity_provider, make_organisation, make_person

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("settled")]

ANYBODY = 'permit(principal, action == Action::"read", resource is record);'
FINANCE = 'permit(principal in Group::"acme/finance", action == Action::"read", resource is record);'


def asked(person, *args, **more):
    return permits(("user", str(person.pk)), *args, **more)


@pytest.fixture
def without_polling(monkeypatch):
    monkeypatch.setattr(limits, "REGISTRY_POLL_INTERVAL", timedelta(hours=1))


# --- What we know wins -----------------------------------------------------------------------------------------------
def test_nothing_is_permitted_where_no_rule_permits():
    assert not permits()
    assert ask().reason_user == "No rule permits this."


def test_a_foreign_subject_is_what_the_caller_says():
    in_force(
        "permit(principal is User, action, resource is record) "
        'when { principal has role && principal.role == "admin" };'
    )
    assert permits(subject_properties={"role": "admin"})
    assert not permits(subject_properties={"role": "user"})
    assert not permits()


def test_a_rule_can_insist_on_somebody_whom_we_know():
    in_force('permit(principal is User, action == Action::"read", resource is record) when { principal.known };')
    assert asked(make_person())
    assert not permits()
    assert not permits(subject_properties={"known": True})


def test_what_we_know_of_a_person_a_caller_cannot_say_otherwise():
    in_force(
        'permit(principal is User, action == Action::"read", resource is record) '
        'when { principal has department && principal.department == "Finance" };'
    )
    person = make_person(claims={"department": ["Sales"]})
    assert not asked(person, subject_properties={"department": "Finance"})
    assert asked(make_person(claims={"department": ["Finance"]}), subject_properties={"department": "Sales"})


def test_what_we_do_not_know_of_a_person_of_ours_a_caller_cannot_make_up():
    in_force(
        'permit(principal is User, action == Action::"read", resource is record) '
        'when { principal has email && principal.email == "boss@acme.example" };'
    )
    assert not asked(make_person(), subject_properties={"email": "boss@acme.example"})


def test_further_claims_are_tags():
    in_force(
        'permit(principal is User, action == Action::"read", resource is record) '
        'when { principal.hasTag("entitlement") && principal.getTag("entitlement").contains("records") };'
    )
    assert asked(make_person(claims={"entitlement": ["a", "records"]}))
    assert not asked(make_person(claims={"entitlement": ["a"]}), subject_properties={"entitlement": ["records"]})
    assert not asked(make_person())


@pytest.mark.parametrize(
    "spelling", [str, lambda key: str(key).upper(), lambda key: key.hex, lambda key: f"{{{key}}}", lambda key: key.urn]
)
def test_a_leaver_may_nothing_however_their_id_is_spelled(spelling):
    in_force(ANYBODY)
    person = make_person()
    assert permits(("user", spelling(person.pk)))
    deactivate_person(person, reason="left", actor=SYSTEM)
    decided = ask(("user", spelling(person.pk)), subject_properties={"active": True})
    assert (decided.verdict.decision, decided.verdict.reasons) == (False, ("built-in/inactive-person",))
    assert decided.reason_user == "This account is closed."


def test_a_client_that_is_switched_off_may_nothing():
    in_force(ANYBODY)
    client = make_client(kind="service")
    assert permits(("client", client.client_id))
    client.enabled = False
    client.save()
    raise_version()
    assert not permits(("client", client.client_id))


def test_a_client_belongs_to_its_application():
    in_force(
        'permit(principal is Client, action == Action::"read", resource is record) '
        'when { principal has application && principal.application == Application::"erp" };'
    )
    assert permits(("client", make_client(application=make_application(slug="erp")).client_id))
    assert not permits(("client", make_client().client_id), subject_properties={"application": "erp"})


def test_actions_properties_and_context_are_the_rules_to_look_at():
    in_force(
        'permit(principal, action == Action::"write", resource is record) '
        "when { context.action has soft && context.action.soft && context has hour && context.hour >= 8 };"
    )
    assert permits(action="write", action_properties={"soft": True}, context={"hour": 9.0})
    assert not permits(action="write", action_properties={"soft": False}, context={"hour": 9})
    assert not permits(action="write", context={"hour": 9, "action": {"soft": True}})


# --- Groups ----------------------------------------------------------------------------------------------------------
@pytest.fixture
def acme():
    return make_identity_provider(slug="acme", organisation=make_organisation())


def put(person, provider, *names):
    set_groups(Person.objects.get(pk=person.pk), names, identity_provider=provider, actor=SYSTEM)


def test_a_membership_counts_at_the_next_question_and_no_longer_than_it_lasts(acme):
    in_force(FINANCE)
    person = make_person(organisation=acme.organisation)
    for names, expected in [
        ((), False),
        (("finance",), True),
        (("sales",), False),
        (("sales", "finance"), True),
        ((), False),
    ]:
        put(person, acme, *names)
        assert asked(person) is expected, names
        assert asked(person) is expected, "remembered"


def test_another_providers_group_of_the_same_name_is_another_group(acme):
    in_force(FINANCE)
    globex = make_identity_provider(slug="globex")
    person = make_person(organisation=globex.organisation)
    put(person, globex, "finance", "acme/finance")
    assert not asked(person)


def test_groups_of_a_retired_provider_count_no_more(acme):
    in_force(FINANCE)
    person = make_person(organisation=acme.organisation)
    put(person, acme, "finance")
    assert asked(person)
    IdentityProvider.objects.filter(pk=acme.pk).update(retired_at=timezone.now())
    raise_version()
    assert not asked(person)


def test_a_group_whose_name_is_odd_is_that_group_only(acme):
    in_force('permit(principal in Group::"acme/a\\"b/ü😀", action, resource is record);')
    person = make_person(organisation=acme.organisation)
    put(person, acme, 'a"b/ü😀')
    assert asked(person)
    put(person, acme, 'a"b/ü')
    assert not asked(person)


# --- Cost ------------------------------------------------------------------------------------------------------------
def queries_of(act):
    with CaptureQueriesContext(connection) as captured:
        act()
    return [one["sql"] for one in captured if not one["sql"].startswith(("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE"))]


def make_many(count, provider):
    """People of whom the first hundred have an e-mail address and a group."""
    now = timezone.now()
    people = [Person(organisation=provider.organisation, created_at=now, updated_at=now) for _ in range(count)]
    fields = Person._meta.concrete_fields
    columns, places = ", ".join(field.column for field in fields), ", ".join(["%s"] * len(fields))
    with connection.cursor() as cursor:
        # bulk_create takes ten times as long. In parts, since PostgreSQL ends a transaction that is idle for too long.
        for start in range(0, len(people), 5_000):
            cursor.executemany(
                f"INSERT INTO {Person._meta.db_table} ({columns}) VALUES ({places})",
                [
                    [field.get_db_prep_save(getattr(one, field.attname), connection) for field in fields]
                    for one in people[start : start + 5_000]
                ],
            )
    Identifier.objects.bulk_create(
        [
            Identifier(person=one, kind="email", value=f"{one.pk}@x", comparable=f"{one.pk}@x", since=now)
            for one in people[:100]
        ]
    )
    group = Group.objects.create(identity_provider=provider, name="finance")
    Membership.objects.bulk_create([Membership(person=one, group=group, since=now) for one in people[:100]])
    return people


@pytest.mark.parametrize("count", [10, 100_000])
def test_a_question_reads_two_rows_cold_and_one_warm_among_however_many_people(count, acme, without_polling):
    in_force(FINANCE)
    first, second, *_ = make_many(count, acme)
    asked(first)
    cold = queries_of(lambda: asked(second))
    warm = queries_of(lambda: asked(second))
    assert [sql.split()[0] for sql in cold] == ["SELECT", "SELECT", "INSERT"], cold
    assert [sql.split()[0] for sql in warm] == ["SELECT", "INSERT"], warm
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute(f"EXPLAIN QUERY PLAN {warm[0]}")
            assert not [row for row in cursor.fetchall() if "SCAN" in str(row)], "only by index"


def test_a_batch_costs_what_one_question_costs(acme, without_polling):
    in_force(FINANCE)
    people = make_many(100, acme)
    batch = [question(("user", str(one.pk))) for one in people]

    def decide_all():
        decided = decide_many(batch, caller=Anyone(), actor=SYSTEM, now=timezone.now())
        assert all(one.verdict.decision for one in decided)

    decide_all()
    queries = [sql.split()[0] for sql in queries_of(decide_all)]
    # SQLite takes a thousand values at a time.
    assert queries in (["SELECT", "INSERT"], ["SELECT", "INSERT", "INSERT"])


# --- Batches ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("semantic", "answers"),
    [
        (Semantic.EXECUTE_ALL, [True, False, True]),
        (Semantic.DENY_ON_FIRST_DENY, [True, False]),
        (Semantic.PERMIT_ON_FIRST_PERMIT, [True]),
    ],
)
def test_a_batch_ends_where_its_semantic_says(semantic, answers):
    in_force(ANYBODY)
    batch = [question(), question(action="write"), question(resource=("record", "2"))]
    decided = decide_many(batch, caller=Anyone(), actor=SYSTEM, now=timezone.now(), semantic=semantic)
    assert [one.verdict.decision for one in decided] == answers
    assert Decision.objects.count() == len(answers)
    assert len({one.decision_id for one in decided}) == len(answers)


def test_an_empty_batch_is_an_empty_answer():
    assert decide_many([], caller=Anyone(), actor=SYSTEM, now=timezone.now()) == []


def test_one_and_the_same_resource_with_other_properties_is_judged_by_each():
    in_force('permit(principal, action, resource is record) when { resource has status && resource.status == "open" };')
    batch = [question(resource_properties={"status": status}) for status in ("open", "closed", "open")]
    decided = decide_many(batch, caller=Anyone(), actor=SYSTEM, now=timezone.now())
    assert [one.verdict.decision for one in decided] == [True, False, True]


# --- No --------------------------------------------------------------------------------------------------------------
def test_a_caller_learns_nothing_about_what_is_not_its_own():
    in_force(ANYBODY)
    decided = ask(caller=Nobody())
    assert not decided.verdict.decision
    assert open_decision(Decision.objects.get()).errors == (NOT_OWN,)
    assert NOT_OWN not in decided.reason_admin + decided.reason_user
    assert not judge_many([question()], caller=Nobody(), now=timezone.now())[0].decision


def deep(levels):
    value = "x"
    for _ in range(levels):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    "more",
    [
        {"subject": ("user", "")},
        {"subject": ("", "alice")},
        {"subject": ("user", "a" * (limits.ACCESS_ID_CHARS + 1))},
        {"subject": ("user", "\ud800")},
        {"action": ""},
        {"resource": ("record", "")},
        {"resource": ("record", "\udfff")},
        {"context": deep(50)},
        {"subject_properties": deep(50)},
        {"resource_properties": {"owner": {"__entity": {"type": "User", "id": "alice"}}}},
        {"context": {"network": {"__extn": {"fn": "ip", "arg": "10.0.0.1"}}}},
        {"context": {"a": "\ud800"}},
        {"action_properties": {"__expr": "true"}},
    ],
)
def test_what_cannot_be_put_to_the_engine_is_no_and_kept(more):
    in_force("permit(principal, action, resource);")
    decided = ask(**more)
    assert not decided.verdict.decision
    assert decided.reason_user == "This could not be decided, so it is refused."
    row = Decision.objects.get()
    assert row.has_failed
    assert open_decision(row).errors


@pytest.mark.parametrize(
    "odd", ["'; DROP TABLE x; --", 'a"b', "a\\", "a\x00b", "a\nb", "ü😀", "\u202e", "%s", 'User::"x"', "*"]
)
def test_odd_ids_are_only_themselves(odd):
    in_force('permit(principal == User::"alice", action, resource == record::"1");')
    assert permits()
    assert not permits(("user", odd))
    assert not permits(resource=("record", odd))
    kept = open_decision(Decision.objects.get(subject_hash=hash_of("user", odd)))
    assert kept.request["subject"]["id"] == odd


@pytest.mark.parametrize("kind", ["unknown", "User", "urn:example:thing", "Äpfel", "T__record", "in"])
def test_a_type_that_no_rule_knows_is_no(kind):
    in_force(ANYBODY)
    in_force('permit(principal is User, action == Action::"read", resource);')
    assert permits()
    assert not permits((kind, "alice"), resource=(kind, "1"))


# --- What is kept ----------------------------------------------------------------------------------------------------
def test_a_decision_is_kept_with_all_that_it_was_made_from(acme):
    version = in_force(f'@id("finance") {FINANCE}')
    person = make_person(organisation=acme.organisation, claims={"department": ["Finance"]})
    put(person, acme, "finance")
    decided = ask(("user", str(person.pk)), context={"hour": 9})
    row = Decision.objects.get(pk=decided.decision_id)
    assert (row.decision, row.reasons) == (True, [f"{version.policy.slug}/finance"])
    assert (row.subject_type, row.subject_id) == ("user", str(person.pk))
    assert (row.action, row.resource_type, row.trace_id, row.caller) == ("read", "record", "CCCCC-DDDDD", "")
    assert row.policy_set == decided.verdict.policy_version
    kept = open_decision(row)
    assert kept.request["context"] == {"hour": 9}
    (entity,) = [one for one in kept.question["entities"] if one["uid"]["type"] == "User"]
    assert entity["attrs"]["department"] == "Finance"
    assert entity["parents"] == [{"type": "Group", "id": "acme/finance"}]


def test_what_is_personal_is_sealed():
    in_force(ANYBODY)
    ask(("user", "alice@acme.example"), subject_properties={"role": "surgeon"}, resource=("record", "alice's leg"))
    row = Decision.objects.values().get()
    told = " ".join(str(value) for value in row.values())
    assert not [word for word in ("alice", "surgeon", "leg") if word in told]
    assert row["subject_id"] == ""


def test_the_address_of_a_sign_on_can_be_put_to_rules_as_a_network():
    in_force('permit(principal, action == Action::"read", resource is record) when { context has hour };')
    assert permits(context={"hour": 1, "network": ipaddress.ip_address("10.0.0.1")})
    kept = open_decision(Decision.objects.get())
    assert kept.question["context"]["network"] == {"__extn": {"fn": "ip", "arg": "10.0.0.1"}}
    assert kept.request["context"]["network"] == "10.0.0.1"


def test_decisions_are_forgotten_after_their_retention():
    ask()
    now = timezone.now()
    assert decisions.forget_expired(now=now + limits.DECISION_RETENTION - timedelta(hours=1)) == 0
    assert tasks.forget() == 0
    assert decisions.forget_expired(now=now + limits.DECISION_RETENTION + timedelta(hours=1)) == 1


def test_a_search_keeps_no_decision():
    in_force(ANYBODY)
    assert [
        one.decision for one in judge_many([question(), question(action="write")], caller=Anyone(), now=timezone.now())
    ] == [True, False]
    assert not Decision.objects.exists()


def test_a_rule_tells_the_subject_why():
    in_force(
        f'{ANYBODY} @reason_user("Only before noon.") forbid(principal, action, resource is record) '
        "when { context has hour && context.hour > 12 };"
    )
    assert ask(context={"hour": 3}).reason_user == ""
    assert ask(context={"hour": 13}).reason_user == "Only before noon."
    assert "Forbidden by policy" in ask(context={"hour": 13}).reason_admin
