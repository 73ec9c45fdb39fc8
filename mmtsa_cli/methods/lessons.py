"""Knowledge distillation from a trained network to one that costs less: Hinton, Vinyals, Dean, 2015.

The loss of the student is that of `distillation`, (1 - w) CE(y, s) + w T^2 KL(softmax(t / T) || softmax(s / T)), with
the class scores t of the teacher and s of the student.

Teacher and student see the same draw of a clip, augmentation and mixup included: a teacher that is asked once about
each clip as it is teaches a function on those few points, one that is asked about each draw teaches it everywhere
(Beyer et al., "Knowledge distillation: a good teacher is patient and consistent", 2022). It costs the teacher's forward
pass in every step. A student of fewer segments sees some of its teacher's. Where it draws otherwise (other windows,
smaller frames, more segments) the same clip is drawn twice by the same random numbers, and the two see what these make
the same.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mmtsa_cli.artifacts.options import option
from mmtsa_cli.sampling.draw import Augmentation, Batch, DrawOptions, Samples

_PREFIX = "teacher:"


@dataclass(frozen=True)
class LessonOptions:
    """Who teaches, and how much of the loss that is."""

    teacher: str | None = option(None, "directory of a finished run, whose networks teach; null: labels alone")
    temperature: float = option(4.0, "T: class scores are divided by it before the softmax", above=0)
    weight: float = option(0.7, "w: part of the loss that comes from the teacher, the rest from labels", low=0, high=1)


@dataclass(frozen=True)
class Teacher:
    """A trained network that is asked, and no longer changed.

    Attributes
    ----------
    network : nn.Module
        From tensors by modality to class scores, (B, classes), of the student's classes, and attention.
    modalities : tuple of str
        What it needs.
    draw : DrawOptions
        How clips are drawn for it, `segments` and `window` said.
    """

    network: nn.Module
    modalities: tuple[str, ...]
    draw: DrawOptions

    def __post_init__(self) -> None:
        self.network.eval().requires_grad_(False)

    def scores(self, tensors: Mapping[str, Tensor]) -> Tensor:
        """Return its class scores, (B, classes), of a batch of `LessonSamples`, without a graph for gradients."""
        lesson = {name.removeprefix(_PREFIX): tensor for name, tensor in tensors.items() if name.startswith(_PREFIX)}
        with torch.no_grad():
            return self.network({**tensors, **lesson})[0]


class LessonSamples(Samples):
    """Clips as a student draws them; what its teacher gets of the same draw stands beside, under names of its own.

    Parameters
    ----------
    own : Samples
        The student's.
    teacher : Teacher

    Raises
    ------
    UsageError
        The clips are too short, or have too few frames, for the teacher's draw.
    """

    def __init__(self, own: Samples, teacher: Teacher) -> None:
        super().__init__(own.store, own.clips, modalities=own.modalities, classes=own.classes, options=own.options)
        self._at_once = _draws_alike(own, teacher)
        names, draw = teacher.modalities, teacher.draw
        if self._at_once:
            names = (*names, *(name for name in own.modalities if name not in names))
            if _has_video(own, own.modalities):
                frames = self.options
                draw = replace(draw, frame_size=frames.frame_size, snippet=frames.snippet, crop=frames.crop)
        self._lesson = Samples(own.store, own.clips, modalities=names, classes=own.classes, options=draw)

    def batch(
        self,
        positions: Sequence[int],
        *,
        generators: Sequence[np.random.Generator] | None = None,
        augmentation: Augmentation | None = None,
    ) -> Batch:
        """Draw some of the clips, for both."""
        again = copy.deepcopy(generators)
        lesson = self._lesson.batch(positions, generators=generators, augmentation=augmentation)
        if self._at_once:
            own = self._some_segments(lesson, generators)
        else:
            own = super().batch(positions, generators=again, augmentation=augmentation)
        shared = own.inputs.keys() if self._at_once and self.segments == self._lesson.segments else ()
        inputs, extremes = _named(lesson.inputs, shared), _named(lesson.extremes, shared)
        return replace(own, inputs={**own.inputs, **inputs}, extremes={**own.extremes, **extremes})

    def _some_segments(self, lesson: Batch, generators: Sequence[np.random.Generator] | None) -> Batch:
        """Return what the student sees of its teacher's draw: as many segments as it has, in the order of time."""
        rows = range(len(lesson.labels))
        chosen = np.stack(
            [_places(self.segments, self._lesson.segments, generators[row] if generators else None) for row in rows]
        )
        inputs = {name: lesson.inputs[name][np.arange(len(chosen))[:, None], chosen] for name in self.modalities}
        return replace(lesson, inputs=inputs, extremes={n: v for n, v in lesson.extremes.items() if n in inputs})


def _places(count: int, of: int, generator: np.random.Generator | None) -> NDArray[np.int64]:
    """Return which of `of` segments stand for each of `count`: one that it overlaps, at random, or its middle."""
    if count == of:
        return np.arange(of)
    first = np.floor(np.arange(count) * of / count).astype(int)
    last = np.ceil((np.arange(count) + 1) * of / count).astype(int) - 1
    return (first + last) // 2 if generator is None else generator.integers(first, last + 1)


def _named(arrays: Mapping[str, NDArray[Any]], shared: Collection[str]) -> dict[str, NDArray[Any]]:
    """Return arrays with the prefix before the names of those that are the teacher's alone."""
    return {name if name in shared else _PREFIX + name: values for name, values in arrays.items()}


def _draws_alike(own: Samples, teacher: Teacher) -> bool:
    """Say whether one draw serves both: enough segments, the same windows and, where both see a video, its frames."""
    mine, its = own.options, teacher.draw
    if own.segments > (its.segments or 0) or own.window_s != its.window:
        return False
    both_see = _has_video(own, own.modalities) and _has_video(own, teacher.modalities)
    return not both_see or (mine.frame_size, mine.snippet, mine.crop) == (its.frame_size, its.snippet, its.crop)


def _has_video(samples: Samples, names: Sequence[str]) -> bool:
    return any(samples.kind(name) == "video" for name in names)
