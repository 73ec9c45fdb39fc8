"""A video while it is filmed: a camera, a network stream, or a file that another program still writes.

A thread decodes; of what it decoded the last seconds are kept, small. A live camera shows only what is now: frames that
nobody asked for are gone. A file is decoded as far as it is asked for, and where it ends more of it is waited for.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from mmtsa_cli.errors import DataError
from mmtsa_cli.recordings.displayed import displayed
from mmtsa_cli.recordings.live_series import GapError

Shrink = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]

_POLL_S = 0.02
_AGAIN_S = 0.5
"""How long a camera that was lost is left alone before it is opened again."""
_BEGINNING_S = 2.0
"""How long the beginning of a file may be missing."""
_MOST = 64
"""Frames that are kept, and one more: the newest."""


@dataclass(frozen=True)
class Frame:
    """A frame, uint8 (H, W, 3) in RGB or (H, W), and its time: on the machine's monotonic clock, or in its file."""

    time_s: float
    picture: NDArray[np.uint8]


class LiveVideo:
    """The newest frames of a source.

    Parameters
    ----------
    source : str
        A number (a camera), a URL, or a file.
    keep_s : float
        How far back frames are asked for.
    shrink : callable
        Makes a frame as small as it is kept.

    Attributes
    ----------
    live : bool
        Whether frames are stamped by their arrival; else by the file.

    Raises
    ------
    DataError
        No such file.
    """

    def __init__(self, source: str, *, keep_s: float, shrink: Shrink) -> None:
        self.source = source
        self.live = source.isdecimal() or "://" in source or source.startswith("/dev/")
        if not self.live and not Path(source).is_file():
            raise DataError("no such file", where=f"--camera {source}", expected="a camera's number, a URL or a file")
        self._keep_s = keep_s
        self._shrink = shrink
        self._frames: deque[Frame] = deque()
        self._step_s = 0.0
        self._horizon_s = -np.inf if not self.live else np.inf
        self._changed = threading.Condition()
        self._closed = False
        self._waiting = False
        self._grown_s = time.monotonic()
        self._error: str | None = None
        self._opened = False
        self._thread = threading.Thread(target=self._work, name=f"camera {source}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop decoding. A camera that hangs in its driver is left behind."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(timeout=1.0)

    def check(self) -> None:
        """Raise what ended the thread before the first frame: a source that is no video.

        Raises
        ------
        DataError
        """
        if self._error and not self._opened and not self._thread.is_alive():
            raise DataError(f"cannot be read: {self._error}", where=f"--camera {self.source}")

    @property
    def grey(self) -> bool | None:
        """Whether frames have one channel; None before the first."""
        with self._changed:
            return self._frames[-1].picture.ndim == 2 if self._frames else None

    @property
    def newest_s(self) -> float | None:
        """Time of the newest frame; None where there is none."""
        with self._changed:
            return self._frames[-1].time_s if self._frames else None

    @property
    def held(self) -> int:
        """Number of frames in memory."""
        return len(self._frames)

    def wait(self, until_s: float, patience_s: float, *, stop: Callable[[], bool] = lambda: False) -> bool:
        """Let a file be decoded up to a time of its own, and return whether that is done.

        Parameters
        ----------
        until_s : float
        patience_s : float
            Where the file is not written that far: for how long it may not have grown.
        stop : callable
            Whether to wait no longer.
        """
        with self._changed:
            self._horizon_s = max(self._horizon_s, until_s)
            self._changed.notify_all()
            while not self._reaches(until_s):
                over = self._closed or not self._thread.is_alive() or stop()
                if over or (self._opened and self.at_end and self.stale_s >= patience_s):
                    return False
                self._changed.wait(_POLL_S)
        return True

    @property
    def stale_s(self) -> float:
        """Seconds since the last frame was decoded, or the source was opened."""
        return time.monotonic() - self._grown_s

    @property
    def at_end(self) -> bool:
        """Whether all of a file that is written so far has been decoded."""
        return self._waiting or not self._thread.is_alive()

    def at(self, times_s: list[float], *, limit_s: float) -> list[NDArray[np.uint8]]:
        """Return the frame that is shown at each time, at most `limit_s` old.

        Raises
        ------
        GapError
            There is none.
        """
        with self._changed:
            frames, step = list(self._frames), self._step_s
        stamps = np.array([frame.time_s for frame in frames])
        limit = max(limit_s, 2.5 * step)
        found = []
        for wanted in times_s:
            if not frames:
                raise GapError("no frame yet")
            # Before the first frame the first is meant, as in a file that is opened whole.
            shown = max(0, int(np.searchsorted(stamps, wanted + 1e-6, side="right")) - 1)
            if abs(wanted - stamps[shown]) > limit:
                raise GapError(f"no frame for {abs(wanted - stamps[shown]):.2f} s")
            found.append(frames[shown].picture)
        return found

    # The thread

    def _reaches(self, until_s: float) -> bool:
        # The newest frame is shown until the next one comes.
        return bool(self._frames) and self._frames[-1].time_s + 0.999 * self._step_s >= until_s

    def _work(self) -> None:
        patience = _BEGINNING_S
        while not self._closed:
            try:
                with contextlib.closing(self._decoded()) as frames:
                    for frame in frames:
                        self._opened = True
                        self._keep(frame)
                        if self._closed:
                            return
                self._error = "it ended"
            except (OSError, ValueError, av.error.FFmpegError, RuntimeError) as error:
                self._error = (str(error).splitlines() or [type(error).__name__])[0]
            patience -= _AGAIN_S
            if not self._opened and (self.live or patience < 0):
                return
            if self._opened and not self.live:
                return
            time.sleep(_AGAIN_S)

    def _keep(self, frame: Frame) -> None:
        frame = Frame(frame.time_s, self._shrink(frame.picture))
        with self._changed:
            self._error = None
            if self._frames:
                step = frame.time_s - self._frames[-1].time_s
                if step <= 0:
                    # A file that was begun anew, or stamps that are wrong: only what goes on is of use.
                    return
                self._step_s = step
            # Frames closer than this to the one before would only fill memory; the newest always stays.
            spacing = self._keep_s / _MOST
            if len(self._frames) > 1 and self._frames[-1].time_s - self._frames[-2].time_s < spacing:
                self._frames.pop()
            self._frames.append(frame)
            self._grown_s = time.monotonic()
            while len(self._frames) > 1 and self._frames[1].time_s < frame.time_s - self._keep_s:
                self._frames.popleft()
            self._changed.notify_all()
            # One frame ahead of what is asked for.
            while frame.time_s > self._horizon_s and not self._closed:
                self._changed.wait()

    def _decoded(self) -> Generator[Frame, None, None]:
        if self.source.isdecimal() or self.source.startswith("/dev/"):
            return self._of_camera()
        return self._of_container()

    def _of_camera(self) -> Generator[Frame, None, None]:
        import cv2

        capture = cv2.VideoCapture(int(self.source) if self.source.isdecimal() else self.source)
        try:
            if not capture.isOpened():
                raise OSError("no camera there")
            while not self._closed:
                given, picture = capture.read()
                if not given:
                    return
                yield Frame(time.monotonic(), cv2.cvtColor(picture, cv2.COLOR_BGR2RGB))  # type: ignore[arg-type]
        finally:
            capture.release()

    def _of_container(self) -> Generator[Frame, None, None]:
        growing = None if self.live else _Growing(Path(self.source), self)
        # Of a file that has only begun, no more is there to be looked at.
        options = {"rtsp_transport": "tcp", "fflags": "nobuffer"} if self.live else {"analyzeduration": "200000"}
        with av.open(growing or self.source, options=options) as container:
            if not container.streams.video:
                raise ValueError("no video in it")
            stream = container.streams.video[0]
            # AVI stores no presentation times; see `DecodedVideo`.
            stamped = container.format.name != "avi"
            stream.thread_type = "NONE"
            if growing:
                growing.opening = False
            first: int | None = None
            for packet in container.demux(stream):
                try:
                    frames = packet.decode()
                except av.error.FFmpegError:
                    # Damage, or a beginning between two key frames.
                    continue
                for frame in frames:
                    if self.live:
                        yield Frame(time.monotonic(), displayed(frame))
                        continue
                    stamp = frame.pts if stamped else frame.dts
                    if stamp is not None:
                        first = stamp if first is None else first
                        yield Frame(float((stamp - first) * stream.time_base), displayed(frame))


class _Growing:
    """A file that is read up to its end, and there waits for more of it."""

    def __init__(self, path: Path, video: LiveVideo) -> None:
        self.name = str(path)
        self._file = path.open("rb")
        self._video = video
        # Formats look at the end of a file, or at all of a short one, to find out what is in it.
        self.opening = True

    def read(self, size: int) -> bytes:
        while True:
            content = self._file.read(size)
            self._video._waiting = not content
            if content or self.opening or self._video._closed:
                return content
            time.sleep(_POLL_S)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        self._file.close()
