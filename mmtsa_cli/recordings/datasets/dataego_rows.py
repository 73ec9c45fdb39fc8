"""The rows of DataEgo's sensors: which activity each belongs to, how fast they came, and the clips that they make.

A row is `x<TAB>y<TAB>z<TAB>activity`, without a stamp. Rows are spread evenly over the video, where there is one, else
they are 1 / 15 s apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mmtsa_cli.errors import DataError
from mmtsa_cli.recordings.datasets.dataego_labels import label_of, read_labels

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RATE = 15.0
"""Rows a second, as documented."""
SENSORS = ("acc", "gyro")
_ACTIVITY_COLUMN = 3
_SLACK_S = 0.05
"""What a clip may reach beyond the end: videos end a frame early or late."""
_WORTH_TELLING_S = 0.5


@dataclass(frozen=True)
class Part:
    """A piece of a recording: a clip where `label` is known, else what is left out and `why`."""

    start_s: float
    end_s: float
    label: str | None = None
    why: str = ""


@dataclass(frozen=True)
class Recorded:
    """What the files of one recording say.

    Attributes
    ----------
    name : str
        "REC_1507292576905".
    names : mapping of int to str
        The activities as `labels.txt` writes them, by number.
    numbers : mapping of str to (n,) int array
        Per sensor with rows the number of the activity in each.
    video_s : float or None
        Length of the video; None where there is none to go by.
    """

    name: str
    names: Mapping[int, str]
    numbers: Mapping[str, NDArray[np.int64]]
    video_s: float | None

    @property
    def labelled_by(self) -> str:
        """The sensor whose numbers count: the accelerometer, where it has rows."""
        return next(sensor for sensor in SENSORS if sensor in self.numbers)

    @property
    def end_s(self) -> float:
        """Where the first of the files ends."""
        return self.video_s or min(len(numbers) for numbers in self.numbers.values()) / RATE

    def rate(self, sensor: str) -> float:
        """Return a sensor's rows a second, measured against the video where there is one."""
        return len(self.numbers[sensor]) / self.video_s if self.video_s else RATE

    def label_changes_apart(self) -> int:
        """Return how many of the rows that both sensors have differ in their activity."""
        if len(self.numbers) < 2:
            return 0
        both = [self.numbers[sensor] for sensor in SENSORS]
        rows = min(len(numbers) for numbers in both)
        return int((both[0][:rows] != both[1][:rows]).sum())

    def parts(self, clip_s: float, step_s: float) -> Iterator[Part]:
        """Yield the clips, `step_s` from start to start, and what is no clip.

        As in the MMTSA code, a clip is kept where its first, middle and last row have one label.
        """
        count = 0
        while count * step_s + clip_s <= self.end_s + _SLACK_S:
            start = round(count * step_s, 6)
            yield self._part(start, round(start + clip_s, 6))
            count += 1
        covered = (count - 1) * step_s + clip_s if count else 0.0
        if self.end_s - covered > _WORTH_TELLING_S:
            yield Part(covered, self.end_s, why="shorter than a clip")

    def _part(self, start_s: float, end_s: float) -> Part:
        numbers, rate = self.numbers[self.labelled_by], self.rate(self.labelled_by)
        # The last row begins before the end; a thousandth of a row is the rounding of the times.
        rows = (start_s * rate + 1e-3, (start_s + end_s) / 2 * rate + 1e-3, end_s * rate - 1e-3)
        found = [self.names.get(int(numbers[min(int(row), len(numbers) - 1)])) for row in rows]
        names = [name for name in found if name is not None]
        if len(names) < len(found):
            return Part(start_s, end_s, why="an activity that the labels file does not name")
        labels = {label_of(name) for name in names}
        if None in labels:
            return Part(start_s, end_s, why="no class of DataEgo")
        if len(labels) > 1:
            return Part(start_s, end_s, why="the activity changes")
        return Part(start_s, end_s, labels.pop())


def read_recorded(name: str, sensors: Mapping[str, Path], labels: Path, video_s: float | None) -> Recorded:
    """Read the activities of one recording.

    Parameters
    ----------
    sensors : mapping of str to Path
        Files that are not empty, at least one.

    Raises
    ------
    DataError, ManyErrors
        Rows of another form, or a labels file that cannot be read; with file and row.
    """
    return Recorded(name, read_labels(labels), {sensor: _numbers(path) for sensor, path in sensors.items()}, video_s)


def _numbers(path: Path) -> NDArray[np.int64]:
    """Return the last column of a sensor's file."""
    import numpy as np

    from mmtsa_cli.recordings.delimited import open_table

    table = open_table(path)
    if table.width != _ACTIVITY_COLUMN + 1:
        raise DataError("not four columns", where=str(path), expected="x, y, z, activity", found=str(table.width))
    values = table.numbers([_ACTIVITY_COLUMN])[:, 0]
    wrong = ~(np.isfinite(values) & (values >= 0) & (values == np.round(values)))
    if wrong.any():
        index = int(np.argmax(wrong))
        where = f"{table.place(index)}, {table.name(_ACTIVITY_COLUMN)}"
        raise DataError(
            "not the number of an activity", where=where, expected="0, 1, 2, ...", found=f"{values[index]:g}"
        )
    return values.astype(np.int64)
