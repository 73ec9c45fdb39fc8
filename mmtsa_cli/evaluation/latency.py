"""How long one call takes: warmed up, then timed again and again."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

WARMUP, REPEATS, BUDGET_S = 3, 20, 20.0
_LEAST = 3


@dataclass(frozen=True)
class Latency:
    """Times of the calls that were counted.

    Attributes
    ----------
    median_ms, p95_ms : float
        Median and 95th percentile (linear between neighbours), in milliseconds.
    repeats : int
    """

    median_ms: float
    p95_ms: float
    repeats: int


def measure_latency(
    call: Callable[[int], object],
    *,
    warmup: int = WARMUP,
    repeats: int = REPEATS,
    budget_s: float = BUDGET_S,
    clock: Callable[[], float] = time.perf_counter,
) -> Latency:
    """Time a call.

    Parameters
    ----------
    call : callable
        Takes the number of the call, counted from 0 through warm-up and measurement.
    warmup : int
        Calls before, which are not counted: files come into memory, code is chosen for the shapes.
    repeats : int
        Calls that are counted.
    budget_s : float
        Seconds, warm-up included, after which no further call is begun, once there was one before and there are three
        that count.
    clock : callable
        Returns seconds.
    """
    started = clock()
    number = 0
    while number < warmup and (number < 1 or clock() - started < budget_s):
        call(number)
        number += 1
    times: list[float] = []
    while len(times) < repeats and (len(times) < _LEAST or clock() - started < budget_s):
        before = clock()
        call(number)
        times.append(clock() - before)
        number += 1
    median, p95 = np.percentile(times, [50, 95])
    return Latency(float(1000 * median), float(1000 * p95), len(times))
