"""Predictions of test clips to the figures that results print: points with their 95 % intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmtsa_cli.evaluation.intervals import bootstrap
from mmtsa_cli.evaluation.metrics import score


def scored(
    true: NDArray[np.int64], predicted: NDArray[np.int64], subjects: Sequence[str], classes: int, *, seed: int = 0
) -> dict[str, Any]:
    """Return accuracy and macro F1 with their 95 % intervals, as JSON values.

    Parameters
    ----------
    true, predicted : (n,) int64 arrays
    subjects : sequence of str
        As of `bootstrap`, whose seed is `seed`.

    Returns
    -------
    dict
        `accuracy`, `interval_95`, `macro_f1`, `macro_f1_interval_95`, `interval_over` (what was drawn) and `n`.
    """
    points = score(true, predicted, classes)
    intervals = bootstrap(true, predicted, subjects, classes, seed=seed)
    return {
        "accuracy": points.accuracy,
        "interval_95": list(intervals.accuracy),
        "macro_f1": points.macro_f1,
        "macro_f1_interval_95": list(intervals.macro_f1),
        "interval_over": intervals.over,
        "n": points.n,
    }
