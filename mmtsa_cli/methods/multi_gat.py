"""Multi-GAT (Islam and Iqbal, IEEE RA-L 2021): a mixture of experts a modality, graph attention between modalities.

HAMLET's encoders with keyless pooling give one vector x_m a modality. Experts, small perceptrons, see it side by side
and then attend to each other; a keyless mean of all modalities is the query that weighs them; the weighted sum is added
to x_m. The modalities are the nodes of a complete graph without loops. A graph-attention layer (Velickovic, ICLR 2018)
sends node i the weighted mean of the messages of the *others*, per head

    e_ij = leaky_relu(r . W x_i + s . W x_j)        m_i = sum_{j != i} softmax_{j != i}(e_ij) W x_j

to which x_i is added; batch norm, rectifier and dropout follow. After two such layers, the first of 8 heads (?), the
second of one, the nodes are concatenated and classified by two fully connected layers.

"Multi-head attention" of the unimodal features is taken to be that among the experts, of 2 heads (?), and is added to
what they say (?). With a single sensor a node has one neighbour, whose weight is 1 whatever the scores: r and s then
learn nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor, nn

from mmtsa_cli.artifacts.options import option
from mmtsa_cli.methods.network_method import NetworkMethod, NetworkOptions
from mmtsa_cli.models.fusion import AdditiveAttention
from mmtsa_cli.models.network import Input, ModelOptions
from mmtsa_cli.models.sequences import SelfAttention, Streams, check_heads, hamlet_stream
from mmtsa_cli.training.optimisation import TrainingOptions

_EXPERT_HEADS = 2


@dataclass(frozen=True)
class MultiGatOptions(NetworkOptions):
    """Everything about the system that a recipe may set."""

    model: ModelOptions = field(default_factory=lambda: ModelOptions(backbone="resnet50", hidden=256, dropout=0.5))
    training: TrainingOptions = field(
        default_factory=lambda: TrainingOptions(optimizer="adamw", lr=3e-4, schedule="cosine")
    )
    features: int = option(256, "size of a modality's vector, of its LSTM and of a node", low=1)
    experts: int = option(2, "experts a modality", low=1)
    heads: int = option(8, "heads of the first graph-attention layer", low=1)


class Experts(nn.Module):
    """The experts of one modality, weighed by what all modalities say.

    Parameters
    ----------
    features : int
        D.
    experts : int
        E.
    """

    def __init__(self, features: int, experts: int) -> None:
        super().__init__()
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(features, 2 * features), nn.ReLU(), nn.Linear(2 * features, features))
            for _ in range(experts)
        )
        self.attention = SelfAttention(features, heads=_EXPERT_HEADS)
        self.query = nn.Linear(features, features, bias=False)

    def forward(self, vectors: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Return a modality's vectors, (B, D), enriched, and the weights of the experts, (B, E).

        Parameters
        ----------
        vectors : (B, D) tensor
        context : (B, D) tensor
            Of all modalities.
        """
        outputs = torch.stack([expert(vectors) for expert in self.experts], dim=1)
        # Attention that is still even gives all experts the same: without the sum there is nothing to choose from.
        said = outputs + self.attention(outputs)[0]
        scores = (said @ self.query(context)[..., None]).squeeze(-1) / math.sqrt(said.shape[-1])
        weights = scores.float().softmax(dim=1)
        return vectors + (weights[..., None].to(said.dtype) * said).sum(dim=1), weights


class GraphAttention(nn.Module):
    """A graph-attention layer between the nodes of a complete graph without loops, (B, M, D) to (B, M, D).

    Parameters
    ----------
    features : int
        D.
    heads : int
        Each sends D / heads of a message's features.
    dropout : float

    Raises
    ------
    UsageError
        Features that the heads cannot share evenly.
    """

    def __init__(self, features: int, *, heads: int, dropout: float) -> None:
        super().__init__()
        check_heads(features, heads)
        self.transform = nn.Linear(features, features, bias=False)
        self.receiver = nn.Parameter(torch.empty(heads, features // heads))
        self.sender = nn.Parameter(torch.empty(heads, features // heads))
        for scores in (self.receiver, self.sender):
            nn.init.xavier_uniform_(scores)
        self.norm = nn.BatchNorm1d(features)
        self.after = nn.Sequential(nn.ReLU(), nn.Dropout(dropout))

    def forward(self, nodes: Tensor) -> Tensor:
        """Return the nodes after they have heard each other."""
        heard = nodes + self.messages(nodes)[0]
        return self.after(self.norm(heard.flatten(0, 1)).view_as(heard))

    def messages(self, nodes: Tensor) -> tuple[Tensor, Tensor]:
        """Return what each node hears, (B, M, D), and the weights of senders (last axis), (B, heads, M, M).

        Weights sum to 1 over senders, and are 0 of a node for itself.
        """
        sent = self.transform(nodes).unflatten(-1, self.sender.shape).transpose(1, 2)
        receive, send = ((sent * scores[:, None]).sum(dim=-1) for scores in (self.receiver, self.sender))
        scores = nn.functional.leaky_relu(receive[..., :, None] + send[..., None, :], 0.2).float()
        itself = torch.eye(nodes.shape[1], dtype=torch.bool, device=nodes.device)
        weights = scores.masked_fill(itself, -torch.inf).softmax(dim=-1)
        return (weights.to(sent.dtype) @ sent).transpose(1, 2).flatten(2), weights


class MultiGatNetwork(nn.Module):
    """From frames and sensor windows to class scores.

    Parameters
    ----------
    inputs : mapping of str to Input
    options : MultiGatOptions
    classes : int
    """

    def __init__(self, inputs: Mapping[str, Input], options: MultiGatOptions, *, classes: int) -> None:
        super().__init__()
        model, features = options.model, options.features
        self.streams = Streams(
            inputs, lambda wanted: hamlet_stream(wanted, model, AdditiveAttention(features), features=features)
        )
        self.context = AdditiveAttention(features)
        self.mixtures = nn.ModuleList(Experts(features, options.experts) for _ in inputs)
        self.graph = nn.Sequential(
            GraphAttention(features, heads=options.heads, dropout=model.dropout),
            GraphAttention(features, heads=1, dropout=model.dropout),
        )
        self.classifier = nn.Sequential(
            # Batch norm would take a bias off again.
            nn.Linear(features * len(inputs), model.hidden, bias=False),
            nn.BatchNorm1d(model.hidden),
            nn.ReLU(),
            nn.Dropout(model.dropout),
            nn.Linear(model.hidden, classes),
        )

    def forward(self, inputs: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Return class scores, (B, classes), and the weights of the video's segments, (B, N)."""
        vectors, attention = self.streams(inputs)
        context, _ = self.context(vectors)
        mixed = [mixture(vectors[:, i], context)[0] for i, mixture in enumerate(self.mixtures)]
        return self.classifier(self.graph(torch.stack(mixed, dim=1)).flatten(1)), attention


class MultiGat(NetworkMethod):
    """Multi-GAT; see `NetworkMethod` for its parameters."""

    options_class: ClassVar[type] = MultiGatOptions
    network: MultiGatNetwork

    def build(self) -> MultiGatNetwork:
        """Return the network for the modalities of the inputs."""
        return MultiGatNetwork(self.inputs, self.options, classes=len(self.classes))
