"""Recordings held against a run, and opened: what does not fit is refused or told, the rest is cut and packed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mmtsa_cli.errors import DataError, UsageError
from mmtsa_cli.evaluation.timeline import Span
from mmtsa_cli.recordings.clip import Clip, open_clip
from mmtsa_cli.recordings.index import Dataset, Recording, read_index
from mmtsa_cli.recordings.relocation import refuse_elsewhere
from mmtsa_cli.sampling.packing import PackedClip
from mmtsa_cli.sampling.windows import pack_windows
from mmtsa_cli.stages.predictions.inputs import (
    FileOptions,
    Told,
    Wanted,
    as_trained,
    check_directory,
    dataset_of_files,
    modality_named,
    narrowed,
)
from mmtsa_cli.stages.predictions.networks import ROUNDING_S, Networks, PredictOptions, restore_networks, wanted_by
from mmtsa_cli.stages.trainings.trained import open_run


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
    wanted, told = wanted_by(trained, models), Told()
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
    return Work(dataset, restore_networks(trained, models, wanted, options), wanted, told)


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
    if wanted.sensors and duration < wanted.window_s - ROUNDING_S:
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
