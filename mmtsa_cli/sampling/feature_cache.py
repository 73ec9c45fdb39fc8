"""What systems compute of a store's clips (gradients, flow, trajectories), kept so that it is computed once.

The place is the user's cache, under the hash of the store's manifest and of the features' own parameters: other content
has another name, so nothing can be out of date.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmtsa_cli.artifacts.cache import cache_directory
from mmtsa_cli.artifacts.claims import claim, release
from mmtsa_cli.artifacts.directory import discard_stale
from mmtsa_cli.artifacts.manifest import fingerprint
from mmtsa_cli.artifacts.unchanged import check_unchanged
from mmtsa_cli.errors import ArtifactError
from mmtsa_cli.sampling.store import RowsWriter, Store

Compute = Callable[[Store, int, Mapping[str, Any]], NDArray[np.float32]]
"""A function of a module: the store, the position of a clip, the parameters; returns (n, D), n may be 0."""


class Features:
    """The rows of every clip of a store, in one file of which those of a clip are mapped into memory when asked for."""

    def __init__(self, directory: Path) -> None:
        self._bounds = np.load(directory / "bounds.npy", allow_pickle=False)
        self._file = directory / "rows.npy"
        whole = np.load(self._file, mmap_mode="r", allow_pickle=False)
        self._width, self._begin = whole.shape[1], whole.offset

    def __len__(self) -> int:
        return len(self._bounds) - 1

    def rows(self, clip: int) -> NDArray[np.float32]:
        """Return the rows of a clip, (n, D): a view.

        A map of its own, which goes with the view: pages of one map for all clips would count as this process's memory
        until it ends.
        """
        first, after = int(self._bounds[clip]), int(self._bounds[clip + 1])
        if first == after:
            return np.empty((0, self._width), np.float32)
        place, shape = self._begin + first * self._width * 4, (after - first, self._width)
        return np.memmap(self._file, np.float32, "r", offset=place, shape=shape)


class FeaturesNow(Features):
    """The same, kept nowhere: the rows of a clip are computed when they are asked for."""

    def __init__(self, store: Store, compute: Compute, parameters: Mapping[str, Any]) -> None:
        self._store, self._compute, self._parameters = store, compute, parameters
        self._computed: dict[int, NDArray[np.float32]] = {}

    def __len__(self) -> int:
        return len(self._store)

    def rows(self, clip: int) -> NDArray[np.float32]:
        """Return the rows of a clip, (n, D)."""
        if clip not in self._computed:
            self._computed[clip] = self._compute(self._store, clip, self._parameters)
        return self._computed[clip]


_kept = True
_cluster: str | None = None
_saved_s: dict[Path, float] = {}
_SECONDS = "seconds.json"


@contextmanager
def computed_anew() -> Iterator[None]:
    """Within the block `clip_features` keeps nothing and finds nothing kept: what a clip costs can be measured."""
    global _kept
    _kept, before = False, _kept
    try:
        yield
    finally:
        _kept = before


@contextmanager
def computed_on(cluster: str | None) -> Iterator[None]:
    """Within the block `clip_features` has the workers of this Dask scheduler compute, which must see the store too.

    Parameters
    ----------
    cluster : str or None
        Its address; None: the cores of this machine.
    """
    global _cluster
    _cluster, before = cluster, _cluster
    try:
        yield
    finally:
        _cluster = before


def clip_features(
    store: Store, name: str, compute: Compute, parameters: Mapping[str, Any], *, clips_a_worker: int = 8
) -> Features:
    """Return features of every clip of a store, computed on all cores where they are not kept yet.

    Parameters
    ----------
    store : Store
    name : str
        Of the features ("hog"), part of the place.
    compute : callable
        Of a module, as other processes must find it.
    parameters : mapping
        JSON values that the features depend on, among them a version to count up when `compute` changes.
    clips_a_worker : int
        Clips whose computation takes as long as the start of one more process.
    """
    if not _kept:
        return FeaturesNow(store, compute, parameters)
    key = json.dumps([fingerprint(store.directory), name, dict(parameters)], sort_keys=True)
    place = cache_directory() / "features" / f"{name}-{hashlib.sha256(key.encode()).hexdigest()[:24]}"
    if not (place / "bounds.npy").is_file():
        started = time.monotonic()
        rows = _unless_changed(store, _compute_all(store, compute, parameters, clips_a_worker))
        _write(place, rows, started)
        _saved_s[place] = 0.0
    elif place not in _saved_s:
        _saved_s[place] = float(json.loads((place / _SECONDS).read_text())) if (place / _SECONDS).is_file() else 0.0
    return Features(place)


def seconds_saved() -> float:
    """Return what computing those features took, in seconds, that this process found kept instead."""
    return sum(_saved_s.values())


def _unless_changed(store: Store, rows: Iterator[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
    """Yield the rows, and at their end refuse all of them where the store has changed meanwhile."""
    yield from rows
    check_unchanged(store.states)


def _compute_all(
    store: Store, compute: Compute, parameters: Mapping[str, Any], clips_a_worker: int
) -> Iterator[NDArray[np.float32]]:
    """Yield the rows of each clip, in their order; a few clips are under way at a time."""
    if _cluster is not None:
        yield from _computed_far(_cluster, store, compute, parameters)
        return
    from joblib import Parallel, delayed

    workers = min(os.cpu_count() or 1, max(1, len(store) // clips_a_worker))
    tasks = (delayed(compute)(store, clip, parameters) for clip in range(len(store)))
    yield from Parallel(n_jobs=workers, batch_size="auto", return_as="generator")(tasks)


def _computed_far(
    cluster: str, store: Store, compute: Compute, parameters: Mapping[str, Any]
) -> Iterator[NDArray[np.float32]]:
    from mmtsa_cli.artifacts.cluster import connected, on_cluster

    directory, content = store.directory.absolute(), fingerprint(store.directory)
    tasks = [(directory, content, compute, clip, parameters) for clip in range(len(store))]
    with connected(cluster) as client, closing(on_cluster(client, _computed, tasks)) as outcomes:
        for outcome in outcomes:
            yield outcome.value()


def _computed(
    directory: Path, content: str, compute: Compute, clip: int, parameters: Mapping[str, Any]
) -> NDArray[np.float32]:
    return compute(_opened(directory, content), clip, parameters)


@lru_cache(maxsize=1)
def _opened(directory: Path, content: str) -> Store:
    """Open the store on a worker, once for all of its clips."""
    if fingerprint(directory) != content:
        raise ArtifactError("another store than on the machine that asks", where=str(directory))
    return Store(directory)


def _write(place: Path, rows: Iterator[NDArray[np.float32]], started: float) -> None:
    """Write all or nothing: beside the name, then renamed; who comes second finds it there."""
    for other in place.parent.glob(f"{place.name}.*"):
        # Of a process that was killed; that of a living one stays.
        with suppress(ArtifactError):
            discard_stale(other)
    partial = place.with_name(f"{place.name}.{os.getpid()}")
    partial.mkdir(parents=True)
    try:
        claim(partial)
        bounds = [0]
        with RowsWriter(partial / "rows.npy", np.dtype(np.float32), shape=(0,)) as packed:
            for part in rows:
                packed.append(part)
                bounds.append(bounds[-1] + len(part))
            packed.finish()
        (partial / _SECONDS).write_text(json.dumps(time.monotonic() - started))
        np.save(partial / "bounds.npy", np.array(bounds))
        if not place.exists():
            partial.rename(place)
            release(place)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
