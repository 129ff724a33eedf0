"""The thousand kills themselves, while HR writes and the servers go away. Imported once Django is set up."""

import math
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack

from tests.fakes.scim_target.running import ScimTarget
from tests.faults.hr import HumanResources
from tests.faults.judging import compare
from tests.faults.stages import Kill, StageCounter
from tests.faults.world import NotInTime, World, say
from tests.faults.zygote import Zygote

TARGETS = ("crm", "erp")
WORKERS = 2
BLIND = 0.15
"""The share of lives that are killed at any time from their first moment on; the others, once they work."""
BLIND_SECONDS = 0.4
WORK_SECONDS = (0.25, 5.0)
"""Bounds of the longest life after that. It moves with the machine, so that most kills hit a worker that holds rows."""
BUSY_SHARE = 0.6
START_SECONDS = 30.0
QUEUE_SECONDS = 30.0
"""So long after Redis was away a worker may be found that ended with it."""
LATENCY_MS = 25
BACKLOG = 300
"""Deliveries that wait, below which HR writes on."""
DRAIN_SECONDS = 180


class KillRun:
    """One run in one folder."""

    def __init__(self, world: World, *, kills: int, people: int, seed: int) -> None:
        self.kills = kills
        self.people = people
        self.seed = seed
        self.world = world
        self.killed: list[Kill] = []
        self.outages: list[str] = []
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self._problems: list[BaseException] = []
        self._is_over = threading.Event()
        self._queue_away = -math.inf

    def go(self) -> bool:
        """Returns whether the targets are what HR wanted, and came there in order."""
        say(f"seed {self.seed}: {self.kills} kills over a sync of {self.people} people to {len(TARGETS)} targets")
        world = self.world
        with ExitStack() as exits:
            targets = {
                slug: exits.enter_context(
                    ScimTarget(world.folder / f"{slug}.log", fast=True, token=slug, doubles=True, latency_ms=LATENCY_MS)
                )
                for slug in TARGETS
            }
            hr = HumanResources(random.Random(self.seed + 1), self.people, targets)
            hr.open()
            exits.enter_context(world.beat())
            zygotes = [world.zygote(f"worker-{number}") for number in range(WORKERS)]
            self._rage(world, zygotes, hr)
            say(f"{len(self.killed)} kills; {', '.join(self.outages)}. Now one worker may live.")
            pid = zygotes[0].begin()
            if left := hr.hire_the_rest():
                say(f"HR hires the last {left} people.")
            drained = world.wait_until(
                hr.is_drained, what="the ledger is empty", tell=hr.ledger_state, seconds=DRAIN_SECONDS, pause=0.3
            )
            say(f"the ledger was empty after {drained:.1f} s")
            zygotes[0].kill(pid)
            return self._judge(targets, hr)

    def _rage(self, world: World, zygotes: list[Zygote], hr: HumanResources) -> None:
        """Kill until there were enough, while HR writes and the servers go away."""
        threads = [threading.Thread(target=self._guard, args=(lambda z=zygote: self._kill(z),)) for zygote in zygotes]
        threads.append(threading.Thread(target=self._guard, args=(lambda: self._write(hr),)))
        for thread in threads:
            thread.start()
        try:
            for share, what, act in self._calamities(world):
                self._wait_for_kills(int(self.kills * share))
                act()
                self.outages.append(what)
                say(f"  after {len(self.killed)} kills: {what}")
            self._wait_for_kills(self.kills)
        finally:
            self._is_over.set()
            for thread in threads:
                thread.join(60)
        if self._problems:
            raise self._problems[0]

    def _calamities(self, world: World) -> list[tuple[float, str, Callable[[], None]]]:
        def empty() -> None:
            world.empty_redis()

        def redis_away() -> None:
            self._queue_away = math.inf
            world.redis.kill()
            time.sleep(3)
            world.redis.start()
            self._queue_away = time.monotonic()

        def database_away() -> None:
            world.database.kill()
            time.sleep(5)
            world.database.start()

        return [
            (0.15, "Redis emptied", empty),
            (0.35, "Redis away for 3 s", redis_away),
            (0.55, "PostgreSQL away for 5 s", database_away),
            (0.75, "Redis emptied again", empty),
        ]

    def _wait_for_kills(self, number: int) -> None:
        shown = len(self.killed) // 200
        while len(self.killed) < number:
            if self._problems:
                raise self._problems[0]
            if len(self.killed) // 200 > shown:
                shown = len(self.killed) // 200
                say(f"  {len(self.killed)} kills")
            time.sleep(0.05)

    def _kill(self, zygote: Zygote) -> None:
        counter = StageCounter()
        longest = 0.5
        while not self._is_over.is_set():
            with self._lock:
                is_blind = self._random.random() < BLIND
                life = self._random.uniform(0.0, BLIND_SECONDS if is_blind else longest)
            pid = zygote.begin()
            began = time.time()
            if not is_blind:
                zygote.wait_for_work(pid, seconds=START_SECONDS)
            time.sleep(life)
            at = time.time()
            if not zygote.kill(pid):
                # kombu ends a worker whose queue goes while it holds a message; its supervisor begins another.
                if time.monotonic() - self._queue_away > QUEUE_SECONDS:
                    raise NotInTime(f"a worker ended by itself: {zygote.log.read_text(errors='replace')[-3000:]}")
                continue
            kill = counter.look(pid, began=began, at=at)
            if not is_blind:
                longest *= 1.0 + 0.1 * (BUSY_SHARE - kill.is_busy)
                longest = min(max(longest, WORK_SECONDS[0]), WORK_SECONDS[1])
            with self._lock:
                if len(self.killed) < self.kills:
                    self.killed.append(kill)

    def _write(self, hr: HumanResources) -> None:
        while not self._is_over.is_set():
            if hr.backlog() < BACKLOG:
                hr.write_some()
            else:
                time.sleep(0.05)

    def _guard(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - the run ends by it
            self._problems.append(error)

    def _judge(self, targets: dict[str, ScimTarget], hr: HumanResources) -> bool:
        stages: Counter[str] = Counter()
        requests = [request for target in targets.values() for request in target.requests()]
        counter = StageCounter()
        for kill in self.killed:
            stages.update(counter.stages_of(kill, requests))
        say("Where the kills hit (a kill may hit several rows, each in another stage):")
        for stage in counter.STAGES:
            say(f"  {stage:<44}{stages[stage]:>6}")
        is_good = all(stages[stage] for stage in counter.STAGES)
        if not is_good:
            say("A STAGE WAS NEVER HIT, which is a failure")
        for slug, target in targets.items():
            comparison = compare(hr.expected(), target.effects(), groups=hr.expected_groups())
            say(comparison.table(f"{slug}, by its own log:"))
            is_good &= comparison.is_good and comparison.compared >= self.people
        problems = hr.ledger_problems()
        say(f"The ledger: {hr.ledger_line()}")
        for problem in problems:
            say(f"  {problem}")
        return is_good and not problems
