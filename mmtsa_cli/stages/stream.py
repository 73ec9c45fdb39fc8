"""A training run over a stream: rows of sensors from a pipe, frames of a camera, an answer at the end of each hop."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from mmtsa_cli.errors import DataError
from mmtsa_cli.evaluation.timeline import name_of
from mmtsa_cli.models.inference import one_thread
from mmtsa_cli.recordings.live_rows import LiveRows
from mmtsa_cli.recordings.live_stamps import Row
from mmtsa_cli.recordings.live_video import LiveVideo
from mmtsa_cli.sampling.packing import shrink
from mmtsa_cli.stages.predictions.hops import Hop, Hops
from mmtsa_cli.stages.predictions.inputs import (
    FileOptions,
    Told,
    other_range,
    other_rate,
    said_of_files,
    unit_factor,
)
from mmtsa_cli.stages.predictions.live_networks import LiveNetworks
from mmtsa_cli.stages.predictions.stream_opening import (
    StreamOptions,
    Tell,
    layout_of,
    open_stream,
    sensor_of,
    series_of,
)
from mmtsa_cli.stages.stopping import Asked, stop_on_signals

_CHUNK = 1 << 16
_CHUNKS = 16
"""Of the pipe that are read ahead: beyond, who writes into it waits."""
_POLL_S = 0.05
_LOOKED_AFTER_S = 10.0
"""Seconds of a stream after which its rates and ranges are judged."""
_OVER_S = 5.0
"""Silence of a file after which a stream of nothing but it is over."""


@dataclass(frozen=True)
class StreamResult:
    """How a stream went.

    Attributes
    ----------
    hops, unanswered : int
    dropped : mapping of str to int
        Rows, by reason.
    signal : int or None
        That ended it; None: the end of the input.
    """

    hops: int
    unanswered: int
    dropped: Mapping[str, int]
    signal: int | None


def run(
    training: Path,
    source: BinaryIO,
    write: Callable[[dict[str, Any]], None],
    *,
    options: StreamOptions | None = None,
    about: FileOptions | None = None,
    note: Tell = lambda text: None,
    warn: Tell = lambda text: None,
) -> StreamResult:
    """Predict a stream until it ends, or a signal asks to stop.

    Parameters
    ----------
    training : Path
        A run.
    source : binary file
        Rows of the sensors (see `recordings.live_rows`).
    write : callable
        Takes what there is to say at the end of each hop, as JSON values.
    options : StreamOptions, optional
    about : FileOptions, optional
        Columns and units of the rows.
    note, warn : callable
        Are told what there is to say beside it, when it happens.

    Raises
    ------
    UsageError, DataError, ArtifactError
    """
    options = options or StreamOptions()
    with stop_on_signals() as asked, one_thread():
        stream = _Stream(training, options, about or FileOptions(), asked, note=note, warn=warn)
        with contextlib.closing(stream):
            return stream.run(source, write)


class _Stream:
    """A run with everything that its stream needs, opened."""

    def __init__(
        self, training: Path, options: StreamOptions, about: FileOptions, asked: Asked, *, note: Tell, warn: Tell
    ) -> None:
        self._options, self._asked, self._note, self._warn = options, asked, note, warn
        self._wanted, networks, self._sources = open_stream(training, options, note)
        self._classes: Sequence[str] = networks.model["classes"]
        layout = self._layout = layout_of(self._wanted, networks, options, note)
        told = Told()
        said = said_of_files(about, self._wanted)
        facts = self._wanted.data.sensors
        self._factors = {
            name: unit_factor(name, said[name].get("unit"), facts[name], told, where="standard input")
            for name in self._wanted.sensors
        }
        sensors = {name: sensor_of(name, self._wanted, said[name]) for name in self._wanted.sensors}
        for text in told.notes:
            note(text)
        for text in told.warnings:
            warn(text)
        self._rows = LiveRows(sensors, by_arrival=options.by_arrival, tell=warn)
        self._series = {name: series_of(sensor, layout, options) for name, sensor in sensors.items()}
        self._videos: dict[str, LiveVideo] = {}
        live = LiveNetworks(networks)
        if live.by_window:
            note(f"scale clip: all {live.segments} segments of {', '.join(live.by_window)} are encoded at each hop")
        live.warm_up()
        for name, camera in self._sources.items():
            self._videos[name] = LiveVideo(
                camera,
                keep_s=layout.reach_s + layout.late_s + layout.hop_s,
                shrink=lambda picture: shrink(picture, layout.cutting.short_side),
            )
        self._hops = Hops(
            layout,
            live,
            self._wanted.inputs,
            self._series,
            self._videos,
            starts={} if options.camera_start_s is None else dict.fromkeys(self._videos, options.camera_start_s),
            takes_subsets=self._wanted.takes_subsets,
            stop=asked.answer,
        )
        # Of rows that have no stamps: they get this machine's time.
        self._epoch_s = time.time() - time.monotonic()
        self._looked = False
        self._count = self._unanswered = 0
        self._dropped: Counter[str] = Counter()

    def close(self) -> None:
        for video in self._videos.values():
            video.close()

    def run(self, source: BinaryIO, write: Callable[[dict[str, Any]], None]) -> StreamResult:
        for hop in self._heard(source):
            write(self._line(hop))
            self._look(at_end=False)
            if self._asked.answer():
                break
        self._dropped += self._newly_dropped()
        return StreamResult(self._count, self._unanswered, dict(self._dropped), self._asked.signal)

    def _heard(self, source: BinaryIO) -> Iterator[Hop]:
        """Yield hops as they are over."""
        if not self._series:
            while not self._asked.answer() and not self._is_over():
                yield from self._hops.idle()
                time.sleep(_POLL_S / 5)
            return
        chunks = _chunks(source)
        while not self._asked.answer():
            try:
                content, arrival = chunks.get(timeout=_POLL_S)
            except queue.Empty:
                yield from self._hops.idle()
                continue
            if content is None:
                break
            yield from self._taken(content, arrival)
        if self._asked.answer():
            return
        for row in self._rows.finish(time.monotonic()):
            yield from self._take(row)
        yield from self._hops.finish()
        self._look(at_end=True)

    def _taken(self, content: bytes, arrival: float) -> Iterator[Hop]:
        for row in self._rows.feed(content, arrival):
            yield from self._take(row)

    def _take(self, row: Row) -> Iterator[Hop]:
        row.values[:] *= self._factors[row.modality]
        if self._options.by_arrival:
            row = dataclasses.replace(row, time_s=row.time_s + self._epoch_s)
        if self._rows.lacking:
            self._do_without(set(self._rows.lacking))
        yield from self._hops.take(row)

    def _do_without(self, names: set[str]) -> None:
        """Go on without the sensors that a CSV has no columns of, where the run learned to."""
        self._rows.lacking = ()
        if not self._wanted.takes_subsets:
            raise DataError(
                f"no columns of {', '.join(sorted(names))}",
                where="standard input, header",
                expected=f"those of each modality that the run was trained on: {', '.join(self._wanted.inputs)}",
                remedy="add them, name them with --columns, or train a run that does without some "
                "(--modality-dropout 0.3)",
            )
        self._note(f"no {', '.join(sorted(names))}: predicted without, as the run has learned to")
        self._hops.without(names)

    def _is_over(self) -> bool:
        """Whether a stream of files alone has come to their end."""
        return all(not one.live and one.at_end and one.stale_s > _OVER_S for one in self._videos.values())

    def _look(self, *, at_end: bool) -> None:
        """Say once what rates and ranges tell of the wrong sensor or unit."""
        if self._looked or not (at_end or self._hops.spanned_s > _LOOKED_AFTER_S):
            return
        self._looked = True
        for name, series in self._series.items():
            facts, values, rate = self._wanted.data.sensors[name], series.recent(), series.rate
            found = [other_rate(name, rate, facts) if rate else None]
            found.append(other_range(name, values, facts) if len(values) else None)
            for text in found:
                if text:
                    self._warn(text)

    def _newly_dropped(self) -> Counter[str]:
        found = self._rows.dropped + self._hops.dropped()
        self._rows.dropped.clear()
        return found

    def _line(self, hop: Hop) -> dict[str, Any]:
        dropped = self._newly_dropped()
        self._dropped += dropped
        self._count += 1
        line: dict[str, Any] = {"start_s": round(hop.start_s, 3), "end_s": round(hop.end_s, 3)}
        if hop.probabilities is None:
            self._unanswered += 1
            line |= {"class": None, "confidence": None, "probabilities": {}, "attention": [], "reason": hop.reason}
        else:
            ranked = sorted(zip(self._classes, map(float, hop.probabilities), strict=True), key=lambda one: -one[1])
            line["class"] = name_of(hop.probabilities, self._classes, self._options.threshold)
            line["confidence"] = round(ranked[0][1], 6)
            line["probabilities"] = {name: round(p, 6) for name, p in ranked[: self._options.top]}
            line["attention"] = [round(float(weight), 6) for weight in hop.attention]  # type: ignore[union-attr]
            line["reason"] = None
        late = None if hop.lateness_s is None else round(hop.lateness_s, 3)
        return line | {
            "gaps": list(hop.gaps),
            "dropped": dict(dropped),
            "lateness_s": late,
            "latency_ms": round(1000 * hop.latency_s, 2),
        }


def _chunks(source: BinaryIO) -> queue.Queue[tuple[bytes | None, float]]:
    """Return what a thread reads, with the time at which it came; None at the end.

    The thread reads the descriptor itself: who waits in a buffered file holds a lock that the end of the process wants.
    """
    ready: queue.Queue[tuple[bytes | None, float]] = queue.Queue(_CHUNKS)

    def read() -> None:
        number = source.fileno()
        while True:
            try:
                content = os.read(number, _CHUNK)
            except OSError:
                # The terminal or the cable is gone.
                content = b""
            ready.put((content or None, time.monotonic()))
            if not content:
                return

    threading.Thread(target=read, name="rows", daemon=True).start()
    return ready
