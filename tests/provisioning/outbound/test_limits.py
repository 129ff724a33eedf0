"""Each row of the table of limits about targets: what is at the limit passes, what is above it does not."""

from datetime import timedelta
from uuid import uuid4

import pytest

from broker import limits
from broker.actors import SYSTEM
from broker.delivery.models import Attempt
from broker.registry.values import BadValue
from provisioning.outbound.connectors.base import MembersChange, RemoteGroup, TargetError
from provisioning.outbound.connectors.scim import _member_batches, connector_for
from provisioning.outbound.models import Target
from provisioning.outbound.pace import Pace
from provisioning.outbound.probing import probe
from provisioning.outbound.registering import change_target
from provisioning.outbound.services import chunks
from tests.provisioning.outbound.desk import Desk

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_credential_is_at_most_so_long(desk: Desk):
    change_target(desk.target, actor=SYSTEM, credential="x" * limits.TARGET_CREDENTIAL_CHARS)
    with pytest.raises(BadValue):
        change_target(desk.target, actor=SYSTEM, credential="x" * (limits.TARGET_CREDENTIAL_CHARS + 1))


def test_connections_are_at_most_so_many(desk: Desk):
    assert Target().max_connections == limits.TARGET_CONNECTIONS
    change_target(desk.target, actor=SYSTEM, max_connections=limits.TARGET_CONNECTIONS_MAX)
    with pytest.raises(BadValue):
        change_target(desk.target, actor=SYSTEM, max_connections=limits.TARGET_CONNECTIONS_MAX + 1)


def test_a_target_has_a_breaker_and_a_deadline_unless_it_is_told_otherwise():
    target = Target()
    assert (target.breaker_count, target.breaker_share) == (limits.TARGET_BREAKER_COUNT, limits.TARGET_BREAKER_SHARE)
    assert timedelta(seconds=target.leaver_deadline) == limits.TARGET_LEAVER_DEADLINE


def test_a_probe_asks_for_no_more_than_the_limits_though_the_target_offers_it(there, db):
    there.change(max_operations=1_000, max_results=1_000)
    found = probe(Desk(there).target, actor=SYSTEM)
    assert (found.bulk_operations, found.page_size) == (limits.TARGET_BULK_OPERATIONS, limits.TARGET_PAGE)


def test_members_come_in_parts():
    there = RemoteGroup("1", "", "sales", (), {})
    size = limits.TARGET_MEMBERS_PER_CHANGE
    change = MembersChange(add=[str(number) for number in range(size + 1)], remove=["gone"])
    parts = [[len(one.get("value", ["x"])) for one in part] for part in _member_batches(there, "sales", change)]
    assert parts == [[size], [1], [1]]


def test_people_come_in_parts():
    ids = [uuid4() for _ in range(limits.TARGET_CHUNK + 1)]
    assert [len(part) for part in chunks([*ids, *ids])] == [limits.TARGET_CHUNK, 1]


def test_an_exchange_ends_in_its_time(desk: Desk, monkeypatch):
    monkeypatch.setattr(limits, "TARGET_EXCHANGE_SECONDS", 0.3)
    desk.there.fault("hang", seconds=5)
    with connector_for(desk.target) as connector, pytest.raises(TargetError) as caught:
        connector.look_at("1")
    assert (caught.value.code, caught.value.is_sent) == ("target.timeout", True)


def test_a_token_that_is_too_large_is_none(desk: Desk, monkeypatch):
    monkeypatch.setattr(limits, "TARGET_TOKEN_BYTES", 10)
    fields = {"authentication": "client_credentials", "token_url": desk.there.token_url, "token_client_id": "x"}
    target = change_target(desk.target, actor=SYSTEM, credential="the-client's-secret-0123456789abcdef", **fields)
    with connector_for(target) as connector, pytest.raises(TargetError) as caught:
        connector.look_at("1")
    assert caught.value.code == "target.no_token"


@pytest.mark.parametrize(("over", "is_waited"), [(0, True), (1, False)])
def test_a_target_that_asks_for_so_long_is_waited_for_where_the_exchange_stands(over: int, is_waited: bool):
    asked = int(limits.TARGET_PATIENCE.total_seconds()) + over
    assert Pace().note(429, {"retry-after": str(asked)}) is is_waited


def test_what_was_told_to_wait_is_asked_so_often_again_and_then_left_to_the_lane(desk: Desk):
    alice = desk.person("alice")
    desk.sync(desk.person("zoe"))
    desk.there.fault("answer", method="POST", status=429, headers={"Retry-After": "0"}, times=limits.TARGET_ASKED_AGAIN)
    desk.sync(alice)
    assert (desk.delivery(alice).state, desk.delivery(alice).attempts) == ("confirmed", 1)
    bob = desk.person("bob")
    faults = limits.TARGET_ASKED_AGAIN + 1
    desk.there.fault("answer", method="POST", status=429, headers={"Retry-After": "0"}, times=faults)
    desk.sync(bob)
    assert Attempt.objects.filter(delivery=desk.delivery(bob)).order_by("number")[0].code == "target.throttled"


def test_so_many_good_answers_give_a_target_another_place():
    pace = Pace()
    with pace.place(is_over=lambda: False):
        pace.note(429, {"retry-after": "0"})
    for _ in range(limits.TARGET_PACE_GOOD):
        pace.note(200, {})
    assert pace._places == 1
    pace.note(200, {})
    assert pace._places == 2
