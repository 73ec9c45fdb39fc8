"""A training run and samples to an evaluation: metrics with intervals, predictions, confusion matrix."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmtsa_cli.artifacts.directory import check_output, new_directory
from mmtsa_cli.artifacts.manifest import Manifest, fingerprint
from mmtsa_cli.errors import DataError, UsageError
from mmtsa_cli.evaluation.integers import summary as summary_of_integers
from mmtsa_cli.evaluation.integers import told as told_of_integers
from mmtsa_cli.evaluation.intervals import bootstrap
from mmtsa_cli.evaluation.metrics import confusion_matrix, score
from mmtsa_cli.evaluation.scored import scored
from mmtsa_cli.sampling.draw import Samples
from mmtsa_cli.sampling.protocols import resolve
from mmtsa_cli.sampling.store import Store
from mmtsa_cli.stages import calibrate as calibration
from mmtsa_cli.stages import integers, kept
from mmtsa_cli.stages.robustness import Condition, Conditions, in_passes, write_conditions
from mmtsa_cli.stages.trainings.trained import TrainedRun, drawing, open_run, restore

__all__ = ["EvalOptions", "EvalResult", "run", "told_of_integers"]

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class EvalResult:
    """What `eval` made: whether it was new, and the metrics."""

    output: Path
    fresh: bool
    metrics: dict[str, Any]


@dataclass(frozen=True)
class EvalOptions:
    """What is evaluated besides the test clips as they are.

    Attributes
    ----------
    modalities : tuple of str
        Names or groups: with these alone; none: with all that the run was trained on.
    all_subsets : bool
        With every subset of them, too.
    corrupt : tuple of str
        With these faults of `sampling.corruption.CORRUPTIONS`, each at several strengths.
    segments : tuple of int
        With clips cut into these numbers of segments, too: what fewer of them cost in accuracy.
    calibrate : bool
        Also fit each fold's temperature on its validation clips, and say what it changes on the test clips. The
        predictions that are written stay those of the networks.
    int8 : bool
        Compute backbones in 8-bit integers, scaled by training clips; everything written is of them, beside what that
        changes against the run's own precision.
    """

    modalities: tuple[str, ...] = ()
    all_subsets: bool = False
    corrupt: tuple[str, ...] = ()
    calibrate: bool = False
    segments: tuple[int, ...] = ()
    int8: bool = False

    def asked(self) -> dict[str, Any]:
        """Return what was asked for; an evaluation of nothing more is told by its protocol alone."""
        return {key: list(v) if isinstance(v, tuple) else v for key, v in vars(self).items() if v}


@dataclass(frozen=True)
class _FoldResult:
    """The test clips of one fold and what its network says of them.

    `others` holds the probabilities under other conditions (see `robustness`), `ranges` those of integers, and `before`
    the probabilities in the run's own precision beside them.
    """

    name: str
    clips: tuple[int, ...]
    classes: tuple[str, ...]
    probabilities: NDArray[np.float64]
    attention: NDArray[np.float64]
    temperature: calibration.FoldTemperature | None
    others: Mapping[Condition, NDArray[np.float64]]
    ranges: integers.FoldRanges | None = None
    before: NDArray[np.float64] | None = None


def run(
    training: Path,
    samples: Path,
    output: Path,
    *,
    protocol: str | None = None,
    options: EvalOptions | None = None,
    seed: int = 0,
    overwrite: bool = False,
    progress: Progress = lambda done, total: None,
    note: Callable[[str], None] = lambda text: None,
) -> EvalResult:
    """Evaluate a run on the test clips of its protocol, or of another one.

    Parameters
    ----------
    training, samples, output : Path
    protocol : str, optional
        Another protocol than the run's; refused where its test part holds clips that the run was trained on.
    options : EvalOptions, optional
    seed : int
        Of the bootstrap, of random draws where the recipe asks for several, and of faults.
    note : callable
        Told what a person should know.

    Raises
    ------
    UsageError, DataError, ArtifactError
    """
    options = options or EvalOptions()
    trained = open_run(training)
    store = Store(samples)
    inputs = {str(training): fingerprint(training), str(samples): fingerprint(samples)}
    name = protocol or trained.manifest.configuration["protocol"]
    manifest = Manifest("eval", {"protocol": name, **options.asked()}, seed, inputs)
    if check_output(output, manifest, overwrite=overwrite) == "done":
        return EvalResult(output, False, json.loads((output / "metrics.json").read_text(encoding="utf-8")))
    plan = _plan(trained.models, store, protocol)
    if options.calibrate:
        calibration.check_validation(trained, [model for model, _ in plan])
    if options.int8 and options.all_subsets:
        raise UsageError("subsets are not computed in integers", where="--int8 --all-subsets", remedy="ask one by one")
    conditions = Conditions.of(
        trained, store, options.modalities, options.corrupt, subsets=options.all_subsets, segments=options.segments
    )
    for text in conditions.notes:
        note(text)
    with new_directory(output, manifest) as directory:
        results = [_predict(trained, model, clips, store, seed, options, conditions, progress) for model, clips in plan]
        metrics = _metrics(results, store, name, trained.manifest.seed, seed)
        metrics["modalities"] = list(conditions.modalities)
        metrics.update(_under_other_conditions(results, metrics, store, seed))
        if options.calibrate:
            metrics["calibration"] = _calibration(results, store)
            kept.write(directory / calibration.FILE_NAME, trained, metrics["calibration"])
        if options.int8:
            metrics["int8"] = _against_before(results, metrics["classes"], store, seed)
            ranges = {one.name: one.ranges for one in results}
            kept.write(directory / integers.FILE_NAME, trained, {"clips": integers.CLIPS, "folds": ranges})
        _write(directory, metrics, results, store)
    return EvalResult(output, True, metrics)


def _plan(
    models: Sequence[Mapping[str, Any]], store: Store, protocol: str | None
) -> list[tuple[Mapping[str, Any], tuple[int, ...]]]:
    """Return which clips each fold's model is tested on."""
    positions = {clip["id"]: number for number, clip in enumerate(store.clips)}
    if protocol is None:
        return [(model, _own_test(model, positions, store)) for model in models]
    folds = resolve(protocol, store.clips, published=store.header.protocols, default=store.header.protocol).folds
    if len(models) != 1 or len(folds) != 1:
        by_name = {model["fold"]: model for model in models}
        if [fold.name for fold in folds] != list(by_name):
            raise UsageError(
                "the run was trained with other folds",
                where=f"--protocol {protocol}",
                expected=", ".join(by_name),
                found=", ".join(fold.name for fold in folds),
                remedy="leave --protocol out, or train with this one",
            )
        return [(by_name[fold.name], _unseen(by_name[fold.name], fold.test, store, protocol)) for fold in folds]
    return [(models[0], _unseen(models[0], folds[0].test, store, protocol))]


def _own_test(model: Mapping[str, Any], positions: Mapping[str, int], store: Store) -> tuple[int, ...]:
    missing = [clip for clip in model["clips"]["test"] if clip not in positions]
    if missing:
        raise DataError(
            f"{len(missing)} of the run's test clips are not in the samples",
            where=", ".join(missing[:3]),
            remedy="give the samples that the run was trained on, or name a --protocol for these",
        )
    test = tuple(positions[clip] for clip in model["clips"]["test"])
    _check_labels(model, test, store, str(store.directory))
    return test


def _unseen(model: Mapping[str, Any], test: Sequence[int], store: Store, protocol: str) -> tuple[int, ...]:
    seen = {*model["clips"]["train"], *model["clips"]["validation"]}
    both = [store.clips[i]["id"] for i in test if store.clips[i]["id"] in seen]
    if both:
        raise DataError(
            f"{len(both)} clips of the test part were trained on",
            where=f"--protocol {protocol}, {', '.join(both[:3])}",
            remedy="a test on what was trained on says nothing: train with this protocol",
        )
    _check_labels(model, test, store, f"--protocol {protocol}")
    return tuple(test)


def _check_labels(model: Mapping[str, Any], test: Sequence[int], store: Store, where: str) -> None:
    unknown = {store.clips[i]["label"] for i in test} - set(model["classes"])
    if unknown:
        raise DataError(
            f"label {', '.join(sorted(unknown)[:3])} in the test part that training never saw",
            where=where,
            expected=_some(model["classes"]),
            remedy="train with these samples and this protocol, or leave the label out of the test part",
        )


def _some(names: Sequence[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (f" or {len(names) - most} more" if len(names) > most else "")


def _predict(
    trained: TrainedRun,
    model: Mapping[str, Any],
    clips: tuple[int, ...],
    store: Store,
    seed: int,
    options: EvalOptions,
    conditions: Conditions,
    progress: Progress,
) -> _FoldResult:
    draws = drawing(trained.recipe, model)
    test = Samples(store, clips, modalities=conditions.modalities, classes=model["classes"], options=draws)
    method = restore(trained, model)
    passes = in_passes(progress, 1 + options.int8 + conditions.passes)
    ranges, before = None, None
    if options.int8:
        integers.check_machine(method, "--int8")
        before = method.predict(test, seed=seed, progress=next(passes)).probabilities
        ranges = integers.fit(trained, model, method, store)
        method.compute_in_integers(ranges)
    prediction = method.predict(test, seed=seed, progress=next(passes))
    others = conditions.predict(method, test, seed=seed, progress=passes)
    temperature = None
    if options.calibrate:
        temperature = calibration.fit(trained, model, method, store, seed=seed, progress=progress)
    said = (prediction.probabilities, prediction.attention, temperature, others, ranges, before)
    return _FoldResult(model["fold"], clips, tuple(model["classes"]), *said)


def _under_other_conditions(
    results: Sequence[_FoldResult], metrics: Mapping[str, Any], store: Store, seed: int
) -> dict[str, Any]:
    """Return the scores of `subsets`, `segments` and `robustness`, those that were asked for."""
    found: dict[str, Any] = {}
    for condition in results[0].others:
        labels = [
            _labels(replace(result, probabilities=result.others[condition]), metrics["classes"], store)
            for result in results
        ]
        true, predicted = (np.concatenate([part[side] for part in labels]) for side in (0, 1))
        subjects = [subject for part in labels for subject in part[2]]
        scores = _scores(true, predicted, subjects, metrics["classes"], seed)
        found.setdefault(condition.part, []).append({**condition.facts, **scores})
    return found


def _against_before(results: Sequence[_FoldResult], classes: Sequence[str], store: Store, seed: int) -> dict[str, Any]:
    """Return what integers change against the run's own precision."""
    true, now, subjects = zip(*(_labels(result, classes, store) for result in results), strict=True)
    then = [
        _labels(replace(result, probabilities=result.before), classes, store)[1]
        for result in results
        if result.before is not None
    ]
    return summary_of_integers(true, now, then, [one for part in subjects for one in part], len(classes), seed=seed)


def _calibration(results: Sequence[_FoldResult], store: Store) -> dict[str, Any]:
    true = [_labels(result, result.classes, store)[0] for result in results]
    temperatures = [result.temperature for result in results if result.temperature]
    return calibration.summary(temperatures, [result.probabilities for result in results], true)


def _metrics(
    results: Sequence[_FoldResult], store: Store, protocol: str, training_seed: int | None, seed: int
) -> dict[str, Any]:
    classes = tuple(sorted({name for result in results for name in result.classes}))
    true, predicted, subjects = [], [], []
    folds = []
    for result in results:
        t, p, s = _labels(result, classes, store)
        folds.append({"name": result.name, **_scores(t, p, s, classes, seed)})
        true.append(t)
        predicted.append(p)
        subjects.extend(s)
    pooled = _scores(np.concatenate(true), np.concatenate(predicted), subjects, classes, seed)
    per_class = _per_class(np.concatenate(true), np.concatenate(predicted), subjects, classes, seed)
    return {
        **pooled,
        "per_class": per_class,
        "folds": folds,
        "protocol": protocol,
        "seed": training_seed,
        "bootstrap_seed": seed,
        "classes": list(classes),
        # Of synthetic recordings: what video alone, sensors alone and both could reach at best.
        **({"ceilings": store.header.notes["ceilings"]} if "ceilings" in store.header.notes else {}),
    }


def _labels(
    result: _FoldResult, classes: Sequence[str], store: Store
) -> tuple[NDArray[np.int64], NDArray[np.int64], list[str]]:
    numbers = {name: number for number, name in enumerate(classes)}
    true = np.array([numbers[store.clips[clip]["label"]] for clip in result.clips], np.int64)
    own = np.array([numbers[name] for name in result.classes], np.int64)
    predicted = own[result.probabilities.argmax(axis=1)]
    return true, predicted, [store.clips[clip].get("subject", "") for clip in result.clips]


def _scores(
    true: NDArray[np.int64], predicted: NDArray[np.int64], subjects: Sequence[str], classes: Sequence[str], seed: int
) -> dict[str, Any]:
    found = scored(true, predicted, subjects, len(classes), seed=seed)
    return {**found, "subjects": len(set(subjects) - {""}) or None}


def _per_class(
    true: NDArray[np.int64], predicted: NDArray[np.int64], subjects: Sequence[str], classes: Sequence[str], seed: int
) -> dict[str, dict[str, Any]]:
    points = score(true, predicted, len(classes)).per_class
    intervals = bootstrap(true, predicted, subjects, len(classes), seed=seed).per_class_f1
    return {
        name: {
            "f1": point.f1,
            "interval_95": list(interval),
            "precision": point.precision,
            "recall": point.recall,
            "n": point.support,
        }
        for name, point, interval in zip(classes, points, intervals, strict=True)
    }


def _write(directory: Path, metrics: Mapping[str, Any], results: Sequence[_FoldResult], store: Store) -> None:
    from mmtsa_cli.reporting.plots import plot_confusion
    from mmtsa_cli.reporting.tables import write_rows

    (directory / "metrics.json").write_text(json.dumps(metrics, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    classes = metrics["classes"]
    labels = [_labels(result, classes, store) for result in results]
    true, predicted = (np.concatenate([part[side] for part in labels]) for side in (0, 1))
    matrix = confusion_matrix(true, predicted, len(classes))
    write_rows(directory / "predictions.csv", [row for result in results for row in _rows(result, classes, store)])
    table = [
        {"true": name, **dict(zip(classes, row.tolist(), strict=True))}
        for name, row in zip(classes, matrix, strict=True)
    ]
    write_rows(directory / "confusion.csv", table)
    low, high = metrics["interval_95"]
    title = f"{metrics['protocol']}: accuracy {metrics['accuracy']:.3f} ({low:.3f} to {high:.3f}), {metrics['n']} clips"
    plot_confusion(directory / "confusion.png", matrix, classes, title=title)
    write_conditions(directory, metrics)


def _rows(result: _FoldResult, classes: Sequence[str], store: Store) -> list[dict[str, Any]]:
    rows = []
    for clip, probabilities, attention in zip(result.clips, result.probabilities, result.attention, strict=True):
        own = dict(zip(result.classes, probabilities.tolist(), strict=True))
        about = store.clips[clip]
        rows.append(
            {
                "id": about["id"],
                "fold": result.name,
                "subject": about.get("subject", ""),
                "label": about["label"],
                "predicted": max(own, key=own.__getitem__),
                **{f"p_{name}": own.get(name, 0.0) for name in classes},
                **{f"attention_{number}": float(weight) for number, weight in enumerate(attention, start=1)},
            }
        )
    return rows
