"""Contact sheets: what the network gets of a clip, drawn as a person can look at it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Progress = Callable[[int, int], None]
Image = NDArray[np.uint8]
_TILE, _GAP, _LEFT, _TOP = 168, 6, 110, 46
_INK, _PAPER = (40, 40, 40), 250


def write_sheet(path: Path, rows: Mapping[str, Sequence[Image]], *, title: str, captions: Sequence[str]) -> None:
    """Write one contact sheet as PNG.

    Parameters
    ----------
    path : Path
    rows : mapping of str to sequence of (H, W, C) uint8 arrays
        Per modality one RGB or grey image a segment.
    title : str
    captions : sequence of str
        One a segment.
    """
    columns = len(captions)
    height = _TOP + len(rows) * (_TILE + _GAP) + _GAP
    sheet = np.full((height, _LEFT + columns * (_TILE + _GAP) + _GAP, 3), _PAPER, np.uint8)
    _write(sheet, title, (_GAP, 18), 0.5)
    for column, caption in enumerate(captions):
        _write(sheet, caption, (_LEFT + column * (_TILE + _GAP), _TOP - 8), 0.4)
    for row, (name, images) in enumerate(rows.items()):
        top = _TOP + row * (_TILE + _GAP)
        _write(sheet, name, (_GAP, top + _TILE // 2), 0.42)
        for column, image in enumerate(images):
            left = _LEFT + column * (_TILE + _GAP)
            sheet[top : top + _TILE, left : left + _TILE] = _tile(image)
    path.write_bytes(cv2.imencode(".png", cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))[1].tobytes())


def _tile(image: Image) -> Any:
    # Pixels of a small field stay squares: blurring would show what the network does not get.
    method = cv2.INTER_NEAREST if min(image.shape[:2]) < _TILE else cv2.INTER_AREA
    tile = cv2.resize(image, (_TILE, _TILE), interpolation=method).reshape(_TILE, _TILE, -1)
    return np.repeat(tile[:, :, :1], 3, axis=2) if tile.shape[2] != 3 else tile


def _write(sheet: Image, text: str, place: tuple[int, int], size: float) -> None:
    cv2.putText(sheet, text, place, cv2.FONT_HERSHEY_SIMPLEX, size, _INK, 1, cv2.LINE_AA)
