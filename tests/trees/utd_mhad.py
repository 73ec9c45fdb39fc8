"""UTD-MHAD as its authors ship it, tiny: real file names, variables and types, a synthetic body's movements."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import islice
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from scipy.io import savemat

from mmtsa_cli.recordings.synthesis.rendering import Image
from mmtsa_cli.recordings.synthesis.sensors import GRAVITY, angular_velocity
from mmtsa_cli.recordings.synthesis.timing import FRAME_RATE
from tests.trees.synthetic import Performed

HEIGHT, WIDTH, FRAMES, SAMPLES = 12, 16, 40, 100
RATE = 50
COLOUR_FRAMES = SAMPLES // RATE * FRAME_RATE


def write_utd_mhad(
    root: Path,
    *,
    actions: Sequence[int] = (1, 2),
    subjects: Sequence[int] = (1, 2),
    trials: Sequence[int] = (1,),
    flat: bool = False,
    colour: bool = False,
) -> Path:
    """Write a tree; 2 s of inertial data at 50 Hz and 40 depth frames a trial, and 30 frames of colour if asked for."""
    folders = {name: root if flat else root / name for name in ("Inertial", "Depth", "RGB")}
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)
    for action in actions:
        for subject in subjects:
            for trial in trials:
                name = f"a{action}_s{subject}_t{trial}"
                savemat(folders["Inertial"] / f"{name}_inertial.mat", {"d_iner": inertial(action, subject, trial)})
                depth = {"d_depth": depth_frames(action)}
                savemat(folders["Depth"] / f"{name}_depth.mat", depth, do_compression=True)
                if colour:
                    _write_avi(folders["RGB"] / f"{name}_color.avi", colour_frames(action, subject, trial))
    return root


@lru_cache(maxsize=64)
def inertial(action: int, subject: int, trial: int) -> NDArray[np.float64]:
    """Return (100, 6): accelerations of the wrist in g, its angular rates in deg/s."""
    performed = _performed(action, subject, trial)
    acceleration = performed.sensor("acc_watch", RATE, count=SAMPLES) / GRAVITY
    wrist = performed.performance.placement("watch", 0.0)
    turning = np.degrees(angular_velocity(wrist, np.arange(SAMPLES) / RATE))
    return np.hstack([acceleration, turning])


def depth_frames(action: int) -> np.ndarray:
    """Return (H, W, T) uint16: no reading but for a block, 2000 mm away plus 10 mm a frame, plus the action."""
    depth = np.zeros((HEIGHT, WIDTH, FRAMES), dtype=np.uint16)
    depth[3:9, 4:12, :] = 2000 + 10 * np.arange(FRAMES) + action
    return depth


@lru_cache(maxsize=64)
def colour_frames(action: int, subject: int, trial: int) -> tuple[Image, ...]:
    """Return 30 frames (32, 32, 3), blue-green-red, 15 a second."""
    return tuple(islice(_performed(action, subject, trial).frames(), COLOUR_FRAMES))


def _performed(action: int, subject: int, trial: int) -> Performed:
    return Performed(action, subject=subject, session=trial, seconds=4.0)


def _write_avi(path: Path, frames: Sequence[Image]) -> None:
    """Write a video as the dataset has them: MPEG-4 part 2 in AVI."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=FRAME_RATE, options={"g": "1"})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt, stream.bit_rate = "yuv420p", 2_000_000
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="bgr24")))
        container.mux(stream.encode())
