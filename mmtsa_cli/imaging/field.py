"""Gramian angular fields: equations 1 to 6 of the paper, written once for NumPy arrays and torch tensors.

Nothing here imports torch: the arithmetic uses what arrays and tensors share.

C are the axes of a sensor, K the samples of a window, n those of a whole series.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from mmtsa_cli.artifacts.options import option

Kind = Literal["sum", "difference"]
Range = Literal["signed", "unit"]
Numbers = TypeVar("Numbers", NDArray[Any], Any)

NOISE_FLOOR = 1e-4
SCALES = ("window", "clip", "dataset")
# cos(2 phi) = 0 here: an axis that rests at this value has a field of zeros, of either kind.
_MID_GREY = 0.5**0.5


def parse_bounds(scale: str) -> tuple[float, float] | None:
    """Return (low, high) of a scale written as "LOW,HIGH", None of a named one.

    Raises
    ------
    ValueError
        Neither a named scale nor two finite numbers, the lower one first; the message says what was expected.
    """
    if scale in SCALES:
        return None
    try:
        low, high = (float(part) for part in scale.split(","))
    except ValueError:
        raise ValueError("window, clip, dataset, or LOW,HIGH in the sensor's unit") from None
    if not (np.isfinite(low) and np.isfinite(high) and low < high):
        raise ValueError("LOW,HIGH with LOW below HIGH")
    return low, high


def _scale_problem(scale: str) -> str | None:
    try:
        parse_bounds(scale)
    except ValueError as error:
        return str(error)
    return None


@dataclass(frozen=True)
class FieldOptions:
    """How a sensor's window becomes an image. The defaults are the paper's."""

    field: Literal["sum", "difference", "both"] = option(
        "sum", "sum: cos(phi_i + phi_j); difference: sin(phi_i - phi_j); both: one after the other"
    )
    range: Literal["signed", "unit"] = option(
        "signed", "signed: rescale to [-1, 1], blind to the series' sign; unit: to [0, 1]"
    )
    scale: str = option(
        "clip",
        "what is rescaled by: the extremes of each window or clip, quantiles of the training dataset, or LOW,HIGH",
        check=_scale_problem,
    )
    quantile: float = option(0.01, "scale dataset goes from this quantile of an axis to one minus it", low=0, high=0.49)
    noise_floor: float = option(
        NOISE_FLOOR, "an axis whose range is at most this part of |low| + |high| is constant: mid-grey", low=0, high=1
    )
    image_size: int | None = option(None, "height and width of an image in pixels; null: one a sample", low=2)

    @property
    def bounds(self) -> tuple[float, float] | None:
        """The fixed bounds of scale "LOW,HIGH", else None."""
        return parse_bounds(self.scale)

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The fields of an axis, in the order of channels."""
        return ("sum", "difference") if self.field == "both" else (self.field,)

    def channels(self, axes: int) -> int:
        """Return the channels of an image of `axes` axes."""
        return len(self.kinds) * axes


def rescale(
    values: Numbers, low: Numbers, high: Numbers, *, range: Range = "signed", noise_floor: float = NOISE_FLOOR
) -> Numbers:
    """Rescale samples onto [-1, 1] (equation 1) or [0, 1].

    Parameters
    ----------
    values : (..., K) floating array or tensor
    low, high : (...) array or tensor of the same kind
        What becomes the lower and the upper end; values beyond are clipped.
    range : "signed" or "unit"
        Onto [-1, 1] or [0, 1].
    noise_floor : float
        Where `high - low` is at most this part of `|low| + |high|` the axis counts as constant: all of it becomes
        sqrt(1/2), whose field is 0, mid-grey. The part is 1 for an axis that changes its sign, however quiet.

    Returns
    -------
    (..., K)
    """
    low, high = low[..., None], high[..., None]
    spread = high - low
    flat = is_flat(low, high, noise_floor=noise_floor)
    # Flat axes are divided by something above zero, and replaced.
    safe = spread * ~flat + flat
    if range == "signed":
        scaled = (((values - high) + (values - low)) / safe).clip(-1.0, 1.0)
    else:
        scaled = ((values - low) / safe).clip(0.0, 1.0)
    return scaled + (_MID_GREY - scaled) * flat


def is_flat(low: Numbers, high: Numbers, *, noise_floor: float = NOISE_FLOOR) -> Numbers:
    """Say, per axis, whether its range is so small a part of `|low| + |high|` that it counts as constant."""
    return high - low <= noise_floor * (abs(low) + abs(high))


def gramian(scaled: Numbers, kind: Kind = "sum") -> Numbers:
    """Return the Gramian angular field of rescaled samples.

    Parameters
    ----------
    scaled : (..., K) array or tensor, in [-1, 1]
        cos(phi) of every sample (equation 2).
    kind : "sum" or "difference"
        cos(phi_i + phi_j), equations 3 and 4; or sin(phi_i - phi_j), which changes its sign with the series.

    Returns
    -------
    (..., K, K), in [-1, 1]
    """
    # (1 - s)(1 + s) keeps what 1 - s * s loses to rounding near s = 1 and -1.
    sine = ((1.0 - scaled) * (1.0 + scaled)) ** 0.5
    column, row = scaled[..., :, None], scaled[..., None, :]
    if kind == "sum":
        field = column * row
        field -= sine[..., :, None] * sine[..., None, :]
    else:
        field = sine[..., :, None] * row
        field -= column * sine[..., None, :]
    return field


def window_of_field(
    series: Numbers,
    low: Numbers,
    high: Numbers,
    *,
    start: int,
    length: int,
    kind: Kind = "sum",
    range: Range = "signed",
) -> Numbers:
    """Return the square window of a series' field from sample `start` on (equation 6), without making the field.

    Parameters
    ----------
    series : (..., n) array or tensor
    low, high : (...)
        Extremes of the whole series, or any other bounds.
    start, length : int
        First sample and K.

    Returns
    -------
    (..., K, K)
        What `gramian` of the whole rescaled series holds from row and column `start` on.
    """
    window = series[..., start : start + length]
    return gramian(rescale(window, low, high, range=range), kind)


def to_grey(field: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """Return a field as grey values, (G + 1) / 2 x 255 rounded (equation 5).

    A series that is rescaled by its own extremes contains both ends of the range, so its field's minimum and maximum
    are -1 and 1: equation 5 needs no look at the rest of the field. 255: the paper's 256 does not fit 8 bits.

    Parameters
    ----------
    field : array, in [-1, 1]
    """
    return np.clip(np.rint((field + 1.0) * 127.5), 0, 255).astype(np.uint8)


_BLOCK = 256
"""Rows of a field that are computed at a time: as float32 they stay in the cache until they are bytes."""


def grey_field(scaled: NDArray[np.floating[Any]], kind: Kind = "sum") -> NDArray[np.uint8]:
    """Return the field of rescaled samples as grey values: `to_grey(gramian(scaled, kind))`, many times as fast.

    Both kinds are a matrix of rank 2, the product of (K, 2) and (2, K): one multiplication, in float32, whose rows
    become bytes while they are in the cache. The symmetric half is computed with the other: to mirror it, what was
    written would have to be read again.

    Parameters
    ----------
    scaled : (..., K) array
        cos(phi) of every sample (equation 2).
    kind : "sum" or "difference"

    Returns
    -------
    (..., K, K) uint8
        A step of grey beside the exact one where that lies within 1e-4 of a step of the border between two: some
        millionths of the pixels.
    """
    import cv2

    samples = scaled.shape[-1]
    # In float64 up to here: near 1 and -1 the sine has half the digits.
    sine = ((1.0 - scaled) * (1.0 + scaled)) ** 0.5
    left, right = ((scaled, -sine), (scaled, sine)) if kind == "sum" else ((sine, -scaled), (scaled, sine))
    columns = np.stack(left, axis=-1).astype(np.float32).reshape(-1, samples, 2)
    rows = np.stack(right, axis=-2).astype(np.float32).reshape(-1, 2, samples)
    grey = np.empty((len(rows), samples, samples), np.uint8)
    block = np.empty((min(_BLOCK, samples), samples), np.float32)
    for number, row in enumerate(rows):
        for first in range(0, samples, _BLOCK):
            column = columns[number, first : first + _BLOCK]
            part = np.matmul(column, row, out=block[: len(column)])
            # Rounded and held within 0 to 255.
            cv2.convertScaleAbs(part, grey[number, first : first + _BLOCK], 127.5, 127.5)
    return grey.reshape(*scaled.shape, samples)


def piecewise_mean(series: NDArray[np.floating[Any]], size: int) -> NDArray[np.float64]:
    """Return a series as the means over `size` parts of equal length (piecewise aggregate approximation).

    Where `size` does not divide n, a sample that two parts share counts in each by its share.

    Parameters
    ----------
    series : (..., n) array
    size : int
        From 1 to n.

    Returns
    -------
    (..., size) float64

    Raises
    ------
    ValueError
        `size` is out of its range.
    """
    samples = series.shape[-1]
    if not 1 <= size <= samples:
        raise ValueError(f"{size} means of {samples} samples")
    edges = np.arange(size + 1) * (samples / size)
    whole = np.minimum(edges.astype(int), samples - 1)
    # About the mean, so that long sums do not eat the digits of what varies.
    centre = series.mean(axis=-1, keepdims=True, dtype=np.float64)
    centred = series - centre
    sums = np.concatenate([np.zeros_like(centre), np.cumsum(centred, axis=-1)], axis=-1)
    upto = sums[..., whole] + (edges - whole) * centred[..., whole]
    return np.diff(upto, axis=-1) * (size / samples) + centre
