"""A training run and one recording to the reasons of its class: which segment, second, axis and modality decided.

All is said of what `predict` says: the same draws of the clip through the same networks, averaged. Only the frames and
fields that are shown are those of one draw, the centre of each segment. Random draws are those of a recording that is
predicted alone: among others of an index `predict` draws each by its place.

How much a modality decided is what the log-odds of the class lose without it. That is divided over its axes by what
they lose when each of them rests, as the maps of Grad-CAM no longer tell axes apart, and over time by Grad-CAM. Where
there is one modality nothing can be left out: then Grad-CAM's own numbers, parts of the class's score, are divided.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mmtsa_cli.artifacts.directory import replace_file
from mmtsa_cli.errors import ArtifactError, UsageError, did_you_mean
from mmtsa_cli.imaging.field import piecewise_mean, to_grey
from mmtsa_cli.recordings.index import Dataset, Recording
from mmtsa_cli.sampling.draw import Samples
from mmtsa_cli.sampling.segments import cut, draw_fractions
from mmtsa_cli.stages.predictions.evidence import Found, axis_shares, find, log_odds, tensors_of
from mmtsa_cli.stages.predictions.inputs import FileOptions
from mmtsa_cli.stages.predictions.networks import Networks, PredictOptions
from mmtsa_cli.stages.predictions.opening import open_work, opened, origin_s, packed
from mmtsa_cli.stages.show import find_recording

if TYPE_CHECKING:
    from mmtsa_cli.reporting.explanation import Reasons, SensorReasons, VideoReasons

Progress = Callable[[int, int], None]
Floats = NDArray[np.float64]
_WRITTEN_POINTS = 2000
"""Points of time at most that an axis has in the JSON file; a longer series is averaged to so many."""


@dataclass(frozen=True)
class ExplainResult:
    """What was found.

    Attributes
    ----------
    facts : mapping
        As the JSON file holds them.
    notes, warnings : tuple of str
    """

    facts: Mapping[str, Any]
    notes: tuple[str, ...]
    warnings: tuple[str, ...]


def run(
    training: Path,
    recordings: Path | None,
    files: Sequence[tuple[str, Path]],
    output: Path,
    *,
    name: str | None = None,
    label: str | None = None,
    options: PredictOptions | None = None,
    about: FileOptions | None = None,
    root: Path | None = None,
    own_options: Sequence[str] = (),
    progress: Progress = lambda done, total: None,
) -> ExplainResult:
    """Write a picture, and beside it the numbers as JSON, of why a run names the class of a recording.

    Parameters
    ----------
    training, recordings, files, options, about, root, own_options
        As of `predict.run`; the whole recording is one clip.
    output : Path
        A `.png` file; the numbers go into the `.json` file of that name. Files that exist are replaced.
    name : str, optional
        The id of the recording; not needed where the index has one.
    label : str, optional
        The class that is explained; None: the one that is named.

    Raises
    ------
    UsageError, DataError, ArtifactError, ManyErrors
    """
    from mmtsa_cli.reporting.explanation import draw_reasons

    _check(output, recordings, name)
    options = options or PredictOptions()
    work = open_work(
        training,
        recordings,
        files,
        options=options,
        about=about,
        root=root,
        own_options=own_options,
        only=lambda dataset: _the_one(dataset, name),
    )
    networks, recording = work.networks, work.dataset.recordings[0]
    _check_label(label, networks)
    with opened(work, recording) as clip:
        origin = origin_s(clip)
        packs = list(packed(work, recording, clip, [(0.0, clip.end_s - clip.start_s)]))
    probabilities, attention = networks.predict(packs)
    said = dict(zip(networks.model["classes"], map(float, probabilities[0]), strict=True))
    named = max(said, key=said.__getitem__)
    with networks.samples(packs) as samples:
        found = find(networks, samples, list(said).index(label or named), progress)
        clip_ = _Explained(recording, networks, samples, found, said, named, label or named, attention[0], origin)
        reasons = clip_.reasons()
    facts = clip_.facts(reasons)
    _write(output, draw_reasons(reasons), facts)
    return ExplainResult(facts, tuple(dict.fromkeys(work.told.notes)), tuple(dict.fromkeys(work.told.warnings)))


def _check(output: Path, recordings: Path | None, name: str | None) -> None:
    if output.suffix.lower() != ".png":
        raise UsageError("not a picture that can be written", where=f"--output {output}", expected=".png")
    if name is not None and recordings is None:
        raise UsageError("files are one recording, which needs no id", where=f"--id {name}", remedy="leave it out")


def _the_one(dataset: Dataset, name: str | None) -> Recording:
    if name is not None:
        return find_recording(dataset, name)[1]
    if len(dataset.recordings) > 1:
        raise UsageError(
            "one recording is explained",
            where=str(dataset.root),
            found=f"{len(dataset.recordings)}",
            remedy=f"name one, as in --id {dataset.recordings[0].id}",
        )
    return dataset.recordings[0]


def _check_label(label: str | None, networks: Networks) -> None:
    classes = networks.model["classes"]
    if label is not None and label not in classes:
        raise UsageError(f"the run has no class {label!r}", where="--class", remedy=did_you_mean(label, classes))


def _write(output: Path, picture: bytes, facts: Mapping[str, Any]) -> None:
    numbers = json.dumps(facts, indent=1, ensure_ascii=False) + "\n"
    for path, content in ((output, picture), (output.with_suffix(".json"), numbers.encode())):
        try:
            replace_file(path, content)
        except OSError as error:
            raise ArtifactError(
                f"cannot be written: {error.strerror or error}", where=str(path), remedy="name another place"
            ) from None


# What is shown and written


@dataclass(frozen=True)
class _Explained:
    """One clip with all that was found of it."""

    recording: Recording
    networks: Networks
    samples: Samples
    found: Found
    said: Mapping[str, float]
    named: str
    label: str
    attention: Floats
    origin_s: float

    @property
    def target(self) -> int:
        return list(self.said).index(self.label)

    def evidence(self, name: str) -> float | None:
        """Return what the log-odds of the class lose without a modality; None where it is the only one."""
        if name not in self.found.without:
            return None
        said = np.array(list(self.said.values()))
        return float(log_odds(said, self.target) - log_odds(self.found.without[name], self.target))

    def _scale(self, name: str) -> float:
        """Return by what Grad-CAM's numbers of a modality are multiplied to sum to what is lost without it."""
        lost, shown = self.evidence(name), float(self.found.evidence[name].sum())
        if lost is None:
            return 1.0
        return max(lost, 0.0) / shown if shown > 0 else 0.0

    def _shares(self, name: str) -> Floats:
        return axis_shares(np.array(list(self.said.values())), self.found.at_rest[name], self.target)

    def reasons(self) -> Reasons:
        """Return what the picture shows."""
        from mmtsa_cli.reporting.explanation import Reasons

        batch = self.samples.batch([0])
        names = self.samples.modalities
        duration = self.samples.store.duration_s(0)
        segments = [(s.start_s - self.origin_s, s.end_s - self.origin_s) for s in cut(duration, self.samples.segments)]
        return Reasons(
            self._title(),
            self._subtitle(),
            self.label,
            self.said[self.label],
            -self.origin_s,
            duration - self.origin_s,
            tuple(segments),
            tuple(map(float, self.attention)),
            tuple(self._video(name, batch) for name in names if self.samples.kind(name) == "video"),
            tuple(self._sensor(name, batch) for name in names if self.samples.kind(name) == "sensor"),
            {name: float(values[self.target]) for name, values in self.found.without.items()},
            self._left_out(),
            self._quantity(),
        )

    def _title(self) -> str:
        label, named = (name if len(name) <= 40 else f"{name[:39]}…" for name in (self.label, self.named))
        title = f"{label}: probability {self.said[self.label]:.2f}"
        return title if self.label == self.named else f"{title} (named: {named}, {self.said[self.named]:.2f})"

    def _subtitle(self) -> str:
        after = sorted(((p, name) for name, p in self.said.items() if name != self.label), reverse=True)[:2]
        then = f"then {', '.join(f'{name} {p:.2f}' for p, name in after)}" if self.label == self.named else ""
        folds, draws = len(self.networks.methods), self.networks.recipe.draws
        label = f"labelled {self.recording.label}" if self.recording.label else ""
        means = f"mean of {draws} draw{'s'[: draws > 1]} and {folds} network{'s'[: folds > 1]}"
        return "; ".join(part for part in (f"recording {self.recording.id}", label, then, means) if part)

    def _left_out(self) -> str:
        tokens = bool(self.networks.methods[0].network.tokens)
        return "its learned token" if tokens else "its features 0 (trained without modality dropout)"

    def _quantity(self) -> str:
        return "log-odds per second" if self.found.without else "class score per second"

    def _video(self, name: str, batch: Any) -> VideoReasons:
        from mmtsa_cli.reporting.explanation import VideoReasons

        samples, channels = self.samples, len(self.networks.modalities[name].channels)
        middle = (samples.options.snippet - 1) // 2 * channels
        frames = batch.inputs[name][0][..., middle : middle + channels]
        duration = samples.store.duration_s(0)
        lengths = np.array([segment.length_s for segment in cut(duration, samples.segments)])
        centres = np.array([segment.time_at(0.5) for segment in cut(duration, samples.segments)])
        candidates = samples.store.frames(name, 0)["time_s"].astype(float)
        times = candidates[np.abs(candidates[None] - centres[:, None]).argmin(axis=1)] - self.origin_s
        shown = tuple(frame[..., 0] if channels == 1 else frame for frame in frames)
        importance = self._scale(name) * self.found.evidence[name] / lengths
        return VideoReasons(name, shown, tuple(map(float, times)), self.found.maps[name], importance)

    def _sensor(self, name: str, batch: Any) -> SensorReasons:
        from mmtsa_cli.reporting.explanation import SensorReasons

        samples, stored = self.samples, self.networks.modalities[name]
        shares = self._shares(name)
        strongest = int(shares.argmax())
        first = samples.first_rows(name, 0, draw_fractions(samples.segments, None))
        starts = first / stored.rate - self.origin_s
        window_s = samples.window_samples(name) / stored.rate
        return SensorReasons(
            name,
            stored.unit,
            stored.channels,
            stored.rate,
            np.array(samples.store.series(name, 0)),
            self._scale(name) * shares[:, None] * self.found.importance[name],
            tuple(map(float, self.found.at_rest[name][:, self.target])),
            tuple((float(start), float(start + window_s)) for start in starts),
            tuple(to_grey(field) for field in self._fields(name, batch)[:, strongest]),
            stored.channels[strongest],
            self.found.maps[name],
        )

    def _fields(self, name: str, batch: Any) -> NDArray[Any]:
        """Return the fields of the windows of the centre draw, (N, channels, S, S)."""
        import torch

        method = self.networks.methods[0]
        encoder = dict(zip(method.network.modalities, method.network.encoders.values(), strict=True))[name]
        tensors = tensors_of(batch, method.device)
        low, high = tensors[f"{name}.extremes"].unbind(dim=-1)
        with torch.inference_mode():
            return encoder.images(tensors[name], low, high)[0].cpu().numpy()

    # The numbers

    def facts(self, reasons: Reasons) -> dict[str, Any]:
        """Return what the JSON file holds; times in seconds from the start of the recording's first file."""
        return {
            "recording": self.recording.id,
            "class": self.label,
            "probability": _rounded(self.said[self.label]),
            "named": self.named,
            "probabilities": {name: _rounded(p) for name, p in self.said.items()},
            "draws": self.networks.recipe.draws,
            "networks": len(self.networks.methods),
            "segments_s": [_all_rounded(segment) for segment in reasons.segments],
            "attention": [round(weight, 6) for weight in reasons.attention],
            "left_out_as": self._left_out(),
            "importance_in": self._quantity(),
            "modalities": {
                **{video.name: self._video_facts(video) for video in reasons.videos},
                **{sensor.name: self._sensor_facts(sensor, reasons.start_s) for sensor in reasons.sensors},
            },
        }

    def _modality_facts(self, name: str, kind: str) -> dict[str, Any]:
        facts: dict[str, Any] = {"kind": kind}
        if name in self.found.without:
            without = self.found.without[name]
            facts["probability_without"] = _rounded(without[self.target])
            facts["contribution"] = _rounded(self.said[self.label] - without[self.target])
            facts["log_odds_lost"] = _rounded(self.evidence(name))
            facts["class_without"] = list(self.said)[int(without.argmax())]
        facts["grad_cam"] = _all_rounded(self.found.evidence[name])
        return facts

    def _video_facts(self, video: VideoReasons) -> dict[str, Any]:
        shown = {"frames_s": _all_rounded(video.times_s), "importance": _all_rounded(video.importance)}
        return {**self._modality_facts(video.name, "video"), **shown}

    def _sensor_facts(self, sensor: SensorReasons, start_s: float) -> dict[str, Any]:
        points = min(len(sensor.values), _WRITTEN_POINTS)
        step = len(sensor.values) / sensor.rate / points
        # Sums of what is 0 leave a rounding of either sign.
        thinned = points < len(sensor.values)
        written = piecewise_mean(sensor.importance, points).clip(0) if thinned else sensor.importance
        shares = self._shares(sensor.name)
        axes = {}
        for number, axis in enumerate(sensor.axes):
            at_rest = self.found.at_rest[sensor.name][number]
            axes[axis] = {
                "probability_at_rest": _rounded(at_rest[self.target]),
                "share": _rounded(shares[number]),
                "peak": _rounded(sensor.importance[number].max()),
                "peak_s": _rounded(start_s + (int(sensor.importance[number].argmax()) + 0.5) / sensor.rate),
                "importance": _all_rounded(written[number]),
            }
        about = {"unit": sensor.unit, "windows_s": [_all_rounded(window) for window in sensor.windows]}
        grid = {"importance_start_s": _rounded(start_s), "importance_step_s": _rounded(step)}
        return {**self._modality_facts(sensor.name, "sensor"), **about, **grid, "axes": axes}


def _rounded(value: Any) -> float:
    return float(f"{float(value):.6g}")


def _all_rounded(values: Any) -> list[float]:
    return [_rounded(value) for value in values]
