"""Reading a sensor's file: the one way from CSV, TSV, TXT, `.mat`, `.npy` and a GoPro's video to a `Series`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mmtsa_cli.errors import DataError, did_you_mean
from mmtsa_cli.recordings.cleaning import RawSeries, fill_gaps, in_order, measured_rate, without_repeats
from mmtsa_cli.recordings.index import ModalitySpec
from mmtsa_cli.recordings.series import Series
from mmtsa_cli.recordings.stamps import Clock, is_date_time, is_time_name, seconds_of_numbers, seconds_of_texts

_ROWS_LOOKED_AT = 50
_CAMERA_ENDINGS = (".mp4", ".mov", ".360", ".lrv")


class Table(Protocol):
    """What every file format gives: columns, counted from 0."""

    @property
    def path(self) -> Path:
        """The file."""

    @property
    def names(self) -> tuple[str, ...] | None:
        """The header, None where there is none."""

    @property
    def width(self) -> int:
        """Number of columns."""

    def name(self, column: int) -> str:
        """Return how messages call a column."""

    def is_text(self, column: int) -> bool:
        """Whether a column holds texts."""

    def numbers(self, columns: Sequence[int]) -> NDArray[Any]:
        """Return columns as numbers, (n, C)."""

    def texts(self, column: int) -> list[str]:
        """Return a column as texts."""

    def place(self, index: int) -> str:
        """Return "FILE, row R" of a sample."""


def read_series(path: Path, spec: ModalitySpec, *, max_gap_s: float = 0.5, default_rate: float | None = None) -> Series:
    """Read what one sensor recorded, its times put in order and its gaps filled.

    Parameters
    ----------
    path : Path
        Text (CSV, TSV: any usual delimiter, encoding, decimal sign), `.mat`, `.npy`, or a GoPro's video with its
        telemetry; `-` is text on standard input.
    spec : ModalitySpec
        Which columns, time column and variable; `rate` where the file has no timestamps.
    max_gap_s : float
        The longest gap, in seconds, that is filled by interpolation.
    default_rate : float, optional
        What is taken where the file has no timestamps and `spec` no rate; None: that is refused.

    Raises
    ------
    DataError, ManyErrors
        What is wrong with the file, with row and column; see `cleaning` for what is put right instead.
    """
    raw = read_raw(path, spec, max_gap_s=max_gap_s, default_rate=default_rate)
    return fill_gaps(raw, max_gap_s=max_gap_s)


def read_raw(
    path: Path,
    spec: ModalitySpec,
    *,
    max_gap_s: float = 0.5,
    default_rate: float | None = None,
    duration_s: float | None = None,
) -> RawSeries:
    """Read a series with its times in order; gaps are neither filled nor refused (`cleaning.fill_gaps` does).

    Parameters
    ----------
    path, spec, max_gap_s, default_rate
        As of `read_series`.
    duration_s : float, optional
        Where the file has no timestamps: the time that its samples are spread over evenly, whatever the rate says.

    Raises
    ------
    DataError, ManyErrors
        As `read_series`, but for gaps, missing and infinite values.
    """
    table = _open(path, spec)
    time = _time_column(table, spec)
    axes = _axes(table, spec, time)
    rate = spec.rate or default_rate
    if time is None and rate is None and duration_s is None:
        raise DataError(
            "no column of timestamps and no rate",
            where=str(path),
            found=f"{table.width} columns" + (f": {', '.join(table.names)}" if table.names else " without header"),
            remedy="give the rate in Hz, or the number of the time column",
        )
    stamps, clock, values = _stamps_and_values(table, spec, time, axes)
    if len(values) < 2:
        rows = "one row" if len(values) else "no rows"
        raise DataError(rows, where=str(path), expected="a series of at least two samples")
    channels = tuple((table.names and table.names[axis]) or f"c{axis + 1}" for axis in axes)
    if stamps is None:
        steps = len(values) / duration_s if duration_s else float(rate or 0)
        return RawSeries(np.arange(len(values)) / steps, values, channels, steps, "relative", table.place)
    kept = without_repeats(stamps, values)
    place = table.place
    notes: tuple[str, ...] = ()
    if kept is not None:
        notes = (f"{len(stamps) - len(kept)} repeated rows left out",)
        stamps, values = stamps[kept], values[kept]
        place = lambda index: table.place(int(kept[index]))  # noqa: E731
    times, order, repairs = in_order(stamps, max_gap_s=max_gap_s, place=place)
    values, notes = values if order is None else values[order], (*notes, *repairs)
    if spec.timing == "rate" and spec.rate:
        times = times[0] + np.arange(len(times)) / spec.rate
    rate = spec.rate or measured_rate(times, max_gap_s=max_gap_s)
    return RawSeries(times, values, channels, rate, clock, place, order, notes)


def first_stamp(path: Path, spec: ModalitySpec) -> float | None:
    """Return the first stamp of an absolute clock, in seconds of the Unix epoch, looking only at the first rows.

    None where the clock is relative or there are no stamps.

    Raises
    ------
    DataError
        The file cannot be read as a series.
    """
    table = _open(path, spec)
    time = _time_column(table, spec)
    if time is None:
        return None
    stamps, clock = _stamps(table, spec, time, _first_cells(table, time))
    return float(np.nanmin(stamps)) if clock == "absolute" and np.isfinite(stamps).any() else None


def read_stamps(path: Path, spec: ModalitySpec) -> NDArray[np.float64] | None:
    """Return the stamps of a file in seconds as they stand there, neither sorted nor spread; None without stamps.

    Returns
    -------
    (n,) float64 or None
        NaN where missing.

    Raises
    ------
    DataError
        The file cannot be read as a series.
    """
    table = _open(path, spec)
    time = _time_column(table, spec)
    if time is None:
        return None
    is_text = isinstance((_first_cells(table, time) or [0.0])[0], str)
    cells = table.texts(time) if is_text else np.asarray(table.numbers([time])[:, 0], dtype=np.float64)
    return _stamps(table, spec, time, cells)[0]


def _open(path: Path, spec: ModalitySpec) -> Table:
    from mmtsa_cli.recordings import arrays

    if str(path) != "-" and not path.exists():
        raise DataError("no such file", where=str(path))
    suffix = path.suffix.lower()
    if suffix == ".mat":
        return arrays.open_mat(path, spec.variable)
    if suffix == ".npy":
        return arrays.open_npy(path)
    if suffix in _CAMERA_ENDINGS:
        from mmtsa_cli.recordings.telemetry import open_telemetry

        return open_telemetry(path, spec.variable)
    from mmtsa_cli.recordings.delimited import open_table

    return open_table(path)


def _time_column(table: Table, spec: ModalitySpec) -> int | None:
    """Return the column of timestamps, counted from 0, or None."""
    if spec.time is not None:
        return _column(table, spec.time, "time")
    if table.names:
        return next((index for index, name in enumerate(table.names) if is_time_name(name)), None)
    if table.width < 2 or (spec.columns is not None and 1 in spec.columns):
        return None
    cells = _first_cells(table, 0)
    if cells and isinstance(cells[0], str):
        return 0 if is_date_time(cells[0]) else None
    return 0 if spec.rate is None and _looks_like_time(np.asarray(cells, dtype=np.float64)) else None


def _looks_like_time(numbers: NDArray[np.float64]) -> bool:
    """Whether numbers increase strictly, by nearly equal steps: an axis of a sensor hardly ever does."""
    steps = np.diff(numbers[np.isfinite(numbers)])
    return len(steps) > 1 and bool(np.all(steps > 0)) and float(steps.max()) <= 10 * float(np.median(steps))


def _first_cells(table: Table, column: int) -> list[Any]:
    """Return the first cells of a column: texts where the first one is a text, else numbers, NaN for what is none.

    A text among numbers is told, with its row, where the whole column is read.
    """
    sample = getattr(table, "sample", None)
    if sample is None:
        return [float(value) for value in table.numbers([column])[:_ROWS_LOOKED_AT, 0]]
    cells = [row[column] for row in sample if column < len(row)]
    numbers = [_number(cell) for cell in cells]
    known = [number for number in numbers if number is not None]
    return cells if len(known) < len(cells) / 2 else [np.nan if number is None else number for number in numbers]


def _number(cell: str) -> float | None:
    try:
        return float(cell.replace(",", "."))
    except ValueError:
        return None


def _axes(table: Table, spec: ModalitySpec, time: int | None) -> list[int]:
    if spec.columns is not None:
        return [_column(table, column, "columns") for column in spec.columns]
    timelike = {index for index, name in enumerate(table.names or ()) if is_time_name(name)} | {time}
    if table.names and not table.names[0]:
        # The numbers of rows that pandas and R write before the first column.
        timelike.add(0)
    axes = [column for column in range(table.width) if column not in timelike and not table.is_text(column)]
    if not axes:
        raise DataError("no column of numbers besides time", where=str(table.path), found=f"{table.width} columns")
    return axes


def _column(table: Table, wanted: str | int, key: str) -> int:
    """Return the column, counted from 0, that a name or a number from 1 stands for."""
    names = table.names or ()
    if wanted in names:
        return names.index(str(wanted))
    number = int(wanted) if isinstance(wanted, int) or wanted.isdecimal() else None
    if number is not None and 1 <= number <= table.width:
        return number - 1
    has = f"{table.width} columns" + (f": {', '.join(names)}" if names else " without header")
    remedy = did_you_mean(str(wanted), names) if names and number is None else f"{key} counts from 1"
    raise DataError(f"no column {wanted}", where=str(table.path), found=has, remedy=remedy)


def _stamps_and_values(
    table: Table, spec: ModalitySpec, time: int | None, axes: list[int]
) -> tuple[NDArray[np.float64] | None, Clock, NDArray[Any]]:
    if time is None:
        return None, "relative", table.numbers(axes)
    if isinstance((_first_cells(table, time) or [0.0])[0], str):
        values = table.numbers(axes)
        stamps, clock = _stamps(table, spec, time, table.texts(time))
        return stamps, clock, values
    both = table.numbers([time, *axes])
    stamps, clock = _stamps(table, spec, time, np.asarray(both[:, 0], dtype=np.float64))
    return stamps, clock, both[:, 1:]


def _stamps(table: Table, spec: ModalitySpec, time: int, cells: Any) -> tuple[NDArray[np.float64], Clock]:
    if isinstance(cells, list) and cells and isinstance(cells[0], str):
        seconds, wrong = seconds_of_texts(cells)
        if wrong is not None:
            where = f"{table.place(wrong)}, {table.name(time)}"
            raise DataError(
                "not a timestamp", where=where, expected="a date with a time", found=repr(cells[wrong][:40])
            )
        return seconds, "absolute"
    known = seconds_of_numbers(np.asarray(cells, dtype=np.float64), name=_name(table, time), rate=spec.rate)
    if known is None:
        raise DataError(
            "the unit of the timestamps cannot be told",
            where=f"{table.path}, {table.name(time)}",
            expected="seconds, or a known unit",
            found="whole numbers with steps above 1",
            remedy="give the rate, or call the column time_s, time_ms, time_us or time_ns",
        )
    return known


def _name(table: Table, column: int) -> str | None:
    return table.names[column] if table.names else None
