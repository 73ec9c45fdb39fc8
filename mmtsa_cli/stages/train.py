"""Samples and a recipe to a training run: one trained network a fold."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from mmtsa_cli.artifacts.directory import check_output, finished
from mmtsa_cli.artifacts.manifest import Manifest, fingerprint, read_manifest
from mmtsa_cli.artifacts.options import to_mapping
from mmtsa_cli.artifacts.unchanged import unchanged
from mmtsa_cli.artifacts.uploading import home_of, kept_until_put
from mmtsa_cli.modalities import select
from mmtsa_cli.sampling.protocols import Fold, Protocol, hold_out, resolve
from mmtsa_cli.sampling.store import Store
from mmtsa_cli.stages.recipe import Recipe, read_recipe
from mmtsa_cli.stages.result import StageResult
from mmtsa_cli.stages.stopping import Asked, stop_on_signals
from mmtsa_cli.stages.tables.teaching import check_teacher, open_teacher, teacher_inputs, teacher_of
from mmtsa_cli.stages.trainings.data import KEY, MODEL_NAME, note_training_data
from mmtsa_cli.stages.trainings.event import Listener, TrainingEvent
from mmtsa_cli.stages.trainings.unfinished import finish_partial, kept_for_resume, open_partial
from mmtsa_cli.training.optimisation import TrainingOptions, with_least_steps

DEFAULT_RECIPE = "recommended"


def run(
    samples: Path,
    output: Path,
    *,
    recipe: str | None = None,
    settings: Sequence[str] = (),
    protocol: str | None = None,
    modalities: Sequence[str] | None = None,
    seed: int | None = None,
    resume: bool = False,
    overwrite: bool = False,
    listen: Listener = lambda event: None,
    warn: Callable[[str], None] = lambda text: None,
) -> StageResult:
    """Train, one network a fold of the protocol.

    Until all folds are trained, the run is `OUTPUT.partial` beside its final name; `resume` goes on with it. Where
    torchrun started this process as one of several, they train each network together, and the first one writes, listens
    and gives the facts. A run whose place is a URL is trained in the cache, and put there when it is whole.

    Parameters
    ----------
    samples, output : Path
    recipe : str, optional
        A file, or the name of a recipe of the package; None: `recommended`.
    settings : sequence of str
        `KEY=VALUE` over the recipe.
    protocol, modalities, seed : optional
        Over the recipe and the store.
    warn : callable
        Told in one line what a resumed training has to make do with.

    Returns
    -------
    StageResult
        Facts: the protocol, and per fold its clips, epochs, best epoch, scores, parameters and seconds.

    Raises
    ------
    UsageError, DataError, ArtifactError
    TrainingStoppedError
        Interrupted; the checkpoint is written.
    """
    from mmtsa_cli.training.group import from_first, is_first, joined, size

    plan = _recipe(recipe, settings, modalities, seed)
    with joined(plan.training.device):
        store = Store(samples)
        folds = resolve(protocol, store.clips, published=store.header.protocols, default=store.header.protocol)
        teacher = open_teacher(plan)
        inputs = {str(samples): fingerprint(samples), **teacher_inputs(teacher)}
        manifest = Manifest("train", _configuration(plan, folds), plan.seed, inputs)
        if from_first(lambda: check_output(output, manifest, overwrite=overwrite)) == "done":
            return StageResult(output, False, dict(from_first(lambda: read_manifest(output).results)))
        check_teacher(teacher, store, folds.folds, plan)
        with kept_until_put(output) if is_first() else nullcontext(home_of(output)) as home:
            before = from_first(lambda: None if overwrite else finished(home, manifest))
            if before is not None:
                return StageResult(output, True, before)
            partial = from_first(lambda: open_partial(home, manifest, resume=resume, overwrite=overwrite))
            facts: dict[str, Any] = {"protocol": folds.name, "folds": []}
            with stop_on_signals(patient=size() > 1) as asked, kept_for_resume(partial, asked):
                with unchanged(store.states):
                    for number, fold in enumerate(folds.folds, start=1):
                        reporter = _Reporter(listen, fold.name, number, len(folds.folds), plan.training)
                        taught_by = teacher_of(teacher, fold, folds.folds, plan)
                        facts["folds"].append(_train_fold(partial, store, plan, fold, reporter, asked, taught_by, warn))
                if is_first():
                    finish_partial(partial, home, dataclasses.replace(manifest, results=facts))
    return StageResult(output, True, facts)


def show_recipe(
    recipe: str | None,
    settings: Sequence[str] = (),
    modalities: Sequence[str] | None = None,
    seed: int | None = None,
) -> str:
    """Return the whole recipe as YAML, defaults included."""
    import yaml

    plan = _recipe(recipe, settings, modalities, seed)
    return yaml.safe_dump(to_mapping(plan), sort_keys=False, allow_unicode=True)


def _recipe(recipe: str | None, settings: Sequence[str], modalities: Sequence[str] | None, seed: int | None) -> Recipe:
    plan = read_recipe(recipe or DEFAULT_RECIPE, settings)
    if modalities:
        plan = dataclasses.replace(plan, modalities=tuple(modalities))
    return plan if seed is None else dataclasses.replace(plan, seed=seed)


def _configuration(plan: Recipe, folds: Protocol) -> dict[str, Any]:
    return {"recipe": to_mapping(plan), "protocol": folds.name, "folds": [_fold_facts(f) for f in folds.folds]}


def _fold_facts(fold: Fold) -> dict[str, Any]:
    return {"name": fold.name, "train": len(fold.train), "test": len(fold.test), "apart": list(fold.apart)}


def _train_fold(
    partial: Path,
    store: Store,
    plan: Recipe,
    fold: Fold,
    reporter: _Reporter,
    asked: Asked,
    teacher: Any,
    warn: Callable[[str], None],
) -> dict[str, Any]:
    from mmtsa_cli.methods.mmtsa import Mmtsa
    from mmtsa_cli.sampling.draw import Samples
    from mmtsa_cli.training.group import is_first
    from mmtsa_cli.training.run import Run

    directory = partial / "folds" / fold.name
    names = select(plan.modalities, {n: m.kind for n, m in store.header.modalities.items()}) if plan.modalities else ()
    train, validation = hold_out(
        fold,
        store.clips,
        column=plan.validation.column,
        values=plan.validation.values,
        count=plan.validation.count,
        seed=plan.seed,
    )
    classes = sorted({store.clips[i]["label"] for i in fold.train})
    parts = [
        Samples(store, part, modalities=names or tuple(store.header.modalities), classes=classes, options=plan.sampling)
        for part in (train, validation)
    ]
    method = Mmtsa.for_samples(plan, parts[0], seed=plan.seed)
    method.teacher = teacher
    if is_first():
        _write_model(directory, method, parts[0], store, fold, validation)
    run = Run(directory, reporter if is_first() else _silent, asked.answer, warn=warn)
    state = method.fit(parts[0], parts[1] if validation else None, seed=plan.seed, run=run)
    if not is_first():
        return {}
    return {**_close_fold(directory, fold, state, method), **_cost_of_order(method, parts[0], plan)}


def _cost_of_order(method: Any, samples: Any, plan: Recipe) -> dict[str, str]:
    """Return what deterministic algorithms cost, measured now, where they were asked for."""
    if not plan.training.deterministic:
        return {}
    ordered, free = method.deterministic_cost(samples, seed=plan.seed)
    times = f"{1000 * ordered:.0f} against {1000 * free:.0f} ms"
    return {"deterministic": f"{ordered / free:.2f} x the time of a step ({times})"}


def _write_model(
    directory: Path, method: Any, samples: Any, store: Store, fold: Fold, validation: Sequence[int]
) -> None:
    """Write what makes the weights a model again, and which clips they have seen."""
    directory.mkdir(parents=True, exist_ok=True)
    ids = {part: [store.clips[i]["id"] for i in where] for part, where in
           (("train", samples.clips), ("validation", validation), ("test", fold.test))}  # fmt: skip
    model = {
        "method": "mmtsa",
        "classes": list(method.classes),
        "segments": method.segments,
        "window_s": samples.window_s,
        "inputs": {name: dataclasses.asdict(wanted) for name, wanted in method.inputs.items()},
        "fold": fold.name,
        "apart": list(fold.apart),
        "clips": ids,
        KEY: note_training_data(samples),
    }
    (directory / MODEL_NAME).write_text(json.dumps(model, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _close_fold(directory: Path, fold: Fold, state: Any, method: Any) -> dict[str, Any]:
    from mmtsa_cli.models.cost import parameters
    from mmtsa_cli.reporting.plots import plot_curves
    from mmtsa_cli.reporting.tables import write_rows

    write_rows(directory / "log.csv", state.history)
    title = f"{fold.name}: {', '.join(method.inputs)}"
    plot_curves(directory / "curves.png", state.history, best_epoch=state.best_epoch, title=title)
    best = next(row for row in state.history if row["epoch"] == state.best_epoch)
    kept = {key: value for key, value in best.items() if key in ("loss", "validation_accuracy", "validation_macro_f1")}
    return {
        "name": fold.name,
        "train_clips": len(fold.train),
        "epochs": state.epoch,
        "best_epoch": state.best_epoch,
        **kept,
        "parameters": parameters(method.network),
        "seconds": round(sum(row["seconds"] for row in state.history), 1),
    }


def _silent(state: Any, step: int, steps: int) -> None:
    """Report nothing: what one process of several says, all would."""


class _Reporter:
    """Turns the loop's reports into events."""

    def __init__(self, listen: Listener, fold: str, number: int, folds: int, options: TrainingOptions) -> None:
        self._listen, self._about, self._options = listen, (fold, number, folds), options
        self._told = 0

    def __call__(self, state: Any, step: int, steps: int) -> None:
        epochs = with_least_steps(self._options, steps).epochs
        new_row = state.history[-1] if len(state.history) > self._told and state.step == 0 else None
        self._told = len(state.history)
        done = state.epoch + (state.step / steps)
        spent = sum(row["seconds"] for row in state.history) + state.sums[3]
        left = spent / done * (epochs - done) if done else None
        self._listen(TrainingEvent(*self._about, state.epoch, epochs, step, steps, new_row, left))
