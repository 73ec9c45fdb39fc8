"""A summation field back to its series: the way from the image to the samples (section 3.1 of the paper)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmtsa_cli.imaging.field import Range

GREY_STEP = 1 / 255
"""How far a pixel of 8 bits may be from the field's value: half a step of grey."""
_ROWS = 64


def series_of_field(field: NDArray[Any], *, range: Range = "signed") -> NDArray[np.float64]:
    """Return the rescaled samples whose summation field this is.

    The diagonal holds cos(2 phi) = 2 s^2 - 1, so |s| = sqrt((G_ii + 1) / 2). On [0, 1] that is s. On [-1, 1] the field
    of a series is that of its mirror image too; which samples have the same sign stands beside the diagonal, as
    s_i s_j = G_ij + sqrt(1 - s_i^2) sqrt(1 - s_j^2). So a series comes back up to one sign, chosen so that its largest
    sample is positive.

    Parameters
    ----------
    field : (K, K) array, in [-1, 1]
    range : "signed" or "unit"
        What the series was rescaled to.

    Returns
    -------
    (K,) float64
        Of a field of float64 to 2e-8, of one that went through 8 bits, of a series rescaled by its own extremes, to
        0.05: worst around 0, where the diagonal is flat (a step of grey there is 0.044), and 0.003 from 0.7 on.
    """
    magnitude = np.sqrt(np.clip((np.diagonal(field).astype(np.float64) + 1) / 2, 0, 1))
    if range == "unit":
        return magnitude
    sine = np.sqrt((1 - magnitude) * (1 + magnitude))
    largest = int(magnitude.argmax())
    products = np.asarray(field[largest], np.float64) + sine * sine[largest]
    return magnitude * np.where(products < 0, -1.0, 1.0) + 0.0


def is_difference_field(field: NDArray[Any]) -> bool:
    """Say whether a field is 0 on its diagonal, whatever the series, as sin(phi_i - phi_i) is, but not beside it."""
    beside = np.asarray(field[:: max(1, len(field) // _ROWS)])
    return bool(np.abs(np.diagonal(field)).max() <= GREY_STEP and np.abs(beside).max() > 2 * GREY_STEP)


def mismatch(field: NDArray[Any], series: NDArray[np.float64]) -> float:
    """Return by how much the field of a series differs from the one it came from: the mean over some of its rows."""
    rows = np.unique(np.linspace(0, len(series) - 1, _ROWS).astype(int))
    # The rows of the field of these samples with all others.
    sine = np.sqrt((1 - series) * (1 + series))
    again = series[rows, None] * series - sine[rows, None] * sine
    return float(np.abs(np.asarray(field[rows], np.float64) - again).mean())
