"""A user's own recordings: an index over MP4 and CSV files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.trees.videos import write_video


def sensor_text(seconds: float = 2.0, rate: float = 50.0, *, start: float = 0.0) -> str:
    """Return a CSV of time,x,y,z: x is the time, y twice it, z is 1."""
    rows = [f"{start + i / rate:.4f},{i / rate:.4f},{2 * i / rate:.4f},1" for i in range(round(seconds * rate))]
    return "time,x,y,z\n" + "\n".join(rows) + "\n"


def write_recordings(
    root: Path, *, labels: Sequence[str] = ("walk", "sit"), subjects: Sequence[str] = ("1", "2")
) -> Path:
    """Write sound recordings of 2 s with rgb and acc, named LABEL_SUBJECT."""
    root.mkdir(parents=True, exist_ok=True)
    rows = ["id,label,subject,rgb,acc"]
    for label in labels:
        for subject in subjects:
            name = f"{label}_{subject}"
            write_video(root / f"{name}.mp4", frames=20, rate=10)
            (root / f"{name}.csv").write_text(sensor_text())
            rows.append(f"{name},{label},{subject},{name}.mp4,{name}.csv")
    (root / "index.csv").write_text("\n".join(rows) + "\n")
    return root


def write_rows(root: Path, text: str, *, description: str | None = None) -> Path:
    """Write an index as a user typed it."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "index.csv").write_text(text)
    if description is not None:
        (root / "dataset.yaml").write_text(description)
    return root


def content(root: Path) -> Mapping[str, bytes]:
    """Return every file below `root`, to tell whether anything has changed."""
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}
