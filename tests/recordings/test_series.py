"""Laws of cutting and resampling."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmtsa_cli.recordings.series import Series, crop, resample, shift


def series_of(times: np.ndarray, values: np.ndarray, rate: float) -> Series:
    return Series(times, values, tuple("xyz"[: values.shape[1]]), rate)


@st.composite
def jittery(draw: st.DrawFn) -> Series:
    count, rate, seed = draw(st.integers(20, 200)), draw(st.floats(5, 200)), draw(st.integers(0, 10**6))
    rng = np.random.default_rng(seed)
    times = (np.arange(count) + rng.uniform(-0.4, 0.4, count)) / rate + draw(st.floats(-5, 5))
    return series_of(times, rng.normal(size=(count, 2)), rate)


@given(series=jittery(), target=st.floats(0.5, 400), slope=st.floats(-3, 3), fraction=st.floats(0.3, 0.5))
def test_a_straight_line_stays_one_at_any_rate(series: Series, target: float, slope: float, fraction: float) -> None:
    line = series_of(series.times, np.column_stack([slope * series.times + 1]), series.rate)
    # Far enough from the ends that no averaging cell reaches beyond them, where values are held.
    start = float(series.times[0]) + 0.5 / target
    end = min(start + fraction * (float(series.times[-1]) - start), float(series.times[-1]) - 1.0 / target)
    result = resample(line, target, start_s=start, end_s=end)
    expected = slope * (start + np.arange(len(result)) / target) + 1
    np.testing.assert_allclose(result[:, 0], expected, atol=1e-6)


@given(series=jittery(), target=st.floats(0.5, 400), seconds=st.floats(-100, 100))
def test_resampling_moves_with_the_clock(series: Series, target: float, seconds: float) -> None:
    start, end = float(series.times[3]), float(series.times[-3])
    here = resample(series, target, start_s=start, end_s=end)
    there = resample(shift(series, seconds), target, start_s=start + seconds, end_s=end + seconds)
    assert abs(len(here) - len(there)) <= 1
    count = min(len(here), len(there))
    np.testing.assert_allclose(here[:count], there[:count], atol=1e-4)


@given(series=jittery(), target=st.floats(0.5, 400))
def test_values_stay_within_those_of_the_series(series: Series, target: float) -> None:
    result = resample(series, target, start_s=float(series.times[0]) - 1, end_s=float(series.times[-1]) + 1)
    assert (result >= series.values.min(axis=0) - 1e-9).all()
    assert (result <= series.values.max(axis=0) + 1e-9).all()


def test_its_own_grid_gives_the_samples_back() -> None:
    values = np.random.default_rng(1).normal(size=(100, 3))
    series = series_of(np.arange(100) / 50, values, 50.0)
    np.testing.assert_allclose(resample(series, 50, start_s=0, end_s=2), values, atol=1e-12)
    np.testing.assert_allclose(resample(series, 50, start_s=0.5, end_s=1.0), values[25:50], atol=1e-12)


def test_what_a_lower_rate_cannot_show_is_averaged_not_aliased() -> None:
    times = np.arange(1000) / 100
    fast = series_of(times, np.sin(2 * np.pi * 9 * times)[:, None], 100.0)
    # Picking every tenth sample would show 9 Hz as 1 Hz at full height.
    assert np.abs(fast.values[::10]).max() > 0.9
    averaged = resample(fast, 10, start_s=1, end_s=9)
    assert np.abs(averaged).max() < 0.15
    integral = np.mean([np.interp(np.linspace(2.95, 3.05, 20001), times, fast.values[:, 0])])
    assert averaged[20, 0] == pytest.approx(integral, abs=1e-4)


def test_ends_are_held_and_empty_parts_are_empty() -> None:
    series = series_of(np.arange(10) / 10, np.arange(10.0)[:, None], 10.0)
    assert resample(series, 10, start_s=-0.2, end_s=0.1)[:, 0].tolist() == [0, 0, 0]
    assert resample(series, 10, start_s=0.9, end_s=1.2)[:, 0].tolist() == [9, 9, 9]
    assert resample(series, 10, start_s=0.5, end_s=0.5).shape == (0, 1)
    with pytest.raises(ValueError, match="0 samples"):
        resample(crop(series, 5, 6), 10, start_s=0, end_s=1)


def test_crop_takes_from_start_to_before_end_without_copying() -> None:
    series = series_of(np.arange(10) / 10, np.arange(10.0)[:, None], 10.0)
    part = crop(series, 0.2, 0.5)
    assert part.values[:, 0].tolist() == [2, 3, 4]
    assert np.shares_memory(part.values, series.values)
    assert len(crop(series, 3, 4).times) == 0
