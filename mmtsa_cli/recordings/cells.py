"""A table that a person keeps in a spreadsheet: texts in rows below a header, in any of the usual dialects."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from pathlib import Path

from mmtsa_cli.errors import DataError, ManyErrors, MmtsaError

_SHOWN_ERRORS = 10


def read_cells(path: Path, *, expected: str) -> tuple[list[str], Iterator[tuple[int, list[str]]]]:
    """Return the header, and the rows below with their numbers, parted as they are asked for.

    Cells are parted by comma, semicolon or tab; the text is UTF-8 with or without a mark, or UTF-16. Rows are counted
    as a spreadsheet counts them; empty ones count, and are left out.

    Parameters
    ----------
    expected : str
        What should stand in an empty file, for the message.

    Raises
    ------
    DataError
        Empty, no text, or, when such a row is asked for, quotes that do not close.
    """
    rows = _rows(_decode(path), path)
    first = next(rows, None)
    if first is None:
        raise DataError("empty", where=str(path), expected=expected)
    return [cell.strip() for cell in first[1]], rows


def _rows(text: str, path: Path) -> Iterator[tuple[int, list[str]]]:
    header = next((line for line in _lines(text) if line.strip("\r\n")), "")
    delimiter = max(",;\t", key=header.count)
    try:
        for number, cells in enumerate(csv.reader(_lines(text), delimiter=delimiter), start=1):
            if any(cell.strip() for cell in cells):
                yield number, cells
    except csv.Error as error:
        raise DataError(f"not a table: {error}", where=str(path)) from None


def _lines(text: str) -> Iterator[str]:
    # Not by io.StringIO, which takes four bytes a character.
    begin = 0
    while begin < len(text):
        end = text.find("\n", begin) + 1 or len(text)
        yield text[begin:end]
        begin = end


class RowFaults:
    """What is wrong with the rows of a table, collected so that all of it is told at once.

    Parameters
    ----------
    path : Path
        The table, for messages.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rows_of_ids: dict[str, int] = {}
        self.errors: list[MmtsaError] = []

    def add(self, row: int, what: str, **parts: str) -> None:
        """Note a fault of a row."""
        self.errors.append(DataError(what, where=f"{self._path}, row {row}", **parts))

    def check_id(self, row: int, name: str, *, remedy: str = "") -> None:
        """Note an id that stands twice, with `remedy` after where else, or that cannot name the files of results."""
        if name and name in self._rows_of_ids:
            elsewhere = f"it also stands in row {self._rows_of_ids[name]}"
            self.add(row, f"id {name} stands twice", remedy=f"{elsewhere}; {remedy}" if remedy else elsewhere)
        elif not is_file_name(name):
            self.add(row, "an id names files of results, so it must not hold / or \\", found=repr(name))
        self._rows_of_ids.setdefault(name, row)

    def span(self, row: int, start: str, end: str) -> tuple[float | None, float | None]:
        """Return start and end in seconds, None where nothing is said; note what is no time, or the wrong way round."""
        first, last = self._seconds(row, "start", start), self._seconds(row, "end", end)
        if last is not None and (first or 0.0) >= last:
            self.add(row, "start is not before end", found=f"start {first or 0:g}, end {last:g}")
        return first, last

    def raise_all(self) -> None:
        """Raise what was found, the first ones in full and the rest counted.

        Raises
        ------
        DataError, ManyErrors
        """
        errors = self.errors[:_SHOWN_ERRORS]
        if len(self.errors) > _SHOWN_ERRORS:
            errors.append(DataError(f"and {len(self.errors) - _SHOWN_ERRORS} more errors", where=str(self._path)))
        if errors:
            raise errors[0] if len(errors) == 1 else ManyErrors(errors)

    def _seconds(self, row: int, key: str, text: str) -> float | None:
        if not text:
            return None
        seconds = seconds_of(text)
        if seconds is None:
            self.add(row, f"{key} is wrong", expected="seconds from the beginning of the files", found=repr(text))
        return seconds


def seconds_of(text: str) -> float | None:
    """Return the seconds that a cell says, with a decimal point or comma; None where it is no time of a recording."""
    try:
        seconds = float(text.replace(",", "."))
    except ValueError:
        return None
    return seconds if 0 <= seconds < math.inf else None


def is_file_name(text: str) -> bool:
    """Whether a text can name the files of results: it holds no separator and leads to no other directory."""
    return not ("/" in text or "\\" in text or text in (".", ".."))


def _decode(path: Path) -> str:
    content = path.read_bytes()
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", errors="replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        remedy = "save it as UTF-8 (CSV UTF-8 in a spreadsheet)"
        raise DataError("not a text in UTF-8", where=f"{path}, row {line}", remedy=remedy) from None
