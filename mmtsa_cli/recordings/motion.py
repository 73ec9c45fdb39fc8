"""How much a video or a sensor moves over time, on one scale that all of them share.

Two devices that see one body agree best in its speed. Video gives it by differences of neighbouring frames, a gyroscope
by the length of its vector, an orientation sensor by its derivative. An accelerometer is a quarter of a swing off: its
vector is longest where the limb turns round and stands still. So its motion is the geometric mean of what is a step of
derivation below and above it, speed and jerk, which swing together; the deviation of the norm of acceleration from
gravity does not, and finds the offsets of swinging limbs wrong by a quarter of a period.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mmtsa_cli.recordings.series import Series, resample

if TYPE_CHECKING:
    from mmtsa_cli.recordings.index import ModalitySpec
    from mmtsa_cli.recordings.video import Video

Array = NDArray[np.float64]

GRID_HZ = 50.0
"""Rate of all motions."""
_SMOOTH_S = 0.06
"""Standard deviation of the smoothing: about the step of a slow camera."""
_VECTOR_SMOOTH_S = 0.04
_SLOW_S = 0.7
"""What changes over longer than this is gravity, bias or drift."""
_FLOOR = 0.1
"""Part of the median motion below which all is rest: the logarithm must not make much of noise."""
_VIDEO_HZ = 30.0
_SHORT_SIDE = 64
_BATCH = 32
_ACCELERATION = {"m/s^2", "m/s2", "m/s²", "m/s/s", "g", "mg"}
_ROTATION = {"rad/s", "deg/s", "°/s", "dps", "degree/s", "degrees/s"}
_ANGLE = {"degree", "degrees", "deg", "°", "rad", "radian", "radians"}


@dataclass(frozen=True)
class Motion:
    """How much something moves, on the grid of whole steps of 1 / GRID_HZ.

    Attributes
    ----------
    first : int
        Number of the first step: its time is first / GRID_HZ, in seconds of the recording's clock.
    values : (n,) float64
        Logarithm of the motion, in any unit, smoothed, mean 0. All 0 where nothing moves.
    """

    first: int
    values: Array

    @property
    def is_still(self) -> bool:
        """Whether there is nothing to compare."""
        return len(self.values) < 2 or not self.values.any()


def video_motion(video: Video) -> Motion:
    """Return the motion of a video: the mean change of pixels per second between neighbouring frames.

    Of each difference its median is taken away first, so that a change of exposure moves nothing. Each value stands in
    the middle between its two frames, at their true times.

    Raises
    ------
    DataError
        No frame can be decoded.
    """
    times, changes = [], []
    before: tuple[float, NDArray[np.float32]] | None = None
    for time_s, picture in _small_frames(video):
        if before is not None:
            change = picture - before[1]
            times.append((time_s + before[0]) / 2)
            changes.append(float(np.abs(change - np.median(change)).mean()) / (time_s - before[0]))
        before = (time_s, picture)
    if len(times) < 2:
        return Motion(0, np.zeros(0))
    first = int(np.ceil(times[0] * GRID_HZ))
    grid = np.arange(first, int(times[-1] * GRID_HZ) + 1) / GRID_HZ
    # A cut changes everything at once, and would be the largest motion of all.
    return _motion(first, np.interp(grid, times, np.minimum(changes, np.quantile(changes, 0.99))))


def sensor_motion(series: Series, name: str, spec: ModalitySpec) -> Motion:
    """Return the motion that a sensor feels; what it measures is told by its unit, else by its name.

    Parameters
    ----------
    series : Series
        On the recording's clock, without gaps.
    name : str
        The modality.
    spec : ModalitySpec
    """
    first = int(np.ceil(series.start_s * GRID_HZ))
    last = int(series.times[-1] * GRID_HZ)
    if last - first < 2:
        return Motion(0, np.zeros(0))
    unit = (spec.unit or "").strip().lower()
    if unit in _ANGLE or name.startswith("orientation"):
        turn = 2 * np.pi if unit.startswith("rad") else 360.0
        series = Series(series.times, np.unwrap(series.values, axis=0, period=turn), series.channels, series.rate)
    values = resample(series, GRID_HZ, start_s=first / GRID_HZ, end_s=(last + 1) / GRID_HZ)
    if unit in _ROTATION or name.startswith("gyro"):
        return _motion(first, _norm(smoothed(values - np.median(values, axis=0), _VECTOR_SMOOTH_S)))
    if unit in _ACCELERATION or name.startswith("acc"):
        return _motion(first, np.sqrt(_norm(_derivative(values)) * _norm(_speed(values))))
    if not (unit in _ANGLE or name.startswith("orientation")):
        spread = values.std(axis=0)
        values = values / np.where(spread > 0, spread, 1.0)
    return _motion(first, _norm(_derivative(values)))


def smoothed(values: Array, seconds: float) -> Array:
    """Return values on the grid, smoothed over time by a Gaussian of that standard deviation."""
    from scipy.ndimage import gaussian_filter1d

    return gaussian_filter1d(values, seconds * GRID_HZ, axis=0, mode="nearest")


def _motion(first: int, amount: Array) -> Motion:
    floor = _FLOOR * float(np.median(amount)) or _FLOOR * float(np.mean(amount))
    if not floor > 1e-12:
        return Motion(first, np.zeros(len(amount)))
    values = smoothed(np.log(amount + floor), _SMOOTH_S)
    return Motion(first, values - values.mean())


def _norm(values: Array) -> Array:
    return np.linalg.norm(values, axis=1)


def _derivative(values: Array) -> Array:
    return np.gradient(smoothed(values, _SMOOTH_S), axis=0) * GRID_HZ


def _speed(acceleration: Array) -> Array:
    """Return the speed that acceleration adds up to, what changes slowly left out."""
    quick = smoothed(acceleration - smoothed(acceleration, _SLOW_S), _VECTOR_SMOOTH_S)
    speed = (np.cumsum(quick, axis=0) - quick / 2) / GRID_HZ
    return speed - smoothed(speed, _SLOW_S)


def _small_frames(video: Video) -> Iterator[tuple[float, NDArray[np.float32]]]:
    """Yield each frame once, with its time on the recording's clock, grey and small; at most 30 a second."""
    rate = min(video.info.rate, _VIDEO_HZ)
    count = max(1, int(video.info.duration_s * rate))
    last = None
    for begin in range(0, count, _BATCH):
        wanted = [video.offset_s + (index + 0.5) / rate for index in range(begin, min(count, begin + _BATCH))]
        for time_s, picture in video.frames_at(wanted):
            if last is None or time_s > last:
                last = time_s
                yield time_s, _small(picture)


def _small(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    import cv2

    scale = _SHORT_SIDE / min(picture.shape[:2])
    if scale < 1:
        # Before the colours go: that is done faster on what is left.
        picture = np.asarray(cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))
    grey = picture if picture.ndim == 2 else cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    return np.asarray(grey, dtype=np.float32)
