"""Where the parts of a chart stand: numbers to the coordinates of a drawing, which the page's template makes SVG of.

Everything is in units of the drawing (about a pixel on a screen), from its upper left corner. Colours are the page's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

Points = Sequence[tuple[float, float]]
_WIDTH, _HEIGHT = 340.0, 225.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 46.0, 14.0, 12.0, 40.0
_STEPS = (1, 2, 2.5, 5, 10)


@dataclass(frozen=True)
class Line:
    """A line of a chart before it is drawn.

    Attributes
    ----------
    name : str
        In the legend.
    look : str
        A class of the page's style.
    points : sequence of (x, y)
    intervals : sequence of (low, high)
        Of y, one a point, or none.
    """

    name: str
    look: str
    points: Points
    intervals: Points = ()


@dataclass(frozen=True)
class Bin:
    """A bin of a reliability diagram.

    Attributes
    ----------
    low, high : float
        Its confidences, (low, high].
    accuracy, confidence : float
        Part of its predictions that is right, and their mean confidence.
    count : int
        Above 0.
    """

    low: float
    high: float
    accuracy: float
    confidence: float
    count: int


@dataclass(frozen=True)
class Tick:
    """A mark of an axis: where, and what stands there."""

    at: float
    text: str


@dataclass(frozen=True)
class DrawnLine:
    """A line in the drawing; `whiskers` are (x, y from, y to)."""

    name: str
    look: str
    points: tuple[tuple[float, float], ...]
    whiskers: tuple[tuple[float, float, float], ...] = ()


@dataclass(frozen=True)
class Bar:
    """A rectangle in the drawing, with the text that it shows to whoever points at it."""

    x: float
    y: float
    width: float
    height: float
    opacity: float
    about: str


@dataclass(frozen=True)
class Chart:
    """A drawing: its frame, axes and what stands within.

    Attributes
    ----------
    mark : Tick or None
        A vertical rule, and what the legend says of it.
    width, height, left, right, top, bottom : float
        The whole drawing, and where its axes stand.
    """

    title: str
    x_label: str
    y_label: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    lines: tuple[DrawnLine, ...]
    bars: tuple[Bar, ...] = ()
    mark: Tick | None = None
    width: float = _WIDTH
    height: float = _HEIGHT
    left: float = _LEFT
    right: float = _WIDTH - _RIGHT
    top: float = _TOP
    bottom: float = _HEIGHT - _BOTTOM


def ticks(low: float, high: float, most: int = 6, *, whole: bool = False) -> list[float]:
    """Return round numbers from `low` to `high`, at most `most` of them; with `whole` no fractions."""
    if high <= low:
        return [low]
    rough = (high - low) / max(1, most - 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * s for s in _STEPS if power * s >= rough * (1 - 1e-9))
    if whole:
        step = max(1.0, math.ceil(step))
    first = math.ceil(low / step - 1e-9)
    return [number * step for number in range(first, math.floor(high / step + 1e-9) + 1)]


def line_chart(
    title: str,
    lines: Sequence[Line],
    *,
    x_label: str,
    y_label: str,
    y_range: tuple[float, float] | None = None,
    whole_x: bool = False,
    mark: tuple[float, str] | None = None,
) -> Chart:
    """Lay out lines over a common axis.

    Parameters
    ----------
    lines : sequence of Line
        Points that are no finite numbers are left out.
    y_range : (low, high), optional
        None: from 0, or lower where the points are, to the highest point.
    whole_x : bool
        Whether the horizontal axis counts (epochs).
    mark : (x, text), optional
        A vertical rule.
    """
    finite = [
        Line(one.name, one.look, [p for p in one.points if all(map(math.isfinite, p))], one.intervals) for one in lines
    ]
    xs = [x for one in finite for x, _ in one.points] or [0.0]
    ys = [y for one in finite for _, y in one.points] or [1.0]
    low, high = y_range or (min(0.0, *ys, 0.0), max(*ys, 0.0) * 1.05 or 1.0)
    frame = _Frame(min(xs), max(xs), low, high)
    return Chart(
        title,
        x_label,
        y_label,
        tuple(Tick(frame.x(v), f"{v:g}") for v in ticks(min(xs), max(xs), 7, whole=whole_x)),
        tuple(Tick(frame.y(v), f"{v:g}") for v in ticks(low, high, 7)),
        tuple(frame.line(one) for one in finite),
        mark=Tick(frame.x(mark[0]), mark[1]) if mark else None,
    )


def reliability_chart(title: str, bins: Sequence[Bin]) -> Chart:
    """Lay out how often predictions of each confidence are right; on the diagonal confidence can be believed.

    Parameters
    ----------
    bins : sequence of Bin
        The fuller, the darker.
    """
    frame = _Frame(0.0, 1.0, 0.0, 1.0)
    fullest = max((one.count for one in bins), default=1)
    marks = ticks(0.0, 1.0)
    bars = [
        Bar(
            frame.x(one.low) + 0.75,
            frame.y(one.accuracy),
            frame.x(one.high) - frame.x(one.low) - 1.5,
            frame.y(0.0) - frame.y(one.accuracy),
            0.25 + 0.75 * one.count / fullest,
            f"confidence {one.low:.2f} to {one.high:.2f}: {one.accuracy:.3f} right, "
            f"mean confidence {one.confidence:.3f}, {one.count} predictions",
        )
        for one in bins
    ]
    lines = (
        frame.line(Line("right as often as sure", "ideal", [(0.0, 0.0), (1.0, 1.0)])),
        frame.line(Line("mean confidence of a bin", "dots", [(one.confidence, one.accuracy) for one in bins])),
    )
    return Chart(
        title,
        "confidence",
        "part that is right",
        tuple(Tick(frame.x(v), f"{v:g}") for v in marks),
        tuple(Tick(frame.y(v), f"{v:g}") for v in marks),
        lines,
        tuple(bars),
    )


@dataclass(frozen=True)
class _Frame:
    """The rectangle between the axes, and the numbers at its edges."""

    x_low: float
    x_high: float
    y_low: float
    y_high: float

    def x(self, value: float) -> float:
        part = (value - self.x_low) / (self.x_high - self.x_low) if self.x_high > self.x_low else 0.5
        return round(_LEFT + part * (_WIDTH - _RIGHT - _LEFT), 2)

    def y(self, value: float) -> float:
        part = (value - self.y_low) / (self.y_high - self.y_low) if self.y_high > self.y_low else 0.5
        return round(_HEIGHT - _BOTTOM - part * (_HEIGHT - _BOTTOM - _TOP), 2)

    def line(self, line: Line) -> DrawnLine:
        points = tuple((self.x(x), self.y(y)) for x, y in line.points)
        spans = zip(line.points, line.intervals, strict=True) if line.intervals else ()
        return DrawnLine(
            line.name, line.look, points, tuple((self.x(x), self.y(low), self.y(high)) for (x, _), (low, high) in spans)
        )
