"""Groups that feeds tell of: named once, with members in a bounded number of statements."""

import uuid

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from broker import limits
from broker.access.entities import Action, Evaluation, Resource, Subject
from broker.access.slices import known_person, load_slices
from broker.actors import SYSTEM
from broker.directory.groups import (
    add_members,
    create_group,
    delete_group,
    name_old_groups,
    remove_members,
    rename_group,
    set_members,
)
from broker.directory.models import Group, Membership, Person
from broker.directory.services import set_groups
from broker.errors import BrokerError
from broker.events.models import Event
from federation.claims.release import release_claims
from tests.broker.directory.sources import HR, OTHER_HR, fresh
from tests.factories import make_application, make_identity_provider, make_organisation, make_person

pytestmark = pytest.mark.django_db


def make_group(name="engineering", source=HR):
    return create_group(name, source=source, external_id="g-1", actor=SYSTEM)


def make_people(count):
    organisation, now = make_organisation(), timezone.now()
    people = [Person(organisation=organisation, created_at=now, updated_at=now) for _ in range(count)]
    return [one.pk for one in Person.objects.bulk_create(people)]


def members(group):
    return set(Membership.objects.filter(group=group).values_list("person_id", flat=True))


def details(kind, subject=""):
    return [event.details for event in Event.objects.filter(type=kind, subject_id=str(subject)).order_by("id")]


def test_a_group_has_an_id_of_its_own_and_is_recorded():
    group = make_group()
    assert isinstance(group.uid, uuid.UUID)
    assert details("group.created", group.uid) == [{"source": "scim:workday"}]


def test_names_are_a_sources_own():
    make_group()
    make_group(source=OTHER_HR)
    with pytest.raises(BrokerError) as refused:
        make_group()
    assert refused.value.code == "authority.group_taken"
    assert Group.objects.count() == 2


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("", "authority.value"),
        ("  ", "authority.value"),
        ("a\x00", "authority.value"),
        ("a\nb", "authority.value"),
        ("x" * 257, "authority.too_large"),
    ],
    ids=ascii,
)
def test_a_name_that_cannot_be_kept_is_refused(name, code):
    with pytest.raises(BrokerError) as refused:
        make_group(name)
    assert refused.value.code == code
    group = make_group()
    with pytest.raises(BrokerError) as refused:
        rename_group(group, name, actor=SYSTEM)
    assert refused.value.code == code


def test_members_are_set_added_and_removed():
    group, people = make_group(), make_people(4)
    assert set(set_members(group, people[:2], actor=SYSTEM).added) == set(people[:2])
    assert add_members(group, people[1:3], actor=SYSTEM).added == (people[2],)
    assert remove_members(group, people[:1], actor=SYSTEM).removed == (people[0],)
    changed = set_members(group, [people[2], people[3]], actor=SYSTEM)
    assert (changed.added, changed.removed) == ((people[3],), (people[1],))
    assert members(group) == {people[2], people[3]}


def test_what_is_so_already_changes_and_records_nothing():
    group, people = make_group(), make_people(2)
    set_members(group, people, actor=SYSTEM)
    before = (Group.objects.get().version, Event.objects.count())
    set_members(group, [*people, *people], actor=SYSTEM)
    add_members(group, people, actor=SYSTEM)
    remove_members(group, [uuid.uuid4()], actor=SYSTEM)
    rename_group(group, group.name, external_id="g-1", actor=SYSTEM)
    assert (Group.objects.get().version, Event.objects.count()) == before


@pytest.mark.parametrize("change", [set_members, add_members])
def test_people_whom_nobody_knows_are_named_and_the_others_come_in(change):
    group, (known,), unknown = make_group(), make_people(1), uuid.uuid4()
    changed = change(group, [unknown, known, unknown], actor=SYSTEM)
    assert (changed.added, changed.unknown) == ((known,), (unknown,))
    assert members(group) == {known}


def test_one_event_tells_of_the_group_and_one_of_each_part_of_its_people():
    group, people = make_group(), make_people(limits.DIRECTORY_CHUNK + 1)
    set_members(group, people, actor=SYSTEM)
    (told,) = details("group.changed", group.uid)
    assert (told["added"], told["removed"]) == (501, 0)
    parts = [event["people"] for event in details("person.changed")]
    assert [len(part) for part in parts] == [500, 1]
    assert {one for part in parts for one in part} == {str(one) for one in people}


def test_ten_thousand_members_take_a_bounded_number_of_statements():
    group, people = make_group(), make_people(10_000)
    spent = []
    for act in (
        lambda: set_members(group, people, actor=SYSTEM),
        lambda: add_members(group, people, actor=SYSTEM),
        lambda: remove_members(group, people[:5_000], actor=SYSTEM),
        lambda: set_members(group, people[4_999:], actor=SYSTEM),
        lambda: delete_group(group, actor=SYSTEM),
    ):
        with CaptureQueriesContext(connection) as captured:
            act()
        statements = [query["sql"] for query in captured]
        told = sum("INTO " in sql and '"events_' in sql for sql in statements)
        inserts = sum("INTO " in sql and '"directory_membership"' in sql for sql in statements)
        spent.append((len(statements) - told - inserts, inserts, told))
    # SQLite takes about 330 rows in one INSERT. An event tells of 500 people, and each may have a notice or two.
    assert all(others <= 12 for others, _, _ in spent), spent
    assert all(inserts <= 31 for _, inserts, _ in spent), spent
    assert all(told <= 3 * 23 for _, _, told in spent), spent


def test_a_deleted_group_is_nobodys_and_the_people_stay():
    group, people = make_group(), make_people(3)
    set_members(group, people, actor=SYSTEM)
    delete_group(group, actor=SYSTEM)
    assert not Group.objects.exists()
    assert not Membership.objects.exists()
    assert Person.objects.count() == 3
    assert details("group.deleted", group.uid) == [{"source": "scim:workday", "members": 3}]
    assert set(details("person.changed")[-1]["people"]) == {str(one) for one in people}


# --- Where the groups are seen --------------------------------------------------------------------------------------


def test_a_feeds_groups_are_told_as_those_of_identity_providers_are():
    person = make_person()
    add_members(make_group(), [person.pk], actor=SYSTEM)
    application = make_application(release=("groups",))
    claims = release_claims(person=fresh(person), application=application, scopes=("openid",))
    assert claims == {"groups": ["engineering"]}


def test_policies_name_a_feeds_group_by_the_feed_and_its_name():
    person = make_person()
    add_members(make_group(), [person.pk], actor=SYSTEM)
    assert known_person(fresh(person)).parents == ({"type": "Group", "id": "workday/engineering"},)


def test_a_feed_that_is_called_as_an_identity_provider_is_gives_no_place_in_its_groups():
    person, provider = make_person(), make_identity_provider(slug="workday")
    add_members(make_group(), [person.pk], actor=SYSTEM)
    assert groups_at_a_decision(person) == ["scim:workday/engineering"]
    set_groups(person, ["engineering"], identity_provider=provider, actor=SYSTEM)
    assert groups_at_a_decision(person) == ["scim:workday/engineering", "workday/engineering"]


def groups_at_a_decision(person):
    evaluation = Evaluation(Subject("user", str(person.pk)), Action("read"), Resource("record", "1"))
    return [one["id"] for one in load_slices([evaluation])["user", str(person.pk)].parents]


def test_a_renamed_group_counts_under_its_new_name_at_the_next_decision():
    person, group = make_person(), make_group()
    add_members(group, [person.pk], actor=SYSTEM)
    assert groups_at_a_decision(person) == ["workday/engineering"]
    for name in ("platform", "delivery"):
        rename_group(group, name, actor=SYSTEM)
        assert groups_at_a_decision(person) == [f"workday/{name}"]
    assert details("group.changed", group.uid)[-1] == {"source": "scim:workday", "changed": ["name"]}
    delete_group(group, actor=SYSTEM)
    assert groups_at_a_decision(person) == []


def test_groups_that_the_version_of_before_wrote_are_named_later():
    provider = make_identity_provider()
    old = Group.objects.create(identity_provider=provider, name="a", uid=None)
    assert name_old_groups() == 1
    assert name_old_groups() == 0
    old.refresh_from_db()
    assert old.uid
    assert old.source == f"idp:{provider.slug}"
