"""Putting a series in order: what may be put right silently enough to be counted, and what must be refused.

Timestamps that repeat come from clocks coarser than the sensor and from samples delivered in batches: each sample was
taken at its own time, so a run of equal stamps is spread evenly towards the next one, by no more than the mean step.
Stamps out of order by up to `max_gap_s` are sorted; a longer jump backwards is a clock that was set, or two recordings
in one file, and is refused, as is any gap longer than `max_gap_s`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmtsa_cli.errors import DataError
from mmtsa_cli.recordings.series import Series
from mmtsa_cli.recordings.stamps import Clock


@dataclass(frozen=True)
class RawSeries:
    """A series as it stands in its file, times in order, gaps not yet looked at.

    Attributes
    ----------
    times : (n,) float64
        Seconds, strictly increasing.
    values : (n, C) numbers
        NaN where missing.
    channels : tuple of str
    rate : float
        Samples a second.
    clock : "relative" or "absolute"
    place : callable
        Takes the number of a sample of the file (from 0), returns "FILE, row R".
    order : (n,) int or None
        Per sample its number in the file, where that is not its own position.
    notes : tuple of str
    """

    times: NDArray[np.float64]
    values: NDArray[Any]
    channels: tuple[str, ...]
    rate: float
    clock: Clock
    place: Callable[[int], str]
    order: NDArray[np.int64] | None = None
    notes: tuple[str, ...] = ()

    def where(self, index: int, channel: int | None = None) -> str:
        """Return "FILE, row R" of a sample, with its column where `channel` says which."""
        place = self.place(int(index if self.order is None else self.order[index]))
        return place if channel is None else f"{place}, {self.channels[channel]}"


def part(raw: RawSeries, start_s: float, end_s: float) -> RawSeries:
    """Return the samples from the last one at or before `start_s` to the first one at or after `end_s`."""
    first = max(0, int(np.searchsorted(raw.times, start_s, side="right")) - 1)
    last = int(np.searchsorted(raw.times, end_s)) + 1
    if first == 0 and last >= len(raw.times):
        return raw
    order = np.arange(first, min(last, len(raw.times))) if raw.order is None else raw.order[first:last]
    return RawSeries(
        raw.times[first:last], raw.values[first:last], raw.channels, raw.rate, raw.clock, raw.place, order, raw.notes
    )


def in_order(
    stamps: NDArray[np.float64], *, max_gap_s: float, place: Callable[[int], str]
) -> tuple[NDArray[np.float64], NDArray[np.int64] | None, tuple[str, ...]]:
    """Return stamps that increase strictly, where each came from, and what was done.

    Parameters
    ----------
    stamps : (n,) float64
        Seconds; NaN where missing.

    Returns
    -------
    times : (m,) float64, m <= n
    order : (m,) int or None
        Index into `stamps` of each time; None where it is its own position.
    notes : tuple of str

    Raises
    ------
    DataError
        Stamps that run backwards by more than `max_gap_s`, that do not advance, or that are infinite.
    """
    notes = []
    order = None
    if np.isinf(stamps).any():
        raise DataError("infinite timestamp", where=place(int(np.argmax(np.isinf(stamps)))))
    missing = np.isnan(stamps)
    if missing.any():
        order = np.flatnonzero(~missing)
        notes.append(f"{int(missing.sum())} rows without timestamp left out")
        stamps = stamps[order]
    if len(stamps) < 2:
        raise DataError("fewer than two timestamps", where=place(0))
    steps = np.diff(stamps)
    if (steps < 0).any():
        sorting = _sorting(stamps, steps, max_gap_s, lambda index: place(int(index if order is None else order[index])))
        stamps = stamps[sorting]
        order = sorting if order is None else order[sorting]
        notes.append(f"{int((steps < 0).sum())} timestamps out of order, sorted")
        steps = np.diff(stamps)
    if (steps == 0).any():
        stamps = _spread(stamps, where=place(0))
        notes.append(f"{int((steps == 0).sum())} repeated timestamps spread evenly")
        kept = np.concatenate([[True], np.diff(stamps) > 0])
        if not kept.all():
            stamps, order = stamps[kept], (np.flatnonzero(kept) if order is None else order[kept])
    return stamps, order, tuple(notes)


def without_repeats(stamps: NDArray[np.float64], values: NDArray[Any]) -> NDArray[np.int64] | None:
    """Return which samples to keep so that none repeats both the stamp and the values of an earlier one.

    Such a row was written twice; equal stamps of different values are samples of their own.

    Parameters
    ----------
    stamps : (n,) float64
        In any order; NaN where missing.
    values : (n, C) numbers

    Returns
    -------
    (m,) int, m < n, or None
        None: nothing is repeated.
    """
    if bool(np.all(np.diff(stamps) > 0)):
        return None
    order = np.argsort(stamps, kind="stable")
    rows = np.column_stack([stamps, np.asarray(values, np.float64)])[order]
    # Where stamps are equal, equal values stand side by side: the last key of a lexical sort counts first.
    by_value = np.lexsort((order, *rows.T[:0:-1], rows[:, 0]))
    same = np.all(rows[by_value[1:]] == rows[by_value[:-1]], axis=1)
    if not same.any():
        return None
    keep = np.ones(len(stamps), bool)
    keep[order[by_value[1:][same]]] = False
    return np.flatnonzero(keep)


def measured_rate(times: NDArray[np.float64], *, max_gap_s: float) -> float:
    """Return samples a second: the inverse of the mean step, gaps left out.

    The mean, because the median step of stamps that come in batches or in whole milliseconds is off by 10 % and more.
    """
    steps = np.diff(times)
    return float(1.0 / np.mean(steps[steps <= _longest_step(steps, max_gap_s)]))


def fill_gaps(raw: RawSeries, *, max_gap_s: float) -> Series:
    """Return the series without gaps: missing values interpolated linearly by time, at the ends held.

    Raises
    ------
    DataError
        A gap in the stamps, or between present values of a column, longer than `max_gap_s` (or than two and a half
        steps of a slow sensor); an infinite value; a column without any value.
    """
    steps = np.diff(raw.times)
    limit = _longest_step(steps, max_gap_s)
    if len(steps) and steps.max() > limit:
        index = int(np.argmax(steps > limit))
        raise _gap(raw, index + 1, None, float(steps[index]), limit)
    values = np.asarray(raw.values, dtype=np.float64)
    # A sum is finite only if all its terms are: one pass without a mask as large as the series.
    if np.isfinite(values.sum()):
        return Series(raw.times, values, raw.channels, raw.rate, raw.clock, raw.notes)
    infinite = np.isinf(values)
    if infinite.any():
        index, channel = np.argwhere(infinite)[0]
        raise DataError("infinite value", where=raw.where(index, channel), expected="a finite number")
    missing = np.isnan(values)
    if not missing.any():
        return Series(raw.times, values, raw.channels, raw.rate, raw.clock, raw.notes)
    values = values.copy()
    for channel in np.flatnonzero(missing.any(axis=0)):
        _fill(raw, values[:, channel], missing[:, channel], limit, int(channel))
    notes = (*raw.notes, f"{int(missing.sum())} missing values filled")
    return Series(raw.times, values, raw.channels, raw.rate, raw.clock, notes)


def _longest_step(steps: NDArray[np.float64], max_gap_s: float) -> float:
    """Return the longest step that is no gap: `max_gap_s`, but two and a half of the usual steps of a slow sensor."""
    if not len(steps) or steps.max() <= max_gap_s:
        return max_gap_s
    # The lower quartile: in a short series the gap itself may be half of all steps.
    return max(max_gap_s, 2.5 * float(np.quantile(steps, 0.25, method="lower")))


def _sorting(
    stamps: NDArray[np.float64], steps: NDArray[np.float64], max_gap_s: float, place: Callable[[int], str]
) -> NDArray[np.int64]:
    behind = np.maximum.accumulate(stamps) - stamps
    if behind.max() > max_gap_s or 2 * np.count_nonzero(steps < 0) > len(steps):
        index = int(np.argmax(behind > (max_gap_s if behind.max() > max_gap_s else 0)))
        raise DataError(
            f"timestamps run backwards by {behind[index]:.6g} s",
            where=place(index),
            expected=f"time to go on, or disorder of at most {max_gap_s:g} s",
            remedy="cut the file there, or give --max-gap to sort it",
        )
    return np.argsort(stamps, kind="stable")


def _spread(stamps: NDArray[np.float64], *, where: str) -> NDArray[np.float64]:
    span = stamps[-1] - stamps[0]
    if span <= 0:
        raise DataError("timestamps do not advance", where=where, remedy="give the rate in place of the time column")
    starts = np.flatnonzero(np.concatenate([[True], np.diff(stamps) > 0]))
    # Up to the start of the last run: how long that run takes is what is not known.
    mean = span / starts[-1]
    counts = np.diff(np.append(starts, len(stamps)))
    room = np.append(np.diff(stamps[starts]), np.inf)
    within = np.arange(len(stamps)) - np.repeat(starts, counts)
    return stamps + within * np.repeat(np.minimum(room / counts, mean), counts)


def _fill(raw: RawSeries, column: NDArray[np.float64], missing: NDArray[np.bool_], limit: float, channel: int) -> None:
    present = np.flatnonzero(~missing)
    if not len(present):
        raise DataError("no value at all", where=raw.where(0, channel))
    times = raw.times
    # Edges of the gaps: the ends of the series count as present, so that what is held there is bounded too.
    edges = np.unique(np.concatenate([[0], present, [len(times) - 1]]))
    spans = np.diff(times[edges])
    holes = np.diff(edges) > 1
    holes[0] |= bool(missing[0])
    holes[-1] |= bool(missing[-1])
    long = holes & (spans > limit)
    if long.any():
        at = int(np.argmax(long))
        first = edges[at] if missing[edges[at]] else edges[at] + 1
        raise _gap(raw, first, channel, float(spans[at]), limit)
    column[missing] = np.interp(times[missing], times[present], column[present])


def _gap(raw: RawSeries, index: int, channel: int | None, length: float, limit: float) -> DataError:
    what = "timestamps jump" if channel is None else "values are missing"
    return DataError(
        f"{what} for {length:.3f} s",
        where=raw.where(index, channel),
        expected=f"gaps of at most {limit:g} s",
        remedy=f"give --max-gap {np.ceil(length * 10) / 10:g} to fill it, or cut the file there",
    )
