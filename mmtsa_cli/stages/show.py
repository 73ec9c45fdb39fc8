"""A picture of one recording: what it holds, and what would be drawn from it."""

from __future__ import annotations

import difflib
import errno
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from mmtsa_cli.errors import ArtifactError, DataError, UsageError
from mmtsa_cli.imaging.field import Kind, Range, gramian, piecewise_mean, rescale, to_grey
from mmtsa_cli.modalities import select
from mmtsa_cli.recordings.clip import Clip, open_clip
from mmtsa_cli.recordings.index import Dataset, Recording, read_index
from mmtsa_cli.recordings.series import resample
from mmtsa_cli.recordings.video import Video
from mmtsa_cli.sampling.segments import Segment, cut, draw_fractions, window_start
from mmtsa_cli.stages.result import StageResult

if TYPE_CHECKING:
    from mmtsa_cli.reporting.clip_layout import SensorRow, VideoRow

_PICTURE_PIXELS = 360
_FIELD_PIXELS = 400


@dataclass(frozen=True)
class ShowOptions:
    """What is drawn from the clip, and how fields are made of it.

    Attributes
    ----------
    segments : int
        N of equation 6.
    frames : int
        Candidate frames of each segment, of which the one nearest to the drawn time is shown, as from a sample store.
    window_s : float
        Length of a sensor window in seconds.
    max_gap_s : float
        Longest gap of a series that is filled by interpolation.
    seed : int, optional
        Draw at random, as in training; None: the centres, as in evaluation.
    field, range : str
        As `FieldOptions`.
    scale : "clip" or "window"
        What fields are rescaled by: the extremes of the clip, or of each window.
    """

    segments: int = 3
    frames: int = 5
    window_s: float = 2.0
    max_gap_s: float = 0.5
    seed: int | None = None
    field: Kind = "sum"
    range: Range = "signed"
    scale: Literal["clip", "window"] = "clip"


@dataclass(frozen=True)
class _Draw:
    """The segments of a clip and where in each of them it is sampled."""

    duration_s: float
    segments: tuple[Segment, ...]
    fractions: NDArray[np.float64]

    def times(self) -> list[float]:
        return [segment.time_at(float(f)) for segment, f in zip(self.segments, self.fractions, strict=True)]

    def window_starts(self, window_s: float) -> list[float]:
        return [
            window_start(segment, float(f), window_s, self.duration_s)
            for segment, f in zip(self.segments, self.fractions, strict=True)
        ]


def run(
    recordings: Path,
    name: str,
    output: Path,
    *,
    modalities: Sequence[str] | None = None,
    root: Path | None = None,
    options: ShowOptions | None = None,
) -> StageResult:
    """Write a picture of one recording.

    Parameters
    ----------
    recordings : Path
        A directory with an index.
    name : str
        The recording's id.
    output : Path
        A `.png` or `.svg` file; one that exists is replaced.
    modalities : sequence of str, optional
        Names or groups; None: all that the recording has.
    root : Path, optional
        Where the recordings lie now.
    options : ShowOptions, optional

    Returns
    -------
    StageResult
        Facts: id, label, subject, seconds, segments, per video the times of its frames, per sensor its rate, axes,
        extremes, and windows, notes.

    Raises
    ------
    DataError, UsageError, ArtifactError, ManyErrors
    """
    from mmtsa_cli.reporting.clip_layout import ClipPicture
    from mmtsa_cli.reporting.clips import write_clip

    options = options or ShowOptions()
    _check_output(output)
    dataset = read_index(recordings, root=root)
    position, recording = find_recording(dataset, name)
    names = (
        select(modalities, dataset.kinds()) if modalities else [m for m in dataset.modalities if m in recording.paths]
    )
    with open_clip(dataset, recording, names, max_gap_s=options.max_gap_s) as clip:
        draw = _draw(clip, recording, position, options)
        videos = tuple(_video_row(name, video, draw, options) for name, video in clip.videos.items())
        sensors = tuple(_sensor_row(dataset, clip, name, draw, options) for name in names if name in clip.series)
        faults = [f"{name}: {video.info.fault}" for name, video in clip.videos.items() if video.info.fault]
        notes = list(dict.fromkeys([*clip.notes, *faults]))
    segments = tuple((segment.start_s, segment.end_s) for segment in draw.segments)
    about = _about(recording, draw, options) + (_about_fields(options) if sensors else "")
    picture = ClipPicture(recording.id, about, draw.duration_s, segments, videos, sensors)
    try:
        write_clip(output, picture)
    except OSError as error:
        raise _not_written(output, error) from error
    return StageResult(output, True, _facts(recording, draw, videos, sensors, notes))


def _check_output(output: Path) -> None:
    from mmtsa_cli.reporting.clips import FORMATS

    if output.suffix.lower().lstrip(".") not in FORMATS:
        expected = " or ".join(f".{form}" for form in FORMATS)
        raise UsageError("not a picture that can be written", where=f"--output {output}", expected=expected)
    if output.is_dir():
        raise UsageError("is a directory", where=f"--output {output}", expected="a .png or .svg file")


def _not_written(output: Path, error: OSError) -> ArtifactError:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    remedy = "nothing was kept; free some space or name another place" if full else "name another place"
    return ArtifactError(f"cannot be written: {error.strerror or error}", where=str(output), remedy=remedy)


def find_recording(dataset: Dataset, name: str) -> tuple[int, Recording]:
    """Return a recording by its id, and its place in the index.

    Raises
    ------
    UsageError
        None has that id; names the nearest.
    """
    for position, recording in enumerate(dataset.recordings):
        if recording.id == name:
            return position, recording
    ids = [recording.id for recording in dataset.recordings]
    near = _nearest_ids(name, ids)
    remedy = f"did you mean {' or '.join(near)}?" if near else f"its ids look like {', '.join(ids[:3])}"
    raise UsageError(f"no recording {name!r}", where=str(dataset.root), found=f"{len(ids)} others", remedy=remedy)


def _nearest_ids(name: str, ids: Sequence[str], count: int = 3) -> list[str]:
    """Return the few ids that hold `name`, else those that are most like it."""
    wanted = name.casefold()
    holding = list(islice((other for other in ids if wanted in other.casefold()), count))
    return holding or difflib.get_close_matches(name, ids, n=count)


def _draw(clip: Clip, recording: Recording, position: int, options: ShowOptions) -> _Draw:
    # As the store writes it down.
    duration = round(clip.end_s - clip.start_s, 6)
    if clip.series and duration < options.window_s:
        fits = math.floor(duration * 100) / 100
        each = ", ".join(f"{name} {end - start:.3g} s" for name, (start, end) in clip.spans.items())
        raise DataError(
            "shorter than the window",
            where=f"recording {recording.id}",
            expected=f"at least {options.window_s:g} s",
            found=f"{duration:.3g} s" + (f" ({each})" if len(clip.spans) > 1 else ""),
            remedy=f"give --window {fits:g} or less" if fits > 0 else None,
        )
    # The generator of `sample --images`: where no clip is left out, its sheets show the same draw.
    generator = None if options.seed is None else np.random.default_rng([options.seed, position])
    return _Draw(duration, cut(duration, options.segments), draw_fractions(options.segments, generator))


# Videos


def _video_row(name: str, video: Video, draw: _Draw, options: ShowOptions) -> VideoRow:
    from mmtsa_cli.reporting.clip_layout import VideoRow, overview_frames

    count = overview_frames(video.info.width / video.info.height, options.segments)
    even = [segment.time_at(0.5) for segment in cut(draw.duration_s, count)]
    drawn = _nearest_candidates(draw, options.frames)
    # Frame by frame in the order of time: each is decoded once, and few are held as large as they are.
    pictures = {time_s: _small(video.frames_at([time_s])[0][1]) for time_s in sorted({*even, *drawn})}
    return VideoRow(name, tuple((t, pictures[t]) for t in even), tuple((t, pictures[t]) for t in drawn))


def _nearest_candidates(draw: _Draw, frames: int) -> list[float]:
    """Return per segment the time of the candidate frame that a store would give."""
    parts = (np.arange(frames) + 0.5) / frames
    times = [segment.time_at(float(part)) for segment in draw.segments for part in parts]
    # In the store's precision, so that of two equally near ones the same is taken.
    stored = np.array(times, np.float32)
    return [times[int(np.abs(stored - time_s).argmin())] for time_s in draw.times()]


def _small(picture: NDArray[np.uint8]) -> Any:
    import cv2

    height, width = picture.shape[:2]
    scale = _PICTURE_PIXELS / max(height, width)
    if scale >= 1:
        return picture
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


# Sensors


def _sensor_row(dataset: Dataset, clip: Clip, name: str, draw: _Draw, options: ShowOptions) -> SensorRow:
    from mmtsa_cli.reporting.clip_layout import SensorRow

    spec, series = dataset.modalities[name], clip.series[name]
    rate = spec.rate or round(series.rate, 3)
    values = resample(series, rate, start_s=clip.start_s, end_s=clip.start_s + draw.duration_s).astype(np.float32)
    if len(values) < 2:
        where, found = f"--window {options.window_s:g}", f"{len(values)} in {draw.duration_s:g} s at {rate:g} Hz"
        raise DataError(f"fewer than two samples of {name}", where=where, found=found)
    samples = min(max(2, round(options.window_s * rate)), len(values))
    starts = np.rint(np.array(draw.window_starts(options.window_s)) * rate).astype(int)
    first = np.clip(starts, 0, len(values) - samples)
    windows = tuple((float(start / rate), float((start + samples) / rate)) for start in first)
    shown = _field_axes(len(series.channels))
    fields = tuple(_field(values, slice(start, start + samples), shown, options) for start in first)
    caption = _caption(series.channels, shown, samples)
    return SensorRow(name, spec.unit, series.channels, rate, values, windows, fields, caption)


def _field_axes(axes: int) -> int:
    """Return how many axes an image shows: three in colour, or one in grey."""
    return 3 if axes >= 3 else 1


def _field(values: NDArray[np.float32], window: slice, axes: int, options: ShowOptions) -> NDArray[np.uint8]:
    """Return the image of a window, (K, K, 3) or (K, K)."""
    whole = values[:, :axes].T.astype(np.float64)
    part = whole[:, window]
    scaled_by = whole if options.scale == "clip" else part
    low, high = scaled_by.min(axis=1), scaled_by.max(axis=1)
    if part.shape[1] > _FIELD_PIXELS:
        part = piecewise_mean(part, _FIELD_PIXELS)
    image = to_grey(gramian(rescale(part, low, high, range=options.range), options.field))
    return image.transpose(1, 2, 0) if axes == 3 else image[0]


def _caption(channels: Sequence[str], shown: int, samples: int) -> str:
    names = ", ".join(name if len(name) <= 15 else f"…{name[-14:]}" for name in channels[:shown])
    colours = "red, green, blue" if shown == 3 else "grey"
    rest = "" if len(channels) == shown else f" (first {'' if shown == 1 else f'{shown} '}of {len(channels)} axes)"
    averaged = f", averaged to {_FIELD_PIXELS}" if samples > _FIELD_PIXELS else ""
    return f"{names} as {colours}{rest}, {samples} samples{averaged}"


# What is said of it


def _about(recording: Recording, draw: _Draw, options: ShowOptions) -> str:
    drawn = "drawn at the centres" if options.seed is None else f"drawn at random, seed {options.seed}"
    subject = f"subject {recording.subject}" if recording.subject else "subject not given"
    return f"label {recording.label}, {subject}, {draw.duration_s:.2f} s; {drawn}"


def _about_fields(options: ShowOptions) -> str:
    return f"; fields: {options.field}, range {options.range}, scale {options.scale}"


def _facts(
    recording: Recording, draw: _Draw, videos: Sequence[VideoRow], sensors: Sequence[SensorRow], notes: list[str]
) -> dict[str, Any]:
    return {
        "id": recording.id,
        "label": recording.label,
        "subject": recording.subject,
        "seconds": draw.duration_s,
        "segments": [[_rounded(s.start_s), _rounded(s.end_s)] for s in draw.segments],
        "videos": {row.name: {"frames_s": [_rounded(time_s) for time_s, _ in row.frames]} for row in videos},
        "sensors": {row.name: _sensor_facts(row) for row in sensors},
        "notes": notes,
    }


def _sensor_facts(row: SensorRow) -> dict[str, Any]:
    return {
        "hz": row.rate,
        "unit": row.unit,
        "axes": list(row.axes),
        "lowest": [_rounded(float(value)) for value in row.values.min(axis=0)],
        "highest": [_rounded(float(value)) for value in row.values.max(axis=0)],
        "windows_s": [[_rounded(start), _rounded(end)] for start, end in row.windows],
    }


def _rounded(value: float) -> float:
    return round(value, 6)
