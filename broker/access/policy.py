"""Cedar's door: policies read, checked against a schema, compiled once, and asked.

Pure: text and values in, values out. Whatever the engine says in place of an answer, the decision is no.
"""

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import cedarpy

from broker import limits
from broker.access.entities import Verdict
from broker.access.source import BadPolicy, Fault, Statement, line_of, split_statements

ACTION = "Action"
_ID_CHARS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
_ID_LENGTH = 64
_TRUNCATED = "unexpected end of input"
PARTS_REMEMBERED = 2_000
"""Selections of rules that one set keeps in the engine's form: those of the groups that people are in together."""
Uid = tuple[str, str]
"""(type, id) of an entity."""


@dataclass(frozen=True, slots=True)
class Question:
    """A request as the engine takes it, with all that it may look at: JSON throughout, so that it can be kept."""

    principal: Mapping[str, str]
    """{type, id}, both as Cedar has them"""
    action: str
    resource: Mapping[str, str]
    context: Mapping[str, Any]
    entities: Sequence[Mapping[str, Any]]
    """In Cedar's JSON form of entities."""

    def as_json(self) -> dict[str, Any]:
        return {
            "principal": dict(self.principal),
            "action": self.action,
            "resource": dict(self.resource),
            "context": dict(self.context),
            "entities": [dict(entity) for entity in self.entities],
        }


@dataclass(frozen=True, slots=True)
class Rule:
    """One statement of a policy. `actions`, `resource_types` and `principal`: what its scope names; None is any."""

    id: str
    line: int
    is_permit: bool
    annotations: Mapping[str, str]
    actions: frozenset[str] | None
    resource_types: frozenset[str] | None
    resources: frozenset[str] | None
    """The ids that its scope names with `==`."""
    principal: Uid | None
    """Whom its scope names with `==` or `in`: it matches nobody who is neither that nor within it."""
    tree: Mapping[str, Any] = field(repr=False, hash=False)

    def concerns(self, action: str, resource_type: str) -> bool:
        """Whether its scope lets this pair through. Where it does not, the rule can neither match nor fail."""
        return (self.actions is None or action in self.actions) and (
            self.resource_types is None or resource_type in self.resource_types
        )


@dataclass(frozen=True, slots=True)
class Part:
    """Those rules of a set that can concern a question, in the engine's own form."""

    rules: frozenset[str]
    """Their ids."""
    fingerprint: str
    """The same for the same rules, whatever set they are of."""
    handle: Any


class CompiledSet:
    """Rules of one policy set, ready to be asked. Only those that can concern a question are put to the engine."""

    def __init__(self, rules: Iterable[Rule], *, number: int = 0) -> None:
        self.rules = {rule.id: rule for rule in rules}
        self.number = number
        self._lock = threading.Lock()
        self._parts: OrderedDict[tuple[str, str, frozenset[Uid]], Part] = OrderedDict()
        self._pairs: dict[tuple[str, str], list[Rule]] = {}
        self._actions = frozenset(name for rule in self.rules.values() for name in rule.actions or ())
        self._types = frozenset(name for rule in self.rules.values() for name in rule.resource_types or ())
        self._principals = frozenset(rule.principal for rule in self.rules.values() if rule.principal)

    def concerning(self, action: str, resource_type: str, principals: Collection[Uid] | None = None) -> Part:
        """The rules that can concern an action on a type of resource; of one who is, or is within, `principals`."""
        # Names that no rule names are all alike: callers cannot fill the memory with names of their own.
        action = action if action in self._actions else ""
        resource_type = resource_type if resource_type in self._types else ""
        named = self._principals if principals is None else self._principals.intersection(principals)
        key = action, resource_type, named
        part = self._parts.get(key)
        if part is None:
            rules = self._rules_about(action, resource_type)
            part = build_part(rule for rule in rules if rule.principal is None or rule.principal in named)
            with self._lock:
                self._parts[key] = part
                if len(self._parts) > PARTS_REMEMBERED:
                    self._parts.popitem(last=False)
        return part

    def _rules_about(self, action: str, resource_type: str) -> list[Rule]:
        rules = self._pairs.get((action, resource_type))
        if rules is None:
            rules = [rule for rule in self.rules.values() if rule.concerns(action, resource_type)]
            self._pairs[action, resource_type] = rules
        return rules

    def concerning_question(self, question: Question) -> Part:
        """The rules that can concern a question. The others' scopes let it not through: they neither match nor fail."""
        return self.concerning(question.action, question.resource["type"], _principals_of(question))


def read_rules(source: str, *, policy: str) -> tuple[Rule, ...]:
    """The rules of a policy's text, under the ids `<policy>/<@id, or place from 1>`. Raises BadPolicy."""
    statements = split_statements(source)
    if not statements:
        raise BadPolicy([Fault(1, "there is no statement")])
    if len(statements) > limits.POLICY_STATEMENTS:
        raise BadPolicy([Fault(1, f"more than {limits.POLICY_STATEMENTS} statements")])
    rules: dict[str, Rule] = {}
    faults: list[Fault] = []
    for place, statement in enumerate(statements, start=1):
        try:
            rule = _read_rule(statement, policy=policy, place=place)
        except BadPolicy as error:
            faults += error.faults
            continue
        if rule.id in rules:
            faults.append(Fault(statement.line, f"the id {rule.id!r} is used twice"))
        rules[rule.id] = rule
    if faults:
        raise BadPolicy(faults)
    return tuple(rules.values())


def check_schema(schema: str, *, declared: str = "") -> None:
    """Raise BadPolicy when the engine does not take this schema. `declared`: the part with which it begins, and in
    which the fault is looked for first.
    """
    statements = split_statements(schema)
    try:
        cedarpy.Schema.from_str(schema)
    except ValueError as error:
        message = str(error).removeprefix("error parsing schema: ")
        own = split_statements(declared)
        raise BadPolicy([Fault(_schema_line((*statements[len(own) :], *own), message), message)]) from error


def check_against_schema(source: str, schema: str) -> None:
    """Raise BadPolicy when a rule names what the schema does not have, or treats it as what it is not."""
    statements = split_statements(source)
    result = cedarpy.validate_policies(source, cedarpy.Schema.from_str(schema))
    if result.validation_passed:
        return
    faults = []
    for error in result.errors:
        # The engine numbers the statements of a text in their order.
        place = error.policy_id.removeprefix("policy")
        message = error.error.removeprefix(f"for policy `{error.policy_id}`, ")
        statement = statements[int(place)] if place.isdigit() and int(place) < len(statements) else Statement(1, "")
        faults.append(Fault(line_of(statement, message), message))
    raise BadPolicy(faults or [Fault(1, "the text does not agree with the schema")])


def compile_rules(rules: Iterable[Rule], *, number: int = 0) -> CompiledSet:
    """The set of these rules. Raises BadPolicy when the engine does not take them together."""
    compiled = CompiledSet(rules, number=number)
    build_part(compiled.rules.values())
    return compiled


def build_part(rules: Iterable[Rule]) -> Part:
    """The engine's form of these rules. Raises BadPolicy when it does not take them."""
    trees = {rule.id: rule.tree for rule in rules}
    text = json.dumps({"staticPolicies": trees, "templates": {}, "templateLinks": []}, sort_keys=True)
    try:
        handle = cedarpy.PolicySet.from_json_str(text)
    except ValueError as error:
        raise BadPolicy([Fault(1, str(error))]) from error
    return Part(frozenset(trees), hashlib.sha256(text.encode()).hexdigest(), handle)


def evaluate(compiled: CompiledSet, question: Question) -> Verdict:
    """Whether the set permits it. Never raises: an error of the engine, or of one rule, is a no with its error."""
    try:
        part = compiled.concerning_question(question)
    except BadPolicy as error:
        return Verdict(decision=False, errors=(str(error),), policy_version=compiled.number)
    return _ask(part, compiled.number, question)


def evaluate_whole(compiled: CompiledSet, question: Question) -> Verdict:
    """The same by all rules at once, whether or not they can concern the question."""
    return _ask(build_part(compiled.rules.values()), compiled.number, question)


def _principals_of(question: Question) -> set[Uid]:
    """The principal, and all that it is within by the entities of the question."""
    parents = {
        (one["uid"]["type"], one["uid"]["id"]): [(up["type"], up["id"]) for up in one.get("parents", ())]
        for one in question.entities
    }
    found: set[Uid] = set()
    unseen = [(question.principal["type"], question.principal["id"])]
    while unseen:
        uid = unseen.pop()
        if uid not in found:
            found.add(uid)
            unseen += parents.get(uid, ())
    return found


def _ask(part: Part, number: int, question: Question) -> Verdict:
    try:
        result = cedarpy.is_authorized(
            {
                "principal": dict(question.principal),
                "action": {"type": ACTION, "id": question.action},
                "resource": dict(question.resource),
                "context": dict(question.context),
            },
            part.handle,
            json.dumps(question.entities),
        )
        errors = tuple(sorted(result.diagnostics.errors))
        is_permitted = result.decision is cedarpy.Decision.Allow and not errors
        return Verdict(is_permitted, tuple(sorted(result.diagnostics.reasons)), errors, number)
    except (KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:  # noqa: BLE001 - a panic of the engine is no Exception, and must not allow anything
        return Verdict(decision=False, errors=(f"the engine failed: {type(error).__name__}",), policy_version=number)


def _read_rule(statement: Statement, *, policy: str, place: int) -> Rule:
    try:
        read = json.loads(cedarpy.policies_to_json_str(statement.text))
    except ValueError as error:
        raise BadPolicy([_parse_fault(statement, error)]) from error
    if read["templates"]:
        raise BadPolicy([Fault(statement.line, "templates are not offered; name the principal and the resource")])
    (tree,) = read["staticPolicies"].values()
    annotations = {name: value or "" for name, value in tree.get("annotations", {}).items()}
    name = annotations.get("id", str(place))
    if not 0 < len(name) <= _ID_LENGTH or set(name) - _ID_CHARS:
        raise BadPolicy([Fault(statement.line, f"an @id has 1 to {_ID_LENGTH} letters, digits, dots and dashes")])
    resource_types, resources = _resource_scope(tree["resource"])
    return Rule(
        id=f"{policy}/{name}",
        line=statement.line,
        is_permit=tree["effect"] == "permit",
        annotations=annotations,
        actions=_action_scope(tree["action"]),
        resource_types=resource_types,
        resources=resources,
        principal=_principal_scope(tree["principal"]),
        tree=tree,
    )


def _principal_scope(scope: Mapping[str, Any]) -> Uid | None:
    """Whom a scope names: `== X`, `in X` or `is T in X`."""
    named = scope.get("in", scope).get("entity", {})
    return (named["type"], named["id"]) if {"type", "id"} <= named.keys() else None


def _action_scope(scope: Mapping[str, Any]) -> frozenset[str] | None:
    """The actions of a scope. There are no groups of actions (`broker.access.schema` refuses them)."""
    if scope["op"] in {"==", "in"}:
        named = [scope["entity"]] if "entity" in scope else scope["entities"]
        if all(one.get("type") == ACTION for one in named):
            return frozenset(one["id"] for one in named)
    return None


def _resource_scope(scope: Mapping[str, Any]) -> tuple[frozenset[str] | None, frozenset[str] | None]:
    """The types and the ids of a scope. What lies `in` something can be of any type."""
    if scope["op"] == "==" and "type" in scope.get("entity", {}):
        return frozenset([scope["entity"]["type"]]), frozenset([scope["entity"]["id"]])
    if scope["op"] == "is":
        return frozenset([scope["entity_type"]]), None
    return None, None


def _parse_fault(statement: Statement, error: ValueError) -> Fault:
    """The engine does not say where. The first line up to which the text is more than unfinished is the one."""
    message = str(error)
    lines = statement.text.split("\n")
    for place in range(1, len(lines) + 1):
        try:
            cedarpy.policies_to_json_str("\n".join(lines[:place]))
        except ValueError as found:
            if str(found) != _TRUNCATED:
                return Fault(statement.line + place - 1, message)
    return Fault(statement.line + len(lines) - 1, message)


def _schema_line(statements: Sequence[Statement], message: str) -> int:
    """The last line that holds what the message is about: what is declared twice is found at the second place."""
    subject = message.rpartition(": ")[2].strip("`") if ": " in message else message.partition("`")[2].partition("`")[0]
    for statement in reversed(statements):
        place = statement.text.rfind(subject) if subject else -1
        if place >= 0:
            return statement.line + statement.text[:place].count("\n")
    return statements[-1].line if statements else 1
