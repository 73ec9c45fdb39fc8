"""Recordings at a glance: labels by people, what each modality is and lacks, rates and durations, protocols."""

from __future__ import annotations

import dataclasses
import statistics
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmtsa_cli.errors import ManyErrors, MmtsaError, UsageError, did_you_mean
from mmtsa_cli.modalities import select
from mmtsa_cli.recordings.index import INDEX_NAME, Dataset, Recording, read_index
from mmtsa_cli.recordings.relocation import missing_error
from mmtsa_cli.stages.parallel import in_parallel

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Overview:
    """What there is to know of recordings.

    Attributes
    ----------
    facts : dict
        name, recordings, labels, the column `by` and its number of values, files, files_not_there, recordings measured,
        the seconds that all modalities of one cover (lowest, median, highest), default_protocol.
    labels : list of dict
        Per label: label, recordings, and counts, a number of recordings for each value of the column `by`.
    modalities : list of dict
        Per modality: kind, files, not_recorded, not_there, nominal_hz, unit, and of the measured files how many there
        are, how many are unusable, with hz and seconds (lowest, median, highest).
    protocols : list of dict
        Per protocol: folds and the clips on either side, smallest and largest; or the problem that keeps it from use.
    warnings : tuple of str
        Files that are not there; the first unusable file of each modality.
    """

    facts: dict[str, Any]
    labels: list[dict[str, Any]]
    modalities: list[dict[str, Any]]
    protocols: list[dict[str, Any]]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class _Measured:
    """Of one recording: rate and length of each modality, seconds that all cover, and what could not be used."""

    rates: Mapping[str, float]
    lengths: Mapping[str, float]
    problems: Mapping[str, str]
    together_s: float | None = None


def run(
    recordings: Path,
    *,
    by: str = "subject",
    modalities: Sequence[str] | None = None,
    limit: int = 50,
    max_gap_s: float = 0.5,
    root: Path | None = None,
    jobs: int | None = None,
    progress: Progress = lambda done, total: None,
) -> Overview:
    """Describe recordings from their index, opening a few of them.

    Parameters
    ----------
    recordings : Path
        A directory with an index.
    by : str
        The column that labels are counted by.
    modalities : sequence of str, optional
        Names or groups; None: all.
    limit : int
        Recordings opened at most to measure rates and durations, evenly chosen.
    max_gap_s : float
        The longest gap in a series, in seconds, that counts as filled.
    root : Path, optional
        Where the recordings lie now.
    jobs : int, optional
        Processes; None: one a core.

    Raises
    ------
    DataError, UsageError, ManyErrors
        The index itself cannot be read, or has no such column.
    """
    dataset = read_index(recordings, root=root)
    _check_column(dataset, by)
    names = select(modalities, dataset.kinds()) if modalities else tuple(dataset.modalities)
    absent = {name: _absent(dataset, name) for name in names}
    tasks = _chosen(dataset, absent, limit, max_gap_s)
    measured = []
    with in_parallel(_measure, tasks, jobs=jobs) as results:
        for result in results:
            measured.append(result)
            progress(len(measured), len(tasks))
    found = [_modality(dataset, name, absent[name], measured) for name in names]
    return Overview(
        facts=_facts(dataset, found, by, measured),
        labels=_labels(dataset, by),
        modalities=found,
        protocols=_protocols(dataset),
        warnings=(*_absent_warning(dataset, absent, recordings / INDEX_NAME, root), *_problems(names, measured)),
    )


def _check_column(dataset: Dataset, by: str) -> None:
    columns = dict.fromkeys(key for key in dataset.recordings[0].columns if key not in ("id", "label"))
    if by not in columns:
        raise UsageError(f"the index has no column {by!r}", where="--by", remedy=did_you_mean(by, columns))


# Labels and protocols: the index alone


def _labels(dataset: Dataset, by: str) -> list[dict[str, Any]]:
    values = _values(dataset, by)
    counts: dict[str, Counter[str]] = {}
    for recording in dataset.recordings:
        counts.setdefault(recording.label, Counter())[recording.columns[by]] += 1
    return [
        {"label": label, "recordings": its.total(), "counts": {value: its[value] for value in values}}
        for label, its in counts.items()
    ]


def _values(dataset: Dataset, by: str) -> list[str]:
    values = {recording.columns[by] for recording in dataset.recordings}
    return sorted(values, key=lambda value: (0, int(value), "") if value.isdecimal() else (1, 0, value))


def _protocols(dataset: Dataset) -> list[dict[str, Any]]:
    names = list(dataset.protocols) or ["cross-subject"]
    default = dataset.default_protocol
    if default and default not in names:
        names.append(default)
    columns = [{**r.columns, "id": r.id, "label": r.label} for r in dataset.recordings]
    return [_protocol(dataset, name, columns) for name in names]


def _protocol(dataset: Dataset, name: str, columns: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    from mmtsa_cli.sampling.protocols import resolve

    about: dict[str, Any] = {"protocol": name, "published": name in dataset.protocols}
    try:
        folds = resolve(name, columns, published=dataset.protocols).folds
    except MmtsaError as error:
        return {**about, "problem": error.line()}
    sides = {side: [len(getattr(fold, side)) for fold in folds] for side in ("train", "test")}
    return {**about, "folds": len(folds), **{side: [min(sizes), max(sizes)] for side, sizes in sides.items()}}


# Files


def _absent(dataset: Dataset, name: str) -> dict[int, Path]:
    """Return the files of a modality that are not there, by their recordings' places in the index."""
    paths = ((place, r.paths[name]) for place, r in enumerate(dataset.recordings) if name in r.paths)
    return {place: path for place, path in paths if not path.exists()}


def _chosen(
    dataset: Dataset, absent: Mapping[str, Mapping[int, Path]], limit: int, max_gap_s: float
) -> list[tuple[Dataset, Recording, list[str], float]]:
    """Return tasks for `_measure`: recordings evenly chosen among those of which anything is there."""
    there = [
        (recording, names)
        for place, recording in enumerate(dataset.recordings)
        if (names := [name for name in absent if name in recording.paths and place not in absent[name]])
    ]
    count = min(limit, len(there))
    chosen = [there[(2 * i + 1) * len(there) // (2 * count)] for i in range(count)]
    # Each task carries the description of the dataset, but not its thousands of rows.
    described = dataclasses.replace(dataset, recordings=())
    return [(described, recording, names, max_gap_s) for recording, names in chosen]


def _measure(dataset: Dataset, recording: Recording, names: Sequence[str], max_gap_s: float) -> _Measured:
    try:
        return _measure_together(dataset, recording, names, max_gap_s)
    except MmtsaError:
        # One file that cannot be used says nothing of the others.
        return _measure_apart(dataset, recording, names, max_gap_s)


def _measure_together(dataset: Dataset, recording: Recording, names: Sequence[str], max_gap_s: float) -> _Measured:
    from mmtsa_cli.recordings.clip import open_clip

    with open_clip(dataset, recording, names, max_gap_s=max_gap_s) as clip:
        together = clip.end_s - clip.start_s
        rates = {name: video.info.rate for name, video in clip.videos.items()}
        for name, series in clip.series.items():
            steps = len(series.times) - 1
            rates[name] = steps / float(series.times[-1] - series.times[0]) if steps > 0 else series.rate
        whole = recording.start_s is None and recording.end_s is None
        # Where the index cuts a recording out of longer files, their length is not the recording's.
        lengths = {name: end - start if whole else together for name, (start, end) in clip.spans.items()}
    return _Measured(rates, lengths, {}, together)


def _measure_apart(dataset: Dataset, recording: Recording, names: Sequence[str], max_gap_s: float) -> _Measured:
    rates: dict[str, float] = {}
    lengths: dict[str, float] = {}
    problems: dict[str, str] = {}
    for name in names:
        try:
            alone = _measure_together(dataset, recording, [name], max_gap_s)
        except MmtsaError as error:
            problems[name] = (error.errors[0] if isinstance(error, ManyErrors) else error).line()
        else:
            rates.update(alone.rates)
            lengths.update(alone.lengths)
    return _Measured(rates, lengths, problems)


# What is said of them


def _facts(
    dataset: Dataset, modalities: Sequence[Mapping[str, Any]], by: str, measured: Sequence[_Measured]
) -> dict[str, Any]:
    return {
        "name": dataset.name,
        "recordings": len(dataset.recordings),
        "labels": len({recording.label for recording in dataset.recordings}),
        "by": by,
        "values": len({recording.columns[by] for recording in dataset.recordings}),
        "files": sum(its["files"] for its in modalities),
        "files_not_there": sum(its["not_there"] for its in modalities),
        "measured": len(measured),
        "seconds": _spread([m.together_s for m in measured if m.together_s is not None]),
        "default_protocol": dataset.default_protocol,
    }


def _modality(dataset: Dataset, name: str, absent: Mapping[int, Path], measured: Sequence[_Measured]) -> dict[str, Any]:
    spec = dataset.modalities[name]
    files = sum(name in recording.paths for recording in dataset.recordings)
    return {
        "modality": name,
        "kind": spec.kind,
        "files": files,
        "not_recorded": len(dataset.recordings) - files,
        "not_there": len(absent),
        "unit": spec.unit,
        "nominal_hz": spec.rate,
        "measured": sum(name in m.lengths for m in measured),
        "unusable": sum(name in m.problems for m in measured),
        "hz": _spread([m.rates[name] for m in measured if name in m.rates]),
        "seconds": _spread([m.lengths[name] for m in measured if name in m.lengths]),
    }


def _spread(numbers: Sequence[float]) -> list[float] | None:
    """Return the lowest, the median and the highest number."""
    if not numbers:
        return None
    return [round(number, 3) for number in (min(numbers), statistics.median(numbers), max(numbers))]


def _absent_warning(
    dataset: Dataset, absent: Mapping[str, Mapping[int, Path]], index: Path, root: Path | None
) -> list[str]:
    gone = list(dict.fromkeys(path for its in absent.values() for path in its.values()))
    if not gone:
        return []
    total = len(
        {recording.paths[name] for recording in dataset.recordings for name in absent if name in recording.paths}
    )
    return [missing_error(gone, total, where=str(index), root=root).line()]


def _problems(names: Sequence[str], measured: Sequence[_Measured]) -> list[str]:
    """Return a line for each modality of which files were opened in vain."""
    lines = []
    for name in names:
        texts = [m.problems[name] for m in measured if name in m.problems]
        if texts:
            opened = len(texts) + sum(name in m.lengths for m in measured)
            lines.append(f"{len(texts)} of {opened} {name} files cannot be used, the first: {texts[0]}")
    return lines
