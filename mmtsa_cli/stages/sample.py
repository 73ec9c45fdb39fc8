"""Recordings to a sample store: segments and windows in time, synchronous across modalities."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from mmtsa_cli.artifacts.directory import check_output, new_directory
from mmtsa_cli.artifacts.manifest import Manifest, read_manifest
from mmtsa_cli.artifacts.remote import UnreachableError
from mmtsa_cli.artifacts.unchanged import ChangedError, states_of, unchanged
from mmtsa_cli.errors import DataError, MmtsaError, UsageError
from mmtsa_cli.modalities import select
from mmtsa_cli.recordings.clip import open_clip
from mmtsa_cli.recordings.index import Dataset, Recording, fingerprint_index, read_index
from mmtsa_cli.recordings.rows import Each, columns_of, file_text
from mmtsa_cli.sampling.packing import (
    CuttingOptions,
    OtherAxesError,
    PackedClip,
    StoreWriter,
    TooShortError,
    pack_clip,
)
from mmtsa_cli.sampling.parts import PART_BYTES
from mmtsa_cli.sampling.protocols import Protocol, resolve
from mmtsa_cli.sampling.store import Store, StoredModality, StoreHeader
from mmtsa_cli.stages.losses import DAMAGED, TOO_SHORT, LeftOut, Losses, choose, nothing_left, too_many
from mmtsa_cli.stages.parallel import in_parallel
from mmtsa_cli.stages.result import StageResult
from mmtsa_cli.stages.shards import Shard, shard_manifest

Progress = Callable[[int, int], None]
PART_KEY = "part_bytes"
"""Of the configuration in the manifest."""


def run(
    recordings: Path,
    output: Path,
    *,
    modalities: Sequence[str] | None = None,
    options: CuttingOptions | None = None,
    protocol: str | None = None,
    seed: int = 0,
    skip_short: bool = False,
    strict: bool = False,
    exclude_labels: Sequence[str] = (),
    images: bool = False,
    part_bytes: int = PART_BYTES,
    shard: Shard | None = None,
    root: Path | None = None,
    jobs: int | None = None,
    cluster: str | None = None,
    overwrite: bool = False,
    progress: Progress = lambda done, total: None,
) -> StageResult:
    """Cut recordings into a sample store, or some of them into a shard of one, which `merge` reads.

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
    strict : bool
        Stop at the first recording that cannot be read instead of leaving it out; one of half of them or more is
        refused in any case.
    images : bool
        Also write `sheets/ID.png`: what a draw with this seed gives the network.
    part_bytes : int
        Largest part of a packed file; it goes on in another one.
    shard : Shard, optional
        Take this part of the recordings only; protocols are proved on all of them.
    root : Path, optional
        Where the recordings lie now, if the index was made on another machine.
    jobs : int, optional
        Processes; None: one a core.
    cluster : str, optional
        Address of a Dask scheduler: its workers read and cut the recordings, which must lie there under the same paths.

    Returns
    -------
    StageResult
        Facts: clips, left_out (count by reason), modalities, segments, window_s, frames, megabytes, protocol and its
        folds, notes, damaged (id and error of those that cannot be read, the first thousand), warnings.

    Raises
    ------
    DataError, UsageError, ArtifactError
    """
    options = options or CuttingOptions()
    if part_bytes < 1:
        raise UsageError("too small", where="--part-size", expected="a byte or more", found=str(part_bytes))
    # The workers of a cluster have a working directory of their own.
    dataset = read_index(recordings.absolute() if cluster else recordings, root=root)
    names = select(modalities, dataset.kinds()) if modalities else tuple(dataset.modalities)
    chosen, losses = choose(dataset, names, exclude_labels, strict=strict, root=root)
    folds = _proved(protocol, dataset, chosen)
    mine, before = _part(shard, chosen, images), losses.counts.copy()
    wishes = {
        "protocol": protocol,
        "skip_short": skip_short,
        "strict": strict,
        "exclude_labels": sorted(exclude_labels),
        "images": images,
        # Only where it is said, so that stores from before there were parts are the same work.
        **({PART_KEY: part_bytes} if part_bytes != PART_BYTES else {}),
    }
    manifest = _manifest(recordings, {"modalities": list(names), **asdict(options), **wishes}, seed, shard)
    if check_output(output, manifest, overwrite=overwrite) == "done":
        return StageResult(output, False, dict(read_manifest(output).results))
    facts: dict[str, Any] = {}
    with new_directory(output, manifest, results=facts) as directory:
        rates = _rates(dataset, chosen, names, options, strict=strict)
        # Each task carries the description of the dataset, but not its thousands of rows.
        described = replace(dataset, recordings=())
        tasks = Each(mine, lambda recording: (described, recording, names, rates, options, skip_short, strict))
        with in_parallel(_pack, tasks, jobs=jobs, cluster=cluster) as results:
            packed = _counted(results, len(tasks), losses, progress)
            writer = _StoreOf(directory, dataset, chosen, names, rates, options, protocol, part_bytes)
            notes = _write_store(writer, packed, losses, strict)
            if shard:
                here = losses.counts - before
                facts.update(all_notes=dict(notes), left_out_here=dict(here))
        if images:
            from mmtsa_cli.stages.sheets import write_sheets

            write_sheets(Store(directory), directory / "sheets", seed=seed, progress=progress)
        facts.update(_facts(directory, names, options, folds, losses, summary(notes)))
        facts["warnings"] = _shared_files(folds, chosen, names)
    return StageResult(output, True, facts)


def _manifest(recordings: Path, configuration: dict[str, Any], seed: int, shard: Shard | None) -> Manifest:
    whole = Manifest("sample", configuration, seed, {str(recordings): fingerprint_index(recordings)})
    return shard_manifest(whole, shard) if shard else whole


def _part(shard: Shard | None, chosen: Sequence[Recording], images: bool) -> Sequence[Recording]:
    """Return the recordings of a shard; all where there is none."""
    if shard is None:
        return chosen
    if images:
        raise UsageError("not of a shard", where="--images", remedy="use `mmtsa show` for a picture of a recording")
    return shard.part(chosen)


def _proved(protocol: str | None, dataset: Dataset, chosen: Sequence[Recording]) -> Protocol | None:
    """Return the protocol that is named, or the data's own; None where there is neither, as sampling needs none."""
    if protocol is None and dataset.default_protocol is None:
        return None
    return resolve(protocol, columns_of(chosen), published=dataset.protocols, default=dataset.default_protocol)


def _shared_files(protocol: Protocol | None, chosen: Sequence[Recording], names: Sequence[str]) -> list[str]:
    """Return a warning for each modality of which one file both trains and tests: cameras share sensors."""
    warnings = []
    for name in names if protocol else ():
        numbers: dict[tuple[str, float | None, float | None], int] = {}
        parts = ((file_text(recording, name), recording.start_s, recording.end_s) for recording in chosen)
        files = [numbers.setdefault(part, len(numbers)) for part in parts]
        for fold in protocol.folds if protocol else ():
            shared = {files[i] for i in fold.train} & {files[i] for i in fold.test}
            if shared:
                warnings.append(
                    f"{len(shared)} files of {name} are both in the train and the test part of {fold.name}: "
                    f"what {name} reaches there says nothing"
                )
                break
    return warnings


def _rates(
    dataset: Dataset, chosen: Sequence[Recording], names: Sequence[str], options: CuttingOptions, *, strict: bool
) -> dict[str, float]:
    """Return the rate at which each sensor is stored: the nominal one, else that of the first sound recording."""
    rates = {}
    for name in names:
        spec = dataset.modalities[name]
        if spec.kind == "sensor":
            rates[name] = spec.rate or _measured_rate(dataset, chosen, name, options, strict=strict)
    return rates


def _measured_rate(
    dataset: Dataset, chosen: Sequence[Recording], name: str, options: CuttingOptions, *, strict: bool
) -> float:
    first: MmtsaError | None = None
    for recording in chosen:
        try:
            with open_clip(dataset, recording, [name], max_gap_s=options.max_gap_s) as clip:
                return float(round(clip.series[name].rate, 3))
        except MmtsaError as error:
            if strict:
                raise
            first = first or error
    raise first or DataError(f"no recording of {name}")


def _counted(
    results: Iterator[PackedClip | LeftOut], total: int, losses: Losses, progress: Progress
) -> Iterator[PackedClip]:
    """Yield the packed clips, counting what is left out."""
    for done, result in enumerate(results, start=1):
        progress(done, total)
        if isinstance(result, LeftOut):
            losses.add(result)
        else:
            yield result


def _pack(
    dataset: Dataset,
    recording: Recording,
    names: Sequence[str],
    rates: dict[str, float],
    options: CuttingOptions,
    skip_short: bool,
    strict: bool,
) -> PackedClip | LeftOut:
    try:
        with unchanged(states_of(recording.paths.values())):
            return pack_clip(dataset, recording, names, rates, options)
    except TooShortError:
        if not skip_short:
            raise
        return LeftOut(recording.id, TOO_SHORT)
    except (UnreachableError, ChangedError):
        # Nothing is wrong with the recording: a store must not depend on how the network was, or on who wrote there.
        raise
    except MmtsaError as error:
        if strict:
            raise
        return LeftOut(recording.id, DAMAGED, error)


@dataclass(frozen=True)
class _StoreOf:
    """What is known of a store before its first clip is packed."""

    directory: Path
    dataset: Dataset
    chosen: Sequence[Recording]
    names: Sequence[str]
    rates: dict[str, float]
    options: CuttingOptions
    protocol: str | None
    part_bytes: int

    def columns(self) -> list[str]:
        """Return the columns of `clips.csv`."""
        return list(dict.fromkeys(["id", "label", "duration_s", *(key for r in self.chosen for key in r.columns)]))

    def header(self, stored: dict[str, StoredModality]) -> StoreHeader:
        """Return what `store.json` says."""
        options, dataset = self.options, self.dataset
        return StoreHeader(
            name=dataset.name,
            segments=options.segments,
            frames=options.frames,
            window_s=options.window_s,
            modalities=stored,
            protocols=dataset.protocols,
            protocol=self.protocol or dataset.default_protocol,
            notes=dataset.notes,
        )


def _write_store(store: _StoreOf, packed: Iterator[PackedClip], losses: Losses, strict: bool) -> Counter[str]:
    first = next(packed, None)
    if first is None:
        raise nothing_left(losses, store.options.window_s)
    stored = {name: _stored(store.dataset, name, first, store.rates) for name in store.names}
    notes = Counter[str]()
    count = 0
    with StoreWriter(store.directory, stored, store.columns(), part_bytes=store.part_bytes) as writer:
        for clip in _chain(first, packed):
            try:
                writer.append(clip)
            except OtherAxesError as error:
                if strict:
                    raise
                losses.add(LeftOut(clip.columns["id"], DAMAGED, error))
                continue
            notes.update(clip.notes)
            count += 1
        if losses.counts[DAMAGED] >= max(2, count):
            raise too_many(losses, losses.counts[DAMAGED] + count)
        writer.finish(store.header(stored))
    return notes


def summary(notes: Counter[str], most: int = 10) -> list[str]:
    """Return the most frequent notes with how many clips have them; those that differ in numbers alone are one."""
    kinds: dict[str, Counter[str]] = defaultdict(Counter)
    for note, count in notes.items():
        kinds[re.sub(r"\b\d+(\.\d+)?\b", "N", note)][note] += count
    ordered = sorted(kinds.items(), key=lambda item: -item[1].total())
    return [
        note if its.total() == 1 else f"{its.total()} x {note if len(its) == 1 else kind}"
        for kind, its in ordered[:most]
        for note in list(its)[:1]
    ]


def _chain(first: PackedClip, rest: Iterator[PackedClip]) -> Iterator[PackedClip]:
    yield first
    yield from rest


def _stored(dataset: Dataset, name: str, first: PackedClip, rates: dict[str, float]) -> StoredModality:
    spec = dataset.modalities[name]
    if spec.kind == "video":
        return StoredModality("video", ("grey",) if first.grey[name] else ("r", "g", "b"), 0.0)
    return StoredModality("sensor", first.channels[name], rates[name], spec.unit)


def size_of(directory: Path) -> dict[str, Any]:
    """Return `clips` and `megabytes` of a store that is written."""
    import csv

    with (directory / "clips.csv").open(newline="", encoding="utf-8") as stream:
        clips = sum(1 for _ in csv.DictReader(stream))
    size = sum(file.stat().st_size for file in directory.rglob("*") if file.is_file())
    return {"clips": clips, "megabytes": round(size / 1e6, 1)}


def _facts(
    directory: Path,
    names: Sequence[str],
    options: CuttingOptions,
    protocol: Protocol | None,
    losses: Losses,
    notes: list[str],
) -> dict[str, Any]:
    return {
        **size_of(directory),
        "left_out": dict(losses.counts),
        "modalities": list(names),
        "segments": options.segments,
        "frames": options.frames,
        "window_s": options.window_s,
        "protocol": protocol.name if protocol else None,
        "folds": len(protocol.folds) if protocol else None,
        "notes": notes,
        "damaged": [{"id": name, "error": error.line()} for name, error in losses.errors.items()],
    }
