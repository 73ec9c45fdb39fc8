"""Short windows over all sensors' channels: the local descriptors of a clip's sensors.

Song et al. (2016) make windows of all sensors "trajectory-like". A trajectory of a video is described by its steps, not
by where it lies (Wang et al. 2013), so a window is by the differences of neighbouring samples: posture and the way in
which a sensor is worn, which differ between people, are left out.

Sensors sample at rates of their own, so each is first brought to one common rate: averaged over the samples that a
common one stands for, where it is the faster one, then read by linear interpolation at the common times, which count
from the clip's start.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from mmtsa_cli.artifacts.options import option
from mmtsa_cli.sampling.store import ANGLE_UNITS, Store


@dataclass(frozen=True)
class WindowOptions:
    """Which windows of the sensors are local descriptors.

    The publication's sensors sample at 10 Hz; what it says of windows could not be read.
    """

    rate: float = option(10.0, "common rate of all sensors in Hz", above=0)
    length: float = option(1.0, "length of a window in seconds", above=0)
    hop: float = option(0.1, "time from one window to the next in seconds", above=0)
    values: bool = option(False, "the samples themselves stand beside the differences of neighbouring ones")


def sensor_windows(store: Store, sensors: Sequence[str], clip: int, options: WindowOptions) -> NDArray[np.float32]:
    """Return the windows of a clip with their time.

    Parameters
    ----------
    store : Store
    sensors : sequence of str
    clip : int
        Position in the store.
    options : WindowOptions

    Returns
    -------
    (n, d + 1) float32 array
        Differences of neighbouring samples of all channels, then the samples if asked for; last the time of the
        window's middle, as a part of the clip. n is at least 1: a clip that is shorter than a window is held at its
        last sample.
    """
    length = max(2, round(options.length * options.rate))
    hop = max(1, round(options.hop * options.rate))
    channels = common_channels(store, sensors, clip, options.rate)
    if len(channels) < length:
        channels = np.pad(channels, ((0, length - len(channels)), (0, 0)), mode="edge")
    windows = sliding_window_view(channels, length, axis=0)[::hop].transpose(0, 2, 1)
    parts = [np.diff(windows, axis=1).reshape(len(windows), -1)]
    if options.values:
        parts.append(windows.reshape(len(windows), -1))
    middles = (np.arange(len(windows)) * hop + length / 2) / len(channels)
    return np.concatenate([*parts, middles[:, None]], axis=1).astype(np.float32)


def common_channels(store: Store, sensors: Sequence[str], clip: int, rate: float) -> NDArray[np.float64]:
    """Return all sensors' channels at one rate, (n, C) for n = duration x rate.

    Axes of sensors with an angle's unit become cosine and sine: 359 and 1 degree have no mean of 180.
    """
    count = max(1, int(store.duration_s(clip) * rate))
    parts = []
    for name in sensors:
        stored = store.header.modalities[name]
        rows = store.series(name, clip).astype(np.float64)
        if (stored.unit or "") in ANGLE_UNITS:
            angles = rows if stored.unit == "rad" else np.deg2rad(rows)
            rows = np.concatenate([np.cos(angles), np.sin(angles)], axis=1)
        parts.append(resampled(rows, stored.rate, wanted=rate, count=count))
    return np.concatenate(parts, axis=1)


def resampled(rows: NDArray[np.float64], rate: float, *, wanted: float, count: int) -> NDArray[np.float64]:
    """Return a series, (n, C) at `rate` Hz, at another rate: `count` rows at times 0, 1 / wanted, ...

    Beyond its end a series is held at its last sample.
    """
    from scipy.ndimage import uniform_filter1d

    smoothed = uniform_filter1d(rows, max(1, round(rate / wanted)), axis=0, mode="nearest")
    times, own = np.arange(count) / wanted, np.arange(len(rows)) / rate
    return np.stack([np.interp(times, own, channel) for channel in smoothed.T], axis=1)
