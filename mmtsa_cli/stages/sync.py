"""Estimate by how much the clocks of recordings' devices differ, from the motion that they all saw."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mmtsa_cli.artifacts.remote import UnreachableError
from mmtsa_cli.errors import MmtsaError, UsageError
from mmtsa_cli.modalities import select
from mmtsa_cli.recordings.index import DATASET_NAME, Dataset, Recording, read_index
from mmtsa_cli.stages.parallel import in_parallel

if TYPE_CHECKING:
    from mmtsa_cli.recordings.consensus import Consensus
    from mmtsa_cli.recordings.motion import Motion

Progress = Callable[[int, int], None]
Motions = Mapping[str, "Motion"]


@dataclass(frozen=True)
class SyncResult:
    """How far the clocks of the modalities are apart.

    Attributes
    ----------
    rows : list of dict
        Per modality that was estimated: modality; reference; offset_s, what to add to the modality's times so that they
        agree with the reference's; low_s and high_s, its 95 % interval; confidence, 0 to 1 (`recordings.consensus`);
        recordings, how many were used; left_out, how many could not be; spread_s, the robust spread of the recordings'
        own offsets; verdict, "reliable" or "uncertain: WHY".
    recordings : list of dict
        Per recording and modality: id, modality, offset_s, confidence.
    drifts : list of dict
        Per recording of a minute or more and modality: id, modality, ms_per_minute, confidence.
    """

    rows: list[dict[str, Any]]
    recordings: list[dict[str, Any]]
    drifts: list[dict[str, Any]]


def run(
    recordings: Path,
    *,
    modalities: Sequence[str] | None = None,
    max_shift_s: float = 3.0,
    max_gap_s: float = 0.5,
    jobs: int | None = None,
    root: Path | None = None,
    limit: int | None = 200,
    seed: int = 0,
    progress: Progress = lambda done, total: None,
) -> SyncResult:
    """Estimate the offset of each modality against a reference, on top of the offsets of `dataset.yaml`; write nothing.

    The reference is the first video that was recorded, else the first sensor. Recordings that are cut out of the same
    files count once, with the whole files.

    Parameters
    ----------
    recordings : Path
        A directory with an index.
    modalities : sequence of str, optional
        Names or groups to be estimated; None: all.
    max_shift_s : float
        The largest offset, either way, that is looked for.
    max_gap_s : float
        The longest gap in a series, in seconds, that is filled.
    jobs : int, optional
        Processes; None: one a core.
    root : Path, optional
        Where the recordings lie now.
    limit : int, optional
        At most that many recordings, evenly chosen; None: all.
    seed : int

    Raises
    ------
    DataError, UsageError, ManyErrors
        The index cannot be read, or there are no two modalities to compare.
    """
    if not 0 < max_shift_s <= 60:
        raise UsageError("out of range", where="--max-shift", expected="above 0, up to 60 s", found=f"{max_shift_s:g}")
    dataset = read_index(recordings, root=root)
    names = select(modalities, dataset.kinds()) if modalities else tuple(dataset.modalities)
    reference = _reference(dataset, names)
    others = [name for name in names if name != reference]
    chosen = _chosen(dataset, reference, others, limit)
    if not chosen:
        raise _nothing_to_compare(recordings, reference, others)
    described = dataclasses.replace(dataset, recordings=())
    tasks = [(described, recording, (reference, *others), max_gap_s) for recording in chosen]
    moved: list[Motions | None] = []
    with in_parallel(_motions, tasks, jobs=jobs) as found:
        for motions in found:
            moved.append(motions)
            progress(len(moved), len(tasks))
    return _result(chosen, moved, reference, others, max_shift_s, seed)


def write_offsets(recordings: Path, result: SyncResult) -> dict[str, float]:
    """Add the reliable offsets to those in `dataset.yaml`, and return the new ones of the modalities that changed.

    An offset whose interval holds 0 is none that is known: that modality agrees with the reference and is left alone.

    Where the frames of a modality are spread over the time of another one (`spans`), they move with it: their own
    offset makes up for that, so that afterwards all agree with the reference.

    Raises
    ------
    UsageError
        No offset is reliable.
    DataError, ManyErrors
        The index cannot be read.
    """
    from mmtsa_cli.artifacts.directory import replace_file
    from mmtsa_cli.recordings.description import Description, description_text

    wanted = {row["modality"]: float(row["offset_s"]) for row in result.rows if row["verdict"] == "reliable"}
    if not wanted:
        why = "; ".join(f"{row['modality']} {row['verdict']}" for row in result.rows)
        raise UsageError("no offset is reliable, nothing written", where=str(recordings / DATASET_NAME), found=why)
    agree = {row["modality"] for row in result.rows if row["low_s"] <= 0 <= row["high_s"]}
    wanted = {name: offset for name, offset in wanted.items() if name not in agree}
    dataset = read_index(recordings)
    specs = dict(dataset.modalities)
    changed = {}
    for name, spec in dataset.modalities.items():
        added = wanted.get(name, 0.0) - wanted.get(spec.spans or "", 0.0)
        if added:
            changed[name] = round(spec.offset_s + added, 4)
            specs[name] = dataclasses.replace(spec, offset_s=changed[name])
    if not changed:
        return {}
    description = Description(dataset.name, specs, dataset.protocols, dataset.default_protocol, dataset.notes)
    replace_file(recordings / DATASET_NAME, description_text(description).encode())
    return changed


def _reference(dataset: Dataset, names: Sequence[str]) -> str:
    """Return the first video that was recorded, else the first sensor; of those asked for, if one is."""
    recorded = {name for recording in dataset.recordings for name in recording.paths}
    ordered = [*(name for name in names if name in recorded), *(n for n in dataset.modalities if n in recorded)]
    videos = [name for name in ordered if dataset.modalities[name].kind == "video"]
    return [*videos, *(name for name in dataset.modalities if name in recorded)][0]


def _chosen(dataset: Dataset, reference: str, others: Sequence[str], limit: int | None) -> list[Recording]:
    """Return the first recording of each set of files that can be compared, evenly thinned out."""
    distinct: dict[tuple[Path | None, ...], Recording] = {}
    for recording in dataset.recordings:
        paths = recording.paths
        if reference in paths and any(name in paths for name in others):
            files = tuple(paths.get(name) for name in (reference, *others))
            distinct.setdefault(files, recording)
    found = list(distinct.values())
    if limit is None or len(found) <= limit:
        return found
    return [found[int(index)] for index in np.linspace(0, len(found) - 1, max(1, limit)).round()]


def _motions(dataset: Dataset, recording: Recording, names: Sequence[str], max_gap_s: float) -> Motions | None:
    """Return the motion of each modality over its whole file; None where a file cannot be used."""
    from mmtsa_cli.recordings.clip import open_whole
    from mmtsa_cli.recordings.motion import sensor_motion, video_motion

    recorded = [name for name in names if name in recording.paths]
    try:
        with open_whole(dataset, recording, recorded, max_gap_s=max_gap_s) as clip:
            motions = {name: video_motion(video) for name, video in clip.videos.items()}
            for name, series in clip.series.items():
                motions[name] = sensor_motion(series, name, dataset.modalities[name])
    except UnreachableError:
        raise
    except MmtsaError:
        # `check` says what is wrong with it.
        return None
    return motions


def _result(
    chosen: Sequence[Recording],
    moved: Sequence[Motions | None],
    reference: str,
    others: Sequence[str],
    max_shift_s: float,
    seed: int,
) -> SyncResult:
    from mmtsa_cli.recordings.consensus import consensus

    result = SyncResult([], [], [])
    for name in others:
        recorded = [index for index, recording in enumerate(chosen) if name in recording.paths]
        if not recorded:
            continue
        usable = {index: its for index in recorded if (its := moved[index]) is not None}
        pairs = [(its[reference], its[name]) for its in usable.values()]
        labels = [chosen[index].label for index in usable]
        found = consensus(pairs, labels, max_shift_s=max_shift_s, seed=seed) if pairs else None
        counts = {"recordings": len(usable), "left_out": len(recorded) - len(usable)}
        result.rows.append(_row(name, reference, found, counts, max_shift_s))
        if found is not None:
            _add_recordings(result, name, [chosen[index].id for index in usable], pairs, found)
    return result


def _row(
    name: str, reference: str, found: Consensus | None, counts: Mapping[str, int], max_shift_s: float
) -> dict[str, Any]:
    row = {"modality": name, "reference": reference, "offset_s": 0.0, "low_s": -max_shift_s, "high_s": max_shift_s}
    row |= {"confidence": 0.0, **counts, "spread_s": 0.0}
    if found is None:
        why = "nothing moves, or the times do not overlap" if counts["recordings"] else "no recording can be read"
        return {**row, "verdict": f"uncertain: {why}"}
    figures = {key: round(getattr(found, key), 4) for key in ("offset_s", "low_s", "high_s", "confidence", "spread_s")}
    return {**row, **figures, "verdict": found.verdict}


def _add_recordings(
    result: SyncResult, name: str, ids: Sequence[str], pairs: Sequence[tuple[Motion, Motion]], found: Consensus
) -> None:
    from mmtsa_cli.recordings.synchrony import drift

    for which, (one, other), own in zip(ids, pairs, found.recordings, strict=True):
        figures = {"offset_s": round(own.offset_s, 4), "confidence": round(own.confidence, 4)}
        result.recordings.append({"id": which, "modality": name, **figures})
        grown = drift(one, other, offset_s=own.offset_s)
        if grown is not None:
            figures = {"ms_per_minute": round(grown.ms_per_minute, 3), "confidence": round(grown.confidence, 4)}
            result.drifts.append({"id": which, "modality": name, **figures})


def _nothing_to_compare(recordings: Path, reference: str, others: Sequence[str]) -> UsageError:
    return UsageError(
        "no recording has two modalities to compare",
        where=str(recordings),
        expected=f"{reference} together with {' or '.join(others) or 'another modality'}",
        remedy="name other --modalities",
    )
