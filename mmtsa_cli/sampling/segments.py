"""Segments of a clip and the window drawn in each: equation 6 of the paper, in seconds."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Segment:
    """A part of a clip, in seconds from the clip's start."""

    start_s: float
    end_s: float

    @property
    def length_s(self) -> float:
        """Its length in seconds."""
        return self.end_s - self.start_s

    def time_at(self, fraction: float) -> float:
        """Return the time at `fraction` (0 the start, 1 the end) of the segment."""
        return self.start_s + fraction * self.length_s


@lru_cache(maxsize=4096)
def cut(duration_s: float, count: int) -> tuple[Segment, ...]:
    """Cut a clip into `count` segments of equal length (the S_0 .. S_N of the paper's section 3.2)."""
    edges = np.linspace(0.0, duration_s, count + 1)
    return tuple(Segment(float(start), float(end)) for start, end in pairwise(edges))


def window_start(segment: Segment, fraction: float, window_s: float, duration_s: float) -> float:
    """Return where the window drawn at `fraction` of a segment starts, in seconds.

    The window contains the time `segment.time_at(fraction)`, which it shares with the frame of the same draw, and lies
    inside its segment, as equation 6 asks. Where it is longer than the segment it covers the segment and reaches into
    its neighbours, but never beyond the clip.
    """
    start = segment.start_s + fraction * (segment.length_s - window_s)
    return min(max(start, 0.0), max(duration_s - window_s, 0.0))


def draw_fractions(count: int, generator: np.random.Generator | None) -> NDArray[np.float64]:
    """Return where each of `count` segments is sampled: at random, or in the centre where no generator is given."""
    return np.full(count, 0.5) if generator is None else generator.random(count)
