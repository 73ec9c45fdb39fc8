"""Faults of the recordings of a dataset taken together, and of what its index says."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mmtsa_cli.errors import DataError
from mmtsa_cli.recordings.faults import Fault, fault_of, warning
from mmtsa_cli.recordings.index import Dataset, Recording
from mmtsa_cli.recordings.inspection import Finding
from mmtsa_cli.recordings.spelling import two_spellings


def check_dataset(dataset: Dataset, modalities: Sequence[str], findings: Sequence[Finding]) -> list[Fault]:
    """Return the faults of the recordings taken together."""
    faults = [*index_faults(dataset), *_shared_file_faults(dataset, modalities)]
    faults += _channel_faults(dataset, modalities, findings)
    return faults


def index_faults(dataset: Dataset) -> list[Fault]:
    """Return what the index alone tells: labels and subjects that look wrong, whatever their files hold."""
    return [*_label_faults(dataset), *_subject_faults(dataset)]


def _label_faults(dataset: Dataset) -> list[Fault]:
    subjects: dict[str, set[str]] = defaultdict(set)
    counts = Counter(recording.label for recording in dataset.recordings)
    for recording in dataset.recordings:
        subjects[recording.label].add(recording.subject)
    several = len(set().union(*subjects.values())) > 1
    faults = []
    for label, its in subjects.items():
        if counts[label] == 1:
            remedy = "no split can both train and test it; record more, or leave it out"
            faults.append(warning(0, "one recording only", f"label {label}", remedy))
        elif several and len(its) == 1:
            what = f"only subject {next(iter(its)) or '(unnamed)'} has it"
            remedy = "a split by subject cannot both train and test it; record it with another, or leave it out"
            fault = warning(0, what, f"label {label}", remedy, recordings=counts[label])
            faults.append(replace(fault, what="only one subject has it"))
    return [*faults, *_spelling_faults(counts, "labels", "one activity")]


def _subject_faults(dataset: Dataset) -> list[Fault]:
    """Return a warning for each person who seems to stand there twice: a split might train and test on one person."""
    return _spelling_faults(Counter(recording.subject for recording in dataset.recordings), "subjects", "one person")


def _spelling_faults(counts: Counter[str], names: str, one: str) -> list[Fault]:
    return [
        warning(
            0,
            f"{one} in two spellings?",
            f"{names} {' and '.join(map(repr, same))}",
            "write them alike",
            recordings=sum(counts[name] for name in same),
        )
        for same in two_spellings(counts)
    ]


def _shared_file_faults(dataset: Dataset, modalities: Sequence[str]) -> list[Fault]:
    faults = []
    for name in modalities:
        users: dict[str, list[Recording]] = defaultdict(list)
        for recording in dataset.recordings:
            if name in recording.paths and recording.start_s is None and recording.end_s is None:
                users[str(recording.paths[name])].append(recording)
        for path, its in users.items():
            if len(its) > 1 and not _are_views(its):
                rows = [recording.row for recording in its]
                what = f"the whole file is {name} of rows {', '.join(map(str, rows[:5]))}"
                remedy = "cut it with start and end, or delete a row"
                faults.append(warning(rows[0], what, path, remedy, files=[Path(path)], recordings=len(its)))
    return faults


def _are_views(recordings: Sequence[Recording]) -> bool:
    """Whether several cameras saw one performance: its sensors' files are those of each view."""
    views = {recording.columns.get("view", "") for recording in recordings}
    performances = {(recording.label, recording.subject) for recording in recordings}
    return len(views) == len(recordings) and "" not in views and len(performances) == 1


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
                path = recording.paths[name]
                error = DataError(
                    f"{found} axes",
                    where=str(path),
                    expected=f"{usual} as in {counts[usual]} other files",
                    remedy="name its columns in dataset.yaml",
                )
                faults.append(fault_of(error, "error", recording.row, files=[path]))
    return faults
