"""Samples to an ablation: the network trained without some modalities, or with settings varied (tables 4 and 5)."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mmtsa_cli.artifacts.claims import claim, release
from mmtsa_cli.artifacts.directory import (
    check_output,
    check_room,
    check_same_work,
    file_names,
    finish,
    finished,
    partial_path,
)
from mmtsa_cli.artifacts.manifest import FILE_NAME, Manifest, fingerprint, read_manifest, write_manifest
from mmtsa_cli.artifacts.options import to_mapping
from mmtsa_cli.artifacts.uploading import kept_until_put
from mmtsa_cli.errors import ArtifactError
from mmtsa_cli.sampling.protocols import Protocol, resolve
from mmtsa_cli.sampling.store import Store
from mmtsa_cli.stages.recipe import Recipe
from mmtsa_cli.stages.stopping import stop_on_signals
from mmtsa_cli.stages.tables.ablation import DIFFERENCES, TABLE, write_ablation
from mmtsa_cli.stages.tables.grid import Point, points_of, read_axes
from mmtsa_cli.stages.tables.units import PARTS, Unit, run_units

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class AblateResult:
    """What `ablate` made: whether it was new, the tables as text for people, and as JSON values.

    Attributes
    ----------
    facts : dict
        `protocol`, `folds`, `seeds`, `units`, `rows`, `differences`, `failures` (row and reason).
    """

    output: Path
    fresh: bool
    text: str
    facts: dict[str, Any]


def run(
    samples: Path,
    output: Path,
    *,
    modalities: Sequence[str] | None = None,
    named: Mapping[str, str | None] | None = None,
    varied: Sequence[str] = (),
    recipe: str = "recommended",
    settings: Sequence[str] = (),
    protocol: str | None = None,
    seeds: int = 1,
    seed: int | None = None,
    jobs: int = 1,
    one_at_a_time: bool = False,
    overwrite: bool = False,
    progress: Progress = lambda done, total: None,
    note: Callable[[str], None] = lambda text: None,
) -> AblateResult:
    """Train every point of a grid on every fold with every seed, and make tables of it.

    Until all is trained the result is `OUTPUT.partial`, in the cache for an output elsewhere; what is finished there is
    not trained again.

    Parameters
    ----------
    samples, output : Path
    modalities : sequence of str, optional
        Every subset of these names is trained; see `points_of` for what happens without them.
    named, varied : optional
        Settings to vary; see `read_axes`.
    recipe, settings, protocol : optional
        As of `train`.
    seeds : int
        How many trainings a point has, with seeds from `seed` (None: the recipe's) on.
    jobs : int
        Trainings at the same time.
    one_at_a_time : bool
        The recipe as it is, and each varied value alone, instead of every combination; differences are to the recipe.
    note : callable
        Told in a line how much is to be trained.

    Raises
    ------
    UsageError, ManyErrors, DataError, ArtifactError
    StoppedError
        Interrupted; what is finished is kept.
    """
    store = Store(samples)
    axes = read_axes(named or {}, varied)
    points = points_of(store, modalities, axes, recipe=recipe, settings=settings, one_at_a_time=one_at_a_time)
    first = points[0].recipe.seed if seed is None else seed
    folds = resolve(protocol, store.clips, published=store.header.protocols, default=store.header.protocol)
    units = _units(points, folds, range(first, first + seeds))
    manifest = Manifest("ablate", _configuration(points, folds, seeds), first, {str(samples): fingerprint(samples)})
    if check_output(output, manifest, overwrite=overwrite) == "done":
        return AblateResult(output, False, _text(output), dict(read_manifest(output).results))
    counts = f"rows: {len(points)}, folds: {len(folds.folds)}, seeds: {seeds}"
    note(f"{len(units) * len(units[0])} trainings ({counts})")
    with kept_until_put(output) as home:
        facts = None if overwrite else finished(home, manifest)
        if facts is None:
            with stop_on_signals() as asked, _resumable(home, manifest, overwrite=overwrite) as directory:
                flat = [unit for row in units for unit in row]
                trained = run_units(
                    store, flat, directory, protocol=protocol, jobs=jobs, progress=progress, should_stop=asked.answer
                )
                done = iter(trained)
                by_point = [[next(done) for _ in row] for row in units]
                facts = write_ablation(directory, store, points, axes, by_point, folds, first)
                shutil.rmtree(directory / PARTS, ignore_errors=True)
                finish(directory, home, replace(manifest, results=facts))
    return AblateResult(output, True, _text(output), facts)


def _units(points: Sequence[Point], folds: Protocol, seeds: Sequence[int]) -> list[list[Unit]]:
    """Return the units of each row."""
    keys = [(point, fold.name, seed) for point in points for fold in folds.folds for seed in seeds]
    names = iter(file_names([f"{point.label}_{fold}_seed-{seed}" for point, fold, seed in keys]))
    rows: dict[int, list[Unit]] = {id(point): [] for point in points}
    for point, fold, seed in keys:
        rows[id(point)].append(Unit(next(names), "mmtsa", point.modalities, _settings(point.recipe), fold, seed))
    return list(rows.values())


def _settings(recipe: Recipe) -> dict[str, Any]:
    return {key: value for key, value in to_mapping(recipe).items() if key not in ("method", "seed", "modalities")}


def _configuration(points: Sequence[Point], folds: Protocol, seeds: int) -> dict[str, Any]:
    rows = {point.label: {"modalities": list(point.modalities), **_settings(point.recipe)} for point in points}
    return {"protocol": folds.name, "folds": [fold.name for fold in folds.folds], "seeds": seeds, "rows": rows}


@contextmanager
def _resumable(output: Path, manifest: Manifest, *, overwrite: bool) -> Iterator[Path]:
    """Give the directory in which the work goes on; leave it there where it ends early, if anything is finished."""
    partial = partial_path(output.absolute())
    check_room(output.absolute())
    if partial.is_dir():
        # Outside the block below: what another process writes is not ours to clear away.
        claim(partial)
        if overwrite or not (partial / FILE_NAME).is_file():
            shutil.rmtree(partial)
        else:
            check_same_work(partial, manifest, what="ablation")
    try:
        partial.mkdir(parents=True, exist_ok=True)
        claim(partial)
        write_manifest(partial, manifest)
        yield partial
    except OSError as fault:
        remedy = "what is finished is kept: free some space and give the same command again"
        where = str(fault.filename or partial)
        raise ArtifactError(f"cannot be written: {fault.strerror or fault}", where=where, remedy=remedy) from fault
    finally:
        if any(partial.glob("units/*")) or any(partial.glob("work/**/last.safetensors")):
            release(partial)
        else:
            shutil.rmtree(partial, ignore_errors=True)


def _text(output: Path) -> str:
    files = [output / f"{name}.md" for name in (TABLE, DIFFERENCES)]
    return "\n".join(path.read_text(encoding="utf-8") for path in files if path.is_file())
