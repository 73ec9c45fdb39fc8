"""One recording with all its modalities on one clock: the only place where clocks, offsets and overlaps are settled.

Each modality's times are brought onto the recording's clock (origin, then offset: see `ModalitySpec`), the part that
all of them cover is found, and second 0 is put to its start.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mmtsa_cli.artifacts.remote import UnreachableError
from mmtsa_cli.errors import DataError, MmtsaError
from mmtsa_cli.recordings.cleaning import RawSeries, fill_gaps, part
from mmtsa_cli.recordings.index import INDEX_NAME, Dataset, Recording
from mmtsa_cli.recordings.reading import first_stamp, read_raw
from mmtsa_cli.recordings.series import Series, shift
from mmtsa_cli.recordings.video import Video
from mmtsa_cli.recordings.video_files import open_video

_WORTH_A_NOTE_S = 0.1
_QUARTER_S = 900
_MOST_ZONES_S = 26 * 3600
"""From UTC-12 to UTC+14."""
_ZONE_SLACK_S = 60.0
"""How far apart the starts of sensors that were begun one after the other may lie."""

Span = tuple[float, float]


@dataclass(frozen=True)
class Clip:
    """A recording, opened: everything on one clock whose second 0 is the start of what all modalities cover.

    Attributes
    ----------
    series : mapping of str to Series
        Per sensor; reaches beyond the clip by one sample on either side where the file does, for interpolation.
    videos : mapping of str to Video
        Open; `frames_at` takes seconds of the clip.
    start_s, end_s : float
        0 and the length of the clip.
    notes : list of str
        What was put right, left out or met of damage.
    spans : mapping of str to (start_s, end_s)
        What each modality covers by itself, in seconds of the clip.
    """

    series: Mapping[str, Series]
    videos: Mapping[str, Video]
    start_s: float
    end_s: float
    notes: list[str]
    spans: Mapping[str, Span]

    def close(self) -> None:
        """Release the files of the videos."""
        for video in self.videos.values():
            video.close()

    def __enter__(self) -> Clip:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def open_clip(dataset: Dataset, recording: Recording, modalities: Sequence[str], *, max_gap_s: float = 0.5) -> Clip:
    """Open the files of a recording and cut them to the time that all of them cover.

    Parameters
    ----------
    modalities : sequence of str
        Names in `dataset.modalities`, each recorded.
    max_gap_s : float
        The longest gap in a series, in seconds, that is filled by interpolation.

    Raises
    ------
    DataError, ManyErrors
        A file that cannot be used, a modality that was not recorded, or modalities whose times do not overlap.
    """
    raws, shifts, videos, spans = _opened(dataset, recording, modalities, max_gap_s)
    start, end, notes = _overlap(dataset, recording, spans)
    series = {}
    for name in modalities:
        if name in raws:
            cut = part(raws[name], start - shifts[name], end - shifts[name])
            series[name] = shift(fill_gaps(cut, max_gap_s=max_gap_s), shifts[name] - start)
            notes += [f"{name}: {note}" for note in series[name].notes]
    for name, video in videos.items():
        video.offset_s -= start
        if video.info.fault:
            notes.append(f"{name}: {video.info.fault}")
    spans = {name: (first - start, last - start) for name, (first, last) in spans.items()}
    return Clip(series, videos, 0.0, end - start, notes, spans)


def open_whole(dataset: Dataset, recording: Recording, modalities: Sequence[str], *, max_gap_s: float = 0.5) -> Clip:
    """Open the files of a recording on its clock without cutting anything, neither to their overlap nor to its row.

    Parameters
    ----------
    dataset, recording, modalities, max_gap_s
        As of `open_clip`.

    Raises
    ------
    DataError, ManyErrors
        As `open_clip`, but for modalities whose times do not overlap.
    """
    raws, shifts, videos, spans = _opened(dataset, recording, modalities, max_gap_s)
    try:
        sensors = [name for name in modalities if name in raws]
        series = {name: shift(fill_gaps(raws[name], max_gap_s=max_gap_s), shifts[name]) for name in sensors}
    except MmtsaError:
        for video in videos.values():
            video.close()
        raise
    start, end = min(span[0] for span in spans.values()), max(span[1] for span in spans.values())
    return Clip(series, videos, start, end, [], spans)


def _opened(
    dataset: Dataset, recording: Recording, modalities: Sequence[str], max_gap_s: float
) -> tuple[dict[str, RawSeries], dict[str, float], dict[str, Video], dict[str, Span]]:
    """Return the sensors as read, what is to be added to their times, the videos, and what each covers."""
    _check_recorded(recording, modalities)
    check_files(recording, modalities)
    raws = _read_sensors(dataset, recording, modalities, max_gap_s)
    shifts = _shifts(dataset, recording, raws)
    spans: dict[str, Span] = {}
    videos: dict[str, Video] = {}
    for name in modalities:
        if name in raws:
            spans[name] = _span(raws[name], shifts[name])
        else:
            videos[name] = _open_video(dataset, recording, name, raws, shifts)
            spans[name] = (videos[name].offset_s, videos[name].offset_s + videos[name].info.duration_s)
    return raws, shifts, videos, spans


def check_files(recording: Recording, modalities: Sequence[str]) -> None:
    """Raise an error that names row and column of the index where a file of a recording is not there, or is none.

    Raises
    ------
    DataError
    """
    for name in modalities:
        path = recording.paths[name]
        where, remedy = f"{INDEX_NAME}, row {recording.row}, column {name}", "correct the path or empty the cell"
        try:
            readable, there = path.is_file() or path.is_dir(), path.exists()
        # No path at all to this system (too long), or a folder that is closed to this user.
        except OSError as error:
            raise DataError(f"no such file: {path}", where=where, found=error.strerror, remedy=remedy) from error
        # A device or a pipe that an index names would be read without end; of a directory its reader has more to say.
        if not readable:
            raise DataError(f"{'no plain' if there else 'no such'} file: {path}", where=where, remedy=remedy)


def _check_recorded(recording: Recording, modalities: Sequence[str]) -> None:
    missing = [name for name in modalities if name not in recording.paths]
    if missing or not modalities:
        raise DataError(
            f"{', '.join(missing)} not recorded" if missing else "no modality asked for",
            where=f"recording {recording.id}",
            expected="a file of each modality",
            found=", ".join(recording.paths),
            remedy="name fewer modalities",
        )


def _read_sensors(
    dataset: Dataset, recording: Recording, modalities: Sequence[str], max_gap_s: float
) -> dict[str, RawSeries]:
    """Read the sensors among `modalities`, and those whose time a video spans."""
    specs = dataset.modalities
    wanted = [name for name in modalities if specs[name].kind == "sensor"]
    spanned = [specs[name].spans for name in modalities if specs[name].kind == "video" and specs[name].rate is None]
    names = dict.fromkeys([*wanted, *(name for name in spanned if name in recording.paths)])
    return {
        name: read_raw(
            recording.paths[name],
            specs[name],
            max_gap_s=max_gap_s,
            duration_s=_video_duration(dataset, recording, name),
        )
        for name in names
        if name
    }


def _video_duration(dataset: Dataset, recording: Recording, name: str) -> float | None:
    """Return the length of the video that a sensor without stamps spans; None where it spans none that is there."""
    spanned = dataset.modalities[name].spans
    if spanned is None or spanned not in recording.paths:
        return None
    with open_video(recording.paths[spanned], dataset.modalities[spanned]) as video:
        return video.info.duration_s


def _shifts(dataset: Dataset, recording: Recording, raws: Mapping[str, RawSeries]) -> dict[str, float]:
    """Return per sensor what is added to its stamps."""
    specs = dataset.modalities
    automatic = [name for name, raw in raws.items() if raw.clock == "absolute" and specs[name].origin == "auto"]
    zero = _earliest(dataset, recording, raws) if automatic else 0.0
    shifts = {}
    for name, raw in raws.items():
        origin = float(raw.times[0]) if specs[name].origin == "first" else zero if name in automatic else 0.0
        shifts[name] = specs[name].offset_s - origin
        spanned = specs[name].spans
        if spanned in recording.paths and spanned is not None:
            shifts[name] += specs[spanned].offset_s
    return shifts


def _earliest(dataset: Dataset, recording: Recording, raws: Mapping[str, RawSeries]) -> float:
    """Return the earliest stamp of all absolute sensors of the recording, whichever of them are read."""
    stamps = []
    for name, path in recording.paths.items():
        spec = dataset.modalities[name]
        if spec.kind != "sensor" or spec.origin != "auto":
            continue
        if name in raws:
            stamps += [float(raws[name].times[0])] if raws[name].clock == "absolute" else []
            continue
        try:
            first = first_stamp(path, spec)
        except UnreachableError:
            raise
        except MmtsaError:
            # Nobody asked for this file: `check` says what is wrong with it.
            continue
        stamps += [] if first is None else [first]
    return min(stamps)


def _span(raw: RawSeries, shift_s: float) -> Span:
    return float(raw.times[0]) + shift_s, float(raw.times[-1]) + 1.0 / raw.rate + shift_s


def _open_video(
    dataset: Dataset, recording: Recording, name: str, raws: Mapping[str, RawSeries], shifts: Mapping[str, float]
) -> Video:
    spec = dataset.modalities[name]
    spanned = _span(raws[spec.spans], shifts[spec.spans]) if spec.spans in raws and spec.spans else None
    video = open_video(recording.paths[name], spec, duration_s=spanned[1] - spanned[0] if spanned else None)
    video.offset_s = spec.offset_s + (spanned[0] if spanned else 0.0)
    return video


def _overlap(dataset: Dataset, recording: Recording, spans: Mapping[str, Span]) -> tuple[float, float, list[str]]:
    """Return start and end of what all modalities and the index's row cover, with notes on what is left over."""
    start, end = max(span[0] for span in spans.values()), min(span[1] for span in spans.values())
    if end <= start:
        remedy = _time_zone_remedy(dataset, spans)
        raise _no_overlap(recording, spans, "its modalities do not overlap in time", remedy=remedy)
    notes = _unused(spans, start, end)
    # Cut by the index: what lies outside was never meant.
    asked = (
        start if recording.start_s is None else recording.start_s,
        end if recording.end_s is None else recording.end_s,
    )
    if asked[1] > end + _WORTH_A_NOTE_S or asked[0] < start - _WORTH_A_NOTE_S:
        notes.append(f"the index asks for {_text(asked)}, the files cover {_text((start, end))}")
    start, end = max(start, asked[0]), min(end, asked[1])
    if end <= start:
        raise _no_overlap(recording, spans, f"its files do not cover {_text(asked)}, which the index asks for")
    return start, end, notes


def _unused(spans: Mapping[str, Span], start: float, end: float) -> list[str]:
    lengths = ", ".join(f"{name} {last - first:.2f} s" for name, (first, last) in spans.items())
    unused = {name: (start - first) + (last - end) for name, (first, last) in spans.items()}
    parts = [f"{seconds:.2f} s of {name}" for name, seconds in unused.items() if seconds > _WORTH_A_NOTE_S]
    return [f"{lengths}: {', '.join(parts)} unused"] if parts else []


def _no_overlap(recording: Recording, spans: Mapping[str, Span], what: str, *, remedy: str | None = None) -> DataError:
    return DataError(
        what,
        where=f"recording {recording.id}",
        found=", ".join(f"{name} {_text(span)}" for name, span in spans.items()),
        remedy=remedy or "set origin or offset_s of a modality in dataset.yaml",
    )


def _time_zone_remedy(dataset: Dataset, spans: Mapping[str, Span]) -> str | None:
    """Return what to do where one modality is off by whole quarters of an hour, as clocks of two time zones are."""
    specs = dataset.modalities
    # The one that begins last first: with origin auto, the earliest clock is where second 0 stands.
    for name in sorted(spans, key=lambda one: spans[one], reverse=True):
        moving = [other for other in spans if name in (other, specs[other].spans)]
        others = [other for other in spans if other not in moving]
        if not others or specs[name].spans in spans:
            continue
        apart = spans[name][0] - max(spans[other][0] for other in others)
        off = _QUARTER_S * round(apart / _QUARTER_S)
        if not off or abs(off) > _MOST_ZONES_S or abs(apart - off) > _ZONE_SLACK_S:
            continue
        moved = {other: (a - off, b - off) if other in moving else (a, b) for other, (a, b) in spans.items()}
        if max(span[0] for span in moved.values()) < min(span[1] for span in moved.values()):
            side = "ahead of" if off > 0 else "behind"
            looks = f"{name} looks like another time zone, {abs(off) / 3600:g} h {side} {', '.join(others)}"
            remedy = f"set offset_s of {name} to {specs[name].offset_s - off:g} in dataset.yaml"
            return f"{looks}: {remedy} if all recordings are so, else correct the file's stamps"
    return None


def _text(span: Sequence[Any]) -> str:
    return f"{span[0]:.3f} to {span[1]:.3f} s"
