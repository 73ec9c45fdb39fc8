"""The choice of a classifier's numbers on training clips: a grid, tried on people who are left out."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Split = tuple[NDArray[np.int64], NDArray[np.int64]]
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
) -> dict[str, Any]:
    """Return the values of a grid with the highest mean accuracy over `splits`; of equal ones the first.

    The trials run on all cores, in threads: scikit-learn's support vector machines let others run meanwhile.

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
        Trials at once, each with a copy of its part of `features`; None: one a core.

    Returns
    -------
    dict
        The first value of each where there is nothing to choose, or no clips to choose by.
    """
    from joblib import parallel_config
    from sklearn.model_selection import GridSearchCV

    first = {name: values[0] for name, values in grid.items()}
    tries = splits(labels, subjects, folds=folds, seed=seed)
    if not tries or all(len(values) == 1 for values in grid.values()):
        return first
    search = GridSearchCV(
        estimator, dict(grid), cv=tries, scoring="accuracy", refit=False, n_jobs=jobs or os.cpu_count()
    )
    with parallel_config(backend="threading"):
        search.fit(features, labels)
    return dict(search.best_params_)
