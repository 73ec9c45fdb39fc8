"""Contact sheets of a sample store: one draw of every clip, as the network gets it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mmtsa_cli.artifacts.directory import file_names
from mmtsa_cli.imaging.field import FieldOptions, gramian, rescale, to_grey
from mmtsa_cli.reporting.sheets import write_sheet
from mmtsa_cli.sampling.draw import Batch, DrawOptions, Samples
from mmtsa_cli.sampling.store import Store

Progress = Callable[[int, int], None]


def write_sheets(store: Store, directory: Path, *, seed: int, progress: Progress) -> None:
    """Write `ID.png` for every clip of a store: the frames and fields of one random draw, a column a segment.

    Fields are the paper's: summation, on [-1, 1], by the extremes of the clip.
    """
    directory.mkdir()
    samples = Samples(
        store,
        range(len(store)),
        modalities=tuple(store.header.modalities),
        classes=store.labels,
        options=DrawOptions(frame_size=168, crop=1.0),
    )
    names = file_names([clip["id"] for clip in store.clips])
    for position, clip in enumerate(store.clips):
        batch = samples.batch([position], generators=[np.random.default_rng([seed, position])])
        rows = {name: segment_images(batch, name, samples.kind(name)) for name in samples.modalities}
        length = samples.store.duration_s(position) / samples.segments
        captions = [f"{i * length:.2f} to {(i + 1) * length:.2f} s" for i in range(samples.segments)]
        title = f"{clip['id']}: {clip['label']}, subject {clip.get('subject', '')}"
        write_sheet(directory / f"{names[position]}.png", rows, title=title, captions=captions)
        progress(position + 1, len(store))


def segment_images(batch: Batch, name: str, kind: str) -> Sequence[NDArray[np.uint8]]:
    """Return what is shown of a modality of a batch's first clip: N frames, or N fields, (H, W, C)."""
    if kind == "video":
        return list(batch.inputs[name][0])
    options = FieldOptions()
    low, high = batch.extremes[name][0].T[:, None]
    scaled = rescale(batch.inputs[name][0].astype(float), low, high, range="signed", noise_floor=options.noise_floor)
    return [_as_colour(to_grey(field)) for field in gramian(scaled)]


def _as_colour(field: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a field of C axes as an image: three axes are the three colours, of others the first is shown."""
    return field.transpose(1, 2, 0) if len(field) == 3 else field[0][:, :, None]
