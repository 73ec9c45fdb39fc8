"""The telemetry that a GoPro camera writes into its videos: series whose times are on the video's clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmtsa_cli.errors import DataError, did_you_mean
from mmtsa_cli.recordings.arrays import check_exists
from mmtsa_cli.recordings.gpmf import Block, blocks, number, values
from mmtsa_cli.recordings.gpmf_axes import AXES, oriented
from mmtsa_cli.recordings.packet_clock import Packets, sample_times
from mmtsa_cli.recordings.telemetry_track import first_packet, packets

SENSORS = ("ACCL", "GYRO", "MAGN", "GRAV")
"""Keys of the streams that are series of axes."""


@dataclass(frozen=True)
class Sensor:
    """What the beginning of a file says of one sensor.

    Attributes
    ----------
    unit : str
        As the camera writes it, with a plain exponent ("m/s^2"); "" where it does not.
    axes_known : bool
        Whether the axes are x, y and z; else they stand in the file's own order.
    model : str
        Name of the camera.
    """

    unit: str
    axes_known: bool
    model: str


@dataclass(frozen=True)
class TelemetryTable:
    """A sensor of a camera's telemetry, its time and axes taken as the columns of a table.

    Attributes
    ----------
    path : Path
    key : str
        Of the stream ("ACCL").
    names : tuple of str
        time_s and the axes.
    array : (n, 1 + C) float64
        Seconds from the first frame of the video, and values in the camera's unit.
    """

    path: Path
    key: str
    names: tuple[str, ...]
    array: NDArray[np.float64]

    @property
    def width(self) -> int:
        """Number of columns."""
        return len(self.names)

    def name(self, column: int) -> str:
        """Return how messages call a column (counted from 0)."""
        return f"column {self.names[column]}"

    def is_text(self, column: int) -> bool:
        """Return False: telemetry holds numbers."""
        return False

    def numbers(self, columns: Sequence[int]) -> NDArray[np.float64]:
        """Return columns (counted from 0), (n, C)."""
        return self.array[:, list(columns)]

    def texts(self, column: int) -> list[str]:
        """Return nothing: telemetry holds numbers."""
        return []

    def place(self, index: int) -> str:
        """Return "FILE, ACCL at T s" of a sample (counted from 0)."""
        return f"{self.path}, {self.key} at {self.array[index, 0]:.3f} s"


def sensors_of(path: Path) -> dict[str, Sensor]:
    """Return the sensors of a video's telemetry by key, looking at its first packet alone.

    Raises
    ------
    DataError
        The file cannot be opened, has no telemetry, or its first packet is damaged.
    """
    check_exists(path)
    where = f"{path}, telemetry at its start"
    _, packet = first_packet(path)
    if not packet:
        raise DataError("no telemetry track", where=str(path), expected="a GoPro's own MP4, not cut or converted")
    found: dict[str, Sensor] = {}
    for block in blocks(packet, where=where):
        if block.key in SENSORS and block.key not in found:
            names, _ = oriented(block, values(block, where=where), where=where)
            unit = (block.text("SIUN") or block.text("UNIT")).replace("\u00b2", "^2")
            found[block.key] = Sensor(unit, names == AXES, block.model)
    return found


def open_telemetry(path: Path, key: str | None) -> TelemetryTable:
    """Read one sensor of a video's telemetry.

    Parameters
    ----------
    key : str or None
        Of the stream ("ACCL", "GYRO"); None: the only sensor that there is.

    Raises
    ------
    DataError
        Missing, damaged (with the time), without telemetry, no such sensor, or several that it could be.
    """
    check_exists(path)
    key = key or _only_sensor(path)
    shares = _shares(path, key)
    if not shares:
        found = list(sensors_of(path))
        raise DataError(f"no {key} in its telemetry", where=str(path), remedy=did_you_mean(key, found))
    first = shares[0]
    array = np.column_stack([_times(shares), np.concatenate([share.values for share in shares])])
    return TelemetryTable(path, first.key, ("time_s", *first.names), array)


class _Share(NamedTuple):
    """What one packet holds of a sensor."""

    key: str
    names: tuple[str, ...]
    values: NDArray[np.float64]
    start_s: float
    end_s: float
    before: float
    stamp_s: float


def _only_sensor(path: Path) -> str:
    found = list(sensors_of(path))
    if len(found) != 1:
        what = "several sensors in its telemetry" if found else "no sensor in its telemetry"
        remedy = "say which: variable in dataset.yaml" if found else None
        raise DataError(what, where=str(path), expected="one", found=", ".join(found) or None, remedy=remedy)
    return found[0]


def _times(shares: Sequence[_Share]) -> NDArray[np.float64]:
    return sample_times(
        Packets(
            starts=np.array([share.start_s for share in shares]),
            counts=np.array([len(share.values) for share in shares]),
            end_s=shares[-1].end_s,
            before=np.array([share.before for share in shares]),
            stamps=np.array([share.stamp_s for share in shares]),
        )
    )


def _shares(path: Path, key: str) -> list[_Share]:
    """Return what the packets hold of a sensor, of the first device that has it."""
    shares: list[_Share] = []
    device, clock = None, np.nan
    for start, end, packet in packets(path):
        where = f"{path}, telemetry at {start:.2f} s"
        found = blocks(packet, where=where)
        if device is None:
            device = next((block.device for block in found if block.key == key), None)
            # The earliest stamp of all streams is what the packet begins with.
            stamps = [_stamp(block, where) for block in found if block.device == device and "STMP" in block.properties]
            clock = start - min(stamps, default=np.nan)
        for block in (block for block in found if (block.key, block.device) == (key, device)):
            share = _share(block, start, end, clock, where)
            if shares and share.names != shares[0].names:
                raise DataError(f"{key} changes its axes", where=where, expected=", ".join(shares[0].names))
            shares += [share] if len(share.values) else []
    return shares


def _share(block: Block, start: float, end: float, clock: float, where: str) -> _Share:
    names, found = oriented(block, values(block, where=where), where=where)
    total = number(block, "TSMP", where=where)
    late = number(block, "TIMO", where=where) or 0.0
    before = np.nan if total is None else total - len(found)
    return _Share(block.key, names, found, start - late, end - late, before, clock + _stamp(block, where) - late)


def _stamp(block: Block, where: str) -> float:
    """Return the camera's own time of a packet's first sample, in seconds; NaN where it does not say."""
    microseconds = number(block, "STMP", where=where)
    return np.nan if microseconds is None else microseconds * 1e-6
