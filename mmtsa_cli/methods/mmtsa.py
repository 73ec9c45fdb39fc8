"""MMTSA, the paper's method: equations 1 to 9.

Sensor windows become Gramian angular fields (equations 1 to 5) within the network; of each segment one frame and the
windows of the same time are drawn (equation 6); one backbone a modality, shared over segments, extracts features, which
are concatenated (equation 7); additive attention weighs the segments (equations 8 and 9); two fully connected layers
classify.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mmtsa_cli.artifacts.options import option
from mmtsa_cli.methods.network_method import CrossEntropy, NetworkMethod, NetworkOptions, Prediction, Progress
from mmtsa_cli.methods.pretrained import start_from
from mmtsa_cli.methods.warm_start import keep_alone, start_from_alone
from mmtsa_cli.models.network import SegmentNetwork, build_network
from mmtsa_cli.models.pairing import pairing_loss
from mmtsa_cli.sampling.draw import Batch, Samples
from mmtsa_cli.training.checkpoint import LAST, TrainingState
from mmtsa_cli.training.loop import Run
from mmtsa_cli.training.optimisation import autocast

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass(frozen=True)
class MmtsaOptions(NetworkOptions):
    """Everything about the method that a recipe may set."""

    warm_start: bool = option(False, "each modality's encoder starts from a training of the modality alone")
    start: str | None = option(
        None, "weights of a training on other recordings, whose backbones the encoders start with; null: from scratch"
    )
    start_sha256: str | None = option(None, "what the file of `start` must hash to; needed for a URL")


class Mmtsa(NetworkMethod):
    """The method; see `NetworkMethod` for its parameters."""

    options_class: ClassVar[type] = MmtsaOptions
    network: SegmentNetwork

    @classmethod
    def for_samples(cls, options: Any, samples: Samples, *, seed: int = 0) -> Self:
        """Return an untrained system as `NetworkMethod` does, or one whose backbones were trained elsewhere."""
        method = super().for_samples(options, samples, seed=seed)
        if options.start:
            start_from(method.network, options.start, sha256=options.start_sha256)
        return method

    def build(self) -> SegmentNetwork:
        """Return the network of section 3.3, for the modalities of the inputs."""
        return build_network(
            self.inputs,
            self.options.model,
            self.options.imaging,
            segments=self.segments,
            classes=len(self.classes),
        )

    def loss(self, tensors: Mapping[str, Tensor], cross_entropy: CrossEntropy) -> tuple[Tensor, Tensor]:
        """Return the loss of the fused features, with `model.auxiliary` times that of each modality's own.

        And with `model.pairing` times that of pairing what modalities recorded in the same segment.
        """
        said, model = self.network.forward_training(tensors), self.options.model
        loss = cross_entropy(said.logits)
        for scores in said.own:
            loss = loss + model.auxiliary * cross_entropy(scores)
        if said.paired:
            loss = loss + model.pairing * pairing_loss(said.paired)
        return loss, said.logits

    def fit(self, samples: Samples, validation: Samples | None, *, seed: int, run: Run) -> TrainingState:
        """Train as `NetworkMethod` does; with `warm_start` the encoders of several modalities begin trained."""
        if not self.options.warm_start:
            return super().fit(samples, validation, seed=seed, run=run)
        if len(self.inputs) > 1 and not (run.directory / LAST).is_file():
            start_from_alone(self, samples, validation, seed=seed, run=run)
        state = super().fit(samples, validation, seed=seed, run=run)
        if len(self.inputs) == 1:
            keep_alone(self, samples, validation, state, seed=seed, run=run)
        return state

    def predict_subsets(
        self,
        samples: Samples,
        subsets: Sequence[Sequence[str]],
        *,
        seed: int = 0,
        progress: Progress = lambda done, total: None,
    ) -> list[Prediction]:
        """Return what the network says with the modalities of each subset alone.

        Raises
        ------
        DataError
            It was trained without modality dropout, so it needs all.
        """

        def forward(batch: Batch) -> tuple[NDArray[np.float64], ...]:
            self.network.eval()
            with torch.inference_mode(), autocast(self.options.training.precision, self.device):
                said = self.network.forward_subsets(self._tensors(batch), subsets)
            return tuple(
                values.double().cpu().numpy()
                for logits, attention in said
                for values in (logits.double().softmax(dim=1), attention)
            )

        found = self._averaged(samples, forward, seed=seed, progress=progress)
        return [Prediction(*pair) for pair in zip(found[::2], found[1::2], strict=True)]


class MmtsaConcat(Mmtsa):
    """The other row of the paper's table 5: features of segments concatenated and averaged, no attention."""

    def __init__(self, options: Any, **wanted: Any) -> None:
        super().__init__(replace(options, model=replace(options.model, fusion="average")), **wanted)
