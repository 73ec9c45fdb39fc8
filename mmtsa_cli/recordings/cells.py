"""A table that a person keeps in a spreadsheet: texts in rows below a header, in any of the usual dialects."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path

from mmtsa_cli.errors import DataError


def read_cells(path: Path, *, expected: str) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Return the header, and each row below with its number.

    Cells are parted by comma, semicolon or tab; the text is UTF-8 with or without a mark, or UTF-16. Rows are counted
    as a spreadsheet counts them; empty ones count, and are left out.

    Parameters
    ----------
    expected : str
        What should stand in an empty file, for the message.

    Raises
    ------
    DataError
        Empty, no text, or quotes that do not close.
    """
    text = _decode(path)
    first = text.lstrip("\r\n").partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    try:
        rows = [(number, cells) for number, cells in enumerate(csv.reader(io.StringIO(text), delimiter=delimiter), 1)]
    except csv.Error as error:
        raise DataError(f"not a table: {error}", where=str(path)) from None
    rows = [(number, cells) for number, cells in rows if any(cell.strip() for cell in cells)]
    if not rows:
        raise DataError("empty", where=str(path), expected=expected)
    return [cell.strip() for cell in rows[0][1]], rows[1:]


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
