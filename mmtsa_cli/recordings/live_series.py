"""The last seconds of a sensor whose samples come one by one: put in order as `cleaning` does, cut without look-ahead.

What a file shows at once has to be decided here before the rest is known. A stamp that repeats waits for the next one,
towards which its run is then spread. One that runs back by at most `slack_s` is sorted in. One that is further off,
back or far ahead, may be a faulty row or a clock that was set: three in a row that go on among themselves are a clock.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mmtsa_cli.errors import DataError
from mmtsa_cli.recordings.series import Series, resample

FAR_S = 60.0
"""A step further ahead than this is believed only when the rows after it go on from there."""
_BELIEVED = 3
_STEPS_LOOKED_AT = 64
_FASTEST = 64
"""How many times faster than in training a sensor may deliver."""


class GapError(DataError):
    """What a window needs is not there; `what` says in few words what is missing."""


@dataclass(frozen=True)
class Jump:
    """A clock that was set: its stamps go on from `to_s`, `by_s` away (below 0: back) from where they should."""

    to_s: float
    by_s: float


class LiveSeries:
    """What a sensor delivered in the last `keep_s` seconds.

    Parameters
    ----------
    axes : sequence of str
        Names of the C axes.
    rate : float
        Samples a second to which windows are resampled.
    keep_s : float
        How far back windows reach.
    max_gap_s : float
        Longest gap that is filled by interpolation; two and a half steps of a slow sensor are none.
    slack_s : float
        By how much samples may be out of order.
    repeats : bool
        Rows of one stamp may hold the same values: the stamp is none of the sensor's own.

    Attributes
    ----------
    dropped : Counter
        Rows that were not kept, by reason.
    """

    def __init__(
        self,
        axes: tuple[str, ...],
        rate: float,
        *,
        keep_s: float,
        max_gap_s: float,
        slack_s: float,
        repeats: bool = False,
    ) -> None:
        self._repeats = repeats
        self._axes = axes
        self._rate = rate
        self._keep_s = keep_s
        self._max_gap_s = max_gap_s
        self._slack_s = slack_s
        self._most = int(_FASTEST * rate * keep_s) + 1024
        self._room(256)
        self.dropped: Counter[str] = Counter()
        self.clear()

    def clear(self) -> None:
        """Forget all samples."""
        self._first = self._end = self._appended = 0
        # The rate, and the number of samples when it was measured: again after as many, or 64, more.
        self._measured: tuple[int, float | None] = (0, None)
        # Rows of the newest stamp, which is that of `_run[0]`; and rows whose stamps are not believed yet.
        self._run: list[tuple[float, NDArray[np.float64]]] = []
        self._odd: list[tuple[float, NDArray[np.float64]]] = []
        self._known: set[bytes] = set()

    @property
    def newest_s(self) -> float | None:
        """Stamp of the newest sample; None where there is none."""
        return self._run[0][0] if self._run else None

    @property
    def held(self) -> int:
        """Number of samples in memory."""
        return self._end - self._first + len(self._run)

    def add(self, time_s: float, values: NDArray[np.float64]) -> Jump | None:
        """Take a sample in the order of its arrival.

        Parameters
        ----------
        time_s : float
        values : (C,) float64

        Returns
        -------
        Jump or None
            The clock was set: the samples from before and after have no common time. Nothing is kept of those after it;
            clear the series and add `odd` again.
        """
        newest = self.newest_s
        if newest is None:
            self._run = [(time_s, values)]
            return None
        step = time_s - newest
        if step < -self._slack_s or step > FAR_S:
            return self._doubted(time_s, values, newest)
        if self._odd:
            self._drop("stray stamp", len(self._odd))
            self._odd = []
        if step == 0:
            self._repeat(time_s, values)
        elif step > 0:
            self._settle(step)
            self._run = [(time_s, values)]
        else:
            self._sort_in(time_s, values)
        return None

    @property
    def odd(self) -> list[tuple[float, NDArray[np.float64]]]:
        """Rows whose stamps are not believed yet, after a jump those from it on."""
        return self._odd

    def window(self, start_s: float, samples: int) -> NDArray[np.float32]:
        """Return `samples` samples from `start_s` on, at the rate of training, as `sample` would cut them.

        Returns
        -------
        (C, K) float32

        Raises
        ------
        GapError
        """
        rate = self._rate
        end_s = start_s + samples / rate
        times, values = self._times[self._first : self._end], self._values[self._first : self._end]
        if self._run:
            times = np.append(times, self._run[0][0])
            values = np.concatenate([values, self._run[0][1][None]])
        first = max(0, int(np.searchsorted(times, start_s, side="right")) - 1)
        last = int(np.searchsorted(times, end_s)) + 1
        around = times[first:last]
        self._check(around, start_s, end_s)
        rows = resample(Series(times, values, self._axes, self.rate or rate), rate, start_s=start_s, end_s=end_s)
        return np.ascontiguousarray(rows.T, np.float32)

    def extremes(self, start_s: float, length_s: float) -> NDArray[np.float32]:
        """Return minimum and maximum of each axis over some time, resampled as windows are, (C, 2).

        Raises
        ------
        GapError
        """
        window = self.window(start_s, max(1, round(length_s * self._rate)))
        return np.stack([window.min(axis=1), window.max(axis=1)], axis=-1)

    def next_after(self, time_s: float) -> float | None:
        """Return the stamp of the first sample after some time; None where there is none."""
        at = self._first + int(np.searchsorted(self._times[self._first : self._end], time_s, side="right"))
        if at < self._end:
            return float(self._times[at])
        newest = self.newest_s
        return newest if newest is not None and newest > time_s else None

    def reaches(self, end_s: float) -> bool:
        """Whether the samples that a window to `end_s` needs have come."""
        newest = self.newest_s
        if newest is None:
            return False
        # The last sample of the window's grid; where steps are averaged, half a step more.
        fast = (self.rate or 0.0) > 2 * self._rate
        return newest >= end_s - (0.5 if fast else 1.0) / self._rate - 1e-6

    @property
    def rate(self) -> float | None:
        """Samples a second that come, by the last steps that are no gaps; None of fewer than two samples."""
        if self._appended - self._measured[0] >= min(_STEPS_LOOKED_AT, max(self._measured[0], 1)):
            times = self._times[max(self._first, self._end - 2 * _STEPS_LOOKED_AT) : self._end]
            steps = np.diff(times)
            steps = steps[steps <= self._max_gap_s] if len(steps) and steps.min() <= self._max_gap_s else steps
            self._measured = self._appended, float(1.0 / steps.mean()) if len(steps) else None
        return self._measured[1]

    @property
    def usual_rate(self) -> float:
        """Samples a second that come, or that came in training where that is not known yet."""
        return self.rate or self._rate

    def recent(self) -> NDArray[np.float64]:
        """Return the values of all samples in memory, (n, C)."""
        return self._values[self._first : self._end]

    # Keeping

    def _doubted(self, time_s: float, values: NDArray[np.float64], newest: float) -> Jump | None:
        before = self._odd[-1][0] if self._odd else None
        if before is not None and not 0 <= time_s - before <= FAR_S:
            self._drop("stray stamp", len(self._odd))
            self._odd = []
        self._odd.append((time_s, values))
        if len(self._odd) < _BELIEVED:
            return None
        return Jump(self._odd[0][0], self._odd[0][0] - newest)

    def _repeat(self, time_s: float, values: NDArray[np.float64]) -> None:
        # Known by their bytes, as a stamp that stands still makes a run long.
        self._known = self._known or {known.tobytes() for _, known in self._run}
        if not self._repeats and values.tobytes() in self._known:
            self._drop("repeated row")
        elif len(self._run) >= max(_STEPS_LOOKED_AT, 4 * self._rate):
            self._drop("stamps that stand still")
        else:
            self._run.append((time_s, values))
            self._known.add(values.tobytes())

    def _settle(self, step: float) -> None:
        """Put the run of the newest stamp to its times, spread towards the next stamp by no more than the mean step."""
        self._known = set()
        count = len(self._run)
        if count > 1:
            usual = 1.0 / (self.rate or self._rate)
            step = min(step / count, usual)
        for number, (time_s, values) in enumerate(self._run):
            self._append(time_s + number * step if number else time_s, values)

    def _append(self, time_s: float, values: NDArray[np.float64]) -> None:
        if self._end == len(self._times):
            self._make_room()
        self._times[self._end] = time_s
        self._values[self._end] = values
        self._end += 1
        self._appended += 1

    def _sort_in(self, time_s: float, values: NDArray[np.float64]) -> None:
        at = self._first + int(np.searchsorted(self._times[self._first : self._end], time_s))
        if at < self._end and self._times[at] == time_s:
            self._drop("repeated row")
            return
        if self._end == len(self._times):
            at -= self._first
            self._make_room()
            at += self._first
        self._times[at + 1 : self._end + 1] = self._times[at : self._end].copy()
        self._values[at + 1 : self._end + 1] = self._values[at : self._end].copy()
        self._times[at], self._values[at] = time_s, values
        self._end += 1

    def _make_room(self) -> None:
        """Forget what is older than `keep_s`; move the rest to the front, of larger arrays where it fills these."""
        oldest = self._times[self._end - 1] - self._keep_s
        first = self._first + int(np.searchsorted(self._times[self._first : self._end], oldest))
        # One more, from which a window's first sample is interpolated.
        first = max(self._first, first - 1)
        if self._end - first > self._most:
            self._drop("more rows than memory is given", self._end - first - self._most)
            first = self._end - self._most
        times, values = self._times[first : self._end].copy(), self._values[first : self._end].copy()
        if 2 * len(times) > len(self._times):
            self._room(2 * len(self._times))
        self._times[: len(times)], self._values[: len(times)] = times, values
        self._first, self._end = 0, len(times)

    def _room(self, rows: int) -> None:
        self._times = np.empty(rows)
        self._values = np.empty((rows, len(self._axes)))

    def _drop(self, reason: str, count: int = 1) -> None:
        self.dropped[reason] += count

    # Gaps

    def _check(self, times: NDArray[np.float64], start_s: float, end_s: float) -> None:
        if not len(times):
            raise GapError("no sample yet")
        limit = self._max_gap_s
        if self.rate:
            limit = max(limit, 2.5 / self.rate)
        if times[0] > start_s + limit:
            ahead = times[0] - end_s
            what = f"begins {ahead:.2f} s later" if ahead > 0 else f"no samples before {times[0]:.2f} s"
            raise GapError(what)
        steps = np.diff(times)
        if len(steps) and steps.max() > limit:
            at = int(steps.argmax())
            raise GapError(f"gap of {steps[at]:.2f} s from {times[at]:.2f} s on")
        if times[-1] < end_s - limit:
            raise GapError(f"no samples since {times[-1]:.2f} s")
