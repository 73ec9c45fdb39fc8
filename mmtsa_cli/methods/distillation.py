"""Single-modality distillation (`smd`): Hinton, Vinyals, Dean, "Distilling the knowledge in a neural network", 2015.

A student that sees the video learns from labels and from a frozen teacher that has a sensor (`teachers`):

    loss = (1 - l) CE(y, s) + l T^2 KL(softmax(t / T) || softmax(s / T))

with the class scores t of the teacher and s of the student before the softmax, and the temperature T. T^2 keeps the
size of the second term's gradient when T changes (section 2 there). Only the video is read to predict.

Open in Kong et al. (MMAct, ICCV 2019), whose table has the row: T = 4, l = 0.5; the teacher is the sensor with the best
macro F1 of validation clips, or without any the first accelerometer (the first sensor if there is none).

With mixup, frames and series are mixed before either network sees them, so both answer the same mixed clip.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn

from mmtsa_cli.artifacts.options import option
from mmtsa_cli.methods.network_method import CrossEntropy
from mmtsa_cli.methods.teachers import SensorTeacher, fit_teachers, knowledge_of
from mmtsa_cli.methods.tsn import TsnOptions, TsnRgb, inputs_of
from mmtsa_cli.sampling.draw import Samples
from mmtsa_cli.training.checkpoint import TrainingState
from mmtsa_cli.training.run import Run


@dataclass(frozen=True)
class StudentOptions(TsnOptions):
    """Everything about a video network that is taught, or its like on labels alone, that a recipe may set."""

    dropout: float = option(0.5, "part of a segment's features dropped before its class scores", low=0, high=0.95)


@dataclass(frozen=True)
class DistillationOptions(StudentOptions):
    """Everything about a distilled system that a recipe may set."""

    temperature: float = option(4.0, "T: class scores are divided by it before the softmax", above=0)
    soft: float = option(0.5, "l: part of the loss that comes from the teachers, the rest from labels", low=0, high=1)


def distillation_loss(student: Tensor, teacher: Tensor, *, temperature: float) -> Tensor:
    """Return T^2 KL(softmax(teacher / T) || softmax(student / T)), the mean over clips.

    Parameters
    ----------
    student, teacher : (B, classes) tensors
        Class scores before the softmax.
    temperature : float
        T.
    """
    own = (student.float() / temperature).log_softmax(dim=-1)
    target = (teacher.float() / temperature).log_softmax(dim=-1)
    return temperature**2 * nn.functional.kl_div(own, target, reduction="batchmean", log_target=True)


class TaughtNetwork(TsnRgb):
    """A video network that learns from frozen teachers beside labels; subclasses say which teachers.

    Attributes
    ----------
    teachers : dict of str to SensorTeacher
        By sensor, after `fit`; they are no part of the state, as nothing asks them to predict.
    """

    options_class: ClassVar[type] = DistillationOptions

    def __init__(self, options: Any, **wanted: Any) -> None:
        super().__init__(options, **wanted)
        self.teachers: dict[str, SensorTeacher] = {}

    def choose_teachers(
        self, sensors: Sequence[str], samples: Samples, validation: Samples | None, *, seed: int, run: Run
    ) -> dict[str, SensorTeacher]:
        """Return trained teachers: of all sensors."""
        return fit_teachers(sensors, self.options, samples, validation, seed=seed, run=run)

    def training_modalities(self) -> tuple[str, ...]:
        """Return the video, and the sensors of the teachers."""
        return (*self.inputs, *self.teachers)

    def fit(self, samples: Samples, validation: Samples | None, *, seed: int, run: Run) -> TrainingState:
        """Train the teachers, where they are not there yet, then the student.

        Raises
        ------
        DataError
            No sensor, or fewer than two clips.
        TrainingStoppedError
        """
        sensors = [name for name in inputs_of(self.name, samples) if samples.kind(name) == "sensor"]
        self.teachers = self.choose_teachers(sensors, samples, validation, seed=seed, run=run)
        return super().fit(samples, validation, seed=seed, run=run)

    def loss(self, tensors: Mapping[str, Tensor], cross_entropy: CrossEntropy) -> tuple[Tensor, Tensor]:
        """Return the distilled loss, the target of which is the mean of the teachers' class scores."""
        logits, _ = self.network(tensors)
        target = knowledge_of(self.teachers, tensors)[0].mean(dim=1)
        soft = distillation_loss(logits, target, temperature=self.options.temperature)
        return (1 - self.options.soft) * cross_entropy(logits) + self.options.soft * soft, logits


class Smd(TaughtNetwork):
    """The student of the best sensor."""

    name: ClassVar[str] = "smd"

    def choose_teachers(
        self, sensors: Sequence[str], samples: Samples, validation: Samples | None, *, seed: int, run: Run
    ) -> dict[str, SensorTeacher]:
        """Return the one teacher: the best of all by macro F1 on `validation`, or else the first accelerometer's."""
        if not validation:
            sensors = [next((name for name in sensors if name.startswith("acc")), sensors[0])]
        trained = super().choose_teachers(sensors, samples, validation, seed=seed, run=run)
        best = max(trained, key=lambda name: trained[name].macro_f1 or 0.0)
        return {best: trained[best]}
