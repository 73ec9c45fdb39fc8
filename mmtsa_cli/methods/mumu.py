"""MuMu (Islam and Iqbal, AAAI 2022): the group of an activity guides the fusion of modalities.

HAMLET's encoders with keyless pooling give one vector x_m a modality. An auxiliary task tells the activity's group from
their keyless mean (SM-Fusion), and what it goes by is the query for the target task (GM-Fusion):

    x_aux = sum_m softmax(w . x_m) x_m                     group scores = W_2 relu(W_1 x_aux)
    a = softmax(W_Q x_aux . W_K x_m / sqrt(d))             x = dropout(relu(BN(sum_m p_m a_m W_V x_m)))
    class scores = U_2 relu(U_1 [x, x_aux])                loss = cross-entropy + b cross-entropy of the group

p is the 1 x 1 convolution over modalities; the projections are shared by them (?), b = 0.5 (?). The groups of the
publication are made by hand: `groups` of a recipe says them, else they are clustered (`activity_groups`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from mmtsa_cli.artifacts.options import option
from mmtsa_cli.methods.activity_groups import clustered_groups, given_groups, read_groups
from mmtsa_cli.methods.network_method import CrossEntropy, NetworkMethod, NetworkOptions
from mmtsa_cli.models.fusion import AdditiveAttention
from mmtsa_cli.models.network import Input, ModelOptions
from mmtsa_cli.models.sequences import Streams, hamlet_stream
from mmtsa_cli.sampling.draw import Samples
from mmtsa_cli.training.optimisation import TrainingOptions

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass(frozen=True)
class MumuOptions(NetworkOptions):
    """Everything about the system that a recipe may set."""

    model: ModelOptions = field(default_factory=lambda: ModelOptions(backbone="resnet50", hidden=128, dropout=0.4))
    training: TrainingOptions = field(
        default_factory=lambda: TrainingOptions(optimizer="adamw", lr=3e-4, schedule="cosine")
    )
    features: int = option(128, "size of a modality's vector, and of its LSTM", low=2)
    group_weight: float = option(0.5, "weight of the loss of the activity's group", low=0)
    groups: dict[str, str] | None = option(  # noqa: RUF009 - it makes a field
        None,
        "group of each class, as in {walking: legs}, or a CSV file of label and group; null: clustered by sensor data",
        read=read_groups,
    )
    group_count: int = option(3, "groups where they are clustered", low=2)


class GuidedFusion(nn.Module):
    """GM-Fusion: modalities weighed by a query, (B, M, D) and (B, D) to (B, D).

    Parameters
    ----------
    features : int
        D.
    modalities : int
        M.
    dropout : float
    """

    def __init__(self, features: int, modalities: int, *, dropout: float) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(features, features, bias=False) for _ in range(3))
        # Batch norm would take a bias off again.
        self.project = nn.Conv1d(modalities, 1, 1, bias=False)
        self.after = nn.Sequential(nn.BatchNorm1d(features), nn.ReLU(), nn.Dropout(dropout))

    def forward(self, vectors: Tensor, query: Tensor) -> tuple[Tensor, Tensor]:
        """Return the fused features, (B, D), and the weights of modalities, (B, M), which sum to 1."""
        scores = (self.key(vectors) @ self.query(query)[..., None]).squeeze(-1)
        weights = (scores / math.sqrt(query.shape[-1])).float().softmax(dim=1)
        values = self.value(vectors)
        return self.after(self.project(weights[..., None].to(values.dtype) * values).squeeze(1)), weights


class MumuNetwork(nn.Module):
    """From frames and sensor windows to class scores and group scores.

    Parameters
    ----------
    inputs : mapping of str to Input
    options : MumuOptions
    classes : int
    groups : int
    """

    def __init__(self, inputs: Mapping[str, Input], options: MumuOptions, *, classes: int, groups: int) -> None:
        super().__init__()
        model, features = options.model, options.features
        self.streams = Streams(
            inputs, lambda wanted: hamlet_stream(wanted, model, AdditiveAttention(features), features=features)
        )
        self.auxiliary = AdditiveAttention(features)
        self.group_head = _perceptron(features, features // 2, groups)
        self.fusion = GuidedFusion(features, len(inputs), dropout=model.dropout)
        self.classifier = _perceptron(2 * features, model.hidden, classes)

    def forward(self, inputs: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Return class scores, (B, classes), and the weights of the video's segments, (B, N)."""
        logits, attention, _ = self.forward_groups(inputs)
        return logits, attention

    def forward_groups(self, inputs: Mapping[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Return what `forward` does, and the scores of the groups, (B, groups)."""
        vectors, attention = self.streams(inputs)
        auxiliary, _ = self.auxiliary(vectors)
        fused, _ = self.fusion(vectors, auxiliary)
        logits = self.classifier(torch.cat([fused, auxiliary], dim=1))
        return logits, attention, self.group_head(auxiliary)


def _perceptron(features: int, hidden: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, outputs))


class Mumu(NetworkMethod):
    """MuMu; see `NetworkMethod` for its parameters.

    Attributes
    ----------
    group_of : (classes,) int64 tensor
        The number of the group of each class, groups in alphabetical order.
    """

    options_class: ClassVar[type] = MumuOptions
    network: MumuNetwork

    @classmethod
    def for_samples(cls, options: Any, samples: Samples, *, seed: int = 0) -> Self:
        """Return an untrained system for the modalities of `samples`, with the groups given or those of its clips.

        Raises
        ------
        UsageError
            A class of the clips has no group.
        """
        if options.groups:
            groups = given_groups(options.groups, samples)
        else:
            groups = clustered_groups(samples, options.group_count)
        return super().for_samples(replace(options, groups=groups), samples, seed=seed)

    @classmethod
    def restore(cls, options: Any, state: Mapping[str, Any]) -> Self:
        """Return a trained system, with the groups that it was trained with."""
        return super().restore(replace(options, groups=dict(state["_groups"])), state)

    def state(self) -> dict[str, Any]:
        """Return the weights by name, the groups, and what makes a network of them again."""
        return {**super().state(), "_groups": dict(self.options.groups)}

    def build(self) -> MumuNetwork:
        """Return the network for the modalities of the inputs."""
        groups = [self.options.groups[label] for label in self.classes]
        names = sorted(set(groups))
        self.group_of = torch.tensor([names.index(group) for group in groups], device=self.device)
        return MumuNetwork(self.inputs, self.options, classes=len(self.classes), groups=len(names))

    def loss(self, tensors: Mapping[str, Tensor], cross_entropy: CrossEntropy) -> tuple[Tensor, Tensor]:
        """Return the loss of the class, and `group_weight` times that of its group."""
        logits, _, groups = self.network.forward_groups(tensors)
        loss = cross_entropy(logits) + self.options.group_weight * cross_entropy(groups, self.group_of)
        return loss, logits
