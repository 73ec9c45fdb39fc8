"""GoPro's metadata format (GPMF): items of key, type, length and value, nested, big-endian, padded to four bytes.

A packet holds a device (`DEVC`) or several, a device its streams (`STRM`), a stream properties (`SCAL`, `SIUN`, ...)
and, as its last items, samples under the stream's key (`ACCL`, `GYRO`). See https://github.com/gopro/gpmf-parser.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mmtsa_cli.errors import DataError

_HEADER = 8
_NUMBERS = {"b": "i1", "B": "u1", "s": ">i2", "S": ">u2", "l": ">i4", "L": ">u4", "j": ">i8", "J": ">u8"}
_NUMBERS |= {"f": ">f4", "d": ">f8"}


@dataclass(frozen=True)
class Item:
    """A key with its value.

    Attributes
    ----------
    key : str
        Four characters.
    type : str
        One character ("s": int16, "f": float32, "c": text, ...); "" where the value is nested items.
    size : int
        Bytes of one sample.
    count : int
        Samples.
    data : bytes
        size x count bytes.
    """

    key: str
    type: str
    size: int
    count: int
    data: bytes


@dataclass(frozen=True)
class Block:
    """What one packet holds of one stream.

    Attributes
    ----------
    key : str
        Of the samples ("ACCL").
    device : str
        Number of the device, the same in every packet.
    model : str
        Name of the device ("Hero6 Black"), "" where it has none.
    properties : mapping of str to Item
        What stands before the samples.
    samples : tuple of Item
    """

    key: str
    device: str
    model: str
    properties: Mapping[str, Item]
    samples: tuple[Item, ...]

    def text(self, key: str) -> str:
        """Return a property as a text, "" where there is none."""
        return _text(self.properties.get(key))


def items(data: bytes, *, where: str) -> Iterator[Item]:
    """Yield the items that `data` is a row of, without looking into nested ones.

    Parameters
    ----------
    where : str
        File and time, for the message.

    Raises
    ------
    DataError
        An item that is longer than what holds it, or a key that is none.
    """
    at = 0
    while at < len(data) and data[at : at + 4].strip(b"\0"):
        head = data[at : at + _HEADER]
        if len(head) < _HEADER or not all(32 < byte < 127 for byte in head[:4].strip(b" ")):
            raise DataError("damaged telemetry", where=where, expected="a key of four letters", found=repr(head[:4]))
        key, size, count = head[:4].decode("ascii"), head[5], int.from_bytes(head[6:8], "big")
        length, room = size * count, len(data) - at - _HEADER
        if length > room:
            found = f"{key} of {length} bytes where {room} are left"
            raise DataError("damaged telemetry", where=where, expected="items inside each other", found=found)
        start = at + _HEADER
        yield Item(key, chr(head[4]) if head[4] else "", size, count, bytes(data[start : start + length]))
        at = start + -(-length // 4) * 4


def blocks(packet: bytes, *, where: str) -> list[Block]:
    """Return the streams of all devices in a packet.

    Raises
    ------
    DataError
        As `items`.
    """
    found = []
    for device in items(packet, where=where):
        if device.key != "DEVC" or device.type:
            continue
        inside = list(items(device.data, where=where))
        said = {item.key: item for item in inside if item.key != "STRM"}
        number = said["DVID"].data.hex() if "DVID" in said else ""
        streams = [list(items(item.data, where=where)) for item in inside if item.key == "STRM" and not item.type]
        found += [_block(stream, number, _text(said.get("DVNM"))) for stream in streams if stream]
    return found


def numbers(item: Item, *, where: str) -> NDArray[np.float64]:
    """Return the value of an item as numbers, (count, C).

    Raises
    ------
    DataError
        Its type is no number, or its size no multiple of the type's.
    """
    kind = np.dtype(_NUMBERS.get(item.type, "V1"))
    if item.type not in _NUMBERS or not item.size or item.size % kind.itemsize:
        found = f"{item.key} of type {item.type!r} with {item.size} bytes a sample"
        expected = f"numbers of type {', '.join(_NUMBERS)}"
        raise DataError("telemetry that cannot be read", where=where, expected=expected, found=found)
    return np.frombuffer(item.data, kind).reshape(item.count, item.size // kind.itemsize).astype(np.float64)


def values(block: Block, *, where: str) -> NDArray[np.float64]:
    """Return the samples of a stream in its unit (n, C): numbers divided by `SCAL`, one for all columns or one each.

    Raises
    ------
    DataError
        As `numbers`; a scale that is 0 or does not fit the columns.
    """
    shares = [numbers(item, where=where) for item in block.samples]
    if len({share.shape[1] for share in shares}) > 1:
        raise DataError(f"{block.key} changes its number of axes", where=where)
    raw = np.concatenate(shares)
    if "SCAL" not in block.properties:
        return raw
    scale = numbers(block.properties["SCAL"], where=where).ravel()
    if len(scale) not in (1, raw.shape[1]) or not scale.all():
        expected = f"one scale, or one for each of {raw.shape[1]} axes, none of them 0"
        raise DataError(f"{block.key} has no usable scale", where=where, expected=expected, found=str(scale.tolist()))
    return raw / scale


def number(block: Block, key: str, *, where: str) -> float | None:
    """Return a property that is one number, None where there is none.

    Raises
    ------
    DataError
        As `numbers`; a number that is not finite.
    """
    item = block.properties.get(key)
    found = numbers(item, where=where).ravel() if item else np.empty(0)
    if not np.isfinite(found).all():
        raise DataError("damaged telemetry", where=where, expected=f"a finite {key}", found=str(found.tolist()))
    return float(found[0]) if len(found) else None


def _block(stream: list[Item], device: str, model: str) -> Block:
    key = stream[-1].key
    properties = {item.key: item for item in stream if item.key != key}
    return Block(key, device, model, properties, tuple(item for item in stream if item.key == key))


def _text(item: Item | None) -> str:
    # One byte a character: the signs for degrees and squares are those of Latin-1.
    return item.data.split(b"\0")[0].decode("latin-1").strip() if item else ""
