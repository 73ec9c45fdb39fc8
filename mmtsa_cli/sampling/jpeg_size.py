"""The size that a JPEG file says it has, from its head: a decoder makes room for it before it looks at the rest."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

MOST_PIXELS = 1 << 26
"""Of a frame: a file of 300 bytes can say that it has a hundred times as many, which takes 5 GB and half a minute."""
_HEAD = 2048
_NO_SIZES = (0xC4, 0xC8, 0xCC)
"""Markers among those of sizes that are something else: tables."""


def jpeg_size(jpeg: NDArray[Any]) -> tuple[int, int] | None:
    """Return height and width; None where the head is none of a JPEG file.

    Parameters
    ----------
    jpeg : (n,) uint8
    """
    # Frames that we have packed say it in the first two hundred bytes.
    return _size(jpeg[:_HEAD].tobytes()) or (_size(jpeg.tobytes()) if len(jpeg) > _HEAD else None)


def _size(data: bytes) -> tuple[int, int] | None:
    at = 2
    if data[:2] != b"\xff\xd8":
        return None
    while at + 9 <= len(data):
        if data[at] != 0xFF:
            return None
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
        elif 0xC0 <= marker <= 0xCF and marker not in _NO_SIZES:
            return int.from_bytes(data[at + 5 : at + 7], "big"), int.from_bytes(data[at + 7 : at + 9], "big")
        elif marker == 0x01 or 0xD0 <= marker <= 0xD8:
            at += 2
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None
