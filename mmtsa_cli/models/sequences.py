"""A modality as a sequence: steps in time, recurrent layers over them, attention, one vector a modality.

The systems that read a clip as a sequence (keyless, HAMLET, MuMu, Multi-GAT) share these blocks. A video has one step a
segment. A sensor's windows are cut into steps of 5 samples (HAMLET, IROS 2020), each window for itself, so that no step
straddles the gap between two segments; then all of them follow each other in time: T = N x ceil(K / 5) steps. Steps of
whole windows would leave the recurrent layers as few steps as there are segments, 3 as a rule.

Keyless attention (AAAI 2018), e_t = w . h_t with a softmax over t, is `fusion.AdditiveAttention`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from mmtsa_cli.errors import DataError, UsageError
from mmtsa_cli.imaging.field import FieldOptions
from mmtsa_cli.models.network import Input, ModelOptions, build_encoder

SAMPLES = 5
"""Samples of a sensor that make a step."""

_POINT_FILTERS, _FILTERS = 64, 32
_VIDEO_DROPOUT = 0.2


def whole_steps(windows: Tensor) -> Tensor:
    """Return windows, (..., K), with their last sample repeated up to a multiple of `SAMPLES`."""
    missing = -windows.shape[-1] % SAMPLES
    return torch.cat([windows, windows[..., -1:].expand(*windows.shape[:-1], missing)], dim=-1)


def cut_steps(windows: Tensor) -> Tensor:
    """Return windows, (B, N, C, K), as steps in the order of time, (B, N x ceil(K / SAMPLES), C, SAMPLES)."""
    return whole_steps(windows).unflatten(-1, (-1, SAMPLES)).transpose(2, 3).flatten(1, 2)


class AxisScale(nn.Module):
    """The axes of a sensor brought to one scale: most samples of the training clips then lie in [-1, 1].

    Parameters
    ----------
    bounds : sequence of (low, high), or None
        Per axis, in the sensor's unit, what becomes -1 and 1 (`Input.bounds`); None leaves the samples as they are. An
        axis without width is only moved.
    """

    middle: Tensor
    reach: Tensor

    def __init__(self, bounds: Sequence[Sequence[float]] | None) -> None:
        super().__init__()
        low, high = torch.tensor(bounds or [(-1.0, 1.0)], dtype=torch.float32).T
        reach = (high - low) / 2
        self.register_buffer("middle", ((low + high) / 2)[:, None], persistent=False)
        self.register_buffer("reach", torch.where(reach > 0, reach, 1.0)[:, None], persistent=False)

    def forward(self, windows: Tensor) -> Tensor:
        """Return windows, (..., C, K), on the common scale."""
        return (windows - self.middle) / self.reach


class SeriesSteps(nn.Module):
    """Sensor windows to features of steps of 5 samples, (B, N, C, K) to (B, T, D): HAMLET's unimodal encoder.

    A 1 x 1 convolution mixes the axes of each sample into 64 channels; a 3 x 3 convolution over samples and channels
    finds what occurs together; both sides are halved by the maximum; a fully connected layer follows.

    Parameters
    ----------
    wanted : Input
        A sensor.
    features : int
        D.
    dropout : float
    """

    def __init__(self, wanted: Input, features: int, *, dropout: float) -> None:
        super().__init__()
        self.scale = AxisScale(wanted.bounds)
        self.point = nn.Sequential(nn.Conv1d(wanted.channels, _POINT_FILTERS, 1), nn.ReLU())
        self.together = nn.Sequential(nn.Conv2d(1, _FILTERS, 3, padding=1), nn.MaxPool2d(2))
        flat = _FILTERS * (SAMPLES // 2) * (_POINT_FILTERS // 2)
        self.output = nn.Sequential(nn.Linear(flat, features), nn.ReLU(), nn.Dropout(dropout))

    def forward(self, windows: Tensor) -> Tensor:
        """Return the features of the steps."""
        steps = cut_steps(self.scale(windows))
        points = self.point(steps.flatten(0, 1))
        pooled = self.together(points.transpose(1, 2)[:, None])
        # Filters last, as the convolution has them in memory: the other order would copy, and the gradient once more.
        features = self.output(pooled.permute(0, 2, 3, 1).flatten(1))
        return features.unflatten(0, steps.shape[:2])


class Recurrent(nn.Module):
    """Two LSTM layers over steps, (B, T, D) to (B, T, U), or (B, T, 2U) where they run both ways."""

    def __init__(self, features: int, units: int, *, both_ways: bool = False) -> None:
        super().__init__()
        self.lstm = nn.LSTM(features, units, num_layers=2, batch_first=True, bidirectional=both_ways)

    def forward(self, steps: Tensor) -> Tensor:
        """Return what the second layer says at each step."""
        return self.lstm(steps)[0]


class SelfAttention(nn.Module):
    """Multi-head self-attention, softmax(Q K' / sqrt(d)) V a head, (Vaswani 2017): matrices only, no biases.

    Parameters
    ----------
    features : int
        D.
    heads : int
    dropout : float
        Of the weights.

    Raises
    ------
    UsageError
        Features that the heads cannot share evenly.
    """

    def __init__(self, features: int, *, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        check_heads(features, heads)
        self.heads = heads
        self.project = nn.Linear(features, 3 * features, bias=False)
        self.output = nn.Linear(features, features, bias=False)
        self.dropout = nn.Dropout(dropout)

    def forward(self, items: Tensor) -> tuple[Tensor, Tensor]:
        """Return (B, T, D), and how each item weighs all of them (last axis), (B, T, T) float32, a mean over heads."""
        projected = self.project(items).unflatten(-1, (3, self.heads, -1))
        query, key, value = projected.permute(2, 0, 3, 1, 4)
        weights = (query @ key.transpose(2, 3) / math.sqrt(query.shape[-1])).float().softmax(dim=-1)
        heard = self.dropout(weights).to(value.dtype) @ value
        return self.output(heard.transpose(1, 2).flatten(2)), weights.mean(dim=1)


def check_heads(features: int, heads: int) -> None:
    """Raise UsageError where `features` is no multiple of `heads`."""
    if features % heads:
        expected = f"a multiple of {heads}"
        raise UsageError("the heads cannot share it evenly", where="features", expected=expected, found=str(features))


class AttendedMean(nn.Module):
    """Self-attention over time, then the mean over time.

    The publication has the sum. Modalities here differ in their number of steps, and the one with most would be the
    loudest by that alone.
    """

    def __init__(self, features: int, *, heads: int, dropout: float) -> None:
        super().__init__()
        self.attention = SelfAttention(features, heads=heads, dropout=dropout)

    def forward(self, steps: Tensor) -> tuple[Tensor, Tensor]:
        """Return (B, D) and the share, (B, T), that each step has in it; shares sum to 1."""
        attended, weights = self.attention(steps)
        return attended.mean(dim=1), weights.mean(dim=1)


def hamlet_stream(wanted: Input, options: ModelOptions, pool: nn.Module, *, features: int) -> nn.Module:
    """Return the encoder that HAMLET and its successors have for a modality: steps, two LSTM layers, a pooling.

    Parameters
    ----------
    wanted : Input
    options : ModelOptions
        Its backbone for the frames of a video, its dropout for the steps of a sensor.
    pool : nn.Module
        (B, T, D) to (B, D) and weights (B, T).
    features : int
        D.

    Raises
    ------
    UsageError, DataError
        As of `create_backbone`.
    """
    if wanted.kind == "sensor":
        steps = SeriesSteps(wanted, features, dropout=options.dropout)
        return nn.Sequential(steps, Recurrent(features, features), pool)
    encoder = build_encoder(wanted, options, FieldOptions())
    frames = nn.Sequential(encoder, nn.Linear(encoder.features, features))
    return nn.Sequential(frames, Recurrent(features, features), nn.ReLU(), nn.Dropout(_VIDEO_DROPOUT), pool)


class Streams(nn.Module):
    """One vector a modality, and the weights of the segments of the main video.

    Parameters
    ----------
    inputs : mapping of str to Input
    stream : callable (Input) -> nn.Module
        Makes the encoder of a modality: its input to (B, D) and the weights of its steps, (B, T).

    Raises
    ------
    DataError
        No video or no sensor among the inputs.
    """

    def __init__(self, inputs: Mapping[str, Input], stream: Callable[[Input], nn.Module]) -> None:
        super().__init__()
        videos = [name for name, wanted in inputs.items() if wanted.kind == "video"]
        if not videos or len(videos) == len(inputs):
            found = ", ".join(inputs) or "no modality"
            raise DataError("a modality is missing", expected="a video and at least one sensor", found=found)
        self.modalities = tuple(inputs)
        self._main = self.modalities.index(videos[0])
        self.streams = nn.ModuleList(stream(wanted) for wanted in inputs.values())

    def forward(self, inputs: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Return the vectors, (B, M, D), and the weights, (B, N), of the first video's segments.

        Raises
        ------
        DataError
            A modality is not among the inputs.
        """
        missing = [name for name in self.modalities if name not in inputs]
        if missing:
            expected, found = ", ".join(self.modalities), ", ".join(inputs) or "nothing"
            raise DataError(f"no {', '.join(missing)} in the input", expected=expected, found=found)
        pairs = [stream(inputs[name]) for name, stream in zip(self.modalities, self.streams, strict=True)]
        return torch.stack([vector for vector, _ in pairs], dim=1), pairs[self._main][1]
