"""What one recording turns out to be: its files opened and read, and every fault told instead of raised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from mmtsa_cli.artifacts.remote import UnreachableError
from mmtsa_cli.errors import DataError, ManyErrors, MmtsaError
from mmtsa_cli.recordings.clip import Clip, check_files, open_clip
from mmtsa_cli.recordings.faults import Fault, fault_of, warning
from mmtsa_cli.recordings.index import Dataset, Recording
from mmtsa_cli.recordings.reading import read_stamps
from mmtsa_cli.recordings.timing import StampQuality, stamp_quality

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_RATE_TOLERANCE = 0.2
_UNUSED_SHARE = 0.2
_JITTER_S = 0.1
"""By how much stamps may scatter: a window of a gesture lasts a second or two."""
_WHOLE_S = 0.1
"""What may lie outside of a clip whose files still count as read whole."""


@dataclass(frozen=True)
class InspectionOptions:
    """How recordings are checked.

    Attributes
    ----------
    max_gap_s : float
        The longest gap in a series, in seconds, that counts as filled.
    full : bool
        Decode every frame of a video, not only its first, middle and last one.
    """

    max_gap_s: float = 0.5
    full: bool = False


@dataclass(frozen=True)
class Finding:
    """What one recording turned out to be.

    Attributes
    ----------
    faults : tuple of Fault
    duration_s : float or None
        What its modalities cover together; None where that cannot be told.
    channels : mapping of str to int
        Per sensor its number of axes.
    repairs : tuple of str
        What is put right in reading ("acc: 3 missing values filled").
    stamps : mapping of str to StampQuality
        Per sensor with timestamps, how good they are.
    """

    faults: tuple[Fault, ...]
    duration_s: float | None = None
    channels: Mapping[str, int] = field(default_factory=dict)
    repairs: tuple[str, ...] = ()
    stamps: Mapping[str, StampQuality] = field(default_factory=dict)


def inspect(dataset: Dataset, recording: Recording, names: Sequence[str], options: InspectionOptions) -> Finding:
    """Read the files of a recording and report what is wrong, without raising.

    Parameters
    ----------
    dataset : Dataset
        Its description; its rows are not looked at.
    names : sequence of str
        Modalities that were recorded.
    """
    if not names:
        return Finding(())
    try:
        with open_clip(dataset, recording, names, max_gap_s=options.max_gap_s) as clip:
            if _is_whole(recording, clip):
                return _finding(dataset, recording, clip, options)
    except UnreachableError:
        raise
    except (MmtsaError, OSError):
        # Which files are wrong, and in how many ways, is told one by one.
        pass
    return _one_by_one(dataset, recording, names, options)


def missing_faults(recording: Recording, names: Sequence[str], *, remedy: str | None = None) -> list[Fault]:
    """Return an error for each of `names` whose file is not there, found by looking, with row and column.

    Parameters
    ----------
    remedy : str, optional
        What to do, where so many are missing that it is not one cell that is wrong.
    """
    faults = []
    for name in names:
        error = _missing(recording, name)
        if error is not None:
            shown = DataError(error.what, where=error.where, remedy=remedy or error.remedy)
            fault = fault_of(shown, "error", recording.row, files=[recording.paths[name]])
            faults.append(replace(fault, what="no such file"))
    return faults


def _one_by_one(dataset: Dataset, recording: Recording, names: Sequence[str], options: InspectionOptions) -> Finding:
    """Look at each file by itself, so that none of them hides what is wrong with another, then at all together."""
    faults: dict[str, Fault] = {}
    channels: dict[str, int] = {}
    stamps: dict[str, StampQuality] = {}
    for name in names:
        found = _attempt(dataset, recording, [name], options)
        channels.update(found.channels)
        stamps.update(found.stamps)
        # One file may hold several sensors, and a video may span one: the same fault is told once.
        faults.update({fault.text: fault for fault in found.faults})
    if len(names) == 1:
        return found
    if any(fault.severity == "error" for fault in faults.values()):
        return Finding(tuple(faults.values()), channels=channels, stamps=stamps)
    together = _attempt(dataset, recording, names, options)
    faults.update({fault.text: fault for fault in together.faults})
    return replace(together, faults=tuple(faults.values()), channels=channels, stamps=stamps)


def _attempt(dataset: Dataset, recording: Recording, names: Sequence[str], options: InspectionOptions) -> Finding:
    files = [recording.paths[name] for name in names]
    try:
        with open_clip(dataset, recording, names, max_gap_s=options.max_gap_s) as clip:
            return _finding(dataset, recording, clip, options)
    except UnreachableError:
        # Nothing is known of the file: no fault of it, and nothing to be remembered.
        raise
    except ManyErrors as many:
        return Finding(tuple(fault_of(error, "error", recording.row, files=files) for error in many.errors))
    except MmtsaError as error:
        return Finding((fault_of(error, "error", recording.row, files=files),))
    except OSError as error:
        unreadable = DataError(f"cannot be read: {error.strerror or error}", where=", ".join(map(str, files)))
        return Finding((fault_of(unreadable, "error", recording.row, files=files),))


def _finding(dataset: Dataset, recording: Recording, clip: Clip, options: InspectionOptions) -> Finding:
    """Return what an open clip turns out to be; decodes its videos."""
    stamps = {name: quality for name in clip.series if (quality := _stamps(dataset, recording, name)) is not None}
    faults = [
        *(fault for name in clip.spans for fault in _file_faults(dataset, recording, name, clip, options)),
        *(fault for name in stamps for fault in _jitter_faults(dataset, recording, name, stamps[name])),
        *_unused_faults(recording, clip),
    ]
    channels = {name: series.values.shape[1] for name, series in clip.series.items()}
    repairs = [note for note in clip.notes if note.partition(":")[0] in clip.series]
    unique = {fault.text: fault for fault in faults}
    return Finding(tuple(unique.values()), clip.end_s - clip.start_s, channels, tuple(repairs), stamps)


def _is_whole(recording: Recording, clip: Clip) -> bool:
    """Whether nothing of the files, or nothing of what the index asks of each, was cut away."""
    duration = clip.end_s - clip.start_s
    if recording.end_s is not None:
        return duration >= recording.end_s - (recording.start_s or 0.0) - _WHOLE_S
    if recording.start_s is not None:
        return False
    return all(end - start <= duration + _WHOLE_S for start, end in clip.spans.values())


def _file_faults(
    dataset: Dataset, recording: Recording, name: str, clip: Clip, options: InspectionOptions
) -> list[Fault]:
    path = recording.paths[name]
    if name in clip.series:
        return _rate_faults(dataset, recording, name, clip.series[name].times)
    video = clip.videos[name]
    damage = (video.scan() if options.full else video.probe()).fault
    if damage is None:
        return []
    remedy = "the frame before stands in for a damaged one"
    return [warning(recording.row, damage, str(path), remedy, files=[path])]


def _missing(recording: Recording, name: str) -> MmtsaError | None:
    try:
        check_files(recording, [name])
    except DataError as error:
        return error
    return None


def _rate_faults(dataset: Dataset, recording: Recording, name: str, times: NDArray[np.float64]) -> list[Fault]:
    nominal = dataset.modalities[name].rate
    if nominal is None or len(times) < 3:
        return []
    measured = (len(times) - 1) / (times[-1] - times[0])
    if abs(measured / nominal - 1) <= _RATE_TOLERANCE:
        return []
    path = recording.paths[name]
    what = f"{measured:.1f} Hz by its timestamps, dataset.yaml says {nominal:g}"
    return [warning(recording.row, what, str(path), "correct the rate", files=[path])]


def _stamps(dataset: Dataset, recording: Recording, name: str) -> StampQuality | None:
    spec = dataset.modalities[name]
    stamps = read_stamps(recording.paths[name], spec)
    return None if stamps is None else stamp_quality(stamps, spec.rate)


def _jitter_faults(dataset: Dataset, recording: Recording, name: str, quality: StampQuality) -> list[Fault]:
    """Return a warning where stamps scatter so much that a sample's time is anybody's guess."""
    if dataset.modalities[name].timing == "rate" or quality.jitter_s <= max(_JITTER_S, 2.0 / quality.rate_measured):
        return []
    path = recording.paths[name]
    what = f"timestamps scatter by {quality.jitter_s:.2f} s about an even {quality.rate_measured:.1f} Hz"
    remedy = "if the sensor is regular, give its rate and `timing: rate` in dataset.yaml"
    return [warning(recording.row, what, str(path), remedy, files=[path])]


def _unused_faults(recording: Recording, clip: Clip) -> list[Fault]:
    """Return a warning where a good part of a modality lies outside of what the others cover."""
    if recording.start_s is not None or recording.end_s is not None:
        return []
    duration = clip.end_s - clip.start_s
    lengths = {name: end - start for name, (start, end) in clip.spans.items()}
    if max(lengths.values()) - duration <= _UNUSED_SHARE * max(lengths.values()):
        return []
    each = ", ".join(f"{name} {length:.2f} s" for name, length in lengths.items())
    what = f"{each} overlap for {duration:.2f} s only"
    files = [recording.paths[name] for name in clip.spans]
    return [warning(recording.row, what, f"recording {recording.id}", "the rest is not used", files=files)]
