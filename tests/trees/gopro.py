"""GoPro videos with telemetry as the camera writes it: an MP4 with a track of GPMF packets, its content made up."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from tests.trees.videos import write_video

SECONDS = 3.0
ACC_RATE, GYRO_RATE = 200.0, 400.0
_TICKS = 1000


@dataclass(frozen=True)
class Stream:
    """A sensor: `values` in its unit, at `rate` from second 0, stored as int16 after `scale`."""

    key: str
    rate: float
    values: NDArray[np.float64]
    scale: int = 400
    unit: bytes = b"m/s\xb2"
    name: str = ""
    counted: bool = True
    stamped: bool = False
    extra: bytes = field(default=b"", repr=False)
    """Further items before the samples."""

    def block(self, start_s: float, end_s: float) -> bytes:
        """Return what a packet holds of it."""
        first, last = (min(len(self.values), int(np.ceil(time * self.rate - 1e-9))) for time in (start_s, end_s))
        items = klv("TSMP", "L", 4, struct.pack(">L", last)) if self.counted else b""
        items += klv("STMP", "J", 8, struct.pack(">Q", round(5e6 + first / self.rate * 1e6))) if self.stamped else b""
        items += text("STNM", self.name) if self.name else b""
        items += klv("SIUN", "c", len(self.unit), self.unit) + klv("SCAL", "s", 2, struct.pack(">h", self.scale))
        raw = np.round(self.values[first:last] * self.scale).astype(">i2")
        return nest("STRM", items + self.extra + klv(self.key, "s", 2 * self.values.shape[1], raw.tobytes()))


def acc(seconds: float = SECONDS, **changes: object) -> Stream:
    """Return an accelerometer in the order z, x, y: x is the time, y twice it, z is 9.81."""
    times = np.arange(round(seconds * ACC_RATE)) / ACC_RATE
    values = np.column_stack([np.full_like(times, 9.81), times, 2 * times])
    options = {"name": "Accelerometer (up/down, right/left, forward/back)", **changes}
    return Stream("ACCL", ACC_RATE, values, **options)  # type: ignore[arg-type]


def gyro(seconds: float = SECONDS, **changes: object) -> Stream:
    """Return a gyroscope in the order z, x, y: x is 1, y minus 1, z the time."""
    times = np.arange(round(seconds * GYRO_RATE)) / GYRO_RATE
    values = np.column_stack([times, np.ones_like(times), -np.ones_like(times)])
    options = {"scale": 3755, "unit": b"rad/s", "name": "Gyroscope (z,x,y)", **changes}
    return Stream("GYRO", GYRO_RATE, values, **options)  # type: ignore[arg-type]


def klv(key: str, kind: str, size: int, data: bytes) -> bytes:
    """Return an item of samples of `size` bytes."""
    return key.encode() + struct.pack(">BBH", ord(kind), size, len(data) // size) + data + b"\0" * (-len(data) % 4)


def text(key: str, value: str) -> bytes:
    """Return an item that is a text."""
    return klv(key, "c", 1, value.encode("latin-1"))


def nest(key: str, inside: bytes) -> bytes:
    """Return an item of items."""
    return key.encode() + struct.pack(">BBH", 0, 4, len(inside) // 4) + inside


def device(streams: bytes, *, model: str = "Camera", number: int = 1) -> bytes:
    """Return a device."""
    return nest("DEVC", klv("DVID", "L", 4, struct.pack(">L", number)) + text("DVNM", model) + streams)


def packets(streams: Sequence[Stream], *, seconds: float = SECONDS, model: str = "Camera") -> list[bytes]:
    """Return a packet a second."""
    starts = np.arange(0.0, seconds, 1.0)
    return [device(b"".join(stream.block(start, start + 1) for stream in streams), model=model) for start in starts]


def write_camera_video(
    path: Path,
    payloads: Sequence[bytes] | None = None,
    *,
    seconds: float = SECONDS,
    packet_s: float = 1.0,
    late_s: float = 0.0,
    first_frame_s: float = 0.0,
    index_first: bool = False,
) -> Path:
    """Write an MP4 of `seconds` at 10 frames a second with a track of telemetry.

    Parameters
    ----------
    payloads : sequence of bytes, optional
        Packets; None: of `acc` and `gyro`.
    packet_s : float
        How long each packet lasts by the file's index.
    late_s : float
        Where the track starts in the file.
    first_frame_s : float
        Where the video starts in the file.
    index_first : bool
        Write the telemetry after the index, so that a copy cut off lacks it and nothing else.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    write_video(path, frames=round(seconds * 10), rate=10)
    if first_frame_s:
        _delay(path, first_frame_s)
    payloads = packets([acc(seconds), gyro(seconds)], seconds=seconds) if payloads is None else payloads
    content = path.read_bytes()
    start, end = _find(content, b"moov")
    media = _box(b"mdat", b"".join(payloads))
    sizes = [len(payload) for payload in payloads]
    offsets = start + 8 + np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(int)
    ticks, late = round(packet_s * _TICKS), round(late_s * _TICKS)
    moov = _box(b"moov", content[start + 8 : end] + _track(sizes, offsets.tolist(), ticks, late))
    if index_first:
        moov = _box(b"moov", content[start + 8 : end] + _track(sizes, (offsets + len(moov)).tolist(), ticks, late))
    both = (moov, media) if index_first else (media, moov)
    path.write_bytes(content[:start] + b"".join(both) + content[end:])
    return path


def write_gopro(root: Path) -> Path:
    """Write two activities, one in two chapters, with a preview beside one."""
    for name in ("walk/GX010001.MP4", "walk/GX020001.MP4", "sit/GX010002.MP4"):
        write_camera_video(root / name)
    (root / "walk" / "GL010001.LRV").write_bytes(b"preview")
    return root


def _delay(path: Path, seconds: float) -> None:
    """Let the video start later in its file."""
    early = path.rename(path.with_suffix(".early.mp4"))
    with av.open(str(early)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.pts += round(seconds / packet.time_base)
                packet.dts += round(seconds / packet.time_base)
                packet.stream = stream
                target.mux(packet)
    early.unlink()


def _find(content: bytes, wanted: bytes) -> tuple[int, int]:
    at = 0
    while at < len(content):
        size = int.from_bytes(content[at : at + 4], "big")
        if content[at + 4 : at + 8] == wanted:
            return at, at + size
        at += size
    raise AssertionError(wanted)


def _box(kind: bytes, *parts: bytes) -> bytes:
    inside = b"".join(parts)
    return struct.pack(">L", 8 + len(inside)) + kind + inside


def _full(kind: bytes, *parts: bytes, flags: int = 0) -> bytes:
    return _box(kind, struct.pack(">L", flags), *parts)


def _longs(*values: int) -> bytes:
    return struct.pack(f">{len(values)}L", *values)


_MATRIX = _longs(0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)


def _track(sizes: Sequence[int], offsets: Sequence[int], ticks: int, late: int) -> bytes:
    """Return a track whose samples are packets of `ticks` thousandths of a second."""
    length = ticks * len(sizes)
    head = _full(b"tkhd", _longs(0, 0, 99, 0, late + length), bytes(16), _MATRIX, _longs(0, 0), flags=7)
    # An empty edit comes first where the track starts late.
    edits = [(late, 0xFFFFFFFF)] * bool(late) + [(length, 0)]
    listed = _full(b"elst", _longs(len(edits)), *(_longs(span, media, 0x10000) for span, media in edits))
    handler = _full(b"hdlr", b"mhlrmeta", bytes(12), b"\x09GoPro MET")
    sample = _box(b"gpmd", bytes(6), struct.pack(">HL", 1, 0))
    table = _box(
        b"stbl",
        _full(b"stsd", _longs(1), sample),
        _full(b"stts", _longs(1, len(sizes), ticks)),
        _full(b"stsc", _longs(1, 1, 1, 1)),
        _full(b"stsz", _longs(0, len(sizes), *sizes)),
        _full(b"stco", _longs(len(offsets), *offsets)),
    )
    data = _box(b"dinf", _full(b"dref", _longs(1), _full(b"url ", flags=1)))
    general = _box(b"gmhd", _full(b"gmin", bytes(12)), _box(b"gpmd", bytes(4)))
    media = _box(
        b"mdia",
        _full(b"mdhd", _longs(0, 0, _TICKS, length), bytes(4)),
        handler,
        _box(b"minf", general, data, table),
    )
    return _box(b"trak", head, _box(b"edts", listed), media)
