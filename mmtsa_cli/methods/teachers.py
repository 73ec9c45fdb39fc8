"""The teachers of the distilled systems: a one-dimensional CNN on the raw series of one sensor, trained on labels.

Kong et al. (MMAct, ICCV 2019) have a teacher a sensor. Its details could not be read there; chosen here: three
convolutions of 64, 128 and 256 channels over 9, 7 and 5 samples, each with batch norm and ReLU, maxima of pairs after
the first two; the mean over time; a fully connected layer. It is shared over segments, whose class scores are averaged.

A teacher is the same for every system that is fitted to the same clips with the same seed: it is trained once and kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

from mmtsa_cli.methods.network_method import NetworkOptions
from mmtsa_cli.methods.trained_once import fit_once, narrowed
from mmtsa_cli.methods.tsn import SegmentConsensus, TsnStream
from mmtsa_cli.sampling.draw import Samples
from mmtsa_cli.training.run import Run

_CHANNELS = (64, 128, 256)
_KERNELS = (9, 7, 5)


class SeriesEncoder(nn.Module):
    """Raw windows of a sensor to features.

    Parameters
    ----------
    axes : int
        C.
    bounds : sequence of (low, high), optional
        Per axis, in the sensor's unit: what becomes -1 and 1. None: windows are in [-1, 1] already.
    """

    features = _CHANNELS[-1]
    low: Tensor
    high: Tensor

    def __init__(self, axes: int, bounds: Sequence[Sequence[float]] | None = None) -> None:
        super().__init__()
        low, high = torch.tensor(bounds if bounds else [(-1.0, 1.0)] * axes, dtype=torch.float32).T
        self.register_buffer("low", low.clone())
        self.register_buffer("high", high.clone())
        before = (axes, *_CHANNELS[:-1])
        first, second, third = (_block(*sizes) for sizes in zip(before, _CHANNELS, _KERNELS, strict=True))
        # Of an odd length the last sample has no partner; the shortest window, 2 samples, ends as 1.
        self.layers = nn.Sequential(
            first, nn.MaxPool1d(2, ceil_mode=True), second, nn.MaxPool1d(2, ceil_mode=True), third
        )

    def forward(self, windows: Tensor, extremes: Tensor | None = None) -> Tensor:
        """Return the features, (B, N, 256), of windows, (B, N, C, K), in the sensor's unit; extremes have no use."""
        scaled = self._standardised(windows.float()).flatten(0, 1)
        return self.layers(scaled).mean(dim=-1).reshape(*windows.shape[:2], -1)

    def _standardised(self, windows: Tensor) -> Tensor:
        half = (self.high - self.low) / 2
        # An axis that never moved stays where it is.
        half = torch.where(half > 0, half, torch.ones_like(half))
        return (windows - ((self.high + self.low) / 2)[:, None]) / half[:, None]


def _block(channels: int, filters: int, kernel: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv1d(channels, filters, kernel, padding=kernel // 2, bias=False), nn.BatchNorm1d(filters), nn.ReLU()
    )


class SensorTeacher(TsnStream):
    """The network of one sensor.

    Attributes
    ----------
    macro_f1 : float or None
        Of the validation clips, where there were any.
    """

    options_class: ClassVar[type] = NetworkOptions
    macro_f1: float | None = None

    def build(self) -> SegmentConsensus:
        """Return the network for the one sensor of the inputs."""
        ((name, wanted),) = self.inputs.items()
        encoder = SeriesEncoder(wanted.channels, wanted.bounds)
        return SegmentConsensus(name, encoder, classes=len(self.classes), dropout=0.0)


def teacher_options(options: NetworkOptions) -> NetworkOptions:
    """Return what a teacher takes of a system's options: the draw's augmentation, the training, the quantiles."""
    return NetworkOptions(imaging=options.imaging, augmentation=options.augmentation, training=options.training)


def fit_teachers(
    sensors: Sequence[str],
    options: NetworkOptions,
    samples: Samples,
    validation: Samples | None,
    *,
    seed: int,
    run: Run,
) -> dict[str, SensorTeacher]:
    """Return the trained teachers of some sensors, frozen, in evaluation mode.

    A teacher lies in `run.shared`, or else in `teachers` of `run.directory`, under its modality and a hash of all that
    it follows from. One that is finished there is read; one that was stopped is gone on with; one that another process
    trains is waited for.

    Raises
    ------
    DataError
        Fewer than two clips.
    TrainingStoppedError
    """
    place = run.shared or run.directory / "teachers"
    wanted = teacher_options(options)
    return {name: _fit_teacher(name, wanted, samples, validation, place, seed, run) for name in sensors}


def knowledge_of(teachers: Mapping[str, SensorTeacher], tensors: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Return what the teachers say of a batch, without a graph for gradients.

    Returns
    -------
    logits : (B, M, classes) tensor
        One row a teacher, in their order.
    features : (B, M, N, D) tensor
    """
    networks = [teacher.network for teacher in teachers.values()]
    with torch.no_grad():
        features = [network.features(tensors) for network in networks]
        logits = [network.consensus(own) for network, own in zip(networks, features, strict=True)]
    return torch.stack(logits, dim=1), torch.stack(features, dim=1)


def _fit_teacher(
    name: str,
    options: NetworkOptions,
    samples: Samples,
    validation: Samples | None,
    place: Path,
    seed: int,
    run: Run,
) -> SensorTeacher:
    own, own_validation = narrowed(samples, validation, (name,))
    teacher = SensorTeacher.for_samples(options, own, seed=seed)
    _, scores = fit_once(teacher, own, own_validation, kind="teacher", name=name, place=place, seed=seed, run=run)
    teacher.network.eval().requires_grad_(False)
    # The last gradients of its training would stay in memory.
    teacher.network.zero_grad()
    teacher.macro_f1 = scores.get("macro_f1")
    return teacher
