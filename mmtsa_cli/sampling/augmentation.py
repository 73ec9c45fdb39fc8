"""Augmentation of sensors and of video: what a draw for training changes, one change a clip and draw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmtsa_cli.artifacts.options import option

_HALF_WAVES = np.arange(1, 4)

CropBox = tuple[float, float, float, bool]
"""Top, left and side of a square as parts of a frame's short side; whether it is mirrored."""


@dataclass(frozen=True)
class SensorAugmentation:
    """How sensor series vary in training.

    All of a clip's sensors get the same rotation and tempo: they are worn by one person.
    """

    rotation: float = option(0.0, "standard deviation of a rotation of the sensor's frame, in degrees", low=0, high=180)
    speed: float = option(
        0.0, "standard deviation of the logarithm of a change of tempo (0.1: about 10 %)", low=0, high=1
    )
    warp: float = option(
        0.0, "standard deviation of a smooth change of tempo within a window, as for speed", low=0, high=1
    )
    scale: float = option(0.0, "standard deviation of the logarithm of a factor on a sensor", low=0, high=1)
    offset: float = option(0.0, "standard deviation of a shift of each axis, as a part of its spread", low=0, high=1)
    noise: float = option(0.0, "standard deviation of white noise, as a part of each axis's spread", low=0, high=1)
    gap: float = option(
        0.0, "mean part of a window that is lost in one piece and bridged by a straight line", low=0, high=0.5
    )

    @property
    def active(self) -> bool:
        """Whether anything varies."""
        return any((self.rotation, self.speed, self.warp, self.scale, self.offset, self.noise, self.gap))


@dataclass(frozen=True)
class VideoAugmentation:
    """How video frames vary in training.

    All frames of a clip get the same change: they show one camera's view.
    """

    shift: float = option(
        0.0, "largest shift of the crop in each direction, as a part of the short side", low=0, high=0.5
    )
    zoom: float = option(0.0, "standard deviation of the logarithm of the crop's size", low=0, high=1)
    mirror: bool = option(False, "mirror half of the clips; not where left and right are different activities")
    brightness: float = option(
        0.0, "standard deviation of a factor on all grey values, as its logarithm", low=0, high=1
    )
    contrast: float = option(
        0.0, "standard deviation of a factor on the distance from the mean, as its logarithm", low=0, high=1
    )
    erase: float = option(
        0.0, "probability that a random rectangle of up to a third of each side is greyed", low=0, high=1
    )


@dataclass(frozen=True)
class SensorChange:
    """What one draw does to all sensors of a clip.

    Attributes
    ----------
    rotation : (3, 3) array
    speed : float
        A window covers `speed` times its length of the recording.
    warp : (3,) array
        Weights of three half sines that bend time within a window; 0: straight.
    """

    rotation: NDArray[np.float64]
    speed: float
    warp: NDArray[np.float64]


def draw_change(options: SensorAugmentation, rng: np.random.Generator) -> SensorChange:
    """Draw what happens to all sensors of a clip."""
    axis = rng.normal(size=3)
    angle = np.deg2rad(rng.normal() * options.rotation)
    speed = float(np.exp(rng.normal() * options.speed))
    return SensorChange(_rotation(axis / np.linalg.norm(axis), angle), speed, rng.normal(size=3) * options.warp)


def change_windows(
    rows: NDArray[np.float32],
    first: NDArray[np.int64],
    samples: int,
    options: SensorAugmentation,
    change: SensorChange,
    rng: np.random.Generator,
    *,
    vectors: bool,
    spread: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Cut and change the windows of one sensor.

    Parameters
    ----------
    rows : (n, C) array
        The whole series; only the rows of the windows are read.
    first : (N,) array of int
        First row of each window.
    samples : int
        K.
    vectors : bool
        Whether the axes are a vector in space, which a rotation may turn (not: angles).
    spread : (C,) array
        Maximum less minimum of each axis over the clip.

    Returns
    -------
    (N, C, K) float32 array
    """
    if options.speed or options.warp:
        windows = _stretched(rows, first, samples, change).transpose(0, 2, 1)
    else:
        windows = rows[first[:, None] + np.arange(samples)].transpose(0, 2, 1)
    if vectors and options.rotation:
        windows = np.einsum("ij,njk->nik", change.rotation, windows)
    channels = windows.shape[1]
    if options.scale:
        windows = windows * np.exp(rng.normal() * options.scale)
    if options.offset:
        windows = windows + rng.normal(size=(channels, 1)) * options.offset * spread[:, None]
    if options.noise:
        windows = windows + rng.normal(size=windows.shape) * options.noise * spread[:, None]
    if options.gap:
        windows = _with_gaps(windows, options.gap, rng)
    return np.ascontiguousarray(windows, np.float32)


def _stretched(
    rows: NDArray[np.float32], first: NDArray[np.int64], samples: int, change: SensorChange
) -> NDArray[np.float64]:
    """Return K rows about each window's centre, (N, K, C), read at changed times by linear interpolation."""
    u = np.linspace(0.0, 1.0, samples)
    bend = change.warp / _HALF_WAVES @ np.sin(np.pi * np.outer(_HALF_WAVES, u)) / np.pi
    positions = first[:, None] + ((u + bend - 0.5) * change.speed + 0.5) * (samples - 1)
    # A window that would reach beyond the clip is moved into it, then cut off at its ends.
    last = len(rows) - 1
    positions += np.maximum(0.0, -positions.min(axis=1, keepdims=True))
    positions -= np.maximum(0.0, positions.max(axis=1, keepdims=True) - last)
    np.clip(positions, 0, last, out=positions)
    low = np.minimum(positions.astype(np.int64), max(last - 1, 0))
    part = (positions - low)[..., None]
    return rows[low] * (1 - part) + rows[np.minimum(low + 1, last)] * part


def _with_gaps(windows: NDArray[Any], part: float, rng: np.random.Generator) -> NDArray[Any]:
    """Return windows, (N, C, K), each without a piece of it, of up to twice `part` of its length.

    The rest is held where the piece is at an end, as `clean` fills what a sensor lost.
    """
    samples = windows.shape[2]
    bridged = np.array(windows)
    for window in bridged:
        length = round(rng.uniform(0, 2 * part) * samples)
        start = int(rng.integers(samples - length + 1))
        kept = np.r_[0:start, start + length : samples]
        if length and len(kept):
            lost = np.arange(start, start + length)
            window[:, lost] = [np.interp(lost, kept, axis[kept]) for axis in window]
    return bridged


def _rotation(axis: NDArray[np.float64], angle: float) -> NDArray[np.float64]:
    """Return the matrix of a rotation about a unit vector (Rodrigues' formula)."""
    x, y, z = axis
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def centre_box(shape: tuple[int, int], crop: float) -> CropBox:
    """Return the centred square that keeps `crop` of the short side of a frame of `shape` (height, width)."""
    short = min(shape)
    return ((shape[0] / short - crop) / 2, (shape[1] / short - crop) / 2, crop, False)


def random_box(shape: tuple[int, int], crop: float, options: VideoAugmentation, rng: np.random.Generator) -> CropBox:
    """Return a square about the centre, shifted, scaled and mirrored at random, inside the frame."""
    short = min(shape)
    height, width = shape[0] / short, shape[1] / short
    side = min(crop * float(np.exp(rng.normal() * options.zoom)), 1.0)
    shift = rng.uniform(-1, 1, 2) * options.shift
    mirrored = bool(rng.random() < 0.5) and options.mirror
    top = min(max((height - side) / 2 + shift[0], 0.0), height - side)
    left = min(max((width - side) / 2 + shift[1], 0.0), width - side)
    return (float(top), float(left), side, mirrored)


def relight(frames: NDArray[np.uint8], options: VideoAugmentation, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Change brightness and contrast of the frames of a clip, (N, H, W, C), and grey a rectangle of them."""
    gain, spread, erased = rng.normal(), rng.normal(), rng.random() < options.erase
    place, extent = rng.random(2), rng.uniform(1 / 9, 1 / 3, 2)
    if options.brightness or options.contrast:
        mean = frames.mean()
        table = (np.arange(256) - mean) * np.exp(spread * options.contrast) + mean
        table = (table * np.exp(gain * options.brightness)).clip(0, 255).astype(np.uint8)
        frames = table[frames]
    if erased:
        height, width = frames.shape[1:3]
        h, w = (extent * (height, width)).astype(int)
        y, x = (place * (height - h, width - w)).astype(int)
        frames = frames.copy()
        frames[:, y : y + h, x : x + w] = 128
    return frames
