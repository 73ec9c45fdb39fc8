"""Two benchmarks of the same test clips: which differences between them are larger than chance."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmtsa_cli.artifacts.directory import file_name
from mmtsa_cli.artifacts.manifest import read_manifest
from mmtsa_cli.errors import ArtifactError, DataError
from mmtsa_cli.evaluation.comparison import holm
from mmtsa_cli.methods.registry import entries
from mmtsa_cli.reporting.result_tables import Column
from mmtsa_cli.stages.benchmark import RESULTS
from mmtsa_cli.stages.tables.differences import difference_of
from mmtsa_cli.stages.tables.pooled import Pooled, pooled
from mmtsa_cli.stages.tables.rows import Shown, shown
from mmtsa_cli.stages.tables.units import UNITS, UnitResult, read_result

COLUMNS = (
    Column("method", "method"),
    Column("first", "first, %", 2, 100),
    Column("second", "second, %", 2, 100),
    Column("difference", "difference", 2, 100),
    Column("interval_95", "95 % interval", 2, 100),
    Column("macro_f1_difference", "macro F1 diff.", 2, 100),
    Column("mcnemar_p", "McNemar p", 4),
    Column("holm_p", "Holm p", 4),
    Column("verdict", "beyond chance"),
)


def compare(first: Path, second: Path) -> dict[str, Any]:
    """Compare every system that both benchmarks have, on the seeds that both have.

    Returns
    -------
    dict
        `rows`, one a system: accuracies, `difference` (first minus second) with the 95 % interval of the paired
        bootstrap over subjects, `mcnemar_p` (of the first common seed) and the same corrected for the number of systems
        (`holm_p`), `verdict` ("yes" where the interval does not hold 0); `notes`.

    Raises
    ------
    ArtifactError
        Not a finished benchmark.
    DataError
        No system or seed in common, or other test clips.
    """
    ours, theirs = _results(first), _results(second)
    common = [name for name in dict.fromkeys((*entries(), *ours)) if name in ours and name in theirs]
    if not common:
        found = f"{', '.join(ours)} and {', '.join(theirs)}"
        raise DataError("no system is in both", where=f"--compare {first} {second}", found=found)
    rows = [_row(name, ours[name], theirs[name], first, second) for name in common]
    for row, corrected in zip(rows, holm([row["mcnemar_p"] for row in rows]), strict=True):
        row["holm_p"] = corrected
    seeds, over = rows[0]["seeds"], rows[0]["over"]
    notes = [
        "Accuracy of the first, of the second, and first minus second, in percent; beyond chance: the interval of the "
        "difference does not hold 0.",
        f"{rows[0]['clips']} test clips of {rows[0]['subjects'] or 'unknown'} subjects; seeds "
        f"{', '.join(map(str, seeds))}. Intervals: paired bootstrap over {over}. McNemar's test: seed {seeds[0]}, "
        "clips taken as independent, which promises too much with few subjects.",
    ]
    return {"first": str(first), "second": str(second), "rows": rows, "notes": notes}


def table_of(facts: dict[str, Any]) -> Shown:
    """Return a comparison for a terminal."""
    return shown(f"{facts['first']} against {facts['second']}", COLUMNS, facts["rows"], facts["notes"])


def _results(bench: Path) -> dict[str, list[UnitResult]]:
    """Return the finished units of a benchmark's table by system."""
    read_manifest(bench, stage="benchmark")
    path = bench / RESULTS
    try:
        names = [file_name(unit["unit"]["name"]) for unit in json.loads(path.read_text(encoding="utf-8"))]
    except FileNotFoundError:
        remedy = "run it to its end"
        raise ArtifactError("the benchmark is not finished", where=str(bench), remedy=remedy) from None
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ArtifactError("damaged", where=str(path), found=str(error), remedy="run the benchmark again") from None
    by_method: dict[str, list[UnitResult]] = {}
    for name in names:
        directory = bench / UNITS / name
        if found := read_result(directory):
            by_method.setdefault(found[0].unit.method, []).append(found[0])
        elif directory.is_dir():
            raise ArtifactError("damaged", where=str(directory), remedy="remove it and run the benchmark again")
    return by_method


def _row(name: str, ours: Sequence[UnitResult], theirs: Sequence[UnitResult], first: Path, second: Path) -> dict:
    seeds = sorted({r.unit.seed for r in ours} & {r.unit.seed for r in theirs})
    where = f"--compare {first} {second}"
    if not seeds:
        raise DataError(f"{name} has no seed in both", where=where)
    one, other = (pooled([r for r in results if r.unit.seed in seeds]) for results in (ours, theirs))
    _check_same_clips(one, other, name, where)
    return {
        "method": name,
        "first": float(np.mean(one.predicted == one.true)),
        "second": float(np.mean(other.predicted == other.true)),
        **difference_of(one, other),
        "seeds": seeds,
        "clips": len(one.ids),
        "subjects": len(set(one.subjects) - {""}) or None,
    }


def _check_same_clips(one: Pooled, other: Pooled, name: str, where: str) -> None:
    if one.ids != other.ids:
        both = set(one.ids) & set(other.ids)
        raise DataError(
            f"{name} was tested on other clips",
            where=where,
            expected="the same test clips in both",
            found=f"{len(one.ids)} and {len(other.ids)}, {len(both)} of them in both",
            remedy="run both with the same samples and protocol",
        )
    if one.classes != other.classes or not np.array_equal(one.true, other.true):
        raise DataError(f"the clips of {name} have other labels", where=where)
