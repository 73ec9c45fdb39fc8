"""Parts of systems that are trained once and kept: teachers, streams, encoders.

What a part follows from (its options, draw, clips, classes, seed) is hashed into the name of the place where it lies:
two systems that want the same part find it, and one that wants another never does. Of two processes that want the same
at the same time one trains it and the other waits; what that cost is each one's (`training.owed`).
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from mmtsa_cli.artifacts.directory import file_name, replace_file
from mmtsa_cli.artifacts.manifest import fingerprint
from mmtsa_cli.artifacts.options import to_mapping
from mmtsa_cli.artifacts.unchanged import unchanged
from mmtsa_cli.methods.network_method import NetworkMethod
from mmtsa_cli.sampling.draw import Samples
from mmtsa_cli.training.checkpoint import BEST, TrainingState, load_tensors
from mmtsa_cli.training.owed import owe_others
from mmtsa_cli.training.run import Run, TrainingStoppedError

FINISHED = "finished.json"
_LOCK = ".lock"
_LOOK_S = 0.5


def origin_of(options: Any, samples: Samples, validation: Samples | None, *, seed: int) -> dict[str, Any]:
    """Return all that a part follows from that is trained on `samples`, as JSON values."""
    return {
        "modalities": list(samples.modalities),
        "options": to_mapping(options),
        "draw": to_mapping(samples.options),
        "segments": samples.segments,
        "window_s": samples.window_s,
        "classes": list(samples.classes),
        "store": fingerprint(samples.store.directory),
        "clips": samples.column("id"),
        "validation": validation.column("id") if validation else None,
        "seed": seed,
    }


def name_of(kind: str, name: str, origin: Mapping[str, Any]) -> str:
    """Return where a part lies: its kind and name, as a person reads them, and the hash of its origin."""
    digest = hashlib.sha256(json.dumps(origin, sort_keys=True).encode()).hexdigest()
    return f"{kind}-{file_name(name)}-{digest[:16]}"


def narrowed(
    samples: Samples, validation: Samples | None, modalities: tuple[str, ...]
) -> tuple[Samples, Samples | None]:
    """Return both with some modalities alone, so that what a part does not use is not read."""
    return samples.narrowed(modalities), validation.narrowed(modalities) if validation else None


def fit_once(
    part: NetworkMethod,
    samples: Samples,
    validation: Samples | None,
    *,
    kind: str,
    name: str,
    place: Path,
    seed: int,
    run: Run,
) -> tuple[TrainingState | None, dict[str, Any]]:
    """Give a part the weights that training it once ended with.

    Parameters
    ----------
    part : NetworkMethod
        Untrained; it is trained in a directory below `place`, unless it is finished there or another process trains it.
        One that was stopped is gone on with.
    samples, validation : Samples
        With the modalities of the part alone.

    Returns
    -------
    state : TrainingState or None
        The course of the training; None where it was done before.
    scores : dict
        What was said of the best weights when they were written.

    Raises
    ------
    DataError
        Fewer than two clips.
    TrainingStoppedError
    """
    origin = origin_of(part.options, samples, validation, seed=seed)
    directory = place / name_of(kind, name, origin)
    directory.mkdir(parents=True, exist_ok=True)
    state = None
    with _held(directory, run.should_stop) as waited:
        if not (directory / FINISHED).is_file():
            with unchanged(samples.store.states, checkpoints=directory):
                state = part.fit(samples, validation, seed=seed, run=replace(run, directory=directory))
            seconds = sum(row["seconds"] for row in state.history)
            about = {"origin": origin, "seconds": seconds, "for": str(run.directory)}
            replace_file(directory / FINISHED, (json.dumps(about, indent=1, ensure_ascii=False) + "\n").encode())
    if state is None:
        about = json.loads((directory / FINISHED).read_text(encoding="utf-8"))
        # What this very run trained before it was interrupted is in its own time.
        owe_others(directory, 0.0 if about["for"] == str(run.directory) else about["seconds"] - waited)
    weights, scores = load_tensors(directory / BEST)
    part.network.load_state_dict(weights)
    return state, scores


@contextmanager
def _held(directory: Path, should_stop: Callable[[], bool]) -> Iterator[float]:
    """Keep a place to this process and give the seconds that it waited for another one; a process that died has none.

    Raises
    ------
    TrainingStoppedError
        Asked to stop while it waited.
    """
    from filelock import FileLock, Timeout

    started = time.monotonic()
    lock = FileLock(directory / _LOCK)
    while not lock.is_locked:
        try:
            lock.acquire(timeout=_LOOK_S)
        except Timeout:
            if should_stop():
                raise TrainingStoppedError("stopped while another process trained what this one needs") from None
    try:
        yield time.monotonic() - started
    finally:
        lock.release()
