"""Rows of sensors as they come through a pipe: JSON lines or CSV, of a serial port, a phone's logger, a program.

The first lines say which it is. A row that cannot be read is dropped and counted: a cable that drops a byte is no
reason to stop. Only what will never be right ends the stream: columns that are not the run's axes, stamps whose unit
cannot be told, a beginning without a single row that makes sense.
"""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mmtsa_cli.errors import DataError, did_you_mean
from mmtsa_cli.recordings.live_stamps import Row, Stamps, is_dated, number_of
from mmtsa_cli.recordings.stamps import is_date_time, is_time_name

_LONGEST_LINE = 1 << 16
_NONSENSE = 50
"""Lines at the beginning of which not one makes sense, after which the stream is given up."""
_TOLD = 5
_MODALITY_NAMES = ("modality", "sensor", "name")
_VALUE_NAMES = ("values", "value", "data")


@dataclass(frozen=True)
class LiveSensor:
    """What is known of a sensor whose rows are to come.

    Attributes
    ----------
    axes : tuple of str
        Their names where the run noted them; else made up.
    named : bool
        Whether the run noted them.
    rate : float
        Samples a second in training.
    columns : sequence of str or int, optional
        Columns of a CSV that hold the axes, by name or by number from 1, as the user said.
    """

    axes: tuple[str, ...]
    named: bool
    rate: float
    columns: Sequence[str | int] | None = None


_Parsed = tuple[str, Any, Sequence[float]]
"""Modality, stamp as it stood there, values."""


class LiveRows:
    """From bytes to rows.

    Parameters
    ----------
    sensors : mapping of str to LiveSensor
        Those of the run.
    by_arrival : bool
        Rows have no stamps, or none that count.
    tell : callable
        Is told of the first faulty rows, and of sensors that the run does not know.

    Attributes
    ----------
    dropped : Counter
        Rows that could not be used, by reason.
    lacking : tuple of str
        Sensors that a CSV has no columns of.
    """

    def __init__(
        self, sensors: Mapping[str, LiveSensor], *, by_arrival: bool = False, tell: Callable[[str], None]
    ) -> None:
        self._sensors = dict(sensors)
        self._plain = {_plain(name): name for name in sensors}
        self._by_arrival = by_arrival
        self._tell = tell
        self._rest = b""
        self._skipping = False
        self._line = 0
        self._good: set[str] = set()
        self._parse: Callable[[str], list[_Parsed]] | None = None
        self._stamps = Stamps({name: sensor.rate for name, sensor in sensors.items()})
        self._told: Counter[str] = Counter()
        self._seen: set[str] = set()
        self.dropped: Counter[str] = Counter()
        self.lacking: tuple[str, ...] = ()

    def feed(self, content: bytes, arrival_s: float) -> Iterator[Row]:
        """Yield the rows that are whole with these bytes.

        Raises
        ------
        DataError
            Nothing that follows can be right.
        """
        lines = (self._rest + content).split(b"\n")
        self._rest = lines.pop()
        if len(self._rest) > _LONGEST_LINE:
            # The memory of a stream without line ends is bounded too.
            self._rest, self._skipping = b"", True
        for line in lines:
            if self._skipping:
                self._skipping = False
                self._line += 1
                self._fault("malformed row", f"a line of more than {_LONGEST_LINE} bytes")
                continue
            yield from self._rows(line, arrival_s)

    def finish(self, arrival_s: float) -> Iterator[Row]:
        """Yield what is left at the end: a last line without its end, and rows that waited for the unit of stamps.

        Raises
        ------
        DataError
            Nothing made sense.
        """
        if self._rest:
            yield from self._rows(self._rest, arrival_s)
        self._rest = b""
        yield from self._stamps.release()
        if self._line and not self._good:
            raise self._senseless()

    # Lines

    def _rows(self, line: bytes, arrival_s: float) -> Iterator[Row]:
        self._line += 1
        text = line.decode("utf-8", errors="replace").strip("\ufeff\r \0")
        if not text or text.startswith("#"):
            return
        try:
            parsed = self._parsed(text)
        except ValueError as error:
            self._fault("malformed row", f"{error}: {text[:60]!r}")
            parsed = []
        for modality, stamp, values in parsed:
            array = np.array(values, np.float64)
            number = arrival_s if self._by_arrival else number_of(stamp)
            if number is None or not np.isfinite(array).all():
                self._fault("malformed row", f"{'no time' if number is None else 'not finite'}: {text[:60]!r}")
                break
            self._good.add(modality)
            if self._by_arrival:
                yield Row(modality, arrival_s, array, arrival_s)
            else:
                yield from self._stamps.seconds(Row(modality, number, array, arrival_s), dated=is_dated(stamp))
        if not self._good and self._line >= _NONSENSE:
            raise self._senseless()

    def _parsed(self, text: str) -> list[_Parsed]:
        if self._parse is None:
            if text.startswith("{"):
                self._parse = self._json
            else:
                table = _table(text, self._sensors, by_arrival=self._by_arrival)
                self._parse = lambda line: self._csv(table, line)
                self._stamps.name = table.time_name
                if table.modality is None:
                    self.lacking = tuple(name for name in self._sensors if name not in table.axes)
                if table.header:
                    for note in table.notes:
                        self._tell(note)
                    return []
        return self._parse(text)

    def _csv(self, table: _Table, line: str) -> list[_Parsed]:
        return [one for one in table.read(line) if self._known(one[0])]

    def _known(self, name: str) -> bool:
        if name in self._sensors:
            return True
        if name not in self._seen and len(self._seen) < _TOLD:
            self._seen.add(name)
            meant = did_you_mean(name, self._sensors)
            self._tell(f"rows of {name!r}, which the run does not have, are passed over; {meant}")
        self.dropped["unknown modality"] += 1
        return False

    # JSON lines

    def _json(self, text: str) -> list[_Parsed]:
        row = json.loads(text)
        if not isinstance(row, dict):
            raise ValueError("no object")
        stamp = None
        if not self._by_arrival:
            key = "t" if "t" in row else next((key for key in row if is_time_name(key)), None)
            if key is None:
                raise ValueError("no time")
            stamp, self._stamps.name = row[key], key
        named = next((row[key] for key in _MODALITY_NAMES if isinstance(row.get(key), str)), None)
        if named is not None:
            name = self._plain.get(_plain(named), str(named))
            return [(name, stamp, self._values(name, _content(row)))] if self._known(name) else []
        found = [(self._plain[_plain(key)], value) for key, value in row.items() if _plain(key) in self._plain]
        if not found and len(self._sensors) == 1 and any(key in row for key in _VALUE_NAMES):
            found = [(next(iter(self._sensors)), _content(row))]
        if not found:
            raise ValueError(f"no modality of the run ({', '.join(self._sensors)})")
        return [(name, stamp, self._values(name, value)) for name, value in found]

    def _values(self, name: str, value: Any) -> list[float]:
        axes = self._sensors[name].axes
        if isinstance(value, Mapping):
            missing = [axis for axis in axes if axis not in value]
            if missing and name not in self._good:
                raise _other_axes(name, axes, list(map(str, value)), f"line {self._line}")
            if missing:
                raise ValueError(f"no {', '.join(missing)} of {name}")
            value = [value[axis] for axis in axes]
        if not isinstance(value, list) or not all(type(one) in (int, float) for one in value):
            raise ValueError(f"no numbers of {name}")
        if len(value) != len(axes):
            if name not in self._good:
                raise _other_axes(name, axes, [f"{len(value)} values"], f"line {self._line}")
            raise ValueError(f"{len(value)} values of {name}, not {len(axes)}")
        return value

    def _fault(self, reason: str, text: str) -> None:
        self.dropped[reason] += 1
        self._told[reason] += 1
        if self._told[reason] <= _TOLD:
            more = "; further ones are only counted" if self._told[reason] == _TOLD else ""
            self._tell(f"line {self._line}: {reason} dropped: {text}{more}")

    def _senseless(self) -> DataError:
        return DataError(
            f"none of the first {self._line} lines is a row of the run's sensors",
            where="standard input",
            expected=f'{{"t": 12.34, "modality": "{next(iter(self._sensors))}", "values": [...]}}, or CSV below '
            + ",".join(["time", *_headings(self._sensors)]),
            remedy="name the columns with --columns",
        )


def _content(row: Mapping[str, Any]) -> Any:
    """Return the values of a row: a list, an object of axes, or the row itself, whose keys may be axes."""
    return next((row[key] for key in _VALUE_NAMES if key in row), row)


def _plain(name: Any) -> str:
    return re.sub(r"[^a-z0-9]+", "_", str(name).lower()).strip("_")


def _headings(sensors: Mapping[str, LiveSensor]) -> list[str]:
    return [f"{name}_{axis}" for name, sensor in sensors.items() for axis in sensor.axes]


def _other_axes(name: str, axes: Sequence[str], found: Sequence[str], where: str) -> DataError:
    return DataError(
        f"other axes of {name} than the run was trained on",
        where=f"standard input, {where}",
        expected=f"{len(axes)}: {', '.join(axes)}",
        found=", ".join(found),
        remedy=f"send these, or name the columns of a CSV: --columns {name}=...",
    )


# CSV


@dataclass
class _Table:
    """A CSV: the axes of each sensor side by side, or a column that says whose row it is.

    An empty cell in all columns of a sensor means that the row has no sample of it. All columns are counted from 0.
    """

    width: int
    delimiter: str | None
    header: bool = True
    time: int | None = None
    time_name: str | None = None
    modality: int | None = None
    axes: dict[str, list[int]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def read(self, line: str) -> list[_Parsed]:
        """Return the samples of a row.

        Raises
        ------
        ValueError
            Not a row of this table.
        """
        cells = _split(line, self.delimiter)
        if len(cells) != self.width:
            raise ValueError(f"{len(cells)} cells, not {self.width}")
        stamp = None if self.time is None else cells[self.time]
        if stamp and self.delimiter != "," and not is_date_time(stamp):
            stamp = stamp.replace(",", ".")
        if self.modality is not None:
            whose = _plain(cells[self.modality])
            name = next((name for name in self.axes if _plain(name) == whose), cells[self.modality])
            return [(name, stamp, self._numbers(cells, self.axes.get(name, [])))]
        there = {name: columns for name, columns in self.axes.items() if any(cells[column] for column in columns)}
        return [(name, stamp, self._numbers(cells, columns)) for name, columns in there.items()]

    def _numbers(self, cells: list[str], columns: list[int]) -> list[float]:
        if self.delimiter == ",":
            return [float(cells[column]) for column in columns]
        return [float(cells[column].replace(",", ".")) for column in columns]


def _table(text: str, sensors: Mapping[str, LiveSensor], *, by_arrival: bool) -> _Table:
    """Return how a CSV is read, from its first line.

    Raises
    ------
    ValueError
        Neither a header nor a row.
    DataError
        A header without the run's sensors.
    """
    delimiter = max(",;\t", key=text.count) if any(sign in text for sign in ",;\t") else None
    names = _split(text, delimiter)
    if all(_is_number(name) or is_date_time(name) for name in names):
        return _bare(names, delimiter, sensors, by_arrival=by_arrival)
    if sum(_is_number(name) for name in names) > 1 or len(names) < 2:
        # The rest of a line whose beginning was sent before anybody listened.
        raise ValueError("neither a header nor a row")
    table = _Table(len(names), delimiter)
    table.time = next((number for number, name in enumerate(names) if is_time_name(name)), None)
    table.time_name = None if table.time is None else names[table.time]
    table.modality = next((n for n, name in enumerate(names) if _plain(name) in _MODALITY_NAMES), None)
    rest = [n for n in range(len(names)) if n not in (table.time, table.modality)]
    alone = (len(sensors) == 1 or table.modality is not None) and (table.time is not None or by_arrival)
    for name, sensor in sensors.items():
        columns = _columns(name, sensor, names, rest, alone=alone)
        if columns:
            table.axes[name] = columns
    if not table.axes and table.time is None:
        # What a device says of itself when it starts.
        raise ValueError("neither a header nor a row")
    if table.axes and table.time is None and not by_arrival:
        raise _untimed("a column of time", f"columns {', '.join(names)}")
    if not table.axes:
        raise DataError(
            f"no columns of {', '.join(sensors)}",
            where="standard input, header",
            expected=",".join(["time", *_headings(sensors)]),
            found=",".join(names),
            remedy=f"name them: --columns {next(iter(sensors))}=...",
        )
    used = set(itertools.chain.from_iterable(table.axes.values()))
    left = [names[n] for n in rest if n not in used]
    if left:
        table.notes.append(f"columns {', '.join(left[:_TOLD])} are passed over")
    return table


def _bare(cells: list[str], delimiter: str | None, sensors: Mapping[str, LiveSensor], *, by_arrival: bool) -> _Table:
    counts = {name: len(sensor.axes) for name, sensor in sensors.items()}
    timed = len(cells) == 1 + sum(counts.values())
    if not timed and len(cells) != sum(counts.values()):
        raise ValueError("neither a header nor a row")
    if not timed and not by_arrival:
        raise _untimed("the time before the values", f"{len(cells)} numbers")
    table = _Table(len(cells), delimiter, header=False)
    table.time = 0 if timed else None
    first = int(timed)
    for name, count in counts.items():
        table.axes[name] = list(range(first, first + count))
        first += count
    return table


def _columns(name: str, sensor: LiveSensor, names: list[str], rest: list[int], *, alone: bool) -> list[int] | None:
    """Return the columns of a sensor's axes, in their order; None where the header has none of it.

    Raises
    ------
    DataError
        Another number of them.
    """
    if sensor.columns:
        return _said(name, sensor, names)
    whole = [_plain(text) for text in names]
    axes = [_plain(axis) for axis in sensor.axes]
    for wanted in ([f"{_plain(name)}_{axis}" for axis in axes], axes if sensor.named else []):
        if wanted and all(whole.count(one) == 1 for one in wanted):
            return [whole.index(one) for one in wanted]
    own = [n for n in rest if whole[n].startswith(f"{_plain(name)}_")]
    own = own or (rest if alone else [])
    if own and len(own) != len(axes):
        raise _other_axes(name, sensor.axes, [names[n] for n in own], "header")
    return own or None


def _said(name: str, sensor: LiveSensor, names: list[str]) -> list[int]:
    found = []
    for column in sensor.columns or ():
        number = column - 1 if isinstance(column, int) else names.index(column) if column in names else -1
        if not 0 <= number < len(names):
            raise DataError(f"no column {column}", where=f"--columns of {name}", found=", ".join(names))
        found.append(number)
    if len(found) != len(sensor.axes):
        raise _other_axes(name, sensor.axes, [names[n] for n in found], "header")
    return found


def _untimed(expected: str, found: str) -> DataError:
    return DataError(
        "rows without time",
        where="standard input",
        expected=expected,
        found=found,
        remedy="add it, or give --clock arrival to take the time at which they come",
    )


def _split(text: str, delimiter: str | None) -> list[str]:
    return [cell.strip().strip('"') for cell in (text.split(delimiter) if delimiter else text.split())]


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", "."))
    except ValueError:
        return False
    return True
