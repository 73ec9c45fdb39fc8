"""Recordings to a sample store: segments and windows in time, synchronous across modalities."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from mmtsa_cli.artifacts.directory import check_output, new_directory
from mmtsa_cli.artifacts.manifest import Manifest, read_manifest
from mmtsa_cli.errors import DataError, UsageError, did_you_mean
from mmtsa_cli.modalities import select
from mmtsa_cli.recordings.clip import check_files, open_clip
from mmtsa_cli.recordings.index import Dataset, Recording, fingerprint_index, read_index
from mmtsa_cli.sampling.packing import CuttingOptions, PackedClip, StoreWriter, pack_clip
from mmtsa_cli.sampling.protocols import Protocol, resolve
from mmtsa_cli.sampling.store import Store, StoredModality, StoreHeader
from mmtsa_cli.stages.parallel import in_parallel
from mmtsa_cli.stages.result import StageResult

Progress = Callable[[int, int], None]


def run(
    recordings: Path,
    output: Path,
    *,
    modalities: Sequence[str] | None = None,
    options: CuttingOptions | None = None,
    protocol: str | None = None,
    seed: int = 0,
    skip_short: bool = False,
    exclude_labels: Sequence[str] = (),
    images: bool = False,
    jobs: int | None = None,
    overwrite: bool = False,
    progress: Progress = lambda done, total: None,
) -> StageResult:
    """Cut recordings into a sample store.

    Parameters
    ----------
    recordings : Path
        A directory with an index.
    output : Path
    modalities : sequence of str, optional
        Names or groups; None: all. Recordings that lack one of them are left out and counted.
    options : CuttingOptions, optional
    protocol : str, optional
        What `train` and `eval` use where they are not told otherwise; proved here, so that a wrong one fails early.
    skip_short : bool
        Leave out clips shorter than the window instead of refusing.
    images : bool
        Also write `sheets/ID.png`: what a draw with this seed gives the network.

    Returns
    -------
    StageResult
        Facts: clips, left_out, modalities, segments, window_s, frames, megabytes, protocol and its folds, notes.

    Raises
    ------
    DataError, UsageError, ArtifactError
    """
    options = options or CuttingOptions()
    dataset = read_index(recordings)
    names = select(modalities, dataset.kinds()) if modalities else tuple(dataset.modalities)
    chosen, left_out = _choose(dataset, names, exclude_labels)
    folds = _proved(protocol, dataset, chosen)
    wishes = {
        "protocol": protocol,
        "skip_short": skip_short,
        "exclude_labels": sorted(exclude_labels),
        "images": images,
    }
    inputs = {str(recordings): fingerprint_index(recordings)}
    manifest = Manifest("sample", {"modalities": list(names), **asdict(options), **wishes}, seed, inputs)
    if check_output(output, manifest, overwrite=overwrite) == "done":
        return StageResult(output, False, dict(read_manifest(output).results))
    facts: dict[str, Any] = {}
    with new_directory(output, manifest, results=facts) as directory:
        rates = _rates(dataset, chosen, names, options)
        # Each task carries the description of the dataset, but not its thousands of rows.
        described = replace(dataset, recordings=())
        tasks = [(described, recording, names, rates, options, skip_short) for recording in chosen]
        with in_parallel(_pack, tasks, jobs=jobs) as results:
            packed = _counted(results, len(tasks), left_out, progress)
            notes = _write_store(directory, dataset, names, rates, options, packed, protocol)
        if images:
            from mmtsa_cli.stages.sheets import write_sheets

            write_sheets(Store(directory), directory / "sheets", seed=seed, progress=progress)
        facts.update(_facts(directory, names, options, folds, left_out, notes))
    return StageResult(output, True, facts)


def _proved(protocol: str | None, dataset: Dataset, chosen: Sequence[Recording]) -> Protocol | None:
    """Return the protocol that is named, or the data's own; None where there is neither, as sampling needs none."""
    if protocol is None and dataset.default_protocol is None:
        return None
    columns = [_columns(recording) for recording in chosen]
    return resolve(protocol, columns, published=dataset.protocols, default=dataset.default_protocol)


def _columns(recording: Recording) -> dict[str, str]:
    return {**recording.columns, "id": recording.id, "label": recording.label}


def _choose(
    dataset: Dataset, names: Sequence[str], exclude_labels: Sequence[str]
) -> tuple[list[Recording], Counter[str]]:
    labels = {recording.label for recording in dataset.recordings}
    for label in exclude_labels:
        if label not in labels:
            raise UsageError(f"no label {label!r}", where="--exclude-labels", remedy=did_you_mean(label, labels))
    chosen, left_out = [], Counter[str]()
    for recording in dataset.recordings:
        missing = [name for name in names if name not in recording.paths]
        if recording.label in exclude_labels:
            left_out["label excluded"] += 1
        elif missing:
            left_out[f"no {', '.join(missing)}"] += 1
        else:
            # Before hours of work, not in the midst of them.
            check_files(recording, names)
            chosen.append(recording)
    if not chosen:
        raise DataError(
            f"no recording has all of {', '.join(names)}",
            where=str(dataset.root),
            found=", ".join(f"{count} x {why}" for why, count in left_out.items()) or "an empty index",
            remedy="name fewer --modalities",
        )
    return chosen, left_out


def _rates(
    dataset: Dataset, chosen: Sequence[Recording], names: Sequence[str], options: CuttingOptions
) -> dict[str, float]:
    """Return the rate at which each sensor is stored: the nominal one, else that of the first recording."""
    rates = {}
    for name in names:
        spec = dataset.modalities[name]
        if spec.kind == "sensor":
            rates[name] = spec.rate or _measured_rate(dataset, chosen[0], name, options)
    return rates


def _measured_rate(dataset: Dataset, recording: Recording, name: str, options: CuttingOptions) -> float:
    with open_clip(dataset, recording, [name], max_gap_s=options.max_gap_s) as clip:
        return float(round(clip.series[name].rate, 3))


def _counted(
    results: Iterator[PackedClip | None], total: int, left_out: Counter[str], progress: Progress
) -> Iterator[PackedClip]:
    """Yield the packed clips, counting those that are too short."""
    for done, result in enumerate(results, start=1):
        progress(done, total)
        if result is None:
            left_out["shorter than the window"] += 1
        else:
            yield result


def _pack(
    dataset: Dataset,
    recording: Recording,
    names: Sequence[str],
    rates: dict[str, float],
    options: CuttingOptions,
    skip_short: bool,
) -> PackedClip | None:
    if skip_short and _is_short(dataset, recording, names, options):
        return None
    return pack_clip(dataset, recording, names, rates, options)


def _is_short(dataset: Dataset, recording: Recording, names: Sequence[str], options: CuttingOptions) -> bool:
    with open_clip(dataset, recording, names, max_gap_s=options.max_gap_s) as clip:
        return clip.end_s - clip.start_s < options.window_s


def _write_store(
    directory: Path,
    dataset: Dataset,
    names: Sequence[str],
    rates: dict[str, float],
    options: CuttingOptions,
    packed: Iterator[PackedClip],
    protocol: str | None,
) -> list[str]:
    first = next(packed, None)
    if first is None:
        raise DataError("every clip is shorter than the window", where="--window", found=f"{options.window_s:g} s")
    stored = {name: _stored(dataset, name, first, rates) for name in names}
    notes = Counter[str]()
    with StoreWriter(directory, stored) as writer:
        for clip in _chain(first, packed):
            writer.append(clip)
            notes.update(clip.notes)
        writer.finish(
            StoreHeader(
                name=dataset.name,
                segments=options.segments,
                frames=options.frames,
                window_s=options.window_s,
                modalities=stored,
                protocols=dataset.protocols,
                protocol=protocol or dataset.default_protocol,
                notes=dataset.notes,
            )
        )
    return [f"{count} x {note}" if count > 1 else note for note, count in notes.most_common(10)]


def _chain(first: PackedClip, rest: Iterator[PackedClip]) -> Iterator[PackedClip]:
    yield first
    yield from rest


def _stored(dataset: Dataset, name: str, first: PackedClip, rates: dict[str, float]) -> StoredModality:
    spec = dataset.modalities[name]
    if spec.kind == "video":
        return StoredModality("video", ("grey",) if first.grey[name] else ("r", "g", "b"), 0.0)
    return StoredModality("sensor", first.channels[name], rates[name], spec.unit)


def _facts(
    directory: Path,
    names: Sequence[str],
    options: CuttingOptions,
    protocol: Protocol | None,
    left_out: Counter[str],
    notes: list[str],
) -> dict[str, Any]:
    import csv

    with (directory / "clips.csv").open(newline="", encoding="utf-8") as stream:
        clips = sum(1 for _ in csv.DictReader(stream))
    size = sum(file.stat().st_size for file in directory.rglob("*") if file.is_file())
    return {
        "clips": clips,
        "left_out": dict(left_out),
        "modalities": list(names),
        "segments": options.segments,
        "frames": options.frames,
        "window_s": options.window_s,
        "megabytes": round(size / 1e6, 1),
        "protocol": protocol.name if protocol else None,
        "folds": len(protocol.folds) if protocol else None,
        "notes": notes,
    }
