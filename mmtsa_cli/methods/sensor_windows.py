"""Short windows over sensors' channels: the local descriptors of a clip's sensors.

Song et al. (2016) call their features of sensors "trajectory-like". A trajectory of a video is described by its steps,
not by where it lies (Wang et al. 2013); of a sensor the values count as well, since they hold posture. So a window
is its samples as they are, or, by an option, the differences of neighbouring ones, which leave out posture and the way
in which a sensor is worn, or both.

Sensors sample at rates of their own, so each is first brought to one common rate: averaged over the samples that a
common one stands for, where it is the faster one, then read by linear interpolation at the common times, which count
from the clip's start.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from mmtsa_cli.artifacts.options import option
from mmtsa_cli.sampling.feature_cache import Features, clip_features
from mmtsa_cli.sampling.store import ANGLE_UNITS, Store

QUATERNION_UNIT = "quaternion"
"""The unit by which a sensor's four channels are known as a rotation."""
_VERSION = 1
_CLIPS_A_WORKER = 1024


@dataclass(frozen=True)
class WindowOptions:
    """Which windows of the sensors are local descriptors.

    The publication's sensors sample at 10 Hz; what it says of windows could not be read. Values instead of steps were
    chosen on its dataset (see `fisher_vectors`).
    """

    rate: float = option(10.0, "common rate of all sensors in Hz", above=0)
    length: float = option(1.0, "length of a window in seconds", above=0)
    hop: float = option(0.1, "time from one window to the next in seconds", above=0)
    described_by: Literal["values", "steps", "both"] = option(
        "values", "values: the samples; steps: differences of neighbouring ones; both: steps, then samples"
    )


def store_windows(store: Store, sensors: Sequence[str], options: WindowOptions) -> Features:
    """Return the windows of every clip (see `sensor_windows`), kept so that they are computed once."""
    about = {"version": _VERSION, "sensors": list(sensors), **asdict(options)}
    return clip_features(store, "windows", compute_windows, about, clips_a_worker=_CLIPS_A_WORKER)


def compute_windows(store: Store, clip: int, parameters: Mapping[str, Any]) -> NDArray[np.float32]:
    """Return the windows of a clip; `parameters` are sensors and the fields of `WindowOptions`."""
    options = WindowOptions(**{field.name: parameters[field.name] for field in fields(WindowOptions)})
    return sensor_windows(store, parameters["sensors"], clip, options)


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
        Differences of neighbouring samples of all channels, the samples, or one after the other, as
        `options.described_by` says; last the time of the window's middle, as a part of the clip. n is at least 1: a
        clip that is shorter than a window is held at its last sample.
    """
    length = max(2, round(options.length * options.rate))
    hop = max(1, round(options.hop * options.rate))
    channels = common_channels(store, sensors, clip, options.rate)
    if len(channels) < length:
        channels = np.pad(channels, ((0, length - len(channels)), (0, 0)), mode="edge")
    windows = sliding_window_view(channels, length, axis=0)[::hop].transpose(0, 2, 1)
    parts = []
    if options.described_by != "values":
        parts.append(np.diff(windows, axis=1).reshape(len(windows), -1))
    if options.described_by != "steps":
        parts.append(windows.reshape(len(windows), -1))
    middles = (np.arange(len(windows)) * hop + length / 2) / len(channels)
    return np.concatenate([*parts, middles[:, None]], axis=1).astype(np.float32)


def common_channels(store: Store, sensors: Sequence[str], clip: int, rate: float) -> NDArray[np.float64]:
    """Return all sensors' channels at one rate, (n, C) for n = duration x rate.

    Axes of sensors with an angle's unit become cosine and sine: 359 and 1 degree have no mean of 180. Unit quaternions
    keep to one of their two signs along the clip (`without_sign_jumps`).
    """
    count = max(1, int(store.duration_s(clip) * rate))
    parts = []
    for name in sensors:
        stored = store.header.modalities[name]
        rows = store.series(name, clip).astype(np.float64)
        if (stored.unit or "") in ANGLE_UNITS:
            angles = rows if stored.unit == "rad" else np.deg2rad(rows)
            rows = np.concatenate([np.cos(angles), np.sin(angles)], axis=1)
        elif stored.unit == QUATERNION_UNIT:
            rows = without_sign_jumps(rows)
        parts.append(resampled(rows, stored.rate, wanted=rate, count=count))
    return np.concatenate(parts, axis=1)


def without_sign_jumps(quaternions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a series of unit quaternions, (n, 4), in which each has the sign that is nearer to the one before.

    q and -q are one rotation. A telephone gives the one whose scalar is not negative, so a wearer who turns through
    half a turn from the reference makes all four numbers change sign at once: a step of length 2, and in the mean with
    its neighbours a quaternion near 0, though the head hardly moved. The first keeps its sign.
    """
    turned = (quaternions[1:] * quaternions[:-1]).sum(axis=1) < 0
    signs = np.cumprod(np.concatenate([[1.0], np.where(turned, -1.0, 1.0)]))
    return quaternions * signs[:, None]


def resampled(rows: NDArray[np.float64], rate: float, *, wanted: float, count: int) -> NDArray[np.float64]:
    """Return a series, (n, C) at `rate` Hz, at another rate: `count` rows at times 0, 1 / wanted, ...

    Beyond its end a series is held at its last sample.
    """
    from scipy.ndimage import uniform_filter1d

    smoothed = uniform_filter1d(rows, max(1, round(rate / wanted)), axis=0, mode="nearest")
    times, own = np.arange(count) / wanted, np.arange(len(rows)) / rate
    return np.stack([np.interp(times, own, channel) for channel in smoothed.T], axis=1)
