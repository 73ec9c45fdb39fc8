"""Whether two systems differ: paired intervals of a difference, McNemar's test, Holm's correction.

Sources: Efron and Tibshirani, An Introduction to the Bootstrap, 1993; McNemar, Psychometrika 12, 1947, with Edwards'
correction for continuity, Psychometrika 13, 1948; Holm, Scandinavian Journal of Statistics 6, 1979.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mmtsa_cli.evaluation.intervals import REPLICATES, interval_95, pooled_confusion, resampling

EXACT_UP_TO = 1000
"""Clips on which just one of two systems is right, up to which McNemar's test is computed exactly."""


@dataclass(frozen=True)
class Difference:
    """By how much the first of two systems is better than the second on the same clips.

    Attributes
    ----------
    accuracy, macro_f1 : float
        First minus second.
    accuracy_interval_95, macro_f1_interval_95 : (float, float)
        95 % percentile intervals; one that holds 0 does not tell the systems apart.
    over : str
        What was drawn with replacement, as of `Intervals`.
    """

    accuracy: float
    macro_f1: float
    accuracy_interval_95: tuple[float, float]
    macro_f1_interval_95: tuple[float, float]
    over: str


@dataclass(frozen=True)
class McNemar:
    """McNemar's test of whether two systems are right equally often.

    Attributes
    ----------
    first_only, second_only : int
        Clips on which only the first, or only the second, is right.
    p : float
        Two-sided chance of a split at least as uneven, were the systems equally good and the clips independent.
    exact : bool
        True: from the binomial distribution; False: from chi-square with one degree of freedom.
    """

    first_only: int
    second_only: int
    p: float
    exact: bool


def paired_difference(
    true: NDArray[np.int64],
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    subjects: Sequence[str],
    classes: int,
    *,
    seed: int = 0,
    replicates: int = REPLICATES,
) -> Difference:
    """Return the difference of two systems' scores, with intervals by the paired bootstrap.

    Each replicate draws clips as `bootstrap` does, subjects first and then clips of each, and scores both systems on
    the same draw: what makes a clip or a person hard for both cancels out.

    Parameters
    ----------
    true : (n,) int array
    first, second : (n,) or (s, n) int arrays
        What each system says of the same clips in the same order; as (s, n) trained with s seeds, scored together.
    subjects : sequence of str
        n names; where all are alike, clips alone are drawn.
    classes : int

    Raises
    ------
    ValueError
        No clips, or arrays of different lengths.
    """
    _check(true, first, second)
    rng = np.random.default_rng([seed, 95])
    draw, over = resampling(subjects)
    differences = np.empty((replicates, 2))
    for replicate in range(replicates):
        chosen = draw(rng)
        differences[replicate] = _difference(true[chosen], first[..., chosen], second[..., chosen], classes)
    accuracy, macro = _difference(true, first, second, classes)
    return Difference(accuracy, macro, interval_95(differences[:, 0]), interval_95(differences[:, 1]), over)


def mcnemar(
    true: NDArray[np.int64],
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    *,
    exact_up_to: int = EXACT_UP_TO,
) -> McNemar:
    """Test whether two systems are right equally often on the same clips.

    Clips are taken as independent. Clips of one person are not, so with few people p comes out too small: read it
    beside the interval of `paired_difference`.

    Parameters
    ----------
    true, first, second : (n,) int arrays
    exact_up_to : int
        Of more clips on which just one is right, chi-square decides.

    Raises
    ------
    ValueError
        No clips, or arrays of different lengths.
    """
    _check(true, first, second)
    right, other = first == true, second == true
    mine, its = int((right & ~other).sum()), int((other & ~right).sum())
    exact = mine + its <= exact_up_to
    p = _binomial_p(min(mine, its), mine + its) if exact else _chi_square_p(mine, its)
    return McNemar(mine, its, p, exact)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p values corrected for their number, so that the chance of any false alarm stays below the level.

    The smallest of m is multiplied by m, the next by m - 1, and so on; none is smaller than the one before it.
    """
    count = len(p_values)
    corrected = [0.0] * count
    largest = 0.0
    for rank, position in enumerate(sorted(range(count), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, (count - rank) * p_values[position]))
        corrected[position] = largest
    return corrected


def _check(true: NDArray[np.int64], first: NDArray[np.int64], second: NDArray[np.int64]) -> None:
    if not len(true):
        raise ValueError("no predictions to compare")
    counts = [len(true), first.shape[-1], second.shape[-1]]
    if len(set(counts)) > 1:
        raise ValueError(f"predictions of different clips: {counts[0]}, {counts[1]}, {counts[2]}")


def _difference(
    true: NDArray[np.int64], first: NDArray[np.int64], second: NDArray[np.int64], classes: int
) -> tuple[float, float]:
    accuracy, macro = zip(*(_scores(true, predicted, classes) for predicted in (first, second)), strict=True)
    return accuracy[0] - accuracy[1], macro[0] - macro[1]


def _scores(true: NDArray[np.int64], predicted: NDArray[np.int64], classes: int) -> tuple[float, float]:
    """Return accuracy and macro F1, as `metrics.score` has them, quicker."""
    matrix = pooled_confusion(true, predicted, classes)
    hits, total = np.diag(matrix), matrix.sum(axis=0) + matrix.sum(axis=1)
    present = total > 0
    return float(hits.sum() / matrix.sum()), float((2 * hits[present] / total[present]).mean())


def _binomial_p(fewer: int, count: int) -> float:
    """Return the two-sided chance that of `count` fair coins one side shows at most `fewer` times."""
    ways = term = 1
    for drawn in range(fewer):
        term = term * (count - drawn) // (drawn + 1)
        ways += term
    # Whole numbers until here: nothing is rounded before the one division.
    return min(1.0, 2 * ways / 2**count)


def _chi_square_p(mine: int, its: int) -> float:
    statistic = max(abs(mine - its) - 1, 0) ** 2 / (mine + its)
    return math.erfc(math.sqrt(statistic / 2))
