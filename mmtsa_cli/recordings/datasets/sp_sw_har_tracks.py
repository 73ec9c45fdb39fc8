"""The files of sp-sw-har as runs of one label in the order of time: what its adapter cuts recordings from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path

from mmtsa_cli.errors import DataError
from mmtsa_cli.recordings.stamps import seconds_of_numbers


@dataclass(frozen=True)
class Run:
    """Rows of one label in one file, from the first one's stamp to that of the row after them, in Unix seconds.

    Attributes
    ----------
    label : str
        Lower-case, "" where the rows have none.
    start, end : float
    """

    label: str
    start: float
    end: float


@dataclass(frozen=True)
class Track:
    """What one device recorded of an execution.

    Attributes
    ----------
    name : str
        Of the file, relative to the dataset's root.
    path : Path
    runs : tuple of Run
        In the order of time, without gaps between them; at least one.
    """

    name: str
    path: Path
    runs: tuple[Run, ...]

    @property
    def start(self) -> float:
        """Stamp of the first row."""
        return self.runs[0].start

    @property
    def end(self) -> float:
        """Stamp of the last row, and one step."""
        return self.runs[-1].end


def read_track(name: str, path: Path) -> Track:
    """Read the stamps and labels of a file, in the order of time.

    Raises
    ------
    DataError, ManyErrors
        The file cannot be read, or lacks one of the two columns.
    """
    from mmtsa_cli.recordings.delimited import open_table

    table = open_table(path)
    names = table.names or ()
    missing = [column for column in ("timestamp", "label") if column not in names]
    if missing:
        raise DataError(f"no column {missing[0]}", where=str(path), found=", ".join(names) or "no header")
    column = names.index("timestamp")
    stamps = seconds_of_numbers(table.numbers([column])[:, 0], name="timestamp", rate=None)
    if stamps is None or stamps[1] != "absolute":
        raise DataError("stamps that are no Unix time", where=f"{path}, {table.name(column)}")
    labels = [label.lower().replace(" ", "_") for label in table.texts(names.index("label"))]
    # A stamp that is missing (not equal to itself) places no label.
    rows = [row for row in zip(stamps[0].tolist(), labels, strict=True) if row[0] == row[0]]
    if len(rows) < 2:
        raise DataError("fewer than two rows with a stamp", where=str(path))
    return Track(name, path, tuple(_runs(sorted(rows, key=lambda row: row[0]))))


def _runs(rows: list[tuple[float, str]]) -> Iterator[Run]:
    step = (rows[-1][0] - rows[0][0]) / (len(rows) - 1)
    starts = [(label, next(group)[0]) for label, group in groupby(rows, key=lambda row: row[1])]
    starts.append(("", rows[-1][0] + step))
    return (Run(label, start, end) for (label, start), (_, end) in pairwise(starts))


def shared(one: Run | Track, other: Run | Track) -> float:
    """Return the seconds that both cover."""
    return max(0.0, min(one.end, other.end) - max(one.start, other.start))
