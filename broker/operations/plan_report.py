"""Plans and outcomes as lines for people and as JSON for scripts."""

import json
from collections.abc import Iterable
from typing import Any

from broker.operations.plans import Action, Difference, Outcome, Plan
from broker.registry.config.base import Secret
from broker.registry.config.table import Problem
from broker.registry.values import printable

_MARKS = {Action.CREATE: "+", Action.CHANGE: "~", Action.RETIRE: "-"}


def plan_lines(plan: Plan) -> list[str]:
    """The difference, a line per party and a line per key, and a sum."""
    lines = [line for difference in plan.differences for line in _difference_lines(difference)]
    counts = {action: sum(one.action is action for one in plan.differences) for action in Action}
    if plan.differences:
        summary = ", ".join(f"{count} to {action}" for action, count in counts.items())
        lines.append(f"{summary}; {plan.checked} checked.")
    else:
        lines.append(f"Nothing to change: {plan.checked} checked.")
    return [*_note_lines(plan.notes), *lines]


def outcome_lines(outcome: Outcome) -> list[str]:
    """What was done, and the issued secrets."""
    plan = outcome.plan
    lines = [line for difference in plan.differences for line in _difference_lines(difference)]
    lines.append(f"{len(plan.differences)} changed of {plan.checked} checked.")
    for client_id, secret in outcome.secrets.items():
        lines.append(f"The secret of {client_id}, shown this once: {secret}")
    return [*_note_lines(outcome.notes), *lines]


def problem_lines(path: str, problems: Iterable[Problem]) -> list[str]:
    """`file:line: path: text`, a line per problem."""
    return [f"{path}:{one.line}: {f'{one.path}: ' if one.path else ''}{_one_line(one.text)}" for one in problems]


def plan_json(plan: Plan) -> dict[str, Any]:
    """The plan as JSON. No secret is in it."""
    return {
        "checked": plan.checked,
        "changed": len(plan.differences),
        "differences": [
            {
                "action": str(one.action),
                "section": one.section,
                "key": one.key,
                "line": one.line or None,
                "changes": {
                    name: {"before": _shown(before), "after": _shown(after)}
                    for name, (before, after) in one.changes.items()
                },
            }
            for one in plan.differences
        ],
        "notes": list(plan.notes),
    }


def outcome_json(outcome: Outcome) -> dict[str, Any]:
    """The outcome as JSON, with the issued secrets."""
    return plan_json(outcome.plan) | {"notes": list(outcome.notes), "secrets": outcome.secrets}


def problems_json(path: str, problems: Iterable[Problem]) -> dict[str, Any]:
    """The problems as JSON."""
    return {"problems": [{"file": path, "line": one.line, "path": one.path, "text": one.text} for one in problems]}


def _difference_lines(difference: Difference) -> list[str]:
    lines = [f"{_MARKS[difference.action]} {difference.section}[{difference.key}]"]
    for name, (before, after) in difference.changes.items():
        shown = json.dumps(_shown(after), ensure_ascii=False)
        if difference.action is Action.CHANGE:
            shown = f"{json.dumps(_shown(before), ensure_ascii=False)} -> {shown}"
        lines.append(f"    {name}: {shown}")
    return lines


def _note_lines(notes: Iterable[str]) -> list[str]:
    return [f"Note: {_one_line(note)}" for note in notes]


def _shown(value: Any) -> Any:
    return "(secret)" if isinstance(value, Secret) else printable(value)


def _one_line(text: str) -> str:
    return " ".join(text.split())
