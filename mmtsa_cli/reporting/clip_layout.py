"""What is shown of one clip, and where in the picture each part of it stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Span = tuple[float, float]

MARKS = 0.15
"""Inches below the frames of a video that its marks take."""
_LEFT, _RIGHT, _TOP, _BOTTOM, _WIDTH = 1.75, 1.05, 0.72, 0.2, 9.5
_CURVES, _GAP, _TIME, _LANE, _TILE, _CAPTIONS, _CAPTION = 1.15, 0.14, 0.55, 0.17, 1.5, 0.45, 0.2
# What the text beside a row of fields takes.
_ABOUT = 1.05


@dataclass(frozen=True)
class VideoRow:
    """A video of the clip.

    Attributes
    ----------
    name : str
    overview : tuple of (seconds, image)
        Frames at even times; (H, W, 3) uint8 in RGB, or (H, W) grey.
    frames : tuple of (seconds, image)
        The drawn one of each segment.
    """

    name: str
    overview: tuple[tuple[float, Image], ...]
    frames: tuple[tuple[float, Image], ...]

    @property
    def aspect(self) -> float:
        """Width over height."""
        height, width = self.overview[0][1].shape[:2]
        return width / height


@dataclass(frozen=True)
class SensorRow:
    """A sensor of the clip.

    Attributes
    ----------
    name : str
    unit : str or None
    axes : tuple of str
    rate : float
        Samples a second of `values`.
    values : (n, C) array
        From second 0 on.
    windows : tuple of (start_s, end_s)
        The drawn one of each segment.
    fields : tuple of (K, K) or (K, K, 3) uint8 arrays
        The image of each window.
    caption : str
        What stands in the images.
    """

    name: str
    unit: str | None
    axes: tuple[str, ...]
    rate: float
    values: NDArray[Any]
    windows: tuple[Span, ...]
    fields: tuple[Image, ...]
    caption: str


@dataclass(frozen=True)
class ClipPicture:
    """All that is shown of one clip; times are seconds from its start."""

    title: str
    subtitle: str
    duration_s: float
    segments: tuple[Span, ...]
    videos: tuple[VideoRow, ...]
    sensors: tuple[SensorRow, ...]


@dataclass(frozen=True)
class Box:
    """A place in the picture, in inches from its upper left corner."""

    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True)
class Layout:
    """Where everything stands.

    Attributes
    ----------
    width, height : float
        Of the picture, in inches.
    boxes : mapping of tuple to Box
        ("overview", VIDEO), ("windows",), ("curves", SENSOR), ("captions",), and of segment i from 0
        ("field", SENSOR, i) and ("frame", VIDEO, i).
    """

    width: float
    height: float
    boxes: Mapping[tuple[Any, ...], Box]


def overview_frames(aspect: float, segments: int) -> int:
    """Return how many frames of a video stand side by side: 8 wide ones to 12 narrow ones, more in a wider picture."""
    return round(float(np.clip(10 / aspect, 8, 12)) * _time_width(segments) / _WIDTH)


def lay_out(clip: ClipPicture) -> Layout:
    """Return where everything stands; fields and frames stand under the segments that they were drawn from."""
    width = _time_width(len(clip.segments))
    boxes: dict[tuple[Any, ...], Box] = {}
    top = _TOP
    for video in clip.videos:
        height = width / len(video.overview) / video.aspect
        boxes["overview", video.name] = Box(_LEFT, top, width, height)
        top += height + _GAP + MARKS
    if clip.sensors:
        height = _LANE * (1 + max(lanes(clip.sensors[0].windows)))
        boxes["windows",] = Box(_LEFT, top, width, height)
        top += height + _GAP
    for sensor in clip.sensors:
        boxes["curves", sensor.name] = Box(_LEFT, top, width, _CURVES)
        top += _CURVES + _GAP
    top += _TIME - _GAP
    boxes["captions",] = Box(_LEFT, top, width, _CAPTIONS)
    top = _lay_out_tiles(clip, boxes, width, top + _CAPTIONS)
    return Layout(_LEFT + width + _RIGHT, top + _BOTTOM, boxes)


def _time_width(segments: int) -> float:
    return float(np.clip(_WIDTH / 8 * segments, _WIDTH, 2.5 * _WIDTH))


def _lay_out_tiles(clip: ClipPicture, boxes: dict[tuple[Any, ...], Box], width: float, top: float) -> float:
    cell = width / len(clip.segments)
    room = cell - 0.12
    for sensor in clip.sensors:
        side = min(_TILE, room)
        for number in range(len(clip.segments)):
            boxes["field", sensor.name, number] = Box(_LEFT + cell * number + (cell - side) / 2, top, side, side)
        top += max(side, _ABOUT) + _GAP
    for video in clip.videos:
        wide = min(room, _TILE * video.aspect)
        for number in range(len(clip.segments)):
            left = _LEFT + cell * number + (cell - wide) / 2
            boxes["frame", video.name, number] = Box(left, top, wide, wide / video.aspect)
        top += wide / video.aspect + _CAPTION + _GAP
    return top


def lanes(windows: Sequence[Span]) -> list[int]:
    """Return per window the first line in which it overlaps none of those before it."""
    ends: list[float] = []
    found = []
    for start, end in windows:
        lane = next((i for i, last in enumerate(ends) if last <= start + 1e-9), len(ends))
        ends[lane : lane + 1] = [end]
        found.append(lane)
    return found
