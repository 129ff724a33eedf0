"""Single use: the first claim wins, whoever else tries, until nobody could present the value any more."""

import threading
from datetime import timedelta

import pytest
import time_machine
from django.db import OperationalError, connection, transaction
from django.utils import timezone

from broker.once import tasks
from broker.once.models import UsedValue
from broker.once.services import AlreadyUsed, claim_once, forget_expired


def until(**ahead: float) -> object:
    return timezone.now() + timedelta(**(ahead or {"minutes": 5}))


@pytest.mark.django_db
def test_a_value_is_claimed_once() -> None:
    claim_once("assertion", "_a1", until=until())
    for _ in range(3):
        with pytest.raises(AlreadyUsed):
            claim_once("assertion", "_a1", until=until(days=9))
    assert UsedValue.objects.count() == 1


@pytest.mark.django_db
def test_kinds_are_apart() -> None:
    claim_once("assertion", "x", until=until())
    claim_once("code", "x", until=until())
    assert UsedValue.objects.count() == 2


@pytest.mark.django_db
@pytest.mark.parametrize(("one", "other"), [("a", "A"), ("a", "a "), ("é", "e\u0301"), ("1", "01"), ("", " ")])
def test_values_that_only_look_alike_are_apart(one: str, other: str) -> None:
    claim_once("code", one, until=until())
    claim_once("code", other, until=until())
    assert UsedValue.objects.count() == 2


@pytest.mark.django_db
def test_a_value_of_any_length_is_kept_as_its_digest_only() -> None:
    secret = "the-assertion-id-" * 1000
    claim_once("assertion", secret, until=until())
    row = UsedValue.objects.get()
    assert len(row.digest) == 64
    assert secret[:17] not in str(row.__dict__)


@pytest.mark.django_db
def test_a_second_claim_leaves_the_transaction_usable() -> None:
    with transaction.atomic():
        claim_once("code", "x", until=until())
        with pytest.raises(AlreadyUsed):
            claim_once("code", "x", until=until())
        claim_once("code", "y", until=until())
    assert UsedValue.objects.count() == 2


@pytest.mark.django_db
def test_a_claim_goes_with_the_transaction_that_fails() -> None:
    @transaction.atomic
    def redeem() -> None:
        claim_once("code", "x", until=until())
        raise RuntimeError

    with pytest.raises(RuntimeError):
        redeem()
    claim_once("code", "x", until=until())


@pytest.mark.django_db
def test_an_expired_claim_still_stands_until_it_is_forgotten() -> None:
    claim_once("code", "x", until=until(seconds=1))
    with time_machine.travel(timezone.now() + timedelta(hours=1)), pytest.raises(AlreadyUsed):
        claim_once("code", "x", until=until())


@pytest.mark.django_db
def test_only_what_nobody_could_present_is_forgotten() -> None:
    now = timezone.now()
    claim_once("code", "past", until=now - timedelta(microseconds=1))
    claim_once("code", "at the moment", until=now)
    claim_once("code", "future", until=now + timedelta(seconds=1))
    assert forget_expired(now=now) == 1
    with pytest.raises(AlreadyUsed):
        claim_once("code", "at the moment", until=until())
    assert forget_expired(now=now) == 0


@pytest.mark.django_db
def test_the_scheduled_task_forgets() -> None:
    claim_once("code", "x", until=until(seconds=5))
    assert tasks.forget() == 0
    with time_machine.travel(timezone.now() + timedelta(minutes=1)):
        assert tasks.forget() == 1


@pytest.mark.django_db
def test_without_its_table_nothing_counts_as_unused() -> None:
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE once_usedvalue")
    with pytest.raises(Exception, match="once_usedvalue") as refusal:
        claim_once("code", "x", until=until())
    assert not isinstance(refusal.value, AlreadyUsed)


@pytest.mark.services
@pytest.mark.django_db(transaction=True)
def test_of_twenty_parallel_claims_exactly_one_wins() -> None:
    barrier = threading.Barrier(20)
    outcomes: list[str] = []

    def run() -> None:
        try:
            barrier.wait(timeout=30)
            claim_once("code", "x", until=until())
            outcomes.append("won")
        except AlreadyUsed:
            outcomes.append("lost")
        except OperationalError:
            outcomes.append("failed")
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert sorted(outcomes) == ["lost"] * 19 + ["won"]
    assert UsedValue.objects.count() == 1
