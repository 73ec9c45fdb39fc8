"""Histograms of oriented gradients of a frame, on a grid of cells.

Dalal and Triggs: Histograms of oriented gradients for human detection. CVPR 2005. Square roots of the grey values,
centred differences, 9 unsigned orientations with each vote shared by the two nearest, blocks of 2 x 2 cells that
overlap by one cell, each of length 1, cut off at 0.2 and of length 1 again. A pixel votes in its own cell only.

Written out here because OpenCV has no such descriptor since version 5. Without torch, as many processes import it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmtsa_cli.errors import ArtifactError
from mmtsa_cli.sampling.store import Store

ORIENTATIONS = 9
BLOCK = 2
_CUT_OFF = 0.2
# Length of a block, in roots of grey values, below which it counts as flat: noise there is not blown up to length 1.
_FLAT, _FLAT_AGAIN = 4.0, 0.1


def descriptor_size(grid: int) -> int:
    """Return the numbers of a frame of `grid` x `grid` cells: (grid - 1)^2 blocks of 4 cells of 9 orientations."""
    return (grid - BLOCK + 1) ** 2 * BLOCK**2 * ORIENTATIONS


def clip_gradients(store: Store, clip: int, parameters: Mapping[str, Any]) -> NDArray[np.float32]:
    """Return the gradients of every candidate frame of a clip, (n, D): what `clip_features` computes."""
    import cv2

    name, grid, cell = parameters["modality"], parameters["grid"], parameters["cell"]
    records = store.frames(name, clip)
    rows = np.zeros((len(records), descriptor_size(grid)), np.float32)
    for row, record in zip(rows, records, strict=True):
        frame: Any = cv2.imdecode(store.jpeg(name, record), cv2.IMREAD_GRAYSCALE)
        if frame is None:
            raise ArtifactError("a frame cannot be decoded", where=str(store.directory), remedy="sample anew")
        row[:] = oriented_gradients(frame, grid=grid, cell=cell)
    return rows


def oriented_gradients(frame: NDArray[Any], *, grid: int, cell: int) -> NDArray[np.float32]:
    """Return the histograms of a frame's cells, normalised by block.

    Parameters
    ----------
    frame : (H, W) uint8 array
        Grey; scaled to a square of `grid` x `cell` pixels.
    grid : int
        Cells along each side.
    cell : int
        Pixels along each side of a cell.

    Returns
    -------
    (descriptor_size(grid),) float32 array
        0 to 1; blocks row by row, in each its cells row by row, in each its orientations from 0 to 180 degrees.
    """
    import cv2

    side = grid * cell
    square = cv2.resize(frame, (side, side), interpolation=cv2.INTER_AREA)
    cells = cell_histograms(np.sqrt(square.astype(np.float64)), cell)
    return normalised_blocks(cells).ravel().astype(np.float32)


def cell_histograms(image: NDArray[np.float64], cell: int) -> NDArray[np.float64]:
    """Return each cell's sum of gradient lengths by orientation, (rows, columns, 9).

    Orientation b has its middle at 20 b + 10 degrees from the direction of x towards that of y (down).

    Parameters
    ----------
    image : (H, W) array
        Both sides multiples of `cell`; it goes on beyond its border as at its border.
    cell : int
    """
    wide = np.pad(image, 1, mode="edge")
    x, y = wide[1:-1, 2:] - wide[1:-1, :-2], wide[2:, 1:-1] - wide[:-2, 1:-1]
    length, place = np.hypot(x, y), np.arctan2(y, x) / np.pi * ORIENTATIONS - 0.5
    below = np.floor(place).astype(int)
    rows, columns = np.indices(image.shape) // cell
    shape = (image.shape[0] // cell, image.shape[1] // cell, ORIENTATIONS)
    first = (rows * shape[1] + columns) * ORIENTATIONS
    bins = np.concatenate([first + below % ORIENTATIONS, first + (below + 1) % ORIENTATIONS])
    votes = np.concatenate([length * (below + 1 - place), length * (place - below)])
    return np.bincount(bins.ravel(), votes.ravel(), minlength=np.prod(shape)).reshape(shape)


def normalised_blocks(cells: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the blocks of 2 x 2 cells, (rows - 1, columns - 1, 4, 9), each of length 1, but cut off and flat ones."""
    corners = [cells[:-1, :-1], cells[:-1, 1:], cells[1:, :-1], cells[1:, 1:]]
    blocks = _unit(np.stack(corners, axis=2), _FLAT)
    return _unit(np.minimum(blocks, _CUT_OFF), _FLAT_AGAIN)


def _unit(blocks: NDArray[np.float64], least: float) -> NDArray[np.float64]:
    return blocks / np.sqrt((blocks**2).sum(axis=(2, 3), keepdims=True) + least**2)
