"""A sensor whose samples come one by one: the windows that a file gives, in bounded memory, whatever its stamps do."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmtsa_cli.recordings.live_series import GapError, Jump, LiveSeries
from mmtsa_cli.recordings.series import Series, resample


def live(rate: float = 50.0, **options: object) -> LiveSeries:
    given_ = {"keep_s": 4.0, "max_gap_s": 0.5, "slack_s": 1.0, **options}
    return LiveSeries(("x", "y", "z"), rate, **given_)  # type: ignore[arg-type]


def wave(times: np.ndarray) -> np.ndarray:
    return np.column_stack([np.sin(3 * times), np.cos(2 * times), times])


def fed(series: LiveSeries, times: np.ndarray) -> list[Jump]:
    jumps = [series.add(float(t), v) for t, v in zip(times, wave(times), strict=True)]
    return [jump for jump in jumps if jump]


@settings(max_examples=40, deadline=None)
@given(
    rate=st.floats(20, 400), trained=st.floats(10, 100), seed=st.integers(0, 999), start=st.sampled_from([0.0, 1.7e9])
)
def test_a_window_is_what_resampling_the_whole_file_gives(rate: float, trained: float, seed: int, start: float) -> None:
    rng = np.random.default_rng(seed)
    count = int(9 * rate)
    times = start + (np.arange(count) + rng.uniform(-0.4, 0.4, count)) / rate
    series = live(trained)
    fed(series, times)
    begin, samples = start + 6.0, int(1.5 * trained)
    end = begin + samples / trained
    assert series.reaches(end)
    known = resample(Series(times, wave(times), ("x", "y", "z"), series.rate or 0), trained, start_s=begin, end_s=end)
    # Another rate within rounding only where it decides whether steps are averaged.
    np.testing.assert_allclose(series.window(begin, samples), known.T, rtol=1e-6, atol=2e-5 * max(1.0, start * 1e-2))


def test_disorder_and_repeats_are_put_right_and_counted() -> None:
    times = np.arange(300) / 50
    order = np.arange(300)
    for first in range(10, 290, 20):
        order[first : first + 2] = order[first : first + 2][::-1]
    series = live()
    for number in order:
        series.add(times[number], wave(times[number : number + 1])[0])
        series.add(times[number], wave(times[number : number + 1])[0])
    assert series.dropped == {"repeated row": 300}
    np.testing.assert_allclose(series.window(3.0, 100), wave(3 + np.arange(100) / 50).T, atol=1e-6)


def test_a_clock_coarser_than_the_sensor_is_spread() -> None:
    times = np.arange(500) / 50
    series = live()
    for time, values in zip(np.floor(times * 5) / 5, wave(times), strict=True):
        series.add(float(time), values)
    np.testing.assert_allclose(series.window(6.0, 100), wave(6 + np.arange(100) / 50).T, atol=1e-3)


def test_a_stamp_that_stands_still_fills_no_memory() -> None:
    series = live()
    for number in range(50_000):
        series.add(1.0, np.array([number, 0.0, 0.0]))
    assert series.held < 1000
    assert series.dropped["stamps that stand still"] > 49_000


@pytest.mark.parametrize("to", [-3000.0, 2.0, 5000.0])
def test_a_clock_that_is_set_is_told_and_a_single_wrong_stamp_is_not(to: float) -> None:
    series = live()
    fed(series, 5 + np.arange(100) / 50)
    # One row alone is a faulty row.
    assert fed(series, np.array([to, 7.0])) == []
    assert series.dropped == {"stray stamp": 1}
    (jump,) = fed(series, to + np.arange(3) / 50)
    assert (jump.to_s, jump.by_s) == (to, to - 7.0)
    assert [time for time, _ in series.odd] == pytest.approx(to + np.arange(3) / 50)


def test_gaps_are_named() -> None:
    series = live()
    with pytest.raises(GapError, match="no sample yet"):
        series.window(0.0, 50)
    fed(series, np.concatenate([np.arange(100) / 50, 3 + np.arange(50) / 50]))
    with pytest.raises(GapError, match=r"gap of 1.02 s from 1.98 s on"):
        series.window(1.5, 100)
    with pytest.raises(GapError, match=r"no samples since 3.98 s"):
        series.window(3.5, 100)
    with pytest.raises(GapError, match=r"begins 1.00 s later"):
        series.window(-2.0, 50)
    series.window(1.0, 45)
    # A gap of less than the limit is filled.
    short = live()
    fed(short, np.concatenate([np.arange(100) / 50, 2.3 + np.arange(50) / 50]))
    np.testing.assert_allclose(short.window(1.5, 60)[2], 1.5 + np.arange(60) / 50, atol=1e-6)


def test_memory_is_that_of_the_last_seconds() -> None:
    series = live()
    held = []
    for start in range(0, 20_000, 2_000):
        fed(series, start / 50 + np.arange(2_000) / 50)
        held.append((series.held, len(series._times)))
    # Four seconds of 50 Hz, in arrays that were doubled until these fitted.
    assert max(count for count, _ in held) <= 1024
    assert {size for _, size in held[2:]} == {held[2][1]}
    assert series.rate == pytest.approx(50)


def test_a_flood_is_cut() -> None:
    series = live()
    rate = 500_000.0
    times = np.arange(200_000) / rate
    for time in times:
        series.add(float(time), np.zeros(3))
    assert series.held < 64 * 50 * 4 * 3
    assert series.dropped["more rows than memory is given"] > 0
