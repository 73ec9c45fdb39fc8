"""Scores of predictions: accuracy (= micro F1), macro F1, per-class F1, confusion matrix."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class ClassScore:
    """Precision, recall and F1 of one class, and how many clips of it there are."""

    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class Score:
    """Scores over n clips.

    Attributes
    ----------
    accuracy : float
        Part of the clips whose class is right; with one label a clip this is the micro F1 of the paper.
    macro_f1 : float
        Mean F1 over the classes that occur among the true or the predicted labels.
    per_class : tuple of ClassScore
        In the order of the classes.
    n : int
    """

    accuracy: float
    macro_f1: float
    per_class: tuple[ClassScore, ...]
    n: int


def confusion_matrix(true: NDArray[np.int64], predicted: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """Return how many clips of each true class (row) were given each class (column), (classes, classes)."""
    return np.bincount(true * classes + predicted, minlength=classes * classes).reshape(classes, classes)


def score(true: NDArray[np.int64], predicted: NDArray[np.int64], classes: int) -> Score:
    """Score predictions.

    Parameters
    ----------
    true, predicted : (n,) int arrays
        Classes as numbers from 0.
    classes : int

    Raises
    ------
    ValueError
        Nothing to score.
    """
    if not len(true):
        raise ValueError("no predictions to score")
    matrix = confusion_matrix(true, predicted, classes)
    hits, support, given = np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
    precision, recall = _ratio(hits, given), _ratio(hits, support)
    f1 = _ratio(2 * hits, given + support)
    present = (given + support) > 0
    rows = zip(precision, recall, f1, support, strict=True)
    per_class = tuple(ClassScore(float(p), float(r), float(f), int(s)) for p, r, f, s in rows)
    return Score(float(hits.sum() / len(true)), float(f1[present].mean()), per_class, len(true))


def _ratio(part: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.divide(part, whole, out=np.zeros(len(part)), where=whole > 0)
