"""Samples to a table: every system trained, tested and measured under one protocol; what is finished is kept."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from mmtsa_cli import __version__
from mmtsa_cli.artifacts.claims import claim, release
from mmtsa_cli.artifacts.cluster import connected
from mmtsa_cli.artifacts.directory import check_output
from mmtsa_cli.artifacts.manifest import FILE_NAME, Manifest, fingerprint, read_manifest, write_manifest
from mmtsa_cli.artifacts.remote import RemotePath
from mmtsa_cli.artifacts.uploading import bring, kept_until_put
from mmtsa_cli.errors import ArtifactError, DataError, UsageError
from mmtsa_cli.methods.registry import entries
from mmtsa_cli.reporting.result_tables import write_tables
from mmtsa_cli.sampling.store import Store
from mmtsa_cli.stages.result import StageResult
from mmtsa_cli.stages.stopping import stop_on_signals
from mmtsa_cli.stages.tables.differences import write_differences
from mmtsa_cli.stages.tables.plan import Plan, make_plan, unit_name
from mmtsa_cli.stages.tables.pooled import pooled
from mmtsa_cli.stages.tables.published import laid_out
from mmtsa_cli.stages.tables.rows import (
    Shown,
    columns_of,
    left_out_row,
    notes_of,
    shown,
    shown_in_two,
    system_row,
)
from mmtsa_cli.stages.tables.teaching import teacher_inputs
from mmtsa_cli.stages.tables.units import UNITS, Unit, UnitResult, read_result, run_units

Progress = Callable[[int, int], None]
Note = Callable[[str], None]
RESULTS = "results.json"
TABLE, DIFFERENCES, PLOT = "table", "differences", "accuracy-latency.png"


@dataclass(frozen=True)
class BenchmarkResult(StageResult):
    """What `benchmark` made, and its tables for a terminal."""

    tables: tuple[Shown, ...]


def run(
    samples: Path,
    output: Path,
    *,
    methods: Sequence[str] | None = None,
    recipe: str | None = None,
    settings: Sequence[str] = (),
    protocol: str | None = None,
    modalities: Sequence[str] | None = None,
    seeds: int = 1,
    jobs: int = 1,
    cluster: str | None = None,
    table: int | None = None,
    overwrite: bool = False,
    progress: Progress = lambda done, total: None,
    note: Note = lambda text: None,
) -> BenchmarkResult:
    """Train, test and measure systems, and write their table.

    The directory grows: run again with other systems or more seeds, it goes on; systems that are complete stay in the
    table. One that lies elsewhere grows in the cache, where what is there already is brought first. Samples, recipe,
    protocol and modalities are one for all of it.

    Parameters
    ----------
    samples, output : Path
    methods : sequence of str, optional
        Names of the registry, or "all"; None: those of `table`, or all.
    recipe : str, optional
        A file, or the name of a recipe of the package; None: `recommended`.
    settings : sequence of str
        `KEY=VALUE` over the recipe.
    protocol : str, optional
    modalities : sequence of str, optional
        What systems may read; None: all that the store has.
    seeds : int
        Seeds 0 to `seeds` - 1.
    jobs : int
        Units at the same time.
    cluster : str, optional
        Address of a Dask scheduler: its workers compute the features of the classical systems, and must see the samples
        under the same path; all else runs here.
    table : 1, 2 or 3, optional
        Lay this table of the paper out as well, with its published figures.
    note : callable
        Told in one line what is left out, and what came of each unit.

    Returns
    -------
    BenchmarkResult
        Facts: `rows`, one a system (see `tables.rows.system_row`), `protocol`, `folds`, `data`, `seeds`, `notes`.

    Raises
    ------
    UsageError, DataError, ArtifactError
    StoppedError
        Interrupted; what is finished is kept.
    """
    plan = make_plan(samples, methods, recipe, settings, protocol, modalities, seeds, table)
    for name, why in plan.left_out.items():
        note(f"left out: {name}: {why}")
    manifest = _manifest(samples, plan, modalities)
    _check_samples(output, manifest)
    check_output(output, manifest, overwrite=overwrite)
    if cluster:
        # Told now rather than by every system in turn.
        with connected(cluster):
            pass
    with kept_until_put(output) as home, _opened(home, output, manifest, overwrite):
        before, taught_by = _table_bytes(home), dict(read_manifest(home).results.get("teachers", {}))
        units = [unit for method in plan.modalities for unit in plan.units(method)]
        results = _run(plan.store, units, home, protocol, jobs, cluster, progress, note)
        results += _complete(plan, home, {unit.method for unit in units})
        facts = _facts(plan, results)
        tables = _write(home, facts, results, table, named=f"Benchmark {output}")
        # No input of the directory: other systems may join it, which have no teacher, or another one.
        taught_by |= {name: teacher_inputs(run) for name, run in plan.teachers.items()}
        write_manifest(home, replace(manifest, results={**_summary(facts), "teachers": taught_by}))
        fresh = before != _table_bytes(home)
    if all(row["status"] != "done" for row in facts["rows"]):
        raise DataError("every system failed", where=str(output), found=facts["rows"][0]["outcome"])
    return BenchmarkResult(output, fresh, facts, tables)


def _manifest(samples: Path, plan: Plan, modalities: Sequence[str] | None) -> Manifest:
    """Return what the whole directory stands for; systems and seeds may be added to it."""
    folds = [{"name": fold.name, "train": len(fold.train), "test": len(fold.test)} for fold in plan.protocol.folds]
    configuration = {
        "recipe": plan.recipe.configuration(),
        "protocol": plan.protocol.name,
        "folds": folds,
        "modalities": list(modalities) if modalities else None,
        "version": __version__,
    }
    return Manifest("benchmark", configuration, None, {str(samples): fingerprint(samples)})


def _check_samples(output: Path, manifest: Manifest) -> None:
    """Say of a directory of other samples just that, whatever else differs."""
    if not (output / FILE_NAME).is_file():
        return
    before = read_manifest(output)
    if before.stage == manifest.stage and set(before.inputs.values()) != set(manifest.inputs.values()):
        raise UsageError(
            "made with other samples",
            where=f"--output {output}",
            expected=", ".join(f"{path} as it was then" for path in before.inputs),
            found=", ".join(manifest.inputs),
            remedy="name another directory",
        )


@contextmanager
def _opened(home: Path, output: Path, manifest: Manifest, overwrite: bool) -> Iterator[None]:
    """Keep the directory for this process, with a manifest from the beginning, and what lies at a URL brought to it."""
    with _faults_told(home):
        if isinstance(output, RemotePath):
            check_output(home, manifest, overwrite=overwrite)
        home.mkdir(parents=True, exist_ok=True)
        claim(home)
        try:
            if overwrite:
                shutil.rmtree(home)
                home.mkdir()
                claim(home)
            elif isinstance(output, RemotePath) and (output / FILE_NAME).is_file():
                bring(output, home)
            if not (home / FILE_NAME).is_file():
                write_manifest(home, manifest)
            yield
        finally:
            release(home)


@contextmanager
def _faults_told(output: Path) -> Iterator[None]:
    try:
        yield
    except OSError as fault:
        raise ArtifactError(
            f"cannot be written: {fault.strerror or fault}",
            where=str(fault.filename or output),
            remedy="what is finished is kept: free some space and give the same command again, or name another place",
        ) from fault


def _run(
    store: Store,
    units: Sequence[Unit],
    output: Path,
    protocol: str | None,
    jobs: int,
    cluster: str | None,
    progress: Progress,
    note: Note,
) -> list[UnitResult]:
    def listen(result: UnitResult) -> None:
        about = f"{result.unit.method}, {result.unit.fold}, seed {result.unit.seed}"
        note(f"{about}: {f'{result.seconds:.0f} s' if result.error is None else f'failed: {result.error}'}")

    with stop_on_signals() as asked:
        return run_units(
            store,
            units,
            output,
            protocol=protocol,
            jobs=jobs,
            cluster=cluster,
            progress=progress,
            should_stop=asked.answer,
            listen=listen,
        )


def _complete(plan: Plan, output: Path, asked: set[str]) -> list[UnitResult]:
    """Return the results of systems that nobody asked for now, of which every fold and seed is there."""
    kept = {found[0].unit.name: found[0] for path in (output / UNITS).glob("*") if (found := read_result(path))}
    known = {result.unit.method for result in kept.values()} & {*entries(), *plan.recipe.variants}
    results: list[UnitResult] = []
    for method in sorted(known - asked):
        names = [unit_name(method, fold.name, seed) for seed in range(plan.seeds) for fold in plan.protocol.folds]
        if all(name in kept for name in names):
            results += [kept[name] for name in names]
    return results


def _facts(plan: Plan, results: Sequence[UnitResult]) -> dict[str, Any]:
    names = (*entries(), *plan.recipe.variants)
    by_method = {name: [r for r in results if r.unit.method == name] for name in names}
    rows = [
        left_out_row(name, plan.left_out[name]) if name in plan.left_out else system_row(name, own)
        for name, own in by_method.items()
        if own or name in plan.left_out
    ]
    about = {"protocol": plan.protocol.name, "data": plan.store.header.name}
    return {
        **about,
        "folds": len(plan.protocol.folds),
        "seeds": list(range(plan.seeds)),
        "rows": rows,
        "notes": notes_of(rows, folds=len(plan.protocol.folds), **about),
    }


def _write(
    output: Path, facts: Mapping[str, Any], results: Sequence[UnitResult], table: int | None, *, named: str
) -> tuple[Shown, ...]:
    """Write all files and return the tables for a terminal."""
    from mmtsa_cli.reporting.plots import plot_accuracy_latency

    units = [{**asdict(result), "directory": result.directory and result.directory.name} for result in results]
    (output / RESULTS).write_text(json.dumps(units, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    rows, title = facts["rows"], f"{facts['data']}, {facts['protocol']}"
    done = [row["method"] for row in rows if row["status"] == "done"]
    said = {name: pooled([result for result in results if result.unit.method == name]) for name in done}
    write_differences(output, DIFFERENCES, said, what="method")
    write_tables(output, TABLE, title, columns_of(rows), rows, facts["notes"])
    points = [{**row, "name": row["method"]} for row in rows]
    plot_accuracy_latency(output / PLOT, points, title=f"{title}: accuracy and time of one clip")
    tables = shown_in_two(f"{named}: {title}", rows, facts["notes"])
    if table:
        paper = laid_out(table, rows, protocol=facts["protocol"], data=facts["data"])
        write_tables(output, f"table-{table}", *paper)
        tables.append(shown(*paper))
    return tuple(tables)


def _summary(facts: Mapping[str, Any]) -> dict[str, Any]:
    by_status = {
        status: [row["method"] for row in facts["rows"] if row["status"] == status]
        for status in ("done", "failed", "left out")
    }
    why = {row["method"]: row["outcome"] for row in facts["rows"] if row["status"] != "done"}
    return {"seeds": facts["seeds"], **{k.replace(" ", "_"): v for k, v in by_status.items()}, "why": why}


def _table_bytes(output: Path) -> bytes | None:
    path = output / f"{TABLE}.json"
    return path.read_bytes() if path.is_file() else None
