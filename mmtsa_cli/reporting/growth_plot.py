"""A plot of how the cost grows with the work."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.ticker import NullFormatter

_BLUE, _GREY = "#1f5fa8", "#777777"
_COLUMNS = 4
_TOLD = 5


def plot_growth(path: Path, rows: Sequence[Mapping[str, Any]], exponents: Sequence[Mapping[str, Any]]) -> None:
    """Draw a panel for each thing that was measured, both axes logarithmic, beside lines of linear growth and of none.

    Parameters
    ----------
    path : Path
        Of a PNG file.
    rows : sequence of mapping
        `what`, `of`, `size`, `value`, `unit`.
    exponents : sequence of mapping
        `what`, `exponent`: the slope in these axes.
    """
    lines = -(-len(exponents) // _COLUMNS)
    figure, grid = plt.subplots(
        lines, _COLUMNS, figsize=(3.3 * _COLUMNS, 3 * lines), layout="constrained", squeeze=False
    )
    for axes in grid.flat[len(exponents) :]:
        axes.set_visible(False)
    for axes, about in zip(grid.flat, exponents, strict=False):
        _panel(axes, [row for row in rows if row["what"] == about["what"]], about["exponent"])
    # The date would make two equal plots differ.
    figure.savefig(path, dpi=110, metadata={"Software": "mmtsa"})
    plt.close(figure)


def _panel(axes: Any, rows: Sequence[Mapping[str, Any]], exponent: float) -> None:
    sizes, values = [row["size"] for row in rows], [row["value"] for row in rows]
    first, value = sizes[0], values[0]
    axes.plot(sizes, [value * size / first for size in sizes], ls="--", lw=0.8, color=_GREY, label="linear")
    axes.plot(sizes, [value for _ in sizes], ls=":", lw=0.9, color=_GREY, label="independent")
    axes.plot(sizes, values, "o-", color=_BLUE, ms=4, label="measured")
    axes.set(xscale="log", yscale="log", xlabel=rows[0]["of"], ylabel=rows[0]["unit"])
    low, high = min(values), max(*values, value * sizes[-1] / first)
    axes.set_ylim(low / 3, high * 2)
    # Sizes are few: each has its tick, and none of the logarithm's own; of many, powers of ten alone have a text.
    told = [size for size in sizes if len(sizes) <= _TOLD or math.log10(size).is_integer()]
    axes.set_xticks(sizes, [f"{size:g}" if size in told else "" for size in sizes])
    axes.yaxis.set_major_formatter("{x:g}")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_formatter(NullFormatter())
    axes.set_title(f"{rows[0]['what']}\ngrows as {rows[0]['of'].split()[0]} ^ {exponent:.2f}", fontsize=9)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=7)
