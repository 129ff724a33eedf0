"""Attacks on leavers' cases: closing around the breaker, and certificates of a state that is over."""

import pytest
import time_machine
from django.utils import timezone

from broker import limits
from broker.actors import SYSTEM
from broker.delivery.models import Delivery
from broker.directory.services import deactivate_person
from provisioning.leaver.models import Case
from provisioning.outbound.models import Hold, RemoteAccount
from tests.factories import make_person
from tests.provisioning.leaver.conftest import leaver, log, places
from tests.provisioning.leaver.places import Places
from tests.provisioning.leaver.stage import make_target, work

pytestmark = pytest.mark.django_db
__all__ = ["leaver", "log", "places"]


def test_leavers_are_not_closed_around_the_breaker_once_an_operator_refused_to_close_them(places: Places):
    """The feed was wrong about many. What was refused is read as active, and asked for again under a hold."""
    target = make_target("crm")
    places.active[target.lane] = True
    places.behaviour[target.lane] = "lies"  # what is sent leaves them active, so that all of them are asked for
    people = [make_person() for _ in range(limits.BREAKER_SMALLEST + 5)]
    for number, person in enumerate(people):
        RemoteAccount.objects.create(
            target=target,
            person=person,
            remote_id=f"crm-{number}",
            state="present",
            aim="present",
            wanted_at=timezone.now(),
            read_active=True,
            read_at=timezone.now(),
        )
    for person in people:
        deactivate_person(person, reason="told by a wrong feed", actor=SYSTEM)
    for pause in (0, 1, 2):
        with time_machine.travel(timezone.now() + 2 * pause * limits.LEAVER_READ_PAUSE, tick=True):
            work()
    closings = Delivery.objects.filter(kind="scim", lane=target.lane)
    assert closings.filter(hold="").count() == limits.BREAKER_SMALLEST
    [hold] = Hold.objects.filter(target=target, state=Hold.State.OPEN)
    assert closings.filter(hold=hold.name).count() == 5
    assert Case.objects.filter(state="green").count() == 0
