"""MATLAB files, with every length checked against what is there: full arrays of version 5 to 7.2 are read.

SciPy's reader believes the types and lengths that a file states, and writes where they lead it: a file of a kilobyte
can end the process, or worse. So nothing but NumPy and zlib sees the bytes here. Files of version 4, which are simple,
are left to SciPy once their lengths are known to be true.
See https://www.mathworks.com/help/pdf_doc/matlab/matfile_format.pdf.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

_HEADER = 128
_MATRIX, _COMPRESSED = 14, 15
_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_CLASSES = {
    1: "cell", 2: "struct", 3: "object", 4: "char", 5: "sparse", 6: "double", 7: "single", 8: "int8", 9: "uint8",
    10: "int16", 11: "uint16", 12: "int32", 13: "uint32", 14: "int64", 15: "uint64", 16: "function", 17: "opaque",
}  # fmt: skip
_LOGICAL, _COMPLEX = 0x200, 0x800
_HEAD = 1 << 14
"""Bytes of an array in which its flags, shape and name must end."""
_MOST_DIMENSIONS = 32
_HEAD_4, _HIGHEST_4, _SPARSE_4 = 20, 5000, 2
_WIDTHS_4 = {0: 8, 1: 4, 2: 4, 3: 2, 4: 2, 5: 1}
"""Bytes of a number of version 4, by its type."""
_LARGEST_4 = (1 << 31) - 1
"""SciPy counts in 32 bits."""


class MatlabError(ValueError):
    """What is wrong with the bytes, in a few words."""


@dataclass(frozen=True)
class Variable:
    """What a file says of a variable before its values.

    Attributes
    ----------
    name : str
    shape : tuple of int
    kind : str
        MATLAB's class ("double", "logical", "sparse", "cell", ...); "complex" of numbers with an imaginary part.
    start, size : int
        Where its element lies in the file, behind the tag, and how many bytes it has there.
    compressed : bool
    """

    name: str
    shape: tuple[int, ...]
    kind: str
    start: int
    size: int
    compressed: bool


def is_version_5(head: bytes) -> bool:
    """Whether the first bytes are those of such a file."""
    return len(head) >= _HEADER and head[126:128] in (b"IM", b"MI") and 0 not in head[:4]


def variables(path: Path) -> list[Variable]:
    """Return the variables of a file, in their order, reading no values.

    Raises
    ------
    MatlabError
        An element that is cut off, or that is none.
    """
    with path.open("rb") as stream:
        order = _order(stream)
        return list(_variables(stream, order, path.stat().st_size))


def check_version_4(path: Path) -> None:
    """Refuse a file of version 4 whose lengths are not true: SciPy's reader may go round in it for ever.

    Raises
    ------
    MatlabError
    """
    total = path.stat().st_size
    with path.open("rb") as stream:
        order, at = "<", 0
        while at < total:
            stream.seek(at)
            head = stream.read(_HEAD_4)
            if len(head) < _HEAD_4:
                raise MatlabError("it ends within a variable's header")
            # The byte order of the first one is that of the file, as in SciPy.
            if not at and not 0 <= int(np.frombuffer(head[:4], "<i4")[0]) <= _HIGHEST_4:
                order = ">"
            kind, rows, columns, imaginary, name = (int(word) for word in np.frombuffer(head, order + "i4"))
            width = _WIDTHS_4.get(kind // 10 % 10)
            if not 0 <= kind <= _HIGHEST_4 or width is None or min(rows, columns) < 0 or name < 1:
                raise MatlabError("a variable's header that is none")
            size = rows * columns * width * (2 if imaginary == 1 and kind % 10 != _SPARSE_4 else 1)
            at += _HEAD_4 + name + size
            if at > total:
                raise MatlabError(f"a variable of {rows} x {columns} that is cut off")
            if size > _LARGEST_4:
                raise MatlabError(f"a variable of {size} bytes in a file of version 4: save it as version 7")


def read_variable(path: Path, variable: Variable) -> NDArray[Any]:
    """Return the values of a full array of real numbers, in the type in which they are stored.

    Raises
    ------
    MatlabError
        It is damaged, or its values are not as many as its shape says.
    """
    with path.open("rb") as stream:
        order = _order(stream)
        stream.seek(variable.start)
        content: bytes | memoryview = stream.read(variable.size)
    if variable.compressed:
        content = _inflated(content, None)
    # Without copies: a depth recording is large.
    content = memoryview(content)[8 if variable.compressed else 0 :]
    _, _, _, at = _head(content, order)
    kind, data, _ = _element(content, at, order)
    if kind not in _NUMBERS:
        raise MatlabError(f"values of type {kind}")
    dtype = np.dtype(order + _NUMBERS[kind])
    count = math.prod(variable.shape)
    if len(data) != count * dtype.itemsize:
        raise MatlabError(f"{len(data)} bytes of values for {count} of {dtype.itemsize}")
    return np.frombuffer(data, dtype).astype(dtype.newbyteorder("=")).reshape(variable.shape, order="F")


def _order(stream: BinaryIO) -> str:
    return "<" if stream.read(_HEADER)[126:128] == b"IM" else ">"


def _variables(stream: BinaryIO, order: str, total: int) -> Iterator[Variable]:
    at = _HEADER
    while at < total:
        stream.seek(at)
        tag = stream.read(8)
        if len(tag) < 8:
            raise MatlabError("it ends within a tag")
        kind, size = (int(word) for word in np.frombuffer(tag, order + "u4"))
        if size > total - at - 8:
            raise MatlabError(f"an element of {size} bytes where {total - at - 8} are left")
        if kind in (_MATRIX, _COMPRESSED):
            content = stream.read(min(size, _HEAD))
            if kind == _COMPRESSED:
                content = _inflated(content, _HEAD)
                if len(content) < 8 or int(np.frombuffer(content[:4], order + "u4")[0]) != _MATRIX:
                    raise MatlabError("a compressed element that is no array")
                content = content[8:]
            name, shape, its, _ = _head(content, order)
            yield Variable(name, shape, its, at + 8, size, kind == _COMPRESSED)
        at += 8 + size


def _inflated(content: bytes | memoryview, most: int | None) -> bytes:
    """Return what was compressed, or its first bytes: at most 1032 for each that is there, by how zlib works."""
    try:
        if most is None:
            return zlib.decompress(content)
        return zlib.decompressobj().decompress(content, most)
    except zlib.error as error:
        raise MatlabError(str(error)) from None


def _head(content: bytes | memoryview, order: str) -> tuple[str, tuple[int, ...], str, int]:
    """Return name, shape and class of an array, and where its values begin."""
    kind, flags, at = _element(content, 0, order)
    if kind != 6 or len(flags) != 8:
        raise MatlabError("an array without flags")
    said = int(np.frombuffer(flags, order + "u4")[0])
    its = _CLASSES.get(said & 0xFF, "unknown")
    if its == "opaque":
        return "", (), its, at
    kind, data, at = _element(content, at, order)
    if kind != 5 or len(data) % 4 or not 8 <= len(data) <= 4 * _MOST_DIMENSIONS:
        raise MatlabError("an array without a shape")
    shape = tuple(int(length) for length in np.frombuffer(data, order + "i4"))
    if min(shape) < 0:
        raise MatlabError(f"an array of shape {shape}")
    _, name, at = _element(content, at, order)
    if its not in _CLASSES.values() or its in ("cell", "struct", "object", "char", "sparse", "function"):
        return bytes(name).decode("latin-1"), shape, its, at
    its = "complex" if said & _COMPLEX else "logical" if said & _LOGICAL else its
    return bytes(name).decode("latin-1"), shape, its, at


def _element(content: bytes | memoryview, at: int, order: str) -> tuple[int, bytes | memoryview, int]:
    """Return type and bytes of an element within another, and where the next one begins."""
    tag = content[at : at + 8]
    if len(tag) < 8:
        raise MatlabError("an array that is cut off")
    kind, size = (int(word) for word in np.frombuffer(tag, order + "u4"))
    if kind >> 16:
        # Up to four bytes stand in the tag itself.
        kind, size = kind & 0xFFFF, kind >> 16
        if size > 4:
            raise MatlabError(f"a small element of {size} bytes")
        return kind, tag[4 : 4 + size], at + 8
    if size > len(content) - at - 8:
        raise MatlabError(f"an element of {size} bytes where {len(content) - at - 8} are left")
    return kind, content[at + 8 : at + 8 + size], at + 8 + -(-size // 8) * 8
