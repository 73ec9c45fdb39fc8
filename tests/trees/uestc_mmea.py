"""UESTC-MMEA-CL as its authors ship it: names, lists and raw counts as in their code, a synthetic body's movements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mmtsa_cli.recordings.synthesis.sensors import GRAVITY
from tests.trees.synthetic import Performed

RATE = 25
ACTIVITIES = {1: "1_upstairs", 27: "27_open_close_door", 32: "32_watch_TV"}
SPLITS = ("train", "train", "val", "test")
"""Of the clips of each activity, in order."""
ABSENT = "1_upstairs_2022_01_01_00_00_00"
"""A clip that train.txt names and that is not there."""
_PREFIX = "yourdataset_path/data/"


def write_uestc_mmea(root: Path, *, activities: Sequence[int] = (1, 27), clips: int = 4, header: str = "") -> Path:
    """Write a tree of clips of about 2 s: the last of the first activity has no video, train.txt names one too many."""
    lists: dict[str, list[str]] = {split: [] for split in SPLITS}
    for activity in activities:
        folder = ACTIVITIES[activity]
        for number in range(clips):
            name = clip_name(activity, number)
            counts = raw(activity, number)
            _write(root / "sensor" / folder / f"{name}.csv", _csv(counts, header).encode())
            if (activity, number) != (activities[0], clips - 1):
                _write(root / "video" / folder / f"{name}.mp4", picture(activity, number))
            split = SPLITS[number % len(SPLITS)]
            lists[split].append(f"{_PREFIX}{folder}/{name} {len(counts)} {len(counts)} {activity - 1}")
    lists["train"].append(f"{_PREFIX}1_upstairs/{ABSENT} 400 401 0")
    write_lists(root, lists)
    return root


def write_lists(root: Path, lists: Mapping[str, Sequence[str]]) -> None:
    """Write train.txt, val.txt and test.txt, a line a clip."""
    for split, lines in lists.items():
        (root / f"{split}.txt").write_text("".join(f"{line}\n" for line in lines))


def clip_name(activity: int, number: int) -> str:
    """Return the name of a clip's files: the activity and when it was recorded."""
    return f"{ACTIVITIES[activity]}_2022_04_29_13_04_{number:02d}"


@lru_cache(maxsize=64)
def raw(activity: int, number: int) -> NDArray[np.int64]:
    """Return the six columns in counts: 8192 a g, 16.4 a deg/s."""
    performed = _performed(activity, number)
    acceleration = performed.sensor("acc_watch", RATE) / GRAVITY * 8192
    turning = np.degrees(performed.sensor("gyro", RATE)) * 16.4
    return np.round(np.hstack([acceleration, turning])).astype(np.int64)


@lru_cache(maxsize=64)
def picture(activity: int, number: int) -> bytes:
    """Return the video."""
    return _performed(activity, number).mp4()


def _performed(activity: int, number: int) -> Performed:
    return Performed(activity, subject=number + 1, seconds=2.0)


def _csv(counts: NDArray[np.int64], header: str) -> str:
    """Return the rows; under a header that begins with a time, with milliseconds before them."""
    timed = header.startswith("time")
    lines = [
        ",".join(map(str, [*([round(index * 1000 / RATE)] if timed else []), *row]))
        for index, row in enumerate(counts.tolist())
    ]
    return "".join(f"{line}\n" for line in ([header] if header else []) + lines)


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
