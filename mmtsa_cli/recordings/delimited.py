"""Text tables of numbers as they get exported: encoding, delimiter, decimal sign and header are found out."""

from __future__ import annotations

import csv
import io
import itertools
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from mmtsa_cli.artifacts.remote import local_file
from mmtsa_cli.errors import DataError, ManyErrors, MmtsaError
from mmtsa_cli.recordings.stamps import is_date_time, is_time_name

_HEAD_BYTES = 1 << 16
_SAMPLE_ROWS = 50
_SHOWN_FAULTS = 5
_BLOCK_ROWS = 10_000
_MISSING = {"", "na", "n/a", "nan", "null", "none", "nil", "-", "?"}
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?")
_LINE_END = re.compile(r"\r\n|\r|\n")
_EXCEL_HINT = re.compile(r'"?sep=.?"?', re.IGNORECASE)


@dataclass(frozen=True)
class TextTable:
    """A table in a text file, opened but not read: what its first lines say of the rest.

    Attributes
    ----------
    path : Path
    encoding : str
    delimiter : str or None
        None: runs of white space.
    decimal_comma : bool
    names : tuple of str or None
        The header, "" for a column without name; None where there is none.
    width : int
        Number of columns.
    sample : tuple of tuple of str
        Cells of the first rows.
    skip : int
        Lines before the first row.
    content : str or None
        The whole text, where it cannot be read twice (a pipe).
    """

    path: Path
    encoding: str
    delimiter: str | None
    decimal_comma: bool
    names: tuple[str, ...] | None
    width: int
    sample: tuple[tuple[str, ...], ...]
    skip: int
    content: str | None = None

    def name(self, column: int) -> str:
        """Return how messages call a column (counted from 0)."""
        return f"column {(self.names and self.names[column]) or column + 1}"

    def is_text(self, column: int) -> bool:
        """Whether a column holds texts: none of its first cells is a number or empty."""
        cells = [row[column] for row in self.sample if column < len(row)]
        return bool(cells) and not any(self._is_value(cell) for cell in cells)

    def numbers(self, columns: Sequence[int]) -> NDArray[np.float64]:
        """Return columns (counted from 0) as numbers, (n, C); a missing cell is NaN.

        Raises
        ------
        DataError, ManyErrors
            A cell that is no number, a row with fewer or more cells than columns; each with file, row and column.
        """
        try:
            with self._open() as stream:
                numbers = self._load(stream, columns, skip=self.skip)
        except (ValueError, IndexError):
            return self._numbers_slowly(columns)
        # The quick reader skips columns that were not chosen, and so does not see rows that are too long or too short.
        return numbers if self._is_regular(len(numbers)) else self._numbers_slowly(columns)

    def texts(self, column: int) -> list[str]:
        """Return one column (counted from 0) as texts."""
        return [cells[column] if column < len(cells) else "" for _, cells in self._rows()]

    def place(self, index: int) -> str:
        """Return "FILE, row R" of a sample (counted from 0); rows are lines of the file, the first is 1."""
        line = next(itertools.islice(self._rows(), index, None), (index + self.skip + 1, []))[0]
        return f"{self.path}, row {line}"

    def _load(self, stream: Any, columns: Sequence[int], *, skip: int = 0) -> NDArray[np.float64]:
        return np.loadtxt(
            stream,
            delimiter=self.delimiter,
            comments="#",
            skiprows=skip,
            usecols=list(columns),
            quotechar='"',
            encoding=self.encoding,
            ndmin=2,
        )

    @contextmanager
    def _open(self) -> Iterator[Any]:
        """Give NumPy what it reads fastest: the name of a plain file, else lines with decimal points."""
        if self.content is None and not self.decimal_comma:
            yield str(local_file(self.path))
        else:
            with self._text() as stream:
                yield (line.replace(",", ".") for line in stream) if self.decimal_comma else stream

    @contextmanager
    def _text(self) -> Iterator[TextIO]:
        if self.content is not None:
            yield io.StringIO(self.content, newline=None)
            return
        with self.path.open(encoding=self.encoding, errors="replace") as stream:
            yield stream

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        """Yield line number and cells of each row."""
        return ((number, _cells(text, self.delimiter)) for number, text in self._lines())

    def _lines(self) -> Iterator[tuple[int, str]]:
        """Yield number and text of each line that is a row."""
        with self._text() as stream:
            for number, line in enumerate(stream, 1):
                if number > self.skip and (text := line.split("#", 1)[0].strip(" \r\n")).strip():
                    yield number, text

    def _is_regular(self, rows: int) -> bool:
        if self.delimiter is None or self.content is not None or self.encoding.startswith("utf-16"):
            return True
        with self.path.open("rb") as stream:
            for _ in range(self.skip):
                stream.readline()
            count = sum(block.count(self.delimiter.encode()) for block in iter(lambda: stream.read(1 << 20), b""))
        return count == rows * (self.width - 1)

    def _numbers_slowly(self, columns: Sequence[int]) -> NDArray[np.float64]:
        """Read block by block, and cell by cell the blocks that hold something out of the ordinary."""
        lines, faults = self._lines(), list[MmtsaError]()
        blocks: list[NDArray[np.float64]] = []
        while (block := list(itertools.islice(lines, _BLOCK_ROWS))) and len(faults) < _SHOWN_FAULTS:
            blocks.append(self._block(block, columns, faults))
        if faults:
            raise faults[0] if len(faults) == 1 else ManyErrors(faults)
        return np.concatenate(blocks) if blocks else np.empty((0, len(columns)))

    def _block(
        self, block: list[tuple[int, str]], columns: Sequence[int], faults: list[MmtsaError]
    ) -> NDArray[np.float64]:
        texts = [text for _, text in block]
        if self.delimiter is not None and all(text.count(self.delimiter) == self.width - 1 for text in texts):
            try:
                return self._load([text.replace(",", ".") for text in texts] if self.decimal_comma else texts, columns)
            except ValueError:
                pass
        rows = []
        for line, text in block:
            try:
                rows.append(self._row(line, text, columns))
            except DataError as fault:
                faults.append(fault)
                if len(faults) == _SHOWN_FAULTS:
                    break
        return np.asarray(rows, dtype=np.float64).reshape(len(rows), len(columns))

    def _row(self, line: int, text: str, columns: Sequence[int]) -> list[float]:
        cells = _cells(text, self.delimiter)
        while len(cells) > self.width and not cells[-1]:
            cells.pop()
        if len(cells) != self.width:
            raise self._wrong_width(line, len(cells))
        return [self._number(cells[column], line, column) for column in columns]

    def _wrong_width(self, line: int, found: int) -> DataError:
        return DataError(
            "wrong number of cells", where=f"{self.path}, row {line}", expected=str(self.width), found=str(found)
        )

    def _number(self, cell: str, line: int, column: int) -> float:
        text = cell.replace(",", ".") if self.decimal_comma else cell
        if text.lower() in _MISSING:
            return np.nan
        try:
            return float(text)
        except ValueError:
            where = f"{self.path}, row {line}, {self.name(column)}"
            raise DataError("not a number", where=where, found=repr(cell[:40])) from None

    def _is_value(self, cell: str) -> bool:
        return cell.lower() in _MISSING or _is_number(cell, self.decimal_comma)


def open_table(path: Path) -> TextTable:
    """Look at the first lines of a text file and say how the rest is to be read; `-` is standard input.

    Raises
    ------
    DataError
        The file is missing, empty, binary, or has a header and nothing below.
    """
    head, content, whole = _read_head(path)
    if not head.strip():
        raise DataError("empty", where=str(path), expected="a table of numbers")
    encoding = _encoding(head, path)
    text = head.decode(encoding, errors="ignore") if content is None else content.decode(encoding, errors="replace")
    lines = _LINE_END.split(text)
    if not whole and content is None:
        lines.pop()
    return _table(path, lines, encoding, text if content is not None else None)


def _read_head(path: Path) -> tuple[bytes, bytes | None, bool]:
    """Return the first bytes, everything where the file can be read only once, and whether the first bytes are all."""
    if str(path) == "-":
        content = sys.stdin.buffer.read()
        return content[:_HEAD_BYTES], content, True
    try:
        if path.is_file():
            with path.open("rb") as stream:
                head = stream.read(_HEAD_BYTES)
                return head, None, not stream.read(1)
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", where=str(path)) from None
    return content[:_HEAD_BYTES], content, True


def _encoding(head: bytes, path: Path) -> str:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    if head.startswith(b"\xef\xbb\xbf"):
        return "utf-8-sig"
    if b"\0" in head:
        # Digits and signs in UTF-16 have every other byte 0; anything else with zeros is no text.
        for start, name in ((1, "utf-16-le"), (0, "utf-16-be")):
            if head[start::2].count(0) > 0.9 * (len(head) // 2) and 0 not in head[1 - start :: 2]:
                return name
        raise DataError("not a text file", where=str(path), expected="a table of numbers, .mat or .npy")
    try:
        # The last character may be cut in two.
        head[: len(head) - 4 if len(head) == _HEAD_BYTES else None].decode("utf-8")
    except UnicodeDecodeError:
        return "latin-1"
    return "utf-8"


def _table(path: Path, lines: list[str], encoding: str, content: str | None) -> TextTable:
    rows, header_comment = [], None
    for number, line in enumerate(lines, 1):
        text = line.split("#", 1)[0].strip(" ")
        if text.strip() and not (number == 1 and _EXCEL_HINT.fullmatch(text)):
            rows.append((number, text))
        elif "#" in line and not rows:
            header_comment = line.split("#", 1)[1].strip()
        if len(rows) > _SAMPLE_ROWS:
            break
    if not rows:
        raise DataError("no rows", where=str(path), expected="a table of numbers")
    delimiter = _delimiter([text for _, text in rows])
    cells = [tuple(_cells(text, delimiter)) for _, text in rows]
    comma = delimiter != "," and _has_decimal_comma(cells)
    names = cells[0] if _is_header(cells, comma) else None
    sample = cells[1:] if names else cells
    if not sample:
        raise DataError("has a header and no rows", where=str(path), expected="rows of numbers below")
    width = _width(names, sample)
    if names is None and header_comment and len(found := _cells(header_comment, delimiter)) == width:
        names = tuple(found)
    first = rows[len(cells) - len(sample)][0]
    return TextTable(
        path=path,
        encoding=encoding,
        delimiter=delimiter,
        decimal_comma=comma,
        names=names and tuple(names[:width]),
        width=width,
        sample=tuple(sample),
        skip=first - 1,
        content=content,
    )


def _delimiter(lines: list[str]) -> str | None:
    for candidate in ("\t", ";", "|"):
        if _is_consistent([line.count(candidate) for line in lines]):
            return candidate
    if any("," in line for line in lines) and not _are_spaced_numbers(lines[1:] or lines):
        return ","
    return None


def _is_consistent(counts: list[int]) -> bool:
    count, times = Counter(counts).most_common(1)[0]
    return count > 0 and 2 * times >= len(counts)


def _are_spaced_numbers(lines: list[str]) -> bool:
    """Whether white space separates numbers that have decimal commas."""
    return all(
        len(cells := line.split()) > 1 and all(_is_number(cell, decimal_comma=True) for cell in cells) for line in lines
    )


def _cells(text: str, delimiter: str | None) -> list[str]:
    if delimiter is None:
        return text.split()
    if '"' in text:
        return [cell.strip() for cell in next(csv.reader([text], delimiter=delimiter))]
    return [cell.strip() for cell in text.split(delimiter)]


def _has_decimal_comma(rows: list[tuple[str, ...]]) -> bool:
    return any(_DECIMAL_COMMA.fullmatch(cell) for row in rows for cell in row)


def _is_header(rows: list[tuple[str, ...]], comma: bool) -> bool:
    """Whether the first row has only texts, and a column that turns into numbers below; "time" is never a value."""
    if any(is_time_name(cell) for cell in rows[0]):
        return True
    if any(_is_number(cell, comma) or is_date_time(cell) for cell in rows[0]):
        return False
    if all(cell.lower() in _MISSING for cell in rows[0]):
        return False
    return len(rows) == 1 or any(_is_number(cell, comma) for row in rows[1:] for cell in row)


def _width(names: tuple[str, ...] | None, sample: list[tuple[str, ...]]) -> int:
    """Return the number of columns, less empty ones that a delimiter at the end of every line makes."""
    width = len(names) if names else Counter(len(row) for row in sample).most_common(1)[0][0]
    while (
        width > 1
        and not (names and names[width - 1])
        and not any(row[width - 1] for row in sample if len(row) >= width)
    ):
        width -= 1
    return width


def _is_number(cell: str, decimal_comma: bool) -> bool:
    try:
        float(cell.replace(",", ".") if decimal_comma else cell)
    except ValueError:
        return False
    return True
