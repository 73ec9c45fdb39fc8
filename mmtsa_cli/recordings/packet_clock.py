"""When samples were taken that come in packets: a packet has a time, its samples have none.

A sensor runs on its own clock, and the camera puts what has arrived into a packet about once a second, now a few
samples more, now less. So one line through all packets (time over number of samples before) gives the true rate without
that jitter. Only where packets lie on no line (a recording that was cut together), each is spread over its own time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Packets:
    """The packets of one stream that hold samples, at least one.

    Attributes
    ----------
    starts : (p,) float64
        Seconds, ascending.
    counts : (p,) int64
        Samples, above 0.
    end_s : float
        Where the last packet ends.
    before : (p,) float64
        Samples before the packet by the camera's own count; NaN where it does not say.
    stamps : (p,) float64
        Time of the packet's first sample by the camera's own clock, in seconds on that of `starts`; NaN as above.
    """

    starts: NDArray[np.float64]
    counts: NDArray[np.int64]
    end_s: float
    before: NDArray[np.float64]
    stamps: NDArray[np.float64]


def sample_times(packets: Packets) -> NDArray[np.float64]:
    """Return the time of each sample, in seconds on the clock of the packets.

    Samples that the camera counted and the file has lost leave a gap.
    """
    starts, counts = packets.starts, packets.counts
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    if len(starts) == 1:
        return starts[0] + within * (packets.end_s - starts[0]) / counts[0]
    before = _before(packets)
    step, first = np.polyfit(before, _clock(packets), 1)
    if step > 0 and np.abs(first + step * before - starts).max() <= _usual_length(starts) / 2:
        return first + step * (np.repeat(before, counts) + within)
    return np.repeat(starts, counts) + within * np.repeat(_own_steps(packets), counts)


def _before(packets: Packets) -> NDArray[np.float64]:
    """Return the number of samples before each packet: by the camera's count, if that agrees with the packets."""
    counted = np.cumsum(packets.counts) - packets.counts
    said = packets.before - packets.before[0]
    agrees = bool(np.all(np.diff(said) >= packets.counts[:-1]))
    return said if agrees else counted.astype(np.float64)


def _clock(packets: Packets) -> NDArray[np.float64]:
    """Return the time of each packet: by the camera's own stamps, if they never stray from the packets' times."""
    starts, stamps = packets.starts, packets.stamps
    return stamps if np.all(np.abs(stamps - starts) <= _usual_length(starts)) else starts


def _usual_length(starts: NDArray[np.float64]) -> float:
    return float(np.median(np.diff(starts)))


def _own_steps(packets: Packets) -> NDArray[np.float64]:
    """Return the step in each packet: to the next packet's start, but no stretching over a gap."""
    steps = np.diff(packets.starts) / packets.counts[:-1]
    usual = float(np.median(steps))
    return np.append(np.minimum(steps, 2 * usual), usual)
