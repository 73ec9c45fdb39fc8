"""Videos as they come out of half a download, a bad disk, or a phone's trimming."""

from __future__ import annotations

from pathlib import Path

import av


def rewrite(path: Path, target: Path, *, options: dict[str, str], shift_s: float = 0.0) -> Path:
    """Write the packets of a video anew, not decoded, all of them `shift_s` later."""
    with av.open(str(path)) as source, av.open(str(target), "w", container_options=options) as container:
        stream = container.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is None:
                continue
            ticks = round(shift_s / float(packet.time_base))
            packet.pts, packet.dts, packet.stream = packet.pts + ticks, packet.dts + ticks, stream
            container.mux(packet)
    return target


def cut_off(path: Path, target: Path, share: float) -> Path:
    """Write the first part of the frames' data, below a header that promises all of it."""
    data = rewrite(path, target, options={"movflags": "faststart"}).read_bytes()
    frames = data.find(b"mdat")
    target.write_bytes(data[: frames + round((len(data) - frames) * share)])
    return target


def trim(path: Path, target: Path, seconds: float) -> Path:
    """Hide the beginning of a video by an edit list, as phones do: the frames stay in the file."""
    return rewrite(path, target, options={"avoid_negative_ts": "disabled", "use_editlist": "1"}, shift_s=-seconds)


def blank(path: Path, first: int, last: int) -> Path:
    """Fill the data of some frames, counted as they are stored, with zeros: its place was kept, it never came."""
    with av.open(str(path)) as container:
        packets = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    data = bytearray(path.read_bytes())
    for position, size in packets[first:last]:
        data[position : position + size] = bytes(size)
    path.write_bytes(data)
    return path
