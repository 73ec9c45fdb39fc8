"""Depth recordings in `.mat` files (UTD-MHAD: uint16 millimetres, height x width x frames) as grey video."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mmtsa_cli.errors import DataError
from mmtsa_cli.recordings.arrays import load_variable, mat_variables
from mmtsa_cli.recordings.index import ModalitySpec
from mmtsa_cli.recordings.video import Video, VideoInfo

DEPTH_RANGE_MM = (500.0, 4500.0)
"""What becomes white and what black where nothing is said: the range in which a Kinect measures."""


class DepthVideo(Video):
    """The frames of a 3-D array of depths.

    Parameters
    ----------
    path : Path
    spec : ModalitySpec
        `variable`, `rate`, `depth_range_mm`.
    duration_s : float, optional
        Over which the frames are spread evenly where `spec.rate` is None.

    Raises
    ------
    DataError
        No 3-D array in the file, or neither rate nor duration known.
    """

    def __init__(self, path: Path, spec: ModalitySpec, *, duration_s: float | None = None) -> None:
        # Reading the shape alone costs as much: the array is compressed as a whole.
        self._depths = load_variable(path, spec.variable or _only_frames(path))
        if self._depths.ndim != 3 or self._depths.dtype.kind not in "uif" or not self._depths.size:
            raise _no_frames(path, spec.variable)
        height, width, frames = self._depths.shape
        if spec.rate is None and not duration_s:
            remedy = "give its rate, or `spans: SENSOR` for the sensor that spans the same time, in dataset.yaml"
            raise DataError("frames without times", where=str(path), remedy=remedy)
        self._rate = spec.rate or frames / float(duration_s or 1)
        self._range = spec.depth_range_mm or DEPTH_RANGE_MM
        self._info = VideoInfo(frames / self._rate, frames, self._rate, width, height, grey=True)

    @property
    def info(self) -> VideoInfo:
        """What is known of the video."""
        return self._info

    def probe(self) -> VideoInfo:
        """Return the info: the whole array was read on opening."""
        return self._info

    def scan(self) -> VideoInfo:
        """Return the info: the whole array was read on opening."""
        return self._info

    def close(self) -> None:
        """Forget the array."""
        self._depths = np.empty((0, 0, 0), dtype=np.uint16)

    def _frames_at(self, times_s: Sequence[float]) -> list[tuple[float, NDArray[np.uint8]]]:
        if not times_s:
            return []
        depths = self._depths
        # A hair's breadth more, so that the time at which a frame begins is not rounded into the one before.
        indices = [min(max(int(time_s * self._rate + 1e-6), 0), self._info.frames - 1) for time_s in times_s]
        pictures = {index: grey_of_depth(depths[:, :, index], self._range) for index in set(indices)}
        return [(index / self._rate, pictures[index]) for index in indices]


def grey_of_depth(depth: NDArray, range_mm: tuple[float, float]) -> NDArray[np.uint8]:
    """Return depths as grey: near is 255, far is 1, linear between; 0 (no reading) stays 0.

    Parameters
    ----------
    depth : (H, W) numbers
        Millimetres, 0 where there is no reading.
    range_mm : (near, far)
        Depths beyond count as near or far.

    Returns
    -------
    (H, W) uint8
    """
    near, far = range_mm
    closeness = np.clip((far - depth.astype(np.float32)) / (far - near), 0, 1)
    return np.ascontiguousarray(np.where(depth > 0, np.rint(1 + 254 * closeness), 0).astype(np.uint8))


def _only_frames(path: Path) -> str:
    names = [name for name, shape, _ in mat_variables(path) if len(shape) == 3]
    if len(names) != 1:
        raise _no_frames(path, None)
    return names[0]


def _no_frames(path: Path, wanted: str | None) -> DataError:
    inside = ", ".join(f"{name} ({'x'.join(map(str, shape))})" for name, shape, _ in mat_variables(path)) or "nothing"
    expected = f"one 3-D array{f' called {wanted}' if wanted else ''}: height x width x frames"
    return DataError("no depth video", where=str(path), expected=expected, found=inside)
