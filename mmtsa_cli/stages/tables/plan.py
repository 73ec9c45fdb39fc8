"""What a benchmark runs: which systems, on which modalities, folds and seeds, with which settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from mmtsa_cli.artifacts.directory import file_name
from mmtsa_cli.artifacts.options import Source, to_options
from mmtsa_cli.errors import DataError, ManyErrors, MmtsaError, UsageError
from mmtsa_cli.methods.mmtsa import MmtsaOptions
from mmtsa_cli.methods.registry import entries, entry_of, modalities_of
from mmtsa_cli.modalities import Kind, select
from mmtsa_cli.sampling.draw import DrawOptions, Samples
from mmtsa_cli.sampling.protocols import Protocol, resolve
from mmtsa_cli.sampling.store import Store
from mmtsa_cli.stages.tables.bench_recipe import BenchRecipe, read_bench_recipe
from mmtsa_cli.stages.tables.published import systems_of
from mmtsa_cli.stages.tables.teaching import check_teacher, open_teacher
from mmtsa_cli.stages.tables.units import Unit
from mmtsa_cli.stages.trainings.trained import TrainedRun

DEFAULT_RECIPE = "recommended"


@dataclass(frozen=True)
class Plan:
    """What is to be run.

    Attributes
    ----------
    modalities : mapping of str to tuple of str
        The systems that can be run, and what each reads.
    left_out : mapping of str to str
        Those that cannot, and what they need.
    seeds : int
        How many, from 0 on.
    teachers : mapping of str to TrainedRun
        Those that learn from a finished run, and that run.
    """

    store: Store
    protocol: Protocol
    recipe: BenchRecipe
    modalities: Mapping[str, tuple[str, ...]]
    left_out: Mapping[str, str]
    seeds: int
    teachers: Mapping[str, TrainedRun] = field(default_factory=dict)

    def units(self, method: str) -> list[Unit]:
        """Return the units of a system: every fold with every seed."""
        settings = self.recipe.settings_of(method)
        return [
            Unit(unit_name(method, fold.name, seed), method, self.modalities[method], settings, fold.name, seed)
            for seed in range(self.seeds)
            for fold in self.protocol.folds
        ]


def make_plan(
    samples: Path,
    methods: Sequence[str] | None,
    recipe: str | None,
    settings: Sequence[str],
    protocol: str | None,
    modalities: Sequence[str] | None,
    seeds: int,
    table: int | None,
) -> Plan:
    """Return what is to be run; parameters are those of `benchmark.run`.

    Raises
    ------
    UsageError, ManyErrors, DataError, ArtifactError
        What makes no run possible: names, recipe, settings, protocol, or no system that finds what it needs.
    """
    chosen = read_bench_recipe(recipe or DEFAULT_RECIPE, settings)
    wanted = _wanted(methods, table, chosen)
    store = Store(samples)
    header = store.header
    folds = resolve(protocol, store.clips, published=header.protocols, default=header.protocol)
    kinds: dict[str, Kind] = {name: stored.kind for name, stored in header.modalities.items()}
    available = {name: kinds[name] for name in select(modalities, kinds)} if modalities else kinds
    found, left_out = _sorted_out(chosen, {name: chosen.available_to(name, available) for name in wanted})
    plan = Plan(store, folds, chosen, found, left_out, seeds)
    _check_settings(plan)
    return replace(plan, teachers=_teachers(plan))


def _wanted(methods: Sequence[str] | None, table: int | None, recipe: BenchRecipe) -> tuple[str, ...]:
    if methods is None and table:
        return systems_of(table)
    if methods is None and recipe.variants:
        # A recipe that makes variants is about them, and about the systems beside that it has a section for.
        return tuple(recipe.methods)
    if methods is None or "all" in methods:
        return (*entries(), *recipe.variants)
    return tuple(dict.fromkeys(name if name in recipe.variants else entry_of(name).name for name in methods))


def _sorted_out(
    recipe: BenchRecipe, available: Mapping[str, Mapping[str, Kind]]
) -> tuple[dict[str, tuple[str, ...]], dict[str, str]]:
    """Return what each system reads of what is there for it; of those that need more, why they are left out."""
    found: dict[str, tuple[str, ...]] = {}
    errors: dict[str, MmtsaError] = {}
    for name, kinds in available.items():
        try:
            found[name] = modalities_of(entry_of(recipe.system_of(name)), kinds)
        except DataError as error:
            errors[name] = error
    if not found:
        raise next(iter(errors.values())) if len(errors) == 1 else ManyErrors(list(errors.values()))
    return found, {n: f"{error.what.removeprefix(recipe.system_of(n)).strip()}" for n, error in errors.items()}


def _check_settings(plan: Plan) -> None:
    """Refuse before anything is trained what no system could be run with."""
    errors: list[MmtsaError] = []
    for method, names in plan.modalities.items():
        try:
            drawn = plan.recipe.settings_of(method)["sampling"]
            options = to_options(DrawOptions, Source("sampling", dict(drawn), {}))
            Samples(plan.store, range(len(plan.store)), modalities=names, classes=(), options=options)
        except ManyErrors as error:
            errors.extend(error.errors)
        except UsageError as error:
            errors.append(error)
    if errors:
        raise ManyErrors(errors)


def _teachers(plan: Plan) -> dict[str, TrainedRun]:
    """Open the runs that teach, and refuse those that cannot."""
    teachers: dict[str, TrainedRun] = {}
    for method in plan.modalities:
        settings = plan.recipe.settings_of(method)
        if (settings.get("distillation") or {}).get("teacher") is None:
            continue
        own = {key: value for key, value in settings.items() if key not in ("method", "sampling", "validation")}
        options = to_options(MmtsaOptions, Source(method, own, {}))
        if run := open_teacher(options):
            check_teacher(run, plan.store, plan.protocol.folds, options)
            teachers[method] = run
    return teachers


def unit_name(method: str, fold: str, seed: int) -> str:
    """Return the name of a unit, which is that of its directory."""
    return file_name(f"{method}--{fold}--seed-{seed}")
