"""What becomes of rows that are carried."""

import pytest

from broker.actors import SYSTEM
from broker.delivery.carrying import carry
from broker.delivery.enqueueing import NewDelivery, enqueue
from broker.delivery.models import Attempt, Delivery
from broker.delivery.progress import progress
from tests.broker.delivery.handlers import Scripted

pytestmark = pytest.mark.django_db


def test_what_is_confirmed_is_settled_with_its_attempt(handler: Scripted) -> None:
    rows = enqueue(
        "letter", [NewDelivery("lane:a", f"person:{n}", reference="plan:1") for n in range(120)], actor=SYSTEM
    )

    assert carry("lane:a") == 120

    assert [len(batch) for batch in handler.seen] == [50, 50, 20]
    assert set(Delivery.objects.values_list("state", flat=True)) == {"confirmed"}
    assert Attempt.objects.filter(outcome="confirmed").count() == len(rows)
    assert progress(reference="plan:1").is_green
