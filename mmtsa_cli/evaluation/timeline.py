"""Predictions of overlapping windows to a time line: the mean of those that cover a moment, equal neighbours joined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_SLIVER_S = 1e-6
Span = tuple[float, float]

UNKNOWN = "unknown"
"""The class of what is abstained from."""


@dataclass(frozen=True)
class Stretch:
    """A part of a recording with one class.

    Attributes
    ----------
    start_s, end_s : float
    name : str
        The class, or `UNKNOWN`.
    confidence : float
        The largest of `probabilities`: that of the class, where there is one.
    probabilities : (classes,) float array
        Mean over the stretch.
    """

    start_s: float
    end_s: float
    name: str
    confidence: float
    probabilities: NDArray[np.float64]


def window_spans(duration_s: float, window_s: float, hop_s: float) -> list[Span]:
    """Return the windows of a recording, every `hop_s` seconds, and one more at its end where something is left over.

    A recording that is shorter than the window is one window.
    """
    if duration_s <= window_s + _SLIVER_S:
        return [(0.0, duration_s)]
    count = int((duration_s - window_s) / hop_s + 1e-9) + 1
    spans = [(number * hop_s, number * hop_s + window_s) for number in range(count)]
    if spans[-1][1] < duration_s - _SLIVER_S:
        spans.append((duration_s - window_s, duration_s))
    return spans


class TimeLine:
    """Sums of what windows say of each cell of `hop_s` seconds: memory grows with cells, not with windows.

    Parameters
    ----------
    duration_s, hop_s : float
    classes : int
    """

    def __init__(self, duration_s: float, hop_s: float, classes: int) -> None:
        count = max(1, int(np.ceil((duration_s - _SLIVER_S) / hop_s)))
        self._edges = np.append(np.arange(count) * hop_s, duration_s)
        self._sums = np.zeros((count, classes))
        self._seconds = np.zeros(count)

    def add(self, span: Span, probabilities: NDArray[np.float64]) -> None:
        """Add what one window says, to each cell by the seconds of it that the window covers."""
        first = max(0, int(np.searchsorted(self._edges, span[0], side="right")) - 1)
        last = min(len(self._sums), int(np.searchsorted(self._edges, span[1])))
        starts, ends = self._edges[first:last], self._edges[first + 1 : last + 1]
        covered = np.maximum(np.minimum(ends, span[1]) - np.maximum(starts, span[0]), 0.0)
        self._sums[first:last] += covered[:, None] * probabilities
        self._seconds[first:last] += covered

    def cells(self) -> tuple[list[Span], NDArray[np.float64]]:
        """Return the cells and their probabilities, (cells, classes): the mean of the windows that cover each.

        Raises
        ------
        ValueError
            A cell that no window covers.
        """
        if not (self._seconds > 0).all():
            raise ValueError("windows leave a part of the recording out")
        spans = [(float(a), float(b)) for a, b in zip(self._edges[:-1], self._edges[1:], strict=True)]
        return spans, self._sums / self._seconds[:, None]


def name_of(probabilities: NDArray[np.float64], classes: Sequence[str], threshold: float) -> str:
    """Return the likeliest class, `UNKNOWN` where its probability is below the threshold."""
    best = int(probabilities.argmax())
    return classes[best] if probabilities[best] >= threshold else UNKNOWN


def stretches(
    spans: Sequence[Span], probabilities: NDArray[np.float64], classes: Sequence[str], *, threshold: float = 0.0
) -> list[Stretch]:
    """Join neighbouring spans of one class.

    The probabilities of a stretch are the mean over its seconds. They have the same likeliest class as each of its
    spans, and stay on the same side of the threshold.

    Parameters
    ----------
    spans : sequence of (start_s, end_s)
        One after the other.
    probabilities : (n, classes) float array
    classes : sequence of str
    threshold : float
        Below this probability a span is `UNKNOWN`; 0: none is.
    """
    found: list[tuple[str, int, int]] = []
    for number, row in enumerate(probabilities):
        name = name_of(row, classes, threshold)
        if found and found[-1][0] == name:
            found[-1] = (name, found[-1][1], number + 1)
        else:
            found.append((name, number, number + 1))
    lengths = np.array([end - start for start, end in spans])
    joined = []
    for name, first, last in found:
        mean = np.average(probabilities[first:last], axis=0, weights=lengths[first:last])
        joined.append(Stretch(spans[first][0], spans[last - 1][1], name, float(mean.max()), mean))
    return joined
