"""The networks of a training run, and how recordings are made into what they take: as its training clips were."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmtsa_cli.errors import UsageError
from mmtsa_cli.evaluation.calibration import with_temperature
from mmtsa_cli.sampling.draw import Samples
from mmtsa_cli.sampling.packing import CuttingOptions, PackedClip
from mmtsa_cli.sampling.store import StoredModality
from mmtsa_cli.sampling.windows import temporary_store
from mmtsa_cli.stages.predictions.inputs import Wanted
from mmtsa_cli.stages.trainings.data import read_training_data
from mmtsa_cli.stages.trainings.trained import TrainedRun, drawing, restore

ROUNDING_S = 1e-6
"""By how much a window that is cut out may be shorter than was asked for."""


@dataclass(frozen=True)
class PredictOptions:
    """How recordings are predicted.

    Attributes
    ----------
    fold : str, optional
        One network of the run; None: the mean of the probabilities of all. Each fold has seen another part of the
        people and none is better by right, so their mean knows most; it takes as many times longer.
    window_s : float, optional
        Slide a window of so many seconds over a recording; None: a recording is one clip, as in training.
    hop_s : float, optional
        A window starts every so many seconds; None: a third of the window.
    threshold : float
        Below this probability a class is not named; 0: it always is.
    draws : int, optional
        Draws of a clip or window that are averaged; None: as the recipe says of a clip, and one (the centre of each
        segment) of a window: a moment is the mean of the windows that cover it, which are draws of it already.
    max_gap_s : float, optional
        Longest gap of a series that is filled; None: as in training.
    calibration : Path, optional
        An evaluation made with --calibrate: its temperatures make confidences believable.
    int8 : Path, optional
        An evaluation made with --int8: backbones compute in 8-bit integers, with its ranges.
    seed : int
        Of random draws.
    """

    fold: str | None = None
    window_s: float | None = None
    hop_s: float | None = None
    threshold: float = 0.0
    draws: int | None = None
    max_gap_s: float | None = None
    calibration: Path | None = None
    int8: Path | None = None
    seed: int = 0


@dataclass(frozen=True)
class Networks:
    """The networks of the folds that are asked for, and how they are fed.

    Attributes
    ----------
    methods : sequence of Mmtsa
        One a fold.
    temperatures : sequence of float
        By which the scores of each are divided; 1 where they are not calibrated.
    model : mapping
        The first one's `model.json`.
    recipe : Recipe
        As all of them are used: its `draws` are those asked for.
    modalities : mapping of str to StoredModality
    cutting : CuttingOptions
        How a clip or window is packed.
    seed : int
        Of random draws.
    """

    methods: Sequence[Any]
    temperatures: Sequence[float]
    model: Mapping[str, Any]
    recipe: Any
    modalities: Mapping[str, StoredModality]
    cutting: CuttingOptions
    seed: int

    @contextmanager
    def samples(self, clips: Sequence[PackedClip]) -> Iterator[Samples]:
        """Give packed clips as samples that the networks take, until the block ends."""
        with temporary_store(clips, self.modalities, self.cutting) as store:
            yield Samples(
                store,
                range(len(clips)),
                modalities=tuple(self.modalities),
                classes=self.model["classes"],
                options=drawing(self.recipe, self.model),
            )

    def predict(self, clips: Sequence[PackedClip]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return probabilities, (n, classes), and attention, (n, N): means over the networks."""
        with self.samples(clips) as samples:
            said = [method.predict(samples, seed=self.seed) for method in self.methods]
        probabilities = [with_temperature(p.probabilities, t) for p, t in zip(said, self.temperatures, strict=True)]
        return np.mean(probabilities, axis=0), np.mean([p.attention for p in said], axis=0)


def wanted_by(trained: TrainedRun, models: Sequence[Mapping[str, Any]]) -> Wanted:
    """Return what the networks of some folds take, which is one thing.

    Raises
    ------
    UsageError
        Folds with other classes.
    ArtifactError
        Damaged.
    """
    first = models[0]
    for model in models[1:]:
        if model["classes"] != first["classes"]:
            other = set(model["classes"]) ^ set(first["classes"])
            raise UsageError(
                "its folds know other classes, so that their probabilities have no mean",
                where=str(trained.directory),
                found=f"{', '.join(sorted(other)[:3])} not in all",
                remedy=f"choose one with --fold {', '.join(model['fold'] for model in models[:5])}",
            )
    where = str(trained.directory)
    data = read_training_data(first, where=where)
    return Wanted(where, first["inputs"], data, float(first["window_s"]), trained.takes_subsets)


def restore_networks(
    trained: TrainedRun, models: Sequence[Mapping[str, Any]], wanted: Wanted, options: PredictOptions
) -> Networks:
    """Return the networks of some folds, on this machine's device, with their temperatures.

    Raises
    ------
    UsageError
        A calibration, or ranges of integers, that lack one of the folds or are of another run.
    ArtifactError
        Damaged weights, temperatures or ranges.
    """
    from mmtsa_cli.stages.calibrate import read_temperatures
    from mmtsa_cli.stages.integers import check_machine, read_ranges

    temperatures = read_temperatures(options.calibration, trained) if options.calibration else {}
    ranges = read_ranges(options.int8, trained) if options.int8 else {}
    for model in models:
        if options.calibration and model["fold"] not in temperatures:
            raise UsageError(f"no temperature of fold {model['fold']}", where=f"--calibration {options.calibration}")
        if options.int8 and model["fold"] not in ranges:
            raise UsageError(f"no ranges of fold {model['fold']}", where=f"--int8 {options.int8}")
    # The machine that trained may have had another device, and shared its cores with other trainings.
    training = dataclasses.replace(trained.recipe.training, device="auto", threads=0)
    usual = trained.recipe.draws if options.window_s is None else 1
    recipe = dataclasses.replace(trained.recipe, training=training, draws=options.draws or usual)
    methods = [restore(trained, model, recipe=recipe) for model in models]
    if options.int8:
        for method, model in zip(methods, models, strict=True):
            check_machine(method, f"--int8 {options.int8}")
            method.compute_in_integers(ranges[model["fold"]])
    return Networks(
        methods,
        [temperatures.get(model["fold"], 1.0) for model in models],
        models[0],
        recipe,
        {name: _stored(name, wanted) for name in wanted.inputs},
        _cutting(wanted, models[0], recipe, options),
        options.seed,
    )


def _stored(name: str, wanted: Wanted) -> StoredModality:
    channels = wanted.inputs[name]["channels"]
    if wanted.inputs[name]["kind"] == "video":
        return StoredModality("video", ("grey",) if channels == 1 else ("r", "g", "b"), 0.0)
    facts = wanted.data.sensors[name]
    # Names that a file gives to as many axes are another spelling.
    axes = facts.channels or tuple(f"c{number}" for number in range(1, channels + 1))
    return StoredModality("sensor", axes, facts.rate, facts.unit)


def _cutting(wanted: Wanted, model: Mapping[str, Any], recipe: Any, options: PredictOptions) -> CuttingOptions:
    """Return how windows are cut: as the training clips were, with no more candidate frames than can be drawn."""
    cutting = wanted.data.cutting
    centres_only = recipe.draws == 1 and recipe.sampling.snippet == 1
    if centres_only and cutting.frames % 2 and cutting.segments == model["segments"]:
        # Of an odd number of candidates the middle one stands at the centre, as a single one does.
        cutting = dataclasses.replace(cutting, frames=1)
    # A little less, as a window that is cut out is as long as its edges' rounding lets it.
    gap = cutting.max_gap_s if options.max_gap_s is None else options.max_gap_s
    return dataclasses.replace(cutting, window_s=wanted.window_s - ROUNDING_S, max_gap_s=gap)
