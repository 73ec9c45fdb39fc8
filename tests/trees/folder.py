"""A user's own recordings: a folder per class, or a table of paths and labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.trees.own import sensor_text
from tests.trees.videos import write_video

CLASSES = {"walk": ("anna", "bert"), "sit": ("anna",)}


def write_classes(root: Path) -> Path:
    """Write `CLASS/SUBJECT/clip1.*`: video, accelerometer and gyroscope, 2 s each."""
    for label, subjects in CLASSES.items():
        for subject in subjects:
            write_clip(root / label / subject, "clip1")
            (root / label / subject / "clip1_gyro.csv").write_text(sensor_text())
    return root


def write_clip(folder: Path, name: str) -> None:
    """Write a video and a series of one name."""
    folder.mkdir(parents=True, exist_ok=True)
    write_video(folder / f"{name}.mp4")
    (folder / f"{name}.csv").write_text(sensor_text())


def write_table(
    root: Path, rows: Sequence[str], *, name: str = "clips.csv", clips: Sequence[str] = ("v1", "v2")
) -> Path:
    """Write a table as a user typed it, and clips in `media` beside it; return the table."""
    root.mkdir(parents=True, exist_ok=True)
    for clip in clips:
        write_clip(root / "media", clip)
    path = root / name
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path
