"""Statements that are built once answer as the querysets they stand for."""

import sqlite3
import uuid
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from django.db import DEFAULT_DB_ALIAS, DatabaseError, IntegrityError, connection, connections, transaction
from django.test.utils import CaptureQueriesContext

from broker.directory.models import Identifier, LinkedIdentity, Person
from broker.once.models import UsedValue
from broker.statements import Change, Parameter, Read, insert
from tests.factories import make_organisation, make_person

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


def read_people(organisation_id):
    people = Read[Person](
        lambda: (
            Person.objects.select_related("organisation")
            .filter(organisation=Parameter(Person, "organisation"))
            .order_by("name")
        )
    )
    return people.rows(organisation=organisation_id)


def values_of(person):
    return {field.name: getattr(person, field.attname) for field in Person._meta.concrete_fields}


def test_a_read_yields_models_as_the_queryset_does():
    person = make_person(name="Å", claims={"upn": ["a@acme.example"]})
    Person.objects.update(created_at=NOW)
    (found,) = read_people(person.organisation_id)
    expected = Person.objects.get()
    assert values_of(found) == values_of(expected)
    assert (found, type(found.pk), found.created_at) == (person, uuid.UUID, NOW)
    with CaptureQueriesContext(connection) as captured:
        assert found.organisation.slug == expected.organisation.slug
    assert len(captured) == 1, "of which the queryset's was the one"


def test_a_read_is_filled_in_anew_each_time():
    first = make_person()
    second = make_person(organisation=make_organisation(slug="other", domains=()))
    people = Read[tuple[uuid.UUID]](
        lambda: Person.objects.filter(organisation=Parameter(Person, "organisation")).order_by().values_list("id")
    )
    assert people.rows(organisation=first.organisation_id) == [(first.pk,)]
    assert people.rows(organisation=second.organisation_id) == [(second.pk,)]
    assert people.first(organisation=0) is None
    assert people.rows(organisation=0) == []


def test_a_cursor_of_a_connection_that_is_gone_is_used_no_more(monkeypatch):
    person = make_person()
    with closing(sqlite3.connect(":memory:")) as another:
        monkeypatch.setattr(connections[DEFAULT_DB_ALIAS], "statements_cursor", another.cursor(), raising=False)
        assert read_people(person.organisation_id) == [person]


def test_a_statement_that_failed_leaves_nothing_to_the_next():
    person = make_person()
    used = UsedValue(kind="k", digest="d", until=NOW)
    insert(used)
    with pytest.raises(IntegrityError), transaction.atomic():
        insert(UsedValue(kind="k", digest="d", until=NOW))
    assert read_people(person.organisation_id) == [person]


def test_what_looks_like_sql_is_only_a_value():
    person = make_person()
    Identifier.objects.create(person=person, kind="email", value="a", comparable="a", since=NOW)
    found = Read[tuple[str]](
        lambda: Identifier.objects.filter(comparable=Parameter(Identifier, "comparable")).values_list("value")
    )
    assert found.rows(comparable="' OR '1'='1") == []
    assert found.rows(comparable="%s") == []
    assert found.rows(comparable="a") == [("a",)]


def test_a_value_that_nobody_gave_is_no_wild_card():
    people = Read[Person](lambda: Person.objects.filter(id=Parameter(Person, "id")))
    with pytest.raises(KeyError):
        people.rows()


def test_a_change_counts_the_rows_that_it_changed():
    person = make_person(name="before")
    rename = Change(
        lambda: Person.objects.filter(id=Parameter(Person, "id"), name=Parameter(Person, "name", name="before")),
        name=Parameter(Person, "name"),
        claims=Parameter(Person, "claims"),
    )
    assert rename.count(id=person.pk, before="another", name="after", claims={}) == 0
    assert rename.count(id=person.pk, before="before", name="after", claims={"upn": ["ä"]}) == 1
    person.refresh_from_db()
    assert (person.name, person.claims) == ("after", {"upn": ["ä"]})


def test_an_inserted_row_is_the_one_that_was_described():
    person = Person(organisation=make_organisation(), name="Å", claims={"a": ["b"]}, created_at=NOW, updated_at=NOW)
    assert insert(person)
    assert values_of(Person.objects.get(pk=person.pk)) == values_of(person)
    person.name = "changed"
    person.save()
    assert Person.objects.get(pk=person.pk).name == "changed", "Django knows it as a stored row"


def test_an_inserted_row_knows_its_number():
    row = UsedValue(kind="a", digest="b", until=NOW)
    insert(row)
    assert UsedValue.objects.get().pk == row.pk


def test_a_row_that_is_there_already_is_refused_or_left_out():
    assert insert(UsedValue(kind="a", digest="b", until=NOW), unless_there=True)
    twin = UsedValue(kind="a", digest="b", until=NOW + timedelta(days=1))
    assert not insert(twin, unless_there=True)
    assert twin.pk is None
    with pytest.raises(IntegrityError), transaction.atomic():
        insert(twin)
    assert UsedValue.objects.get().until == NOW


def test_leaving_out_forgives_nothing_but_a_row_that_is_there():
    nobody = LinkedIdentity(issuer="a", subject="b", linked_at=NOW, linked_by="c")
    with pytest.raises(DatabaseError), transaction.atomic():
        insert(nobody, unless_there=True)


@pytest.mark.services
@pytest.mark.django_db(transaction=True)
def test_only_the_commit_of_what_is_soon_durable_does_not_wait():
    forget = Change(lambda: UsedValue.objects.filter(kind=Parameter(UsedValue, "kind")), is_soon_durable=True, kind="z")

    def waits():
        with connection.cursor() as cursor:
            cursor.execute("SHOW synchronous_commit")
            return cursor.fetchone()[0] == "on"

    with transaction.atomic():
        insert(UsedValue(kind="a", digest="b", until=NOW))
        assert forget.count(kind="nobody's") == 0
        assert waits()
        insert(UsedValue(kind="a", digest="c", until=NOW), is_soon_durable=True)
        assert not waits()
    assert waits()
    with transaction.atomic():
        assert forget.count(kind="a") == 2
        assert not waits()
    assert waits()
