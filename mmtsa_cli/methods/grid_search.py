"""The choice of a classifier's numbers on training clips: a grid, tried on people who are left out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

Split = tuple[NDArray[np.int64], NDArray[np.int64]]
CACHE_MB = 64
"""Of kernel values that one support vector machine keeps: there are as many of them at once as cores."""
_SUBJECTS_NEEDED = 3


def some_numbers(values: Sequence[float]) -> str | None:
    """Check an option that is the values of a grid: there must be one."""
    return None if values else "a list of at least one number"


def splits(labels: NDArray[np.int64], subjects: Sequence[str], *, folds: int, seed: int) -> list[Split]:
    """Return the positions to fit to and to try on, at most `folds` times.

    No person is on both sides where there are at least three; else the clips are dealt out by class, in an order that
    the seed says. A fold whose first side has one class only is left out, so there may be none at all.
    """
    from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold

    people = len(set(subjects))
    rarest = int(np.unique(labels, return_counts=True)[1].min())
    dealt: Iterable[Split]
    if people >= _SUBJECTS_NEEDED:
        dealt = GroupKFold(min(folds, people)).split(labels, labels, subjects)
    elif rarest > 1:
        dealt = StratifiedKFold(min(folds, rarest), shuffle=True, random_state=seed).split(labels, labels)
    else:
        dealt = KFold(min(folds, len(labels)), shuffle=True, random_state=seed).split(labels)
    return [(fit, rest) for fit, rest in dealt if len(np.unique(labels[fit])) > 1]


def best_settings(
    estimator: Any,
    grid: Mapping[str, Sequence[Any]],
    features: NDArray[Any],
    labels: NDArray[np.int64],
    *,
    subjects: Sequence[str],
    folds: int,
    seed: int,
    jobs: int | None = None,
    before_trial: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Return the values of a grid with the highest mean accuracy over `splits`; of equal ones the first.

    The trials run on all cores, in threads: scikit-learn's support vector machines let others run meanwhile. Those of
    one split run together, so that one copy of its clips does for all.

    Parameters
    ----------
    estimator : scikit-learn estimator
    grid : mapping of str to sequence
        Values by parameter, as `set_params` takes it.
    features : (n, D) array
        Or a kernel matrix, (n, n), where the estimator says that it takes one.
    labels : (n,) int64 array
    subjects : sequence of str
    folds : int
    seed : int
    jobs : int, optional
        Trials at once; None: one a core.
    before_trial : callable
        Called before each; what it raises ends the search.

    Returns
    -------
    dict
        The first value of each where there is nothing to choose, or no clips to choose by.
    """
    from joblib import Parallel, delayed

    first = {name: values[0] for name, values in grid.items()}
    tries = splits(labels, subjects, folds=folds, seed=seed)
    if not tries or all(len(values) == 1 for values in grid.values()):
        return first
    names = sorted(grid)
    trials = [dict(zip(names, values, strict=True)) for values in product(*(grid[name] for name in names))]
    precomputed = bool(estimator.__sklearn_tags__().input_tags.pairwise)
    scores = np.zeros(len(trials))
    with Parallel(n_jobs=min(jobs or os.cpu_count() or 1, len(trials)), backend="threading") as parallel:
        for fit, rest in tries:
            parts = _part(features, fit, fit, precomputed), _part(features, rest, fit, precomputed)
            task = delayed(_accuracy)
            scores += parallel(
                task(estimator, settings, *parts, labels[fit], labels[rest], before_trial) for settings in trials
            )
    return trials[int(scores.argmax())]


def _part(features: NDArray[Any], rows: NDArray[np.int64], known: NDArray[np.int64], precomputed: bool) -> NDArray[Any]:
    """Return the features of some clips, or their kernel with the known ones."""
    return features[np.ix_(rows, known)] if precomputed else features[rows]


def _accuracy(
    estimator: Any,
    settings: Mapping[str, Any],
    known: NDArray[Any],
    others: NDArray[Any],
    known_labels: NDArray[np.int64],
    other_labels: NDArray[np.int64],
    before_trial: Callable[[], None],
) -> float:
    """Return which share of the other clips is told right by a copy of the estimator with some settings."""
    from sklearn.base import clone

    before_trial()
    fitted = clone(estimator).set_params(**settings).fit(known, known_labels)
    return float((fitted.predict(others) == other_labels).mean())
