"""The database itself keeps the book: whoever goes round the application meets the triggers."""

from collections.abc import Callable

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from broker.events.models import Event, PrunePermit, Seal
from tests.flush import without_triggers


def make_seal(**fields: object) -> Seal:
    return Seal.objects.create(
        **{
            "at": timezone.now(),
            "ids": [[1, 1]],
            "count": 1,
            "until_id": 1,
            "rows_digest": "0" * 64,
            "previous_digest": "0" * 64,
            "digest": "1" * 64,
            "signature": "x",
            "row_marks": "00000000",
        }
        | fields
    )


@pytest.mark.django_db
@pytest.mark.parametrize("field", ["at", "type", "code", "details", "trace_id", "id"])
def test_no_column_of_an_event_can_be_changed(write: Callable[..., list[Event]], field: str) -> None:
    [event] = write()
    value = {"at": timezone.now(), "details": {}, "id": event.id + 100}.get(field, "other")
    with pytest.raises(IntegrityError), transaction.atomic():
        Event.objects.filter(id=event.id).update(**{field: value})
    assert Event.objects.values_list(field, flat=True).get(id=event.id) == getattr(event, field)


@pytest.mark.django_db
def test_an_event_cannot_be_saved_again(write: Callable[..., list[Event]]) -> None:
    [event] = write()
    event.code = "saml.expired"
    with pytest.raises(IntegrityError), transaction.atomic():
        event.save()


@pytest.mark.django_db
def test_events_cannot_be_deleted(write: Callable[..., list[Event]]) -> None:
    write(2)
    with pytest.raises(IntegrityError), transaction.atomic():
        Event.objects.all().delete()
    assert Event.objects.count() == 2


@pytest.mark.django_db
def test_a_permit_covers_ids_up_to_its_own_only(write: Callable[..., list[Event]]) -> None:
    first, second = write(2)
    PrunePermit.objects.create(until_id=first.id)
    with pytest.raises(IntegrityError), transaction.atomic():
        Event.objects.filter(id=second.id).delete()
    assert Event.objects.filter(id=first.id).delete()[0] == 1


@pytest.mark.django_db
def test_a_permit_of_zero_covers_no_negative_id(write: Callable[..., list[Event]]) -> None:
    write(event_id=-5)
    PrunePermit.objects.create(until_id=0)
    with pytest.raises(IntegrityError), transaction.atomic():
        Event.objects.filter(id=-5).delete()


@pytest.mark.django_db
@pytest.mark.parametrize(("table", "column"), [("events_event", "code"), ("events_seal", "digest")])
def test_a_row_cannot_be_replaced_by_an_insert(write: Callable[..., list[Event]], table: str, column: str) -> None:
    write()
    make_seal()
    replace = {
        "sqlite": f"INSERT OR REPLACE INTO {table} SELECT * FROM {table}",
        "postgresql": f"INSERT INTO {table} SELECT * FROM {table} ON CONFLICT (id) DO UPDATE SET {column} = 'x'",
    }[connection.vendor]
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(replace)


@pytest.mark.django_db
@pytest.mark.parametrize("table", ["events_event", "events_seal"])
def test_a_table_cannot_be_emptied(write: Callable[..., list[Event]], table: str) -> None:
    write()
    make_seal()
    PrunePermit.objects.create(until_id=0)
    empty = {"sqlite": f"DELETE FROM {table}", "postgresql": f"TRUNCATE {table} CASCADE"}[connection.vendor]
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(empty)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "change",
    [
        {"ids": []},
        {"count": 2},
        {"until_id": 9},
        {"rows_digest": "2" * 64},
        {"previous_digest": "3" * 64},
        {"digest": "4" * 64},
        {"signature": "y"},
        {"at": timezone.now()},
    ],
    ids=lambda change: next(iter(change)),
)
def test_no_sealed_column_of_a_seal_can_be_changed(change: dict[str, object]) -> None:
    seal = make_seal()
    with pytest.raises(IntegrityError), transaction.atomic():
        Seal.objects.filter(id=seal.id).update(**change)


@pytest.mark.django_db
def test_a_seal_can_be_marked_as_pruned() -> None:
    make_seal()
    assert Seal.objects.update(pruned_at=timezone.now(), row_marks="") == 1


@pytest.mark.django_db
def test_a_seal_cannot_be_deleted_even_with_a_permit() -> None:
    make_seal()
    PrunePermit.objects.create(until_id=2**62)
    with pytest.raises(IntegrityError), transaction.atomic():
        Seal.objects.all().delete()


@pytest.mark.django_db
def test_the_chain_cannot_fork() -> None:
    make_seal()
    with pytest.raises(IntegrityError), transaction.atomic():
        make_seal(digest="5" * 64)


@pytest.mark.django_db
def test_lifted_triggers_come_back(write: Callable[..., list[Event]]) -> None:
    [event] = write()
    with without_triggers():
        Event.objects.filter(id=event.id).update(code="other")
    with pytest.raises(IntegrityError), transaction.atomic():
        Event.objects.filter(id=event.id).update(code="another")
