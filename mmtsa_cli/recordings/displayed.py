"""Decoded frames as they are displayed: their pixels as an array, upright."""

from __future__ import annotations

import functools
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray


def displayed(frame: Any) -> NDArray[np.uint8]:
    """Return the pixels of a frame of PyAV as it is displayed: uint8 (H, W, 3) in RGB, or (H, W) of a grey one."""
    wanted = "gray" if frame.format.name.startswith("gray") else "rgb24"
    pixels = frame.to_ndarray(format=wanted, **_on_one_thread())
    quarter_turns = round(frame.rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(pixels, quarter_turns)) if quarter_turns else pixels


@functools.cache
def _on_one_thread() -> dict[str, int]:
    """Return what keeps a conversion on one thread.

    PyAV from 17 on starts and ends one a core for each frame, which takes a hundred times as long as converting a small
    one. Before, it knew no threads, nor the word.
    """
    wish = {"threads": 1}
    try:
        av.VideoFrame(16, 16, "yuv420p").reformat(format="rgb24", **wish)
    except TypeError:
        return {}
    return wish
