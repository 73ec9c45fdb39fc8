"""Statistics of sensor series: the 43 features that `kwapisz` says, and those of `part_svm`; a module without torch.

So the processes that compute them for many clips are small.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmtsa_cli.sampling.store import Store

BINS = 10
_PEAKS_NEEDED = 3
_LOWERED_BY = 0.1


def window_features(window: NDArray[Any], rate: float, *, peak_height: float = 0.9) -> NDArray[np.float64]:
    """Return the features of one window, in the order of the text of `kwapisz`.

    Parameters
    ----------
    window : (K, C) array
        Samples of a sensor, at least one.
    rate : float
        Samples a second.
    peak_height : float

    Returns
    -------
    (14 C + 1,) float64 array
        Means, deviations and differences in the sensor's unit, shares, times in ms, mean length: 43 for three axes.
    """
    window = np.asarray(window, np.float64)
    mean = window.mean(axis=0)
    shares = [bin_shares(axis) for axis in window.T]
    between = [1000 * time_between_peaks(axis, rate, peak_height=peak_height) for axis in window.T]
    difference = np.abs(window - mean).mean(axis=0)
    length = np.sqrt((window**2).sum(axis=1)).mean()
    return np.concatenate([mean, window.std(axis=0), difference, *shares, between, [length]])


def bin_shares(axis: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return which share of the values lies in each of 10 equal bins from the lowest to the highest, (10,).

    The highest belongs to the last bin; where all are equal, all are in the first.
    """
    low, high = axis.min(), axis.max()
    if high == low:
        return np.eye(BINS)[0]
    bins = np.minimum((BINS * (axis - low) / (high - low)).astype(int), BINS - 1)
    return np.bincount(bins, minlength=BINS) / len(axis)


def time_between_peaks(axis: NDArray[np.float64], rate: float, *, peak_height: float = 0.9) -> float:
    """Return the mean time between successive high peaks in seconds; 0 where there are fewer than three peaks.

    High is a peak that reaches `peak_height` of the highest one's height; while fewer than three do, the bar is lowered
    by a tenth of that height. Heights are over the lowest value, so that an offset (gravity) changes nothing.
    """
    from scipy.signal import find_peaks

    places = find_peaks(axis)[0]
    if len(places) < _PEAKS_NEEDED:
        return 0.0
    heights = axis[places] - axis.min()
    heights = heights / heights.max()
    bar = peak_height
    while (heights >= bar).sum() < _PEAKS_NEEDED:
        bar -= _LOWERED_BY
    return float(np.diff(places[heights >= bar]).mean()) / rate


def series_features(
    series: NDArray[Any], rate: float, *, window_s: float | None, peak_height: float = 0.9
) -> NDArray[np.float64]:
    """Return the features of a clip's series, (n, C), averaged over the windows that cover it."""
    samples = len(series) if window_s is None else min(len(series), max(1, round(window_s * rate)))
    count = math.ceil(len(series) / samples)
    starts = np.rint(np.linspace(0, len(series) - samples, count)).astype(int)
    windows = [window_features(series[s : s + samples], rate, peak_height=peak_height) for s in starts]
    return np.mean(windows, axis=0)


def clip_statistics(store: Store, clip: int, parameters: Mapping[str, Any]) -> NDArray[np.float32]:
    """Return the features of a clip's sensor as one row, (1, D): what `clip_features` computes."""
    name = parameters["modality"]
    wanted = {"window_s": parameters["window_s"], "peak_height": parameters["peak_height"]}
    found = series_features(store.series(name, clip), store.header.modalities[name].rate, **wanted)
    return found[None].astype(np.float32)


def part_statistics(series: NDArray[Any], parts: int) -> NDArray[np.float64]:
    """Return mean, standard deviation and mean absolute difference of neighbours of each axis in equal parts of a clip.

    Parameters
    ----------
    series : (n, C) array
        At least one sample.
    parts : int
        A clip of fewer samples than parts has some of them in two parts.

    Returns
    -------
    (parts * 3 * C,) float64 array
        In the sensor's unit: means, deviations and differences of the first part, then of the second.
    """
    series = np.asarray(series, np.float64)
    edges = np.linspace(0, len(series), parts + 1)
    found = []
    for low, high in zip(np.floor(edges[:-1] + 1e-9).astype(int), np.ceil(edges[1:] - 1e-9).astype(int), strict=True):
        part = series[low:high]
        steps = np.abs(np.diff(part, axis=0)).sum(axis=0) / max(len(part) - 1, 1)
        found += [part.mean(axis=0), part.std(axis=0), steps]
    return np.concatenate(found)


def clip_part_statistics(store: Store, clip: int, parameters: Mapping[str, Any]) -> NDArray[np.float32]:
    """Return `part_statistics` of a clip's sensor as one row, (1, D): what `clip_features` computes."""
    return part_statistics(store.series(parameters["modality"], clip), parameters["parts"])[None].astype(np.float32)
