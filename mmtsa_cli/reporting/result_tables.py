r"""Result tables: the same cells as Markdown, CSV and LaTeX, and the numbers behind them as JSON.

A number is turned into text once, so that no two files disagree in a last digit. LaTeX is a plain `tabular` with
`\hline`, which compiles without any package.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MISSING = "\N{EN DASH}"
_TEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    MISSING: "--",
    "±": r"$\pm$",
    "<": "$<$",
    ">": "$>$",
    "|": "$|$",
    **{sign: f"\\{sign}" for sign in "{}%_&#$"},
}


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes
    ----------
    key : str
        Of the rows' mappings.
    head : str
        What stands above it, with its unit.
    digits : int
        After the point of its numbers; whole numbers are shown whole.
    scale : float
        What a number is multiplied by before it is shown (100: percent of a part).
    published : bool
        Not measured here but printed by a publication; its head says so.
    """

    key: str
    head: str
    digits: int = 3
    scale: float = 1.0
    published: bool = False

    @property
    def title(self) -> str:
        """The head, "(published)" added where it must be."""
        return f"{self.head} (published)" if self.published else self.head

    def text(self, value: Any) -> str:
        """Return a cell: a number, a pair of bounds as "0.8 to 0.9", several names, a text; nothing as a dash."""
        if value is None or value == "":
            return MISSING
        if isinstance(value, (tuple, list)):
            numbers = all(isinstance(item, (int, float)) for item in value)
            return (" to " if numbers else ", ").join(self.text(item) for item in value) or MISSING
        if isinstance(value, float) or (isinstance(value, int) and not isinstance(value, bool) and self.scale != 1):
            shown, least = value * self.scale, 10.0**-self.digits
            # A chance or a size that is not nothing is not shown as nothing.
            return f"< {least:.{self.digits}f}" if 0 < shown < least / 2 else f"{shown:.{self.digits}f}"
        return str(value)


def write_tables(
    directory: Path,
    name: str,
    title: str,
    columns: Sequence[Column],
    rows: Sequence[Mapping[str, Any]],
    notes: Sequence[str] = (),
) -> None:
    """Write `NAME.md`, `NAME.csv`, `NAME.tex` and `NAME.json`.

    Parameters
    ----------
    directory : Path
        Exists.
    rows : sequence of mapping
        JSON values by the columns' keys. A key that is not there, or None, is a cell without a value: a dash in
        Markdown and LaTeX, empty in CSV, null in JSON. JSON holds the other keys of a row as well.
    notes : sequence of str
        Sentences below the table.
    """
    contents = {
        "md": markdown(title, columns, rows, notes),
        "csv": _csv(columns, rows),
        "tex": latex(title, columns, rows, notes),
        "json": _json(title, columns, rows, notes),
    }
    for ending, text in contents.items():
        (directory / f"{name}.{ending}").write_bytes(text.encode())


def markdown(
    title: str, columns: Sequence[Column], rows: Sequence[Mapping[str, Any]], notes: Sequence[str] = ()
) -> str:
    """Return a table as Markdown, its columns as wide as their cells; numbers stand on the right."""
    cells = [[_one_line(text).replace("|", r"\|") for text in line] for line in cells_of(columns, rows)]
    widths = [max(3, *(len(line[i]) for line in cells)) for i in range(len(columns))]
    right = on_the_right(columns, rows)
    rule = ["-" * (width - 1) + ":" if to_right else "-" * width for width, to_right in zip(widths, right, strict=True)]
    lines = [
        "| " + " | ".join(t.rjust(w) if r else t.ljust(w) for t, w, r in zip(line, widths, right, strict=True)) + " |"
        for line in (cells[0], rule, *cells[1:])
    ]
    return "\n".join([f"### {_one_line(title)}", "", *lines, *(f"\n{_one_line(note)}" for note in notes)]) + "\n"


def latex(title: str, columns: Sequence[Column], rows: Sequence[Mapping[str, Any]], notes: Sequence[str] = ()) -> str:
    """Return a table as LaTeX, needing no package."""
    lines = [" & ".join(_tex(text) for text in line) + r" \\" for line in cells_of(columns, rows)]
    layout = "".join("r" if right else "l" for right in on_the_right(columns, rows))
    body = [r"\hline", lines[0], r"\hline", *lines[1:], r"\hline"]
    below = [rf"\par\footnotesize {_tex(note)}" for note in notes]
    begin = [r"\begin{table}", r"\centering", rf"\caption{{{_tex(title)}}}", rf"\begin{{tabular}}{{{layout}}}"]
    return "\n".join([*begin, *body, r"\end{tabular}", *below, r"\end{table}"]) + "\n"


def _csv(columns: Sequence[Column], rows: Sequence[Mapping[str, Any]]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    # Empty, not a dash: what reads CSV takes a column with a dash for text.
    writer.writerows([["" if text == MISSING else text for text in line] for line in cells_of(columns, rows)])
    return stream.getvalue()


def _json(title: str, columns: Sequence[Column], rows: Sequence[Mapping[str, Any]], notes: Sequence[str]) -> str:
    missing = dict.fromkeys(column.key for column in columns)
    table = {
        "title": title,
        "columns": {column.key: column.title for column in columns},
        "published": [column.key for column in columns if column.published],
        "rows": [{**missing, **row} for row in rows],
        "notes": list(notes),
    }
    return json.dumps(table, indent=2, ensure_ascii=False) + "\n"


def cells_of(columns: Sequence[Column], rows: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Return the heads, then the cells of each row, as text."""
    body = [[column.text(row.get(column.key)) for column in columns] for row in rows]
    return [[column.title for column in columns], *body]


def on_the_right(columns: Sequence[Column], rows: Sequence[Mapping[str, Any]]) -> list[bool]:
    """Return which columns hold numbers alone, and stand on the right."""
    values = [[row[c.key] for row in rows if row.get(c.key) is not None] for c in columns]
    return [bool(found) and all(_is_number(value) for value in found) for found in values]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _tex(text: str) -> str:
    return "".join(_TEX.get(sign, sign) for sign in _one_line(text))
