"""What goes wrong with recordings, done to test clips on purpose, to see how much of its accuracy a network keeps.

Strengths are parts of what is there (an axis's spread over the clip, the side of a frame), so that they mean the same
for every sensor and camera; those of clocks are seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmtsa_cli.modalities import Kind
from mmtsa_cli.sampling.augmentation import SensorChange
from mmtsa_cli.sampling.draw import Augmentation, Batch, Samples

_PIECE = 4
"""Samples that are lost together."""

Change = Callable[[NDArray[Any], NDArray[np.float32] | None, float, np.random.Generator], NDArray[Any]]
"""Changes the windows, (N, C, K), or frames, (N, H, W, C), of one modality of one clip; of sensors it gets (C, 2)."""


@dataclass(frozen=True)
class Corruption:
    """A fault and how strong it is tried.

    Attributes
    ----------
    about : str
        What a strength says.
    kind : "sensor" or "video"
        Which modalities it happens to.
    strengths : tuple of float
        Rising.
    change : callable or None
        None: the sensors are read at other times (see `CorruptedSamples`).
    """

    about: str
    kind: Kind
    strengths: tuple[float, ...]
    change: Change | None


class CorruptedSamples(Samples):
    """Clips of which every sensor, or every video, has a fault.

    A clip's fault follows from the seed, its place in the store and that of its modality among those that are read; it
    is the same in every draw.

    Parameters
    ----------
    sound : Samples
    corruption : str
        A key of `CORRUPTIONS`.
    strength : float
    seed : int
    """

    def __init__(self, sound: Samples, corruption: str, strength: float, *, seed: int) -> None:
        super().__init__(
            sound.store, sound.clips, modalities=sound.modalities, classes=sound.classes, options=sound.options
        )
        self._corruption, self._strength, self._seed = CORRUPTIONS[corruption], strength, seed
        self._number = list(CORRUPTIONS).index(corruption)

    def batch(
        self,
        positions: Sequence[int],
        *,
        generators: Sequence[np.random.Generator] | None = None,
        augmentation: Augmentation | None = None,
    ) -> Batch:
        """Draw some of the clips as `Samples` does, then change them."""
        batch = super().batch(positions, generators=generators, augmentation=augmentation)
        change = self._corruption.change
        if change is None:
            return batch
        inputs = dict(batch.inputs)
        for name in self.modalities:
            if self.kind(name) == self._corruption.kind:
                extremes = batch.extremes[name] if name in batch.extremes else [None] * len(positions)
                inputs[name] = np.stack(
                    [
                        change(values, its, self._strength, self._generator(clip, name))
                        for values, its, clip in zip(inputs[name], extremes, batch.clips.tolist(), strict=True)
                    ]
                )
        return replace(batch, inputs=inputs)

    def _generator(self, clip: int, name: str) -> np.random.Generator:
        return np.random.default_rng([self._seed, self._number, clip, self.modalities.index(name)])

    def _windows(
        self,
        name: str,
        clip: int,
        fractions: NDArray[np.float64],
        augmentation: Augmentation | None,
        change: SensorChange | None,
        rng: np.random.Generator | None,
    ) -> NDArray[np.float32]:
        """Return the windows of a clip, (N, C, K); of a wrong clock those of another time, held beyond the clip."""
        if self._corruption.change is not None:
            return super()._windows(name, clip, fractions, augmentation, change, rng)
        # One clock for all sensors of a clip, as they are worn by one person; early or late.
        sign = np.random.default_rng([self._seed, self._number, clip]).choice([-1, 1])
        rows, first = self.store.series(name, clip), self.first_rows(name, clip, fractions)
        late = sign * round(self._strength * self.store.header.modalities[name].rate)
        wanted = first[:, None] + np.arange(self.window_samples(name)) + late
        return np.ascontiguousarray(rows[np.clip(wanted, 0, len(rows) - 1)].transpose(0, 2, 1))


def _noise(
    windows: NDArray[Any], extremes: NDArray[np.float32] | None, strength: float, rng: np.random.Generator
) -> NDArray[Any]:
    return _as_windows(windows + strength * _spread(extremes) * rng.normal(size=windows.shape))


def _bias(
    windows: NDArray[Any], extremes: NDArray[np.float32] | None, strength: float, rng: np.random.Generator
) -> NDArray[Any]:
    """Shift each axis by the strength, up or down."""
    signs = rng.choice([-1, 1], size=(windows.shape[1], 1))
    return _as_windows(windows + strength * _spread(extremes) * signs)


def _drop(
    windows: NDArray[Any], extremes: NDArray[np.float32] | None, strength: float, rng: np.random.Generator
) -> NDArray[Any]:
    """Lose a share of the samples in pieces of some, and bridge them by straight lines, as `sample` does."""
    count = windows.shape[2]
    times = np.arange(count)
    bridged = np.array(windows)
    for window in bridged:
        kept = np.repeat(rng.random(-(-count // _PIECE)) >= strength, _PIECE)[:count]
        if not kept.any():
            kept[rng.integers(count)] = True
        window[:] = [np.interp(times, times[kept], axis[kept]) for axis in window]
    return _as_windows(bridged)


def _blur(
    frames: NDArray[Any], extremes: NDArray[np.float32] | None, strength: float, rng: np.random.Generator
) -> NDArray[Any]:
    import cv2

    sigma = strength * frames.shape[1]
    return np.stack([cv2.GaussianBlur(frame, (0, 0), sigma).reshape(frame.shape) for frame in frames])


def _dark(
    frames: NDArray[Any], extremes: NDArray[np.float32] | None, strength: float, rng: np.random.Generator
) -> NDArray[Any]:
    return np.rint(frames * (1 - strength)).astype(np.uint8)


def _occlude(
    frames: NDArray[Any], extremes: NDArray[np.float32] | None, strength: float, rng: np.random.Generator
) -> NDArray[Any]:
    """Put a black square at one place in front of the camera."""
    height, width = frames.shape[1:3]
    side = round(np.sqrt(strength * height * width))
    top, left = rng.integers(height - min(side, height) + 1), rng.integers(width - min(side, width) + 1)
    hidden = frames.copy()
    hidden[:, top : top + side, left : left + side] = 0
    return hidden


def _spread(extremes: NDArray[np.float32] | None) -> NDArray[Any]:
    assert extremes is not None
    return (extremes[:, 1] - extremes[:, 0])[:, None]


def _as_windows(values: NDArray[Any]) -> NDArray[np.float32]:
    return np.ascontiguousarray(values, np.float32)


CORRUPTIONS: Mapping[str, Corruption] = {
    "noise": Corruption("deviation of white noise, parts of the spread", "sensor", (0.05, 0.1, 0.2, 0.4), _noise),
    "bias": Corruption("shift of each axis, parts of the spread", "sensor", (0.05, 0.1, 0.2, 0.4), _bias),
    "drop": Corruption("share of samples lost", "sensor", (0.2, 0.4, 0.6, 0.8), _drop),
    "shift": Corruption("clock of the sensors off by, s", "sensor", (0.1, 0.25, 0.5, 1.0), None),
    "blur": Corruption("deviation of the blur, parts of the frame's side", "video", (0.01, 0.02, 0.05, 0.1), _blur),
    "dark": Corruption("light lost", "video", (0.25, 0.5, 0.75, 0.9), _dark),
    "occlude": Corruption("share of the frame hidden", "video", (0.1, 0.25, 0.5, 0.75), _occlude),
}
"""By the name that the command takes."""
