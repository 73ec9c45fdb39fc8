"""Keyless attention fusion (Long et al., AAAI 2018): an LSTM and keyless attention a modality.

Per modality, features x_t of T steps go through a bidirectional LSTM of two layers to h_t, which are weighed without a
query or a key:

    e_t = w . h_t        a = softmax(e)        c = sum_t a_t h_t

The vectors c of the modalities are concatenated; dropout and one fully connected layer give the class scores.

The publication fuses a video's frames with its sound. Here a frame's features are the backbone's own, and a sensor's
those of two 1-D convolutions over its windows (64 and 128 filters of 5 samples), of which the maximum over each 5
samples makes a step: filters and steps are (?), after the systems that compare themselves with it. So is AdamW at 3e-4.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from torch import Tensor, nn

from mmtsa_cli.imaging.field import FieldOptions
from mmtsa_cli.methods.network_method import NetworkMethod, NetworkOptions
from mmtsa_cli.models.fusion import AdditiveAttention
from mmtsa_cli.models.network import Input, ModelOptions, build_encoder
from mmtsa_cli.models.sequences import SAMPLES, AxisScale, Recurrent, Streams, whole_steps
from mmtsa_cli.training.optimisation import TrainingOptions

_FILTERS = (64, 128)
_KERNEL = 5


@dataclass(frozen=True)
class KeylessOptions(NetworkOptions):
    """Everything about the system that a recipe may set; `model.hidden` is the width of the LSTM, each way."""

    model: ModelOptions = field(default_factory=lambda: ModelOptions(backbone="resnet50"))
    training: TrainingOptions = field(
        default_factory=lambda: TrainingOptions(optimizer="adamw", lr=3e-4, schedule="cosine")
    )


class ConvolvedSeries(nn.Module):
    """Sensor windows to features of steps, (B, N, C, K) to (B, N x ceil(K / 5), 128), by 1-D convolutions."""

    features = _FILTERS[-1]

    def __init__(self, wanted: Input) -> None:
        super().__init__()
        self.scale = AxisScale(wanted.bounds)
        self.convolutions = nn.Sequential(
            nn.Conv1d(wanted.channels, _FILTERS[0], _KERNEL, padding=_KERNEL // 2),
            nn.ReLU(),
            nn.Conv1d(_FILTERS[0], _FILTERS[1], _KERNEL, padding=_KERNEL // 2),
            nn.ReLU(),
            nn.MaxPool1d(SAMPLES),
        )

    def forward(self, windows: Tensor) -> Tensor:
        """Return the features of the steps: of each window for itself, then in the order of time."""
        steps = self.convolutions(whole_steps(self.scale(windows)).flatten(0, 1))
        return steps.unflatten(0, windows.shape[:2]).transpose(2, 3).flatten(1, 2)


class KeylessNetwork(nn.Module):
    """From frames and sensor windows to class scores.

    Parameters
    ----------
    inputs : mapping of str to Input
    options : ModelOptions
        Backbone of the frames, width of the LSTM, dropout.
    classes : int
    """

    def __init__(self, inputs: Mapping[str, Input], options: ModelOptions, *, classes: int) -> None:
        super().__init__()
        self.streams = Streams(inputs, lambda wanted: _stream(wanted, options))
        features = 2 * options.hidden * len(inputs)
        self.classifier = nn.Sequential(nn.Dropout(options.dropout), nn.Linear(features, classes))

    def forward(self, inputs: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Return class scores, (B, classes), and the weights of the video's segments, (B, N)."""
        vectors, attention = self.streams(inputs)
        return self.classifier(vectors.flatten(1)), attention


def _stream(wanted: Input, options: ModelOptions) -> nn.Module:
    steps = ConvolvedSeries(wanted) if wanted.kind == "sensor" else build_encoder(wanted, options, FieldOptions())
    recurrent = Recurrent(steps.features, options.hidden, both_ways=True)
    return nn.Sequential(steps, recurrent, AdditiveAttention(2 * options.hidden))


class Keyless(NetworkMethod):
    """Keyless attention fusion; see `NetworkMethod` for its parameters."""

    options_class: ClassVar[type] = KeylessOptions
    network: KeylessNetwork

    def build(self) -> KeylessNetwork:
        """Return the network for the modalities of the inputs."""
        return KeylessNetwork(self.inputs, self.options.model, classes=len(self.classes))
