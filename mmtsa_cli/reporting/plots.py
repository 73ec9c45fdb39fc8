"""Plots as PNG files: training curves, confusion matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from numpy.typing import NDArray

matplotlib.use("Agg")

import matplotlib.pyplot as plt

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


def _save(figure: Any, path: Path) -> None:
    # The date would make two equal plots differ.
    figure.savefig(path, dpi=110, metadata={"Software": "mmtsa"})
    plt.close(figure)
