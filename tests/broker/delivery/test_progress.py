"""Nothing is green that was not looked at, or that is not decided."""

import pytest
from django.utils import timezone

from broker.delivery.carrying import carry
from broker.delivery.models import Delivery
from broker.delivery.outcomes import failed, skipped
from broker.delivery.progress import counts, progress
from tests.broker.delivery.handlers import answering
from tests.broker.delivery.handlers import script as let_it
from tests.broker.delivery.ledger import LANE, put, put_one

pytestmark = pytest.mark.django_db


def test_nothing_to_do_is_not_green() -> None:
    done = progress(reference="plan:1")
    assert (done.expected, done.open, done.is_green) == (0, 0, False)
    assert not counts(LANE).is_green


def test_what_waits_is_not_green() -> None:
    put("person:1", "person:2", reference="plan:1")
    put("person:3", reference="plan:1", hold="breaker:1")
    carry(LANE)
    done = progress(reference="plan:1")
    assert (done.expected, done.confirmed, done.open, done.held, done.is_green) == (3, 2, 1, 1, False)


def test_one_dead_letter_is_not_green() -> None:
    put("person:1", reference="plan:1")
    let_it(answering(failed("scim.invalid")))
    carry(LANE)
    done = progress(reference="plan:1")
    assert (done.expected, done.dead, done.open, done.is_green) == (1, 1, 0, False)


def test_what_was_superseded_is_as_far_as_what_does_its_work() -> None:
    put(reference="plan:1")
    put(reference="plan:2")
    put(reference="plan:3")
    for plan in ("plan:1", "plan:2", "plan:3"):
        assert (progress(reference=plan).expected, progress(reference=plan).open) == (1, 1)
    carry(LANE)
    assert all(progress(reference=plan).is_green for plan in ("plan:1", "plan:2", "plan:3"))
    assert (counts(LANE).expected, counts(LANE).confirmed) == (1, 1)


def test_what_was_superseded_by_what_failed_is_not_green() -> None:
    put(reference="plan:1")
    put()
    let_it(answering(failed("scim.invalid")))
    carry(LANE)
    assert (progress(reference="plan:1").dead, progress(reference="plan:1").is_green) == (1, False)


def test_what_was_superseded_by_what_nobody_finds_stays_open() -> None:
    old = put_one(reference="plan:1")
    put()
    Delivery.objects.exclude(pk=old.pk).delete()
    assert (progress(reference="plan:1").open, progress(reference="plan:1").is_green) == (1, False)


def test_what_was_skipped_for_a_reason_is_green() -> None:
    put(reference="plan:1")
    let_it(answering(skipped("already.so")))
    carry(LANE)
    assert progress(reference="plan:1").is_green


def test_a_chain_of_supersessions_that_goes_in_a_ring_ends() -> None:
    row = put_one(reference="plan:1")
    Delivery.objects.filter(pk=row.pk).update(state="superseded", settled_at=timezone.now(), superseded_by=row.pk)
    assert not progress(reference="plan:1").is_green
