"""Judging an application by its own log: what was wanted there, what is there, and what happened on the way.

Nothing here reads the product's tables. `expected` comes from whoever played the source; all else from the log.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.scim_target.effects import replay

Effect = Mapping[str, Any]
SHOWN = 8
"""Names that a finding prints; the rest is a number."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """An account as the source left it; of a closed one nothing else has to follow.

    `stamps`: every value of `title` that it ever had, in order, each once.
    """

    user_name: str
    active: bool
    stamps: tuple[str, ...]


@dataclass(slots=True)
class Comparison:
    """What was found; `findings` is empty for an application that is as it should be and came there in order."""

    compared: int = 0
    accounts: int = 0
    members: int = 0
    effects: int = 0
    findings: dict[str, list[str]] = field(default_factory=dict)

    @property
    def is_good(self) -> bool:
        return self.compared > 0 and not self.findings

    def find(self, kind: str, name: str) -> None:
        self.findings.setdefault(kind, []).append(name)

    def table(self, title: str) -> str:
        """A few lines for people."""
        lines = [
            f"{title}",
            f"  {'people compared':<34}{self.compared:>8}",
            f"  {'accounts in the target':<34}{self.accounts:>8}",
            f"  {'group memberships compared':<34}{self.members:>8}",
            f"  {'effects in its log':<34}{self.effects:>8}",
        ]
        for kind in KINDS:
            names = self.findings.get(kind, [])
            shown = f"  {', '.join(names[:SHOWN])}{' …' if len(names) > SHOWN else ''}" if names else ""
            lines.append(f"  {kind:<34}{len(names):>8}{shown}")
        if not self.compared:
            lines.append("  NOTHING WAS COMPARED, which is a failure")
        return "\n".join(lines)


MISSING = "missing"
DOUBLED = "doubled (accounts)"
CREATED_TWICE = "created more than once"
UNKNOWN = "accounts nobody asked for"
DIFFERENT = "different from the source"
OVERTAKEN = "a newer state overtaken by an older"
ENABLED_AFTER = "enabled after a later disable"
MEMBERS = "members different from the source"
GROUP_LOST = "groups missing or doubled"
KINDS = (
    MISSING, DOUBLED, CREATED_TWICE, UNKNOWN, DIFFERENT, OVERTAKEN, ENABLED_AFTER, MEMBERS, GROUP_LOST
)  # fmt: skip


def compare(
    expected: Mapping[str, Wanted],
    effects: Sequence[Effect],
    *,
    groups: Mapping[str, Iterable[str]] | None = None,
    recreated: bool = False,
) -> Comparison:
    """Judge one application.

    `expected`: {externalId: Wanted} of all who shall have an account, `groups`: {displayName: externalIds of its
    members}. `recreated` allows an account that was deleted to be made again.
    """
    comparison = Comparison(effects=len(effects))
    state = replay([dict(effect) for effect in effects])
    accounts: dict[str, list[dict[str, Any]]] = {}
    for document in state["User"].values():
        accounts.setdefault(str(document.get("externalId")), []).append(document)
    comparison.accounts = len(state["User"])
    made = {effect["document"].get("externalId") for effect in effects if effect["act"] == "create"}
    for external_id, wanted in expected.items():
        comparison.compared += 1
        held = accounts.get(external_id, [])
        if not held and not wanted.active and external_id not in made:
            continue  # who was closed before the account was made needs none
        if not held:
            comparison.find(MISSING, external_id)
        elif len(held) > 1:
            comparison.find(DOUBLED, external_id)
        elif (difference := _difference(wanted, held[0])) is not None:
            comparison.find(DIFFERENT, f"{external_id} ({difference})")
    for external_id in accounts.keys() - expected.keys():
        comparison.find(UNKNOWN, external_id)
    _judge_history(comparison, expected, effects, recreated=recreated)
    if groups is not None:
        _judge_groups(comparison, groups, state)
    return comparison


def _difference(wanted: Wanted, document: Mapping[str, Any]) -> str | None:
    if not wanted.active:
        return json.dumps({"want": "closed", "have": "active"}) if document.get("active", True) else None
    have = (document.get("userName"), document.get("active", True), document.get("title"))
    want = (wanted.user_name, wanted.active, wanted.stamps[-1] if wanted.stamps else document.get("title"))
    return None if have == want else json.dumps({"want": want, "have": have})


def _judge_history(
    comparison: Comparison, expected: Mapping[str, Wanted], effects: Sequence[Effect], *, recreated: bool
) -> None:
    """Each account made once, and each of its states followed only by newer ones."""
    creates: Counter[str] = Counter()
    newest: dict[str, int] = {}
    disabled: dict[str, int] = {}
    for effect in effects:
        if effect["type"] != "User" or effect["by"] != "client" or effect["act"] in ("delete", "lie"):
            if recreated and effect["act"] == "delete":
                creates.pop(str(effect["document"].get("externalId")), None)
            continue
        document = effect["document"]
        external_id = str(document.get("externalId"))
        creates[external_id] += effect["act"] == "create"
        wanted = expected.get(external_id)
        stamp = str(document.get("title"))
        if wanted is None or stamp not in wanted.stamps:
            continue
        age = wanted.stamps.index(stamp)
        if age < newest.get(external_id, 0):
            comparison.find(OVERTAKEN, external_id)
            if document.get("active", True) and age < disabled.get(external_id, -1):
                comparison.find(ENABLED_AFTER, external_id)
        newest[external_id] = max(age, newest.get(external_id, 0))
        if not document.get("active", True):
            disabled[external_id] = age
    for external_id, number in creates.items():
        if number > 1:
            comparison.find(CREATED_TWICE, f"{external_id} ({number} times)")


def _judge_groups(
    comparison: Comparison, groups: Mapping[str, Iterable[str]], state: Mapping[str, Mapping[str, dict[str, Any]]]
) -> None:
    external = {remote: str(document.get("externalId")) for remote, document in state["User"].items()}
    for name, people in groups.items():
        held = [document for document in state["Group"].values() if document.get("displayName") == name]
        if len(held) != 1:
            comparison.find(GROUP_LOST, f"{name} ({len(held)} of it)")
            continue
        want = set(people)
        have = [external.get(member["value"], member["value"]) for member in held[0].get("members", ())]
        comparison.members += len(want)
        for difference in sorted(want.symmetric_difference(have)):
            comparison.find(MEMBERS, f"{name}: {'-' if difference in want else '+'}{difference}")
