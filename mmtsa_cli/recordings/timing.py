"""How good the stamps of one file are before anything is put right: rate, jitter, drift, repeated and backward ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_LOST_S = 0.5
_LOST_STEPS = 10.0
_ROUNDS = 3
_SCATTER = 1.4826
"""Standard deviation of a normal distribution, in median absolute deviations."""


@dataclass(frozen=True)
class StampQuality:
    """What the stamps of a file are like.

    Attributes
    ----------
    rate_measured : float
        Samples a second: the slope of counts over times, time lost in gaps left out.
    jitter_s : float
        Robust standard deviation of the stamps about a straight line over their counts.
    longest_step_s : float
    repeated, backward : int
        Steps of 0, and steps below 0.
    drift_ppm : float or None
        By how many parts in a million the measured rate is above the nominal one; None where none is given.
    """

    rate_measured: float
    jitter_s: float
    longest_step_s: float
    repeated: int
    backward: int
    drift_ppm: float | None = None

    @property
    def text(self) -> str:
        """All of it in a line: "102.5 Hz, jitter 4.48 ms, longest step 0.064 s, 108 repeated"."""
        parts = [
            f"{self.rate_measured:.4g} Hz",
            f"jitter {1000 * self.jitter_s:.2f} ms",
            f"longest step {self.longest_step_s:.3f} s",
            f"{self.repeated} repeated" if self.repeated else "",
            f"{self.backward} backward" if self.backward else "",
            "" if self.drift_ppm is None else f"{self.drift_ppm:+.0f} ppm",
        ]
        return ", ".join(part for part in parts if part)


def stamp_quality(times: Array, rate: float | None = None) -> StampQuality | None:
    """Return what the stamps of a file are like; None where fewer than three are there or time does not go on.

    Parameters
    ----------
    times : (n,) float64
        Seconds, in the order of the file and as they stand there (`reading.read_stamps`); NaN where missing.
    rate : float, optional
        Nominal samples a second.
    """
    present = np.flatnonzero(np.isfinite(times))
    if len(present) < 3:
        return None
    stamps = np.asarray(times, dtype=np.float64)[present]
    # From the first one on: of seconds since 1970, the digits would not do.
    stamps = stamps - stamps[0]
    steps = np.diff(stamps)
    counts = present - present[0]
    step, rest = _line(counts.astype(np.float64), _without_gaps(stamps, counts))
    if step <= 0:
        return None
    measured = 1.0 / step
    return StampQuality(
        rate_measured=measured,
        jitter_s=_scatter(rest),
        longest_step_s=float(steps.max()),
        repeated=int(np.count_nonzero(steps == 0)),
        backward=int(np.count_nonzero(steps < 0)),
        drift_ppm=None if rate is None else (measured / rate - 1.0) * 1e6,
    )


def _without_gaps(stamps: Array, counts: NDArray[np.intp]) -> Array:
    """Return the stamps as if time had gone on at the usual step over gaps and jumps of the clock."""
    steps = np.diff(stamps)
    usual = float(np.mean(steps[np.abs(steps) <= _LOST_S])) if np.any(np.abs(steps) <= _LOST_S) else 0.0
    usual = usual if usual > 0 else float(np.median(steps))
    lost = np.abs(steps) > max(_LOST_S, _LOST_STEPS * usual)
    steps = np.where(lost, usual * np.diff(counts), steps)
    return np.concatenate([[0.0], np.cumsum(steps)])


def _line(counts: Array, stamps: Array) -> tuple[float, Array]:
    """Return slope and rest of a straight line through most of the stamps (least squares, outliers left out)."""
    kept = np.ones(len(stamps), dtype=bool)
    slope, rest = 0.0, stamps
    for _ in range(_ROUNDS):
        centre = counts[kept].mean()
        away = counts - centre
        slope = float((away[kept] @ stamps[kept]) / (away[kept] @ away[kept]))
        rest = stamps - slope * away
        rest = rest - np.median(rest[kept])
        within = np.abs(rest) <= 4.0 * _scatter(rest)
        if np.count_nonzero(within) < 3:
            break
        kept = within
    return slope, rest


def _scatter(rest: Array) -> float:
    return _SCATTER * float(np.median(np.abs(rest - np.median(rest))))
