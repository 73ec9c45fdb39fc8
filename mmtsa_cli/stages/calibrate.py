"""Temperatures of a run's networks: fitted on its validation clips, kept with an evaluation, used by `predict`.

They are fitted on the validation part of each fold, which chose the epoch but never trained the weights: on training
clips a network is far too sure of itself, and test clips must not shape what is tested on them. They are kept in the
evaluation's directory, not in the run's: a run is finished, and named by the hash of its manifest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmtsa_cli.errors import DataError, UsageError
from mmtsa_cli.evaluation.calibration import (
    BINS,
    expected_calibration_error,
    fit_temperature,
    negative_log_likelihood,
    with_temperature,
)
from mmtsa_cli.sampling.draw import Samples
from mmtsa_cli.sampling.store import Store
from mmtsa_cli.stages import kept
from mmtsa_cli.stages.trainings.trained import TrainedRun, drawing

FILE_NAME = "calibration.json"
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class FoldTemperature:
    """The temperature of one fold's network, and the number of validation clips that it was fitted on."""

    fold: str
    temperature: float
    clips: int


def check_validation(run: TrainedRun, models: Sequence[Mapping[str, Any]]) -> None:
    """Refuse to calibrate where a fold was trained without validation clips.

    Raises
    ------
    UsageError
    """
    without = [model["fold"] for model in models if not model["clips"]["validation"]]
    if without:
        raise UsageError(
            "no validation clips to fit a temperature on",
            where=f"{run.directory}, fold {', '.join(without[:3])}",
            remedy="train with --set validation.count=1, or name them with validation.values",
        )


def fit(
    run: TrainedRun,
    model: Mapping[str, Any],
    method: Any,
    store: Store,
    *,
    seed: int = 0,
    progress: Progress = lambda done, total: None,
) -> FoldTemperature:
    """Fit the temperature of a fold's network on the fold's validation clips.

    Raises
    ------
    DataError
        The samples lack some of these clips.
    """
    positions = {clip["id"]: number for number, clip in enumerate(store.clips)}
    missing = [clip for clip in model["clips"]["validation"] if clip not in positions]
    if missing:
        raise DataError(
            f"{len(missing)} of the run's validation clips are not in the samples",
            where=", ".join(missing[:3]),
            remedy="give the samples that the run was trained on",
        )
    clips = [positions[clip] for clip in model["clips"]["validation"]]
    options = drawing(run.recipe, model)
    samples = Samples(store, clips, modalities=tuple(model["inputs"]), classes=model["classes"], options=options)
    # A label that the training part lacks has no probability to be fitted.
    known = samples.labels >= 0
    if not known.any():
        raise DataError("no validation clip of a class of the run", where=f"{run.directory}, fold {model['fold']}")
    probabilities = method.predict(samples, seed=seed, progress=progress).probabilities
    return FoldTemperature(
        model["fold"], fit_temperature(probabilities[known], samples.labels[known]), int(known.sum())
    )


def summary(
    temperatures: Sequence[FoldTemperature],
    probabilities: Sequence[NDArray[np.float64]],
    true: Sequence[NDArray[np.int64]],
) -> dict[str, Any]:
    """Return what calibration changes on the test clips, as JSON values.

    Parameters
    ----------
    temperatures : sequence of FoldTemperature
    probabilities : sequence of (n, classes) arrays
        Of each fold's test clips, as its network gives them.
    true : sequence of (n,) int arrays
        Positions of the true classes, among the fold's own.
    """
    after = [with_temperature(p, fold.temperature) for p, fold in zip(probabilities, temperatures, strict=True)]
    return {
        "folds": {
            fold.fold: {"temperature": fold.temperature, "validation_clips": fold.clips} for fold in temperatures
        },
        "bins": BINS,
        "n": sum(len(labels) for labels in true),
        "before": _errors(probabilities, true),
        "after": _errors(after, true),
    }


def _errors(probabilities: Sequence[NDArray[np.float64]], true: Sequence[NDArray[np.int64]]) -> dict[str, float]:
    confidence = np.concatenate([p.max(axis=1) for p in probabilities])
    right = np.concatenate([p.argmax(axis=1) == labels for p, labels in zip(probabilities, true, strict=True)])
    losses = [negative_log_likelihood(p, labels) * len(labels) for p, labels in zip(probabilities, true, strict=True)]
    return {
        "expected_calibration_error": expected_calibration_error(confidence, right),
        "negative_log_likelihood": float(sum(losses) / len(right)),
        "mean_confidence": float(confidence.mean()),
        "accuracy": float(right.mean()),
    }


def read_temperatures(evaluation: Path, run: TrainedRun) -> dict[str, float]:
    """Return the temperature of each fold of a run.

    Parameters
    ----------
    evaluation : Path
        Made by `mmtsa eval --calibrate`.

    Raises
    ------
    ArtifactError, UsageError
        As `kept.read`.
    """
    where = f"--calibration {evaluation}"
    return kept.read(evaluation / FILE_NAME, run, _temperature, where=where, made_with="--calibrate")


def _temperature(found: Any) -> float:
    temperature = float(found["temperature"])
    if not 0 < temperature < float("inf"):
        raise ValueError("a temperature that is not above 0")
    return temperature
