"""Contact sheets of some clips of a sample store, for the page of a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from mmtsa_cli.artifacts.manifest import Manifest, fingerprint
from mmtsa_cli.errors import MmtsaError
from mmtsa_cli.reporting.page import Sheet
from mmtsa_cli.reporting.thumbnails import thumbnail_sheet
from mmtsa_cli.sampling.draw import DrawOptions, Samples
from mmtsa_cli.sampling.store import Store

# The picture of a segment is the one that `sample --sheets` draws.
from mmtsa_cli.stages.sheets import segment_images

_MOST_MODALITIES, _MOST_SEGMENTS = 6, 10


def sheets_of(
    clips: Sequence[str],
    manifest: Manifest,
    trained: Manifest | None,
    *,
    modalities: Sequence[str] | None = None,
) -> tuple[dict[str, Sheet], str]:
    """Return the contact sheets of clips by id, and why there are none, where there are none.

    Parameters
    ----------
    clips : sequence of str
        Ids; those that the store does not have are left out.
    manifest : Manifest
        Of the evaluation, whose inputs name the store.
    trained : Manifest, optional
        Of the run: as many segments as it has, and its windows; None: the store's.
    modalities : sequence of str, optional
        Those that the run got; None: all of the store.
    """
    if not clips:
        return {}, ""
    # An evaluation names its run, then its samples.
    path, mark = list(manifest.inputs.items())[-1]
    try:
        if not Path(path).is_dir():
            return {}, f"the sample store {path} is not there"
        if fingerprint(Path(path)) != mark:
            return {}, f"the sample store {path} is another one than was evaluated"
        return _draw(Store(Path(path)), clips, trained, modalities), ""
    except (MmtsaError, OSError) as error:
        return {}, f"the sample store cannot be read ({error})"


def _draw(
    store: Store, clips: Sequence[str], trained: Manifest | None, modalities: Sequence[str] | None
) -> dict[str, Sheet]:
    positions = {clip["id"]: number for number, clip in enumerate(store.clips)}
    there = [clip for clip in clips if clip in positions]
    names = [name for name in store.header.modalities if modalities is None or name in modalities]
    samples = Samples(
        store,
        [positions[clip] for clip in there],
        modalities=names[:_MOST_MODALITIES],
        classes=store.labels,
        options=_options(store, trained),
    )
    return {clip: _sheet(samples, number) for number, clip in enumerate(there)}


def _options(store: Store, trained: Manifest | None) -> DrawOptions:
    sampling: Mapping = trained.configuration.get("recipe", {}).get("sampling", {}) if trained else {}
    segments = min(_MOST_SEGMENTS, sampling.get("segments") or store.header.segments)
    return DrawOptions(segments=segments, window=sampling.get("window"), frame_size=112, crop=1.0)


def _sheet(samples: Samples, number: int) -> Sheet:
    batch = samples.batch([number])
    rows = [segment_images(batch, name, samples.kind(name)) for name in samples.modalities]
    length = samples.store.duration_s(samples.clips[number]) / samples.segments
    times = [f"{(i + 0.5) * length:.1f} s" for i in range(samples.segments)]
    return Sheet(*thumbnail_sheet(rows), samples.modalities, times)
