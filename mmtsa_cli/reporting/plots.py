"""Plots as PNG files: training curves, confusion matrix, accuracy against latency and against faults."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from numpy.typing import NDArray

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.ticker import LogLocator, NullFormatter
from matplotlib.transforms import Bbox

_BLUE, _ORANGE, _GREY = "#1f5fa8", "#d9702b", "#777777"


def plot_curves(path: Path, history: Sequence[Mapping[str, Any]], *, best_epoch: int, title: str) -> None:
    """Draw loss and accuracy by epoch, with validation where there is any, and mark the epoch that was kept."""
    epochs = [row["epoch"] for row in history]
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    left.plot(epochs, [row["loss"] for row in history], color=_BLUE, label="training loss")
    left.set(xlabel="epoch", ylabel="training loss", ylim=(0, None))
    right.plot(epochs, [row["accuracy"] for row in history], color=_BLUE, label="training accuracy")
    if history and "validation_accuracy" in history[0]:
        right.plot(epochs, [row["validation_accuracy"] for row in history], color=_ORANGE, label="validation accuracy")
        right.plot(
            epochs, [row["validation_macro_f1"] for row in history], color=_ORANGE, ls=":", label="validation macro F1"
        )
    right.set(xlabel="epoch", ylabel="part of the clips", ylim=(0, 1.02))
    for axes in (left, right):
        axes.axvline(best_epoch, color=_GREY, lw=0.8, ls="--", label=f"kept: epoch {best_epoch}")
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    right.legend(frameon=False, fontsize=8, loc="lower right")
    figure.suptitle(title, fontsize=11)
    _save(figure, path)


def plot_confusion(path: Path, matrix: NDArray[np.int64], classes: Sequence[str], *, title: str) -> None:
    """Draw a confusion matrix: rows are true classes and sum to 1 in colour; the numbers are clips."""
    count = len(classes)
    size = max(4.5, 0.36 * count + 2.5)
    figure, axes = plt.subplots(figsize=(size + 0.8, size), layout="constrained")
    rows = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    image = axes.imshow(rows, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(count), classes, rotation=90, fontsize=8)
    axes.set_yticks(range(count), classes, fontsize=8)
    axes.set(xlabel="predicted", ylabel="true")
    for row, column in zip(*np.nonzero(matrix), strict=True):
        colour = "white" if rows[row, column] > 0.55 else "black"
        axes.text(column, row, str(matrix[row, column]), ha="center", va="center", color=colour, fontsize=7)
    figure.colorbar(image, ax=axes, label="part of the true class", shrink=0.7)
    axes.set_title(title, fontsize=11)
    _save(figure, path)


def plot_accuracy_latency(path: Path, rows: Sequence[Mapping[str, Any]], *, title: str = "") -> None:
    """Draw accuracy against the time that a clip takes: one labelled point a system.

    Parameters
    ----------
    rows : sequence of mapping
        `name`, `accuracy` (0 to 1), `latency_ms`, and, where it is known, `interval_95` (low, high) of the accuracy.
        Rows without accuracy or latency are left out.
    """
    shown = [row for row in rows if row.get("accuracy") is not None and row.get("latency_ms")]
    figure, axes = plt.subplots(figsize=(10, 6.5), layout="constrained")
    for row in shown:
        low, high = row.get("interval_95") or (row["accuracy"], row["accuracy"])
        axes.plot([row["latency_ms"]] * 2, [low, high], color=_BLUE, alpha=0.35, lw=1.2, solid_capstyle="butt")
    times, scores = [row["latency_ms"] for row in shown], [row["accuracy"] for row in shown]
    axes.plot(times, scores, "o", color=_BLUE, ms=5)
    axes.set(xlabel="time of a clip, ms (logarithmic)", ylabel="accuracy", xscale="log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.margins(x=0.12, y=0.08)
    axes.grid(alpha=0.3, which="both")
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(title, fontsize=11)
    _label_points(axes, [(row["latency_ms"], row["accuracy"]) for row in shown], [row["name"] for row in shown])
    _save(figure, path)


def plot_robustness(path: Path, rows: Sequence[Mapping[str, Any]], *, sound: Mapping[str, Any]) -> None:
    """Draw how the accuracy falls as faults grow: one panel a fault, from sound clips on the left.

    Parameters
    ----------
    rows : sequence of mapping
        `fault`, `about` (what a strength says), `strength`, `accuracy` and its `interval_95`, by fault.
    sound : mapping
        `accuracy` and `interval_95` of the clips as they are.
    """
    faults = list(dict.fromkeys(row["fault"] for row in rows))
    columns = min(len(faults), 4)
    lines = -(-len(faults) // columns)
    figure, grid = plt.subplots(
        lines, columns, figsize=(3.2 * columns, 2.9 * lines), layout="constrained", sharey=True, squeeze=False
    )
    for axes in grid.flat[len(faults) :]:
        axes.set_visible(False)
    for axes, fault in zip(grid.flat, faults, strict=False):
        own = [{**sound, "strength": 0.0}, *(row for row in rows if row["fault"] == fault)]
        strengths = [row["strength"] for row in own]
        low, high = zip(*(row["interval_95"] for row in own), strict=True)
        axes.fill_between(strengths, low, high, color=_BLUE, alpha=0.15, lw=0)
        axes.plot(strengths, [row["accuracy"] for row in own], "o-", color=_BLUE, ms=4)
        about = next(row["about"] for row in rows if row["fault"] == fault)
        axes.set(title=fault, xlabel=about, ylim=(0, 1.02), xlim=(0, None))
        axes.xaxis.label.set_size(8)
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    for axes in grid[:, 0]:
        axes.set_ylabel("accuracy")
    _save(figure, path)


def _label_points(axes: Any, points: Sequence[tuple[float, float]], labels: Sequence[str]) -> None:
    """Write a label beside each point, where it covers least of the points and of the labels before it."""
    figure = axes.figure
    # What is in the way is measured in pixels, which are known when the axes stand where they will be.
    figure.draw_without_rendering()
    pixels = [axes.transData.transform(point) for point in points]
    taken = [Bbox.from_bounds(x - 4, y - 4, 8, 8) for x, y in pixels]
    for number in sorted(range(len(points)), key=lambda i: -points[i][1]):
        texts = [axes.annotate(labels[number], points[number], fontsize=8, **place) for place in _PLACES]
        boxes = [text.get_window_extent() for text in texts]
        costs = [_covered(box, taken, axes.bbox) + 2 * rank for rank, box in enumerate(boxes)]
        best = costs.index(min(costs))
        taken.append(boxes[best])
        for text in texts[:best] + texts[best + 1 :]:
            text.remove()


def _covered(box: Any, taken: Sequence[Any], within: Any) -> float:
    """Return the square pixels of `box` that are taken or outside."""
    inside = Bbox.intersection(box, within)
    outside = box.width * box.height - (inside.width * inside.height if inside else 0.0)
    common = [Bbox.intersection(box, other) for other in taken]
    return outside + sum(part.width * part.height for part in common if part)


def _places() -> list[dict[str, Any]]:
    """Return where a label may stand: on each side of its point, then farther away with a line to it."""
    across = {1: "left", -1: "right", 0: "center"}
    up = {1: "bottom", -1: "top", 0: "center"}
    sides = [(1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1)]
    line = {"arrowstyle": "-", "color": _GREY, "lw": 0.6, "shrinkA": 0, "shrinkB": 3}
    return [
        {
            "xytext": (x * distance, y * distance),
            "textcoords": "offset points",
            "ha": across[x],
            "va": up[y],
            "arrowprops": line if distance > 6 else None,
        }
        for distance in (6, 18, 32)
        for x, y in sides
    ]


_PLACES = _places()


def _save(figure: Any, path: Path) -> None:
    # The date would make two equal plots differ.
    figure.savefig(path, dpi=110, metadata={"Software": "mmtsa"})
    plt.close(figure)
