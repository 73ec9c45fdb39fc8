"""Video files, decoded with PyAV: frames by their stamps, display rotation applied, damage survived."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from mmtsa_cli.artifacts.remote import local_file
from mmtsa_cli.errors import DataError
from mmtsa_cli.recordings.displayed import displayed
from mmtsa_cli.recordings.video import Video, VideoInfo

_LISTED_BYTES = 256 << 20
"""Up to this size the packets of a file are listed when it is opened (one reading); beyond, its header is believed."""
_MOST_PIXELS = 1 << 26
"""Of a frame, twice those of an 8K video: a file of a kilobyte may say that its frames fill the memory."""
_SEEK_AHEAD_S = 2.0
"""How far ahead a frame must lie for a seek to be tried where the key frames are not known."""


@dataclass(frozen=True)
class _Packets:
    """Stamps of all frames in a file, without decoding any."""

    stamps: NDArray[np.int64]
    keys: NDArray[np.int64]
    end: int
    fault: str | None = None


class DecodedVideo(Video):
    """The first video stream of a file.

    One thread decodes: clips are what is worked on in parallel.

    Raises
    ------
    DataError
        No video, or none of it can be decoded.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._container = _open(path)
        self._stream = _video_stream(self._container, path)
        self._stream.thread_type = "NONE"
        # AVI stores no presentation times, and guesses at them run backwards around B-frames; decoding times are right.
        self._stamped = self._container.format.name != "avi"
        self._packets: _Packets | None = self._list_packets()
        self._damaged: set[int] = set()
        self._lost: list[int] = []
        self._decoder: Iterator[Any] = self._decode()
        self._shown: Any = None
        self._next: Any = None
        self._start = 0
        if self._packets and len(self._packets.stamps):
            self._seek(int(self._packets.stamps[0]))
        self._advance()
        if self._next is None:
            raise DataError("no frame can be decoded", where=str(path), found=self._codec())
        self._start = int(self._packets.stamps[0]) if self._packets and self._stamped else self._next.pts
        self._info: VideoInfo = self._describe(self._next)

    @property
    def info(self) -> VideoInfo:
        """What is known of the video; `fault` grows as damage is met."""
        faults = [self._info.fault] if self._info.fault else []
        if self._damaged:
            at = f"{(min(self._damaged) - self._start) * self._tick:.2f} s"
            faults.append(f"{len(self._damaged)} of {self._info.frames} frames cannot be decoded, the first at {at}")
        elif self._lost:
            # Nothing was refused by the decoder, and yet what should be shown then is not what came out.
            at = ", ".join(f"{(stamp - self._start) * self._tick:.2f}" for stamp in self._lost)
            faults.append(f"no frame can be decoded at {at} s")
        return dataclasses.replace(self._info, fault="; ".join(faults) or None)

    def probe(self) -> VideoInfo:
        """Decode the first, the middle and the last frame, and return the info with the damage that was met."""
        if self._packets is None:
            self._probe_end()
        else:
            stamps = self._packets.stamps
            wanted = [int(stamps[index]) for index in (0, len(stamps) // 2, -1)]
            # Guessed stamps are off by as much as B-frames are moved.
            slack = 0 if self._stamped else 3 * self._step()
            self._lost = [stamp for stamp in dict.fromkeys(wanted) if abs(self._frame_at(stamp).pts - stamp) > slack]
        self._seek(self._start)
        return self.info

    def scan(self) -> VideoInfo:
        """Decode everything once, to find what is damaged, and return the info with it."""
        self._seek(self._start)
        frames = sum(1 for _ in self._decoder)
        self._seek(self._start)
        promised = self._info.frames
        if not self._info.fault and frames + len(self._damaged) < promised:
            fault = f"{frames} of the {promised} frames of its header are there"
            self._info = dataclasses.replace(self._info, fault=fault)
        return self.info

    def _probe_end(self) -> None:
        """Look whether a file whose packets were not listed is as long as its header says."""
        duration = self._info.duration_s
        for time_s in (duration / 2, duration):
            last = self._frame_at(self._start + int(time_s / self._tick))
        ends = (last.pts - self._start) * self._tick + 1.0 / self._info.rate
        if ends < duration - max(1.0, 3.0 / self._info.rate):
            fault = f"ends at {ends:.2f} s of the {duration:.2f} s of its header"
            self._info = dataclasses.replace(self._info, fault=fault)

    def close(self) -> None:
        """Release the file."""
        self._container.close()

    def _frames_at(self, times_s: Sequence[float]) -> list[tuple[float, NDArray[np.uint8]]]:
        result: list[tuple[float, NDArray[np.uint8]]] = []
        picture_of: tuple[int, NDArray[np.uint8]] | None = None
        for time_s in times_s:
            frame = self._frame_at(self._start + int(max(time_s, 0.0) / self._tick + 1e-6))
            if picture_of is None or picture_of[0] != frame.pts:
                picture_of = (frame.pts, displayed(frame))
            result.append(((frame.pts - self._start) * self._tick, picture_of[1]))
        return result

    @property
    def _tick(self) -> float:
        return float(self._stream.time_base)

    def _frame_at(self, stamp: int) -> Any:
        if self._should_seek(stamp):
            self._seek_before(stamp)
        if self._shown is None:
            self._advance()
        while self._next is not None and self._next.pts <= stamp:
            self._advance()
        frame = self._shown if self._shown is not None else self._next
        if frame is None:
            raise DataError("no frame can be decoded", where=str(self._path), found=self._codec())
        return frame

    def _should_seek(self, stamp: int) -> bool:
        """Whether a seek gets to `stamp` with less decoding than going on does."""
        position = self._shown or self._next
        if position is None or stamp < position.pts:
            return True
        ahead = self._next.pts if self._next is not None else position.pts
        if self._packets is None:
            return stamp - ahead > _SEEK_AHEAD_S / self._tick
        keys = self._packets.keys
        key = int(np.searchsorted(keys, stamp, side="right")) - 1
        return key >= 0 and keys[key] > ahead

    def _seek_before(self, stamp: int) -> None:
        """Seek to the key frame before `stamp`; containers that index by decoding time may need to go back further."""
        back = 0
        step = max(1, round(1.0 / self._tick))
        while True:
            target = max(self._start, stamp - back)
            self._seek(target)
            self._advance()
            if target == self._start or (self._next is not None and self._next.pts <= stamp):
                return
            back = 2 * back or step

    def _seek(self, stamp: int) -> None:
        self._shown = self._next = None
        try:
            self._container.seek(stamp, stream=self._stream, backward=True)
        except av.error.FFmpegError:
            # Formats without an index cannot seek: begin again.
            self._container.close()
            self._container = _open(self._path)
            self._stream = _video_stream(self._container, self._path)
            self._stream.thread_type = "NONE"
        self._decoder = self._decode()

    def _advance(self) -> None:
        following = next(self._decoder, None)
        if self._next is not None:
            self._shown = self._next
        self._next = following

    def _decode(self) -> Iterator[Any]:
        """Yield frames in the order of their stamps, passing over what cannot be decoded."""
        last = None
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets)
                frames = packet.decode()
            except StopIteration:
                return
            except av.error.EOFError:
                return
            except av.error.FFmpegError:
                # By its stamp: going back to an earlier key frame meets the same one again.
                stamp = packet.pts if self._stamped else packet.dts
                self._damaged.add(self._start if stamp is None else stamp)
                continue
            for frame in frames:
                if not self._stamped:
                    frame.pts = frame.dts
                if frame.pts is None:
                    frame.pts = 0 if last is None else last + self._step()
                if last is None or frame.pts > last:
                    last = frame.pts
                    yield frame

    def _step(self) -> int:
        return max(1, round(1.0 / (float(self._stream.average_rate or 25) * self._tick)))

    def _list_packets(self) -> _Packets | None:
        if self._path.stat().st_size > _LISTED_BYTES:
            return None
        stamps, keys, end, fault = [], [], 0, None
        hidden = 0
        try:
            for packet in self._container.demux(self._stream):
                stamp = packet.pts if self._stamped else packet.dts
                if stamp is None or not packet.size:
                    continue
                if packet.is_discard:
                    # Cut away by whoever trimmed the video: decoded for what follows, never shown.
                    hidden += 1
                    continue
                stamps.append(stamp)
                end = max(end, stamp + (packet.duration or self._step()))
                if packet.is_keyframe:
                    keys.append(stamp)
        except av.error.FFmpegError as error:
            fault = f"cut off: {error.strerror}"
        if not stamps:
            return None
        promised = self._stream.frames - hidden
        if not fault and promised > len(stamps):
            fault = f"{len(stamps)} of the {promised} frames of its header are there"
        return _Packets(np.sort(np.asarray(stamps)), np.sort(np.asarray(keys, dtype=np.int64)), end, fault)

    def _describe(self, first: Any) -> VideoInfo:
        turned = round(first.rotation / 90) % 2 == 1
        width, height = (first.height, first.width) if turned else (first.width, first.height)
        grey = first.format.name.startswith("gray")
        rate = float(self._stream.average_rate or self._stream.guessed_rate or 25)
        if self._packets:
            duration = float(self._packets.end - self._packets.stamps[0]) * self._tick
            frames = len(self._packets.stamps)
            return VideoInfo(duration, frames, frames / duration, width, height, grey, self._packets.fault)
        duration = self._duration_of_header()
        return VideoInfo(duration, self._stream.frames or round(duration * rate), rate, width, height, grey)

    def _duration_of_header(self) -> float:
        if self._stream.duration:
            return self._stream.duration * self._tick
        if self._container.duration:
            return self._container.duration / av.time_base
        raise DataError("its header does not say how long it is", where=str(self._path), found=self._codec())

    def _codec(self) -> str:
        codec = self._stream.codec_context
        return f"{codec.name if codec else 'an unknown codec'} in {self._container.format.name}"


def _open(path: Path) -> Any:
    try:
        return av.open(str(local_file(path)))
    except (av.error.FFmpegError, UnicodeDecodeError) as error:
        found = _content(path)
        remedy = "copy or record it again" if "without its index" in found else None
        what = "not a readable video" if isinstance(error, ValueError) else f"cannot be read: {error}"
        raise DataError(what, where=str(path), found=found, remedy=remedy) from None


def _video_stream(container: Any, path: Path) -> Any:
    for stream in container.streams.video:
        if not stream.disposition & av.stream.Disposition.attached_pic:
            if stream.codec_context:
                stream.codec_context.options = {"max_pixels": str(_MOST_PIXELS)}
            return stream
    found = ", ".join(sorted({_describe_stream(stream) for stream in container.streams})) or "no stream at all"
    container.close()
    raise DataError("no video stream", where=str(path), expected="a video", found=found)


def _describe_stream(stream: Any) -> str:
    return f"{stream.type} ({stream.codec_context.name})" if stream.codec_context else stream.type


def _content(path: Path) -> str:
    """Say what a file holds that is no video."""
    with path.open("rb") as stream:
        head = stream.read(4096)
    if head[4:8] == b"ftyp":
        return "an MP4 without its index, cut off before its end"
    if head[:4] in (b"\x1aE\xdf\xa3", b"RIFF"):
        return "the beginning of a video file, cut off"
    if b"\0" in head:
        return "other data"
    try:
        head[:4000].decode("utf-8")
    except UnicodeDecodeError:
        return "other data"
    return "a text"
