"""Distillation from several sensors to video: Kong et al., "MMAct: a large-scale dataset", ICCV 2019.

- `student`: the video network of all of them on labels alone.
- `multi-teachers`: a teacher a sensor, counted alike. Whether the table's row is their own mean or a student of it is
  open; `mode` has both.
- `mmad`: an attention network weighs the teachers for each clip: of each the features, averaged over segments, go
  through a fully connected layer to one number, and the softmax over teachers makes weights a of them.

      loss = CE(y, s) + l T^2 KL(softmax(t / T) || softmax(s / T)) + m |A(F) - A(F')|^2 + CE(y, t)

  with the weighted class scores t = sum a_i t_i and features F' = sum a_i F_i of the teachers, and s and F of the
  student. Only the video is read to predict.

What could not be read of the publication is chosen here. T = 4, l = 1, m = 1. Features are compared by attention maps A
as of Zagoruyko and Komodakis (ICLR 2017), the mean over channels of squared activations, of length 1; the one axis that
frames and series share is that of the segments, so a map has a value a segment (of one segment it says nothing). The
attention learns by the labels, through t; the student's terms do not reach it, or it would prefer the teachers that the
student is like already.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mmtsa_cli.artifacts.options import option
from mmtsa_cli.errors import ArtifactError
from mmtsa_cli.methods.distillation import DistillationOptions, StudentOptions, TaughtNetwork, distillation_loss
from mmtsa_cli.methods.network_method import CrossEntropy, NetworkMethod
from mmtsa_cli.methods.score_fusion import ScoreFusion
from mmtsa_cli.methods.teachers import SensorTeacher, SeriesEncoder, fit_teachers, knowledge_of, teacher_options
from mmtsa_cli.methods.tsn import SegmentConsensus, TsnRgb, inputs_of
from mmtsa_cli.sampling.draw import Samples
from mmtsa_cli.training.checkpoint import TrainingState
from mmtsa_cli.training.run import Run


@dataclass(frozen=True)
class MultiTeachersOptions(DistillationOptions):
    """Everything about `multi-teachers` that a recipe may set."""

    mode: Literal["fuse", "distil"] = option("fuse", "the mean of the teachers' probabilities, or a student of them")


@dataclass(frozen=True)
class MmadOptions(StudentOptions):
    """Everything about `mmad` that a recipe may set."""

    temperature: float = option(4.0, "T: class scores are divided by it before the softmax", above=0)
    soft: float = option(1.0, "l: weight of the teachers' class scores in the loss", low=0)
    feature: float = option(1.0, "m: weight of the teachers' attention maps in the loss", low=0)


class TeacherAttention(nn.Module):
    """The weight of each teacher for a clip, from the teachers' features.

    Parameters
    ----------
    teachers : int
        M.
    features : int
        D.
    """

    def __init__(self, teachers: int, features: int) -> None:
        super().__init__()
        self.scores = nn.ModuleList(nn.Linear(features, 1) for _ in range(teachers))
        for layer in self.scores:
            # From zero: training starts at the plain mean.
            nn.init.zeros_(layer.weight)  # type: ignore[arg-type]
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def forward(self, features: Tensor) -> Tensor:
        """Return weights, (B, M), that sum to 1, of features averaged over segments, (B, M, D)."""
        scores = [layer(own) for layer, own in zip(self.scores, features.unbind(dim=1), strict=True)]
        return torch.cat(scores, dim=1).float().softmax(dim=1)


class TaughtByAttention(nn.Module):
    """What is trained together: the student, which is all that answers when it is called, and the attention."""

    def __init__(self, student: SegmentConsensus, attention: TeacherAttention) -> None:
        super().__init__()
        self.student = student
        self.attention = attention

    def forward(self, inputs: Mapping[str, Tensor]) -> tuple[Tensor, None]:
        """Return the student's class scores, (B, classes), and no attention over segments."""
        return self.student(inputs)


def attention_map(features: Tensor) -> Tensor:
    """Return the mean square of features, (B, N, D), over D, as vectors over segments, (B, N), of length 1."""
    return nn.functional.normalize(features.float().pow(2).mean(dim=-1), dim=-1)


def attention_transfer_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Return the squared distance of two attention maps, the mean over clips.

    Parameters
    ----------
    student, teacher : (B, N, D) and (B, N, D') tensors
    """
    return (attention_map(student) - attention_map(teacher)).pow(2).sum(dim=-1).mean()


class Student(TsnRgb):
    """The video network on labels alone."""

    name: ClassVar[str] = "student"
    options_class: ClassVar[type] = StudentOptions


class TeachersMean(ScoreFusion):
    """The mean of the teachers' probabilities; no video is read."""

    name: ClassVar[str] = "multi-teachers"
    options_class: ClassVar[type] = MultiTeachersOptions
    part_class: ClassVar[type[NetworkMethod]] = SensorTeacher

    @classmethod
    def modalities(cls, samples: Samples) -> tuple[str, ...]:
        """Return the sensors."""
        return tuple(name for name in inputs_of(cls.name, samples) if samples.kind(name) == "sensor")

    @classmethod
    def part_options(cls, options: Any) -> Any:
        """Return the options of a teacher."""
        return teacher_options(options)

    def fit(self, samples: Samples, validation: Samples | None, *, seed: int, run: Run) -> None:
        """Train the teachers that are not there yet."""
        self.parts = dict(fit_teachers(tuple(self.parts), self.options, samples, validation, seed=seed, run=run))

    def combine(self, probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the mean over the first axis."""
        return np.tensordot(self.weights, probabilities, axes=1)


class TaughtByMean(TaughtNetwork):
    """The student of all sensors' teachers, whose class scores are averaged."""

    name: ClassVar[str] = "multi-teachers"
    options_class: ClassVar[type] = MultiTeachersOptions


class MultiTeachers:
    """Which of the two systems it is: `mode` says it when one is made."""

    options_class: ClassVar[type] = MultiTeachersOptions

    @classmethod
    def for_samples(cls, options: Any, samples: Samples, *, seed: int = 0) -> TeachersMean | TaughtByMean:
        """Return an untrained system for `samples`.

        Raises
        ------
        DataError
            No video, or no sensor.
        """
        return cls._system(options).for_samples(options, samples, seed=seed)

    @classmethod
    def restore(cls, options: Any, state: Mapping[str, Any]) -> TeachersMean | TaughtByMean:
        """Return the trained system.

        Raises
        ------
        ArtifactError
            The state of another system, or of the other mode.
        """
        if ("_parts" in state) != (options.mode == "fuse"):
            found = "networks of sensors" if "_parts" in state else "no networks of sensors"
            raise ArtifactError(f"the state is of another system than multi-teachers, mode {options.mode}", found=found)
        return cls._system(options).restore(options, state)

    @staticmethod
    def _system(options: MultiTeachersOptions) -> type[TeachersMean] | type[TaughtByMean]:
        return TeachersMean if options.mode == "fuse" else TaughtByMean


class Mmad(TaughtNetwork):
    """The student of all sensors' teachers, weighed by attention.

    Attributes
    ----------
    attention : TeacherAttention or None
        After `fit`; no part of the state, as nothing asks it to predict.
    """

    name: ClassVar[str] = "mmad"
    options_class: ClassVar[type] = MmadOptions
    network: Any

    def __init__(self, options: Any, **wanted: Any) -> None:
        super().__init__(options, **wanted)
        self.attention: TeacherAttention | None = None

    def fit(self, samples: Samples, validation: Samples | None, *, seed: int, run: Run) -> TrainingState:
        """Train the teachers, where they are not there yet, then student and attention together."""
        teachers = sum(samples.kind(name) == "sensor" for name in inputs_of(self.name, samples))
        student = self.network
        self.attention = TeacherAttention(teachers, SeriesEncoder.features).to(self.device)
        self.network = TaughtByAttention(student, self.attention)
        try:
            return super().fit(samples, validation, seed=seed, run=run)
        finally:
            self.network = student

    def loss(self, tensors: Mapping[str, Tensor], cross_entropy: CrossEntropy) -> tuple[Tensor, Tensor]:
        """Return the sum of the four terms, and the student's class scores."""
        student, options = self.network.student, self.options
        features = student.features(tensors)
        logits = student.consensus(features)
        target, shown = self.weighted(tensors)
        loss = cross_entropy(logits) + cross_entropy(target)
        loss = loss + options.soft * distillation_loss(logits, target.detach(), temperature=options.temperature)
        return loss + options.feature * attention_transfer_loss(features, shown.detach()), logits

    def weighted(self, tensors: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Return class scores, (B, classes), and features, (B, N, D), of the teachers, weighed for each clip."""
        logits, features = knowledge_of(self.teachers, tensors)
        weights = self.network.attention(features.mean(dim=2))
        return torch.einsum("bm,bmc->bc", weights, logits), torch.einsum("bm,bmnd->bnd", weights, features)
