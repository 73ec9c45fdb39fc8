"""Shards of a sample store to the store: bit by bit what one machine alone had made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from mmtsa_cli.artifacts.directory import check_output, new_directory
from mmtsa_cli.artifacts.manifest import read_manifest
from mmtsa_cli.errors import DataError
from mmtsa_cli.sampling.packing import PackedClip, PackedFrame, StoreWriter
from mmtsa_cli.sampling.parts import PART_BYTES
from mmtsa_cli.sampling.store import Store
from mmtsa_cli.stages.losses import DAMAGED
from mmtsa_cli.stages.result import StageResult
from mmtsa_cli.stages.sample import PART_KEY, size_of, summary
from mmtsa_cli.stages.shards import STAGE, whole_manifest

Progress = Callable[[int, int], None]
_OF_THE_WHOLE = ("modalities", "segments", "frames", "window_s", "protocol", "folds")


def run(
    shards: Sequence[Path],
    output: Path,
    *,
    overwrite: bool = False,
    progress: Progress = lambda done, total: None,
) -> StageResult:
    """Make one sample store of the shards of it.

    Parameters
    ----------
    shards : sequence of Path
        Directories that `sample` wrote with `shard`, in any order: all of them, each once.
    output : Path

    Returns
    -------
    StageResult
        As of `sample`.

    Raises
    ------
    UsageError, ArtifactError
        Shards are missing, twice there, damaged, or of different work.
    DataError
        They have a clip in common, sensors of other axes, or more damaged recordings than clips.
    """
    ordered, manifest = whole_manifest(shards, "sample")
    if check_output(output, manifest, overwrite=overwrite) == "done":
        return StageResult(output, False, dict(read_manifest(output).results))
    stores = [Store(directory, stage=STAGE) for directory in ordered]
    found = [read_manifest(directory).results for directory in ordered]
    facts: dict[str, Any] = {}
    with new_directory(output, manifest, results=facts) as directory:
        _write(directory, stores, manifest.configuration.get(PART_KEY, PART_BYTES), progress)
        facts.update(_facts(directory, found))
    return StageResult(output, True, facts)


def _write(directory: Path, stores: Sequence[Store], part_bytes: int, progress: Progress) -> None:
    header, total, done = stores[0].header, sum(map(len, stores)), 0
    known: dict[str, Store] = {}
    columns = list(stores[0].clips[0])
    with StoreWriter(directory, header.modalities, columns, part_bytes=part_bytes) as writer:
        for store in stores:
            for clip in _packed(store):
                other = known.setdefault(clip.columns["id"], store)
                if other is not store:
                    where = f"{other.directory}, {store.directory}"
                    raise DataError(f"clip {clip.columns['id']} is in two shards", where=where)
                writer.append(clip)
                done += 1
                progress(done, total)
        writer.finish(header)


def _packed(store: Store) -> Iterator[PackedClip]:
    """Yield the clips of a store as they were before they were written."""
    kinds = store.header.modalities
    videos = [name for name, stored in kinds.items() if stored.kind == "video"]
    sensors = [name for name, stored in kinds.items() if stored.kind == "sensor"]
    for number, columns in enumerate(store.clips):
        yield PackedClip(
            columns=columns,
            frames={name: tuple(_frames(store, name, number)) for name in videos},
            series={name: store.series(name, number) for name in sensors},
            extremes={name: store.extremes(name, number) for name in sensors},
            channels={name: kinds[name].channels for name in sensors},
            grey={},
            notes=(),
        )


def _frames(store: Store, name: str, clip: int) -> Iterator[PackedFrame]:
    for record in store.frames(name, clip):
        jpeg = bytes(store.jpeg(name, record))
        yield PackedFrame(jpeg, float(record["time_s"]), int(record["height"]), int(record["width"]))


def _facts(directory: Path, found: Sequence[Any]) -> dict[str, Any]:
    """Return the facts of the whole; what was left out by looking at the index alone, every shard has counted."""
    notes: Counter[str] = Counter()
    packed_out: Counter[str] = Counter()
    damaged: dict[str, str] = {}
    for one in found:
        notes.update(one["all_notes"])
        packed_out.update(one["left_out_here"])
        damaged.update({lost["id"]: lost["error"] for lost in one["damaged"]})
    size = size_of(directory)
    if packed_out[DAMAGED] >= max(2, size["clips"]):
        total = packed_out[DAMAGED] + size["clips"]
        raise DataError(f"{packed_out[DAMAGED]} of {total} recordings cannot be read", remedy="see `mmtsa check`")
    before = Counter(found[0]["left_out"]) - Counter(found[0]["left_out_here"])
    return {
        **size,
        "left_out": dict(before + packed_out),
        **{key: found[0][key] for key in _OF_THE_WHOLE},
        "notes": summary(notes),
        "damaged": [{"id": name, "error": error} for name, error in damaged.items()],
        "warnings": found[0]["warnings"],
    }
