"""Video files with known content: frame i is a plain grey of level 20 + 5 i."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np


def level(index: int) -> int:
    """Return the grey of a frame."""
    return 20 + 5 * index


def write_video(
    path: Path,
    *,
    frames: int = 20,
    rate: int = 10,
    size: tuple[int, int] = (64, 48),
    codec: str = "libx264",
    grey: bool = False,
    options: dict[str, str] | None = None,
) -> Path:
    """Write a video whose every frame tells its number."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, options=options or {})
        stream.width, stream.height = size
        stream.pix_fmt = "gray" if grey else "yuv420p"
        for index in range(frames):
            picture = np.full((size[1], size[0], 3), level(index), dtype=np.uint8)
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path


def write_audio(path: Path) -> Path:
    """Write half a second of silence as an MP4 without a video stream."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), dtype=np.float32), format="fltp", layout="mono")
        frame.sample_rate = 16000
        for packet in [*stream.encode(frame), *stream.encode()]:
            container.mux(packet)
    return path
