"""Windows of an opened recording, packed as `sample` packs clips: for recordings that are longer than a clip.

Each window is a clip of its own. Neighbouring windows overlap, so their frames are decoded once, in the order of time,
for a few windows together; memory holds these, not the recording.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmtsa_cli.artifacts.manifest import Manifest, write_manifest
from mmtsa_cli.recordings.clip import Clip
from mmtsa_cli.recordings.index import Dataset, Recording
from mmtsa_cli.recordings.video import Video, VideoInfo
from mmtsa_cli.sampling.packing import CuttingOptions, PackedClip, StoreWriter, candidate_times, pack_part, shrink
from mmtsa_cli.sampling.store import Store, StoredModality, StoreHeader

_TOGETHER = 16
"""Windows whose frames are decoded together: some 80 MB of frames of 256 pixels."""
_AT_ONCE = 8
"""Frames that are asked of a video in one call, as they come in full size."""


def pack_windows(
    clip: Clip,
    dataset: Dataset,
    recording: Recording,
    rates: Mapping[str, float],
    options: CuttingOptions,
    spans: Sequence[tuple[float, float]],
) -> Iterator[PackedClip]:
    """Pack parts of an opened clip one after the other; bytes and numbers are those that `pack_clip` gives.

    Parameters
    ----------
    clip : Clip
        Stays open.
    dataset, recording, rates, options
        As of `pack_clip`.
    spans : sequence of (start_s, end_s)
        In seconds of the clip, starts ascending.

    Raises
    ------
    DataError
        No frame can be decoded.
    """
    names = [*clip.series, *clip.videos]
    for first in range(0, len(spans), _TOGETHER):
        some = spans[first : first + _TOGETHER]
        times = sorted({start + time for start, end in some for time in candidate_times(end - start, options)})
        videos = {name: _Remembered(video, times, options.short_side) for name, video in clip.videos.items()}
        for start, end in some:
            part = dataclasses.replace(clip, videos=videos, start_s=start, end_s=end, notes=[])
            yield pack_part(part, dataset, recording, names, rates, options)


@contextmanager
def temporary_store(
    clips: Sequence[PackedClip], modalities: Mapping[str, StoredModality], options: CuttingOptions
) -> Iterator[Store]:
    """Write packed clips as a sample store that is gone when the block ends."""
    with tempfile.TemporaryDirectory(prefix="mmtsa-") as name:
        directory = Path(name)
        with StoreWriter(directory, modalities, ["id", "label", "duration_s"]) as writer:
            for clip in clips:
                kept = {key: clip.columns[key] for key in ("id", "label", "duration_s")}
                writer.append(dataclasses.replace(clip, columns=kept))
            writer.finish(StoreHeader("", options.segments, options.frames, options.window_s, modalities, {}, None, {}))
        write_manifest(directory, Manifest("sample"))
        yield Store(directory)


class _Remembered(Video):
    """A video of which the frames at certain times are decoded already, made small."""

    def __init__(self, video: Video, times_s: Sequence[float], short_side: int) -> None:
        self._video = video
        self._shown: dict[float, tuple[float, NDArray[np.uint8]]] = {}
        for first in range(0, len(times_s), _AT_ONCE):
            some = times_s[first : first + _AT_ONCE]
            for time, (shown_s, picture) in zip(some, video.frames_at(some), strict=True):
                self._shown[time] = (shown_s, shrink(picture, short_side))

    @property
    def info(self) -> VideoInfo:
        return self._video.info

    def frames_at(self, times_s: Sequence[float]) -> list[tuple[float, Any]]:
        return [self._shown[time] for time in times_s]

    def _frames_at(self, times_s: Sequence[float]) -> list[tuple[float, Any]]:
        return self.frames_at(times_s)

    def probe(self) -> VideoInfo:
        return self._video.probe()

    def scan(self) -> VideoInfo:
        return self._video.scan()

    def close(self) -> None:
        self._video.close()
