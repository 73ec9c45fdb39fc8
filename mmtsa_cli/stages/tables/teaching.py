"""A finished run as a teacher: opened, held against the student's samples and fold, its network made ready.

A teacher that was trained on the people whom its student is tested on would carry what it knows of them over, and the
test would say nothing: so a student of a fold learns from the network of the same fold, and what that network has seen
is held against the student's test clips, clip by clip and by every column that the fold keeps apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmtsa_cli.artifacts.manifest import fingerprint
from mmtsa_cli.errors import DataError, UsageError
from mmtsa_cli.sampling.protocols import Fold
from mmtsa_cli.sampling.store import Store
from mmtsa_cli.stages.trainings.trained import TrainedRun, drawing, open_run, restore

if TYPE_CHECKING:
    from mmtsa_cli.methods.lessons import LessonOptions, Teacher

_KEY = "distillation.teacher"


def open_teacher(options: Any) -> TrainedRun | None:
    """Return the run that teaches, None where there is none.

    Parameters
    ----------
    options : Recipe, or the options of a system
        Those of mmtsa may name one.

    Raises
    ------
    UsageError
        The recipe asks for one and names none.
    ArtifactError
        What it names is no finished run, or a damaged one.
    """
    lessons: LessonOptions | None = getattr(options, "distillation", None)
    if lessons is None or lessons.teacher is None:
        return None
    if not lessons.teacher:
        remedy = f"add --set {_KEY}=RUN, a finished run of `mmtsa train`"
        raise UsageError("the recipe distils, and no teacher is named", where=_KEY, remedy=remedy)
    return open_run(Path(lessons.teacher))


def teacher_inputs(run: TrainedRun | None) -> dict[str, str]:
    """Return the teacher's directory and hash, as a manifest lists what a stage has read."""
    return {str(run.directory): fingerprint(run.directory)} if run else {}


def check_teacher(run: TrainedRun | None, store: Store, folds: Sequence[Fold], options: Any) -> None:
    """Refuse a teacher that cannot teach on every one of the folds; `options` as of `teacher_of`.

    Raises
    ------
    UsageError, DataError, ArtifactError
        It was trained with other folds, on other classes, or on modalities that the samples do not have; it has seen
        test clips, or people of the test part; its weights are damaged.
    """
    if run is None:
        return
    for fold in folds:
        model = _model_of(run, fold, folds)
        where = f"{_KEY} {run.directory}"
        _check_classes(model, fold, store, where)
        _check_modalities(model, store, where)
        _check_unseen(model, fold, store, where)
        # Only reading shows whether the weights can be read.
        teacher_of(run, fold, folds, options)


def teacher_of(run: TrainedRun | None, fold: Fold, folds: Sequence[Fold], options: Any) -> Teacher | None:
    """Return what teaches on a fold; None where nothing does.

    Parameters
    ----------
    options : Recipe or MmtsaOptions
        The student's: device and threads are its.
    """
    from mmtsa_cli.methods.lessons import Teacher

    if run is None:
        return None
    model = _model_of(run, fold, folds)
    training = replace(run.recipe.training, device=options.training.device, threads=options.training.threads)
    method = restore(run, model, recipe=replace(run.recipe, training=training))
    return Teacher(method.network, tuple(method.inputs), drawing(run.recipe, model))


def _model_of(run: TrainedRun, fold: Fold, folds: Sequence[Fold]) -> Mapping[str, Any]:
    by_name = {model["fold"]: model for model in run.models}
    # One split under two names is still held against what was seen.
    alone = run.models[0] if len(run.models) == len(folds) == 1 else None
    found = by_name.get(fold.name, alone)
    if found is None:
        raise UsageError(
            "the teacher was trained with other folds",
            where=f"{_KEY} {run.directory}",
            expected=f"a network of fold {fold.name}",
            found=", ".join(by_name),
            remedy="train teacher and student with the same protocol",
        )
    return found


def _check_classes(model: Mapping[str, Any], fold: Fold, store: Store, where: str) -> None:
    ours, its = {store.clips[i]["label"] for i in fold.train}, set(model["classes"])
    if ours != its:
        missing, more = sorted(ours - its), sorted(its - ours)
        told = [f"{what} {', '.join(names[:3])}" for what, names in (("no", missing), ("and also", more)) if names]
        raise DataError(
            "the teacher knows other classes",
            where=where,
            expected=f"the {len(ours)} of the training clips",
            found="; ".join(told),
            remedy="distil with the samples that the teacher was trained on",
        )


def _check_modalities(model: Mapping[str, Any], store: Store, where: str) -> None:
    for name, wanted in model["inputs"].items():
        stored = store.header.modalities.get(name)
        found = None
        if stored is not None:
            axes = f"{stored.kind}, {len(stored.channels)} channels"
            samples = stored.window_samples(model["window_s"]) if stored.kind == "sensor" else None
            found = axes + (f", {samples} samples a window" if samples else "")
        size = f", {wanted['size']} samples a window" if wanted["kind"] == "sensor" else ""
        expected = f"{wanted['kind']}, {wanted['channels']} channels{size}"
        if found != expected:
            raise DataError(
                f"the samples do not have the teacher's {name}",
                where=where,
                expected=expected,
                found=found or ", ".join(store.header.modalities),
                remedy="sample the modalities that the teacher was trained on; the student may use fewer",
            )


def _check_unseen(model: Mapping[str, Any], fold: Fold, store: Store, where: str) -> None:
    """Refuse a teacher that has seen a test clip, or a value of the test part where the fold keeps the parts apart."""
    places = {clip["id"]: number for number, clip in enumerate(store.clips)}
    seen = [*model["clips"]["train"], *model["clips"]["validation"]]
    unknown = [clip for clip in seen if clip not in places]
    if unknown:
        raise DataError(
            f"{len(unknown)} clips that the teacher was trained on are not in the samples, so whom it saw is not known",
            where=f"{where}, {', '.join(unknown[:3])}",
            remedy="distil with the samples that the teacher was trained on",
        )
    for column in ("id", *fold.apart):
        tested = {store.clips[i].get(column, "") for i in fold.test}
        both = sorted(tested & {store.clips[places[clip]].get(column, "") for clip in seen})
        if both:
            raise DataError(
                f"the teacher was trained on {column} {', '.join(both[:3])} of the test part of fold {fold.name}",
                where=where,
                remedy="a student of a teacher that has seen the test part is not tested: train both with one protocol",
            )
