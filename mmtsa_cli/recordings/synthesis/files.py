"""The bytes of the files: MP4 whose frames are coded one by one, CSV with a header."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np

from mmtsa_cli.recordings.series import Series
from mmtsa_cli.recordings.synthesis.rendering import Image

_QUANTISER = 27
"""Of H.264 (0 to 51, finest to coarsest), the same for every frame."""


def encode(images: Iterator[Image], *, size: int, rate: int) -> bytes:
    """Return an MP4 file (H.264) of frames.

    Every frame is coded by itself with the same quantiser: a decoded frame depends on its own pixels alone, so that
    compression tells no more of tempo than the frames do, and any frame can be read without its neighbours.

    Parameters
    ----------
    images : iterator of (size, size, 3) uint8
        Blue-green-red.
    size : int
        Even.
    rate : int
        Frames a second.
    """
    import av

    memory = io.BytesIO()
    with av.open(memory, "w", format="mp4") as container:
        # One thread: with several, x264 cuts pictures otherwise, and the bytes depend on the machine.
        x264 = {
            "qp": str(_QUANTISER),
            "g": "1",
            "bf": "0",
            "threads": "1",
            "preset": "veryfast",
            "x264-params": "aq-mode=0",
        }
        stream = container.add_stream("libx264", rate=rate, options=x264)
        stream.width = stream.height = size
        stream.pix_fmt = "yuv420p"
        for image in images:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode())
    return memory.getvalue()


def csv_bytes(series: Series, *, decimals: int) -> bytes:
    """Return a series as CSV: the header, then per row the time in seconds (four decimals) and the axes."""
    row = "%.4f" + f",%.{decimals}f" * len(series.channels) + "\n"
    table = np.column_stack([series.times, series.values])
    text = ",".join(("time", *series.channels)) + "\n" + row * len(table) % tuple(table.ravel().tolist())
    return text.encode("ascii")
