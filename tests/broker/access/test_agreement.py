"""Ten thousand random questions to random policies, through HTTP, judged a second time by hand."""

import random
from dataclasses import replace
from typing import Any

import pytest

from broker.actors import SYSTEM
from broker.directory.services import set_groups, write_login
from tests.broker.access.gateway import Gateway, make_gateway
from tests.broker.access.independent import Asked, Someone, World, decide
from tests.factories import make_identity_provider, make_person

pytestmark = pytest.mark.django_db

CHUNKS, BATCHES, BATCH = 10, 10, 100
TYPES = {"record": ["read", "write", "delete"], "invoice": ["read", "pay"]}


def people() -> tuple[list[Someone], list[str]]:
    """A dozen people of ours in some of four groups, and what the second opinion knows of them."""
    provider = make_identity_provider(slug="idp")
    chance, made, names = random.Random(1), [], ["staff", "finance", "on call", 'quo"te']
    for number in range(12):
        person = make_person(organisation=provider.organisation)
        groups = [name for name in names if chance.random() < 0.4]
        department = chance.choice(["sales", "finance", None])
        set_groups(person, groups, identity_provider=provider, actor=SYSTEM)
        if department:
            told = {"department": (department,)}
            write_login(person, told, identity_provider=provider, evidence="", actor=SYSTEM)
        is_active = number % 6 != 5
        type(person).objects.filter(pk=person.pk).update(is_active=is_active)
        attributes = {"active": is_active, **({"department": department} if department else {})}
        made.append(Someone("user", str(person.pk), attributes, frozenset(f"idp/{name}" for name in groups)))
    return made, [f"idp/{name}" for name in names]


def written(asked: Asked) -> dict[str, Any]:
    """The question as a gateway sends it: of people of ours it tells only what we do not know."""
    told = {name: value for name, value in asked.subject.attributes.items() if name == "role"}
    return {
        "subject": {"type": "user", "id": asked.subject.id, "properties": told},
        "action": {"name": asked.action},
        "resource": {"type": asked.resource.type, "id": asked.resource.id, "properties": asked.resource.attributes},
        "context": asked.context,
    }


def expected(rules: list[Any], asked: Asked) -> bool:
    return asked.subject.attributes.get("active", True) and decide(rules, asked)


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_random_questions_get_the_answer_that_a_second_opinion_gives(chunk):
    known, groups = people()
    world = World(known, groups, TYPES, seed=chunk)
    rules = world.rules(15)
    gateway = make_gateway(resource_types=TYPES, policy="\n".join(rule.cedar() for rule in rules))
    permitted = 0
    for _ in range(BATCHES):
        questions = [world.asked() for _ in range(BATCH)]
        answer = gateway.evaluate_all(evaluations=[written(one) for one in questions])
        decisions = [one["decision"] for one in answer.json()["evaluations"]]
        wanted = [expected(rules, one) for one in questions]
        wrong = [questions[place] for place in range(BATCH) if decisions[place] != wanted[place]]
        assert not wrong, (wrong[0], [rule.cedar() for rule in rules])
        permitted += sum(decisions)
    assert 0.02 < permitted / (BATCHES * BATCH) < 0.98


def test_the_second_opinion_can_disagree():
    """It is no echo of the engine: with one rule less, it says something else."""
    known, groups = people()
    world = World(known, groups, TYPES, seed=3)
    rules = world.rules(15)
    questions = [world.asked() for _ in range(500)]
    poorer = [decide(rules[: -len(rules) // 2], one) for one in questions]
    assert poorer != [decide(rules, one) for one in questions]


def exhaustive(rules: list[Any], asked: list[Asked]) -> list[Asked]:
    return [one for one in asked if expected(rules, one)]


@pytest.mark.parametrize("seed", range(6))
def test_a_search_finds_exactly_what_is_permitted(seed):
    """In both directions: whatever is found is permitted, and whatever is permitted is found."""
    known, groups = people()
    world = World(known, groups, TYPES, seed=100 + seed)
    rules = world.rules(12)
    resources = [
        Someone("record", one, world._some({"status": ["open", "archived"], "level": [0, 3]})) for one in world.ids
    ]
    gateway = make_gateway(
        resource_types=TYPES,
        resources=[{"type": "record", "id": one.id, "properties": dict(one.attributes)} for one in resources],
        policy="\n".join(rule.cedar() for rule in rules),
    )
    context = {"risk": 5}
    for resource in resources:
        for act in TYPES["record"]:
            asked = [Asked(one, act, resource, context) for one in known]
            check(gateway, "subject", asked[0], {one.subject.id for one in exhaustive(rules, asked)})
    for subject in known:
        for act in TYPES["record"]:
            asked = [Asked(subject, act, one, context) for one in resources]
            check(gateway, "resource", asked[0], {one.resource.id for one in exhaustive(rules, asked)})
        for resource in resources[:3]:
            asked = [Asked(subject, act, resource, context) for act in TYPES["record"]]
            check(gateway, "action", asked[0], {one.action for one in exhaustive(rules, asked)})


def check(gateway: Gateway, sought: str, pattern: Asked, wanted: set[str]) -> None:
    body = written(replace(pattern, resource=replace(pattern.resource, attributes={})))
    body.pop("action") if sought == "action" else body[sought].pop("id")
    found = gateway.find_all(sought, **body, page={"limit": 3})
    names = [one["name"] if sought == "action" else one["id"] for one in found]
    assert len(names) == len(set(names))
    assert set(names) == wanted
