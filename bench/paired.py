"""Ratios that a busy machine leaves alone: A and B take turns, and each pair gives one ratio."""

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median, quantiles

WARM_UP_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Ratio:
    """The median of the pairs' ratios, and the tenth and ninetieth percentile as its noise."""

    median: float
    low: float
    high: float


def paired(
    a: Callable[[], object],
    b: Callable[[], object],
    *,
    rounds: int,
    per_round: int,
    per_round_b: int | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> Ratio:
    """How many times as long one `a` takes as one `b`, which is how many times as fast `b` is.

    In each of `rounds` `a` runs `per_round` times and `b` `per_round_b` times (as often as `a` when left out); who
    begins alternates, so that a drift favours neither. `clock` may be `time.thread_time`, which a busy machine
    disturbs less, where neither side waits nor starts a process.
    """
    times = {a: per_round, b: per_round_b or per_round}
    ratios = []
    gc.collect()
    gc.disable()
    try:
        for number in range(rounds + WARM_UP_ROUNDS):
            taken = {side: _take(side, times[side], clock) for side in ((a, b) if number % 2 else (b, a))}
            if number >= WARM_UP_ROUNDS:
                ratios.append(taken[a] / taken[b])
    finally:
        gc.enable()
    spread = quantiles(ratios, n=10)
    return Ratio(median(ratios), spread[0], spread[-1])


def _take(side: Callable[[], object], times: int, clock: Callable[[], float]) -> float:
    """Seconds of one run of `side`, on the average of `times`."""
    began = clock()
    for _ in range(times):
        side()
    return (clock() - began) / times
