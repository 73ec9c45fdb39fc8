"""The packed files of a store: parts of bounded size, written one after the other, read by range.

All parts one after the other are one run of bytes, and places in it are what the tables of a store hold. The first part
of `frames-rgb` is `frames-rgb.bin`, the next ones `frames-rgb.bin.2`, `frames-rgb.bin.3`, ...; none is larger than the
limit, unless a single piece (a frame, the series of a clip) is: pieces are never split. Where there are several,
`store.json` says how large each is.

A file of this machine is mapped into memory; of one that lies elsewhere the ranges that are asked for are fetched, and
the last ones kept.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from mmtsa_cli.artifacts.remote import RemotePath
from mmtsa_cli.errors import ArtifactError

PART_BYTES = 4 << 30
"""Largest part unless something else is asked for."""
_KEPT_BYTES = 256 << 20
"""What a process keeps of the ranges that it fetched from elsewhere."""
_WHOLE_BYTES = 8 << 20
"""A file up to this size is fetched at once: the series of hundreds of clips, for the time of a few requests."""


def part_path(directory: Path, stem: str, number: int) -> Path:
    """Return the file of a part, counted from 1."""
    return directory / (f"{stem}.bin" if number == 1 else f"{stem}.bin.{number}")


class PartsWriter:
    """Writes pieces one after the other into parts; use as a context manager.

    Parameters
    ----------
    directory : Path
    stem : str
        Of the names of the files.
    limit : int
        Bytes of a part at most.

    Attributes
    ----------
    stem : str
    sizes : list of int
        Bytes of each part so far.
    """

    def __init__(self, directory: Path, stem: str, limit: int) -> None:
        self._directory, self.stem, self._limit = directory, stem, limit
        self._stream: BinaryIO
        self.sizes: list[int] = []
        self._end = 0

    def __enter__(self) -> PartsWriter:
        self._begin()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stream.close()

    def write(self, piece: bytes | memoryview) -> int:
        """Write a piece and return where it begins."""
        size = memoryview(piece).nbytes
        if self.sizes[-1] and self.sizes[-1] + size > self._limit:
            self._stream.close()
            self._begin()
        self._stream.write(piece)
        begin = self._end
        self.sizes[-1] += size
        self._end += size
        return begin

    def _begin(self) -> None:
        self.sizes.append(0)
        self._stream = part_path(self._directory, self.stem, len(self.sizes)).open("wb")


def check_parts(parts: Any) -> None:
    """Raise ValueError where what `store.json` says of parts is no such thing."""
    sizes = [size for its in parts.values() for size in its] if isinstance(parts, dict) else [None]
    if not all(isinstance(size, int) and size >= 0 for size in sizes):
        raise ValueError("parts are not what they should be")


class PackedFile:
    """A packed file, opened for reading.

    Parameters
    ----------
    directory : Path
    stem : str
    total : int
        Bytes of all parts, by the table that goes with it.
    parts : mapping of str to sequence of int
        What `store.json` says: per stem the bytes of each part, where there are several.
    remedy : str
        What to do about a damaged one.

    Attributes
    ----------
    starts : list of int
        Where each part begins.
    only : (total,) uint8 array or None
        Everything, where it is one file of this machine.

    Raises
    ------
    ArtifactError
        A part is missing, or of another size.
    """

    def __init__(
        self, directory: Path, stem: str, total: int, parts: Mapping[str, Sequence[int]], *, remedy: str
    ) -> None:
        sizes = list(parts.get(stem, [total]))
        if sum(sizes) != total:
            where, expected = str(directory / f"{stem}.bin"), f"{total} bytes in all parts"
            raise ArtifactError("damaged", where=where, expected=expected, found=f"{sum(sizes)}", remedy=remedy)
        self._paths = [part_path(directory, stem, number) for number in range(1, len(sizes) + 1)]
        for path, size in zip(self._paths, sizes, strict=True):
            found = path.stat().st_size if path.is_file() else 0
            if found != size:
                expected = f"{size} bytes"
                raise ArtifactError(
                    "damaged", where=str(path), expected=expected, found=f"{found} bytes", remedy=remedy
                )
        self.starts = [0, *accumulate(sizes)][:-1]
        self._opened: list[Any] = [None] * len(sizes)
        mapped = len(sizes) == 1 and not isinstance(directory, RemotePath)
        self.only: NDArray[np.uint8] | None = self._part(0) if mapped else None

    def check_whole(self, begins: NDArray[np.int64]) -> None:
        """Raise ValueError where pieces that begin at these places would be split between parts."""
        if len(self.starts) > 1 and not np.isin(self.starts, begins).all():
            raise ValueError("pieces that lie in two parts")

    def read(self, begin: int, size: int) -> NDArray[np.uint8]:
        """Return some bytes of one part, (size,): a view where the file is mapped."""
        if self.only is not None:
            return self.only[begin : begin + size]
        number = bisect_right(self.starts, begin) - 1
        begin -= self.starts[number]
        return self._part(number)[begin : begin + size]

    def _part(self, number: int) -> Any:
        if self._opened[number] is None:
            self._opened[number] = _opened(self._paths[number])
        return self._opened[number]


def _opened(path: Path) -> Any:
    if isinstance(path, RemotePath):
        return _FetchedRanges(path)
    if not path.is_file() or not path.stat().st_size:
        return np.empty(0, np.uint8)
    # As a plain array: np.memmap's own class does work at every slice.
    return np.memmap(path, np.uint8, "r").view(np.ndarray)


class _FetchedRanges:
    """A file that lies elsewhere, sliced as an array: each range is fetched by itself, of a small file everything."""

    def __init__(self, path: RemotePath) -> None:
        self._path = path
        self._size = path.stat().st_size

    def __getitem__(self, wanted: slice) -> NDArray[np.uint8]:
        begin, after = min(wanted.start, self._size), min(wanted.stop, self._size)
        if self._size <= _WHOLE_BYTES:
            return _kept.range_of(self._path, 0, self._size)[begin:after]
        return _kept.range_of(self._path, begin, after)


class _Kept:
    """The ranges that this process fetched last."""

    def __init__(self) -> None:
        self._ranges: OrderedDict[tuple[RemotePath, int, int], NDArray[np.uint8]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def range_of(self, path: RemotePath, begin: int, after: int) -> NDArray[np.uint8]:
        """Return a range, fetched if it is not here; several threads may ask at once."""
        if begin >= after:
            return np.empty(0, np.uint8)
        key = (path, begin, after)
        with self._lock:
            if key in self._ranges:
                self._ranges.move_to_end(key)
                return self._ranges[key]
        found = np.frombuffer(path.read_range(begin, after), np.uint8)
        with self._lock:
            if key not in self._ranges:
                self._ranges[key] = found
                self._bytes += found.nbytes
            while self._bytes > _KEPT_BYTES and len(self._ranges) > 1:
                self._bytes -= self._ranges.popitem(last=False)[1].nbytes
        return found


_kept = _Kept()
