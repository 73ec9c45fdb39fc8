"""A picture of why a network named a class: attention, Grad-CAM over frames, fields and time, what is left without."""

from __future__ import annotations

import io
import textwrap
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from mmtsa_cli.reporting.clip_layout import Box
from mmtsa_cli.reporting.clips import envelope

Floats = NDArray[np.floating[Any]]
Image = NDArray[np.uint8]
Span = tuple[float, float]

DPI = 140
_WIDTH = 1600 / DPI
_LEFT, _RIGHT, _TOP, _BOTTOM, _GAP = 1.4, 1.35, 0.72, 0.15, 0.1
_TIME_WIDTH = _WIDTH - _LEFT - _RIGHT
_ATTENTION, _AXIS, _STRIP, _SECONDS, _TILE, _CAPTION, _BAR = 0.62, 0.5, 0.11, 0.45, 1.3, 0.2, 0.24
_INK, _GREY, _EDGE, _BLUE, _LOST = "#222222", "#8a8a8a", "#9a9a9a", "#0072B2", "#c9d7e3"
# From nothing to a dark red, so that grey frames and fields stay what they are where nothing decided.
_HEAT = LinearSegmentedColormap.from_list("heat", ["#fff3e0", "#fdb863", "#e8601c", "#8f1402"])
_OVERLAY = LinearSegmentedColormap.from_list(
    "overlay", [(0.99, 0.72, 0.39, 0.0), (0.95, 0.45, 0.15, 0.5), (0.75, 0.05, 0.02, 0.8)]
)
_COLUMNS = 1200


@dataclass(frozen=True)
class VideoReasons:
    """A video of the clip.

    Attributes
    ----------
    name : str
    frames : tuple of (H, W, 3) or (H, W) uint8 arrays
        The one of each segment, as the network got it.
    times_s : tuple of float
    maps : (N, h, w) array
        Grad-CAM of each.
    importance : (N,) array
        Of each segment, per second.
    """

    name: str
    frames: tuple[Image, ...]
    times_s: tuple[float, ...]
    maps: Floats
    importance: Floats


@dataclass(frozen=True)
class SensorReasons:
    """A sensor of the clip.

    Attributes
    ----------
    name : str
    unit : str or None
    axes : tuple of str
    rate : float
        Samples a second.
    values : (n, C) array
    importance : (C, n) array
        Of each moment of each axis, per second.
    at_rest : tuple of float
        Probability of the class with each axis at rest.
    windows : tuple of (start_s, end_s)
        The one of each segment whose field is shown.
    fields : tuple of (S, S) uint8 arrays
    field_axis : str
        Which axis they are of.
    maps : (N, h, h) array
        Grad-CAM of each.
    """

    name: str
    unit: str | None
    axes: tuple[str, ...]
    rate: float
    values: Floats
    importance: Floats
    at_rest: tuple[float, ...]
    windows: tuple[Span, ...]
    fields: tuple[Image, ...]
    field_axis: str
    maps: Floats


@dataclass(frozen=True)
class Reasons:
    """All that is shown of one clip.

    Attributes
    ----------
    title, subtitle : str
    name : str
        The class that is explained.
    probability : float
        Of that class.
    start_s, end_s : float
        The clip, on the clock of its first file; all times are on it.
    segments : tuple of (start_s, end_s)
    attention : tuple of float
    videos : tuple of VideoReasons
    sensors : tuple of SensorReasons
    without : mapping of str to float
        Probability of the class without each modality.
    left_out : str
        What stood for a modality that was left out.
    quantity : str
        What importance is.
    """

    title: str
    subtitle: str
    name: str
    probability: float
    start_s: float
    end_s: float
    segments: tuple[Span, ...]
    attention: tuple[float, ...]
    videos: tuple[VideoReasons, ...]
    sensors: tuple[SensorReasons, ...]
    without: Mapping[str, float]
    left_out: str
    quantity: str

    @property
    def most(self) -> float:
        """The largest importance of a moment: what the colours of the time axis end at."""
        parts = [*(video.importance for video in self.videos), *(sensor.importance for sensor in self.sensors)]
        return max((float(part.max()) for part in parts), default=0.0) or 1.0


def draw_reasons(reasons: Reasons) -> bytes:
    """Return the picture as a PNG file, 1600 pixels wide."""
    boxes, height = _lay_out(reasons)
    figure = Figure(figsize=(_WIDTH, height), dpi=DPI)
    canvas = _Canvas(figure, height, reasons)
    canvas.write(0.15, 0.25, _shortened(reasons.title, 95), size=14, weight="bold")
    canvas.write(0.15, 0.52, _shortened(reasons.subtitle, 175), size=8)
    _draw_attention(canvas, boxes["attention",])
    for video in reasons.videos:
        _draw_frames(canvas, video, boxes)
    for sensor in reasons.sensors:
        _draw_axes(canvas, sensor, boxes)
    _draw_seconds(canvas, boxes["seconds",])
    for sensor in reasons.sensors:
        _draw_fields(canvas, sensor, boxes)
    _draw_colours(canvas, boxes["colours",])
    if reasons.without:
        _draw_worth(canvas, boxes["worth",])
    return _encoded(figure)


def _encoded(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # A name in a script that the font lacks is shown as boxes; the picture is still of use.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        # The date would make two equal pictures differ.
        figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": "mmtsa"})
    return buffer.getvalue()


# Where everything stands, in inches from the upper left corner


def _lay_out(reasons: Reasons) -> tuple[dict[tuple[Any, ...], Box], float]:
    boxes: dict[tuple[Any, ...], Box] = {("attention",): Box(_LEFT, _TOP, _TIME_WIDTH, _ATTENTION)}
    top = _TOP + _ATTENTION + _GAP
    for video in reasons.videos:
        height, width = video.frames[0].shape[:2]
        side = _add_tiles(boxes, ("frame", video.name), len(reasons.segments), top, width / height)
        top += side + _CAPTION
        boxes["strip", video.name] = Box(_LEFT, top, _TIME_WIDTH, _STRIP)
        top += _STRIP + _GAP
    for sensor in reasons.sensors:
        for axis in range(len(sensor.axes)):
            boxes["curve", sensor.name, axis] = Box(_LEFT, top, _TIME_WIDTH, _AXIS)
            boxes["strip", sensor.name, axis] = Box(_LEFT, top + _AXIS, _TIME_WIDTH, _STRIP)
            top += _AXIS + _STRIP + 0.05
        top += _GAP
    boxes["seconds",] = Box(_LEFT, top - _GAP, _TIME_WIDTH, 0.01)
    top += _SECONDS - _GAP
    for sensor in reasons.sensors:
        top += _add_tiles(boxes, ("field", sensor.name), len(reasons.segments), top, 1.0) + _CAPTION + _GAP
    boxes["colours",] = Box(_LEFT, top + 0.18, 2.6, 0.12)
    bars = _BAR * (1 + len(reasons.without)) if reasons.without else 0.0
    boxes["worth",] = Box(_LEFT + 4.6, top + 0.22, _TIME_WIDTH - 4.6, bars)
    return boxes, top + max(0.95, bars + 0.35) + _BOTTOM


def _add_tiles(boxes: dict[tuple[Any, ...], Box], key: tuple[str, str], count: int, top: float, aspect: float) -> float:
    """Place one tile a segment, in the middle of its time; return their height."""
    cell = _TIME_WIDTH / count
    width = min(cell - 0.08, _TILE * aspect)
    for number in range(count):
        left = _LEFT + cell * number + (cell - width) / 2
        boxes[key[0], key[1], number] = Box(left, top, width, width / aspect)
    return width / aspect


@dataclass(frozen=True)
class _Canvas:
    """A figure, measured in inches."""

    figure: Figure
    height: float
    reasons: Reasons

    def axes(self, box: Box) -> Any:
        width, height = box.width / _WIDTH, box.height / self.height
        return self.figure.add_axes((box.left / _WIDTH, 1 - box.top / self.height - height, width, height))

    def time_axes(self, box: Box) -> Any:
        axes = self.axes(box)
        axes.set_xlim(self.reasons.start_s, self.reasons.end_s)
        axes.tick_params(axis="x", bottom=False, labelbottom=False)
        axes.spines[["top", "right", "bottom"]].set_visible(False)
        for start, _ in self.reasons.segments[1:]:
            axes.axvline(start, color=_EDGE, lw=0.7, ls=(0, (4, 4)), zorder=0)
        return axes

    def write(self, left: float, top: float, text: str, **style: Any) -> None:
        # Names are the user's: a dollar sign in them begins no formula.
        style = {"va": "center", "color": _INK, **style}
        self.figure.text(left / _WIDTH, 1 - top / self.height, text, parse_math=False, **style)

    def name(self, box: Box, name: str, about: str) -> None:
        """Write what a row is on its left."""
        lines = textwrap.wrap(name.replace("_", "_ "), 13)[:2] or [name]
        self.write(0.15, box.top, "\n".join(lines).replace("_ ", "_"), size=9, weight="bold", va="top")
        below = box.top + 0.17 * len(lines)
        self.write(0.15, below, "\n".join(textwrap.wrap(about, 21)[:5]), size=6.5, va="top")


# The parts


def _draw_attention(canvas: _Canvas, box: Box) -> None:
    reasons, axes = canvas.reasons, canvas.time_axes(box)
    for (start, end), weight in zip(reasons.segments, reasons.attention, strict=True):
        axes.bar((start + end) / 2, weight, width=0.94 * (end - start), color=_BLUE, alpha=0.75, lw=0)
        axes.annotate(
            f"{weight:.2f}", ((start + end) / 2, weight), (0, 2), textcoords="offset points", ha="center", size=7.5
        )
    axes.set_ylim(0, 1.3 * max(reasons.attention))
    axes.set_yticks([])
    axes.spines[["left", "bottom"]].set_visible(False)
    canvas.name(box, "attention", "weight of each segment")


def _draw_frames(canvas: _Canvas, video: VideoReasons, boxes: Mapping[tuple[Any, ...], Box]) -> None:
    most = float(video.maps.max()) or 1.0
    for number, (frame, time_s) in enumerate(zip(video.frames, video.times_s, strict=True)):
        box = boxes["frame", video.name, number]
        _draw_tile(canvas, box, frame, video.maps[number] / most)
        digits = 2 if len(video.frames) <= 15 else 0
        under = (box.left + box.width / 2, box.top + box.height + 0.1)
        canvas.write(*under, f"{time_s:.{digits}f} s", size=7, ha="center")
    edges = [*(start for start, _ in canvas.reasons.segments), canvas.reasons.end_s]
    _draw_strip(canvas, boxes["strip", video.name], edges, video.importance)
    canvas.name(boxes["frame", video.name, 0], video.name, "Grad-CAM over one frame of each segment")


def _draw_axes(canvas: _Canvas, sensor: SensorReasons, boxes: Mapping[tuple[Any, ...], Box]) -> None:
    start = canvas.reasons.start_s
    positions, rows = envelope(sensor.values, _COLUMNS)
    for number, axis in enumerate(sensor.axes):
        box = boxes["curve", sensor.name, number]
        axes = canvas.time_axes(box)
        axes.plot(start + positions / sensor.rate, rows[:, number], color=_INK, lw=0.9)
        axes.margins(y=0.08)
        axes.yaxis.set_major_locator(MaxNLocator(2))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.6g}"))
        axes.tick_params(axis="y", labelsize=6.5, length=2, pad=1.5)
        edges, importance = _binned(sensor.importance[number], sensor.rate, start)
        _draw_strip(canvas, boxes["strip", sensor.name, number], edges, importance)
        left = box.left + box.width + 0.07
        canvas.write(left, box.top + 0.13, _end_of(axis, 14), size=8, weight="bold")
        canvas.write(left, box.top + 0.3, f"at rest {sensor.at_rest[number]:.2f}", size=7)
    canvas.name(boxes["curve", sensor.name, 0], sensor.name, sensor.unit or "unit not given")


def _binned(importance: Floats, rate: float, start: float) -> tuple[Floats, Floats]:
    """Return edges in seconds and the largest importance between them: no more than the picture has columns."""
    count = len(importance)
    edges = np.unique(np.linspace(0, count, min(count, _COLUMNS) + 1).astype(int))
    return start + edges / rate, np.maximum.reduceat(importance, edges[:-1])


def _draw_strip(canvas: _Canvas, box: Box, edges: Sequence[float] | Floats, importance: Floats) -> None:
    axes = canvas.axes(box)
    axes.pcolormesh(edges, [0, 1], importance[None], cmap=_HEAT, norm=Normalize(0, canvas.reasons.most))
    axes.set(xlim=(canvas.reasons.start_s, canvas.reasons.end_s), xticks=[], yticks=[])
    axes.spines[:].set(lw=0.4, color=_GREY)


def _draw_seconds(canvas: _Canvas, box: Box) -> None:
    axes = canvas.axes(box)
    axes.set(xlim=(canvas.reasons.start_s, canvas.reasons.end_s), yticks=[])
    axes.spines[["top", "left", "right"]].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(12))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.tick_params(axis="x", labelsize=7.5)
    axes.set_xlabel("seconds", size=8, labelpad=1)


def _draw_fields(canvas: _Canvas, sensor: SensorReasons, boxes: Mapping[tuple[Any, ...], Box]) -> None:
    most = float(sensor.maps.max()) or 1.0
    for number, (field, (start, end)) in enumerate(zip(sensor.fields, sensor.windows, strict=True)):
        box = boxes["field", sensor.name, number]
        _draw_tile(canvas, box, field, sensor.maps[number] / most)
        times = _times(start, end, room=_TIME_WIDTH / len(sensor.fields))
        canvas.write(box.left + box.width / 2, box.top + box.height + 0.1, times, size=7, ha="center")
    about = f"Grad-CAM over the field of each window (that of {sensor.field_axis} is shown)"
    canvas.name(boxes["field", sensor.name, 0], sensor.name, about)


def _draw_tile(canvas: _Canvas, box: Box, image: Image, part: Floats) -> None:
    """Draw an image with its map, as parts of the row's largest, laid over it."""
    axes = canvas.axes(box)
    axes.set_axis_off()
    colour = image if image.ndim == 3 else np.repeat(image[:, :, None], 3, axis=2)
    axes.imshow(colour, extent=(0, 1, 1, 0), aspect="auto")
    # Places of the map are enlarged as the importance of time is, linearly.
    axes.imshow(part, extent=(0, 1, 1, 0), aspect="auto", cmap=_OVERLAY, vmin=0, vmax=1, interpolation="bilinear")


def _draw_colours(canvas: _Canvas, box: Box) -> None:
    axes = canvas.axes(box)
    bar = matplotlib.cm.ScalarMappable(Normalize(0, canvas.reasons.most), _HEAT)
    canvas.figure.colorbar(bar, cax=axes, orientation="horizontal")
    axes.tick_params(labelsize=7, length=2, pad=1.5)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    about = (
        "strips under the axes: one scale for all\n"
        "over frames and fields: each row to its own largest\n"
        "at rest: probability with the axis held at its mean"
    )
    title = f"for {_shortened(canvas.reasons.name, 24)}, {canvas.reasons.quantity}"
    canvas.write(box.left, box.top - 0.12, title, size=7.5, weight="bold")
    canvas.write(box.left, box.top + 0.32, about, size=6.5, va="top", linespacing=1.3)


def _draw_worth(canvas: _Canvas, box: Box) -> None:
    reasons = canvas.reasons
    axes = canvas.axes(box)
    rows = {"all": reasons.probability, **{f"without {_end_of(name, 18)}": p for name, p in reasons.without.items()}}
    for place, (label, probability) in enumerate(rows.items()):
        axes.barh(place, 1, color="#f1f1f1", height=0.7, lw=0)
        axes.barh(place, probability, color=_BLUE, alpha=0.75, height=0.7, lw=0)
        axes.text(1.02, place, f"{probability:.2f}", size=7.5, va="center_baseline", color=_INK)
        style = {"size": 7.5, "va": "center_baseline", "ha": "right", "color": _INK}
        axes.text(-0.02, place, label, parse_math=False, **style)
    axes.set(xlim=(0, 1), ylim=(len(rows) - 0.5, -0.5))
    axes.set_axis_off()
    title = _shortened(f"probability of {reasons.name}", 44)
    canvas.write(box.left, box.top - 0.12, title, size=7.5, weight="bold")
    canvas.write(box.left, box.top + box.height + 0.06, f"left out: {reasons.left_out}", size=6.5)


def _times(start: float, end: float, *, room: float) -> str:
    if room < 0.6:
        return f"{start:.0f} s"
    digits = 2 if room > 0.95 and end < 100 else 1 if end < 100 else 0
    return f"{start:.{digits}f} to {end:.{digits}f} s"


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _end_of(text: str, most: int) -> str:
    """Return a text of `most` letters, its end kept: names of axes and sensors differ there."""
    return text if len(text) <= most else f"…{text[1 - most :]}"
