"""Foreign keys are fetched when they are needed, by one worker, and remembered for all."""

import json
import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from broker import limits
from broker.errors import BrokerError
from broker.keys import remote, tasks
from broker.keys.jwk_set import read_jwk_set
from broker.keys.models import RemoteKeySet
from broker.keys.remote import remote_keys
from broker.traces.collector import Collector
from tests.fakes.fake_op import FakeOpenIDProvider, http, running
from tests.fakes.tokens import rsa_key

pytestmark = pytest.mark.django_db
START = timezone.now()
OWNER = "11111111-1111-1111-1111-111111111111"


@pytest.fixture
def provider(settings):
    settings.OUTGOING_NETWORKS = ["127.0.0.0/8"]
    settings.OUTGOING_PROXY = ""
    with running() as running_provider:
        yield running_provider


def find(provider: FakeOpenIDProvider, *, kid: str = "op-1", after: timedelta = timedelta(0), path: str = "/jwks"):
    url = f"{provider.issuer}{path}"
    found = remote_keys(OWNER, url=url, unverified_kid=kid, now=START + after, trace=Collector())
    return [key.kid for key in found]


def test_the_first_use_fetches_and_the_next_ones_remember(provider):
    assert find(provider) == find(provider) == ["op-1"]
    assert provider.count("/jwks") == 1


def test_keys_are_fresh_for_four_minutes(provider):
    find(provider)
    find(provider, after=limits.REMOTE_KEYS_FRESH - timedelta(seconds=1))
    assert provider.count("/jwks") == 1
    find(provider, after=limits.REMOTE_KEYS_FRESH)
    assert provider.count("/jwks") == 2


def test_the_freshness_and_the_interval_are_five_minutes_together():
    assert timedelta(minutes=5) >= limits.REMOTE_KEYS_FRESH + limits.REMOTE_KEYS_ASK_INTERVAL
    assert timedelta(minutes=1) <= limits.REMOTE_KEYS_ASK_INTERVAL
    assert timedelta(hours=24) == limits.REMOTE_KEYS_KEEP


def test_sets_that_nobody_uses_any_more_are_forgotten_and_fetched_again_when_somebody_does(provider):
    find(provider)
    assert remote.forget_unused(now=START + limits.REMOTE_KEYS_KEEP) == 0
    assert find(provider, after=timedelta(hours=1)) == ["op-1"]
    assert remote.forget_unused(now=START + limits.REMOTE_KEYS_KEEP + timedelta(minutes=59)) == 0
    assert remote.forget_unused(now=START + limits.REMOTE_KEYS_KEEP + timedelta(minutes=61)) == 1
    assert not RemoteKeySet.objects.exists()
    assert find(provider, after=timedelta(days=3)) == ["op-1"]


def test_the_scheduler_forgets_sets_that_nobody_uses(settings):
    RemoteKeySet.objects.create(owner=OWNER, url="https://gone.example", asked_at=START - timedelta(days=2))
    assert tasks.forget_remote_keys.name in {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()}
    assert tasks.forget_remote_keys() == 1


def test_a_hundred_unknown_kids_cost_one_fetch_a_minute(provider):
    find(provider)
    for number in range(100):
        assert find(provider, kid=f"k{number}", after=timedelta(seconds=59)) == []
    assert provider.count("/jwks") == 1
    for number in range(100):
        assert find(provider, kid=f"k{number}", after=timedelta(seconds=60)) == []
    assert provider.count("/jwks") == 2


def test_a_new_key_is_found_by_one_fetch(provider):
    find(provider)
    provider.keys["op-2"] = rsa_key(number=8)
    assert find(provider, kid="op-2", after=timedelta(seconds=30)) == []
    assert find(provider, kid="op-2", after=timedelta(seconds=60)) == ["op-2"]
    assert find(provider, kid="op-2", after=timedelta(seconds=61)) == ["op-2"]


def test_a_key_that_is_gone_is_gone_after_the_freshness(provider):
    find(provider)
    provider.keys = {"op-2": rsa_key(number=8)}
    assert find(provider, after=limits.REMOTE_KEYS_FRESH) == []


@pytest.mark.parametrize(
    "away",
    [
        http("{}", status="503 Away"),
        http("<html>", content_type="text/html"),
        http('{"keys": []}'),
        http("", status="302 Found", Location="http://127.0.0.1/"),
        b"",
    ],
    ids=["503", "HTML", "no key", "redirect", "silence"],
)
def test_the_last_keys_serve_for_a_day_while_their_address_is_away(provider, away):
    find(provider)
    provider.raw["/jwks"] = away
    assert find(provider, after=timedelta(hours=1)) == ["op-1"]
    assert find(provider, after=limits.REMOTE_KEYS_KEEP) == ["op-1"]
    with pytest.raises(BrokerError) as caught:
        find(provider, after=limits.REMOTE_KEYS_KEEP + timedelta(seconds=61))
    assert caught.value.code == "outgoing.refused"
    del provider.raw["/jwks"]
    assert find(provider, after=limits.REMOTE_KEYS_KEEP + timedelta(seconds=122)) == ["op-1"]


def test_a_dead_address_is_asked_once_a_minute_too(provider):
    find(provider)
    provider.raw["/jwks"] = http("{}", status="503 Away")
    for seconds in range(0, 60, 5):
        assert find(provider, after=timedelta(hours=1, seconds=seconds)) == ["op-1"]
    assert provider.count("/jwks") == 2


def test_without_any_keys_nothing_is_found(provider):
    provider.raw["/jwks"] = http("{}", status="503 Away")
    for seconds in (0, 1):
        with pytest.raises(BrokerError):
            find(provider, after=timedelta(seconds=seconds))
    assert provider.count("/jwks") == 1
    assert "status 503" in RemoteKeySet.objects.get().problem


def test_keys_of_an_address_that_is_no_longer_the_issuers_are_forgotten_at_once(provider):
    find(provider)
    with pytest.raises(BrokerError):
        find(provider, path="/other", after=timedelta(seconds=1))
    assert provider.asked == ["/jwks", "/other"]
    assert RemoteKeySet.objects.get().keys == []


def test_the_keys_of_two_owners_are_kept_apart(provider):
    find(provider)
    other = remote_keys("other", url=f"{provider.issuer}/jwks", unverified_kid="op-1", now=START, trace=Collector())
    assert [key.kid for key in other] == ["op-1"]
    assert provider.count("/jwks") == 2
    assert RemoteKeySet.objects.count() == 2


def test_what_is_odd_among_the_keys_stands_in_the_trace(provider):
    provider.keys = {"op-1": rsa_key(number=7)}
    provider.raw["/jwks"] = http(json.dumps({"keys": [{"kty": "OKP"}, *provider.jwks()["keys"]]}))
    trace = Collector()
    remote_keys(OWNER, url=f"{provider.issuer}/jwks", unverified_kid="op-1", now=START, trace=trace)
    assert any("kind is neither RSA nor EC" in str(entry) for entry in trace.entries)


def test_a_worker_whose_turn_it_is_not_waits_for_the_one_that_is_asking(provider, monkeypatch):
    """The other worker is played by the pause: when it is over, the answer stands in the row."""
    find(provider)
    RemoteKeySet.objects.update(keys=[], asked_at=START, answered_at=None)
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            RemoteKeySet.objects.update(answered_at=START, keys=_keys_of(provider))

    provider.asked.clear()
    monkeypatch.setattr(remote.time, "sleep", pause)
    assert find(provider, after=timedelta(seconds=1)) == ["op-1"]
    assert len(pauses) == 3
    assert provider.asked == []


def test_the_wait_ends_when_the_other_worker_never_comes_back(provider, monkeypatch):
    find(provider)
    RemoteKeySet.objects.update(keys=[], asked_at=START, answered_at=None)
    pauses: list[float] = []
    monkeypatch.setattr(remote.time, "sleep", pauses.append)
    assert find(provider, after=timedelta(seconds=1)) == []
    assert sum(pauses) <= limits.REMOTE_KEYS_SECONDS + 0.2


def _keys_of(provider: FakeOpenIDProvider) -> list[dict[str, str]]:
    return list(read_jwk_set(json.dumps(provider.jwks()).encode()).keys)


@pytest.mark.services
@pytest.mark.django_db(transaction=True)
def test_workers_that_need_the_same_unknown_key_ask_once(provider):
    """On PostgreSQL, where they really run at once."""
    found: list[list[str]] = []

    def work() -> None:
        try:
            found.append(find(provider))
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [["op-1"]] * 8
    assert provider.count("/jwks") == 1
