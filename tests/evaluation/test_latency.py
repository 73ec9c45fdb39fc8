"""Latency: what is warm-up does not count, the percentiles are those of the calls, the budget is kept."""

from __future__ import annotations

import pytest

from mmtsa_cli.evaluation.latency import measure_latency


class Clock:
    """Time that passes only where a call says so."""

    def __init__(self) -> None:
        self.now = 0.0
        self.calls: list[int] = []

    def __call__(self) -> float:
        return self.now

    def spend(self, *seconds: float):
        def call(number: int) -> None:
            self.calls.append(number)
            self.now += seconds[min(number, len(seconds) - 1)]

        return call


def test_median_and_95th_percentile_are_those_of_the_calls_after_warm_up() -> None:
    clock = Clock()
    times = [9.0, 9.0, *(number / 1000 for number in range(1, 22))]
    found = measure_latency(clock.spend(*times), warmup=2, repeats=21, budget_s=100, clock=clock)
    assert found.repeats == 21
    assert found.median_ms == pytest.approx(11)
    # 95 % of the way from the 1st to the 21st of 1, 2, ..., 21 ms.
    assert found.p95_ms == pytest.approx(20)
    assert clock.calls == list(range(23))


def test_the_budget_ends_warm_up_and_repeats_but_three_calls_always_count() -> None:
    clock = Clock()
    found = measure_latency(clock.spend(60.0), warmup=3, repeats=20, budget_s=10, clock=clock)
    assert (found.repeats, found.median_ms, len(clock.calls)) == (3, 60_000, 4)
    clock = Clock()
    assert measure_latency(clock.spend(1.0), warmup=1, repeats=20, budget_s=10, clock=clock).repeats == 9


def test_real_time_passes() -> None:
    found = measure_latency(lambda number: sum(range(20_000)), repeats=20)
    assert found.repeats == 20
    assert 0 < found.median_ms <= found.p95_ms < 1000
