"""The tables of an ablation: rows with their ceilings and the paper's own figures, and differences to the best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmtsa_cli.errors import MmtsaError
from mmtsa_cli.reporting.result_tables import Column, write_tables
from mmtsa_cli.sampling.protocols import Protocol
from mmtsa_cli.sampling.store import Store
from mmtsa_cli.stages.tables.differences import write_differences
from mmtsa_cli.stages.tables.grid import Axis, Point, ceiling_of
from mmtsa_cli.stages.tables.pooled import Pooled, pooled, scores
from mmtsa_cli.stages.tables.units import UnitResult

TABLE, DIFFERENCES = "table", "differences"
_WEARABLE = frozenset({"acc_watch", "acc_phone", "gyro", "orientation"})
_ALL = _WEARABLE | {"rgb"}
PUBLISHED: Mapping[tuple[frozenset[str], str], float] = {
    (frozenset({"rgb"}), "attention"): 0.6695,
    (_WEARABLE, "attention"): 0.8213,
    (frozenset({"rgb", "acc_watch", "acc_phone"}), "attention"): 0.8447,
    (_ALL, "attention"): 0.8741,
    (_ALL, "average"): 0.8402,
}
"""The paper's tables 4 and 5: F1 on MMAct, cross-subject, by modalities and fusion over segments."""


def write_ablation(
    directory: Path,
    store: Store,
    points: Sequence[Point],
    axes: Sequence[Axis],
    results: Sequence[Sequence[UnitResult]],
    folds: Protocol,
    seed: int,
) -> dict[str, Any]:
    """Write the tables of an ablation and return its facts.

    Parameters
    ----------
    directory : Path
        Exists.
    results : sequence of sequence of UnitResult
        Of each point, those of its folds and seeds.
    seed : int
        Of the bootstrap.

    Raises
    ------
    MmtsaError
        Every training failed.
    """
    said: dict[str, Pooled] = {}
    rows, failures = [], []
    for point, own in zip(points, results, strict=True):
        failed = [result.error for result in own if result.status != "done"]
        failures += [{"row": point.label, "reason": reason} for reason in dict.fromkeys(failed)]
        if not failed:
            said[point.label] = pooled(own)
        rows.append(_row(point, axes, own, said.get(point.label), store, seed))
    if not said:
        raise MmtsaError(f"every training failed; {failures[0]['row']}: {failures[0]['reason']}")
    trainings = len(results[0])
    facts = {
        "protocol": folds.name,
        "folds": len(folds.folds),
        "seeds": trainings // len(folds.folds),
        "units": trainings * len(points),
        "rows": rows,
        "differences": write_differences(
            directory, DIFFERENCES, said, what="row", reference=_unchanged(points, axes), seed=seed
        ),
        "failures": failures,
    }
    if _unchanged(points, axes):
        title = f"Ablation, one setting at a time, {facts['protocol']}"
        columns = [Column("changed", "changed"), *_columns((), rows)[1:]]
    else:
        title, columns = _title(axes, facts), _columns(axes, rows)
    write_tables(directory, TABLE, title, columns, rows, _notes(facts))
    return facts


def _unchanged(points: Sequence[Point], axes: Sequence[Axis]) -> str | None:
    """Return the row of the recipe as it is, where settings are varied one at a time; else None."""
    return points[0].label if axes and not points[0].varied else None


def _row(
    point: Point, axes: Sequence[Axis], results: Sequence[UnitResult], said: Pooled | None, store: Store, seed: int
) -> dict[str, Any]:
    seconds = [result.seconds for result in results if result.seconds is not None]
    measured = scores(said, seed=seed) if said else {}
    return {
        "row": point.label,
        "names": "+".join(point.names),
        "modalities": list(point.modalities),
        **{axis.key: point.varied.get(axis.key) for axis in axes},
        "changed": point.changed or "nothing",
        **measured,
        "parameters": results[0].parameters,
        "macs": results[0].macs,
        "train_seconds": sum(seconds) / len(seconds) if said else None,
        "ceiling": ceiling_of(point, store),
        "published": _published(point, axes),
    }


def _published(point: Point, axes: Sequence[Axis]) -> float | None:
    """Return the paper's figure for a row that differs from its network in modalities and fusion alone."""
    if any(axis.key != "model.fusion" for axis in axes):
        return None
    return PUBLISHED.get((frozenset(point.modalities), point.recipe.model.fusion))


def _columns(axes: Sequence[Axis], rows: Sequence[Mapping[str, Any]]) -> list[Column]:
    columns = [
        Column("names", "modalities"),
        *(Column(axis.key, axis.key, digits=6) for axis in axes),
        Column("accuracy", "accuracy = micro F1"),
        Column("interval_95", "95 % interval"),
        Column("deviation", "deviation over seeds"),
        Column("macro_f1", "macro F1"),
        Column("parameters", "parameters, M", digits=2, scale=1e-6),
        Column("macs", "GMAC a clip", scale=1e-9),
        Column("train_seconds", "training, s", digits=1),
        Column("ceiling", "ceiling"),
        Column("published", "F1 on MMAct, cross-subject", digits=4, published=True),
    ]
    wanted = {"names", "accuracy", "interval_95", "macro_f1", *(axis.key for axis in axes)}
    return [c for c in columns if c.key in wanted or any(row.get(c.key) is not None for row in rows)]


def _title(axes: Sequence[Axis], facts: Mapping[str, Any]) -> str:
    what = " x ".join(["modalities", *(axis.key for axis in axes)])
    of_the_paper = {0: " (table 4 of the paper)", 1: " (table 5 of the paper)"}.get(len(axes), "")
    if axes and axes[0].key != "model.fusion":
        of_the_paper = ""
    return f"Ablation over {what}{of_the_paper}, {facts['protocol']}"


def _notes(facts: Mapping[str, Any]) -> list[str]:
    seeds = f"{facts['seeds']} seeds: means" if facts["seeds"] > 1 else "One seed"
    tested = next(row["clips"] for row in facts["rows"] if "clips" in row)
    notes = [
        f"{seeds}; {tested} test clips; 95 % intervals by the bootstrap over subjects and their clips (over clips "
        "where there is one subject). Training seconds are of one training.",
    ]
    if any(row["ceiling"] is not None for row in facts["rows"]):
        notes.append(
            "Ceiling: the best possible accuracy on these recordings, of video alone, of all sensors together, or of "
            "both; that of a single sensor may be lower. On few clips a measured figure can lie above it by chance."
        )
    if any(row["published"] is not None for row in facts["rows"]):
        notes.append("Published: by the paper, on other data, with the whole network; not measured here.")
    notes += [f"{failure['row']} failed: {failure['reason']}" for failure in facts["failures"]]
    return notes
