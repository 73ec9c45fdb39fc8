"""Samples and a recipe to a training run: one trained network a fold."""

from __future__ import annotations

import dataclasses
import json
import shutil
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmtsa_cli.artifacts.directory import check_output, check_room, claim, finish, partial_path, release
from mmtsa_cli.artifacts.manifest import Manifest, fingerprint, read_manifest, write_manifest
from mmtsa_cli.artifacts.options import to_mapping
from mmtsa_cli.errors import ArtifactError, UsageError
from mmtsa_cli.modalities import select
from mmtsa_cli.sampling.protocols import Fold, hold_out, resolve
from mmtsa_cli.sampling.store import Store
from mmtsa_cli.stages.recipe import Recipe, read_recipe
from mmtsa_cli.stages.result import StageResult
from mmtsa_cli.stages.stopping import Asked, stop_on_signals
from mmtsa_cli.stages.teaching import check_teacher, open_teacher, teacher_inputs, teacher_of
from mmtsa_cli.stages.training_data import KEY, MODEL_NAME, note_training_data

DEFAULT_RECIPE = "recommended"


@dataclass(frozen=True)
class TrainingEvent:
    """How far a training is, after a step.

    Attributes
    ----------
    fold : str
    fold_number, folds : int
        From 1.
    epoch, epochs : int
        Epochs done and in all.
    step, steps : int
        Steps done of the epoch under way and in all.
    row : dict or None
        Where this step ended an epoch, its line of the log.
    seconds_left : float or None
        Of this fold, by the speed until now.
    """

    fold: str
    fold_number: int
    folds: int
    epoch: int
    epochs: int
    step: int
    steps: int
    row: dict[str, Any] | None
    seconds_left: float | None


Listener = Callable[[TrainingEvent], None]


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
) -> StageResult:
    """Train, one network a fold of the protocol.

    Until all folds are trained, the run is `OUTPUT.partial` beside its final name; `resume` goes on with it.

    Parameters
    ----------
    samples, output : Path
    recipe : str, optional
        A file, or the name of a recipe of the package; None: `recommended`.
    settings : sequence of str
        `KEY=VALUE` over the recipe.
    protocol, modalities, seed : optional
        Over the recipe and the store.

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
    plan = _recipe(recipe, settings, modalities, seed)
    store = Store(samples)
    folds = resolve(protocol, store.clips, published=store.header.protocols, default=store.header.protocol)
    configuration = {"recipe": to_mapping(plan), "protocol": folds.name, "folds": [_fold_facts(f) for f in folds.folds]}
    teacher = open_teacher(plan)
    inputs = {str(samples): fingerprint(samples), **teacher_inputs(teacher)}
    manifest = Manifest("train", configuration, plan.seed, inputs)
    if check_output(output, manifest, overwrite=overwrite) == "done":
        return StageResult(output, False, dict(read_manifest(output).results))
    check_teacher(teacher, store, folds.folds, plan)
    partial = _open_partial(output, manifest, resume, overwrite)
    facts: dict[str, Any] = {"protocol": folds.name, "folds": []}
    with stop_on_signals() as asked, _kept_for_resume(partial, asked):
        for number, fold in enumerate(folds.folds, start=1):
            reporter = _Reporter(listen, fold.name, number, len(folds.folds), plan.training.epochs)
            taught_by = teacher_of(teacher, fold, folds.folds, plan)
            facts["folds"].append(_train_fold(partial, store, plan, fold, reporter, asked, taught_by))
        finish(partial, output, dataclasses.replace(manifest, results=facts))
    return StageResult(output, True, facts)


def show_recipe(recipe: str | None, settings: Sequence[str] = ()) -> str:
    """Return the whole recipe as YAML, defaults included."""
    import yaml

    return yaml.safe_dump(
        to_mapping(read_recipe(recipe or DEFAULT_RECIPE, settings)), sort_keys=False, allow_unicode=True
    )


def _recipe(recipe: str | None, settings: Sequence[str], modalities: Sequence[str] | None, seed: int | None) -> Recipe:
    plan = read_recipe(recipe or DEFAULT_RECIPE, settings)
    if modalities:
        plan = dataclasses.replace(plan, modalities=tuple(modalities))
    return plan if seed is None else dataclasses.replace(plan, seed=seed)


def _fold_facts(fold: Fold) -> dict[str, Any]:
    return {"name": fold.name, "train": len(fold.train), "test": len(fold.test), "apart": list(fold.apart)}


def _open_partial(output: Path, manifest: Manifest, resume: bool, overwrite: bool) -> Path:
    """Return the directory to train in: a new one, or the one of a training that was interrupted."""
    output = output.absolute()
    partial = partial_path(output)
    check_room(output)
    if partial.is_dir() and not resume and not overwrite and _has_checkpoint(partial):
        raise UsageError(
            "an unfinished training is there",
            where=str(partial),
            remedy="add --resume to go on with it, or --overwrite to begin anew",
        )
    if partial.is_dir():
        claim(partial)
        if resume and (partial / "manifest.json").is_file():
            changed = read_manifest(partial).differences(manifest)
            if changed:
                release(partial)
                raise UsageError(
                    f"the unfinished training has other settings ({'; '.join(changed[:3])})",
                    where=str(partial),
                    remedy="give the same settings, or --overwrite to begin anew",
                )
            return partial
        shutil.rmtree(partial)
    try:
        partial.mkdir(parents=True)
        claim(partial)
        write_manifest(partial, manifest)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        remedy = "nothing was kept; free some space or name another place"
        raise ArtifactError(f"cannot be written: {error.strerror}", where=str(output), remedy=remedy) from None
    return partial


def _has_checkpoint(partial: Path) -> bool:
    return any(partial.glob("folds/**/last.safetensors"))


@contextmanager
def _kept_for_resume(partial: Path, asked: Asked) -> Iterator[None]:
    """Leave an interrupted training as it is, for `--resume`, and say so; leave nothing where nothing was trained."""
    from mmtsa_cli.training.loop import TrainingStoppedError

    try:
        yield
    except TrainingStoppedError as stopped:
        error = TrainingStoppedError(stopped.what, remedy=f"{partial} is kept, add --resume to go on")
        error.exit_code = 128 + (asked.signal or signal.SIGINT)
        raise error from None
    except OSError as fault:
        kept = "the last whole checkpoint is kept: free some space and add --resume to go on"
        nothing = "nothing was kept; free some space or name another place"
        raise ArtifactError(
            f"cannot be written: {fault.strerror or fault}",
            where=str(fault.filename or partial),
            remedy=kept if _has_checkpoint(partial) else nothing,
        ) from fault
    finally:
        if _has_checkpoint(partial):
            release(partial)
        else:
            shutil.rmtree(partial, ignore_errors=True)


def _train_fold(
    partial: Path, store: Store, plan: Recipe, fold: Fold, reporter: _Reporter, asked: Asked, teacher: Any
) -> dict[str, Any]:
    from mmtsa_cli.methods.mmtsa import Mmtsa
    from mmtsa_cli.sampling.draw import Samples
    from mmtsa_cli.training.loop import Run

    directory = partial / "folds" / fold.name
    directory.mkdir(parents=True, exist_ok=True)
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
    _write_model(directory, method, parts[0], store, fold, validation)
    run = Run(directory, reporter, asked.answer)
    state = method.fit(parts[0], parts[1] if validation else None, seed=plan.seed, run=run)
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


class _Reporter:
    """Turns the loop's reports into events."""

    def __init__(self, listen: Listener, fold: str, number: int, folds: int, epochs: int) -> None:
        self._listen, self._about, self._epochs = listen, (fold, number, folds), epochs
        self._told = 0

    def __call__(self, state: Any, step: int, steps: int) -> None:
        new_row = state.history[-1] if len(state.history) > self._told and state.step == 0 else None
        self._told = len(state.history)
        done = state.epoch + (state.step / steps)
        spent = sum(row["seconds"] for row in state.history) + state.sums[3]
        left = spent / done * (self._epochs - done) if done else None
        self._listen(TrainingEvent(*self._about, state.epoch, self._epochs, step, steps, new_row, left))
