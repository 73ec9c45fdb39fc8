"""The track of telemetry in a camera's MP4: its packets with their times on the video's clock."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av

from mmtsa_cli.artifacts.remote import local_file
from mmtsa_cli.errors import DataError


def packets(path: Path) -> Iterator[tuple[float, float, bytes]]:
    """Yield start and end, in seconds from the first frame of the video, and content of each packet of telemetry.

    Raises
    ------
    DataError
        The file cannot be opened.
    """
    index, first = first_packet(path)
    if not first:
        return
    with _opened(path) as container:
        track = container.streams[index]
        zero, video_end = _video_span(container)
        _read_only(container, [track])
        try:
            for packet in container.demux(track):
                if packet.size and packet.pts is not None:
                    start = float(packet.pts * track.time_base) - zero
                    # The last packet is as long as the others by the file's index, whatever it holds.
                    end = start + float((packet.duration or 0) * track.time_base)
                    yield start, min(end, video_end) if video_end > start else end, bytes(packet)
        except av.error.FFmpegError:
            # Cut off: the video is shorter by as much, which is told where that is read.
            return


def first_packet(path: Path) -> tuple[int, bytes]:
    """Return the number of the stream of telemetry and its first packet; (-1, b"") where there is none.

    Raises
    ------
    DataError
        The file cannot be opened.
    """
    with _opened(path) as container:
        waiting = {stream.index: stream for stream in container.streams if stream.type == "data"}
        while waiting:
            _read_only(container, list(waiting.values()))
            try:
                packet = next((p for p in container.demux(*waiting.values()) if p.size), None)
            except av.error.FFmpegError:
                packet = None
            if packet is None:
                break
            # A camera has other streams of data too (time code, repair), and a handler's name does not survive editors.
            if bytes(packet)[:4] == b"DEVC":
                return packet.stream.index, bytes(packet)
            del waiting[packet.stream.index]
    return -1, b""


def _video_span(container: Any) -> tuple[float, float]:
    """Return where the first video stream starts, in seconds of the container, and its length."""
    for stream in container.streams.video[:1]:
        tick = float(stream.time_base)
        return (stream.start_time or 0) * tick, (stream.duration or 0) * tick
    return 0.0, 0.0


def _read_only(container: Any, wanted: Sequence[Any]) -> None:
    """Have the bytes of all other streams passed over: of hours of video, none needs to be read."""
    discard: Any = getattr(av.stream, "Discard", None)
    # An older PyAV cannot: it reads them, and the result is the same.
    for stream in container.streams if discard else ():
        stream.discard = discard.default if stream in wanted else discard.all


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        container = av.open(str(local_file(path)))
    except (av.error.FFmpegError, UnicodeDecodeError) as error:
        found = getattr(error, "strerror", None) or type(error).__name__
        raise DataError("not a readable video", where=str(path), expected="a GoPro's MP4", found=found) from None
    with container:
        yield container
