"""A series of a sensor: samples with their times, cut and resampled by time."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mmtsa_cli.errors import DataError

_SPARE_ROWS, _MOST_A_SAMPLE = 1_000_000, 1000
"""How many rows a grid may have whatever the series, and how many more for each of its samples."""


@dataclass(frozen=True)
class Series:
    """What one sensor recorded.

    Attributes
    ----------
    times : (n,) float64
        Seconds, strictly increasing.
    values : (n, C) float64
        One column an axis, in the unit of the sensor.
    channels : tuple of str
        C names of axes.
    rate : float
        Samples a second: as given, or measured as the mean step.
    clock : "relative" or "absolute"
        Whether times count from the start of the recording or from the Unix epoch.
    notes : tuple of str
        What was put right in reading ("3 missing values filled").
    """

    times: NDArray[np.float64]
    values: NDArray[np.float64]
    channels: tuple[str, ...]
    rate: float
    clock: Literal["relative", "absolute"] = "relative"
    notes: tuple[str, ...] = ()

    @property
    def start_s(self) -> float:
        """Time of the first sample."""
        return float(self.times[0])

    @property
    def end_s(self) -> float:
        """Time at which the last sample ends: one step after it was taken."""
        return float(self.times[-1]) + 1.0 / self.rate


def shift(series: Series, seconds: float) -> Series:
    """Return the series with `seconds` added to its times, on a relative clock."""
    return dataclasses.replace(series, times=series.times + seconds, clock="relative")


def crop(series: Series, start_s: float, end_s: float) -> Series:
    """Return the samples from `start_s` to before `end_s`, times unchanged; views, no copies. May be empty."""
    first, last = np.searchsorted(series.times, [start_s, end_s])
    return dataclasses.replace(series, times=series.times[first:last], values=series.values[first:last])


def resample(series: Series, rate: float, *, start_s: float, end_s: float) -> NDArray[np.float64]:
    """Return the series on the uniform grid start_s + i / rate.

    Values between samples are interpolated linearly by time; before the first sample and after the last one they are
    held. Where `rate` is below half the series' own, each value is the mean of the interpolated series over one step
    around its time, so that what the new rate cannot show is averaged instead of aliased. Reads only the samples around
    the part that is asked for.

    Parameters
    ----------
    rate : float
        Samples a second, above 0.
    start_s, end_s : float
        Seconds, on the clock of `series.times`.

    Returns
    -------
    (n, C) float64
        n = round((end_s - start_s) * rate).

    Raises
    ------
    ValueError
        The series has no samples, or the rate is not above 0.
    DataError
        As `grid_rows`.
    """
    if not len(series.times) or not rate > 0:
        raise ValueError(f"{len(series.times)} samples to resample at {rate} Hz")
    grid = start_s + np.arange(grid_rows(series, rate, end_s - start_s)) / rate
    margin = 1.0 / rate + 2.0 / series.rate
    first = max(0, int(np.searchsorted(series.times, start_s - margin)) - 1)
    last = int(np.searchsorted(series.times, end_s + margin)) + 1
    times, values = series.times[first:last], series.values[first:last]
    if 2 * rate < series.rate:
        return _cell_means(times, values, grid, 1.0 / rate)
    return _interpolate(times, values, grid)


def grid_rows(series: Series, rate: float, duration_s: float) -> int:
    """Return the rows of a uniform grid over `duration_s` seconds.

    Raises
    ------
    DataError
        So many more than the series has samples that its stamps or its rate must be wrong; a few stamps that lie years
        apart would fill the memory.
    """
    rows = max(0.0, duration_s * rate)
    if rows > _SPARE_ROWS + _MOST_A_SAMPLE * len(series.times):
        raise DataError(
            f"{len(series.times)} samples in {duration_s:.6g} s",
            where=f"a series at {rate:g} Hz",
            expected=f"at most {_MOST_A_SAMPLE} times fewer than that rate gives",
            remedy="correct its stamps, or give its own rate",
        )
    return round(rows)


def _interpolate(times: NDArray, values: NDArray, at: NDArray) -> NDArray[np.float64]:
    result = np.empty((len(at), values.shape[1]))
    for channel in range(values.shape[1]):
        result[:, channel] = np.interp(at, times, values[:, channel])
    return result


def _cell_means(times: NDArray, values: NDArray, centres: NDArray, width: float) -> NDArray[np.float64]:
    """Return the mean of the interpolated series over `width` seconds around each centre."""
    upto_start = _integral(times, values, centres - width / 2)
    upto_end = _integral(times, values, centres + width / 2)
    return (upto_end - upto_start) / width


def _integral(times: NDArray, values: NDArray, at: NDArray) -> NDArray[np.float64]:
    """Return the integral of the interpolated series from its first sample to each time, values held outside."""
    steps = np.diff(times)[:, None]
    areas = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(steps * (values[1:] + values[:-1]) / 2, axis=0)])
    before = np.clip(np.searchsorted(times, at, side="right") - 1, 0, len(times) - 1)
    return areas[before] + (at - times[before])[:, None] * (values[before] + _interpolate(times, values, at)) / 2
