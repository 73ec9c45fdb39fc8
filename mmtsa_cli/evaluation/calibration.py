"""How far probabilities can be believed, and the temperature that makes them believable.

Source: Guo, Pleiss, Sun and Weinberger, On calibration of modern neural networks, ICML 2017.

A temperature T divides the logits before the softmax. Everything here starts from probabilities p instead:
softmax(log p / T) equals softmax(logits / T), as log p differs from the logits by one number a clip, which the softmax
does not see. So averages over draws or networks, which have no logits, are calibrated in the same way.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BINS = 15
_BOUNDS = (0.02, 50.0)
"""Of a temperature: beyond, the clips said nothing about it."""
_TINY = 1e-300


def expected_calibration_error(confidence: NDArray[np.float64], right: NDArray[np.bool_], *, bins: int = BINS) -> float:
    """Return the expected calibration error, in [0, 1].

    Confidences are put into `bins` bins of equal width, (0, 1/bins], (1/bins, 2/bins], ...; of each, the part of clips
    that are right is compared with the mean confidence; the differences are averaged, weighted by clips.

    Parameters
    ----------
    confidence : (n,) float array
        Probability of the predicted class, in [0, 1].
    right : (n,) bool array
        Whether that class is the true one.
    bins : int

    Raises
    ------
    ValueError
        Nothing to compare.
    """
    if not len(confidence):
        raise ValueError("no predictions to calibrate")
    # Rounded, or 0.6 x 15 = 9.000000000000002 would lie in the tenth bin.
    number = np.clip(np.ceil(np.round(confidence * bins, 9)).astype(int) - 1, 0, bins - 1)
    excess = np.bincount(number, weights=confidence - right.astype(np.float64), minlength=bins)
    return float(np.abs(excess).sum() / len(confidence))


def negative_log_likelihood(probabilities: NDArray[np.float64], true: NDArray[np.int64]) -> float:
    """Return the mean of -log(probability of the true class).

    Parameters
    ----------
    probabilities : (n, classes) float array
    true : (n,) int array
    """
    return float(-np.log(np.maximum(probabilities[np.arange(len(true)), true], _TINY)).mean())


def with_temperature(probabilities: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """Return the probabilities after dividing their logits by a temperature; the order of the classes stays.

    Parameters
    ----------
    probabilities : (n, classes) float array
        Rows sum to 1.
    temperature : float
        Above 0; above 1 it lowers confidence.
    """
    if temperature == 1.0:
        return probabilities
    logits = np.log(np.maximum(probabilities, _TINY)) / temperature
    scaled = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return scaled / scaled.sum(axis=-1, keepdims=True)


def fit_temperature(probabilities: NDArray[np.float64], true: NDArray[np.int64]) -> float:
    """Return the temperature under which the true classes are likeliest.

    Parameters
    ----------
    probabilities : (n, classes) float array
        Of clips that the network was not trained on.
    true : (n,) int array

    Raises
    ------
    ValueError
        No clips.
    """
    if not len(true):
        raise ValueError("no clips to fit a temperature on")
    from scipy.optimize import minimize_scalar

    # The loss has one minimum in 1 / T (it is convex there), so also in log T.
    found = minimize_scalar(
        lambda log_t: negative_log_likelihood(with_temperature(probabilities, float(np.exp(log_t))), true),
        bounds=tuple(np.log(_BOUNDS)),
        method="bounded",
        options={"xatol": 1e-5},
    )
    return float(np.exp(found.x))
