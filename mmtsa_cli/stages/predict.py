"""A training run and new recordings to classes: of each recording, or along the time of a long one.

Recordings go through the code that `sample` and `eval` use (opening on one clock, gaps, resampling, JPEG frames, the
draw of segments), by way of a sample store that lives as long as a few windows. So what `predict` says of a recording
is what `eval` says of it in a store; only where a recipe averages several draws do the random ones differ, as they
depend on where in its store a clip stands.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmtsa_cli.artifacts.directory import replace_file
from mmtsa_cli.errors import ArtifactError, DataError, MmtsaError, UsageError
from mmtsa_cli.evaluation.calibration import with_temperature
from mmtsa_cli.evaluation.timeline import Span, Stretch, TimeLine, name_of, stretches, window_spans
from mmtsa_cli.recordings.clip import Clip, open_clip
from mmtsa_cli.recordings.index import Dataset, Recording, read_index
from mmtsa_cli.recordings.relocation import refuse_elsewhere
from mmtsa_cli.reporting.predictions import FORMATS, Predicted, to_text
from mmtsa_cli.sampling.draw import Samples
from mmtsa_cli.sampling.packing import CuttingOptions, PackedClip
from mmtsa_cli.sampling.store import StoredModality
from mmtsa_cli.sampling.windows import pack_windows, temporary_store
from mmtsa_cli.stages.predict_inputs import (
    FileOptions,
    Told,
    Wanted,
    as_trained,
    check_directory,
    dataset_of_files,
    modality_named,
    narrowed,
)
from mmtsa_cli.stages.trained import TrainedRun, drawing, open_run, restore
from mmtsa_cli.stages.training_data import read_training_data

Progress = Callable[[int, int], None]
_TOGETHER = 32
"""Windows that the networks get from one temporary store."""
_ROUNDING_S = 1e-6


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
    seed: int = 0


@dataclass(frozen=True)
class PredictResult:
    """What `predict` found.

    Attributes
    ----------
    predictions : tuple of Predicted
        In the order of the recordings, and of time.
    notes, warnings : tuple of str
    left_out : mapping of str to str
        Recordings of an index that could not be predicted, and why.
    """

    predictions: tuple[Predicted, ...]
    notes: tuple[str, ...]
    warnings: tuple[str, ...]
    left_out: Mapping[str, str]


@dataclass
class _Job:
    """One recording: what its windows say so far."""

    recording: Recording
    spans: list[Span]
    origin_s: float
    line: TimeLine | None
    probabilities: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    attention: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))

    def add(self, number: int, probabilities: NDArray[np.float64], attention: NDArray[np.float64]) -> None:
        self.probabilities, self.attention = probabilities, attention
        if self.line is not None:
            self.line.add(self.spans[number], probabilities)


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


@dataclass(frozen=True)
class Work:
    """A run and recordings that were held against each other.

    Attributes
    ----------
    dataset : Dataset
    networks : Networks
    wanted : Wanted
    told : Told
        What there is to say so far; opening recordings adds to it.
    """

    dataset: Dataset
    networks: Networks
    wanted: Wanted
    told: Told


def run(
    training: Path,
    recordings: Path | None = None,
    files: Sequence[tuple[str, Path]] = (),
    *,
    options: PredictOptions | None = None,
    about: FileOptions | None = None,
    root: Path | None = None,
    own_options: Sequence[str] = (),
    progress: Progress = lambda done, total: None,
) -> PredictResult:
    """Predict new recordings.

    Parameters
    ----------
    training : Path
        A run.
    recordings : Path, optional
        A directory with an index; recordings that cannot be predicted are left out and told, unless it is the only one.
    files : sequence of (modality, path), optional
        In its place: the files of one recording.
    options : PredictOptions, optional
    about : FileOptions, optional
        What is to be known of `files`.
    root : Path, optional
        Where the recordings lie now, if the index was made on another machine.
    own_options : sequence of str
        Names that the caller has for other things, to be offered where a modality is misspelt.

    Raises
    ------
    UsageError, DataError, ArtifactError, ManyErrors
    """
    options = options or PredictOptions()
    work = open_work(training, recordings, files, options=options, about=about, root=root, own_options=own_options)
    jobs, left_out = _run_jobs(work, options, progress)
    classes, told = work.networks.model["classes"], work.told
    predictions = [one for job in jobs for one in _predictions(job, classes, options)]
    return PredictResult(tuple(predictions), _distinct(told.notes), _distinct(told.warnings), left_out)


def open_work(
    training: Path,
    recordings: Path | None,
    files: Sequence[tuple[str, Path]],
    *,
    options: PredictOptions,
    about: FileOptions | None = None,
    root: Path | None = None,
    own_options: Sequence[str] = (),
    only: Callable[[Dataset], Recording] | None = None,
) -> Work:
    """Return the networks of a run and the recordings that they are to see; nothing of these is opened yet.

    Parameters
    ----------
    training, recordings, files, options, about, root, own_options
        As of `run`.
    only : callable, optional
        The one recording of an index that is meant.

    Raises
    ------
    UsageError, DataError, ArtifactError, ManyErrors
    """
    _check(options, recordings, files, about)
    trained = open_run(training)
    models = trained.folds(options.fold)
    wanted, told = _wanted(trained, models), Told()
    _check_window(options, wanted)
    if recordings is not None:
        dataset = read_index(recordings, root=root, labelled=False)
        dataset = dataclasses.replace(dataset, recordings=(only(dataset),)) if only else dataset
        wanted = narrowed(wanted, {name for recording in dataset.recordings for name in recording.paths}, told)
        check_directory(recordings, dataset, wanted)
        _check_there(dataset, wanted, root)
    else:
        names = {modality_named(name, wanted, option=f"--{name} {path}", others=own_options) for name, path in files}
        wanted = narrowed(wanted, names, told)
        dataset = dataset_of_files(files, wanted, about or FileOptions(), others=own_options)
    if not wanted.data.noted:
        told.notes.append(
            f"{training} was trained by an older mmtsa, which did not note rates and units of its sensors"
        )
    if len(models) > 1:
        told.notes.append(f"mean of the networks of {len(models)} folds; --fold NAME takes one of them")
    return Work(dataset, _networks(trained, models, wanted, options), wanted, told)


def format_of(output: Path | None, form: str | None) -> str:
    """Return the format of the result: as asked for, else as the name of the output says, else "table".

    Raises
    ------
    UsageError
        A table into a file, or an output whose name says nothing.
    """
    if output is None:
        return form or "table"
    found = form or output.suffix.lower().lstrip(".")
    if found not in FORMATS:
        raise UsageError(
            "a table is for reading on the screen" if found == "table" else "its name does not say the format",
            where=f"--output {output}",
            expected=", ".join(f".{name}" for name in FORMATS),
            remedy=f"give --format {', '.join(FORMATS)}",
        )
    return found


def write(output: Path, text: str) -> None:
    """Write a result, whole or not at all; a file that exists is replaced.

    Raises
    ------
    ArtifactError
    """
    try:
        replace_file(output, text.encode("utf-8"))
    except OSError as error:
        raise ArtifactError(
            f"cannot be written: {error.strerror or error}", where=f"--output {output}", remedy="name another place"
        ) from None


def as_text(result: PredictResult, form: str, *, top: int | None = None) -> str:
    """Return a result as JSON lines, CSV or subtitles (see `reporting.predictions.to_text`)."""
    return to_text(result.predictions, form, top=top)


# What is asked for


def _check(
    options: PredictOptions, recordings: Path | None, files: Sequence[tuple[str, Path]], about: FileOptions | None
) -> None:
    if recordings is not None and files:
        raise UsageError(
            "recordings and files of one recording together",
            where=f"--{files[0][0]} {files[0][1]}",
            found=str(recordings),
            remedy="give one or the other",
        )
    if recordings is not None and about is not None and about != FileOptions():
        raise UsageError(
            "recordings have an index that says these things",
            where="--columns, --unit, --rate, --dataset",
            remedy="say them in dataset.yaml",
        )
    if options.hop_s is not None and options.window_s is None:
        raise UsageError("a hop without a window", where="--hop", remedy="add --window SECONDS")
    if options.window_s is not None and options.hop_s is not None and options.hop_s > options.window_s:
        raise UsageError(
            "windows that leave time out between them",
            where="--hop",
            expected=f"at most the window, {options.window_s:g} s",
            found=f"{options.hop_s:g} s",
        )


def _wanted(trained: TrainedRun, models: Sequence[Mapping[str, Any]]) -> Wanted:
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


def _check_window(options: PredictOptions, wanted: Wanted) -> None:
    if options.window_s is not None and wanted.sensors and options.window_s < wanted.window_s:
        raise UsageError(
            "shorter than the run's own sensor window",
            where="--window",
            expected=f"at least {wanted.window_s:g} s; clips as long as in training are best",
            found=f"{options.window_s:g} s",
        )


def _check_there(dataset: Dataset, wanted: Wanted, root: Path | None) -> None:
    complete = [r for r in dataset.recordings if all(name in r.paths for name in wanted.inputs)]
    if not complete:
        raise DataError(
            f"no recording has all of {', '.join(wanted.inputs)}, which the run was trained on",
            where=str(dataset.root),
            remedy="record what is missing, or train a run without it (mmtsa train --modalities, --modality-dropout)",
        )
    refuse_elsewhere(
        [recording.paths[name] for recording in complete for name in wanted.inputs], where=str(dataset.root), root=root
    )


def _networks(
    trained: TrainedRun, models: Sequence[Mapping[str, Any]], wanted: Wanted, options: PredictOptions
) -> Networks:
    from mmtsa_cli.stages.calibrate import read_temperatures

    temperatures = read_temperatures(options.calibration, trained) if options.calibration else {}
    lacking = [model["fold"] for model in models if options.calibration and model["fold"] not in temperatures]
    if lacking:
        raise UsageError(f"no temperature of fold {lacking[0]}", where=f"--calibration {options.calibration}")
    # The machine that trained may have had another device, and shared its cores with other trainings.
    training = dataclasses.replace(trained.recipe.training, device="auto", threads=0)
    usual = trained.recipe.draws if options.window_s is None else 1
    recipe = dataclasses.replace(trained.recipe, training=training, draws=options.draws or usual)
    return Networks(
        [restore(trained, model, recipe=recipe) for model in models],
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
    return dataclasses.replace(cutting, window_s=wanted.window_s - _ROUNDING_S, max_gap_s=gap)


# The work


def _run_jobs(work: Work, options: PredictOptions, progress: Progress) -> tuple[list[_Job], dict[str, str]]:
    """Return the recordings that were predicted, and those that were not with the reason."""
    jobs: dict[str, _Job] = {}
    errors: dict[str, MmtsaError] = {}
    windows = _windows(work, options, jobs, errors, progress)
    while some := list(islice(windows, _TOGETHER)):
        probabilities, attention = work.networks.predict([clip for _, _, clip in some])
        for (job, number, _), p, weights in zip(some, probabilities, attention, strict=True):
            job.add(number, p, weights)
    sound = [job for name, job in jobs.items() if name not in errors]
    if not sound:
        raise next(iter(errors.values()))
    return sound, {name: error.line() for name, error in errors.items()}


def _windows(
    work: Work,
    options: PredictOptions,
    jobs: dict[str, _Job],
    errors: dict[str, MmtsaError],
    progress: Progress,
) -> Iterator[tuple[_Job, int, PackedClip]]:
    """Yield the windows of all recordings, noting what cannot be predicted instead of stopping at it."""
    total = len(work.dataset.recordings)
    for done, recording in enumerate(work.dataset.recordings, start=1):
        try:
            with opened(work, recording) as clip:
                job = jobs[recording.id] = _job(recording, clip, work, options)
                for number, window in enumerate(packed(work, recording, clip, job.spans)):
                    if total == 1:
                        progress(number + 1, len(job.spans))
                    yield job, number, window
        except MmtsaError as error:
            errors[recording.id] = error
        if total > 1:
            progress(done, total)


@contextmanager
def opened(work: Work, recording: Recording) -> Iterator[Clip]:
    """Open a recording in the units of training; what differs from it is told.

    Raises
    ------
    DataError, ManyErrors
        A modality that is missing, a file that cannot be used or is not what the run was trained on, or a recording
        that is shorter than the run's sensor window.
    """
    wanted = work.wanted
    missing = [name for name in wanted.inputs if name not in recording.paths]
    if missing:
        raise DataError(f"no {', '.join(missing)}, which the run was trained on", where=f"recording {recording.id}")
    gap = work.networks.cutting.max_gap_s
    with open_clip(work.dataset, recording, list(wanted.inputs), max_gap_s=gap) as clip:
        clip = as_trained(clip, work.dataset, recording, wanted, work.told)
        _check_length(clip.end_s - clip.start_s, recording, wanted)
        yield clip


def _check_length(duration: float, recording: Recording, wanted: Wanted) -> None:
    if wanted.sensors and duration < wanted.window_s - _ROUNDING_S:
        raise DataError(
            "shorter than the run's sensor window",
            where=f"recording {recording.id}",
            expected=f"at least {wanted.window_s:g} s",
            found=f"{duration:.3g} s",
            remedy="record longer, or train with a shorter one (--set sampling.window)",
        )


def packed(work: Work, recording: Recording, clip: Clip, spans: Sequence[Span]) -> Iterator[PackedClip]:
    """Pack parts of an opened recording (see `pack_windows`) as the networks take them."""
    return pack_windows(clip, work.dataset, recording, work.wanted.rates(), work.networks.cutting, spans)


def origin_s(clip: Clip) -> float:
    """Return second 0 of what is told: the start of the file that a person would look at, in seconds of the clip."""
    return clip.spans[next(iter(clip.videos), next(iter(clip.series), ""))][0]


def _job(recording: Recording, clip: Clip, work: Work, options: PredictOptions) -> _Job:
    duration, origin = clip.end_s - clip.start_s, origin_s(clip)
    if options.window_s is None:
        return _Job(recording, [(0.0, duration)], origin, None)
    if duration < options.window_s:
        work.told.notes.append(f"{recording.id}: {duration:.3g} s, shorter than the window, is one window")
    hop = options.hop_s or options.window_s / 3
    line = TimeLine(duration, hop, len(work.networks.model["classes"]))
    return _Job(recording, window_spans(duration, options.window_s, hop), origin, line)


def _predictions(job: _Job, classes: Sequence[str], options: PredictOptions) -> Iterator[Predicted]:
    if job.line is None:
        name = name_of(job.probabilities, classes, options.threshold)
        whole = Stretch(*job.spans[0], name, float(job.probabilities.max()), job.probabilities)
        yield _predicted(job, whole, classes, tuple(map(float, job.attention)))
        return
    spans, probabilities = job.line.cells()
    for stretch in stretches(spans, probabilities, classes, threshold=options.threshold):
        yield _predicted(job, stretch, classes, ())


def _predicted(job: _Job, stretch: Stretch, classes: Sequence[str], attention: tuple[float, ...]) -> Predicted:
    return Predicted(
        job.recording.id,
        stretch.start_s - job.origin_s,
        stretch.end_s - job.origin_s,
        stretch.name,
        stretch.confidence,
        dict(zip(classes, map(float, stretch.probabilities), strict=True)),
        attention,
    )


def _distinct(texts: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))
