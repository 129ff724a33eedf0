"""A target is read wholly, or nothing follows from it."""

import pytest

from broker.errors import BrokerError
from provisioning.outbound.models import RemoteAccount, Target
from provisioning.planning.models import Drift, Found, Operation, Plan, Run
from provisioning.planning.scheduling import make_plan, reconcile
from tests.fakes.scim_target.running import ScimTarget
from tests.provisioning.planning import house

pytestmark = pytest.mark.django_db


def actions(plan: Plan) -> dict[str, int]:
    found: dict[str, int] = {}
    for action in plan.operations.values_list("action", flat=True):
        found[action] = found.get(action, 0) + 1
    return found


def test_a_plan_shows_each_action_with_what_differs_and_sends_nothing(fake: ScimTarget, target: Target) -> None:
    people = house.make_people(5)
    house.put_there(fake, target, people[:4])
    fake.act("change", external_id=str(people[1].pk), document={"displayName": "Somebody else"})
    house.close([people[2]])
    before = len(fake.effects())
    plan = make_plan(target, actor=house.ADA)
    assert plan.run.outcome == Run.Outcome.DRIFT
    assert actions(plan) == {"create": 1, "update": 1, "disable": 1}
    update = plan.operations.get(action="update")
    assert update.differences == {"displayName": ["Somebody else", "Person 1"]}
    assert update.person == people[1]
    created = plan.operations.get(action="create")
    assert created.differences["userName"] == [None, "p4@acme.example"]
    assert plan.operations.get(action="disable").differences == {"active": [True, False]}
    assert plan.run.checked == 5
    assert len(fake.effects()) == before
    assert not Found.objects.exists()
