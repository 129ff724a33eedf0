"""What the ledger costs: statements are counted, which do not grow with the rows."""

from collections.abc import Callable

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from broker.delivery.carrying import carry
from broker.delivery.claiming import claim
from broker.delivery.lanes import take_turn
from broker.delivery.models import Delivery
from broker.delivery.outcomes import confirmed, retry
from broker.delivery.services import release_hold
from broker.delivery.settling import Settling
from broker.delivery.sweeping import sweep
from tests.broker.delivery.handlers import DIGEST
from tests.broker.delivery.ledger import ADA, LANE, put

pytestmark = pytest.mark.django_db

CONTROL = ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE")
STATEMENTS_TO_CLAIM = 5
STATEMENTS_TO_SETTLE = 6
STATEMENTS_TO_ENQUEUE = 3
"""One about the lane, one for what waits, one insert. (SQLite takes at most 999 values, hence few rows.)"""
STATEMENTS_TO_MAKE_A_LANE = 2
"""A lock of PostgreSQL's, and the row."""
STATEMENTS_TO_SUPERSEDE = 2
STATEMENTS_OF_A_TURN = 8
"""The turn taken, read and ended, what is outdated, the claim that finds nothing, and the look for what came since."""


def statements(run: Callable[[], object]) -> list[str]:
    with CaptureQueriesContext(connection) as captured:
        run()
    return [query["sql"] for query in captured if not query["sql"].startswith(CONTROL)]


@pytest.mark.parametrize("many", [2, 30])
def test_enqueueing_takes_few_statements_however_many_rows(many: int) -> None:
    subjects = [f"person:{number}" for number in range(many)]
    assert len(statements(lambda: put(*subjects))) <= STATEMENTS_TO_ENQUEUE + STATEMENTS_TO_MAKE_A_LANE
    again = statements(lambda: put(*subjects))
    assert len(again) <= STATEMENTS_TO_ENQUEUE + STATEMENTS_TO_SUPERSEDE
    assert Delivery.objects.count() == 2 * many


@pytest.mark.parametrize("many", [2, 30])
def test_claiming_and_settling_take_few_statements_however_many_rows(many: int) -> None:
    put(*(f"person:{number}" for number in range(many)))
    turn = take_turn(LANE)
    assert turn
    batches = []
    assert len(statements(lambda: batches.append(claim(turn)))) <= STATEMENTS_TO_CLAIM
    [batch] = batches
    assert batch
    settle = Settling(turn, batch)
    half = len(batch.rows) // 2
    outcomes = [(row, confirmed(DIGEST)) for row in batch.rows[:half]]
    outcomes += [(row, retry("target.conflict", status=409)) for row in batch.rows[half:]]
    assert len(statements(lambda: settle(outcomes))) <= STATEMENTS_TO_SETTLE


def test_a_whole_turn_costs_no_more_than_its_parts() -> None:
    put(*(f"person:{number}" for number in range(30)))
    most = STATEMENTS_OF_A_TURN + STATEMENTS_TO_CLAIM + STATEMENTS_TO_SETTLE
    assert len(statements(lambda: carry(LANE))) <= most


def test_a_sweep_with_nothing_to_do_asks_four_times() -> None:
    put()
    carry(LANE)
    assert len(statements(sweep)) <= 5


def test_no_statement_of_the_carrying_reads_the_whole_ledger() -> None:
    """Of a small table a planner may well read all, hence it is asked what it does where it need not."""
    put("person:1", "person:2")
    turn = take_turn(LANE)
    assert turn
    asked = statements(lambda: (claim(turn), sweep()))
    asked += statements(lambda: (put("person:1"), release_hold("x", actor=ADA)))
    plans = [plan for sql in asked if sql.startswith(("SELECT", "UPDATE")) for plan in _explain(sql)]
    assert len(plans) > 10
    assert any("delivery_claimable" in plan for plan in plans)
    whole = ("SCAN delivery_delivery", "Seq Scan on delivery_delivery")
    assert [plan for plan in plans if plan.strip(" ->").startswith(whole) and "INDEX" not in plan] == []


def _explain(sql: str) -> list[str]:
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL enable_seqscan = off")
        explain = "EXPLAIN" if connection.vendor == "postgresql" else "EXPLAIN QUERY PLAN"
        cursor.execute(f"{explain} {sql}".replace("%", "%%"))
        return [row[-1] for row in cursor.fetchall()]
