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

from mmtsa_cli.artifacts.manifest import read_manifest
from mmtsa_cli.errors import DataError, UsageError
from mmtsa_cli.evaluation.timeline import name_of
from mmtsa_cli.recordings.live_rows import LiveRows, LiveSensor
from mmtsa_cli.recordings.live_series import LiveSeries
from mmtsa_cli.recordings.live_stamps import Row
from mmtsa_cli.recordings.live_video import LiveVideo
from mmtsa_cli.sampling.packing import shrink
from mmtsa_cli.stages.predictions.hops import Hop, Hops, Layout
from mmtsa_cli.stages.predictions.inputs import (
    FileOptions,
    Told,
    Wanted,
    modality_named,
    narrowed,
    other_range,
    other_rate,
    said_of_files,
    unit_factor,
)
from mmtsa_cli.stages.predictions.live_networks import LiveNetworks, one_thread
from mmtsa_cli.stages.predictions.networks import Networks, PredictOptions, restore_networks, wanted_by
from mmtsa_cli.stages.stopping import Asked, stop_on_signals
from mmtsa_cli.stages.trainings.trained import drawing, open_run

Tell = Callable[[str], None]
_CHUNK = 1 << 16
_CHUNKS = 16
"""Of the pipe that are read ahead: beyond, who writes into it waits."""
_POLL_S = 0.05
_LOOKED_AFTER_S = 10.0
"""Seconds of a stream after which its rates and ranges are judged."""
_OVER_S = 5.0
"""Silence of a file after which a stream of nothing but it is over."""


@dataclass(frozen=True)
class StreamOptions:
    """How a stream is read and predicted.

    Attributes
    ----------
    fold : str, optional
        One network of the run; None: the mean of all.
    hop_s : float, optional
        Length of a segment, and time between answers; None: as long as the segments of the training clips.
    threshold : float
        Below this probability a class is not named.
    top : int, optional
        How many of the likeliest classes are told; None: all.
    max_gap_s : float, optional
        Longest gap that is filled; None: as in training.
    calibration : Path, optional
        An evaluation made with --calibrate.
    by_arrival : bool
        Rows are stamped when they come.
    cameras : tuple of str
        `SOURCE`, or `MODALITY=SOURCE`: a camera's number, a URL, or a file.
    camera_start_s : float, optional
        Where the first frame of a file stands on the clock of the rows; None: at the first row.
    late_s : float
        How long a hop waits for what is late.
    """

    fold: str | None = None
    hop_s: float | None = None
    threshold: float = 0.0
    top: int | None = None
    max_gap_s: float | None = None
    calibration: Path | None = None
    by_arrival: bool = False
    cameras: tuple[str, ...] = ()
    camera_start_s: float | None = None
    late_s: float = 1.0


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
        self._wanted, networks, self._sources = _opened(training, options, note)
        self._classes: Sequence[str] = networks.model["classes"]
        layout = self._layout = _layout(self._wanted, networks, options, note)
        told = Told()
        said = said_of_files(about, self._wanted)
        facts = self._wanted.data.sensors
        self._factors = {
            name: unit_factor(name, said[name].get("unit"), facts[name], told, where="standard input")
            for name in self._wanted.sensors
        }
        sensors = {name: _sensor(name, self._wanted, said[name]) for name in self._wanted.sensors}
        for text in told.notes:
            note(text)
        for text in told.warnings:
            warn(text)
        self._rows = LiveRows(sensors, by_arrival=options.by_arrival, tell=warn)
        self._series = {name: _series(sensor, layout, options) for name, sensor in sensors.items()}
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


# What is asked for


def _opened(training: Path, options: StreamOptions, note: Tell) -> tuple[Wanted, Networks, dict[str, str]]:
    """Return what a run takes, its networks, and the sources of its videos."""
    _check_streams(training)
    trained = open_run(training)
    models = trained.folds(options.fold)
    told = Told()
    wanted = wanted_by(trained, models)
    sources = _sources(options.cameras, wanted)
    videos = {name for name, its in wanted.inputs.items() if its["kind"] == "video"}
    wanted = narrowed(wanted, {*wanted.sensors, *sources}, told)
    missing = [name for name in wanted.inputs if name in videos and name not in sources]
    if missing:
        raise UsageError(
            f"no camera for {', '.join(missing)}",
            where=str(training),
            expected=f"frames of {', '.join(missing)}, which the run was trained on",
            remedy="add --camera 0, or the address or file of a video, or train a run that does without "
            "(--modality-dropout 0.3)",
        )
    if options.camera_start_s is not None and not sources:
        raise UsageError("a start without a video", where="--camera-start", remedy="add --camera FILE")
    for text in told.notes:
        note(text)
    if len(models) > 1:
        note(f"mean of the networks of {len(models)} folds; --fold NAME takes one of them, which is as much faster")
    wishes = PredictOptions(options.fold, draws=1, max_gap_s=options.max_gap_s, calibration=options.calibration)
    return wanted, restore_networks(trained, models, wanted, wishes), sources


def _check_streams(training: Path) -> None:
    """Refuse the results of commands that keep no networks, by what can stream."""
    stage = read_manifest(training).stage
    if stage in ("benchmark", "ablate"):
        raise UsageError(
            f"made by `mmtsa {stage}`, which keeps predictions and no networks",
            where=str(training),
            expected="a run of `mmtsa train`",
            remedy="of all systems mmtsa alone can stream: its networks encode a segment by itself",
        )


def _sources(cameras: Sequence[str], wanted: Wanted) -> dict[str, str]:
    videos = [name for name, its in wanted.inputs.items() if its["kind"] == "video"]
    if cameras and not videos:
        raise UsageError(
            "the run takes no video", where=f"--camera {cameras[0]}", expected=f"rows of {', '.join(wanted.inputs)}"
        )
    found: dict[str, str] = {}
    for text in cameras:
        name, equals, source = text.partition("=")
        # A URL may hold the sign too.
        if not equals or "/" in name:
            if len(videos) > 1:
                raise UsageError(
                    "does not say which video", where=f"--camera {text}", expected=f"{videos[0]}={text}, or another"
                )
            name, source = videos[0], text
        name = modality_named(name, wanted, option=f"--camera {text}")
        if name in found or name not in videos:
            what = "two cameras of one modality" if name in found else f"{name} is no video"
            raise UsageError(what, where=f"--camera {text}")
        found[name] = source
    return found


def _layout(wanted: Wanted, networks: Networks, options: StreamOptions, note: Tell) -> Layout:
    segments = int(networks.model["segments"])
    hop = options.hop_s
    if hop is None and wanted.data.clip_s:
        hop = wanted.data.clip_s / segments
    elif hop is None:
        hop = wanted.window_s
        note("an older mmtsa, which trained the run, did not note how long its clips were; --hop SECONDS says it")
    note(f"a hop of {hop:.4g} s, a window of {segments} hops, {segments * hop:.4g} s; --hop SECONDS changes it")
    return Layout(
        hop_s=hop,
        window_s=wanted.window_s if wanted.sensors else 0.0,
        segments=segments,
        late_s=options.late_s,
        max_gap_s=networks.cutting.max_gap_s,
        cutting=networks.cutting,
        drawing=drawing(networks.recipe, networks.model),
    )


def _sensor(name: str, wanted: Wanted, said: Mapping[str, Any]) -> LiveSensor:
    facts, count = wanted.data.sensors[name], wanted.inputs[name]["channels"]
    axes = facts.channels or tuple("xyz"[:count] if count <= 3 else (f"c{n}" for n in range(1, count + 1)))
    return LiveSensor(axes, bool(facts.channels), facts.rate, said.get("columns"))


def _series(sensor: LiveSensor, layout: Layout, options: StreamOptions) -> LiveSeries:
    return LiveSeries(
        sensor.axes,
        sensor.rate,
        keep_s=layout.reach_s + layout.hop_s + 2 * layout.late_s + 1.0,
        max_gap_s=layout.max_gap_s,
        slack_s=layout.late_s,
        repeats=options.by_arrival,
    )


# The pipe


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
