"""95 % intervals of scores by the bootstrap, over people where there are several."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mmtsa_cli.evaluation.metrics import confusion_matrix

REPLICATES = 2000
Draw = Callable[[np.random.Generator], NDArray[np.int64]]


@dataclass(frozen=True)
class Intervals:
    """95 % percentile intervals, each (low, high).

    Attributes
    ----------
    accuracy, macro_f1 : (float, float)
    per_class_f1 : tuple of (float, float)
    over : str
        What was drawn with replacement: "subjects and their clips", or "clips" where there is one subject.
    """

    accuracy: tuple[float, float]
    macro_f1: tuple[float, float]
    per_class_f1: tuple[tuple[float, float], ...]
    over: str


def bootstrap(
    true: NDArray[np.int64],
    predicted: NDArray[np.int64],
    subjects: Sequence[str],
    classes: int,
    *,
    seed: int = 0,
    replicates: int = REPLICATES,
) -> Intervals:
    """Return the intervals of accuracy, macro F1 and each class's F1.

    Clips of one person resemble each other, so that drawing clips alone would promise too much. Each replicate draws
    subjects with replacement, and of each drawn subject as many clips as it has, with replacement (two stages).

    Parameters
    ----------
    true : (n,) int array
    predicted : (n,) or (s, n) int array
        Of one system; or of s, trained with different seeds, whose predictions of a drawn clip are scored together.
    subjects : sequence of str
        n names; where all are alike, clips alone are drawn.
    classes : int
    """
    rng = np.random.default_rng([seed, 95])
    draw, over = resampling(subjects)
    accuracy, f1, present = np.empty(replicates), np.empty((replicates, classes)), np.empty((replicates, classes), bool)
    for replicate in range(replicates):
        chosen = draw(rng)
        matrix = pooled_confusion(true[chosen], predicted[..., chosen], classes)
        hits, total = np.diag(matrix), matrix.sum(axis=0) + matrix.sum(axis=1)
        accuracy[replicate] = hits.sum() / matrix.sum()
        present[replicate] = total > 0
        f1[replicate] = np.divide(2 * hits, total, out=np.zeros(classes), where=total > 0)
    macro = f1.sum(axis=1, where=present) / present.sum(axis=1)
    per_class = tuple(interval_95(f1[present[:, c], c]) for c in range(classes))
    return Intervals(interval_95(accuracy), interval_95(macro), per_class, over)


def pooled_confusion(true: NDArray[np.int64], predicted: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """Return the confusion matrix of predictions, (n,) or (s, n), those of all seeds together."""
    rows = np.atleast_2d(predicted)
    return confusion_matrix(np.tile(true, len(rows)), rows.ravel(), classes)


def resampling(subjects: Sequence[str]) -> tuple[Draw, str]:
    """Return what draws the clips of one replicate, as positions, and what it draws in words.

    Parameters
    ----------
    subjects : sequence of str
        The subject of each of n clips.
    """
    people = [np.flatnonzero(np.array(subjects) == name) for name in sorted(set(subjects))]
    if len(people) > 1:
        return _two_stage(people), "subjects and their clips"
    return _clips(len(subjects)), "clips"


def interval_95(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return the 2.5 % and 97.5 % quantiles of replicates; (0, 0) of none."""
    if not len(values):
        return (0.0, 0.0)
    low, high = np.quantile(values, [0.025, 0.975])
    return (float(low), float(high))


def _two_stage(people: list[NDArray[np.int64]]) -> Draw:
    def draw(rng: np.random.Generator) -> NDArray[np.int64]:
        chosen = rng.integers(len(people), size=len(people))
        return np.concatenate([people[p][rng.integers(len(people[p]), size=len(people[p]))] for p in chosen])

    return draw


def _clips(count: int) -> Draw:
    return lambda rng: rng.integers(count, size=count)
