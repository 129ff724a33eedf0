"""Runs, plans and drift in words for people, and as JSON for scripts."""

from collections.abc import Iterator, Mapping
from typing import Any

from django.db.models import Count

from broker.wording import in_words
from provisioning.outbound.models import Hold, Target
from provisioning.planning.models import Drift, Operation, Plan, Run
from provisioning.planning.scheduling import last_began

MARKS = {"create": "+", "adopt": "=", "update": "~", "disable": "-", "delete": "x", "none": "."}
UNTOLD = 200
"""Operations that are told one by one; the console shows them all."""


def run_json(run: Run) -> dict[str, Any]:
    """One run."""
    return {
        "run": run.pk,
        "target": run.target.slug,
        "purpose": run.purpose,
        "outcome": run.outcome,
        "code": run.code,
        "detail": run.detail,
        "began_at": run.began_at.isoformat(),
        "ended_at": run.ended_at.isoformat() if run.ended_at else None,
        "pages": run.pages,
        "accounts": run.accounts,
        "groups": run.groups,
        "checked": run.checked,
        "rejected": run.rejected,
        "rejected_count": run.rejected_count,
        "counts": run.counts,
    }


def run_lines(run: Run) -> Iterator[str]:
    """How a run ended, and what it counted."""
    counts = ", ".join(f"{number} {name.replace('_', ' ')}" for name, number in sorted(run.counts.items()))
    pages = f"{run.pages} {'page' if run.pages == 1 else 'pages'}"
    yield (
        f"{run.target.slug}: {run.get_outcome_display()}; {run.checked} checked, {run.accounts} accounts and "
        f"{run.groups} groups read on {pages}{f'; {counts}' if counts else ''}."
    )
    if run.code:
        yield f"  {run.code}: {run.detail}"
    for remote_id, reason in run.rejected[:10]:
        yield f"  not understood: {remote_id or 'a record without an id'}: {reason}"
    if run.rejected_count > min(10, len(run.rejected)):
        yield f"  {run.rejected_count} records were not understood in all."


def plan_json(plan: Plan) -> dict[str, Any]:
    """One plan with its operations."""
    return {
        "plan": plan.pk,
        "target": plan.target.slug,
        "state": plan.state,
        "counts": plan.counts,
        "hold": plan.hold,
        "run": run_json(plan.run),
        "operations": [
            {
                "action": one.action,
                "person": str(one.person_id) if one.person_id else None,
                "group": str(one.group_uid) if one.group_uid else None,
                "remote_id": one.remote_id,
                "title": one.title,
                "differences": one.differences,
                "state": one.state,
                "reason": one.reason,
            }
            for one in plan.operations.iterator()
        ],
    }


def plan_lines(plan: Plan) -> Iterator[str]:
    """Counts first, then each operation with what differs."""
    yield from run_lines(plan.run)
    yield f"  plan {plan.pk}: {plan.get_state_display()}"
    for one in plan.operations.all()[:UNTOLD]:
        reason = f" ({one.reason})" if one.reason else ""
        what = "group " if one.group_uid else ""
        yield f"  {MARKS[one.action]} {Operation.Action(one.action).label.lower()}: {what}{one.title}{reason}"
        for line in difference_lines(one.differences):
            yield f"      {line}"
    left = plan.operations.count() - UNTOLD
    if left > 0:
        yield f"  and {left} more: they are in the console and in --json."


def difference_lines(differences: Mapping[str, list[Any]]) -> Iterator[str]:
    """`attribute: as it is there -> as it shall be`."""
    for name, (there, ours) in differences.items():
        yield f"{name}: {_value(there)} -> {_value(ours)}"


def status_json(target: Target) -> dict[str, Any]:
    """How a target stands."""
    last = _last(target)
    began = last_began(target)
    return {
        "target": target.slug,
        "last_reconciliation": began.isoformat() if began else None,
        "outcome": last.outcome if last else None,
        "code": last.code if last else "",
        "checked": last.checked if last else 0,
        "drift": _drift(target),
        "held": _held(target),
    }


def status_line(target: Target) -> str:
    """The same in a line."""
    last, drift = _last(target), _drift(target)
    how = (
        f"{last.get_outcome_display()}, {last.checked} checked at {last.began_at:%Y-%m-%d %H:%M} UTC"
        if last
        else "never"
    )
    standing = ", ".join(f"{number} {kind}" for kind, number in drift.items()) or "none"
    held = _held(target)
    waits = f"; {held} disables and deletions wait for a second operator" if held else ""
    return f"{target.slug}: last reconciled: {how}; drift: {standing}{waits}"


def status_code(target: Target) -> int:
    """0: all is as it should be, 2: something differs or waits, 1: nobody knows."""
    last = _last(target)
    if last is None or last.outcome in (Run.Outcome.INCOMPLETE, Run.Outcome.NOTHING_CHECKED):
        return 1
    return 2 if _drift(target) or _held(target) else 0


def _last(target: Target) -> Run | None:
    return Run.objects.filter(target=target, purpose=Run.Purpose.RECONCILE).exclude(ended_at=None).first()


def _drift(target: Target) -> dict[str, int]:
    standing = Drift.objects.filter(target=target, repaired_at=None).order_by("kind").values_list("kind")
    return dict(standing.annotate(number=Count("pk")))


def _held(target: Target) -> int:
    holds = Hold.objects.filter(target=target, state__in=(Hold.State.OPEN, Hold.State.ASKED))
    return sum(holds.values_list("count", flat=True))


def _value(value: Any) -> str:
    match value:
        case None | "":
            return "nothing"
        case list():
            return ", ".join(_value(one.get("value") if isinstance(one, dict) else one) for one in value) or "nothing"
    return in_words(value)
