"""When the body is where: the phase of a gesture over a clip, and the phases that its frames show.

So that frames say nothing of tempo, a clip lasts a prime number of frames n and a whole number of cycles, and its
frames show the n phases (j + 1/2) / n, each exactly once: the frames of a slow clip are those of a fast one in another
order.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mmtsa_cli.recordings.synthesis.activities import TEMPI
from mmtsa_cli.recordings.synthesis.body import Array

FRAME_RATE = 15
"""Frames a second (MMAct has 29.97; half of it halves the work and loses nothing that a sparse sampler sees)."""

# Spread of the durations of the cycles of one clip, as the standard deviation of their logarithm, and its limit.
_UNEVENNESS = 0.12
_UNEVENNESS_LIMIT = 0.2


@dataclass(frozen=True)
class Timing:
    """The phase of one clip as a smooth rising function of time.

    Attributes
    ----------
    duration : float
        Seconds.
    frames : int
        n, a prime.
    start : float
        Phase at second 0, in cycles.
    borders : (cycles + 1,) float64
        Times in seconds by which 0, 1, ... whole cycles have passed; from 0 to `duration`.
    """

    duration: float
    frames: int
    start: float
    borders: Array

    @property
    def cycles(self) -> int:
        """Whole cycles in the clip."""
        return len(self.borders) - 1

    def phase(self, times: Array) -> Array:
        """Return the phase in cycles at `times` (n,) in seconds, twice differentiable, also beyond the ends."""
        from scipy.interpolate import CubicSpline

        passed = np.arange(len(self.borders), dtype=np.float64)
        if self.cycles < 2:
            return self.start + np.asarray(times) / self.duration
        return self.start + CubicSpline(self.borders, passed, bc_type="natural")(times)

    def frame_times(self) -> Array:
        """Return the times in seconds at which the n frames are taken."""
        return np.arange(self.frames) / FRAME_RATE

    def frame_phases(self) -> tuple[Array, NDArray[np.intp]]:
        """Return the phase that each frame shows, and its rank j among the n phases.

        The phases of the body at the frame times are evened out to the phases (j + 1/2) / n by their rank; what a frame
        shows is off from the body's own phase by about a frame's step; where a clip has two cycles of uneven length, by
        4 % of a cycle at most.
        """
        true = self.phase(self.frame_times()) % 1.0
        order = np.argsort(true, kind="stable")
        # Ranks count from where the circle of phases is cut: cut it where ranks and phases agree best.
        grid = (np.arange(self.frames) + 0.5) / self.frames
        shift = round(float(np.median(true[order] - grid)) * self.frames)
        ranks = np.empty(self.frames, dtype=np.intp)
        ranks[order] = (np.arange(self.frames) + shift) % self.frames
        return (ranks + 0.5) / self.frames, ranks


def frame_count(seconds: float) -> int:
    """Return the largest prime number of frames that lasts no longer than `seconds`."""
    count = int(seconds * FRAME_RATE + 1e-9)
    while not _is_prime(count):
        count -= 1
    return count


def cycle_choices(tempo: str, seconds: float) -> range:
    """Return the whole numbers of cycles that a clip of a tempo may have: within the tempo's band, at least one."""
    low, high = TEMPI[tempo]
    first = max(1, math.ceil(low * seconds - 1e-9))
    return range(first, max(first, math.floor(high * seconds + 1e-9)) + 1)


def draw_timing(tempo: str, seconds: float, *, hurry: float, rng: np.random.Generator) -> Timing:
    """Draw the timing of a clip: a whole number of cycles of uneven durations, begun anywhere in a cycle.

    Parameters
    ----------
    tempo : str
        Key of `TEMPI`.
    seconds : float
        Wanted duration; the clip lasts `frame_count(seconds)` frames.
    hurry : float
        0 to 1: where in the tempo's band the person moves by habit.
    rng : numpy.random.Generator
    """
    frames = frame_count(seconds)
    choices = cycle_choices(tempo, seconds)
    part = float(np.clip(hurry + rng.normal(0.0, 0.25), 0.0, 1.0 - 1e-9))
    cycles = choices[int(part * len(choices))]
    unevenness = np.clip(rng.normal(0.0, _UNEVENNESS, cycles), -_UNEVENNESS_LIMIT, _UNEVENNESS_LIMIT)
    lengths = np.exp(unevenness)
    duration = frames / FRAME_RATE
    borders = np.concatenate([[0.0], np.cumsum(lengths)]) * (duration / lengths.sum())
    return Timing(duration, frames, float(rng.random()), borders)


def _is_prime(number: int) -> bool:
    return number >= 2 and all(number % divisor for divisor in range(2, math.isqrt(number) + 1))
