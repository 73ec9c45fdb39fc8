"""A row of a stream, and its stamp as seconds: plain numbers whose unit the first ones tell, or dates with time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmtsa_cli.errors import DataError
from mmtsa_cli.recordings.stamps import is_date_time, seconds_of_numbers, seconds_of_texts

_PROBATION = 8
"""Stamps of a sensor by which their unit is told."""


@dataclass(frozen=True)
class Row:
    """One sample of one sensor.

    Attributes
    ----------
    modality : str
    time_s : float
        Its stamp in seconds; of a stream without stamps, the arrival.
    values : (C,) float64
    arrival_s : float
        When it came, on this machine's monotonic clock.
    """

    modality: str
    time_s: float
    values: NDArray[np.float64]
    arrival_s: float


class Stamps:
    """Stamps as they stand in rows, as seconds: their unit is told by the first ones, and kept.

    Parameters
    ----------
    rates : mapping of str to float
        Samples a second of each sensor.

    Attributes
    ----------
    name : str or None
        What the stream calls its stamps, which may say their unit.
    """

    def __init__(self, rates: Mapping[str, float]) -> None:
        self._rates = dict(rates)
        self._waiting: list[Row] = []
        self._per_second: float | None = None
        self.name: str | None = None

    def seconds(self, row: Row, *, dated: bool) -> Iterator[Row]:
        """Yield a row, or those that waited with it, with stamps in seconds."""
        if self._per_second is None:
            self._waiting.append(row)
            own = [one.time_s for one in self._waiting if one.modality == row.modality]
            if dated:
                self._per_second = 1.0
            elif len(own) >= _PROBATION or self._is_plain(row.time_s):
                self._per_second = self._unit(np.array(own), row.modality)
            else:
                return
            yield from self.release()
        else:
            yield replace(row, time_s=row.time_s / self._per_second)

    def release(self) -> Iterator[Row]:
        """Yield the rows that waited."""
        waiting, self._waiting = self._waiting, []
        if waiting and self._per_second is None:
            modality = waiting[0].modality
            self._per_second = self._unit(np.array([r.time_s for r in waiting if r.modality == modality]), modality)
        for row in waiting:
            yield replace(row, time_s=row.time_s / (self._per_second or 1.0))

    def _is_plain(self, number: float) -> bool:
        """Whether one stamp tells: it counts from 1970, or its name says a unit that is not the second."""
        found = seconds_of_numbers(np.array([number]), name=self.name, rate=None)
        return found is not None and (found[1] == "absolute" or bool(found[0][0] != number))

    def _unit(self, numbers: NDArray[np.float64], modality: str) -> float:
        """Return how many of the stamps' units a second has.

        Raises
        ------
        DataError
            It cannot be told.
        """
        found = seconds_of_numbers(numbers, name=self.name, rate=self._rates[modality])
        if found is None:
            raise DataError(
                "stamps whose unit cannot be told",
                where="standard input",
                found=f"{numbers[0]:g} to {numbers[-1]:g}",
                remedy="call them time_s, time_ms, time_us or time_ns",
            )
        largest = int(np.abs(numbers).argmax())
        return float(round(numbers[largest] / found[0][largest])) if found[0][largest] else 1.0


def is_dated(stamp: Any) -> bool:
    """Whether a stamp is a date with time."""
    return isinstance(stamp, str) and is_date_time(stamp)


def number_of(stamp: Any) -> float | None:
    """Return a stamp as a number, a date with time as seconds since 1970; None of what is neither."""
    if is_dated(stamp):
        seconds, _ = seconds_of_texts([stamp.strip()])
        return float(seconds[0]) if np.isfinite(seconds[0]) else None
    try:
        number = float(stamp)
    except (TypeError, ValueError):
        return None
    return number if np.isfinite(number) else None
