"""A picture of one clip: its frames over its sensors' curves on one time axis, and what is drawn from it below them."""

from __future__ import annotations

import io
import textwrap
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from mmtsa_cli.artifacts.directory import replace_file
from mmtsa_cli.reporting.clip_layout import (
    MARKS,
    Box,
    ClipPicture,
    Image,
    Layout,
    SensorRow,
    Span,
    VideoRow,
    lanes,
    lay_out,
)

DPI = 110
FORMATS = ("png", "svg")
# Okabe and Ito's colours, which people tell apart whatever their eyes.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
_INK, _DRAWN, _EDGE = "#222222", "#7a4fa3", "#555555"
_BINS = 1000
_NAMED_AXES = 6


def envelope(values: NDArray[Any], bins: int = _BINS) -> tuple[NDArray[np.float64], NDArray[Any]]:
    """Thin out a series that has more samples than a picture has columns, keeping every peak.

    Parameters
    ----------
    values : (n, C) array
    bins : int
        A series of more than two samples a bin becomes the minimum and the maximum of every bin.

    Returns
    -------
    positions : (m,) float64
        Where the rows stand, in samples.
    rows : (m, C)
    """
    count = len(values)
    if count <= 2 * bins:
        return np.arange(count, dtype=np.float64), values
    edges = np.linspace(0, count, bins + 1).astype(int)
    both = [extreme.reduceat(values, edges[:-1]) for extreme in (np.minimum, np.maximum)]
    centres = (edges[:-1] + edges[1:] - 1) / 2
    return np.repeat(centres, 2), np.stack(both, axis=1).reshape(-1, values.shape[1])


def write_clip(path: Path, clip: ClipPicture) -> None:
    """Write the picture, whole or not at all, in the format that the name's ending says (`FORMATS`).

    Raises
    ------
    OSError
        The file cannot be written.
    """
    layout = lay_out(clip)
    figure = Figure(figsize=(layout.width, layout.height), dpi=DPI)
    _draw_heading(figure, clip, layout)
    for video in clip.videos:
        _draw_overview(figure, video, clip, layout)
    if clip.sensors:
        _draw_windows(figure, clip, layout)
    for sensor in clip.sensors:
        _draw_curves(figure, sensor, clip, layout)
    _draw_time_axis(figure, clip)
    _draw_edges(figure, clip, layout)
    _draw_captions(figure, clip, layout)
    for sensor in clip.sensors:
        _draw_fields(figure, sensor, layout)
    for video in clip.videos:
        _draw_frames(figure, video, layout)
    replace_file(path, _encoded(figure, path.suffix.lower().lstrip(".")))


def _encoded(figure: Figure, form: str) -> bytes:
    import matplotlib

    buffer = io.BytesIO()
    # Dates and random names would make two equal pictures differ.
    metadata: dict[str, Any] = {"Software": "mmtsa"} if form == "png" else {"Date": None}
    with warnings.catch_warnings(), matplotlib.rc_context({"svg.hashsalt": "mmtsa"}):
        # A name in a script that the font lacks is shown as boxes; the picture is still of use.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        figure.savefig(buffer, format=form, dpi=DPI, metadata=metadata)
    return buffer.getvalue()


# The parts


def _draw_heading(figure: Figure, clip: ClipPicture, layout: Layout) -> None:
    _write(figure, layout, 0.15, 0.25, _shortened(clip.title, 90), size=13, weight="bold")
    _write(figure, layout, 0.15, 0.5, _shortened(clip.subtitle, 140), size=9.5)


def _draw_overview(figure: Figure, video: VideoRow, clip: ClipPicture, layout: Layout) -> None:
    box = layout.boxes["overview", video.name]
    axes = _time_axes(figure, box, clip, layout)
    half = 0.485 * clip.duration_s / len(video.overview)
    for time_s, picture in video.overview:
        _show(axes, picture, extent=(time_s - half, time_s + half, 0, 1))
    axes.set(xlim=(0, clip.duration_s), ylim=(0, 1), yticks=[])
    axes.spines[:].set_visible(False)
    # Below the frames, in inches, however tall the row is.
    times = [time_s for time_s, _ in video.frames]
    axes.plot(times, [-0.5 * MARKS / box.height] * len(times), "^", color=_DRAWN, ms=6, clip_on=False)
    _name_row(figure, layout, box, video.name, "▲ drawn frame")


def _draw_windows(figure: Figure, clip: ClipPicture, layout: Layout) -> None:
    box = layout.boxes["windows",]
    axes = _time_axes(figure, box, clip, layout)
    windows = clip.sensors[0].windows
    lines = lanes(windows)
    for number, ((start, end), line) in enumerate(zip(windows, lines, strict=True), start=1):
        axes.barh(line, end - start, left=start, height=0.74, color=_DRAWN, alpha=0.25, lw=0)
        axes.text((start + end) / 2, line, str(number), size=7, ha="center", va="center_baseline", color=_INK)
    axes.set(xlim=(0, clip.duration_s), ylim=(max(lines) + 0.5, -0.5), yticks=[])
    axes.spines[:].set_visible(False)
    _name_row(figure, layout, box, "drawn windows", "")


def _draw_curves(figure: Figure, sensor: SensorRow, clip: ClipPicture, layout: Layout) -> None:
    box = layout.boxes["curves", sensor.name]
    axes = _time_axes(figure, box, clip, layout)
    for start, end in sensor.windows:
        axes.axvspan(start, end, color=_DRAWN, alpha=0.1, lw=0)
    positions, rows = envelope(sensor.values)
    for number, values in enumerate(rows.T):
        axes.plot(positions / sensor.rate, values, lw=1, **_style(number))
    axes.set(xlim=(0, clip.duration_s))
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.7g}"))
    axes.tick_params(axis="y", labelsize=7.5)
    axes.grid(axis="y", alpha=0.3, lw=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    _name_row(figure, layout, box, sensor.name, sensor.unit or "unit not given")
    _name_axes(figure, layout, box, sensor.axes)


def _style(number: int) -> dict[str, Any]:
    lines = ("-", "--", ":", "-.")
    return {"color": _COLOURS[number % len(_COLOURS)], "ls": lines[number // len(_COLOURS) % len(lines)]}


def _name_axes(figure: Figure, layout: Layout, box: Box, names: Sequence[str]) -> None:
    """Write the axes' names in their colours on the right; of many the first ones."""
    shown = names if len(names) <= _NAMED_AXES else names[: _NAMED_AXES - 1]
    left = box.left + box.width + 0.08
    for number, name in enumerate(shown):
        top = box.top + 0.1 + 0.19 * number
        line = Line2D(*_points(layout, (left, left + 0.2), (top, top)), lw=1.5, **_style(number))
        figure.add_artist(line)
        _write(figure, layout, left + 0.25, top, _shortened(name, 11), size=7.5)
    if len(shown) < len(names):
        _write(figure, layout, left, box.top + 0.1 + 0.19 * len(shown), f"and {len(names) - len(shown)} more", size=7.5)


def _draw_time_axis(figure: Figure, clip: ClipPicture) -> None:
    """Write the seconds below the last panel of the time axis."""
    axes = figure.axes[-1]
    if not clip.sensors:
        # Clear of the marks of drawn frames.
        axes.spines["bottom"].set_position(("outward", 72 * MARKS))
    axes.tick_params(axis="x", bottom=True, labelbottom=True, labelsize=8)
    axes.spines["bottom"].set_visible(True)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_xlabel("seconds", size=8.5, labelpad=1)


def _draw_edges(figure: Figure, clip: ClipPicture, layout: Layout) -> None:
    """Draw the borders of the segments through all panels of the time axis."""
    panels = [box for key, box in layout.boxes.items() if key[0] in ("overview", "windows", "curves")]
    ends = (panels[0].top - 0.06, panels[-1].top + panels[-1].height)
    for time_s in (*(start for start, _ in clip.segments), clip.segments[-1][1]):
        x = panels[0].left + panels[0].width * time_s / clip.duration_s
        line = Line2D(*_points(layout, (x, x), ends), color=_EDGE, lw=0.9, ls=(0, (5, 4)))
        figure.add_artist(line)


def _draw_captions(figure: Figure, clip: ClipPicture, layout: Layout) -> None:
    box = layout.boxes["captions",]
    cell = box.width / len(clip.segments)
    windows: Sequence[Span | None] = clip.sensors[0].windows if clip.sensors else [None] * len(clip.segments)
    long, short = cell > 1.7, cell < 1.15
    # Three digits before the point leave less room.
    size = 8 if long else 7 if clip.duration_s < 100 else 6.3
    for number, (segment, window) in enumerate(zip(clip.segments, windows, strict=True)):
        lines = [f"{'segment ' if long else ''}{number + 1}" + ("" if short else f": {_span(*segment)} s")]
        if window and not short:
            lines.append(f"window {_span(*window)}" + (" s" if long else ""))
        centre = box.left + cell * (number + 0.5)
        _write(figure, layout, centre, box.top + 0.2, "\n".join(lines), size=size, ha="center")


def _draw_fields(figure: Figure, sensor: SensorRow, layout: Layout) -> None:
    for number, field in enumerate(sensor.fields):
        _show(_bare_axes(figure, layout.boxes["field", sensor.name, number], layout), field)
    _name_row(figure, layout, layout.boxes["field", sensor.name, 0], sensor.name, sensor.caption)


def _draw_frames(figure: Figure, video: VideoRow, layout: Layout) -> None:
    for number, (time_s, picture) in enumerate(video.frames):
        box = layout.boxes["frame", video.name, number]
        _show(_bare_axes(figure, box, layout), picture)
        place = (box.left + box.width / 2, box.top + box.height + 0.11)
        _write(figure, layout, *place, f"{time_s:.2f} s", size=7.5, ha="center")
    _name_row(figure, layout, layout.boxes["frame", video.name, 0], video.name, "drawn frames")


# What they are made of


def _time_axes(figure: Figure, box: Box, clip: ClipPicture, layout: Layout) -> Any:
    axes = _axes(figure, box, layout)
    axes.set_xlim(0, clip.duration_s)
    axes.xaxis.set_major_locator(MaxNLocator(12))
    axes.tick_params(axis="x", bottom=False, labelbottom=False)
    return axes


def _bare_axes(figure: Figure, box: Box, layout: Layout) -> Any:
    axes = _axes(figure, box, layout)
    axes.set_axis_off()
    return axes


def _axes(figure: Figure, box: Box, layout: Layout) -> Any:
    width, height = box.width / layout.width, box.height / layout.height
    return figure.add_axes((box.left / layout.width, 1 - box.top / layout.height - height, width, height))


def _show(axes: Any, image: Image, *, extent: tuple[float, float, float, float] | None = None) -> None:
    # In colour, as a grey image would go through a colour map that rounds its values.
    colour = image if image.ndim == 3 else np.repeat(image[:, :, None], 3, axis=2)
    axes.imshow(colour, extent=extent, aspect="auto")


def _name_row(figure: Figure, layout: Layout, box: Box, name: str, about: str) -> None:
    lines = textwrap.wrap(name.replace("_", "_ "), 15) or [name]
    text = "\n".join(line.replace("_ ", "_") for line in lines[:3])
    _write(figure, layout, 0.15, box.top, text, size=9, weight="bold", va="top")
    if about:
        below = box.top + 0.17 * len(lines[:3])
        _write(figure, layout, 0.15, below, "\n".join(textwrap.wrap(about, 21)[:5]), size=7.5, va="top")


def _write(figure: Figure, layout: Layout, left: float, top: float, text: str, **style: Any) -> None:
    # Names are the user's: a dollar sign in them begins no formula.
    style = {"va": "center", "color": _INK, **style}
    figure.text(left / layout.width, 1 - top / layout.height, text, parse_math=False, **style)


def _points(layout: Layout, x: Span, y: Span) -> tuple[list[float], list[float]]:
    """Return points in inches as parts of the figure."""
    return [value / layout.width for value in x], [1 - value / layout.height for value in y]


def _span(start_s: float, end_s: float) -> str:
    digits = 2 if end_s < 100 else 1
    return f"{start_s:.{digits}f} to {end_s:.{digits}f}"


def _shortened(text: str, most: int) -> str:
    """Return a text of `most` letters, its end kept: names of axes differ there."""
    return text if len(text) <= most else f"…{text[1 - most :]}"
