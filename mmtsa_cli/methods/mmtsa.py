"""MMTSA, the paper's method: equations 1 to 9.

Sensor windows become Gramian angular fields (equations 1 to 5) within the network; of each segment one frame and the
windows of the same time are drawn (equation 6); one backbone a modality, shared over segments, extracts features, which
are concatenated (equation 7); additive attention weighs the segments (equations 8 and 9); two fully connected layers
classify.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mmtsa_cli.artifacts.options import option
from mmtsa_cli.errors import UsageError
from mmtsa_cli.methods.distillation import distillation_loss
from mmtsa_cli.methods.lessons import LessonOptions, LessonSamples, Teacher
from mmtsa_cli.methods.network_method import CrossEntropy, NetworkMethod, NetworkOptions, Prediction, Progress
from mmtsa_cli.methods.pretrained import start_from
from mmtsa_cli.methods.warm_start import keep_alone, start_from_alone
from mmtsa_cli.models.network import SegmentNetwork, build_network
from mmtsa_cli.models.pairing import pairing_loss
from mmtsa_cli.sampling.draw import Batch, Samples
from mmtsa_cli.training.checkpoint import LAST, TrainingState
from mmtsa_cli.training.group import from_first
from mmtsa_cli.training.optimisation import autocast
from mmtsa_cli.training.parts import split_of
from mmtsa_cli.training.run import Run

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass(frozen=True)
class MmtsaOptions(NetworkOptions):
    """Everything about the method that a recipe may set."""

    warm_start: bool = option(False, "each modality's encoder starts from a training of the modality alone")
    start: str | None = option(
        None, "weights of a training on other recordings, whose backbones the encoders start with; null: from scratch"
    )
    labels: bool = option(
        True, "false: labels are not looked at, model.pairing alone trains the encoders, for others to `start` with"
    )
    start_sha256: str | None = option(None, "what the file of `start` must hash to; needed for a URL")
    distillation: LessonOptions = field(default_factory=LessonOptions)


class Mmtsa(NetworkMethod):
    """The method; see `NetworkMethod` for its parameters.

    Attributes
    ----------
    teacher : Teacher or None
        What `fit` learns from beside labels; no part of the state, as nothing asks it to predict. Who opens the run
        that `options.distillation` names puts it here.
    """

    options_class: ClassVar[type] = MmtsaOptions
    network: SegmentNetwork
    teacher: Teacher | None = None

    @classmethod
    def for_samples(cls, options: Any, samples: Samples, *, seed: int = 0) -> Self:
        """Return an untrained system as `NetworkMethod` does, or one whose backbones were trained elsewhere.

        Raises
        ------
        UsageError
            Neither labels nor pairs of modalities to learn from.
        """
        if not options.labels and (len(samples.modalities) < 2 or not options.model.pairing):
            raise UsageError(
                "nothing to learn from",
                where="labels",
                expected="model.pairing above 0 and two modalities or more",
                found=f"model.pairing {options.model.pairing:g}, {', '.join(samples.modalities)}",
            )
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

        And with `model.pairing` times that of pairing what modalities recorded in the same segment. With a teacher the
        first of these is distilled. Without labels the pairing is all.
        """
        said, model = self.network.forward_training(tensors), self.options.model
        if not self.options.labels:
            return model.pairing * pairing_loss(said.paired), said.logits
        loss = cross_entropy(said.logits)
        if self.teacher:
            lesson = self.options.distillation
            taught = distillation_loss(said.logits, self.teacher.scores(tensors), temperature=lesson.temperature)
            loss = (1 - lesson.weight) * loss + lesson.weight * taught
        for scores in said.own:
            loss = loss + model.auxiliary * cross_entropy(scores)
        if said.paired:
            loss = loss + model.pairing * pairing_loss(said.paired)
        return loss, said.logits

    def fit(self, samples: Samples, validation: Samples | None, *, seed: int, run: Run) -> TrainingState:
        """Train as `NetworkMethod` does; with `warm_start` the encoders of several modalities begin trained.

        Raises
        ------
        UsageError
            Modalities are to be paired over a batch that is cut.
        """
        self._check_pairing(len(samples))
        if self.options.warm_start and not from_first((run.directory / LAST).is_file):
            start_from_alone(self, samples, validation, seed=seed, run=run)
        lessons = LessonSamples(samples, self.teacher) if self.teacher else samples
        state = super().fit(lessons, validation, seed=seed, run=run)
        # One that was taught is not what others, which begin with modalities alone on labels alone, look for.
        if self.options.warm_start and not self.teacher:
            keep_alone(self, samples, validation, state, seed=seed, run=run)
        return state

    def _check_pairing(self, clips: int) -> None:
        training, pairing = self.options.training, self.options.model.pairing
        parts = split_of(training, min(training.batch_size, clips)).count
        if pairing and len(self.inputs) > 1 and parts > 1:
            raise UsageError(
                "pairing tells a clip from all others of its batch, which is cut into parts",
                where="model.pairing",
                expected="one process and training.parts=1, or model.pairing=0",
                found=f"model.pairing {pairing:g}, {parts} parts",
            )

    def with_segments(self, count: int) -> Self:
        """Return the same network for clips that are cut into another number of segments: its cost goes with them.

        Attention weighs however many there are; with random draws of fewer the mean over segments is only less sure.

        Raises
        ------
        UsageError
            It knows segments by their position.
        """
        if self.options.model.position_embedding and count != self.segments:
            raise UsageError(
                "the network knows its segments by their position",
                where=f"segments {count}",
                expected=str(self.segments),
                remedy="train it with model.position_embedding=false",
            )
        other = copy(self)
        other.segments = count
        return other

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
