"""Several workers catch up with one target at one moment: each person is asked for once, and none is left out."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import Count, F
from django.utils import timezone

from broker import limits
from broker.delivery.models import Delivery
from broker.directory.models import Person
from provisioning.outbound.catching_up import carry_on
from provisioning.outbound.models import CatchUp
from provisioning.outbound.registering import change_target
from provisioning.outbound.services import refresh_wanted
from tests.provisioning.planning import house

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]
AtOnce = Callable[[list[Callable[[], Any]]], list[Any]]
PEOPLE = 60


def test_workers_share_the_chunks_and_double_none(at_once: AtOnce, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "TARGET_CHUNK", 7)
    target = house.make_target()
    people = house.make_people(PEOPLE)
    refresh_wanted(target, [one.pk for one in people])
    target = change_target(target, actor=house.ADA, enabled=False)
    Person.objects.update(name="Moved", version=F("version") + 1)
    target = change_target(target, actor=house.ADA, enabled=True)
    found = CatchUp.objects.get()
    until = timezone.now() + timedelta(minutes=1)

    ended = at_once([lambda: carry_on(found.pk, until=until)] * 4)
    while carry_on(found.pk, until=until):  # as the sweep does, where all but one lost their place
        pass

    assert set(ended) == {False}
    found.refresh_from_db()
    assert (found.stage, found.people, found.enqueued) == ("ended", PEOPLE, PEOPLE)
    waiting = Delivery.objects.filter(settled_at=None).values("subject").annotate(rows=Count("pk"))
    assert [one["rows"] for one in waiting] == [1] * PEOPLE
