"""Tables 1 to 3 of the paper: their rows in its order, and measured figures beside those it publishes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from mmtsa_cli.methods.registry import entry_of
from mmtsa_cli.reporting.result_tables import Column


@dataclass(frozen=True)
class Part:
    """A half of table 1, or the whole of another table.

    Attributes
    ----------
    head : str
        What stands above the names.
    published : str
        The column of `registry.Entry.published`.
    said : str
        The same in words.
    rows : tuple of (name in the paper, method)
    """

    head: str
    published: str
    said: str
    rows: tuple[tuple[str, str], ...]


_OURS = ("MMTSA (the paper's method)", "mmtsa")
TABLES: dict[int, tuple[str, tuple[Part, ...]]] = {
    1: ("cross-subject and cross-session performance comparison on MMAct", (
        Part("Cross-Subject", "mmact cross-subject", "MMAct cross-subject", (
            ("SMD, Hinton et al. (2015)", "smd"),
            ("Multi-Teachers, Kong et al. (2019)", "multi-teachers"),
            ("Student, Kong et al. (2019)", "student"),
            ("MMAD, Kong et al. (2019)", "mmad"),
            ("Keyless, Long et al. (2018)", "keyless"),
            ("Multi-GAT, Islam & Iqbal (2021)", "multi-gat"),
            ("MuMu, Islam & Iqbal (2022)", "mumu"),
            _OURS,
        )),
        Part("Cross-Session", "mmact cross-session", "MMAct cross-session", (
            ("SVM+HOG, Ofli et al. (2013)", "svm-hog"),
            ("TSN (Fusion), Wang et al. (2016)", "tsn-fusion"),
            ("MMAD, Kong et al. (2019)", "mmad"),
            ("Keyless, Long et al. (2018)", "keyless"),
            ("HAMLET, Islam & Iqbal (2020)", "hamlet"),
            ("MuMu, Islam & Iqbal (2022)", "mumu"),
            ("Multi-GAT, Islam & Iqbal (2021)", "multi-gat"),
            _OURS,
        )),
    )),
    2: ("cross-subject performance comparison on Multimodal Egocentric Activity", (
        Part("Method", "egocentric", "Multimodal Egocentric Activity, leave one subject out", (
            ("SVM, Kwapisz et al. (2011)", "svm"),
            ("Decision Tree, Kwapisz et al. (2011)", "decision-tree"),
            ("FVS, Song et al. (2016b)", "fvs"),
            ("TFVS, Song et al. (2016b)", "tfvs"),
            ("Multi-Stream with average pooling, Song et al. (2016a)", "multi-stream-avg"),
            ("FVV, Song et al. (2016b)", "fvv"),
            ("FVV+FVS, Song et al. (2016b)", "fvv+fvs"),
            ("Multi-Stream with maximum pooling, Song et al. (2016a)", "multi-stream-max"),
            _OURS,
            ("MFV, Song et al. (2016b)", "mfv"),
        )),
    )),
    3: ("cross-subject performance comparison on DataEgo", (
        Part("Method", "dataego", "DataEgo cross-subject", (
            ("TSN (RGB), Wang et al. (2016)", "tsn-rgb"),
            _OURS,
        )),
    )),
}  # fmt: skip
"""Title and parts of each table, as in section 5.1."""


def systems_of(table: int) -> tuple[str, ...]:
    """Return the systems of a table, each once."""
    return tuple(dict.fromkeys(method for part in TABLES[table][1] for _, method in part.rows))


def laid_out(
    table: int, rows: Sequence[Mapping[str, Any]], *, protocol: str, data: str
) -> tuple[str, list[Column], list[dict[str, Any]], list[str]]:
    """Return title, columns, rows and notes of a table, laid out as the paper's.

    Of table 1, measured figures stand in the half whose protocol was run.
    """
    title, parts = TABLES[table]
    by_method = {row["method"]: row for row in rows}
    measured_part = 1 if len(parts) > 1 and "session" in protocol else 0
    columns: list[Column] = []
    sides: list[list[dict[str, Any]]] = []
    for number, part in enumerate(parts):
        columns += _columns(part, number)
        sides.append([_cells(part, number, row, by_method if number == measured_part else {}) for row in part.rows])
    merged = [{key: value for side in line if side for key, value in side.items()} for line in zip_longest(*sides)]
    notes = [
        f"Measured: micro F1 on {data}, {protocol}, with a 95 % interval{_over(rows)}. Published: the paper's figures "
        "for its data and protocol; they compare with measured ones only on the same data."
    ]
    missing = [f"{row['method']}: {row['outcome']}" for row in rows if row["status"] != "done"]
    return f"Table {table}: {title}", columns, merged, notes + missing


def _over(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return what the intervals were drawn over: clips alone where nobody said whose they are."""
    drawn = dict.fromkeys(row["interval_over"] for row in rows if row.get("interval_over"))
    return f" (bootstrap over {' or '.join(drawn)})" if drawn else ""


def _columns(part: Part, number: int) -> list[Column]:
    return [
        Column(f"method_{number}", part.head),
        Column(f"measured_{number}", "F1, % (measured)", 2, 100),
        Column(f"interval_{number}", "95 % interval", 2, 100),
        Column(f"published_{number}", f"F1, %, {part.said}", 2, published=True),
    ]


def _cells(part: Part, number: int, row: tuple[str, str], measured: Mapping[str, Any]) -> dict[str, Any]:
    name, method = row
    found = measured.get(method, {})
    return {
        f"method_{number}": name,
        f"measured_{number}": "failed" if found.get("status") == "failed" else found.get("accuracy"),
        f"interval_{number}": found.get("interval_95"),
        f"published_{number}": entry_of(method).published[part.published],
    }
