"""What an exported graph is held against its run on: clips of a sample store, or synthetic ones where there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmtsa_cli.artifacts.manifest import FILE_NAME, fingerprint
from mmtsa_cli.errors import ArtifactError, DataError
from mmtsa_cli.sampling.draw import Samples
from mmtsa_cli.sampling.store import Store
from mmtsa_cli.stages.exports.graph import Feed, GraphInput
from mmtsa_cli.stages.trainings.trained import TrainedRun, drawing

_SYNTHETIC = 16


@dataclass(frozen=True)
class Clips:
    """Clips as a graph takes them.

    Attributes
    ----------
    labels : (n,) int64 array
        -1 where a clip's class is none of the run's, or not known.
    subjects : tuple of str
    draw : callable
        From positions to the arrays of these clips, the centre of every segment.
    """

    labels: NDArray[np.int64]
    subjects: tuple[str, ...]
    draw: Callable[[Sequence[int]], Feed]

    def __len__(self) -> int:
        return len(self.labels)

    def spread(self, most: int) -> list[int]:
        """Return the positions of at most `most` clips, evenly spread."""
        return np.unique(np.linspace(0, len(self) - 1, most).round().astype(int)).tolist()

    def ones(self, most: int) -> Iterator[Feed]:
        """Yield at most `most` clips, evenly spread, each for itself."""
        for position in self.spread(most):
            yield self.draw([position])


def find_store(run: TrainedRun, given: Path | None) -> Store | None:
    """Return the sample store that is named, or the one that the run was trained on, if it is still there.

    A run notes the path of its store as it was given, and its hash: it is looked for from here and beside the run.

    Raises
    ------
    ArtifactError
        What is named is no store, or a damaged one.
    """
    if given is not None:
        return Store(given)
    beside = run.directory.absolute().parent
    for noted, made_of in run.manifest.inputs.items():
        for directory in (Path(noted), beside / noted, beside / Path(noted).name):
            if _is(directory, made_of):
                return Store(directory)
    return None


def _is(directory: Path, made_of: str) -> bool:
    try:
        return (directory / FILE_NAME).is_file() and fingerprint(directory) == made_of
    except ArtifactError:
        return False


def stored_clips(
    store: Store, run: TrainedRun, model: Mapping[str, Any], inputs: Sequence[GraphInput], *, part: str
) -> Clips:
    """Return the clips of a part of a fold, as its network draws them.

    Parameters
    ----------
    model : mapping
        As `model.json` has it.
    part : "train" or "test"

    Raises
    ------
    DataError
        The store lacks some of them, or has other modalities than the run.
    """
    for name, wanted in model["inputs"].items():
        _check_modality(store, name, wanted, model["window_s"])
    positions = {clip["id"]: number for number, clip in enumerate(store.clips)}
    missing = [clip for clip in model["clips"][part] if clip not in positions]
    if missing:
        raise DataError(
            f"{len(missing)} of the run's {part} clips are not in the samples",
            where=f"{store.directory}, {', '.join(missing[:3])}",
            remedy=_GIVE,
        )
    chosen = [positions[clip] for clip in model["clips"][part]]
    options = drawing(run.recipe, model)
    samples = Samples(store, chosen, modalities=tuple(model["inputs"]), classes=model["classes"], options=options)

    def draw(wanted: Sequence[int]) -> Feed:
        batch = samples.batch(list(wanted))
        arrays = {**batch.inputs, **{f"{name}.extremes": values for name, values in batch.extremes.items()}}
        return {one.name: arrays[one.name] for one in inputs}

    return Clips(samples.labels, tuple(samples.column("subject")), draw)


_GIVE = "give the samples that the run was trained on with --samples"


def _check_modality(store: Store, name: str, wanted: Mapping[str, Any], window_s: float) -> None:
    stored = store.header.modalities.get(name)
    expected = _looks(wanted["kind"], wanted["channels"], wanted["size"])
    found = ", ".join(store.header.modalities)
    if stored is not None:
        found = _looks(stored.kind, len(stored.channels), stored.window_samples(window_s))
    if found != expected:
        where = str(store.directory)
        raise DataError(
            f"the samples do not have the run's {name}", where=where, expected=expected, found=found, remedy=_GIVE
        )


def _looks(kind: str, channels: int, window: int) -> str:
    samples = f", windows of {window} samples" if kind == "sensor" else ""
    return f"{kind} with {channels} channels{samples}"


def synthetic_clips(model: Mapping[str, Any], inputs: Sequence[GraphInput]) -> Clips:
    """Return random frames, and random windows within the bounds that the run noted of each axis; always the same.

    Parameters
    ----------
    model : mapping
        As `model.json` has it.
    """
    rng = np.random.default_rng(0)
    made: dict[str, NDArray[Any]] = {}
    for one in inputs:
        shape = (_SYNTHETIC, *one.shape)
        if one.dtype == "uint8":
            made[one.name] = rng.integers(0, 256, shape, dtype=np.uint8)
        elif one.name == one.modality:
            bounds = model["inputs"][one.modality]["bounds"] or [(-1.0, 1.0)] * one.shape[1]
            low, high = (np.array(side)[:, None] for side in zip(*bounds, strict=True))
            made[one.name] = (low + (high - low) * rng.random(shape)).astype(np.float32)
        else:
            windows = made[one.modality]
            made[one.name] = np.stack([windows.min(axis=(1, 3)), windows.max(axis=(1, 3))], axis=-1)
    return Clips(
        np.full(_SYNTHETIC, -1, np.int64),
        ("",) * _SYNTHETIC,
        lambda wanted: {name: values[list(wanted)] for name, values in made.items()},
    )
