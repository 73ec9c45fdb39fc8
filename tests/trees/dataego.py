"""DataEgo as its authors ship it, tiny: real folders, names and formats, a synthetic body's video and sensors."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from mmtsa_cli.recordings.synthesis.files import encode
from tests.trees.synthetic import Performed

FRAME_RATE = 15
SENSORS = {"ACC": "acc_watch", "GYR": "gyro"}
"""By the beginning of its file's name, the synthetic sensor that fills it."""


@dataclass(frozen=True)
class Rec:
    """One recording, with the troubles that are in its files.

    Parameters
    ----------
    ms : int
        Of its name.
    activities : sequence of (name, seconds)
        As the labels file writes them, in their order; the length of the video is their sum.
    rates : (float, float)
        Rows a second of accelerometer and gyroscope.
    video : bool
    sensors : sequence of "ACC" or "GYR"
        Those that have a file.
    late : int
        By how many rows the gyroscope's labels change later than the accelerometer's.
    labels : str or None
        The content of the labels file where it is not made of `activities`; "": there is none.
    labels_name : str
    """

    ms: int
    activities: Sequence[tuple[str, float]]
    rates: tuple[float, float] = (15.0, 15.0)
    video: bool = True
    sensors: Sequence[str] = ("ACC", "GYR")
    late: int = 0
    labels: str | None = None
    labels_name: str = "labels.txt"

    @property
    def name(self) -> str:
        return f"REC_{self.ms}"

    @property
    def seconds(self) -> float:
        return sum(seconds for _, seconds in self.activities)

    def numbers(self, kind: str) -> np.ndarray:
        """Return the activity's number in each row of a sensor's file."""
        rate = self.rates[list(SENSORS).index(kind)]
        ends = np.cumsum([seconds for _, seconds in self.activities])
        times = (np.arange(round(self.seconds * rate)) + 1e-6) / rate
        numbers = np.searchsorted(ends, times, side="right")
        late = self.late if kind == "GYR" else 0
        return np.concatenate([np.zeros(late, dtype=int), numbers])[: len(numbers)]

    def values(self, kind: str) -> np.ndarray:
        """Return the axes of a sensor's file, (n, 3): every tenth value stands twice, as a timer samples the latest."""
        numbers = self.numbers(kind)
        bodies = [Performed(number, seconds=3.0).sensor(SENSORS[kind], 15.0, count=45) for number in range(12)]
        rows = np.arange(len(numbers))
        rows -= rows % 10 == 9
        return np.stack([bodies[number % 12][row % 45] for number, row in zip(numbers, rows, strict=True)]).round(5)

    def path(self, root: Path, kind: str) -> Path:
        """Return the path of a file: of "ACC", "GYR", "video" or "labels"."""
        names = {"video": f"{self.name}.mp4", "labels": self.labels_name}
        return root / self.name / names.get(kind, f"{kind}_{self.name}.txt")


RECORDINGS = (
    Rec(1507292576905, [("cooking on stove ", 31), ("writting", 16), ("walking", 18)], rates=(14.5, 14.5)),
    Rec(1507193252270, [("climbing stairs", 20), ("eating and drinking", 30)], rates=(15.0, 14.9), late=4),
    Rec(
        1507451974266, [("Walking", 20), ("talking to people", 15)], video=False, labels_name="labels_1507451974266.txt"
    ),
    Rec(1507538351866, [("reading", 26)], sensors=("GYR",)),
)
"""Every trouble that is known of the real files but those that are refused: see the tests."""


def write_dataego(root: Path, *, recordings: Sequence[Rec] = RECORDINGS, below: str = "") -> Path:
    """Write a tree below a folder of `root`."""
    for recording in recordings:
        folder = root / below
        (folder / recording.name).mkdir(parents=True, exist_ok=True)
        if recording.video:
            recording.path(folder, "video").write_bytes(_mp4(recording.seconds))
        for kind in recording.sensors:
            recording.path(folder, kind).write_text(sensor_text(recording, kind))
        if recording.labels != "":
            recording.path(folder, "labels").write_text(recording.labels or labels_text(recording))
    return root


def sensor_text(recording: Rec, kind: str) -> str:
    """Return a sensor's file."""
    rows = zip(recording.values(kind), recording.numbers(kind), strict=True)
    return "".join("\t".join([*(repr(float(value)) for value in row), str(number)]) + "\n" for row, number in rows)


def labels_text(recording: Rec) -> str:
    """Return a labels file: the names' trailing spaces are kept, the last line has no end."""
    return "\n".join(f"{number}:{name}" for number, (name, _) in enumerate(recording.activities))


@cache
def _mp4(seconds: float) -> bytes:
    pictures = list(Performed(1, seconds=3.0, size=16).frames())
    frames = itertools.islice(itertools.cycle(pictures), round(seconds * FRAME_RATE))
    return encode(frames, size=16, rate=FRAME_RATE)
