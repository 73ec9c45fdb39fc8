"""Temporal segment networks: Wang et al., ECCV 2016, "Temporal segment networks: towards good practices".

Equation 1 there: TSN(T_1, .., T_N) = H(G(F(T_1; W), .., F(T_N; W))). One network F, shared over the N segments of a
clip, gives class scores of the snippet drawn of each; the consensus G is their mean, before the softmax H. Streams are
trained apart, and their scores are averaged by weight, again before the softmax.

It has no sensors: here `tsn-fusion` gives every sensor a stream of its field images. The weights, set by hand there (1
for frames, 1.5 for flow), are those of the highest likelihood of validation clips. Left out: partial batch
normalisation, which needs a backbone that has been trained before.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from mmtsa_cli.artifacts.options import option
from mmtsa_cli.methods.contract import Progress
from mmtsa_cli.methods.network_method import NetworkMethod, NetworkOptions, Prediction
from mmtsa_cli.methods.registry import entry_of, modalities_of
from mmtsa_cli.methods.score_fusion import ScoreFusion
from mmtsa_cli.models.network import build_encoder
from mmtsa_cli.sampling.draw import Samples
from mmtsa_cli.training.checkpoint import TrainingState
from mmtsa_cli.training.run import Run

if TYPE_CHECKING:
    from typing_extensions import Self

_MOST_WEIGHTINGS = 5000


@dataclass(frozen=True)
class TsnOptions(NetworkOptions):
    """Everything about a temporal segment network that a recipe may set; of `model` it uses the backbone alone."""

    dropout: float = option(0.8, "part of a segment's features dropped before its class scores", low=0, high=0.95)


def inputs_of(name: str, samples: Samples) -> tuple[str, ...]:
    """Return what the system called `name` reads of the modalities of `samples`.

    Raises
    ------
    DataError
        A modality that it needs is not among them.
    """
    stored = samples.store.header.modalities
    return modalities_of(entry_of(name), {modality: stored[modality].kind for modality in samples.modalities})


class SegmentConsensus(nn.Module):
    """One modality's class scores: those of each segment, averaged.

    Parameters
    ----------
    modality : str
    encoder : nn.Module
        Takes the modality's input and extremes, returns (B, N, D), and says `features`, which is D.
    classes : int
    dropout : float
    """

    def __init__(self, modality: str, encoder: nn.Module, *, classes: int, dropout: float) -> None:
        super().__init__()
        self.modality = modality
        self.encoder = encoder
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(int(encoder.features), classes)  # type: ignore[arg-type]

    def forward(self, inputs: Mapping[str, Tensor]) -> tuple[Tensor, None]:
        """Return the class scores before the softmax, (B, classes), and no attention: segments count alike."""
        return self.consensus(self.features(inputs)), None

    def features(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Return the features of every segment, (B, N, D); inputs of other modalities are passed over."""
        return self.encoder(inputs[self.modality], inputs.get(f"{self.modality}.extremes"))

    def consensus(self, features: Tensor) -> Tensor:
        """Return the mean over segments of the class scores, (B, classes), of features, (B, N, D)."""
        return self.classifier(self.dropout(features)).mean(dim=1)


class TsnStream(NetworkMethod):
    """A temporal segment network of one modality; it reads no other."""

    options_class: ClassVar[type] = TsnOptions
    network: SegmentConsensus

    def build(self) -> SegmentConsensus:
        """Return the network for the one modality of the inputs."""
        ((name, wanted),) = self.inputs.items()
        encoder = build_encoder(wanted, self.options.model, self.options.imaging)
        return SegmentConsensus(name, encoder, classes=len(self.classes), dropout=self.options.dropout)

    def training_modalities(self) -> tuple[str, ...]:
        """Return what is read in training."""
        return tuple(self.inputs)

    def fit(self, samples: Samples, validation: Samples | None, *, seed: int, run: Run) -> TrainingState:
        """Train on `samples`; see `NetworkMethod.fit`."""
        chosen = validation.narrowed(tuple(self.inputs)) if validation else None
        return super().fit(samples.narrowed(self.training_modalities()), chosen, seed=seed, run=run)

    def predict(self, samples: Samples, *, seed: int = 0, progress: Progress = lambda done, total: None) -> Prediction:
        """Return probabilities of every clip, and even attention; see `NetworkMethod.predict`."""
        return super().predict(samples.narrowed(tuple(self.inputs)), seed=seed, progress=progress)


class TsnRgb(TsnStream):
    """The network of the main video: `tsn-rgb`."""

    name: ClassVar[str] = "tsn-rgb"

    @classmethod
    def for_samples(cls, options: Any, samples: Samples, *, seed: int = 0) -> Self:
        """Return an untrained system for the main video of `samples`.

        Raises
        ------
        DataError
            A modality that it needs is not among those of `samples`.
        """
        video = [name for name in inputs_of(cls.name, samples) if samples.kind(name) == "video"]
        return super().for_samples(options, samples.narrowed(video), seed=seed)


class TsnFusion(ScoreFusion):
    """A network for the main video and one for each sensor's field images, scores averaged by weight: `tsn-fusion`.

    The weights are those of `best_weights` on the validation clips, equal ones where there are none.
    """

    name: ClassVar[str] = "tsn-fusion"
    options_class: ClassVar[type] = TsnOptions
    part_class: ClassVar[type[NetworkMethod]] = TsnStream

    @classmethod
    def modalities(cls, samples: Samples) -> tuple[str, ...]:
        """Return the main video and the sensors; see `ScoreFusion.modalities`."""
        return inputs_of(cls.name, samples)

    def fit(
        self, samples: Samples, validation: Samples | None, *, seed: int, run: Run
    ) -> dict[str, TrainingState] | None:
        """Train the networks, then weigh them by the validation clips; see `ScoreFusion.fit`."""
        states = super().fit(samples, validation, seed=seed, run=run)
        if validation:
            self.weights = best_weights(self.predict_parts(validation), validation.labels)
        return states

    def combine(self, probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the softmax of the weighted mean of the scores before the softmax."""
        return fuse_scores(probabilities, self.weights)


def fuse_scores(probabilities: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Average class scores as they were before the softmax.

    The logarithm of a softmax is its scores up to a constant a clip, which the softmax after the mean takes away again.

    Parameters
    ----------
    probabilities : (M, n, classes) array
    weights : (M,) array

    Returns
    -------
    (n, classes) array
        Rows sum to 1.
    """
    scores = np.tensordot(weights, np.log(np.maximum(probabilities, np.finfo(np.float64).tiny)), axes=1)
    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


def best_weights(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the weights, (M,), whose fused scores give the true classes the highest likelihood.

    All weights of a grid that sum to 1 are tried; the equal ones come first and win a tie. The likelihood decides, and
    not F1, which moves in steps on few clips, so that many weights are alike by it.

    Parameters
    ----------
    probabilities : (M, n, classes) array
    labels : (n,) int array
        A clip of none of the classes (-1) has no say.
    """
    count = len(probabilities)
    known = labels >= 0
    candidates = [np.full(count, 1 / count), *_weightings(count)]
    if not known.any():
        return candidates[0]
    probabilities, labels = probabilities[:, known], labels[known]

    def likelihood(weights: NDArray[np.float64]) -> float:
        true = fuse_scores(probabilities, weights)[np.arange(len(labels)), labels]
        # Rounded, so that weights that differ by rounding errors alone are a tie.
        return round(float(np.log(np.maximum(true, np.finfo(np.float64).tiny)).mean()), 9)

    return max(candidates, key=likelihood)


def _weightings(count: int) -> Iterator[NDArray[np.float64]]:
    """Yield `count` weights that sum to 1, in twentieths or, of many modalities, in coarser steps."""
    steps = next((s for s in (20, 10, 5, 2) if math.comb(s + count - 1, count - 1) <= _MOST_WEIGHTINGS), 1)
    for shares in _shares(steps, count):
        yield np.array(shares) / steps


def _shares(total: int, count: int) -> Iterator[tuple[int, ...]]:
    """Yield every way to share `total` among `count`."""
    if count == 1:
        yield (total,)
        return
    for first in range(total + 1):
        for rest in _shares(total - first, count - 1):
            yield (first, *rest)
