"""An account at a real target over HTTP: made, changed, closed, and what happens when the target does not do so."""

import pytest

from broker.delivery.models import Delivery
from provisioning.outbound.models import RemoteAccount
from tests.provisioning.outbound.desk import Desk

pytestmark = pytest.mark.django_db(transaction=True)
State = RemoteAccount.State


def test_an_account_is_made_with_what_the_mapping_names_and_nothing_else(desk: Desk):
    alice = desk.person("alice", claims={"cost_center": ["4711"]})
    assert desk.sync(alice) == 1
    user = desk.user(alice)
    assert user["userName"] == "alice"
    assert user["displayName"] == "Alice"
    assert user["active"] is True
    assert "4711" not in str(user)
    row = desk.delivery(alice)
    assert (row.state, row.status, len(row.digest)) == (Delivery.State.CONFIRMED, 201, 64)
    account = desk.account(alice)
    assert account.state == State.PRESENT
    assert account.read_digest == account.wanted_digest
    assert account.remote_id == user["id"]
