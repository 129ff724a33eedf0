"""Accounts at targets: how soon, how fast, and how much for little: `python -m bench.provisioning [PART …]`.

One installation of our own: PostgreSQL that writes durably, Redis, and, where processes are told of, the web server and
a worker as the image starts it. Targets are the suite's applications, each a process of its own. A queue of deliveries
that is worked off here is worked off by one process, as one worker does it.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from typing import Any
from uuid import UUID, uuid4

from bench.satosa import processor_seconds

ROOT = Path(__file__).resolve().parent.parent
USER = "urn:ietf:params:scim:schemas:core:2.0:User"
LATENCY_MS = 50
CONNECTIONS = 64
TARGETS = 10
MIB = 1024


@dataclass(frozen=True, slots=True)
class Size:
    """How much of everything."""

    leavers: int
    urgent: int
    busy: int
    """People of the full sync under which the urgent ones leave."""
    sent: int
    alone: int
    """People sent one after the other; the rest of them is reckoned."""
    pages_a_second: int
    compared: int


FULL = Size(leavers=8, urgent=30, busy=6_000, sent=10_000, alone=60, pages_a_second=5, compared=100_000)
QUICK = Size(leavers=2, urgent=4, busy=600, sent=600, alone=10, pages_a_second=1, compared=5_000)
WITH_PROCESSES = ("leaver", "urgent")
PARTS = (*WITH_PROCESSES, "sending", "difference")


def main(parts: Sequence[str] = PARTS, *, is_quick: bool = False) -> None:
    """Print the figures. A process of its own, which the settings tell of this installation and no other."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("BROKER_", "DJANGO_"))}
    command = [sys.executable, "-m", "bench.provisioning", "quick" if is_quick else "full", *parts]
    subprocess.run(command, check=True, cwd=ROOT, env=kept)


def measure(size: Size, parts: Sequence[str]) -> None:
    """Everything in one installation, the parts with real processes first."""
    from bench.satosa_ours import DurablePostgreSQL
    from tests.faults.world import World

    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # it is a file's, or a terminal's
    with tempfile.TemporaryDirectory() as name, ExitStack() as exits:
        folder = Path(name)
        world = exits.enter_context(World(folder, database=DurablePostgreSQL))
        world.become_product()
        every = Parts(folder, world, exits, size)
        if set(parts) & set(WITH_PROCESSES):
            with every.processes():
                for part in WITH_PROCESSES:
                    if part in parts:
                        getattr(every, part)()
        for part in PARTS:
            if part in parts and part not in WITH_PROCESSES:
                getattr(every, part)()


class Parts:
    """What is measured. Each part has an organisation and targets of its own."""

    def __init__(self, folder: Path, world: Any, exits: ExitStack, size: Size) -> None:
        self._folder = folder
        self._world = world
        self._exits = exits
        self._size = size
        self._hired = 0

    @contextmanager
    def processes(self) -> Iterator[None]:
        """The web server, and a worker with the schedule."""
        from tests.faults.zygote import WORKER

        with self._world.web():
            zygote = self._world.zygote()
            worker = zygote.begin(f"{WORKER} --beat --schedule {self._folder}/beat")
            yield
            zygote.kill(worker)

    # -- With processes -------------------------------------------------

    def leaver(self) -> None:
        """From HR's request until the ledger has every target's confirmation, read back there."""
        from provisioning.leaver.models import Case
        from tests.faults.targets import make_source

        organisation = self._organisation()
        token = make_source("hr", organisation=organisation)
        for number in range(TARGETS):
            self._target(f"t{number}", organisation)
        confirmed, certified = [], []
        for number in range(self._size.leavers):
            person = self._hr(token, "POST", "/Users", _joiner(number))["id"]
            self._world.wait_until(lambda who=person: len(_standing(who)) == TARGETS, what="a joiner at all targets")
            began = time.time()
            gone = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"]}
            gone["Operations"] = [{"op": "replace", "path": "active", "value": False}]  # type: ignore[assignment]
            self._hr(token, "PATCH", f"/Users/{person}", gone)
            self._world.wait_until(lambda who=person: len(_closed(who)) == TARGETS, what="a leaver at no target")
            confirmed.append(max(_closed(person)) - began)
            cases = Case.objects.filter(person=person, state=Case.State.GREEN)
            self._world.wait_until(cases.exists, what="a green certificate")
            certified.append(time.time() - began)
        print(f"a leaver at {TARGETS} targets, {len(confirmed)} of them, from HR's request over SCIM:")
        print(f"  every account confirmed closed: {_told(confirmed)} s; target 5")
        print(f"  certificate green: {_told(certified)} s")

    def urgent(self) -> None:
        """Somebody leaves while a full sync runs against a target that takes 25 requests a second."""
        from broker.actors import SYSTEM
        from broker.delivery.models import Delivery, Priority
        from broker.directory.authority import write_attributes
        from broker.directory.models import Person
        from broker.directory.sources import Source, SourceKind
        from provisioning.outbound.models import RemoteAccount
        from provisioning.outbound.services import request_sync

        organisation = self._organisation()
        target, place = self._target("busy", organisation, rate=25.0)
        people = self._people(self._size.busy, organisation)
        request_sync(target, people, priority=Priority.BULK, actor=SYSTEM)
        lane = Delivery.objects.filter(lane=target.lane)
        present = RemoteAccount.objects.filter(target=target, state=RemoteAccount.State.PRESENT)
        self._world.wait_until(lambda: present.count() >= self._size.urgent, what="first accounts")
        taken, asked, first = [], place.counts()["requests"], time.perf_counter()
        for _ in range(self._size.urgent):
            person = Person.objects.get(pk=present.values_list("person_id", flat=True)[0])
            began = time.time()
            source = Source(SourceKind.SCIM, "hr")
            write_attributes(person, {"active": ("false",)}, source=source, evidence="journal:bench", actor=SYSTEM)
            self._world.wait_until(lambda who=person.pk: len(_closed(who)) == 1, what="an urgent disable")
            taken.append(max(_closed(person.pk)) - began)
        left = lane.filter(settled_at=None).count()
        lasted = time.perf_counter() - first
        said = [one["status"] for one in place.requests(since=asked)]
        refused = said.count(429)
        if not left:
            states = sorted(set(lane.values_list("state", "reason")))
            sys.exit(f"the full sync ended before the leavers did, so nothing was measured: {states}")
        print(f"an urgent disable under a full sync of {len(people)} at 25 requests a second, {len(taken)} of them:")
        print(f"  confirmed: {_told(taken)} s; target: p99 10")
        print(
            f"  meanwhile {(len(said) - refused) / lasted:.1f} requests a second were answered, and {refused} got 429;"
        )
        print(f"  {left} of the sync were left")
        type(target).objects.filter(pk=target.pk).update(enabled=False)

    # -- One process ----------------------------------------------------

    def sending(self) -> None:
        """People to a target that needs 50 ms for each exchange, and the reading of them back."""
        organisation = self._organisation()
        people = self._people(self._size.sent, organisation)
        alone = self._alone()
        count = len(people)
        print(
            f"{count} people to a target of {LATENCY_MS} ms; one after the other {alone * count:.0f} s, reckoned from"
        )
        print(f"  {alone * 1e3:.1f} ms each of {self._size.alone} over one kept connection")
        for slug, traits in (("single", {"no_bulk": True}), ("bulk", {})):
            target, place = self._target(slug, organisation, latency_ms=LATENCY_MS, **traits)
            asked_for, carried, processor = self._send(target, people)
            if len(place.users()) != count:
                sys.exit(f"{slug}: {len(place.users())} of {count} accounts")
            most = place.counts()["most_in_flight"]
            aim = "6 s" if slug == "bulk" else "50 times"
            print(
                f"  {slug}: {carried:.1f} s, {alone * count / carried:.1f} times as fast; target {aim}; "
                f"{processor:.1f} s of our processor, {most} in flight; enqueued before in {asked_for:.1f} s"
            )
        self._read(target, place)

    def _send(self, target: Any, people: list[UUID]) -> tuple[float, float, float]:
        """Seconds to enqueue, to carry, and of our processor while carrying."""
        from django.utils import timezone

        from broker.actors import SYSTEM
        from broker.delivery.carrying import carry
        from broker.delivery.models import Delivery, Priority
        from provisioning.outbound.models import RemoteAccount
        from provisioning.outbound.services import request_sync

        began = time.perf_counter()
        request_sync(target, people, priority=Priority.NORMAL, actor=SYSTEM)
        asked_for = time.perf_counter() - began
        # As after an inventory that found none of them.
        RemoteAccount.objects.filter(target=target).update(state=RemoteAccount.State.ABSENT, read_at=timezone.now())
        began, processor = time.perf_counter(), time.process_time()
        while Delivery.objects.filter(lane=target.lane, settled_at=None).exists():
            carry(target.lane)
        return asked_for, time.perf_counter() - began, time.process_time() - processor

    def _alone(self) -> float:
        """Seconds for one person, where each waits for the one before, over a connection that stays open."""
        from tests.fakes.scim_target.running import ScimTarget

        with ScimTarget(self._folder / "alone.log", fast=True, token="alone", latency_ms=LATENCY_MS) as place:
            connection = HTTPConnection("127.0.0.1", place.port)
            began = time.perf_counter()
            for number in range(self._size.alone):
                body = json.dumps(_joiner(number))
                headers = {"Authorization": "Bearer alone", "Content-Type": "application/scim+json"}
                connection.request("POST", "/scim/v2/Users", body, headers)
                answer = connection.getresponse()
                answer.read()
                if answer.status != 201:
                    sys.exit(f"one after the other: {answer.status}")
            taken = time.perf_counter() - began
            connection.close()
        return taken / self._size.alone

    def _read(self, target: Any, place: Any) -> None:
        """All pages of a target that takes so many requests a second, beside the least time that this takes anybody."""
        from broker.actors import SYSTEM
        from provisioning.planning.models import Run
        from provisioning.planning.runs import start_run, work_on

        rate = self._size.pages_a_second
        place.change(latency_ms=0, rate=rate)
        asked = place.counts()["requests"]
        moments: dict[str, float] = {}
        run = start_run(target, purpose=Run.Purpose.PLAN, actor=SYSTEM)
        run = work_on(run, actor=SYSTEM, tell=lambda now: moments.setdefault(now.stage, time.perf_counter()) and None)
        if run.outcome != Run.Outcome.OK:
            sys.exit(f"reading: {run.outcome} {run.code} {run.detail} {run.counts}")
        taken = moments[Run.Stage.COMPARING] - moments[Run.Stage.ACCOUNTS]
        # What the target lets through at once, it does not make wait.
        floor = (run.pages - rate) / rate
        print(
            f"reading {run.accounts} accounts, {run.pages} pages at {rate} a second: {taken:.1f} s, "
            f"{taken / floor:.2f} times the floor of {floor:.1f} s; at most 1.2. "
            f"{place.counts()['requests'] - asked} requests"
        )

    def difference(self) -> None:
        """Fetched accounts, one of a hundred other than it should be, against the people."""
        from django.utils import timezone

        from broker.actors import SYSTEM
        from broker.directory.models import Person
        from provisioning.outbound.connectors.base import RemoteUser
        from provisioning.outbound.models import RemoteAccount
        from provisioning.outbound.services import refresh_wanted
        from provisioning.outbound.wanted import wanted_accounts
        from provisioning.planning.models import Run
        from provisioning.planning.runs import start_run, work_on
        from provisioning.planning.staging import stage_accounts

        organisation = self._organisation()
        target, _ = self._target("large", organisation)
        people = self._people(self._size.compared, organisation)
        began = time.perf_counter()
        refresh_wanted(target, people)
        worked_out = time.perf_counter() - began
        accounts = RemoteAccount.objects.filter(target=target)
        _sql(f"UPDATE {accounts.model._meta.db_table} SET state = 'present', remote_id = person_id::text, "
             f"read_digest = wanted_digest, read_at = now() WHERE target_id = {target.pk}")  # fmt: skip
        run = start_run(target, purpose=Run.Purpose.PLAN, actor=SYSTEM)
        staging, differing = 0.0, 0
        for start in range(0, len(people), 200):
            wanted = wanted_accounts(target, list(Person.objects.filter(pk__in=people[start : start + 200])))
            page = []
            for one in wanted.values():
                resource: dict[str, Any] = {"id": str(one.person_id), **one.body()}
                if one.person_id.int % 100 == 0:
                    resource["title"] = "Somebody else's"
                    differing += 1
                user_name = str(resource["userName"])
                page.append(RemoteUser(str(one.person_id), str(one.person_id), user_name, True, resource))
            began = time.process_time()
            stage_accounts(run, target, page, read_at=timezone.now())
            staging += time.process_time() - began
        count = len(people)
        Run.objects.filter(pk=run.pk).update(
            stage=Run.Stage.COMPARING, accounts=count, accounts_told=count, pages=count // 200
        )
        run.refresh_from_db()
        database = self._world.database._process.pid
        began, processor, others = time.perf_counter(), time.process_time(), processor_seconds(database)
        before = _most_memory(anew=True)
        run = work_on(run, actor=SYSTEM)
        taken, own = time.perf_counter() - began, time.process_time() - processor
        memory = (_most_memory() - before) / MIB
        theirs = processor_seconds(database) - others
        if run.checked != count or sum(run.counts.values()) < differing:
            sys.exit(f"difference: {run.outcome} {run.code} {run.counts}, {differing} differ")
        print(f"difference of {count} fetched accounts against as many people, of which {differing} differ:")
        print(
            f"  {taken:.2f} s, {memory:.0f} MiB at most; target 3 s and 100 MB. Processor: {own:.2f} s ours, "
            f"{theirs:.2f} s the database's"
        )
        print(f"  before: {worked_out:.1f} s to work out what should be there, {staging:.1f} s to stage what was read")

    # -- What they share ------------------------------------------------

    def _organisation(self) -> Any:
        from tests.factories import make_organisation

        return make_organisation(domains=())

    def _people(self, count: int, organisation: Any) -> list[UUID]:
        from bench.workforce import analyse, make_people

        first, self._hired = self._hired, self._hired + count
        people = make_people(count, first=first, organisation=organisation)
        analyse()
        return people

    def _target(self, slug: str, organisation: Any, **traits: Any) -> tuple[Any, Any]:
        """A target of everybody of the organisation, probed, and what stands for it."""
        from broker.actors import SYSTEM
        from provisioning.outbound.probing import probe
        from tests.factories import make_application
        from tests.fakes.scim_target.running import ScimTarget
        from tests.faults.targets import make_target

        rate = traits.pop("rate", 0)
        place = self._exits.enter_context(
            ScimTarget(self._folder / f"{slug}.log", fast=True, token=f"token-of-{slug}", **traits)
        )
        target = make_target(
            slug,
            place,
            application=make_application(slug=slug),
            token=f"token-of-{slug}",
            scope={"everyone": True, "organisations": [organisation.slug]},
            max_connections=CONNECTIONS,
        )
        probe(target, actor=SYSTEM)
        place.change(rate=rate)
        return target, place

    def _hr(self, token: str, method: str, path: str, document: Any) -> Any:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/scim+json"}
        answer = self._world.ask(method, f"/scim/v2{path}", content=json.dumps(document), headers=headers)
        if answer.status_code not in (200, 201, 204):
            sys.exit(f"HR: {answer.status_code} {answer.text[:500]}")
        return answer.json() if answer.content else None


def _joiner(number: int) -> dict[str, Any]:
    name = f"joiner-{number}-{uuid4().hex[:6]}"
    return {"schemas": [USER], "userName": name, "externalId": name, "active": True, "name": {"familyName": "Lovelace"}}


def _standing(person: str) -> list[int]:
    """Accounts of the person that are there, as they were read."""
    from provisioning.outbound.models import RemoteAccount

    return list(
        RemoteAccount.objects.filter(person=person, state=RemoteAccount.State.PRESENT).values_list("pk", flat=True)
    )


def _closed(person: Any) -> list[float]:
    """When each closing was confirmed, by accounts that a reading showed closed."""
    from broker.delivery.models import Delivery
    from provisioning.outbound.models import RemoteAccount

    accounts = RemoteAccount.objects.filter(person=person, state=RemoteAccount.State.DISABLED, read_active=False)
    lanes = [f"target:{slug}" for slug in accounts.values_list("target__slug", flat=True)]
    rows = Delivery.objects.filter(
        subject=f"person:{person}", lane__in=lanes, state=Delivery.State.CONFIRMED, must_arrive=True
    )
    return [moment.timestamp() for moment in rows.values_list("settled_at", flat=True)]


def _sql(text: str) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(text)
        cursor.execute("VACUUM ANALYZE")


def _most_memory(*, anew: bool = False) -> int:
    """The most that this process has had in memory, in KiB; `anew` counts from now."""
    if anew:
        Path("/proc/self/clear_refs").write_text("5")
    status = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in status if line.startswith("VmHWM")).split()[1])


def _told(seconds: list[float]) -> str:
    ordered = sorted(seconds)
    p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    return f"p50 {median(ordered):.1f}, p99 {p99:.1f}, least {ordered[0]:.1f}"


if __name__ == "__main__":
    if sys.argv[1:2] in (["quick"], ["full"]):
        measure(QUICK if sys.argv[1] == "quick" else FULL, sys.argv[2:])
    else:
        parser = argparse.ArgumentParser(prog="python -m bench.provisioning", description=__doc__)
        parser.add_argument("--quick", action="store_true", help="little of everything")
        parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all, if none is named")
        asked = parser.parse_args()
        if unknown := set(asked.parts) - set(PARTS):
            parser.error(f"no part is called {', '.join(sorted(unknown))}")
        main(asked.parts or PARTS, is_quick=asked.quick)
