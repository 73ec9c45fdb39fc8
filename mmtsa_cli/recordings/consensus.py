"""One offset for many recordings: what their evidence adds up to, how far it can be trusted, and what each says alone.

Each recording's probabilities are spread by 30 ms, mixed with a twentieth of "this recording says nothing", and
multiplied: a few recordings that are wrong cannot outvote the rest. Confidence is the product of two numbers.
*Stability*: the probability within 0.1 s of the offset, on average over 200 samples of the recordings drawn with
replacement. *Significance*: how far the agreement goes beyond that of 20 mismatched sets (each video with the sensor of
another recording, of the same label where there are some), as two recordings of one movement resemble each other too.
An extreme value distribution through their best agreements gives the probability p of this one by chance, and 1 + e p
ln p is 1 less the smallest Bayes factor in favour of chance (Sellke, Bayarri and Berger 2001): 0.98 for p = 0.001, 0.6
for p = 0.05, 0 from p = 0.37 on.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mmtsa_cli.recordings.motion import GRID_HZ, Motion, smoothed
from mmtsa_cli.recordings.synchrony import NEAR_S, Estimate, agreement, estimate, probabilities, shifts_s

Array = NDArray[np.float64]
Pair = tuple[Motion, Motion]

RELIABLE = 0.9
"""Confidence from which an offset is called reliable."""
_SILENT = 0.05
_SPREAD_S = 0.03
_COMMON_S = 0.05
_MISMATCHED = 20
_ENOUGH, _ENOUGH_ALIKE = 6, 3
"""Recordings in all, and of a label, from which there are others enough to mismatch each with."""
_RESAMPLED = 200
_ROUNDS = 50


@dataclass(frozen=True)
class Consensus:
    """The offset of a modality over many recordings.

    Attributes
    ----------
    offset_s : float
        What to add to the modality's times.
    low_s, high_s : float
        95 % of the probability, averaged over samples of the recordings drawn with replacement.
    confidence : float
        Stability times significance, 0 to 1.
    significance : float
        How sure it is that the recordings agree better on one offset than mismatched ones do, 0 to 1.
    related : float
        How sure it is that they agree better, each at an offset of its own.
    common : float
        The part of the recordings that have this offset, the others each having one of their own.
    spread_s : float
        Robust standard deviation of the recordings' own offsets about it.
    verdict : str
        "reliable", or "uncertain: " and why.
    recordings : list of Estimate
        Per pair its own offset, `offset_s` being believed beforehand as far as `common` says; its confidence times the
        larger of `significance` and `related`.
    """

    offset_s: float
    low_s: float
    high_s: float
    confidence: float
    significance: float
    related: float
    common: float
    spread_s: float
    verdict: str
    recordings: list[Estimate]


def consensus(pairs: Sequence[Pair], labels: Sequence[str], *, max_shift_s: float, seed: int = 0) -> Consensus | None:
    """Return the offset that the pairs of a modality have in common; None where none of them can be compared.

    Parameters
    ----------
    pairs : sequence of (reference, other)
        The motions of each recording.
    labels : sequence of str
        What is done in each.
    max_shift_s : float
        The largest offset, either way, that is looked for.
    seed : int
    """
    shifts = shifts_s(max_shift_s)
    rows = [agreement(reference, other, max_shift_s=max_shift_s) for reference, other in pairs]
    evidence = [row if row is not None else np.zeros(len(shifts)) for row in rows]
    if all(row is None for row in rows):
        return None
    rng = np.random.default_rng(seed)
    added = _added(evidence)
    best = estimate(added.sum(axis=0), shifts)
    near = np.abs(shifts - best.offset_s) <= NEAR_S
    agreed, alone = _peaks(evidence, near)
    chance = [_peaks(_known(mismatched, max_shift_s)) for mismatched in _mismatched_sets(pairs, labels, rng)]
    significance = _beyond(agreed, [one for one, _ in chance])
    related = _beyond(alone, [one for _, one in chance])
    resampled = _resampled(added, rng)
    stability = float(resampled[near].sum())
    low, high = _quantiles(resampled, shifts)
    common = _common(evidence, shifts, best.offset_s)
    return Consensus(
        offset_s=best.offset_s,
        low_s=min(low, best.offset_s),
        high_s=max(high, best.offset_s),
        confidence=stability * significance,
        significance=significance,
        related=related,
        common=common,
        spread_s=_spread([estimate(row, shifts) for row in rows if row is not None], best.offset_s),
        verdict=_verdict(best.offset_s, max_shift_s, stability, significance, related, common),
        recordings=_own(evidence, shifts, best.offset_s, common, max(significance, related)),
    )


def _added(evidence: Sequence[Array]) -> Array:
    """Return what each recording adds to the logarithm of the offsets' common likelihood, (recordings, shifts)."""
    rows = np.stack([smoothed(probabilities(row), _SPREAD_S) for row in evidence])
    return np.log(_SILENT + (1 - _SILENT) * rows * rows.shape[1])


def _peaks(evidence: Sequence[Array], near: NDArray[np.bool_] | slice = slice(None)) -> tuple[float, float]:
    """Return what speaks for the best common offset among those `near`, and for each recording's own, in all."""
    if not evidence:
        return 0.0, 0.0
    return float(np.sum(evidence, axis=0)[near].max()), float(sum(row.max() for row in evidence))


def _known(pairs: Sequence[Pair], max_shift_s: float) -> list[Array]:
    rows = [agreement(reference, other, max_shift_s=max_shift_s) for reference, other in pairs]
    return [row for row in rows if row is not None]


def _beyond(peak: float, chance: Sequence[float]) -> float:
    """Return how sure it is that `peak` is no chance (Gumbel's distribution, fitted by its moments), 0 to 1."""
    spread = float(np.std(chance, ddof=1))
    if spread < 1e-9:
        return float(peak > max(chance) + 1e-9)
    reduced = (peak - float(np.mean(chance))) / spread * np.pi / np.sqrt(6) + np.euler_gamma
    by_chance = max(-float(np.expm1(-np.exp(-reduced))), 1e-300)
    return 1.0 + float(math.e * by_chance * np.log(by_chance)) if by_chance < 1 / math.e else 0.0


def _mismatched_sets(pairs: Sequence[Pair], labels: Sequence[str], rng: np.random.Generator) -> Iterator[list[Pair]]:
    """Yield sets of each reference with the other motion of another recording, of the same label where there are some.

    Of few recordings the other motion is turned round in time as well, to have more than a few sets: it keeps its
    rhythm, and nothing else in common.
    """
    everyone = list(range(len(pairs)))
    alike = [[at for at in everyone if labels[at] == label] for label in labels]
    choices = [its if len(its) >= _ENOUGH_ALIKE else everyone for its in alike]
    for _ in range(_MISMATCHED):
        partners = [_another(at, its, rng) for at, its in enumerate(choices)]
        turned = rng if len(pairs) < _ENOUGH else None
        yield [_mismatched(pairs[at], pairs[partner], turned) for at, partner in enumerate(partners)]


def _another(at: int, choices: Sequence[int], rng: np.random.Generator) -> int:
    rest = [choice for choice in choices if choice != at] or [at]
    return rest[int(rng.integers(len(rest)))]


def _mismatched(pair: Pair, partner: Pair, turned: np.random.Generator | None) -> Pair:
    (reference, _), (start, other) = pair, partner
    values = other.values
    if turned is not None:
        values = np.roll(values[::-1], int(turned.integers(max(1, len(values)))))
    # As far from the start of the reference as it is from that of its own one: clocks count from anywhere.
    return reference, Motion(other.first - start.first + reference.first, values)


def _resampled(added: Array, rng: np.random.Generator) -> Array:
    """Return the probabilities of the shifts, averaged over samples of the recordings drawn with replacement."""
    counts = rng.multinomial(len(added), np.full(len(added), 1 / len(added)), size=_RESAMPLED)
    return np.mean([probabilities(row) for row in counts @ added], axis=0)


def _quantiles(probability: Array, shifts: Array) -> tuple[float, float]:
    upto = np.cumsum(probability)
    edges = shifts + 0.5 / GRID_HZ
    return float(np.interp(0.025, upto, edges)), float(np.interp(0.975, upto, edges))


def _common(evidence: Sequence[Array], shifts: Array, offset_s: float) -> float:
    """Return the part of the recordings whose offset is the common one (expectation maximisation of a mixture)."""
    near = np.asarray([float(probabilities(row) @ _bell(shifts, offset_s)) for row in evidence])
    part = 0.5
    for _ in range(_ROUNDS):
        part = float(np.mean(part * near / (part * near + (1 - part) / len(shifts))))
    return part


def _own(
    evidence: Sequence[Array], shifts: Array, offset_s: float, common: float, significance: float
) -> list[Estimate]:
    prior = np.log(common * _bell(shifts, offset_s) + (1 - common) / len(shifts) + 1e-12)
    found = [estimate(row + prior, shifts) for row in evidence]
    return [Estimate(one.offset_s, one.confidence * significance) for one in found]


def _bell(shifts: Array, offset_s: float) -> Array:
    bell = np.exp(-0.5 * ((shifts - offset_s) / _COMMON_S) ** 2)
    return bell / bell.sum()


def _spread(found: Sequence[Estimate], offset_s: float) -> float:
    """Return how far the recordings' own offsets scatter, of those that are more likely right than wrong."""
    clear = [one.offset_s for one in found if one.confidence > 0.5] or [one.offset_s for one in found]
    return 1.4826 * float(np.median(np.abs(np.asarray(clear) - offset_s)))


def _verdict(
    offset_s: float, max_shift_s: float, stability: float, significance: float, related: float, common: float
) -> str:
    at_limit = abs(offset_s) >= max_shift_s - NEAR_S
    if stability * significance >= RELIABLE and common >= 0.5 and not at_limit:
        return "reliable"
    if max(significance, related) < RELIABLE:
        return "uncertain: recordings that do not belong together agree equally well"
    if common < 0.5 or significance < RELIABLE:
        return f"uncertain: {common:.0%} of the recordings agree on it, the others have offsets of their own"
    if at_limit:
        return f"uncertain: at the limit of what was looked for, {max_shift_s:g} s"
    return "uncertain: several offsets fit nearly as well"
