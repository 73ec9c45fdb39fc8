"""When a hop of a stream is over, and what the networks get of it: sensor windows and frames of one segment each.

The stamps of the rows are the clock. A hop is over when every sensor has delivered what lies before its end, or when
somebody's clock, that of another sensor or, in silence, this machine's, is `late_s` beyond it; then what is missing is
told, and rows of it that still come are of use to later windows only.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmtsa_cli.errors import DataError
from mmtsa_cli.recordings.live_series import FAR_S, GapError, Jump, LiveSeries
from mmtsa_cli.recordings.live_stamps import Row
from mmtsa_cli.recordings.live_video import LiveVideo
from mmtsa_cli.sampling.draw import DrawOptions, centre_view
from mmtsa_cli.sampling.packing import CuttingOptions, pack_frame
from mmtsa_cli.stages.predictions.live_networks import LiveNetworks

_DRIFT = 1e-4
"""By how much two clocks may drift apart, in seconds a second."""
_SAME_CLOCK_S = 3600.0
"""Stamps that are so near to this machine's time are meant to be that time."""


@dataclass(frozen=True)
class Layout:
    """How a stream is cut into segments, as training clips were.

    Attributes
    ----------
    hop_s : float
        Length of a segment.
    window_s : float
        Length of a sensor window.
    segments : int
        N.
    late_s : float
        How long a hop waits for what is late.
    max_gap_s : float
    cutting : CuttingOptions
    drawing : DrawOptions
    """

    hop_s: float
    window_s: float
    segments: int
    late_s: float
    max_gap_s: float
    cutting: CuttingOptions
    drawing: DrawOptions

    @property
    def place(self) -> float:
        """Where in a segment it is sampled, from 0 (its start) to 1 (its end), as `draw_fractions` has it.

        The centre, as `predict` does, where the window does not reach beyond the segment's end from there. Else the
        end, which is a random draw of training that looks only back.
        """
        return 0.5 if self.window_s <= self.hop_s else 1.0

    @property
    def window_offset_s(self) -> float:
        """Where the sensor window begins, from the segment's start; below 0 it reaches into the segments before."""
        return self.place * (self.hop_s - self.window_s)

    @property
    def reach_s(self) -> float:
        """How far back from its end a hop looks."""
        return max(self.hop_s, self.window_s, self.hop_s - self.frame_offsets()[0])

    def frame_offsets(self) -> list[float]:
        """Return the times of a snippet's frames, from the segment's start, ascending; none after its end."""
        clip_s = self.segments * self.hop_s
        spacing = clip_s / (self.cutting.segments * self.cutting.frames)
        around = (np.arange(self.drawing.snippet) - (self.drawing.snippet - 1) // 2) * spacing
        offsets = self.place * self.hop_s + around
        return [float(offset) for offset in offsets - max(0.0, offsets[-1] - self.hop_s)]


@dataclass(frozen=True)
class Hop:
    """What there is to say at the end of a hop.

    Attributes
    ----------
    start_s, end_s : float
        The window, N hops, by the stamps.
    probabilities : (classes,) float array, or None
    attention : (N,) float array, or None
    reason : str or None
        Why there are none.
    gaps : tuple of str
        What was missing, or happened to the clock.
    lateness_s : float or None
        From the window's end to now; None where the stamps do not tell.
    latency_s : float
        From when all was there to the answer.
    """

    start_s: float
    end_s: float
    probabilities: NDArray[np.float64] | None
    attention: NDArray[np.float64] | None
    reason: str | None
    gaps: tuple[str, ...]
    lateness_s: float | None
    latency_s: float


class StreamClock:
    """How the stamps of rows stand to this machine's clock, by the row that was the least delayed.

    Attributes
    ----------
    newest_s : float or None
        The newest stamp.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget it: the clock was set."""
        self.newest_s: float | None = None
        self._offset_s = -np.inf
        self._arrival_s = 0.0
        self._is_ours = False

    def saw(self, stamp_s: float, arrival_s: float) -> None:
        """Note a row."""
        if self.newest_s is None:
            self._is_ours = abs(time.time() - (time.monotonic() - arrival_s) - stamp_s) < _SAME_CLOCK_S
        elapsed = arrival_s - self._arrival_s if np.isfinite(self._offset_s) else 0.0
        self._offset_s = max(stamp_s - arrival_s, self._offset_s - _DRIFT * elapsed)
        self._arrival_s = arrival_s
        if self.newest_s is None or stamp_s > self.newest_s:
            self.newest_s = stamp_s

    def silence_s(self, now_s: float) -> float:
        """Return for how long no row has come."""
        return now_s - self._arrival_s

    def stamp_of(self, monotonic_s: float) -> float:
        """Return what a row that is not delayed would be stamped at a time of this machine's monotonic clock."""
        return monotonic_s + float(self._offset_s)

    def lateness_s(self, stamp_s: float) -> float:
        """Return how long ago a stamp was: by this machine's clock where it is the same, else by the rows' arrival."""
        return time.time() - stamp_s if self._is_ours else self.stamp_of(time.monotonic()) - stamp_s


class Hops:
    """A stream of rows, and of frames, to what the networks say of it.

    Parameters
    ----------
    layout : Layout
    networks : LiveNetworks
    inputs : mapping of str to mapping
        Per modality `kind`, `channels` and `size`, as `model.json` has them.
    series : mapping of str to LiveSeries
        One a sensor.
    videos : mapping of str to LiveVideo
        One a video.
    starts : mapping of str to float
        Where the first frame of a file stands on the clock of the rows; of others it is at the first row.
    takes_subsets : bool
        Whether a segment may lack a modality.
    stop : callable
        Whether to wait no longer for the frames of a file.
    """

    def __init__(
        self,
        layout: Layout,
        networks: LiveNetworks,
        inputs: Mapping[str, Mapping[str, Any]],
        series: Mapping[str, LiveSeries],
        videos: Mapping[str, LiveVideo],
        *,
        starts: Mapping[str, float],
        takes_subsets: bool,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self._stop = stop
        self._layout = layout
        self._networks = networks
        self._inputs = inputs
        self._series = dict(series)
        self._videos = dict(videos)
        self._starts = dict(starts)
        self._takes_subsets = takes_subsets
        self._clock = StreamClock()
        self._origin_s: float | None = None
        self._first_s: float | None = None
        self._number = 0
        self._stalled = False
        self._events: list[str] = []
        self._extremes: deque[dict[str, NDArray[np.float32]]] = deque(maxlen=layout.segments)

    @property
    def held(self) -> int:
        """Samples and frames in memory."""
        return sum(one.held for one in self._series.values()) + sum(one.held for one in self._videos.values())

    @property
    def spanned_s(self) -> float:
        """Seconds since the stream began, or its clock was set."""
        return (self._clock.newest_s or 0.0) - (self._first_s or 0.0) if self._first_s is not None else 0.0

    def dropped(self) -> Counter[str]:
        """Return how many rows were dropped since this was asked last, by reason."""
        found: Counter[str] = Counter()
        for one in self._series.values():
            found += one.dropped
            one.dropped.clear()
        return found

    def without(self, names: set[str]) -> None:
        """Do not wait for sensors that will not come."""
        self._series = {name: one for name, one in self._series.items() if name not in names}

    def take(self, row: Row) -> Iterator[Hop]:
        """Take a row, and yield the hops that are over with it.

        Raises
        ------
        DataError
            A camera that is none, or shows other pictures than the run was trained on.
        """
        if row.modality not in self._series:
            return
        jump = self._series[row.modality].add(row.time_s, row.values)
        if jump:
            self._follow(row.modality, jump)
        elif self._stalled and self._origin_s is not None and row.time_s < self._start_s(self._number):
            self._restart(row.time_s)
            self._events.append("stamps go on from before the silence")
        self._stalled = False
        accepted = self._series[row.modality].newest_s
        if accepted is not None:
            # A stamp that is not believed yet moves no clock.
            self._clock.saw(min(row.time_s, accepted), row.arrival_s)
        if self._origin_s is None:
            self._restart(row.time_s)
        yield from self._over()

    def idle(self) -> Iterator[Hop]:
        """Yield the hops that are over because nothing comes, and those of a stream of frames alone.

        Raises
        ------
        DataError
            As of `take`.
        """
        for video in self._videos.values():
            video.check()
        if not self._series:
            yield from self._over_by_frames()
        elif self._origin_s is not None:
            silence = self._clock.silence_s(time.monotonic())
            if silence > self._layout.late_s:
                yield from self._over(silence)

    def finish(self) -> Iterator[Hop]:
        """Yield the hops of which all rows have come that ever will; a part of one is left out."""
        newest = self._clock.newest_s
        while newest is not None and self._end_s <= newest + 1.5 / self._slowest():
            yield self._close()

    # The clock

    def _start_s(self, number: int) -> float:
        return (self._origin_s or 0.0) + number * self._layout.hop_s

    @property
    def _end_s(self) -> float:
        return self._start_s(self._number + 1)

    def _slowest(self) -> float:
        return min((one.usual_rate for one in self._series.values()), default=1.0)

    def _restart(self, first_s: float) -> None:
        """Begin to count hops anew, where the first window is whole."""
        self._first_s = first_s if self._first_s is None else self._first_s
        self._origin_s = first_s + max(0.0, self._layout.reach_s - self._layout.hop_s)
        self._number = 0
        self._networks.clear()
        self._extremes.clear()

    def _follow(self, name: str, jump: Jump) -> None:
        """Begin anew after the clock of a sensor was set."""
        rows = self._series[name].odd
        for series in self._series.values():
            series.clear()
        self._clock.reset()
        for time_s, values in rows:
            self._series[name].add(time_s, values)
        self._first_s = None
        self._restart(jump.to_s)
        side = "back" if jump.by_s < 0 else "ahead"
        self._events.append(f"{name}: time jumps {side} by {abs(jump.by_s):.2f} s")

    def _over(self, silence_s: float = 0.0) -> Iterator[Hop]:
        newest = self._clock.newest_s
        # Most rows end no hop; this is as cheap as it gets.
        while newest is not None and newest + silence_s >= self._start_s(self._number) + self._layout.window_offset_s:
            if not self._is_whole():
                if newest + silence_s < self._end_s + self._layout.late_s:
                    return
                self._stalled = silence_s > self._layout.late_s
            yield self._close()

    def _is_whole(self) -> bool:
        needed = self._start_s(self._number) + self._layout.window_offset_s + self._layout.window_s
        if (self._clock.newest_s or 0.0) < self._end_s - 1.5 / self._slowest():
            return False
        return all(one.reaches(needed) for one in self._series.values())

    def _over_by_frames(self) -> Iterator[Hop]:
        for name, video in self._videos.items():
            newest = video.newest_s
            if newest is None:
                return
            if self._origin_s is None:
                self._first_s = self._stamp_of_frame(name, 0.0 if not video.live else newest)
                self._restart(self._first_s)
            self._clock.saw(self._stamp_of_frame(name, newest), time.monotonic())
        wanted = self._start_s(self._number) + self._layout.frame_offsets()[-1]
        for name, video in self._videos.items():
            if not video.live and not video.wait(self._time_of_frame(name, wanted), 0.0):
                return
            if video.live and self._stamp_of_frame(name, video.newest_s or 0.0) < wanted:
                return
        yield self._close()

    # Frames

    def _shift_s(self, name: str) -> float:
        """Return what is added to the time of a frame to have the stamp of its moment."""
        if not self._videos[name].live:
            return self._starts.get(name, self._first_s or 0.0)
        return self._clock.stamp_of(0.0) if self._series else time.time() - time.monotonic()

    def _stamp_of_frame(self, name: str, time_s: float) -> float:
        return time_s + self._shift_s(name)

    def _time_of_frame(self, name: str, stamp_s: float) -> float:
        return stamp_s - self._shift_s(name)

    def _await_frames(self, start_s: float) -> None:
        """Let files be decoded up to what is needed; one that is not written so far is given its time."""
        for name, video in self._videos.items():
            video.check()
            if not video.live:
                needed = self._time_of_frame(name, start_s + self._layout.frame_offsets()[-1])
                video.wait(needed, self._layout.late_s, stop=self._stop)
                video.check()

    def _picture(self, name: str, start_s: float) -> NDArray[np.uint8]:
        video, its, layout = self._videos[name], self._inputs[name], self._layout
        times = [self._time_of_frame(name, start_s + offset) for offset in layout.frame_offsets()]
        pictures = video.at(times, limit_s=layout.max_gap_s)
        grey = its["channels"] == 1
        if (pictures[0].ndim == 2) != grey:
            looks = {True: "a grey video", False: "a colour video"}
            raise DataError(
                f"{name} is {looks[not grey]}",
                where=f"--camera {video.source}",
                expected=f"{looks[grey]}, as the run was trained on",
            )
        # Through JPEG, as every frame that the network was trained on.
        packed = [pack_frame(picture, 0.0, layout.cutting) for picture in pictures]
        return np.concatenate([centre_view(one, grey=grey, options=layout.drawing) for one in packed], axis=-1)

    # A hop

    def _close(self) -> Hop:
        """Take the segment that is over, and say what the networks make of the last N."""
        start_s, end_s = self._start_s(self._number), self._end_s
        self._await_frames(start_s)
        begun = time.perf_counter()
        segment, gaps = self._cut(start_s)
        self._number += 1
        if segment and (not gaps or self._takes_subsets):
            self._networks.push(segment)
        else:
            self._networks.skip()
            self._skip_ahead(end_s, gaps)
        probabilities, attention, reason = self._answer(gaps)
        told, self._events = (*self._events, *gaps), []
        lateness = self._clock.lateness_s(end_s) if self._clock.newest_s is not None else None
        return Hop(
            end_s - self._layout.segments * self._layout.hop_s,
            end_s,
            probabilities,
            attention,
            reason,
            told,
            lateness,
            time.perf_counter() - begun,
        )

    def _cut(self, start_s: float) -> tuple[dict[str, NDArray[Any]], list[str]]:
        """Return what is there of a segment, by modality, and what is missing."""
        segment: dict[str, NDArray[Any]] = {}
        gaps = []
        extremes = {}
        for name, its in self._inputs.items():
            try:
                if name in self._videos:
                    segment[name] = self._picture(name, start_s)
                elif name in self._series:
                    segment[name] = self._series[name].window(start_s + self._layout.window_offset_s, its["size"])
                    if name in self._networks.by_window:
                        extremes[name] = self._series[name].extremes(start_s, self._layout.hop_s)
            except GapError as gap:
                segment.pop(name, None)
                gaps.append(f"{name}: {gap.what}")
        self._extremes.append(extremes)
        return segment, gaps

    def _answer(self, gaps: list[str]) -> tuple[NDArray[np.float64] | None, NDArray[np.float64] | None, str | None]:
        held, wanted = self._networks.held, self._layout.segments
        if held == wanted:
            return *self._networks.classify(self._window_extremes()), None
        return None, None, "; ".join(gaps) if held == 0 and gaps else f"{held} of {wanted} segments"

    def _window_extremes(self) -> dict[str, NDArray[np.float32]]:
        found = {}
        for name in self._networks.by_window:
            of_segments = [one[name] for one in self._extremes if name in one]
            if of_segments:
                both = np.stack(of_segments)
                found[name] = np.stack([both[..., 0].min(axis=0), both[..., 1].max(axis=0)], axis=-1)
        return found

    def _skip_ahead(self, end_s: float, gaps: list[str]) -> None:
        """Pass over hops without any sample, where there are too many to tell one by one."""
        nexts = [found for one in self._series.values() if (found := one.next_after(end_s)) is not None]
        far = max(FAR_S, self._layout.segments * self._layout.hop_s)
        if nexts and min(nexts) > end_s + far:
            self._number += int((min(nexts) - end_s) / self._layout.hop_s)
            gaps.append(f"nothing until {min(nexts):.2f} s")
