"""The offset between two motions of one recording: how well they agree at every shift, and how sure that makes.

At each shift the two are correlated where they overlap. A correlation r over n independent samples is worth
-n/2 log(1 - r^2) in favour of the shift (the log-likelihood ratio of two related Gaussians against unrelated ones). The
number of independent samples follows from how long each motion goes on resembling itself (Bartlett), so that swinging
to and fro for a minute says little more than a few swings. Probabilities over all shifts follow by normalising: of a
periodic movement several peaks stay, and the probability within 0.1 s of the highest is what it should be called.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mmtsa_cli.recordings.motion import GRID_HZ, Motion

Array = NDArray[np.float64]

NEAR_S = 0.1
"""Offsets that differ by no more are the same."""
DRIFT_FROM_S = 60.0
"""Shorter recordings say nothing of drift."""
_RELATED = 0.98
"""Two devices never see quite the same; without it, what is periodic would be certain of one of its peaks."""
_OVERLAP_S = 2.0
_PART_S = (20.0, 60.0)
_SEARCHED_S = 0.5


@dataclass(frozen=True)
class Estimate:
    """An offset.

    Attributes
    ----------
    offset_s : float
        What to add to the second motion's times, so that they agree with the first one's.
    confidence : float
        Probability, 0 to 1, that the offset is within 0.1 s of it.
    """

    offset_s: float
    confidence: float


@dataclass(frozen=True)
class Drift:
    """How the offset grows.

    Attributes
    ----------
    ms_per_minute : float
        What the offset to be added grows by in a minute.
    confidence : float
        0 to 1: the share of the parts whose own offsets are within 50 ms of the line, times the mean probability of
        these offsets.
    """

    ms_per_minute: float
    confidence: float


def shifts_s(max_shift_s: float) -> Array:
    """Return the shifts that are tried, in seconds: every step of the grid from -max_shift_s to max_shift_s."""
    steps = max(1, round(max_shift_s * GRID_HZ))
    return np.arange(-steps, steps + 1) / GRID_HZ


def agreement(reference: Motion, other: Motion, *, max_shift_s: float) -> Array | None:
    """Return what speaks for each shift of `shifts_s`: log-likelihood ratios, 0 where nothing does.

    None where one of the two is still, or where they overlap too little: by 2 s, or half of the shorter one, at any
    shift.
    """
    if reference.is_still or other.is_still:
        return None
    lags = np.round(shifts_s(max_shift_s) * GRID_HZ).astype(np.int64)
    correlations, overlaps = _correlations(reference, other, lags)
    shorter = min(len(reference.values), len(other.values))
    enough = overlaps >= max(2, min(_OVERLAP_S * GRID_HZ, shorter / 2))
    if not enough.any():
        return None
    positive = np.where(enough, _RELATED * np.clip(correlations, 0.0, 1.0), 0.0)
    samples = overlaps * _independent_share(reference.values, other.values)
    return -0.5 * np.log1p(-(positive**2)) * np.maximum(samples - 1.0, 0.0)


def probabilities(evidence: Array) -> Array:
    """Return the probability of each shift, all being equally likely before."""
    likely = np.exp(evidence - evidence.max())
    return likely / likely.sum()


def estimate(evidence: Array, shifts: Array) -> Estimate:
    """Return the likeliest shift, refined between the steps of the grid by a parabola."""
    at = int(np.argmax(evidence))
    offset = float(shifts[at])
    if 0 < at < len(shifts) - 1:
        before, peak, after = evidence[at - 1 : at + 2]
        bend = before - 2 * peak + after
        offset += 0.5 * float((before - after) / bend) / GRID_HZ if bend < 0 else 0.0
    near = np.abs(shifts - offset) <= NEAR_S
    return Estimate(offset, float(probabilities(evidence)[near].sum()))


def drift(reference: Motion, other: Motion, *, offset_s: float) -> Drift | None:
    """Return how the offset grows over a recording, from overlapping parts of the reference and a robust line.

    Parameters
    ----------
    reference, other : Motion
        Covering at least 60 s together.
    offset_s : float
        The offset of the whole; each part's own is sought within 0.5 s of it.
    """
    first = max(reference.first, other.first + round(offset_s * GRID_HZ))
    last = min(_end(reference), _end(other) + round(offset_s * GRID_HZ))
    if last - first < DRIFT_FROM_S * GRID_HZ:
        return None
    length = round(float(np.clip((last - first) / 3, GRID_HZ * _PART_S[0], GRID_HZ * _PART_S[1])))
    shifted = Motion(other.first + round(offset_s * GRID_HZ), other.values)
    middles, found = [], []
    for begin in range(first, last - length + 1, length // 2):
        values = reference.values[begin - reference.first : begin - reference.first + length]
        evidence = agreement(Motion(begin, values), shifted, max_shift_s=_SEARCHED_S)
        if evidence is not None:
            middles.append((begin + length / 2) / GRID_HZ)
            found.append(estimate(evidence, shifts_s(_SEARCHED_S)))
    return _line(np.asarray(middles), found) if len(found) > 2 else None


def _line(middles: Array, found: list[Estimate]) -> Drift:
    """Return the median slope between all pairs of parts (Theil and Sen)."""
    offsets = np.asarray([part.offset_s for part in found])
    later, earlier = np.tril_indices(len(found), -1)
    slope = float(np.median((offsets[later] - offsets[earlier]) / (middles[later] - middles[earlier])))
    rest = offsets - slope * middles
    on_line = np.abs(rest - np.median(rest)) <= NEAR_S / 2
    sure = float(np.mean([part.confidence for part in found]))
    return Drift(slope * 60e3, float(on_line.mean()) * sure)


def _end(motion: Motion) -> int:
    return motion.first + len(motion.values)


def _correlations(reference: Motion, other: Motion, lags: NDArray[np.int64]) -> tuple[Array, Array]:
    """Return the correlation where the two overlap, and the samples that overlap, with `other` later by each lag."""
    from scipy.signal import correlate

    x, y = reference.values, other.values
    begin = np.clip(np.maximum(0, other.first + lags - reference.first), 0, len(x))
    end = np.clip(np.minimum(len(x), _end(other) + lags - reference.first), begin, len(x))
    count = (end - begin).astype(np.float64)
    move = reference.first - other.first - lags
    products = correlate(x, y, mode="full", method="fft")
    place = np.clip(len(y) - 1 - move, 0, len(products) - 1)
    of_y = (np.clip(begin + move, 0, len(y)), np.clip(end + move, 0, len(y)))
    sum_x, square_x = _sums(x, begin, end)
    sum_y, square_y = _sums(y, *of_y)
    safe = np.maximum(count, 1.0)
    together = products[place] - sum_x * sum_y / safe
    apart = np.maximum(square_x - sum_x**2 / safe, 0.0) * np.maximum(square_y - sum_y**2 / safe, 0.0)
    # Of what hardly moves over the overlap, rounding decides.
    moved = apart > (1e-9 * float(x @ x) * float(y @ y))
    return np.where(moved, together / np.sqrt(np.where(moved, apart, 1.0)), 0.0), count


def _sums(values: Array, begin: NDArray[np.int64], end: NDArray[np.int64]) -> tuple[Array, Array]:
    total = np.concatenate([[0.0], np.cumsum(values)])
    squares = np.concatenate([[0.0], np.cumsum(values**2)])
    return total[end] - total[begin], squares[end] - squares[begin]


def _independent_share(x: Array, y: Array) -> float:
    """Return how many independent samples each sample of two unrelated series is worth (Bartlett's formula)."""
    length = max(2, min(len(x), len(y)) // 2)
    both = _self_resemblance(x, length) * _self_resemblance(y, length)
    fading = 1.0 - np.arange(1, length) / (2.0 * length)
    return 1.0 / max(1.0, 1.0 + 2.0 * float(np.sum(both[1:] * fading)))


def _self_resemblance(x: Array, length: int) -> Array:
    from scipy.fft import irfft, next_fast_len, rfft

    size = next_fast_len(2 * len(x), real=True)
    spectrum = rfft(x, size)
    resemblance = irfft(np.abs(spectrum) ** 2, size)[:length]
    return resemblance / resemblance[0]
