"""Whether the parts of a sample store fit each other: a store may come from others, and nothing of it is believed.

Each function raises ValueError with what is wrong; the reader of the file says where.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmtsa_cli.artifacts.directory import file_name
from mmtsa_cli.recordings.cells import is_file_name
from mmtsa_cli.recordings.description import HIGHEST_RATE

_MOST = 100_000
_NEEDED = ("id", "label", "duration_s")


def check_header(raw: Mapping[str, Any]) -> None:
    """Check what `store.json` says: names, kinds, counts and rates."""
    for name, modality in raw["modalities"].items():
        _check_modality(name, modality)
    for key in ("segments", "frames"):
        if not isinstance(raw[key], int) or not 1 <= raw[key] <= _MOST:
            raise ValueError(f"{key} is {raw[key]!r}")
    if not (_number(raw["window_s"]) and raw["window_s"] > 0):
        raise ValueError(f"window_s is {raw['window_s']!r}")
    if not isinstance(raw["name"], str) or not isinstance(raw["protocol"], str | None):
        raise ValueError("its name or its protocol is no text")
    protocols, notes = raw["protocols"], raw["notes"]
    if not (_mapping(protocols) and all(map(_mapping, protocols.values())) and _mapping(notes)):
        raise ValueError("its protocols or its notes are no mappings")


def check_clips(clips: Sequence[Mapping[Any, Any]]) -> None:
    """Check the rows of `clips.csv`: every cell there, ids that can name files, lengths above 0."""
    for number, clip in enumerate(clips, 2):
        if None in clip or None in clip.values() or not all(key in clip for key in _NEEDED):
            raise ValueError(f"row {number}: cells are missing, or too many")
        if not is_file_name(clip["id"]):
            raise ValueError(f"row {number}: {clip['id']!r} cannot name files")
        # Raises what float() raises, where it is no number.
        if not 0 < float(clip["duration_s"]) < math.inf:
            raise ValueError(f"row {number}: a clip of {clip['duration_s']} s")


def check_frames(table: NDArray[Any], record: np.dtype, clips: int) -> None:
    """Check where frames are said to lie: at least one of each clip, in the order of the clips, within the file."""
    if table.dtype != record or table.ndim != 1:
        raise ValueError(f"an array of {table.dtype} and {table.ndim} dimensions")
    if not np.array_equal(np.unique(table["clip"]), np.arange(clips)) or (np.diff(table["clip"]) < 0).any():
        raise ValueError("frames of other clips than there are")
    ends = table["offset"] + table["length"]
    if (table["offset"] < 0).any() or (table["length"] <= 0).any() or (ends > ends[-1:]).any():
        raise ValueError("frames that lie outside of the file")
    if (table["height"] <= 0).any() or (table["width"] <= 0).any() or not np.isfinite(table["time_s"]).all():
        raise ValueError("frames without size or time")


def check_bounds(bounds: NDArray[Any], extremes: NDArray[Any]) -> None:
    """Check where series are said to begin: ascending from 0."""
    if bounds.ndim != 1 or bounds.dtype.kind not in "iu" or not len(bounds):
        raise ValueError(f"an array of {bounds.dtype} and {bounds.ndim} dimensions")
    if bounds[0] != 0 or (np.diff(bounds.astype(np.int64)) < 0).any():
        raise ValueError("series that lie outside of the file")
    if extremes.dtype.kind != "f":
        raise ValueError(f"extremes of {extremes.dtype}")


def check_lengths(clips: Sequence[Mapping[str, str]], bounds: Sequence[int], rate: float) -> None:
    """Check that the series of each clip is as long as the clip."""
    for clip, first, after in zip(clips, bounds[:-1], bounds[1:], strict=True):
        # A length is written to the microsecond.
        if abs(after - first - float(clip["duration_s"]) * rate) > 1 + 1e-6 * rate:
            raise ValueError(f"clip {clip['id']}: {after - first} samples for {clip['duration_s']} s")


def _check_modality(name: str, modality: Mapping[str, Any]) -> None:
    if name != file_name(name):
        raise ValueError(f"{name!r} is no name of a modality")
    channels, rate = modality["channels"], modality["rate"]
    if modality["kind"] not in ("video", "sensor") or not _texts(channels) or not channels:
        raise ValueError(f"{name} is neither a video nor a sensor with axes")
    if modality["kind"] == "sensor" and not (_number(rate) and 0 < rate <= HIGHEST_RATE):
        raise ValueError(f"{name} has the rate {rate!r}")
    if not isinstance(modality["unit"], str | None):
        raise ValueError(f"{name} has the unit {modality['unit']!r}")


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _mapping(value: Any) -> bool:
    return isinstance(value, Mapping)
