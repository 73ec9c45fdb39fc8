"""Contact sheets small enough to stand in a page: tiles without text, as one JPEG."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from mmtsa_cli.errors import ArtifactError

Image = NDArray[np.uint8]
_TILE, _GAP = 96, 2
_QUALITIES = (80, 60, 40, 20)
MOST_BYTES = 90_000
"""Of one sheet, as far as the lowest quality reaches it."""


def thumbnail_sheet(rows: Sequence[Sequence[Image]]) -> tuple[bytes, int, int]:
    """Return a JPEG of tiles with its width and height in pixels.

    Parameters
    ----------
    rows : sequence of sequence of (H, W, C) uint8 arrays
        RGB (C = 3) or grey (of C channels the first is shown), as many in each row.
    """
    lines = [np.concatenate([_tile(image) for image in row], axis=1) for row in rows]
    sheet = np.concatenate(lines, axis=0)[:-_GAP, :-_GAP]
    encoded = b""
    for quality in _QUALITIES:
        done, data = cv2.imencode(".jpg", cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
        if not done:
            raise ArtifactError("a contact sheet cannot be written as JPEG")
        encoded = data.tobytes()
        if len(encoded) <= MOST_BYTES:
            break
    return encoded, sheet.shape[1], sheet.shape[0]


def _tile(image: Image) -> Image:
    # Pixels of a small field stay squares: blurring would show what the network does not get.
    method = cv2.INTER_NEAREST if min(image.shape[:2]) < _TILE else cv2.INTER_AREA
    tile = cv2.resize(image, (_TILE, _TILE), interpolation=method).reshape(_TILE, _TILE, -1)
    colour = tile if tile.shape[2] == 3 else np.repeat(tile[:, :, :1], 3, axis=2)
    return np.pad(colour, ((0, _GAP), (0, _GAP), (0, 0)), constant_values=128)
