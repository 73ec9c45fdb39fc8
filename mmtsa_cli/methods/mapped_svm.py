"""A support vector machine with the additive chi-square kernel, as a linear one on the kernel's explicit map.

The kernel is k(x, y) = sum 2 x y / (x + y) for numbers of at least 0, its map that of Vedaldi and Zisserman (Efficient
additive kernels via explicit feature maps, PAMI 34(3), 2012) as scikit-learn's AdditiveChi2Sampler has it: each number
becomes three, whose products come close to the kernel. So the weights are all that predicting needs.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmtsa_cli.methods.grid_search import CACHE_MB

_COLUMNS_AT_ONCE = 256
_ROWS_AT_ONCE = 1024


class MappedSvm:
    """A linear support vector machine, one class against the rest, on what a kernel's map makes of the features.

    The kernel matrix is summed up over blocks of features, so that the mapped numbers of all clips, several times the
    features, are never there at once.

    Parameters
    ----------
    kernel : "chi2" or "linear"
    C : float

    Attributes
    ----------
    classes_ : (classes,) array
    coef_ : (classes, M, D) float64 array
        Weight of each of the M numbers that a feature becomes; of the second class only where there are two.
    intercept_ : (classes,) float64 array
    """

    def __init__(self, kernel: str, *, C: float) -> None:
        self.kernel = kernel
        self.C = C
        self.classes_: NDArray[Any] = np.empty(0)
        self.coef_: NDArray[np.float64] = np.empty(0)
        self.intercept_: NDArray[np.float64] = np.empty(0)

    def fit(self, features: NDArray[Any], labels: NDArray[Any]) -> MappedSvm:
        """Fit to features, (n, D), and labels, (n,)."""
        from joblib import parallel_config

        with parallel_config(backend="threading"):
            machines = one_against_rest(self.C, jobs=os.cpu_count()).fit(gram(features, self.kernel), labels)
        alphas = np.zeros((len(features), len(machines.estimators_)))
        for alpha, machine in zip(alphas.T, machines.estimators_, strict=True):
            alpha[machine.support_] = machine.dual_coef_[0]
        blocks = [_weights(alphas, mapped) for _, mapped in _mapped(features, self.kernel, np.float32)]
        self.coef_ = np.concatenate(blocks, axis=2)
        self.intercept_ = np.array([machine.intercept_[0] for machine in machines.estimators_])
        self.classes_ = machines.classes_
        return self

    def decision_function(self, features: NDArray[Any]) -> NDArray[np.float64]:
        """Return the decision values, (n, classes), or (n,) of the second class where there are two."""
        values = np.tile(self.intercept_, (len(features), 1))
        for columns, mapped in _mapped(features, self.kernel, np.float64):
            weights = self.coef_[:, :, columns].reshape(len(self.coef_), -1)
            values += mapped.reshape(len(features), -1) @ weights.T
        return values[:, 0] if len(self.coef_) == 1 else values


def _weights(alphas: NDArray[np.float64], mapped: NDArray[Any]) -> NDArray[np.float64]:
    """Return the sums over clips of coefficient, (n, classes), times mapped numbers, (n, M, D): (classes, M, D)."""
    return (alphas.T @ mapped.reshape(len(mapped), -1)).reshape(-1, *mapped.shape[1:])


def gram(features: NDArray[Any], kernel: str) -> NDArray[np.float64]:
    """Return the kernel matrix of features with themselves, (n, n)."""
    matrix = np.zeros((len(features), len(features)))
    for _, mapped in _mapped(features, kernel, np.float32):
        flat = mapped.reshape(len(features), -1)
        for rows in _rows(len(flat)):
            matrix[rows, rows.start :] += flat[rows] @ flat[rows.start :].T
    for rows in _rows(len(matrix)):
        matrix[rows.stop :, rows] = matrix[rows, rows.stop :].T
    return matrix


def _rows(count: int) -> Iterator[slice]:
    for start in range(0, count, _ROWS_AT_ONCE):
        yield slice(start, min(start + _ROWS_AT_ONCE, count))


def one_against_rest(C: float, *, jobs: int | None = None) -> Any:
    """Return the machines that take a kernel matrix; `jobs` of them are fitted at once, in joblib's backend."""
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.svm import SVC

    return OneVsRestClassifier(SVC(kernel="precomputed", C=C, cache_size=CACHE_MB), n_jobs=jobs)


def _mapped(features: NDArray[Any], kernel: str, dtype: type) -> Iterator[tuple[slice, NDArray[Any]]]:
    """Give some columns after the other, mapped: (n, M, columns), M = 3 for `chi2`, 1 for `linear`."""
    expand = _MAPS[kernel]
    for start in range(0, features.shape[1], _COLUMNS_AT_ONCE):
        columns = slice(start, start + _COLUMNS_AT_ONCE)
        block = expand(features[:, columns].astype(dtype))
        yield columns, block.reshape(len(features), -1, features[:, columns].shape[1])


def _chi2_map(block: NDArray[Any]) -> NDArray[Any]:
    from sklearn.kernel_approximation import AdditiveChi2Sampler

    return AdditiveChi2Sampler(sample_steps=2).fit_transform(block)


_MAPS: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {"chi2": _chi2_map, "linear": lambda block: block}
