"""Too many disables and deletions within an hour wait, whoever asks for them."""

from datetime import timedelta

import pytest
from django.utils import timezone

from broker import limits
from broker.events.models import Event
from provisioning.outbound.breaker import hold_for
from provisioning.outbound.models import Destruction, Hold, RemoteAccount, Target
from tests.provisioning.planning import house

pytestmark = pytest.mark.django_db

NOW = timezone.now()


@pytest.fixture
def target() -> Target:
    """A hundred accounts; more than twenty, or a tenth of them, are too many within an hour."""
    target = house.make_target(breaker_count=20, breaker_share=0.1)
    RemoteAccount.objects.bulk_create(
        [
            RemoteAccount(
                target=target, person=one, remote_id=str(n), state="present", aim="present", wanted_at=timezone.now()
            )
            for n, one in enumerate(house.make_people(100))
        ]
    )
    return target


def test_up_to_the_share_they_go(target: Target) -> None:
    assert hold_for(target, destructive=10, now=NOW) == ""
    assert not Hold.objects.exists()


def test_above_the_share_they_wait(target: Target) -> None:
    assert hold_for(target, destructive=11, now=NOW) == "breaker:crm:1"
    tripped = Event.objects.get(type="breaker.tripped")
    assert (tripped.details["count"], tripped.details["accounts"]) == (11, 100)


def test_above_the_count_they_wait_however_small_a_share_it_is(target: Target) -> None:
    Target.objects.update(breaker_share=0.9)
    assert hold_for(target, destructive=20, now=NOW) == ""
    assert hold_for(target, destructive=1, now=NOW) == "breaker:crm:1"


def test_many_small_parts_within_the_hour_are_added_up(target: Target) -> None:
    said = [hold_for(target, destructive=1, now=NOW + timedelta(minutes=n)) for n in range(12)]
    assert said == [""] * 10 + ["breaker:crm:1"] * 2
    assert Hold.objects.get().count == 2
    assert Hold.objects.get().counted == 10


def test_after_the_hour_it_counts_from_the_beginning(target: Target) -> None:
    assert hold_for(target, destructive=10, now=NOW) == ""
    assert hold_for(target, destructive=10, now=NOW + limits.BREAKER_WINDOW) == ""
    assert Destruction.objects.count() == 1


def test_what_follows_joins_an_open_hold(target: Target) -> None:
    first = hold_for(target, destructive=50, now=NOW)
    assert hold_for(target, destructive=1, now=NOW + timedelta(hours=5)) == first
    assert Hold.objects.get().count == 51


@pytest.mark.parametrize("state", [Hold.State.ASKED, Hold.State.RELEASED, Hold.State.REFUSED])
def test_nothing_joins_a_hold_that_was_shown_to_somebody(target: Target, state: Hold.State) -> None:
    hold_for(target, destructive=50, now=NOW)
    Hold.objects.update(state=state)
    assert hold_for(target, destructive=50, now=NOW) == "breaker:crm:2"


def test_a_single_leaver_of_a_small_company_never_waits(target: Target) -> None:
    RemoteAccount.objects.filter(remote_id__gt="2").delete()
    assert RemoteAccount.objects.count() < 20
    assert hold_for(target, destructive=limits.BREAKER_SMALLEST, now=NOW) == ""
    assert hold_for(target, destructive=1, now=NOW) == "breaker:crm:1"


def test_nothing_destructive_asks_for_nothing(target: Target) -> None:
    hold_for(target, destructive=50, now=NOW)
    assert hold_for(target, destructive=0, now=NOW) == ""
    assert Hold.objects.get().count == 50


def test_each_target_has_a_breaker_of_its_own(target: Target) -> None:
    other = house.make_target(slug="erp", breaker_count=20, breaker_share=1.0)
    assert hold_for(target, destructive=50, now=NOW) == "breaker:crm:1"
    assert hold_for(other, destructive=0, now=NOW) == ""
    assert hold_for(other, destructive=3, now=NOW) == ""
