"""A series of a sensor: samples with their times."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Series:
    """What one sensor recorded.

    Attributes
    ----------
    times : (n,) float64
        Seconds, strictly increasing.
    values : (n, C) float64
        One column an axis, in the unit of the sensor.
    channels : tuple of str
        C names of axes.
    rate : float
        Samples a second: as given, or measured as the median step.
    clock : "relative" or "absolute"
        Whether times count from the start of the recording or from the Unix epoch.
    """

    times: NDArray[np.float64]
    values: NDArray[np.float64]
    channels: tuple[str, ...]
    rate: float
    clock: Literal["relative", "absolute"] = "relative"
