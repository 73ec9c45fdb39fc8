"""Multimodal Egocentric Activity as its authors ship it: real names and columns, a synthetic body's movements."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from mmtsa_cli.recordings.synthesis.sensors import GRAVITY, angular_velocity, specific_force
from tests.trees.synthetic import Performed

RATE = 10
_FIELD_UT = np.array([0.0, 20.0, -44.0])
_REPEATED = 7
"""A row that repeats the one before it, as 1 % of the real ones do."""


def write_egocentric(
    root: Path,
    *,
    activities: Sequence[int] = (1, 2),
    sequences: Sequence[int] = (1, 2),
    videos: bool = True,
    folders: tuple[str, str] = ("sensor", "video"),
) -> Path:
    """Write a tree of clips of about 2 s, their rows a few more or fewer than the video's length would give."""
    sensor, video = (root / folder for folder in folders)
    for activity in activities:
        for sequence in sequences:
            name = f"act{activity:02d}seq{sequence:02d}"
            sensor.mkdir(parents=True, exist_ok=True)
            lines = [",".join(f"{value:.7e}" for value in row) for row in rows(activity, sequence)]
            (sensor / f"{name}.csv").write_text("\n".join(lines) + "\n")
            if videos:
                video.mkdir(parents=True, exist_ok=True)
                (video / f"{name}.mp4").write_bytes(picture(activity, sequence))
    return root


@lru_cache(maxsize=64)
def rows(activity: int, sequence: int) -> NDArray[np.float64]:
    """Return the 19 columns: 18, 19 or 20 rows of a performance of 2 s, one of them repeated."""
    times = np.arange(18 + sequence % 3) / RATE
    placement = _performed(activity, sequence).performance.placement("watch", 0.0)
    rotations = placement(times)[1]
    upwards = rotations.transpose(0, 2, 1) @ np.array([0.0, 0.0, GRAVITY])
    acceleration = specific_force(placement, times)
    magnetic = rotations.transpose(0, 2, 1) @ _FIELD_UT
    quaternions = Rotation.from_matrix(rotations).as_quat()
    turning = angular_velocity(placement, times)
    table = np.hstack([acceleration, upwards, turning, acceleration - upwards, magnetic, quaternions])
    table[_REPEATED] = table[_REPEATED - 1]
    return table


@lru_cache(maxsize=64)
def picture(activity: int, sequence: int) -> bytes:
    """Return the video."""
    return _performed(activity, sequence).mp4()


def _performed(activity: int, sequence: int) -> Performed:
    return Performed(activity, subject=sequence, seconds=2.0)
