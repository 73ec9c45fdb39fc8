"""Two ways to do the same, timed in turns: what else the machine does then falls on both."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

Call = Callable[[], object]
_LEAST = 2


@dataclass(frozen=True)
class Times:
    """Times of one way.

    Attributes
    ----------
    median_s, fastest_s : float
        Of wall time, in seconds.
    cpu_s : float
        Median processor time of the process, all its threads together.
    repeats : int
    """

    median_s: float
    fastest_s: float
    cpu_s: float
    repeats: int


def in_turns(
    ways: Mapping[str, Call],
    *,
    repeats: int,
    warmup: int = 1,
    budget_s: float = 60.0,
    loops: int = 1,
    call_before: bool = False,
) -> dict[str, Times]:
    """Time every way once, then every way again, and so on.

    Parameters
    ----------
    ways : mapping of str to callable
    repeats : int
        Rounds that count.
    warmup : int
        Rounds before them.
    budget_s : float
        Seconds, warm-up included, after which no further round is begun, once there were two that count.
    loops : int
        Calls that are timed together, of which the mean is one time: for what takes microseconds.
    call_before : bool
        Call each way once more before it is timed: many networks in turns drive one another's kernels out of oneDNN's
        cache, which one that is asked alone finds there.
    """
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    begun = time.perf_counter()
    for number in range(warmup + repeats):
        if number >= warmup + _LEAST and time.perf_counter() - begun > budget_s:
            break
        for name, call in ways.items():
            if call_before:
                call()
            wall, cpu = time.perf_counter(), time.process_time()
            for _ in range(loops):
                call()
            now = (time.perf_counter() - wall) / loops, (time.process_time() - cpu) / loops
            if number >= warmup:
                spent[name].append(now)
    return {name: summary(taken) for name, taken in spent.items()}


def summary(taken: Sequence[tuple[float, float]]) -> Times:
    """Return what wall and processor times, pairs in seconds, come to."""
    walls, cpus = zip(*taken, strict=True)
    return Times(statistics.median(walls), min(walls), statistics.median(cpus), len(taken))


@dataclass(frozen=True)
class SpeedRow:
    """One figure beside that of the naive way.

    Attributes
    ----------
    name : str
    unit : str
        "ms", "s" or "MB"; less is better.
    ours : float
    naive : float or None
    bar : float or None
        Ratio, or, where `absolute`, figure of ours, that is asked for.
    naive_way : str
        What the naive way is; where there is no figure of it, why.
    absolute : bool
    fastest : (float, float) or None
        The least figure of ours and of the naive way.
    cpu : (float, float) or None
        Processor time of ours and of the naive way: what other processes take does not count.
    """

    name: str
    unit: str
    ours: float
    naive: float | None
    bar: float | None
    naive_way: str
    absolute: bool = False
    fastest: tuple[float, float] | None = None
    cpu: tuple[float, float] | None = None

    @property
    def ratio(self) -> float | None:
        """How many times less ours takes."""
        return None if self.naive is None else self.naive / self.ours

    @property
    def reached(self) -> bool | None:
        """Whether the bar is reached; None where there is none."""
        if self.bar is None or (self.ratio is None and not self.absolute):
            return None
        return self.ours <= self.bar if self.absolute else (self.ratio or 0.0) >= self.bar

    def line(self) -> str:
        """Return the row in a line, as it is told when it is measured."""
        beside = "" if self.ratio is None else f", naive {self.naive:.4g} {self.unit}, {self.ratio:.1f} x"
        return f"{self.name}: {self.ours:.4g} {self.unit}{beside}"

    def facts(self) -> dict[str, Any]:
        """Return the row as JSON values."""
        return {
            "name": self.name,
            "ours": self.ours,
            "naive": self.naive,
            "ratio": self.ratio,
            "unit": self.unit,
            "bar": self.bar,
            "bar_is": None if self.bar is None else ("figure" if self.absolute else "ratio"),
            "reached": self.reached,
            "naive_way": self.naive_way,
            "fastest_ratio": self.fastest[1] / self.fastest[0] if self.fastest else None,
            "cpu_ratio": self.cpu[1] / self.cpu[0] if self.cpu and min(self.cpu) > 0 else None,
        }


def timed_row(
    name: str,
    ours: Times,
    naive: Times | None,
    *,
    bar: float | None,
    naive_way: str,
    unit: str = "ms",
    absolute: bool = False,
) -> SpeedRow:
    """Return the row of two ways that were timed in turns; processor time only of what runs in this process."""
    factor = 1000.0 if unit == "ms" else 1.0
    if naive is None:
        return SpeedRow(name, unit, factor * ours.median_s, None, bar, naive_way, absolute)
    return SpeedRow(
        name,
        unit,
        factor * ours.median_s,
        factor * naive.median_s,
        bar,
        naive_way,
        absolute,
        (ours.fastest_s, naive.fastest_s),
        None if absolute else (ours.cpu_s, naive.cpu_s),
    )


@contextmanager
def one_thread() -> Iterator[None]:
    """Within the block torch and cv2 compute on one thread."""
    import cv2
    import torch

    threads, others = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        cv2.setNumThreads(others)
