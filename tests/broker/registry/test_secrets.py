"""Client secrets: what is stored, what passes, and for how long."""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from broker import crypto, limits
from broker.actors import SYSTEM
from broker.errors import BrokerError
from broker.events.models import Event
from broker.registry import secrets
from broker.registry.cache import parties
from broker.registry.models import ClientSecret
from broker.registry.services import find_client
from tests.factories import make_client

pytestmark = pytest.mark.django_db
TAKEN_OVER = "a-secret-of-another-house-0123456789"


@pytest.fixture
def client_party():
    return make_client(secret=None)


def assert_refused(client, presented):
    with pytest.raises(BrokerError) as caught:
        secrets.check_secret(client, presented)
    assert caught.value.code == "oauth.invalid_client"


def test_an_issued_secret_has_256_random_bits_and_passes(client_party):
    value = secrets.issue_secret(client_party, actor=SYSTEM)
    assert value.startswith("cs_")
    assert len(value) == 3 + 43
    assert value != secrets.issue_secret(client_party, actor=SYSTEM)
    secrets.check_secret(client_party, value)


def test_neither_secret_nor_a_plain_hash_of_it_is_stored(client_party):
    value = secrets.issue_secret(client_party, actor=SYSTEM)
    stored = client_party.secrets.get().secret_hash
    assert value not in stored
    assert stored == crypto.keyed_hash(value, purpose="client-secret")


@pytest.mark.parametrize("presented", ["", "cs_", "another", "cs_" + "A" * 43, "\x00", "ÿ" * 50])
def test_another_value_is_refused(client_party, presented):
    secrets.issue_secret(client_party, actor=SYSTEM)
    assert_refused(client_party, presented)


def test_a_client_without_a_secret_is_refused(client_party):
    assert_refused(client_party, "")
    assert_refused(client_party, "anything")


def test_an_unknown_client_is_refused_after_the_work_of_one_keyed_secret(client_party, monkeypatch):
    secrets.issue_secret(client_party, actor=SYSTEM)
    compared = []
    real = secrets.constant_time_compare
    monkeypatch.setattr(secrets, "constant_time_compare", lambda a, b: compared.append(1) or real(a, b))
    assert_refused(client_party, "wrong")
    for_known = len(compared)
    assert_refused(None, "wrong")
    assert len(compared) - for_known == for_known == 1


def test_the_old_secret_goes_on_beside_its_successor_and_a_third_ends_the_oldest(client_party):
    start = timezone.now()
    with time_machine.travel(start, tick=False):
        first = secrets.issue_secret(client_party, actor=SYSTEM)
    with time_machine.travel(start + timedelta(seconds=1), tick=False):
        second = secrets.issue_secret(client_party, actor=SYSTEM)
        secrets.check_secret(client_party, first)
    with time_machine.travel(start + timedelta(seconds=2), tick=False):
        third = secrets.issue_secret(client_party, actor=SYSTEM)
        assert_refused(client_party, first)
        secrets.check_secret(client_party, second)
        secrets.check_secret(client_party, third)


def test_an_ended_secret_is_refused_at_once_also_from_memory(client_party):
    value = secrets.issue_secret(client_party, actor=SYSTEM)
    secrets.check_secret(find_client(client_party.client_id), value)
    secrets.end_secret(client_party.secrets.get(), reason="operator", actor=SYSTEM)
    assert_refused(find_client(client_party.client_id), value)


def test_a_secret_is_refused_from_the_second_in_which_it_expires(client_party):
    value = secrets.issue_secret(client_party, actor=SYSTEM)
    end = timezone.now() + timedelta(hours=1)
    client_party.secrets.update(expires_at=end)
    with time_machine.travel(end - timedelta(seconds=1), tick=False):
        secrets.check_secret(client_party, value)
    with time_machine.travel(end, tick=False):
        assert_refused(client_party, value)


def test_a_secret_under_an_older_master_key_passes_until_that_key_is_taken_away(client_party, settings):
    value = secrets.issue_secret(client_party, actor=SYSTEM)
    settings.BROKER_MASTER_KEYS = {"k2": bytes(32), **settings.BROKER_MASTER_KEYS}
    secrets.check_secret(client_party, value)
    settings.BROKER_MASTER_KEYS = {"k2": bytes(32)}
    assert_refused(client_party, value)


def test_a_secret_taken_over_is_held_as_argon2_with_a_date_to_rotate_by(client_party):
    assert secrets.import_secret(client_party, TAKEN_OVER, actor=SYSTEM) == ""
    stored = client_party.secrets.get()
    assert stored.scheme == ClientSecret.Scheme.ARGON2
    assert stored.secret_hash.startswith("argon2$argon2id$")
    assert stored.rotate_by == (timezone.now() + limits.CLIENT_SECRET_ROTATE_WITHIN).date()
    secrets.check_secret(client_party, TAKEN_OVER)
    assert_refused(client_party, TAKEN_OVER + "x")


def test_a_short_secret_is_taken_over_with_a_warning_that_does_not_repeat_it(client_party):
    warning = secrets.import_secret(client_party, "short-one", actor=SYSTEM)
    assert "shorter than 32" in warning
    assert "short-one" not in warning
    secrets.check_secret(client_party, "short-one")


@pytest.mark.parametrize("value", ["", "7-chars", "x" * 513])
def test_what_nobody_could_call_a_secret_is_not_taken_over(client_party, value):
    with pytest.raises(secrets.UnusableSecret) as caught:
        secrets.import_secret(client_party, value, actor=SYSTEM)
    assert not value or value not in str(caught.value)
    assert not client_party.secrets.exists()


def test_taking_over_the_same_secret_again_changes_nothing(client_party):
    secrets.import_secret(client_party, TAKEN_OVER, actor=SYSTEM)
    before = list(client_party.secrets.values())
    secrets.import_secret(client_party, TAKEN_OVER, actor=SYSTEM)
    assert list(client_party.secrets.values()) == before


def test_argon2_runs_once_for_a_right_secret_and_each_time_for_a_wrong_one(client_party, monkeypatch):
    secrets.import_secret(client_party, TAKEN_OVER, actor=SYSTEM)
    runs = []
    real = secrets._ARGON2.verify
    monkeypatch.setattr(secrets._ARGON2, "verify", lambda *args: runs.append(1) or real(*args))
    secrets.check_secret(client_party, TAKEN_OVER)
    secrets.check_secret(client_party, TAKEN_OVER)
    assert len(runs) == 1
    assert_refused(client_party, "wrong-but-long-enough")
    assert_refused(client_party, "wrong-but-long-enough")
    assert len(runs) == 3


def test_a_remembered_proof_dies_with_its_row(client_party):
    secrets.import_secret(client_party, TAKEN_OVER, actor=SYSTEM)
    secrets.check_secret(client_party, TAKEN_OVER)
    client_party.secrets.all().delete()
    assert_refused(client_party, TAKEN_OVER)


def test_checking_a_secret_from_memory_asks_nothing_of_the_database(client_party, django_assert_num_queries):
    value = secrets.issue_secret(client_party, actor=SYSTEM)
    parties.forget()
    known = find_client(client_party.client_id)
    with django_assert_num_queries(0):
        secrets.check_secret(known, value)


def test_each_new_secret_is_in_the_book_without_its_value(client_party):
    value = secrets.issue_secret(client_party, actor=SYSTEM)
    secrets.import_secret(client_party, TAKEN_OVER, actor=SYSTEM)
    events = Event.objects.filter(type="client_secret.issued").order_by("id")
    assert [event.details["scheme"] for event in events] == ["keyed", "argon2"]
    assert events[0].subject_id == client_party.client_id
    written = str([(event.details, event.subject_id, event.actor_id) for event in events])
    assert value not in written
    assert TAKEN_OVER not in written
