"""A linear support vector machine, one class against the rest, for dense features that fill much of the memory.

It has the objective of scikit-learn's LinearSVC,

    |w|^2 / 2 + b^2 / 2 + C sum_i max(0, 1 - y_i (w x_i + b))^2

of each class, and so its solution, but not its ways: liblinear copies the features into a list of 16 bytes a number and
learns one class after the other on one core. Here all classes take their steps of a Newton method together (its linear
systems solved by conjugate gradients, as in Keerthi and DeCoste, A modified finite Newton method for fast solution of
large scale linear SVMs, JMLR 6, 2005), so that each look at the features is two matrix products, on all cores, of the
features as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

_TOLERANCE = 1e-3
"""Length of the gradient over that of the weights at which a class is done; the weights are then as near to their best,
as the objective rises by half the square of the distance at least."""
_STEPS, _INNER_STEPS = 50, 250
_HALVINGS = 12


class LinearSvm:
    """The machine.

    Parameters
    ----------
    C : float
        Weight of a clip's error.
    before_step : callable
        Called before each step; what it raises ends the fit.

    Attributes
    ----------
    classes_ : (classes,) array
    coef_ : (classes, D) float64 array
        Of the second class only where there are two.
    intercept_ : (classes,) float64 array
    """

    def __init__(self, C: float, *, before_step: Callable[[], None] = lambda: None) -> None:
        self.C = C
        self._before_step = before_step
        self.classes_: NDArray[Any] = np.empty(0)
        self.coef_: NDArray[np.float64] = np.empty(0)
        self.intercept_: NDArray[np.float64] = np.empty(0)

    def fit(self, features: NDArray[Any], labels: NDArray[Any]) -> LinearSvm:
        """Fit to features, (n, D) float32 or float64, and labels, (n,)."""
        self.classes_ = np.unique(labels)
        own = self.classes_[1:] if len(self.classes_) == 2 else self.classes_
        signs = np.where(labels[:, None] == own, 1, -1).astype(features.dtype)
        weights = self._weights(features, signs)
        self.coef_, self.intercept_ = weights[:-1].T.astype(np.float64), weights[-1].astype(np.float64)
        return self

    def decision_function(self, features: NDArray[Any]) -> NDArray[np.float64]:
        """Return the decision values, (n, classes), or (n,) of the second class where there are two."""
        values = features.astype(np.float64) @ self.coef_.T + self.intercept_
        return values[:, 0] if len(self.coef_) == 1 else values

    def _weights(self, features: NDArray[Any], signs: NDArray[Any]) -> NDArray[Any]:
        """Return weights and, last, intercept of each class, (D + 1, classes); `signs` are (n, classes), 1 or -1."""
        weights = np.zeros((features.shape[1] + 1, signs.shape[1]), features.dtype)
        margins = np.ones_like(signs)
        for _ in range(_STEPS):
            self._before_step()
            short = np.maximum(margins, 0)
            gradient = weights - 2 * self.C * _back(features, signs * short)
            length = np.linalg.norm(gradient, axis=0)
            going = length > _TOLERANCE * np.maximum(np.linalg.norm(weights, axis=0), 1)
            if not going.any():
                break
            step = self._newton_step(features, short > 0, np.where(going, -gradient, 0))
            moved = signs * _forth(features, step)
            share = self._shares(weights, step, margins, moved)
            if not share[going].any():
                # What is left is rounding.
                break
            weights += share * step
            margins -= share * moved
        return weights

    def _newton_step(self, features: NDArray[Any], active: NDArray[np.bool_], wanted: NDArray[Any]) -> NDArray[Any]:
        """Return about (1 + 2 C X' A X)^-1 times `wanted`, (D + 1, classes), A the clips that are `active`."""
        step, rest = np.zeros_like(wanted), wanted.copy()
        direction, square = rest.copy(), (rest**2).sum(axis=0)
        enough = square * _TOLERANCE
        for _ in range(_INNER_STEPS):
            self._before_step()
            if (square <= enough).all():
                break
            image = direction + 2 * self.C * _back(features, np.where(active, _forth(features, direction), 0))
            along = np.divide(square, (direction * image).sum(axis=0), where=square > enough, out=np.zeros_like(square))
            step += along * direction
            rest -= along * image
            before, square = square, (rest**2).sum(axis=0)
            direction = rest + np.divide(square, before, where=before > 0, out=np.zeros_like(square)) * direction
        return step

    def _shares(
        self, weights: NDArray[Any], step: NDArray[Any], margins: NDArray[Any], moved: NDArray[Any]
    ) -> NDArray[Any]:
        """Return how much of its step each class takes: half of it, and so on, until the objective falls."""
        shares = np.ones(weights.shape[1], weights.dtype)
        before = self._objective(weights, margins)
        for _ in range(_HALVINGS):
            worse = self._objective(weights + shares * step, margins - shares * moved) > before
            if not worse.any():
                return shares
            shares[worse] /= 2
        shares[worse] = 0
        return shares

    def _objective(self, weights: NDArray[Any], margins: NDArray[Any]) -> NDArray[np.float64]:
        squares = (weights**2).sum(axis=0, dtype=np.float64) / 2
        return squares + self.C * (np.maximum(margins, 0) ** 2).sum(axis=0, dtype=np.float64)


def _forth(features: NDArray[Any], weights: NDArray[Any]) -> NDArray[Any]:
    """Return the values of the clips, (n, classes), under weights and intercepts, (D + 1, classes)."""
    return features @ weights[:-1] + weights[-1]


def _back(features: NDArray[Any], values: NDArray[Any]) -> NDArray[Any]:
    """Return the sums over clips of a value times the features, and of the value, (D + 1, classes)."""
    return np.concatenate([features.T @ values, values.sum(axis=0, keepdims=True)])
