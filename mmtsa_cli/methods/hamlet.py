"""HAMLET (Islam and Iqbal, IROS 2020): hierarchical multi-head attention over time, then over modalities.

Per modality, spatial features of T steps go through two LSTM layers and multi-head self-attention over time, and become
one vector (`models.sequences`). Multi-head self-attention across the M vectors (MAT) follows; what it gives for each is
concatenated or summed, normalised, and classified by two fully connected layers:

    F = softmax(F_m W_Q (F_m W_K)' / sqrt(d)) F_m W_V        y = W_2 relu(W_1 dropout(relu(BN(F))))

The learning rate falls along a cosine with warm restarts. Decided here: the vector of a modality is the mean over time
and not the sum (see `AttendedMean`); three falls, each twice as long as the one before (?); Adam is AdamW.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from torch import Tensor, nn

from mmtsa_cli.artifacts.options import option
from mmtsa_cli.methods.network_method import NetworkMethod, NetworkOptions
from mmtsa_cli.models.network import Input, ModelOptions
from mmtsa_cli.models.sequences import AttendedMean, SelfAttention, Streams, hamlet_stream
from mmtsa_cli.training.optimisation import TrainingOptions


@dataclass(frozen=True)
class HamletOptions(NetworkOptions):
    """Everything about the system that a recipe may set."""

    model: ModelOptions = field(default_factory=lambda: ModelOptions(backbone="resnet50", hidden=128, dropout=0.4))
    training: TrainingOptions = field(
        default_factory=lambda: TrainingOptions(optimizer="adamw", lr=3e-4, schedule="restarts")
    )
    features: int = option(128, "size of a modality's vector, and of its LSTM", low=1)
    heads: int = option(2, "heads of the attention over time, and of that over modalities", low=1)
    combine: Literal["concat", "sum"] = option("concat", "how the attended modalities become one vector")


class HamletNetwork(nn.Module):
    """From frames and sensor windows to class scores.

    Parameters
    ----------
    inputs : mapping of str to Input
    options : HamletOptions
    classes : int
    """

    def __init__(self, inputs: Mapping[str, Input], options: HamletOptions, *, classes: int) -> None:
        super().__init__()
        model, features = options.model, options.features

        def stream(wanted: Input) -> nn.Module:
            pool = AttendedMean(features, heads=options.heads, dropout=model.dropout)
            return hamlet_stream(wanted, model, pool, features=features)

        self.streams = Streams(inputs, stream)
        self.attention = SelfAttention(features, heads=options.heads, dropout=model.dropout)
        self.concatenates = options.combine == "concat"
        fused = features * len(inputs) if self.concatenates else features
        self.classifier = nn.Sequential(
            nn.BatchNorm1d(fused),
            nn.ReLU(),
            nn.Dropout(model.dropout),
            nn.Linear(fused, model.hidden),
            nn.ReLU(),
            nn.Linear(model.hidden, classes),
        )

    def forward(self, inputs: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Return class scores, (B, classes), and the share of each of the video's segments, (B, N)."""
        vectors, attention = self.streams(inputs)
        attended, _ = self.attention(vectors)
        fused = attended.flatten(1) if self.concatenates else attended.sum(dim=1)
        return self.classifier(fused), attention


class Hamlet(NetworkMethod):
    """HAMLET; see `NetworkMethod` for its parameters."""

    options_class: ClassVar[type] = HamletOptions
    network: HamletNetwork

    def build(self) -> HamletNetwork:
        """Return the network for the modalities of the inputs."""
        return HamletNetwork(self.inputs, self.options, classes=len(self.classes))
