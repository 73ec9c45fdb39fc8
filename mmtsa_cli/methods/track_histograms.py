"""Histograms of directions around points: of a frame's gradient (HOG), of flow (HOF), of flow's gradient (MBH).

Each is pooled over 2 x 2 cells of a square around the point, a direction shared between the two nearest of 8 bins and
weighted by its magnitude; HOF has a ninth bin for pixels that stand still. Motion boundary histograms take the gradient
of the flow to the right and of the flow down apart: a uniform motion, as of a camera that pans, has none.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_BINS, _CELLS = 8, 4
_STILL = 0.4
"""Pixels of flow below which a pixel stands still (Wang's implementation takes the same)."""

COLUMNS = {"hog": slice(0, 32), "hof": slice(32, 68), "mbh_x": slice(68, 100), "mbh_y": slice(100, 132)}
"""Where each histogram lies in a descriptor: cell by cell (left above, right above, left below, right below)."""
WIDTH = 132
"""Numbers of a descriptor."""


def frame_histograms(
    frame: NDArray[np.uint8], flow: NDArray[np.float32], points: NDArray[np.float32], *, patch: int
) -> NDArray[np.float64]:
    """Return the histograms of one frame around points, not normalised.

    Parameters
    ----------
    frame : (H, W) array
    flow : (H, W, 2) array
        To the next frame, right and down.
    points : (n, 2) array
        Right and down, in pixels.
    patch : int
        Side of the square around a point, in pixels.

    Returns
    -------
    (n, WIDTH) array
    """
    still = np.linalg.norm(flow, axis=-1) < _STILL
    moving = np.where(still[..., None], 0.0, flow)
    layers = [
        orientation_layers(*_gradient(frame.astype(np.float32))),
        np.dstack([orientation_layers(moving[..., 0], moving[..., 1]), still.astype(np.float32)]),
        orientation_layers(*_gradient(flow[..., 0])),
        orientation_layers(*_gradient(flow[..., 1])),
    ]
    return np.concatenate([_cell_sums(layer, points, patch) for layer in layers], axis=1)


def orientation_layers(right: NDArray[np.float32], down: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the magnitude of a field, (H, W), in the layers of its direction, (H, W, 8); layer 0 is to the right."""
    magnitude = np.hypot(right, down)
    place = np.arctan2(down, right) * (_BINS / (2 * np.pi)) % _BINS
    low = np.floor(place)
    share = place - low
    layers = np.zeros((*magnitude.shape, _BINS), np.float32)
    rows, columns = np.ogrid[: magnitude.shape[0], : magnitude.shape[1]]
    layers[rows, columns, low.astype(int) % _BINS] = magnitude * (1 - share)
    layers[rows, columns, (low.astype(int) + 1) % _BINS] += magnitude * share
    return layers


def normalised(sums: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return descriptors, (n, WIDTH), each histogram as the square root of its shares: length 1, or 0 where empty."""
    rooted = np.zeros(sums.shape, np.float32)
    for columns in COLUMNS.values():
        total = sums[:, columns].sum(axis=1, keepdims=True)
        rooted[:, columns] = np.sqrt(sums[:, columns] / np.maximum(total, 1e-12))
    return rooted


def _gradient(image: NDArray[np.float32]) -> tuple[Any, Any]:
    return np.gradient(image, axis=1), np.gradient(image, axis=0)


def _cell_sums(layers: NDArray[np.float32], points: NDArray[np.float32], patch: int) -> NDArray[np.float64]:
    """Return the sums of layers, (H, W, L), over the 2 x 2 cells around points, (n, 4 L); outside is 0."""
    height, width, count = layers.shape
    summed = np.zeros((height + 1, width + 1, count))
    summed[1:, 1:] = layers.cumsum(axis=0, dtype=np.float64).cumsum(axis=1)
    offsets = np.array([-(patch // 2), 0, patch // 2])
    x, y = np.rint(points).astype(int).T
    columns, rows = np.clip(x[:, None] + offsets, 0, width), np.clip(y[:, None] + offsets, 0, height)
    corners = summed[rows[:, :, None], columns[:, None, :]]
    cells = corners[:, 1:, 1:] - corners[:, :-1, 1:] - corners[:, 1:, :-1] + corners[:, :-1, :-1]
    return np.maximum(cells, 0.0).reshape(len(points), _CELLS * count)
