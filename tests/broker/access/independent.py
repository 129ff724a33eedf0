"""Rules of a small kind, written as Cedar and judged by hand: a second opinion that does not know the engine."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Members = Mapping[str, Any]


@dataclass(frozen=True)
class Someone:
    """A subject or resource as both sides know it. `type` is AuthZEN's."""

    type: str
    id: str
    attributes: Members = field(default_factory=dict)
    groups: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Asked:
    subject: Someone
    action: str
    resource: Someone
    context: Members


@dataclass(frozen=True)
class Condition:
    """`<whose>.<name> <operator> <value>`, and no when there is no such attribute."""

    whose: str
    name: str
    operator: str
    value: Any

    def cedar(self) -> str:
        written = _literal(self.value)
        left = f"{self.whose}.{self.name}"
        test = f"{left}.contains({written})" if self.operator == "contains" else f"{left} {self.operator} {written}"
        return f"({self.whose} has {self.name} && {test})"

    def holds(self, asked: Asked) -> bool:
        members = {
            "principal": asked.subject.attributes,
            "resource": asked.resource.attributes,
            "context": asked.context,
        }[self.whose]
        if self.name not in members:
            return False
        actual = members[self.name]
        return {
            "==": lambda: actual == self.value,
            "!=": lambda: actual != self.value,
            "<": lambda: actual < self.value,
            ">=": lambda: actual >= self.value,
            "contains": lambda: self.value in actual,
        }[self.operator]()


@dataclass(frozen=True)
class Rule:
    """A statement: whom, what and where its scope lets through, and conditions joined by `&&` or `||`."""

    is_permit: bool
    principal: tuple[str, str]
    """("any", ""), ("is", type), ("is one", id of a user), or ("in", group)"""
    actions: frozenset[str] | None
    resource: tuple[str, str]
    """("any", ""), ("is", type), or ("is one", `type id`)"""
    conditions: tuple[Condition, ...]
    joined_by: str
    is_unless: bool

    def cedar(self) -> str:
        principal = {
            "any": "principal",
            "is": f"principal is {_TYPES.get(self.principal[1], self.principal[1])}",
            "is one": f"principal == User::{_literal(self.principal[1])}",
            "in": f"principal in Group::{_literal(self.principal[1])}",
        }[self.principal[0]]
        type_, _, id_ = self.resource[1].partition(" ")
        resource = {
            "any": "resource",
            "is": f"resource is {type_}",
            "is one": f"resource == {type_}::{_literal(id_)}",
        }[self.resource[0]]
        action = "action"
        if self.actions is not None:
            named = [f"Action::{_literal(one)}" for one in sorted(self.actions)]
            action = f"action == {named[0]}" if len(named) == 1 else f"action in [{', '.join(named)}]"
        text = f"{'permit' if self.is_permit else 'forbid'} ({principal}, {action}, {resource})"
        if self.conditions:
            joined = f" {self.joined_by} ".join(one.cedar() for one in self.conditions)
            text += f" {'unless' if self.is_unless else 'when'} {{ {joined} }}"
        return text + ";"

    def matches(self, asked: Asked) -> bool:
        return self._principal(asked.subject) and self._action(asked.action) and self._rest(asked)

    def _principal(self, subject: Someone) -> bool:
        kind, name = self.principal
        if kind == "is":
            return subject.type == name
        if kind == "is one":
            return subject.type == "user" and subject.id == name
        return kind == "any" or name in subject.groups

    def _action(self, action: str) -> bool:
        return self.actions is None or action in self.actions

    def _rest(self, asked: Asked) -> bool:
        kind, name = self.resource
        if kind == "is" and asked.resource.type != name:
            return False
        if kind == "is one" and f"{asked.resource.type} {asked.resource.id}" != name:
            return False
        if not self.conditions:
            return True
        held = [one.holds(asked) for one in self.conditions]
        return (all(held) if self.joined_by == "&&" else any(held)) is not self.is_unless


def decide(rules: list[Rule], asked: Asked) -> bool:
    """One permits and none forbids."""
    matching = [rule for rule in rules if rule.matches(asked)]
    return any(rule.is_permit for rule in matching) and all(rule.is_permit for rule in matching)


_TYPES = {"user": "User", "client": "Client"}


def _literal(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


@dataclass
class World:
    """What questions and rules are drawn from."""

    people: list[Someone]
    groups: list[str]
    resource_types: Mapping[str, list[str]]
    """{type: actions}"""
    seed: int

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.ids = [f"{number}" for number in range(4)] + ['quo"te', "back\\slash", "雪"]
        self.actions = sorted({action for actions in self.resource_types.values() for action in actions})

    def rules(self, count: int) -> list[Rule]:
        return [self._rule() for _ in range(count)]

    def asked(self) -> Asked:
        chance = self.chance
        known = chance.choice(self.people)
        subject = known if chance.random() < 0.8 else Someone("user", f"stranger-{chance.randrange(3)}")
        told = {} if chance.random() < 0.5 else {"role": chance.choice(ROLES)}
        type_ = chance.choice(sorted(self.resource_types))
        return Asked(
            Someone(subject.type, subject.id, {**told, **subject.attributes}, subject.groups),
            chance.choice(self.resource_types[type_]),
            Someone(type_, chance.choice(self.ids), self._some(RESOURCE)),
            self._some(CONTEXT),
        )

    def _some(self, members: Mapping[str, list[Any]]) -> dict[str, Any]:
        return {name: self.chance.choice(values) for name, values in members.items() if self.chance.random() < 0.7}

    def _rule(self) -> Rule:
        chance = self.chance
        principal = chance.choice(
            [
                ("any", ""),
                ("is", chance.choice(["user", "client"])),
                ("is one", chance.choice(self.people).id),
                ("in", chance.choice(self.groups)),
                ("in", chance.choice(self.groups)),
            ]
        )
        type_ = chance.choice(sorted(self.resource_types))
        resource = chance.choice(
            [("any", ""), ("is", type_), ("is", type_), ("is one", f"{type_} {chance.choice(self.ids)}")]
        )
        actions = chance.choice([None, 1, 1, 2])
        # A rule that forbids everybody everything would make all questions alike.
        is_permit = chance.random() < 0.75
        conditions = tuple(self._condition() for _ in range(chance.choice([0 if is_permit else 1, 1, 2, 3])))
        return Rule(
            is_permit=is_permit,
            principal=principal,
            actions=None if actions is None else frozenset(chance.sample(self.actions, actions)),
            resource=resource,
            conditions=conditions,
            joined_by=chance.choice(["&&", "||"]),
            is_unless=chance.random() < 0.2,
        )

    def _condition(self) -> Condition:
        whose, members = self.chance.choice([("principal", SUBJECT), ("resource", RESOURCE), ("context", CONTEXT)])
        name = self.chance.choice(sorted(members))
        value = self.chance.choice(members[name])
        if isinstance(value, list):
            return Condition(whose, name, "contains", self.chance.choice(value))
        is_number = isinstance(value, int) and not isinstance(value, bool)
        return Condition(whose, name, self.chance.choice(["==", "!=", "<", ">="] if is_number else ["==", "!="]), value)


ROLES = ["clerk", "manager", "admin"]
SUBJECT: dict[str, list[Any]] = {"department": ["sales", "finance"], "role": ROLES, "active": [True]}
RESOURCE: dict[str, list[Any]] = {
    "status": ["open", "archived"],
    "level": [0, 1, 2, 3],
    "tags": [["a"], ["a", "b"], ["c", "b"]],
    "locked": [True, False],
}
CONTEXT: dict[str, list[Any]] = {"risk": [-1, 0, 5, 10], "network": ["office", "home"]}
