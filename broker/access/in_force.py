"""The policy set in force, compiled once per process and set, followed through the registry's version."""

import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import structlog

from broker import limits
from broker.access.builtin import SLUG, builtin_source
from broker.access.models import PolicySet, PolicyVersion
from broker.access.policy import CompiledSet, Rule, compile_rules, read_rules
from broker.access.source import BadPolicy
from broker.registry.cache import parties

log = structlog.get_logger(__name__)
VERSIONS_REMEMBERED = 3_000
Members = Mapping[str, str]
"""{id of a version, as JSON has it: its digest}"""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A version that is tried: the set as it would be with it in the place of its policy's active one."""

    version_id: int
    compiled: CompiledSet


@dataclass(frozen=True, slots=True)
class InForce:
    """What judges questions now."""

    policy_set: PolicySet
    compiled: CompiledSet
    candidates: tuple[Candidate, ...]
    fault: str = ""
    """Why the set cannot be asked; then everything is denied."""


def policies_in_force() -> InForce:
    """The set in force. Every process sees a new one within `limits.REGISTRY_POLL_INTERVAL`."""
    return _memory.of(parties.get(("policy_set",), _latest))


def compile_set(policy_set: PolicySet) -> CompiledSet:
    """A set, of now or of before, from what is stored of it alone."""
    builtin = read_rules(policy_set.builtin, policy=SLUG)
    return compile_rules([*builtin, *rules_of(policy_set.members)], number=policy_set.number)


def rules_of(members: Members) -> list[Rule]:
    """The rules of these versions, in the order of their ids."""
    read = _rules.of(members)
    return [rule for version_id in sorted(read, key=int) for rule in read[version_id]]


def candidate_members(members: Members, version: PolicyVersion) -> dict[str, str]:
    """The members of the set as it would be with `version` in force."""
    siblings = {str(pk) for pk in version.policy.versions.values_list("pk", flat=True)}
    others = {version_id: digest for version_id, digest in members.items() if version_id not in siblings}
    return {**others, str(version.pk): version.digest}


def compile_candidate(policy_set: PolicySet, version: PolicyVersion) -> CompiledSet:
    """The set as it would be with `version` in force, its built-in rules included."""
    members = candidate_members(policy_set.members, version)
    builtin = read_rules(builtin_source(rules_of(members)), policy=SLUG)
    return compile_rules([*builtin, *rules_of(members)], number=policy_set.number)


def latest_set() -> PolicySet:
    """The newest set as the database has it."""
    return _latest()


def _latest() -> PolicySet:
    # A new installation begins with a set of its own (migration 0001); only a database that was emptied has none.
    return PolicySet.objects.order_by("-number").first() or PolicySet(number=0, builtin=builtin_source(()))


class _Rules:
    """The rules of versions, by id and digest."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: OrderedDict[tuple[str, str], tuple[Rule, ...]] = OrderedDict()

    def of(self, members: Members) -> dict[str, tuple[Rule, ...]]:
        with self._lock:
            found = {key: self._held[key, digest] for key, digest in members.items() if (key, digest) in self._held}
        missing = [int(key) for key in members if key not in found]
        for version in PolicyVersion.objects.filter(pk__in=missing).select_related("policy"):
            found[str(version.pk)] = read_rules(version.source, policy=version.policy.slug)
        with self._lock:
            for key, rules in found.items():
                self._held[key, members[key]] = rules
            while len(self._held) > VERSIONS_REMEMBERED:
                self._held.popitem(last=False)
        return found


class _Memory:
    """The compiled set that was asked for last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: InForce | None = None

    def of(self, policy_set: PolicySet) -> InForce:
        held = self._held
        if held is None or not _are_alike(held.policy_set, policy_set):
            with self._lock:
                held = self._held
                if held is None or not _are_alike(held.policy_set, policy_set):
                    held = self._held = _compile(policy_set)
        return held


_rules = _Rules()
_memory = _Memory()


def _are_alike(one: PolicySet, other: PolicySet) -> bool:
    return all(getattr(one, name) == getattr(other, name) for name in ("number", "members", "candidates", "builtin"))


def _compile(policy_set: PolicySet) -> InForce:
    try:
        compiled = compile_set(policy_set)
    except BadPolicy as error:
        log.exception("policies", policy_set=policy_set.number)
        return InForce(policy_set, CompiledSet((), number=policy_set.number), (), fault=str(error))
    return InForce(policy_set, compiled, tuple(_candidates(policy_set)))


def _candidates(policy_set: PolicySet) -> Iterator[Candidate]:
    wanted = list(policy_set.candidates)[: limits.SHADOWS_PER_DECISION]
    versions = PolicyVersion.objects.filter(pk__in=wanted).select_related("policy") if wanted else ()
    for version in sorted(versions, key=lambda one: wanted.index(one.pk)):
        try:
            yield Candidate(version.pk, compile_candidate(policy_set, version))
        except BadPolicy:
            # What is only tried must not stand in the way of what is in force.
            log.exception("candidate", version=version.pk)
