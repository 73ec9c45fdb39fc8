"""UTD-MHAD as its authors ship it, tiny: real file names, variables and types, made-up content."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.io import savemat

from tests.trees.videos import write_video

HEIGHT, WIDTH, FRAMES, SAMPLES = 12, 16, 40, 100


def write_utd_mhad(
    root: Path,
    *,
    actions: Sequence[int] = (1, 2),
    subjects: Sequence[int] = (1, 2),
    trials: Sequence[int] = (1,),
    flat: bool = False,
    colour: bool = False,
) -> Path:
    """Write a tree; 2 s of inertial data at 50 Hz and 40 depth frames a trial."""
    folders = {name: root if flat else root / name for name in ("Inertial", "Depth", "RGB")}
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)
    for action in actions:
        for subject in subjects:
            for trial in trials:
                name = f"a{action}_s{subject}_t{trial}"
                rng = np.random.default_rng([action, subject, trial])
                savemat(folders["Inertial"] / f"{name}_inertial.mat", {"d_iner": rng.normal(size=(SAMPLES, 6))})
                depth = {"d_depth": depth_frames(action)}
                savemat(folders["Depth"] / f"{name}_depth.mat", depth, do_compression=True)
                if colour:
                    write_video(folders["RGB"] / f"{name}_color.avi", frames=20, rate=10, codec="mpeg4")
    return root


def depth_frames(action: int) -> np.ndarray:
    """Return (H, W, T) uint16: no reading but for a block, 2000 mm away plus 10 mm a frame, plus the action."""
    depth = np.zeros((HEIGHT, WIDTH, FRAMES), dtype=np.uint16)
    depth[3:9, 4:12, :] = 2000 + 10 * np.arange(FRAMES) + action
    return depth
