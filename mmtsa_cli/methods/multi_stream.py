"""Multi-stream networks of video and sensors.

Song, Chandrasekhar, Mandal, Li, Lim, Sateesh Babu, Phyo Phyo San, Cheung, "Multimodal multi-stream deep learning for
egocentric activity recognition", CVPR workshops 2016. Every stream is a network of its own, trained on labels apart:

- spatial: frames, a CNN;
- temporal: stacked optical flow, a CNN of 2 x stack channels (see `flow` for how coarse the store's flow is);
- one LSTM a sensor, whose state after the last sample of a window is classified.

A stream's scores are averaged over segments before the softmax. The streams' probabilities are pooled on two levels, by
average or by maximum: those of the video, those of the sensors, then both. What is pooled is scaled to sum to 1.

What could not be read there: the pooling of segments, and the use of a stream of stabilised flow, which is left out.
The publication's sensors sample at 10 Hz; here the LSTM reads windows at the store's rate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from mmtsa_cli.artifacts.options import option
from mmtsa_cli.errors import ArtifactError
from mmtsa_cli.methods.classical import of_kind
from mmtsa_cli.methods.contract import Progress
from mmtsa_cli.methods.flow import FlowSamples
from mmtsa_cli.methods.network_method import NetworkMethod, Prediction
from mmtsa_cli.methods.score_fusion import ScoreFusion
from mmtsa_cli.methods.trained_once import fit_once, narrowed
from mmtsa_cli.methods.tsn import SegmentConsensus, TsnOptions, TsnStream
from mmtsa_cli.models.network import Input, ModelOptions
from mmtsa_cli.models.sequences import AxisScale
from mmtsa_cli.sampling.draw import Samples
from mmtsa_cli.training.checkpoint import TrainingState
from mmtsa_cli.training.run import Run

if TYPE_CHECKING:
    from typing_extensions import Self

SPATIAL, TEMPORAL, SENSOR = "spatial", "temporal", "sensor "
"""Names of streams; a sensor's has its modality after it."""


@dataclass(frozen=True)
class MultiStreamOptions(TsnOptions):
    """Everything about the systems that a recipe may set; of `model` they use the backbone alone."""

    model: ModelOptions = field(default_factory=lambda: ModelOptions(backbone="vgg16"))
    flow_stack: int = option(
        5, "flows of neighbouring frames that the temporal stream sees at once (published: 10, of 25 a second)", low=1
    )
    lstm_hidden: int = option(128, "width of the LSTM of a sensor", low=1)


class SeriesLstm(nn.Module):
    """Windows of a sensor to the state of an LSTM after their last sample.

    Parameters
    ----------
    wanted : Input
        A sensor.
    hidden : int
        Width of the state.
    """

    def __init__(self, wanted: Input, hidden: int) -> None:
        super().__init__()
        self.features = hidden
        self.scale = AxisScale(wanted.bounds)
        self.lstm = nn.LSTM(wanted.channels, hidden, batch_first=True)

    def forward(self, windows: Tensor, extremes: Tensor | None = None) -> Tensor:
        """Return the states, (B, N, hidden), of windows, (B, N, C, K), in the sensor's unit; extremes have no use."""
        steps = self.scale(windows.float()).flatten(0, 1).transpose(1, 2)
        states, _ = self.lstm(steps)
        return states[:, -1].unflatten(0, windows.shape[:2])


class TemporalStream(TsnStream):
    """The network of stacked optical flow of one video, which enters as grey frames side by side in the channels."""

    options_class: ClassVar[type] = MultiStreamOptions

    @classmethod
    def for_samples(cls, options: Any, samples: Samples, *, seed: int = 0) -> Self:
        """Return an untrained network for the one video of `samples`."""
        (video,) = samples.modalities
        wanted = Input("video", 1, size=samples.options.frame_size, frames=2 * options.flow_stack)
        return cls(options, inputs={video: wanted}, classes=samples.classes, segments=samples.segments, seed=seed)

    def fit(self, samples: Samples, validation: Samples | None, *, seed: int, run: Run) -> TrainingState:
        """Train on the flow of `samples`; see `NetworkMethod.fit`."""
        chosen = self._flow(validation) if validation else None
        return super().fit(self._flow(samples), chosen, seed=seed, run=run)

    def predict(self, samples: Samples, *, seed: int = 0, progress: Progress = lambda done, total: None) -> Prediction:
        """Return probabilities of every clip by its flow; see `NetworkMethod.predict`."""
        return super().predict(self._flow(samples), seed=seed, progress=progress)

    def _flow(self, samples: Samples) -> FlowSamples:
        (video,) = self.inputs
        return FlowSamples(samples, video, self.options.flow_stack)


class SensorStream(TsnStream):
    """The LSTM of one sensor."""

    options_class: ClassVar[type] = MultiStreamOptions

    def build(self) -> SegmentConsensus:
        """Return the network for the one sensor of the inputs."""
        ((name, wanted),) = self.inputs.items()
        encoder = SeriesLstm(wanted, self.options.lstm_hidden)
        return SegmentConsensus(name, encoder, classes=len(self.classes), dropout=0.0)


class MultiStream(ScoreFusion):
    """Streams of video and sensors; subclasses say how their probabilities are pooled."""

    options_class: ClassVar[type] = MultiStreamOptions
    how: ClassVar[Literal["average", "maximum"]]

    @classmethod
    def modalities(cls, samples: Samples) -> tuple[str, ...]:
        """Return the main video and every sensor."""
        videos = of_kind(samples, "video", who=cls.name, what="a video")
        sensors = of_kind(samples, "sensor", who=cls.name, what="a sensor")
        return ("rgb" if "rgb" in videos else videos[0], *sensors)

    @classmethod
    def part_class_of(cls, name: str) -> type[NetworkMethod]:
        """Return the class of the stream called `name`."""
        return {SPATIAL: TsnStream, TEMPORAL: TemporalStream}.get(name, SensorStream)

    @classmethod
    def for_samples(cls, options: Any, samples: Samples, *, seed: int = 0) -> Self:
        """Return untrained streams: two of the main video, one of each sensor.

        Raises
        ------
        DataError
            There is no video, or no sensor.
        """
        video, *sensors = cls.modalities(samples)
        read = {SPATIAL: video, TEMPORAL: video, **{SENSOR + name: name for name in sensors}}
        return cls(
            options,
            {
                stream: cls.part_class_of(stream).for_samples(options, samples.narrowed([modality]), seed=seed)
                for stream, modality in read.items()
            },
        )

    def fit(self, samples: Samples, validation: Samples | None, *, seed: int, run: Run) -> dict[str, TrainingState]:
        """Train the streams one after the other, and return the course of those that were not trained before.

        A stream lies in `run.shared`, or else in `run.directory`, under its name and a hash of all that it follows
        from, so that both systems train it once.

        Raises
        ------
        DataError
            Fewer than two clips.
        TrainingStoppedError
        """
        states = {}
        place = run.shared or run.directory
        for name, stream in self.parts.items():
            own, own_validation = narrowed(samples, validation, tuple(stream.inputs))
            state, _ = fit_once(stream, own, own_validation, kind="stream", name=name, place=place, seed=seed, run=run)
            states.update({name: state} if state else {})
        return states

    def combine(self, probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the pooled probabilities, (n, classes), of those of the streams, (S, n, classes)."""
        of_video = np.array([name in (SPATIAL, TEMPORAL) for name in self.parts])
        levels = [pooled(probabilities[chosen], self.how) for chosen in (of_video, ~of_video)]
        return pooled(np.stack(levels), self.how)

    @classmethod
    def restore(cls, options: Any, state: Mapping[str, Any]) -> Self:
        """Return the trained system.

        Raises
        ------
        ArtifactError
            The state of another system.
        """
        if SPATIAL not in state.get("_parts", {}):
            raise ArtifactError(f"the state is of another system than {cls.name}", expected="streams by name")
        return super().restore(options, state)


class MultiStreamAverage(MultiStream):
    """Pooled by average."""

    name: ClassVar[str] = "multi-stream-avg"
    how = "average"


class MultiStreamMaximum(MultiStream):
    """Pooled by maximum."""

    name: ClassVar[str] = "multi-stream-max"
    how = "maximum"


def pooled(probabilities: NDArray[np.float64], how: Literal["average", "maximum"]) -> NDArray[np.float64]:
    """Return the average or the maximum over streams, (n, classes), of (S, n, classes), scaled to rows of sum 1."""
    scores = probabilities.mean(axis=0) if how == "average" else probabilities.max(axis=0)
    return scores / scores.sum(axis=1, keepdims=True)
