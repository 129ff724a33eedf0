"""A run over one target: who may begin it, how it goes on after a kill, and how it ends.

Pages are read into the stage one transaction each, with the place of the next, so that a run goes on where its process
ended. The comparison is one transaction. Each write is fenced by the lease: whoever lost it writes nothing.
"""

import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import DatabaseError, IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from broker import limits
from broker.actors import Actor
from broker.delivery.waiting import WAITING, asked_pause
from broker.errors import BrokerError
from provisioning.outbound.connectors.base import WAIT_WITHOUT_WORD, Connector, Page, TargetError
from provisioning.outbound.connectors.scim import connector_for
from provisioning.outbound.models import RemoteGroup, Target
from provisioning.planning.concluding import conclude, end_incomplete
from provisioning.planning.models import Run
from provisioning.planning.noting import standing
from provisioning.planning.staging import (
    allow_long_statements,
    clear_stage,
    stage_accounts,
    stage_groups,
    stage_unreadable,
    survey_stage,
)
from provisioning.planning.wanting import bring_up_to_date

log = structlog.get_logger(__name__)
Stage = Run.Stage
UNANSWERED = ("target.unreachable", "target.timeout", "target.cut")
Tell = Callable[[Run], None]


class LeaseLost(Exception):
    """Another process works on this run, or it was replaced: nothing of what this one did last was written."""


def start_run(target: Target, *, purpose: Run.Purpose, actor: Actor) -> Run:
    """Begin a run. Raises BrokerError: run.target_idle, run.under_way while another of this target is at work.

    One whose process was killed is replaced once its lease lapsed.
    """
    if not target.is_in_use:
        raise BrokerError("run.target_idle", actual=target.slug)
    now = timezone.now()
    try:
        with transaction.atomic():
            for older in Run.objects.select_for_update().filter(target=target, ended_at=None):
                if now < older.lease_until:
                    raise BrokerError("run.under_way", actual=f"run {older.pk} since {older.began_at:%H:%M:%S}")
                end_incomplete(older, BrokerError("run.abandoned", detail="its process ended"), actor=actor)
            return Run.objects.create(
                target=target,
                purpose=purpose,
                started_by=f"{actor.kind}:{actor.identifier}"[:200],
                trace_id=actor.trace_id,
                began_at=now,
                lease_until=now + limits.RUN_LEASE,
                known=standing(target),
            )
    except IntegrityError as error:
        raise BrokerError("run.under_way", actual="begun at the same moment") from error


def unfinished_run(target: Target) -> Run | None:
    """The run of this target that has not ended."""
    return Run.objects.filter(target=target, ended_at=None).first()


def work_on(run: Run, *, actor: Actor, until: datetime | None = None, tell: Tell | None = None) -> Run:
    """Carry the run on, to its end or until about `until`; `tell` is called after each page.

    What the target does wrong ends the run as incomplete. Raises LeaseLost, and what is our own fault after noting it.
    """
    run = _take(run)
    try:
        _advance(run, actor=actor, until=until, tell=tell or _tell_nobody)
    except BrokerError as error:
        _end(run, error, actor=actor)
    except (LeaseLost, DatabaseError):
        raise
    except Exception:
        _end(run, BrokerError("run.failed"), actor=actor)
        raise
    run.refresh_from_db()
    return run


def _tell_nobody(run: Run) -> None:
    """Nobody watches."""


def _advance(run: Run, *, actor: Actor, until: datetime | None, tell: Tell) -> None:
    target = Target.objects.select_related("application").get(pk=run.target_id)
    while True:
        if run.stage == Stage.WANTED:
            for _ in bring_up_to_date(target):
                _save(run)
            _save(run, stage=Stage.ACCOUNTS)
        elif run.stage in (Stage.ACCOUNTS, Stage.GROUPS):
            if not _read(run, target, until=until, tell=tell):
                _save(run, lease="")
                return
        elif run.stage == Stage.COMPARING:
            _save(run, lasts=limits.RUN_COMPARE_LEASE)
            survey_stage()
            with transaction.atomic():
                allow_long_statements()
                _save(run, lasts=limits.RUN_COMPARE_LEASE)
                conclude(run, target, actor=actor)
        tell(run)
        if run.stage == Stage.ENDED:
            return


def _read(run: Run, target: Target, *, until: datetime | None, tell: Tell) -> bool:
    """Read the pages of one kind from where the run stands. Returns whether they are through."""
    with connector_for(target) as connector:
        failures = 0
        while True:
            try:
                for page in _pages(connector, run):
                    failures = 0
                    _stage_page(run, target, _with_members(connector, run, page))
                    tell(run)
                    if page.after and until is not None and timezone.now() >= until:
                        return False
            except TargetError as error:
                failures += 1
                if _is_place_lost(run, error):
                    _begin_anew(run)
                elif not is_passing(error) or failures > limits.RUN_PAGE_FAILURES:
                    raise
                elif not _wait(run, error, failures=failures, until=until):
                    return False
            else:
                return True


def is_passing(error: TargetError) -> bool:
    """Whether the same question may be answered a little later."""
    if error.http_status is None:
        return error.code in UNANSWERED
    return error.http_status in WAITING or error.http_status >= 500


def _is_place_lost(run: Run, error: TargetError) -> bool:
    """The target no longer knows where the run stands among its pages (RFC 9865 section 2.1, expiredCursor)."""
    is_refused = error.http_status in (400, 410)
    return is_refused and bool(run.position) and run.restarts < limits.RUN_RESTARTS


def _wait(run: Run, error: TargetError, *, failures: int, until: datetime | None) -> bool:
    """Wait as the target asks. Returns False where that is too long to keep a worker: the run is taken up later."""
    now = timezone.now()
    asked = asked_pause(error.http_status or 0, error.headers, now=now)
    resume_at = asked.until if asked is not None else now + failures * WAIT_WITHOUT_WORD
    if until is not None and resume_at > min(until, now + limits.RUN_WAIT):
        _save(run, resume_at=resume_at)
        return False
    _save(run, lasts=limits.RUN_LEASE + (resume_at - now))
    time.sleep(max((resume_at - now).total_seconds(), 0))
    return True


def _pages(connector: Connector, run: Run) -> Iterator[Page]:
    read = connector.pages_of_users if run.stage == Stage.ACCOUNTS else connector.pages_of_groups
    return read(after=run.position)


def _with_members(connector: Connector, run: Run, page: Page) -> Page:
    """Of groups that we keep and whose list shows no members, the groups themselves: lists may leave members out."""
    if run.stage != Stage.GROUPS:
        return page
    ids = [group.remote_id for group in page.rows if not group.members]
    kept = set(RemoteGroup.objects.filter(target=run.target_id, remote_id__in=ids).values_list("remote_id", flat=True))
    rows = [connector.read_group(one.remote_id) or one if one.remote_id in kept else one for one in page.rows]
    return replace(page, rows=rows)


def _stage_page(run: Run, target: Target, page: Page) -> None:
    is_accounts = run.stage == Stage.ACCOUNTS
    check_page_goes_on(run, page)
    check_total_holds(run, page, told=run.accounts_told if is_accounts else run.groups_told)
    now, read = timezone.now(), len(page.rows) + len(page.rejected)
    rejected = [list(one) for one in page.rejected]
    changes: dict[str, Any] = {
        "position": page.after,
        "pages": run.pages + 1,
        "rejected": [*run.rejected, *rejected][: limits.RUN_REJECTED],
        "rejected_count": run.rejected_count + len(rejected),
    }
    if is_accounts:
        changes |= {"accounts": run.accounts + read, "accounts_told": page.total}
        keeps_groups = target.group_strategy != Target.GroupStrategy.NONE
        following = Stage.GROUPS if keeps_groups else Stage.COMPARING
    else:
        changes |= {"groups": run.groups + read, "groups_told": page.total}
        following = Stage.COMPARING
    if not page.after:
        changes["stage"] = following
    with transaction.atomic():
        if is_accounts:
            stage_accounts(run, target, page.rows, read_at=now)
            stage_unreadable(run, [remote_id for remote_id, _ in page.rejected if remote_id], read_at=now)
        else:
            stage_groups(run, page.rows, read_at=now)
        _save(run, **changes)


def check_page_goes_on(run: Run, page: Page) -> None:
    """A page that is not the last leads to another place than the one before, and holds something."""
    if page.after and (page.after == run.position or not (page.rows or page.rejected)):
        raise BrokerError("inventory.truncated", expected="a page that leads on", actual=f"page {run.pages + 1}")


def check_total_holds(run: Run, page: Page, *, told: int | None) -> None:
    """What the target says it has did not shrink while it was read."""
    if told is not None and page.total is not None and page.total < told:
        raise BrokerError(
            "inventory.truncated",
            detail=f"page {run.pages + 1}",
            expected=f"{told} in all, as before",
            actual=f"{page.total} in all",
        )


def _begin_anew(run: Run) -> None:
    """The place among the pages is no longer known, so nothing that was read counts."""
    with transaction.atomic():
        _save(
            run,
            stage=Stage.ACCOUNTS,
            position="",
            restarts=run.restarts + 1,
            accounts=0,
            accounts_told=None,
            groups=0,
            groups_told=None,
            rejected=[],
            rejected_count=0,
        )
        clear_stage(run)


def _take(run: Run) -> Run:
    """The run with a lease of our own. Raises LeaseLost when it is another's or over."""
    now, lease = timezone.now(), secrets.token_hex(16)
    free = Run.objects.filter(Q(lease="") | Q(lease_until__lte=now), pk=run.pk, ended_at=None)
    if not free.update(lease=lease, lease_until=now + limits.RUN_LEASE, resume_at=None):
        raise LeaseLost
    return Run.objects.get(pk=run.pk)


def _save(run: Run, *, lasts: timedelta = limits.RUN_LEASE, **changes: Any) -> None:
    """Write these columns and prolong the lease. Raises LeaseLost when it is another's by now."""
    changes["lease_until"] = timezone.now() + lasts
    mine = Run.objects.filter(pk=run.pk, lease=run.lease, ended_at=None)
    if not mine.update(**changes):
        raise LeaseLost
    for name, value in changes.items():
        setattr(run, name, value)


def _end(run: Run, error: BrokerError, *, actor: Actor) -> None:
    with transaction.atomic():
        _save(run)
        end_incomplete(run, error, actor=actor)
