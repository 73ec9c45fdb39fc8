"""Timestamps as they stand in files, as seconds: numbers of several units, dates with times, names of columns."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Clock = Literal["relative", "absolute"]

_NAME = re.compile(
    r"(?:unix_?|sensor_?|event_?|elapsed_?|sample_?|utc_?|epoch_?)?(?:time_?stamps?|date_?time|time|epoch|ts|t)"
    r"(?:_(?P<unit>s|sec|seconds?|ms|msec|milliseconds?|us|usec|microseconds?|ns|nsec|nanoseconds?|utc|iso))?"
    r"|(?P<whole>seconds)(?:_elapsed)?|elapsed"
)
_PER_SECOND = {"s": 1.0, "sec": 1.0, "ms": 1e3, "mse": 1e3, "mil": 1e3, "us": 1e6, "use": 1e6, "mic": 1e6, "ns": 1e9}
_PER_SECOND |= {"nse": 1e9, "nan": 1e9}
_DATE_TIME = re.compile(r"(\d{4})-?(\d\d)-?(\d\d)[T _](\d\d):?(\d\d):?(\d\d)(?:[.,](\d{1,9}))?\s*(Z|[+-]\d\d:?\d\d)?")
_EPOCH_RANGE = (9.46e8, 4.1e9)
"""Seconds since 1970 from the year 2000 to 2099: what numbers of these sizes must be."""


def is_time_name(name: str) -> bool:
    """Whether a column of this name holds timestamps ("timestamp", "Time (s)", "t", "time_ms", "epoch", ...)."""
    return _NAME.fullmatch(_plain(name)) is not None


def is_date_time(text: str) -> bool:
    """Whether a text is a date with a time: ISO 8601, or `20181115_12:11:59.123` as in MMAct."""
    return _DATE_TIME.fullmatch(text.strip()) is not None


def seconds_of_texts(texts: Sequence[str]) -> tuple[NDArray[np.float64], int | None]:
    """Return dates with times as seconds of the Unix epoch, and the index of the first text that is none.

    A time without zone counts as UTC. An empty text gives NaN.
    """
    seconds = np.full(len(texts), np.nan)
    day, day_start = "", 0.0
    for index, text in enumerate(texts):
        if not text:
            continue
        match = _DATE_TIME.fullmatch(text)
        if match is None:
            return seconds, index
        year, month, date, hour, minute, second, fraction, zone = match.groups()
        if year + month + date != day:
            try:
                start = datetime(int(year), int(month), int(date), tzinfo=timezone.utc)
            except ValueError:
                return seconds, index
            day, day_start = year + month + date, start.timestamp()
        within = int(hour) * 3600 + int(minute) * 60 + int(second)
        seconds[index] = day_start + within + (float(f".{fraction}") if fraction else 0.0) - _zone_seconds(zone)
    return seconds, None


def seconds_of_numbers(
    values: NDArray[np.float64], *, name: str | None, rate: float | None
) -> tuple[NDArray[np.float64], Clock] | None:
    """Return numeric stamps as seconds with their clock; None where their unit cannot be told.

    Sizes that stand for years 2000 to 2099 are seconds, milli-, micro- or nanoseconds of the Unix epoch. Others are
    relative: their unit is the one that the column's name says, else the one that agrees with `rate`, else seconds; but
    whole numbers with steps above 1, which are milliseconds or less as often as not, stay without.
    """
    finite = values[np.isfinite(values)]
    if not len(finite):
        return values, "relative"
    size = float(np.median(finite))
    for per_second in (1.0, 1e3, 1e6, 1e9):
        if _EPOCH_RANGE[0] <= size / per_second <= _EPOCH_RANGE[1]:
            return values / per_second, "absolute"
    steps = np.diff(finite)
    step = float(np.median(steps[steps > 0])) if np.any(steps > 0) else 0.0
    known = _unit_of_name(name) or _unit_by_rate(step, rate)
    if known is None and step > 1 and bool(np.all(finite == np.round(finite))):
        return None
    return (values / known if known else values), "relative"


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def _unit_of_name(name: str | None) -> float | None:
    match = _NAME.fullmatch(_plain(name)) if name else None
    if match is None:
        return None
    unit = match["unit"] or match["whole"]
    return _PER_SECOND.get(unit[:3]) if unit else None


def _unit_by_rate(step: float, rate: float | None) -> float | None:
    """Return how many of the stamps' units a second has, where the nominal rate tells."""
    if rate is None or step <= 0:
        return None
    for per_second in (1.0, 1e3, 1e6, 1e9):
        if 0.3 < step * rate / per_second < 3:
            return per_second
    return None


def _zone_seconds(zone: str | None) -> float:
    if not zone or zone == "Z":
        return 0.0
    hours, minutes = int(zone[1:3]), int(zone[-2:])
    return (hours * 3600 + minutes * 60) * (-1 if zone[0] == "-" else 1)
