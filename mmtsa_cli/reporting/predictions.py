"""Predictions as text: JSON lines, CSV, and subtitles (SubRip and WebVTT)."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mmtsa_cli.errors import UsageError


@dataclass(frozen=True)
class Predicted:
    """What is said of a recording, or of a stretch of its time line.

    Attributes
    ----------
    recording : str
    start_s, end_s : float
        Seconds from the first frame of the recording's video; without one, from the first sample of its first sensor.
    name : str
        The class, "unknown" where the threshold was not reached.
    confidence : float
        The largest probability.
    probabilities : mapping of str to float
        By class, in the order of the run's classes.
    attention : tuple of float
        Weight of each segment; empty in a time line, whose stretches are of several windows.
    """

    recording: str
    start_s: float
    end_s: float
    name: str
    confidence: float
    probabilities: Mapping[str, float]
    attention: tuple[float, ...] = ()

    def likeliest(self, top: int | None) -> list[tuple[str, float]]:
        """Return the `top` likeliest classes, likeliest first; None: all of them."""
        ordered = sorted(self.probabilities.items(), key=lambda item: -item[1])
        return ordered[:top]


def to_text(predictions: Sequence[Predicted], form: str, *, top: int | None = None) -> str:
    """Return predictions in the format `form`.

    Parameters
    ----------
    predictions : sequence of Predicted
    form : "jsonl", "csv", "srt" or "vtt"
    top : int, optional
        Only so many of the likeliest classes; subtitles name one where None.

    Raises
    ------
    UsageError
        Subtitles of several recordings: they belong to one video.
    """
    recordings = {one.recording for one in predictions}
    if form in ("srt", "vtt") and len(recordings) > 1:
        raise UsageError(
            "subtitles are of one video",
            where=f"--format {form}",
            found=f"{len(recordings)} recordings",
            remedy="predict one recording, or choose csv or jsonl",
        )
    return _WRITERS[form](predictions, top)


def _json_lines(predictions: Sequence[Predicted], top: int | None) -> str:
    return "".join(json.dumps(_object(one, top), ensure_ascii=False) + "\n" for one in predictions)


def _object(one: Predicted, top: int | None) -> dict[str, Any]:
    row = {
        "recording": one.recording,
        "start_s": round(one.start_s, 3),
        "end_s": round(one.end_s, 3),
        "class": one.name,
        "confidence": round(one.confidence, 6),
        "probabilities": {name: round(p, 6) for name, p in one.likeliest(top)},
    }
    if one.attention:
        row["attention"] = [round(weight, 6) for weight in one.attention]
    return row


def _table(predictions: Sequence[Predicted], top: int | None) -> str:
    rows = [_row(one, top) for one in predictions]
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(dict.fromkeys(key for row in rows for key in row)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def _row(one: Predicted, top: int | None) -> dict[str, Any]:
    row: dict[str, Any] = {
        "recording": one.recording,
        "start_s": f"{one.start_s:.3f}",
        "end_s": f"{one.end_s:.3f}",
        "class": one.name,
        "confidence": f"{one.confidence:.6g}",
    }
    if top is None:
        # As predictions.csv of `eval` has them.
        row.update({f"p_{name}": f"{p:.6g}" for name, p in one.probabilities.items()})
    else:
        for rank, (name, p) in enumerate(one.likeliest(top), start=1):
            row.update({f"class_{rank}": name, f"p_{rank}": f"{p:.6g}"})
    row.update({f"attention_{number}": f"{weight:.6g}" for number, weight in enumerate(one.attention, start=1)})
    return row


def _subrip(predictions: Sequence[Predicted], top: int | None) -> str:
    blocks = []
    for number, one in enumerate(predictions, start=1):
        times = f"{_clock(one.start_s, ',')} --> {_clock(one.end_s, ',')}"
        blocks.append(f"{number}\n{times}\n{_caption(one, top)}\n")
    return "\n".join(blocks)


def _webvtt(predictions: Sequence[Predicted], top: int | None) -> str:
    blocks = ["WEBVTT\n"]
    for one in predictions:
        # What would be markup in a caption of WebVTT.
        caption = _caption(one, top).replace("&", "&amp;").replace("<", "&lt;")
        blocks.append(f"{_clock(one.start_s, '.')} --> {_clock(one.end_s, '.')}\n{caption}\n")
    return "\n".join(blocks)


def _caption(one: Predicted, top: int | None) -> str:
    lines = [f"{one.name} {one.confidence:.2f}"]
    lines += [f"{name} {p:.2f}" for name, p in one.likeliest(top or 1) if name != one.name and (top or 1) > 1]
    return "\n".join(lines)


def _clock(seconds: float, point: str) -> str:
    """Return "HH:MM:SS,mmm", or with another sign before the milliseconds; no subtitle begins before its video."""
    milliseconds = max(0, round(1000 * seconds))
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest // 1000:02}{point}{rest % 1000:03}"


_WRITERS: dict[str, Callable[[Sequence[Predicted], int | None], str]] = {
    "jsonl": _json_lines,
    "csv": _table,
    "srt": _subrip,
    "vtt": _webvtt,
}
FORMATS = tuple(_WRITERS)
