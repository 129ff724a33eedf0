"""Where the single faults happen: the suite's database, targets, people, and workers that may be killed."""

import random
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from celery import Celery
from django.utils import timezone

from broker.actors import SYSTEM
from broker.delivery.carrying import carry
from broker.delivery.models import Lane
from broker.delivery.sweeping import sweep
from broker.events.models import Notice
from broker.events.reading import read_notices
from provisioning.outbound.models import RemoteAccount, Target
from provisioning.outbound.probing import probe
from tests.factories import make_application
from tests.fakes.scim_target.running import ScimTarget
from tests.faults.hr import Employee, HumanResources
from tests.faults.judging import Comparison, compare
from tests.faults.targets import make_target
from tests.faults.world import World
from tests.faults.zygote import WORKER, Zygote

DRAIN_SECONDS = 120


class Floor:
    """Each test's own. Whatever it starts ends with it, before the tables are emptied."""

    def __init__(self, folder: Path, exits: ExitStack, start: "Start") -> None:
        self._folder = folder
        self._exits = exits
        self._start = start
        self.targets: dict[str, ScimTarget] = {}
        self.hr = HumanResources(random.Random(7), 0, {})

    # -- Who is there ---------------------------------------------------

    def open_target(
        self,
        slug: str = "crm",
        *,
        fast: bool = True,
        probed: bool = True,
        registered: dict[str, Any] | None = None,
        **traits: Any,
    ) -> ScimTarget:
        """A target with these traits, registered with the fields of `registered`, and probed while all is well."""
        place = ScimTarget(self._folder / f"{slug}.log", fast=fast, token=slug, **traits)
        self.targets[slug] = self._exits.enter_context(place)
        target = make_target(slug, place, application=make_application(slug=slug), token=slug, **(registered or {}))
        if probed:
            probe(target, actor=SYSTEM)
        return place

    def hire(self, number: int) -> list[Employee]:
        """So many more people, all of them active."""
        return self.hr.hire(number)

    def tell(self, employees: Iterable[Employee], *, active: bool | None = None) -> None:
        """HR changes their title, and closes or opens their accounts."""
        self.hr.change(list(employees), active=active)

    # -- Who works ------------------------------------------------------

    @property
    def world(self) -> World:
        return self._start.world

    def begin_worker(self) -> int:
        return self._start.zygote().begin(WORKER)

    def kill(self, pid: int) -> None:
        assert self._start.zygote().kill(pid), "the worker had ended by itself"

    def begin_beat(self, name: str = "beat") -> None:
        """The schedule. It ends with the test."""
        self._start.zygote().begin(f"beat --schedule {self.world.folder / name} --pidfile= --loglevel warning")

    def begin_web(self) -> None:
        self._exits.enter_context(self.world.web())

    def send(self, task: str, *arguments: str) -> None:
        """A message of the queue, as the bell would send it."""
        with Celery("suite", broker=self.world.redis.url) as app:
            app.send_task(task, args=arguments, ignore_result=True)

    def note_absent(self, slug: str) -> None:
        """As after an inventory of the target that showed none of them: what is wanted may go by bulk."""
        read_notices()
        accounts = RemoteAccount.objects.filter(target__slug=slug, remote_id="")
        accounts.update(state=RemoteAccount.State.ABSENT, read_at=timezone.now())

    def work_readers(self) -> None:
        """Let the events be read in this process, all of them."""
        self.world.wait_until(lambda: not read_notices() and not Notice.objects.exists(), what="all events read")

    def work(self) -> None:
        """What the queue would do now, once, in this process."""
        read_notices()
        sweep()
        for lane in Lane.objects.values_list("name", flat=True):
            carry(lane)
        read_notices()

    # -- What came of it ------------------------------------------------

    def drain(self, seconds: float = DRAIN_SECONDS) -> float:
        """Wait for the workers to have nothing left. Returns how long it took."""
        return self.world.wait_until(
            self.hr.is_drained, what="an empty ledger", tell=self.hr.ledger_state, seconds=seconds, pause=0.1
        )

    def compare(self, slug: str = "crm", **options: Any) -> Comparison:
        """HR's people against the target's own log."""
        target = Target.objects.get(slug=slug)
        groups = None if target.group_strategy == Target.GroupStrategy.NONE else self.hr.expected_groups()
        return compare(self.hr.expected(), self.targets[slug].effects(), groups=groups, **options)

    def judge(self, **options: Any) -> None:
        """Every target is as HR wants it, and came there in order. Nothing compared fails."""
        for slug in self.targets:
            comparison = self.compare(slug, **options)
            assert comparison.is_good, comparison.table(slug)
        assert self.targets
        problems = self.hr.ledger_problems()
        assert not problems, problems


class Start:
    """What all floors share, started when the first one needs it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._zygote: Zygote | None = None

    def zygote(self) -> Zygote:
        if self._zygote is None:
            self._zygote = self.world.zygote()
        return self._zygote

    def end_lives(self) -> None:
        if self._zygote is not None:
            self._zygote.end_lives()
