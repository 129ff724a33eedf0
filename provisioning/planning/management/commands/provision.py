"""`manage.py provision`: plan, apply, reconcile targets, and say how they stand."""

import json
import sys
import time
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Callable
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from broker.actors import SYSTEM, Actor, ActorKind
from broker.approvals.checks import RIGHT
from broker.approvals.humans import operator_behind
from broker.errors import BrokerError
from provisioning.outbound.models import Target
from provisioning.planning import telling
from provisioning.planning.applying import apply_plan
from provisioning.planning.models import Operation, Plan, Run
from provisioning.planning.runs import LeaseLost
from provisioning.planning.scheduling import make_plan, reconcile

OK, FAILED, DIFFERS = 0, 1, 2
SECONDS_BETWEEN_LINES = 1.0
EPILOG = """\
exit status:
  0  nothing differs; with --apply: everything was handed over
  2  something differs; with --apply: a part waits for a second operator
  1  a target could not be read wholly, was not there to be read, or an argument is wrong

With several targets the worst counts: 1 before 2 before 0.
A plan is read from the target at the time, and sends nothing. --apply hands the latest plan to the ledger; what
closes or deletes more accounts than the target's breaker lets go waits until a second operator releases it in the
console. --reconcile reads the target back, keeps what differs as drift and sends again what is ours, as the target's
watch allows; accounts that nobody of ours explains are told of and never touched.
"""


class Command(BaseCommand):
    """Output goes to standard output, progress to standard error."""

    help = "Show what is to be done at targets, do it, or read them back and tell what differs."
    requires_system_checks: list[str] = []

    def create_parser(self, *args: Any, **options: Any) -> Any:
        return super().create_parser(*args, formatter_class=RawDescriptionHelpFormatter, epilog=EPILOG, **options)

    def add_arguments(self, parser: ArgumentParser) -> None:
        what = parser.add_mutually_exclusive_group(required=True)
        what.add_argument(
            "--plan", action="store_true", help="read the target and show what would be done; send nothing"
        )
        what.add_argument("--apply", action="store_true", help="carry out the latest plan of the target")
        what.add_argument("--reconcile", action="store_true", help="read the target back, tell and repair what differs")
        what.add_argument("--status", action="store_true", help="say how the targets stood when they were last read")
        parser.add_argument(
            "--target", action="append", metavar="SLUG", help="this target only (repeatable; default: all in use)"
        )
        parser.add_argument("--operator", metavar="EMAIL", help="the operator who answers for it (default: the system)")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        targets = _targets(options["target"])
        actor = _actor(options["operator"])
        name = next(one for one in ("plan", "apply", "reconcile", "status") if options[one])
        work: Callable[[Target, Actor], tuple[int, Any, list[str]]] = getattr(self, f"_{name}")
        told: list[Any] = []
        codes: list[int] = []
        for target in targets:
            try:
                code, as_json, lines = work(target, actor)
            except (BrokerError, LeaseLost) as error:
                code, as_json, lines = FAILED, _failure_json(target, error), [_failure_line(target, error)]
            codes.append(code)
            told.append(as_json)
            if not options["json"]:
                for line in lines:
                    (self.stderr if code == FAILED else self.stdout).write(line)
        if options["json"]:
            self.stdout.write(json.dumps({"targets": told}, ensure_ascii=False, default=str))
        elif not targets:
            self.stderr.write("There is no target in use, so nothing was checked.")
        code = FAILED if FAILED in codes or not targets else max(codes)
        if code:
            sys.exit(code)

    def _plan(self, target: Target, actor: Actor) -> tuple[int, Any, list[str]]:
        plan = make_plan(target, actor=actor, tell=Progress(self.stderr))
        plan.run.target = plan.target = target
        code = _code(plan.run)
        return code, telling.plan_json(plan), list(telling.plan_lines(plan))

    def _apply(self, target: Target, actor: Actor) -> tuple[int, Any, list[str]]:
        plan = Plan.objects.filter(target=target).select_related("run").first()
        if plan is None:
            raise CommandError(f"{target.slug} has no plan: make one with --plan, and read it.")
        total = plan.operations.filter(state=Operation.State.PLANNED).count()
        progress = Progress(self.stderr)
        plan = apply_plan(
            plan, actor=actor, tell=lambda _, done: progress.line(f"{target.slug}: {done} of {total} handed over")
        )
        sent = plan.operations.filter(state=Operation.State.ENQUEUED).count()
        held = plan.operations.filter(state=Operation.State.HELD).count()
        lines = [f"{target.slug}: plan {plan.pk} is applied: {sent} operations handed to the ledger."]
        if held:
            lines.append(f"  {held} more wait under {plan.hold} until a second operator releases them.")
        told = {"target": target.slug, "plan": plan.pk, "sent": sent, "held": held, "hold": plan.hold}
        return DIFFERS if held else OK, told, lines

    def _reconcile(self, target: Target, actor: Actor) -> tuple[int, Any, list[str]]:
        run = reconcile(target, actor=actor, tell=Progress(self.stderr))
        run.target = target
        return _code(run), telling.run_json(run), list(telling.run_lines(run))

    def _status(self, target: Target, actor: Actor) -> tuple[int, Any, list[str]]:  # noqa: ARG002 - as the others
        return telling.status_code(target), telling.status_json(target), [telling.status_line(target)]


class Progress:
    """A line now and then while a run reads."""

    def __init__(self, out: Any) -> None:
        self.out = out
        self.next_at = time.monotonic() + SECONDS_BETWEEN_LINES

    def __call__(self, run: Run) -> None:
        of_all = f" of {run.accounts_told}" if run.accounts_told else ""
        stage = Run.Stage(run.stage).label
        self.line(f"{run.target.slug}: {stage}: {run.accounts}{of_all} accounts, {run.groups} groups read")

    def line(self, text: str) -> None:
        """Say it, unless something was said just now."""
        if time.monotonic() >= self.next_at:
            self.next_at = time.monotonic() + SECONDS_BETWEEN_LINES
            self.out.write(text)


def _targets(slugs: list[str] | None) -> list[Target]:
    known = Target.objects.filter(retired_at=None).select_related("application")
    if slugs is None:
        return list(known.filter(enabled=True).order_by("slug"))
    found = {target.slug: target for target in known.filter(slug__in=slugs)}
    missing = [slug for slug in slugs if slug not in found]
    if missing:
        raise CommandError(f"there is no target {', '.join(missing)}")
    return [found[slug] for slug in dict.fromkeys(slugs)]


def _actor(email: str | None) -> Actor:
    if email is None:
        return SYSTEM
    actor = Actor(ActorKind.OPERATOR, email.strip().lower())
    try:
        may = operator_behind(actor).has_perm(RIGHT)
    except BrokerError:
        may = False
    if not may:
        raise CommandError(f"{email} is not an active operator who may change anything")
    return actor


def _code(run: Run) -> int:
    return {Run.Outcome.OK: OK, Run.Outcome.DRIFT: DIFFERS}.get(Run.Outcome(run.outcome), FAILED)


def _failure_json(target: Target, error: BrokerError | LeaseLost) -> dict[str, Any]:
    if isinstance(error, BrokerError):
        return {"target": target.slug, "error": error.code, "detail": error.actual or error.detail}
    return {"target": target.slug, "error": "run.abandoned", "detail": "another process works on this run"}


def _failure_line(target: Target, error: BrokerError | LeaseLost) -> str:
    if isinstance(error, BrokerError):
        return f"{target.slug}: {error.code}: {error.refusal.meaning} {error.refusal.remedy} {error.actual}".rstrip()
    return f"{target.slug}: another process works on this run."
