"""What carries rows of the kind `scim`: accounts and groups of one target, many at once.

settings.DELIVERY_HANDLERS names `HANDLER`. What an account should be is computed here, when it is sent. That one is
being created is committed before the request goes out: whoever goes on after a crash looks it up first (F7 of the
fault list), so that a person has one account.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.db import transaction
from django.utils import timezone

from broker import limits
from broker.actors import SYSTEM
from broker.delivery.enqueueing import NewDelivery, enqueue
from broker.delivery.handlers import Settle
from broker.delivery.models import Delivery, Priority
from broker.delivery.outcomes import Outcome, Pause, retry, skipped
from broker.directory.models import Membership, Person
from broker.events import catalogue
from broker.events.services import record
from provisioning.outbound.bulk import BulkJob, create_all, split
from provisioning.outbound.columns import write_columns
from provisioning.outbound.connectors.base import Connector, TargetError
from provisioning.outbound.connectors.scim import connector_for
from provisioning.outbound.crew import Ask, Crew, Ended
from provisioning.outbound.grouping import GroupDone, GroupJob, GroupWriter
from provisioning.outbound.models import RemoteAccount, RemoteGroup, Target
from provisioning.outbound.models.remote import GONE_STATES
from provisioning.outbound.outcomes import outcome_of
from provisioning.outbound.pace import pace_of
from provisioning.outbound.probing import probe
from provisioning.outbound.services import KIND, SWITCHED_OFF, assign_wanted, refresh_groups
from provisioning.outbound.taking import is_taken
from provisioning.outbound.wanted import wanted_accounts
from provisioning.outbound.writing import Done, Job, Writer

log = structlog.get_logger(__name__)
State = RemoteAccount.State
SETTLE_ROWS = 100
SETTLE_SECONDS = 0.5
"""What ended is settled in parts of so many rows, or after so long."""
SWITCHED_OFF_WAIT = timedelta(minutes=15)
"""How often a lane looks whether its target is switched on again; who switches it on wakes it at once."""
_NOTED = [
    "remote_id",
    "state",
    "begun_at",
    "was_adopted",
    "sent_digest",
    "sent_at",
    "read_digest",
    "read_active",
    "read_at",
    "answer_digest",
    "etag",
    "lied_at",
]
_BEGUN = ["state", "begun_at"]
_WANTED = ["aim", "wanted_digest", "wanted_active", "wanted_at", "wanted_version"]
AnyJob = Job | BulkJob | GroupJob
AnyDone = Done | GroupDone


class ScimHandler:
    """`broker.delivery.handlers.Handler` for accounts and groups."""

    batch = 500

    def deliver(self, lane: str, batch: Sequence[Delivery], settle: Settle) -> None:
        """See Handler."""
        target = Target.objects.filter(slug=lane.removeprefix("target:"), retired_at=None).first()
        if target is None:
            settle([(row, skipped("target.not_in_use")) for row in batch])
            return
        if not target.enabled:
            # The lane waits, and counts nothing: what is asked for meanwhile is not given up, but sent afterwards.
            pause = Pause(timezone.now() + SWITCHED_OFF_WAIT, SWITCHED_OFF)
            settle([(batch[0], retry("target.not_in_use", is_unanswered=False, lane=pause))])
            return
        try:
            if target.probed_at is None:
                probe(target, actor=SYSTEM)
            connector = connector_for(target)
        except TargetError as error:
            settle([(row, outcome_of(error, now=timezone.now())) for row in batch])
            return
        try:
            _Turn(target, connector, settle).carry(batch)
        finally:
            connector.close()


HANDLER = ScimHandler()


class _Turn:
    """One batch for one target."""

    def __init__(self, target: Target, connector: Connector, settle: Settle) -> None:
        self._target = target
        self._connector = connector
        self._settle = settle
        self._writer = Writer(connector, target.mapping, adoption=target.adoption)
        self._groups = GroupWriter(target, connector)

    def carry(self, batch: Sequence[Delivery]) -> None:
        people, groups, others = _sort(batch)
        if others:
            self._settle([(row, skipped("target.no_account")) for row in others])
        self._run(self._prepared_people(people))
        if groups and not self._settle.is_over:
            self._run(self._prepared_groups(groups))

    def _run(self, jobs: Sequence[AnyJob]) -> None:
        """Work through the jobs, settling what ended in parts."""
        crew = Crew[AnyJob, list[AnyDone]](
            self._target.max_connections,
            self._work,
            is_over=lambda: self._settle.is_over,
            pace=pace_of(self._target.pk),
        )
        ended: list[AnyDone] = []
        begun: set[int] = set()
        since = time.monotonic()
        for done in crew.results(jobs):
            ended += done
            begun.update(one.job.delivery.pk for one in done)
            is_urgent = any(one.outcome.lane is not None for one in done)
            if is_urgent or len(ended) >= SETTLE_ROWS or time.monotonic() - since > SETTLE_SECONDS:
                self._settle_part(ended)
                ended, since = [], time.monotonic()
        if ended:
            self._settle_part(ended)
        self._take_back([job for one in jobs for job in _people_in(one) if job.delivery.pk not in begun])

    def _take_back(self, jobs: Sequence[Job]) -> None:
        """Nothing was sent of these: they are as before, and not looked up as if something had been."""
        accounts = []
        for job in jobs:
            if job.account.state != job.before:
                job.account.state, job.account.begun_at = job.before, None
                accounts.append(job.account)
        if accounts:
            self._settle([], within=lambda: write_columns(accounts, _BEGUN))

    def _work(self, job: AnyJob, ask: Ask) -> list[AnyDone]:
        """In a thread of the crew: the network only."""

        def bring(one: Job) -> Done:
            return self._writer.bring(one, lambda there, person: ask(lambda: is_taken(self._target, there, person)))

        try:
            if isinstance(job, GroupJob):
                return [self._groups.bring(job, ask)]
            if isinstance(job, BulkJob):
                return list(create_all(job, self._connector, bring))
            return [bring(job)]
        except Ended:
            raise
        except Exception as error:
            log.exception("an account could not be brought in order", target=self._target.slug)
            return _broken(job, error)

    # Before

    def _prepared_people(self, rows: dict[UUID, Delivery]) -> list[AnyJob]:
        """The jobs, with what is wanted now; that an account is being created is committed before anything is sent."""
        if not rows:
            return []
        now = timezone.now()
        jobs: list[Job] = []
        begun: list[RemoteAccount] = []
        changed: list[RemoteAccount] = []
        missing: list[Delivery] = []
        with transaction.atomic():
            held = RemoteAccount.objects.select_for_update().filter(target=self._target, person__in=list(rows))
            accounts = {account.person_id: account for account in held.order_by("person_id")}
            people = list(Person.objects.filter(pk__in=accounts))
            wanted = wanted_accounts(self._target, people)
            for person_id, row in rows.items():
                account = accounts.get(person_id)
                if account is None:
                    missing.append(row)
                    continue
                was = (account.state, account.begun_at, account.wanted_version)
                has_changed = assign_wanted(account, wanted[person_id], now=now)
                is_known_absent = _is_known_absent(account)
                waits_until = _begin(account, now=now)
                jobs.append(Job(row, account, wanted[person_id], was[0], waits_until, is_known_absent))
                if has_changed or was[2] != account.wanted_version:
                    changed.append(account)
                elif was != (account.state, account.begun_at, account.wanted_version):
                    begun.append(account)
            write_columns(begun, _BEGUN)
            write_columns(changed, [*_BEGUN, *_WANTED])
        if missing:
            self._settle([(row, skipped("target.no_account")) for row in missing])
        return list(self._bundled(jobs))

    def _bundled(self, jobs: Sequence[Job]) -> Iterator[AnyJob]:
        """What an inventory showed to be missing goes by bulk, where the target proved that it can."""
        can = self._connector.capabilities
        creatable = [job for job in jobs if can.bulk and _can_be_bulk(job)]
        if len(creatable) < 2:
            yield from jobs
            return
        bundled = {id(job) for job in creatable}
        yield from (job for job in jobs if id(job) not in bundled)
        yield from split(creatable, can)

    def _prepared_groups(self, rows: dict[UUID, Delivery]) -> list[AnyJob]:
        with transaction.atomic():
            groups = {group.group_uid: group for group in refresh_groups(self._target, list(rows))}
        missing = [row for uid, row in rows.items() if uid not in groups]
        if missing:
            self._settle([(row, skipped("target.no_account")) for row in missing])
        return [GroupJob(rows[uid], group) for uid, group in groups.items()]

    # After

    def _settle_part(self, ended: Sequence[AnyDone]) -> None:
        outcomes = [(one.job.delivery, one.outcome) for one in ended]
        people = [one for one in ended if isinstance(one, Done)]
        groups = [one for one in ended if isinstance(one, GroupDone)]

        def within() -> None:
            self._note_people(people)
            self._note_groups(groups)

        self._settle(outcomes, within=within)

    def _note_people(self, ended: Sequence[Done]) -> None:
        arrived: list[UUID] = []
        for done in ended:
            account = done.job.account
            was_there = account.state == State.PRESENT
            for column, value in done.noted.items():
                setattr(account, column, value)
            account.was_adopted = account.was_adopted or done.was_adopted
            if account.state == State.PRESENT and not was_there:
                arrived.append(account.person_id)
            if done.was_adopted and done.noted.get("remote_id"):
                self._record(catalogue.ACCOUNT_ADOPTED, done)
            if done.has_lied:
                self._record(catalogue.TARGET_LIED, done, code="target.lied")
        write_columns([done.job.account for done in ended if done.noted], _NOTED)
        if arrived:
            self._wake_groups(arrived)

    def _record(self, event: catalogue.EventType, done: Done, *, code: str = "") -> None:
        record(
            event,
            actor=SYSTEM,
            subject=("person", done.job.account.person_id),
            application=self._target.application.slug,
            code=code,
            target=self._target.slug,
            delivery=done.job.delivery.pk,
        )

    def _note_groups(self, ended: Sequence[GroupDone]) -> None:
        for done in ended:
            group = done.job.group
            for column, value in done.noted.items():
                setattr(group, column, value)
            group.was_adopted = group.was_adopted or done.was_adopted
            if done.noted:
                group.save(update_fields=[*done.noted, "was_adopted"])

    def _wake_groups(self, person_ids: Sequence[UUID]) -> None:
        """Groups that waited for these accounts go on at once."""
        if self._target.group_strategy == Target.GroupStrategy.NONE:
            return
        waiting = RemoteGroup.objects.filter(target=self._target, awaited_members__gt=0)
        uids = list(waiting.values_list("group_uid", flat=True))
        if not uids:
            return
        memberships = Membership.objects.filter(group__uid__in=uids, person__in=person_ids)
        woken = set(memberships.values_list("group__uid", flat=True))
        rows = [
            NewDelivery(
                lane=self._target.lane, subject=f"group:{uid}", priority=Priority.NORMAL, title="Complete the group"
            )
            for uid in woken
        ]
        if rows:
            enqueue(KIND, rows, actor=SYSTEM)


@dataclass(slots=True)
class _Sorted:
    people: dict[UUID, Delivery] = field(default_factory=dict)
    groups: dict[UUID, Delivery] = field(default_factory=dict)
    others: list[Delivery] = field(default_factory=list)


def _sort(batch: Sequence[Delivery]) -> tuple[dict[UUID, Delivery], dict[UUID, Delivery], list[Delivery]]:
    """By what their subjects name."""
    found = _Sorted()
    for row in batch:
        kind, _, named = row.subject.partition(":")
        place = {"person": found.people, "group": found.groups}.get(kind)
        try:
            uid = UUID(named)
        except ValueError:
            place = None
        if place is None:
            found.others.append(row)
        else:
            place[uid] = row
    return found.people, found.groups, found.others


def _is_known_absent(account: RemoteAccount) -> bool:
    """Whether an inventory, begun after the account was wanted, did not show it."""
    return account.state == State.ABSENT and account.read_at is not None and account.read_at >= account.wanted_at


def _begin(account: RemoteAccount, *, now: datetime) -> datetime | None:
    """Note that it is being created, where it will be. Returns until when an earlier attempt may still take effect."""
    if account.aim != RemoteAccount.Aim.PRESENT or (account.remote_id and account.state not in GONE_STATES):
        return None
    if account.state == State.CREATING and account.begun_at is not None:
        waited = (
            limits.TARGET_PATIENCE * limits.TARGET_ASKED_AGAIN
        )  # where the target asked for it, before the exchange
        until = account.begun_at + waited + timedelta(seconds=limits.TARGET_EXCHANGE_SECONDS)
        if until > now:
            return until
    account.state, account.begun_at = State.CREATING, now
    return None


def _people_in(job: AnyJob) -> Sequence[Job]:
    if isinstance(job, BulkJob):
        return job.jobs
    return [] if isinstance(job, GroupJob) else [job]


def _can_be_bulk(job: Job) -> bool:
    is_wanted = job.wanted.aim == RemoteAccount.Aim.PRESENT and not job.wanted.fault
    return is_wanted and job.is_known_absent and not job.was_begun


def _broken(job: AnyJob, error: Exception) -> list[AnyDone]:
    outcome: Outcome = retry("delivery.broken", type(error).__name__, is_unanswered=False)
    if isinstance(job, GroupJob):
        return [GroupDone(job, outcome)]
    return [Done(one, outcome) for one in _people_in(job)]
