"""Two operators at once. Only rows that the database locks keep the promise, so this needs PostgreSQL."""

import threading

import pytest
from django.db import connection

from broker.actors import Actor, ActorKind
from broker.console.errors import OperatorRefused
from broker.console.models import Operator
from broker.console.services import change_operator


@pytest.mark.services
@pytest.mark.django_db(transaction=True)
def test_operators_who_demote_each_other_at_once_leave_one(make_operator):
    ada, bob = make_operator("ada@acme.example"), make_operator("bob@acme.example")
    ready = threading.Barrier(2, timeout=10)
    refused: list[str] = []

    def demote(target: Operator, by: Operator) -> None:
        try:
            ready.wait()
            change_operator(target, actor=Actor(ActorKind.OPERATOR, by.email), role=Operator.Role.VIEWER)
        except OperatorRefused:
            refused.append(by.email)
        finally:
            connection.close()

    threads = [threading.Thread(target=demote, args=pair) for pair in ((ada, bob), (bob, ada))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    assert len(refused) == 1
    assert Operator.objects.get(role=Operator.Role.OPERATOR).email not in refused
