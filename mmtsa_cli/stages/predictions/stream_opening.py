"""What is asked of a stream, held against the run: its networks, the sources of its videos, its hops."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmtsa_cli.artifacts.manifest import read_manifest
from mmtsa_cli.errors import UsageError
from mmtsa_cli.recordings.live_rows import LiveSensor
from mmtsa_cli.recordings.live_series import LiveSeries
from mmtsa_cli.stages.predictions.hops import Layout
from mmtsa_cli.stages.predictions.inputs import Told, Wanted, modality_named, narrowed
from mmtsa_cli.stages.predictions.networks import Networks, PredictOptions, restore_networks, wanted_by
from mmtsa_cli.stages.trainings.trained import drawing, open_run

Tell = Callable[[str], None]


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
    int8 : Path, optional
        An evaluation made with --int8.
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
    int8: Path | None = None
    by_arrival: bool = False
    cameras: tuple[str, ...] = ()
    camera_start_s: float | None = None
    late_s: float = 1.0


def open_stream(training: Path, options: StreamOptions, note: Tell) -> tuple[Wanted, Networks, dict[str, str]]:
    """Return what a run takes, its networks, and the sources of its videos.

    Raises
    ------
    UsageError
        The result of a command that keeps no networks; cameras that are missing, or for no video of the run.
    ArtifactError
        No finished run, or a damaged one.
    """
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
    wishes = PredictOptions(
        options.fold, draws=1, max_gap_s=options.max_gap_s, calibration=options.calibration, int8=options.int8
    )
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


def layout_of(wanted: Wanted, networks: Networks, options: StreamOptions, note: Tell) -> Layout:
    """Return the hops of a stream, as long as the segments of the training clips where no other length is asked for."""
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


def sensor_of(name: str, wanted: Wanted, said: Mapping[str, Any]) -> LiveSensor:
    """Return what rows of a sensor hold: its axes and rate as in training, its columns as `said`."""
    facts, count = wanted.data.sensors[name], wanted.inputs[name]["channels"]
    axes = facts.channels or tuple("xyz"[:count] if count <= 3 else (f"c{n}" for n in range(1, count + 1)))
    return LiveSensor(axes, bool(facts.channels), facts.rate, said.get("columns"))


def series_of(sensor: LiveSensor, layout: Layout, options: StreamOptions) -> LiveSeries:
    """Return a series that keeps what the segments of one answer, and rows that come late, reach back to."""
    return LiveSeries(
        sensor.axes,
        sensor.rate,
        keep_s=layout.reach_s + layout.hop_s + 2 * layout.late_s + 1.0,
        max_gap_s=layout.max_gap_s,
        slack_s=layout.late_s,
        repeats=options.by_arrival,
    )
