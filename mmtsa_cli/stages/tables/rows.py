"""The rows of a table out of the results of units: scores over all folds, seeds together, and what a system costs."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mmtsa_cli.reporting.result_tables import Column, cells_of, on_the_right
from mmtsa_cli.stages.tables.pooled import pooled, scores
from mmtsa_cli.stages.tables.units import UnitResult

_METHOD, _OUTCOME = Column("method", "method"), Column("outcome", "outcome")
_SCORES = (
    Column("accuracy", "accuracy = micro F1, %", 2, 100),
    Column("interval_95", "95 % interval", 2, 100),
    Column("deviation", "deviation over seeds", 2, 100),
    Column("macro_f1", "macro F1, %", 2, 100),
)
_COSTS = (
    Column("parameters", "parameters, k", 1, 1e-3),
    Column("gmac", "GMAC", 4),
    Column("train_s", "training, s", 1),
    Column("latency_ms", "latency, ms", 2),
    Column("latency_p95_ms", "p95, ms", 2),
    Column("peak_mb", "memory, MB", 0),
    Column("kb_per_clip", "read, kB", 1),
    Column("threads", "threads"),
)
COLUMNS = (_METHOD, *_SCORES, *_COSTS, _OUTCOME)
"""Of the table as files have it."""


@dataclass(frozen=True)
class Shown:
    """A table for a terminal: heads and cells as text, which columns stand on the right, sentences below."""

    title: str
    heads: list[str]
    cells: list[list[str]]
    right: list[bool]
    notes: list[str]


def system_row(method: str, results: Sequence[UnitResult]) -> dict[str, Any]:
    """Return the row of a system; one of which a unit failed has no scores.

    Accuracy and macro F1 are of all folds' test clips together, the mean over seeds; the interval is over subjects.
    Memory is the largest of the units, other costs their mean, latency their median.
    """
    failed = [result for result in results if result.status == "failed"]
    if failed:
        more = f" ({len(failed)} of {len(results)} units)" if len(results) > 1 else ""
        return {"method": method, "status": "failed", "outcome": f"failed{more}: {failed[0].error}"}
    said = pooled(results)
    return {
        "method": method,
        "status": "done",
        **scores(said),
        "subjects": len(set(said.subjects) - {""}) or None,
        "seeds": sorted({result.unit.seed for result in results}),
        "modalities": list(results[0].unit.modalities),
        **_costs(results),
    }


def left_out_row(method: str, why: str) -> dict[str, Any]:
    """Return the row of a system that cannot be run on these samples."""
    return {"method": method, "status": "left out", "outcome": f"left out: {why}"}


def columns_of(rows: Sequence[Mapping[str, Any]], columns: Sequence[Column] = COLUMNS) -> list[Column]:
    """Return the columns in which one of the rows has something."""
    return [column for column in columns if any(row.get(column.key) is not None for row in rows)]


def shown(title: str, columns: Sequence[Column], rows: Sequence[Mapping[str, Any]], notes: Sequence[str]) -> Shown:
    """Return a table as text."""
    heads, *cells = cells_of(columns, rows)
    return Shown(title, heads, cells, on_the_right(columns, rows), list(notes))


def shown_in_two(title: str, rows: Sequence[Mapping[str, Any]], notes: Sequence[str]) -> list[Shown]:
    """Return the rows as two tables, scores and costs: side by side they are wider than a terminal."""
    done = [row for row in rows if row["status"] == "done"]
    scores = shown(title, columns_of(rows, (_METHOD, *_SCORES, _OUTCOME)), rows, () if done else notes)
    costs = shown("What it costs", columns_of(done, (_METHOD, *_COSTS)), done, notes)
    return [scores, costs] if done else [scores]


def notes_of(rows: Sequence[Mapping[str, Any]], *, protocol: str, folds: int, data: str) -> list[str]:
    """Return what must be known to read the rows."""
    done = [row for row in rows if row["status"] == "done"]
    if not done:
        return [f"Data: {data}. Protocol: {protocol}."]
    seeds = ", ".join(str(seed) for seed in done[0]["seeds"])
    mean = ", scores are their mean" if len(done[0]["seeds"]) > 1 else ""
    devices = ", ".join(sorted({row["device"] for row in done}))
    subjects = done[0]["subjects"]
    whose = f"{subjects or 'unknown'} subject{'' if subjects == 1 else 's'}"
    return [
        f"Data: {data}. Protocol: {protocol}, {folds} fold{'s' if folds > 1 else ''}, "
        f"{done[0]['clips']} test clips of {whose}. Seeds: {seeds}{mean}. "
        f"95 % intervals: bootstrap over {done[0]['interval_over']}.",
        "GMAC: multiply-accumulates of convolutions, matrix products and attention for one clip, counted. Training: "
        "seconds a fold and seed, with teachers and with features, those too that another system had made. "
        "Latency: probabilities of one clip, drawing and features included, warmed up; median and 95th percentile, "
        f"on {devices}. Memory: largest resident memory of the process that trains and tests. Read: bytes of the "
        "sample store for one clip. Threads: of the arithmetic, in training and in latency.",
    ]


def _costs(results: Sequence[UnitResult]) -> dict[str, Any]:
    gmac, read = _mean(result.macs for result in results), _mean(result.bytes_per_clip for result in results)
    return {
        "parameters": _whole(_mean(result.parameters for result in results)),
        "gmac": None if gmac is None else gmac / 1e9,
        "train_s": _mean(result.seconds for result in results),
        "epochs": _mean(result.epochs for result in results),
        "latency_ms": _median(result.latency_ms for result in results),
        "latency_p95_ms": _median(result.latency_p95_ms for result in results),
        "peak_mb": max((result.peak_mb for result in results if result.peak_mb is not None), default=None),
        "kb_per_clip": None if read is None else read / 1000,
        "threads": sorted({result.threads for result in results if result.threads is not None}),
        "device": results[0].device,
    }


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)
