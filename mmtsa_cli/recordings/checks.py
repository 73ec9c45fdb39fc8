"""Faults of recordings: of each file when it is opened and read whole, and of the dataset as one."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from mmtsa_cli.errors import ManyErrors, MmtsaError
from mmtsa_cli.recordings.clip import Clip, open_clip
from mmtsa_cli.recordings.index import Dataset, Recording
from mmtsa_cli.recordings.spelling import two_spellings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Severity = Literal["error", "warning"]

_RATE_TOLERANCE = 0.2
_UNUSED_SHARE = 0.2


@dataclass(frozen=True)
class Fault:
    """Something wrong with recordings.

    Attributes
    ----------
    severity : "error" or "warning"
        An error keeps `sample` from using the recording.
    row : int
        Row of index.csv; 0: of the dataset as a whole.
    text : str
        File, row, what is wrong and what to do, in one line.
    """

    severity: Severity
    row: int
    text: str


@dataclass(frozen=True)
class Finding:
    """What one recording turned out to be.

    Attributes
    ----------
    faults : tuple of Fault
    duration_s : float or None
        What its modalities cover together; None where that cannot be told.
    channels : mapping of str to int
        Per sensor its number of axes.
    repairs : tuple of str
        What is put right in reading ("acc: 3 missing values filled").
    """

    faults: tuple[Fault, ...]
    duration_s: float | None = None
    channels: Mapping[str, int] = field(default_factory=dict)
    repairs: tuple[str, ...] = ()


def check_recording(
    dataset: Dataset, recording: Recording, modalities: Sequence[str], *, max_gap_s: float = 0.5
) -> Finding:
    """Read every file of a recording to its end and report what is wrong, without raising."""
    names = [name for name in modalities if name in recording.paths]
    faults: dict[str, Fault] = {}
    channels: dict[str, int] = {}
    for name in names:
        for fault in _check_file(dataset, recording, name, max_gap_s, channels):
            # One file may hold several sensors, and a video may span one: the same fault is told once.
            faults.setdefault(fault.text, fault)
    if not names or any(fault.severity == "error" for fault in faults.values()):
        return Finding(tuple(faults.values()), channels=channels)
    try:
        with open_clip(dataset, recording, names, max_gap_s=max_gap_s) as clip:
            duration = clip.end_s - clip.start_s
            unused = _unused_faults(recording, clip)
            repairs = [note for note in clip.notes if note.partition(":")[0] in clip.series]
    except MmtsaError as error:
        return Finding((*faults.values(), *_faults_of(error, recording)), channels=channels)
    return Finding((*faults.values(), *unused), duration, channels, tuple(repairs))


def check_dataset(dataset: Dataset, modalities: Sequence[str], findings: Sequence[Finding]) -> list[Fault]:
    """Return the faults of the recordings taken together."""
    faults = [*index_faults(dataset), *_shared_file_faults(dataset, modalities)]
    faults += _channel_faults(dataset, modalities, findings)
    return faults


def index_faults(dataset: Dataset) -> list[Fault]:
    """Return what the index alone tells: labels and subjects that look wrong, whatever their files hold."""
    return [*_label_faults(dataset), *_subject_faults(dataset)]


def in_order(faults: Iterable[Fault]) -> list[Fault]:
    """Return faults with the most important first: errors, then warnings, each by row of the index."""
    return sorted(faults, key=lambda fault: (fault.severity != "error", fault.row))


def _check_file(
    dataset: Dataset, recording: Recording, name: str, max_gap_s: float, channels: dict[str, int]
) -> list[Fault]:
    path = recording.paths[name]
    try:
        with open_clip(dataset, recording, [name], max_gap_s=max_gap_s) as clip:
            if name in clip.series:
                channels[name] = clip.series[name].values.shape[1]
                return _rate_faults(dataset, recording, name, clip.series[name].times)
            damage = clip.videos[name].scan().fault
    except MmtsaError as error:
        return _faults_of(error, recording)
    if damage is None:
        return []
    return [Fault("warning", recording.row, f"{path}: {damage}; the frame before stands in for a damaged one")]


def _faults_of(error: MmtsaError, recording: Recording) -> list[Fault]:
    inner = error.errors if isinstance(error, ManyErrors) else (error,)
    return [Fault("error", recording.row, one.line()) for one in inner]


def _rate_faults(dataset: Dataset, recording: Recording, name: str, times: NDArray[np.float64]) -> list[Fault]:
    nominal = dataset.modalities[name].rate
    if nominal is None or len(times) < 3:
        return []
    measured = (len(times) - 1) / (times[-1] - times[0])
    if abs(measured / nominal - 1) <= _RATE_TOLERANCE:
        return []
    text = f"{recording.paths[name]}: {measured:.1f} Hz by its timestamps, dataset.yaml says {nominal:g}"
    return [Fault("warning", recording.row, f"{text}; correct the rate")]


def _unused_faults(recording: Recording, clip: Clip) -> list[Fault]:
    """Return a warning where a good part of a modality lies outside of what the others cover."""
    if recording.start_s is not None or recording.end_s is not None:
        return []
    duration = clip.end_s - clip.start_s
    lengths = {name: end - start for name, (start, end) in clip.spans.items()}
    if max(lengths.values()) - duration <= _UNUSED_SHARE * max(lengths.values()):
        return []
    each = ", ".join(f"{name} {length:.2f} s" for name, length in lengths.items())
    text = f"recording {recording.id}: {each} overlap for {duration:.2f} s only; the rest is not used"
    return [Fault("warning", recording.row, text)]


def _label_faults(dataset: Dataset) -> list[Fault]:
    subjects: dict[str, set[str]] = defaultdict(set)
    counts = Counter(recording.label for recording in dataset.recordings)
    for recording in dataset.recordings:
        subjects[recording.label].add(recording.subject)
    several = len(set().union(*subjects.values())) > 1
    faults = []
    for label, its in subjects.items():
        if counts[label] == 1:
            text = (
                f"label {label}: one recording only; no split can both train and test it; record more, or leave it out"
            )
            faults.append(Fault("warning", 0, text))
        elif several and len(its) == 1:
            what = f"label {label}: only subject {next(iter(its)) or '(unnamed)'} has it"
            remedy = "a split by subject cannot both train and test it; record it with another, or leave it out"
            faults.append(Fault("warning", 0, f"{what}; {remedy}"))
    for same in two_spellings(subjects):
        text = f"labels {' and '.join(repr(label) for label in same)}: one activity in two spellings?"
        faults.append(Fault("warning", 0, f"{text}; write them alike"))
    return faults


def _subject_faults(dataset: Dataset) -> list[Fault]:
    """Return a warning for each person who seems to stand there twice: a split might train and test on one person."""
    subjects = dict.fromkeys(recording.subject for recording in dataset.recordings)
    return [
        Fault("warning", 0, f"subjects {' and '.join(map(repr, same))}: one person in two spellings?; write them alike")
        for same in two_spellings(subjects)
    ]


def _shared_file_faults(dataset: Dataset, modalities: Sequence[str]) -> list[Fault]:
    faults = []
    for name in modalities:
        rows: dict[str, list[int]] = defaultdict(list)
        for recording in dataset.recordings:
            if name in recording.paths and recording.start_s is None and recording.end_s is None:
                rows[str(recording.paths[name])].append(recording.row)
        for path, its in rows.items():
            if len(its) > 1:
                text = f"{path}: the whole file is {name} of rows {', '.join(map(str, its[:5]))}"
                faults.append(Fault("warning", its[0], f"{text}; cut it with start and end, or delete a row"))
    return faults


def _channel_faults(dataset: Dataset, modalities: Sequence[str], findings: Sequence[Finding]) -> list[Fault]:
    faults = []
    for name in modalities:
        counts = Counter(finding.channels[name] for finding in findings if name in finding.channels)
        if len(counts) < 2:
            continue
        usual = counts.most_common(1)[0][0]
        for recording, finding in zip(dataset.recordings, findings, strict=True):
            found = finding.channels.get(name, usual)
            if found != usual:
                text = f"{recording.paths[name]}: {found} axes, expected {usual} as in {counts[usual]} other files"
                faults.append(Fault("error", recording.row, f"{text}; name its columns in dataset.yaml"))
    return faults
