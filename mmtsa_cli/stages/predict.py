"""A training run and new recordings to classes: of each recording, or along the time of a long one.

Recordings go through the code that `sample` and `eval` use (opening on one clock, gaps, resampling, JPEG frames, the
draw of segments), by way of a sample store that lives as long as a few windows. So what `predict` says of a recording
is what `eval` says of it in a store; only where a recipe averages several draws do the random ones differ, as they
depend on where in its store a clip stands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mmtsa_cli.artifacts.directory import replace_file
from mmtsa_cli.errors import ArtifactError, MmtsaError, UsageError
from mmtsa_cli.evaluation.timeline import Span, Stretch, TimeLine, name_of, stretches, window_spans
from mmtsa_cli.recordings.clip import Clip
from mmtsa_cli.recordings.index import Recording
from mmtsa_cli.reporting.predictions import FORMATS, Predicted, to_text
from mmtsa_cli.sampling.packing import PackedClip
from mmtsa_cli.stages.predictions.inputs import FileOptions
from mmtsa_cli.stages.predictions.networks import PredictOptions
from mmtsa_cli.stages.predictions.opening import Work, open_work, opened, origin_s, packed

Progress = Callable[[int, int], None]
_TOGETHER = 32
"""Windows that the networks get from one temporary store."""


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
