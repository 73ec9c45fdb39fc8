"""Recordings, and the many of an index: kept column by column, as a hundred thousand of them fill memory otherwise."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar, overload

from mmtsa_cli.artifacts.remote import joined

T = TypeVar("T")
_SHARED_TEXTS = 50_000
"""Texts of which equal ones are kept once: labels, people, places, and files that many recordings are parts of."""


@dataclass(frozen=True, slots=True)
class Recording:
    """One row of the index.

    Attributes
    ----------
    id : str
    label : str
        The activity.
    columns : mapping of str to str
        Every column that is no modality and no time, `id`, `label`, `subject` among them ("session", "scene", "view",
        "trial", ...): what a protocol may split by.
    start_s, end_s : float or None
        The part of the files that is this recording, in seconds; None: from the beginning, to the end.
    paths : mapping of str to Path
        Per modality that was recorded, its file.
    row : int
        Row of index.csv (the header is row 1), for messages.
    """

    id: str
    label: str
    columns: Mapping[str, str]
    paths: Mapping[str, Path]
    start_s: float | None = None
    end_s: float | None = None
    row: int = 0

    @property
    def subject(self) -> str:
        """The person, "" where the index does not say."""
        return self.columns.get("subject", "")


class Paths(Mapping[str, Path]):
    """Paths made when they are asked for: of a large index most never are, and making them is most of its reading.

    Attributes
    ----------
    files : mapping of str to str
        As the index has them.
    """

    __slots__ = ("_root", "files")

    def __init__(self, root: Path, files: Mapping[str, str]) -> None:
        self._root = root
        self.files = files

    def __getitem__(self, name: str) -> Path:
        return joined(self._root, self.files[name])

    def __contains__(self, name: object) -> bool:
        return name in self.files

    def __iter__(self) -> Iterator[str]:
        return iter(self.files)

    def __len__(self) -> int:
        return len(self.files)


@dataclass
class Table:
    """The cells of an index by column; a text that stands in many rows is kept once.

    Attributes
    ----------
    root : Path
        Where relative paths count from.
    columns : dict of str to list of str
        What is no modality and no time.
    files : dict of str to list of str
        Per modality its files; "" where it was not recorded.
    starts, ends : array of float
        NaN where nothing is said.
    rows : array of int
    """

    root: Path
    columns: dict[str, list[str]]
    files: dict[str, list[str]]
    starts: array[float] = field(default_factory=lambda: array("d"))
    ends: array[float] = field(default_factory=lambda: array("d"))
    rows: array[int] = field(default_factory=lambda: array("Q"))
    _shared: dict[str, str] = field(default_factory=dict)

    def append(self, row: int, values: Mapping[str, str], start: float | None, end: float | None) -> None:
        """Add a row; `values` has every column and every modality."""
        for name, texts in (*self.columns.items(), *self.files.items()):
            texts.append(values[name] if name == "id" else self._once(values[name]))
        self.starts.append(math.nan if start is None else start)
        self.ends.append(math.nan if end is None else end)
        self.rows.append(row)

    def _once(self, text: str) -> str:
        if len(self._shared) >= _SHARED_TEXTS:
            return self._shared.get(text, text)
        return self._shared.setdefault(text, text)

    def recording(self, place: int) -> Recording:
        """Return the recording of a place, from 0."""
        columns = {name: texts[place] for name, texts in self.columns.items()}
        files = {name: texts[place] for name, texts in self.files.items() if texts[place]}
        start, end = (None if math.isnan(its[place]) else its[place] for its in (self.starts, self.ends))
        paths = Paths(self.root, files)
        return Recording(columns["id"], columns.get("label", ""), columns, paths, start, end, self.rows[place])


class Recordings(Sequence[Recording]):
    """Rows of a table, each made a recording when it is asked for; equal to any sequence of the same recordings.

    Parameters
    ----------
    table : Table
    places : sequence of int, optional
        Which rows, in this order; None: all.
    """

    __slots__ = ("places", "table")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, table: Table, places: Sequence[int] | None = None) -> None:
        self.table = table
        self.places = range(len(table.rows)) if places is None else places

    def __len__(self) -> int:
        return len(self.places)

    @overload
    def __getitem__(self, at: int) -> Recording: ...

    @overload
    def __getitem__(self, at: slice) -> Recordings: ...

    def __getitem__(self, at: int | slice) -> Recording | Recordings:
        if isinstance(at, slice):
            return Recordings(self.table, self.places[at])
        return self.table.recording(self.places[at])

    def __iter__(self) -> Iterator[Recording]:
        return map(self.table.recording, self.places)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(one == its for one, its in zip(self, other, strict=True))


def those_at(recordings: Sequence[Recording], places: Sequence[int]) -> Sequence[Recording]:
    """Return the recordings at some places."""
    if isinstance(recordings, Recordings):
        chosen = recordings.places
        return Recordings(recordings.table, array("Q", (chosen[place] for place in places)))
    return [recordings[place] for place in places]


def file_text(recording: Recording, name: str) -> str:
    """Return what tells a recording's file from others of its index, without making a path of it."""
    paths = recording.paths
    return paths.files[name] if isinstance(paths, Paths) else str(paths[name])


class Columns(Mapping[str, str]):
    """Columns of one recording of many, without copying any, for what goes through all of them again and again."""

    __slots__ = ("_columns", "_place")

    def __init__(self, columns: Mapping[str, Sequence[str]], place: int) -> None:
        self._columns, self._place = columns, place

    def __getitem__(self, name: str) -> str:
        return self._columns[name][self._place]

    def get(self, name: str, default: str = "") -> str:  # type: ignore[override]
        """Return a column, or `default` where there is none of that name."""
        texts = self._columns.get(name)
        return default if texts is None else texts[self._place]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)


def columns_of(recordings: Sequence[Recording]) -> Sequence[Mapping[str, str]]:
    """Return what a protocol may split recordings by: the columns of each, `id` and `label` among them."""
    if isinstance(recordings, Recordings):
        columns, places = recordings.table.columns, recordings.places
        return Each(places, lambda place: Columns(columns, place))
    return [{**recording.columns, "id": recording.id, "label": recording.label} for recording in recordings]


class Each(Sequence[T]):
    """What a function makes of each item, when it is asked for.

    Parameters
    ----------
    items : sequence
    make : callable
        Of an item.
    """

    __slots__ = ("_items", "_make")

    def __init__(self, items: Sequence[object], make: Callable[..., T]) -> None:
        self._items, self._make = items, make

    def __len__(self) -> int:
        return len(self._items)

    @overload
    def __getitem__(self, at: int) -> T: ...

    @overload
    def __getitem__(self, at: slice) -> Each[T]: ...

    def __getitem__(self, at: int | slice) -> T | Each[T]:
        return Each(self._items[at], self._make) if isinstance(at, slice) else self._make(self._items[at])

    def __iter__(self) -> Iterator[T]:
        return map(self._make, self._items)
