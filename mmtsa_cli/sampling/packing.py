"""Writing a sample store: clips come in one by one, files grow by appending, memory does not."""

from __future__ import annotations

import dataclasses
from array import array
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmtsa_cli.errors import DataError
from mmtsa_cli.recordings.clip import Clip, open_clip
from mmtsa_cli.recordings.index import Dataset, Recording
from mmtsa_cli.recordings.series import grid_rows, resample
from mmtsa_cli.sampling.parts import PART_BYTES, PartsWriter
from mmtsa_cli.sampling.segments import cut
from mmtsa_cli.sampling.store import (
    CLIPS_NAME,
    FRAME_RECORD,
    STORE_NAME,
    ClipsWriter,
    RowsWriter,
    StoredModality,
    StoreHeader,
    write_header,
)

_BLOCK_ROWS = 1 << 17


@dataclass(frozen=True)
class CuttingOptions:
    """How clips are cut into candidates.

    Attributes
    ----------
    segments : int
        N of equation 6.
    frames : int
        Candidate frames kept of each segment.
    window_s : float
        Length of a sensor window in seconds.
    short_side : int
        Frames are made this small, never larger.
    quality : int
        JPEG quality, 1 to 100.
    max_gap_s : float
        Longest gap of a series that is filled by interpolation.
    """

    segments: int = 3
    frames: int = 5
    window_s: float = 2.0
    short_side: int = 256
    quality: int = 90
    max_gap_s: float = 0.5


@dataclass(frozen=True)
class PackedFrame:
    """A candidate frame as a JPEG file, its time in the clip, and its size in pixels."""

    jpeg: bytes
    time_s: float
    height: int
    width: int


@dataclass(frozen=True)
class PackedClip:
    """One clip, ready to be appended; `extremes` are (C, 2), minimum and maximum of each axis."""

    columns: Mapping[str, str]
    frames: Mapping[str, tuple[PackedFrame, ...]]
    series: Mapping[str, NDArray[np.float32]]
    extremes: Mapping[str, NDArray[np.float32]]
    channels: Mapping[str, tuple[str, ...]]
    grey: Mapping[str, bool]
    notes: tuple[str, ...]


class TooShortError(DataError):
    """A clip is shorter than the window: nothing is wrong with its files, but with the wish."""


class OtherAxesError(DataError):
    """A sensor of a clip has other axes than that of the clips before."""


def pack_clip(
    dataset: Dataset,
    recording: Recording,
    modalities: Sequence[str],
    rates: Mapping[str, float],
    options: CuttingOptions,
) -> PackedClip:
    """Read one recording and cut it: the part of the work that runs in parallel.

    Raises
    ------
    DataError
        A file that cannot be used.
    TooShortError
        A clip shorter than the window.
    """
    with open_clip(dataset, recording, modalities, max_gap_s=options.max_gap_s) as clip:
        return pack_part(clip, dataset, recording, modalities, rates, options)


def pack_part(
    clip: Clip,
    dataset: Dataset,
    recording: Recording,
    modalities: Sequence[str],
    rates: Mapping[str, float],
    options: CuttingOptions,
) -> PackedClip:
    """Cut what an opened clip covers from `start_s` to `end_s`; both may lie anywhere within the recording.

    Raises
    ------
    DataError
        No frame of a video can be decoded.
    TooShortError
        Shorter than the window.
    """
    duration = clip.end_s - clip.start_s
    sensors = [m for m in modalities if dataset.modalities[m].kind == "sensor"]
    if sensors and duration < options.window_s:
        raise _too_short(recording, clip, duration, options)
    frames = {name: _candidate_frames(clip, name, options) for name in clip.videos}
    grey = {name: video.info.grey for name, video in clip.videos.items()}
    series = {name: _uniform(clip, name, rates[name], duration) for name in sensors}
    channels = {name: clip.series[name].channels for name in sensors}
    columns = {"id": recording.id, "label": recording.label, "duration_s": f"{duration:.6f}"}
    extra = {key: value for key, value in recording.columns.items() if key not in columns}
    extremes = {name: _extremes(values) for name, values in series.items()}
    for name in (name for name, both in extremes.items() if not np.isfinite(both).all()):
        raise DataError("a value too large", where=f"recording {recording.id}, {name}", expected="below 3.4e38")
    notes = (*clip.notes, *(note for name in sensors for note in _constant(name, extremes[name], channels[name])))
    return PackedClip({**columns, **extra}, frames, series, extremes, channels, grey, notes)


def _too_short(recording: Recording, clip: Clip, duration: float, options: CuttingOptions) -> TooShortError:
    fits = np.floor(duration * 100) / 100
    each = ", ".join(f"{name} {end - start:.3g} s" for name, (start, end) in clip.spans.items())
    return TooShortError(
        "shorter than the window",
        where=f"recording {recording.id}",
        expected=f"at least {options.window_s:g} s",
        # Where the index cuts the recording, how long its files are explains nothing.
        found=f"{duration:.3g} s" + (f" ({each})" if len(clip.spans) > 1 and recording.end_s is None else ""),
        remedy=f"give {f'--window {fits:g} or less, or ' if fits > 0 else ''}--skip-short to leave such clips out",
    )


def _extremes(values: NDArray[np.float32]) -> NDArray[np.float32]:
    # Axis by axis: NumPy reduces the first of two dimensions ten times more slowly.
    return np.array([(axis.min(), axis.max()) for axis in values.T], np.float32)


def _constant(name: str, extremes: NDArray[np.float32], channels: tuple[str, ...]) -> list[str]:
    """Return what there is to say of axes without contrast: a sensor that was off, or is broken."""
    flat = [channel for channel, (low, high) in zip(channels, extremes, strict=True) if low == high]
    return [f"{name}: {', '.join(flat)} constant, mid-grey as an image"] if flat else []


def _uniform(clip: Clip, name: str, rate: float, duration: float) -> NDArray[np.float32]:
    """Return a clip's series on the store's grid; block by block, as a day of it fills memory several times over."""
    series = clip.series[name]
    rows = np.empty((grid_rows(series, rate, duration), series.values.shape[1]), np.float32)
    for first in range(0, len(rows), _BLOCK_ROWS):
        count = min(_BLOCK_ROWS, len(rows) - first)
        start = clip.start_s + first / rate
        with np.errstate(over="ignore"):
            # What is too large for a float32 becomes infinite, and is told by its extremes.
            rows[first : first + count] = resample(series, rate, start_s=start, end_s=start + count / rate)
    return rows


def candidate_times(duration_s: float, options: CuttingOptions) -> list[float]:
    """Return the times of the candidate frames of a clip, in seconds from its start."""
    fractions = (np.arange(options.frames) + 0.5) / options.frames
    return [segment.time_at(fraction) for segment in cut(duration_s, options.segments) for fraction in fractions]


def _candidate_frames(clip: Clip, name: str, options: CuttingOptions) -> tuple[PackedFrame, ...]:
    times = candidate_times(clip.end_s - clip.start_s, options)
    shown = clip.videos[name].frames_at([clip.start_s + time for time in times])
    if not shown:
        raise DataError("no frame can be decoded", where=name, remedy="leave the recording out of the index")
    # A damaged video gives fewer frames than asked for; then each stands at its own time.
    if len(shown) != len(times):
        times = [max(0.0, time - clip.start_s) for time, _ in shown]
    return tuple(pack_frame(frame, time, options) for time, (_, frame) in zip(times, shown, strict=True))


def shrink(frame: NDArray[np.uint8], short_side: int) -> Any:
    """Return a frame with a short side of `short_side` pixels; one that is not larger is returned as it is."""
    import cv2

    height, width = frame.shape[:2]
    scale = short_side / min(height, width)
    if scale >= 1:
        return frame
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(frame, size, interpolation=cv2.INTER_AREA)


def pack_frame(frame: Any, time_s: float, options: CuttingOptions) -> PackedFrame:
    """Return a frame, uint8 (H, W, 3) in RGB or (H, W), as it is kept: made small, as a JPEG file."""
    import cv2

    frame = shrink(frame, options.short_side)
    height, width = frame.shape[:2]
    if frame.ndim == 3:
        frame = cv2.cvtColor(frame, cv2.COLOR_RGB2BGR)
    encoded, buffer = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, options.quality])
    if not encoded:
        raise DataError("a frame cannot be written as JPEG", found=f"{width} x {height} pixels")
    return PackedFrame(buffer.tobytes(), time_s, height, width)


class StoreWriter:
    """Appends packed clips to the files of a store; of a clip nothing stays in memory but some 30 bytes a sensor.

    Use as a context manager; `finish` writes the tables and the header.

    Parameters
    ----------
    directory : Path
    modalities : mapping of str to StoredModality
    columns : sequence of str
        What `clips.csv` says of a clip.
    part_bytes : int
        Largest part of a packed file.
    """

    def __init__(
        self,
        directory: Path,
        modalities: Mapping[str, StoredModality],
        columns: Sequence[str],
        *,
        part_bytes: int = PART_BYTES,
    ) -> None:
        self._directory = directory
        self._modalities = dict(modalities)
        self._columns = columns
        self._part_bytes = part_bytes
        self._clips = 0
        self._extremes: dict[str, array[float]] = {}
        self._bounds: dict[str, array[int]] = {}
        self._stack = ExitStack()
        self._files: dict[str, PartsWriter] = {}
        self._tables: dict[str, RowsWriter] = {}
        self._table: ClipsWriter

    def __enter__(self) -> StoreWriter:
        self._table = self._stack.enter_context(ClipsWriter(self._directory / CLIPS_NAME, self._columns))
        for name, modality in self._modalities.items():
            stem = f"{'frames' if modality.kind == 'video' else 'series'}-{name}"
            file = PartsWriter(self._directory, stem, self._part_bytes)
            self._files[name] = self._stack.enter_context(file)
            if modality.kind == "video":
                table = RowsWriter(self._directory / f"frames-{name}.npy", FRAME_RECORD)
                self._tables[name] = self._stack.enter_context(table)
            self._bounds[name], self._extremes[name] = array("q", [0]), array("f")
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def append(self, clip: PackedClip) -> None:
        """Append one clip to every file.

        Raises
        ------
        OtherAxesError
            Its sensors have other axes than those of the clips before; nothing of it was written.
        """
        for name, axes in clip.channels.items():
            self._check_axes(name, axes, clip.columns["id"])
        self._table.append(clip.columns)
        for name, frames in clip.frames.items():
            rows = []
            for frame in frames:
                offset = self._files[name].write(frame.jpeg)
                rows.append((self._clips, frame.time_s, offset, len(frame.jpeg), frame.height, frame.width))
            self._tables[name].append(rows)
        for name, values in clip.series.items():
            self._files[name].write(np.ascontiguousarray(values, "<f4").data)
            self._bounds[name].append(self._bounds[name][-1] + len(values))
            self._extremes[name].extend(clip.extremes[name].ravel().tolist())
        self._clips += 1

    def _check_axes(self, name: str, axes: tuple[str, ...], clip: str) -> None:
        known = self._modalities[name].channels
        # Other names of as many axes are another spelling; the same names in another order are other columns.
        if len(axes) != len(known) or (axes != known and sorted(axes) == sorted(known)):
            raise OtherAxesError(
                f"other axes of {name} than the recordings before",
                where=f"recording {clip}",
                expected=f"{len(known)}: {', '.join(known)}",
                found=f"{len(axes)}: {', '.join(axes)}",
                remedy=f"`mmtsa check` tells the odd ones; name the columns of {name} in dataset.yaml",
            )

    def finish(self, header: StoreHeader) -> None:
        """Write the tables and the header."""
        for name, modality in self._modalities.items():
            if modality.kind == "video":
                self._tables[name].finish()
            else:
                np.save(self._directory / f"series-{name}.npy", np.array(self._bounds[name], "<i8"))
                extremes = np.array(self._extremes[name], "<f4").reshape(-1, len(modality.channels), 2)
                np.save(self._directory / f"extremes-{name}.npy", extremes)
        self._table.finish()
        parts = {file.stem: file.sizes for file in self._files.values() if len(file.sizes) > 1}
        write_header(self._directory / STORE_NAME, dataclasses.replace(header, parts=parts))
