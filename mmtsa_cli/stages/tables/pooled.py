"""What the units of one row of a table say together: predictions of all folds, seed by seed, and their scores."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmtsa_cli.errors import DataError
from mmtsa_cli.evaluation.intervals import bootstrap
from mmtsa_cli.evaluation.metrics import score
from mmtsa_cli.stages.tables.units import UnitResult


@dataclass(frozen=True)
class Pooled:
    """The predictions of one row's units for the test clips of all folds.

    Attributes
    ----------
    ids, subjects : tuple of str
        Of n clips, in the order of `ids`.
    true : (n,) int64 array
    predicted : (s, n) int64 array
        One row a seed.
    classes : tuple of str
    """

    ids: tuple[str, ...]
    subjects: tuple[str, ...]
    true: NDArray[np.int64]
    predicted: NDArray[np.int64]
    classes: tuple[str, ...]


def pooled(results: Sequence[UnitResult]) -> Pooled:
    """Return the predictions of finished units of one row, the same folds for each seed.

    Raises
    ------
    DataError
        The seeds were tested on different clips.
    """
    classes = tuple(sorted({name for result in results for name in result.classes}))
    numbers = {name: number for number, name in enumerate(classes)}
    clips: dict[int, list[tuple[str, str, int, int]]] = {}
    for result in results:
        own, said = np.array([numbers[name] for name in result.classes]), result.predictions()
        columns = (own[said.labels].tolist(), own[said.probabilities.argmax(axis=1)].tolist())
        clips.setdefault(result.unit.seed, []).extend(zip(said.ids, said.subjects, *columns, strict=True))
    rows = [sorted(clips[seed]) for seed in sorted(clips)]
    heads = {tuple(row[:3] for row in one) for one in rows}
    if len(heads) > 1:
        raise DataError("the seeds were tested on different clips", where=results[0].unit.method)
    ids, subjects, true = zip(*next(iter(heads)), strict=True)
    predicted = np.array([[row[3] for row in one] for one in rows], np.int64)
    return Pooled(ids, subjects, np.array(true, np.int64), predicted, classes)


def scores(said: Pooled, *, seed: int = 0) -> dict[str, Any]:
    """Return accuracy and macro F1 of all clips together, means over seeds, with their 95 % intervals.

    Returns
    -------
    dict
        `accuracy`, `interval_95`, `deviation` (of the accuracy over seeds; None of one seed), `macro_f1`,
        `macro_f1_interval_95`, `interval_over` (what the bootstrap, of which `seed` is, draws) and `clips`.
    """
    points = [score(said.true, predicted, len(said.classes)) for predicted in said.predicted]
    accuracies = [point.accuracy for point in points]
    interval = bootstrap(said.true, said.predicted, said.subjects, len(said.classes), seed=seed)
    return {
        "accuracy": statistics.fmean(accuracies),
        "interval_95": list(interval.accuracy),
        "deviation": statistics.stdev(accuracies) if len(accuracies) > 1 else None,
        "macro_f1": statistics.fmean(point.macro_f1 for point in points),
        "macro_f1_interval_95": list(interval.macro_f1),
        "interval_over": interval.over,
        "clips": len(said.true),
    }
