"""Sources that speak of the same people at one moment: no word is lost, and what is one person's stays one person's."""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from broker.actors import SYSTEM
from broker.directory.authority import write_attributes, write_many
from broker.directory.conflicts import retry_taken
from broker.directory.groups import add_members, create_group, remove_members, set_members
from broker.directory.models import AuthorityRule, Conflict, Group, Identifier, Membership, Person
from broker.directory.rules import apply_due_rules, schedule_rule
from broker.directory.services import deactivate_person, write_login
from broker.directory.sources import Source, SourceKind
from broker.errors import BrokerError
from broker.events.models import Event
from tests.broker.directory.sources import HR, LOGIN, OPERATOR, fresh, say
from tests.factories import make_identity_provider, make_person

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]
AtOnce = Callable[[list[Callable[[], Any]]], list[Any]]
MANY = 16


def speak(source: Source, person: Person, values: dict[str, tuple[str, ...]]) -> Any:
    """As a worker of its own does: with its own reading of the person."""
    own = Person.objects.get(pk=person.pk)
    return write_attributes(own, values, source=source, evidence="", actor=SYSTEM)


def raised(answers: list[Any]) -> list[Any]:
    return [answer for answer in answers if isinstance(answer, Exception)]


def test_what_many_sources_say_of_one_person_at_once_is_all_kept(at_once: AtOnce) -> None:
    person = make_person()
    sources = [HR, *(Source(SourceKind.IDP, f"idp{number}") for number in range(MANY - 1))]
    answers = at_once([partial(speak, one, person, {"title": (str(one),), "nickname": (str(one),)}) for one in sources])
    assert raised(answers) == []
    found = fresh(person)
    for attribute in ("title", "nickname"):
        assert {source: told["values"] for source, told in found.provenance[attribute].items()} == {
            str(one): [str(one)] for one in sources
        }
        assert found.claims[attribute] == ["scim:workday"]
    assert found.version == 1 + MANY


def test_one_sources_words_at_once_leave_the_last_one_and_every_attribute(at_once: AtOnce) -> None:
    person = make_person()
    answers = at_once([partial(speak, HR, person, {f"a{number}": (str(number),)}) for number in range(MANY)])
    assert raised(answers) == []
    assert fresh(person).claims == {f"a{number}": [str(number)] for number in range(MANY)}


def test_a_person_whom_hr_closes_among_many_words_is_closed_at_the_end(at_once: AtOnce) -> None:
    person = make_person()
    say(HR, person, active="true")
    logins = [
        partial(speak, Source(SourceKind.IDP, f"idp{number}"), person, {"title": ("x",)}) for number in range(MANY)
    ]
    answers = at_once([*logins, partial(speak, HR, person, {"active": ("false",)})])
    assert raised(answers) == []
    assert not fresh(person).is_active
    assert Event.objects.filter(type="person.deactivated").count() == 1


def test_an_operators_closing_beside_hrs_opening_stands(at_once: AtOnce) -> None:
    person = make_person()
    say(HR, person, active="false")
    own = fresh(person)
    answers = at_once(
        [
            partial(speak, HR, person, {"active": ("true",)}),
            lambda: deactivate_person(own, reason="operator", actor=OPERATOR),
        ]
    )
    assert raised(answers) == []
    assert not fresh(person).is_active


def test_of_many_who_are_given_one_identifier_at_once_one_has_it(at_once: AtOnce) -> None:
    people = [make_person() for _ in range(MANY)]
    values = {"email": ("a@acme.example",), "title": ("Engineer",)}
    answers = at_once([partial(speak, HR, person, values) for person in people])
    assert raised(answers) == []
    assert Counter(answer.conflicts for answer in answers) == {(): 1, ("email",): MANY - 1}
    assert Identifier.objects.count() == 1
    assert all(fresh(person).claims == {"title": ["Engineer"]} for person in people)
    assert Conflict.objects.filter(code="authority.identifier_taken", state="open").count() == MANY - 1


def test_an_identifier_that_becomes_free_goes_to_one_however_many_workers_look(at_once: AtOnce) -> None:
    first, *others = [make_person() for _ in range(4)]
    for person in (first, *others):
        say(HR, person, email="a@acme.example")
    say(HR, first, email=None)
    answers = at_once([retry_taken] * 4)
    assert raised(answers) == []
    assert Identifier.objects.count() == 1
    assert Conflict.objects.filter(state="open").count() == 2


def test_logins_with_one_new_address_at_once_let_one_in(at_once: AtOnce) -> None:
    provider = make_identity_provider()
    people = [make_person(organisation=provider.organisation) for _ in range(MANY)]

    def log_in(person: Person) -> Any:
        claims = {"email": (f"a@{provider.slug}.example",)}
        return write_login(person, claims, identity_provider=provider, evidence="", actor=SYSTEM)

    answers = at_once([partial(log_in, person) for person in people])
    refused = raised(answers)
    assert len(refused) == MANY - 1
    assert all(isinstance(one, BrokerError) and one.code == "authority.identifier_taken" for one in refused), refused


def test_batches_over_the_same_people_in_other_orders_wait_for_each_other(at_once: AtOnce) -> None:
    people = [make_person() for _ in range(40)]

    def write(source: Source, *, is_reversed: bool) -> Any:
        own = list(Person.objects.filter(pk__in=[one.pk for one in people]).order_by("-pk" if is_reversed else "pk"))
        told = [(one, {"title": (str(source),), "email": (f"{one.pk}@acme.example",)}) for one in own]
        return write_many(told, source=source, evidence="", actor=SYSTEM)

    sources = [Source(SourceKind.SCIM, f"hr{number}") for number in range(6)]
    answers = at_once([partial(write, one, is_reversed=bool(number % 2)) for number, one in enumerate(sources)])
    assert raised(answers) == []
    for person in Person.objects.filter(pk__in=[one.pk for one in people]):
        assert len(person.provenance["title"]) == len(sources)
        assert person.held_identifiers == {"email": f"{person.pk}@acme.example"}


def test_members_who_come_and_go_at_once_end_where_their_own_change_left_them(at_once: AtOnce) -> None:
    group = create_group("engineering", source=HR, actor=SYSTEM)
    stay, come, go = ([make_person().pk for _ in range(10)] for _ in range(3))
    set_members(group, [*stay, *go], actor=SYSTEM)
    acts = [partial(add_members, group, [one], actor=SYSTEM) for one in come]
    acts += [partial(remove_members, group, [one], actor=SYSTEM) for one in go]
    assert raised(at_once([*acts, *acts])) == []
    assert set(Membership.objects.values_list("person_id", flat=True)) == {*stay, *come}
    assert Group.objects.get().version == 2 + 20


def test_whole_lists_of_members_at_once_leave_one_of_them_whole(at_once: AtOnce) -> None:
    group = create_group("engineering", source=HR, actor=SYSTEM)
    lists = [[make_person().pk for _ in range(5)] for _ in range(6)]
    assert raised(at_once([partial(set_members, group, one, actor=SYSTEM) for one in lists])) == []
    left = set(Membership.objects.values_list("person_id", flat=True))
    assert left in [set(one) for one in lists]


def test_one_name_at_once_makes_one_group(at_once: AtOnce) -> None:
    answers = at_once([partial(create_group, "engineering", source=HR, actor=SYSTEM)] * MANY)
    assert Group.objects.count() == 1
    codes = [one.code for one in raised(answers) if isinstance(one, BrokerError)]
    assert codes == ["authority.group_taken"] * (MANY - 1), answers


def test_a_rule_that_many_workers_apply_meets_everybody_once(at_once: AtOnce, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broker.limits.DIRECTORY_CHUNK", 5)
    people = [make_person() for _ in range(23)]
    for person in people:
        say(HR, person, title="Engineer")
        say(LOGIN, person, title="Wizard")
    schedule_rule("title", ["idp:*"], actor=OPERATOR)
    with time_machine.travel(timezone.now() + timedelta(minutes=1), tick=True):
        answers = at_once([lambda: apply_due_rules(now=timezone.now())] * 4)
    assert raised(answers) == []
    rule = AuthorityRule.objects.get()
    assert (rule.state, rule.checked, rule.changed, sum(answers)) == ("applied", 23, 23, 23)
    assert all(fresh(person).claims["title"] == ["Wizard"] for person in people)
    assert Event.objects.filter(type="authority.applied").count() == 1
