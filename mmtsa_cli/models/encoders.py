"""Encoders: what one modality recorded in every segment, to features (the F(X; W) of equation 7).

A modality's backbone is shared over segments: they go through it as more images of one batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mmtsa_cli.imaging.layer import FieldImages
from mmtsa_cli.models.inputs import InputConvention, SensorInput, VideoInput

_QUIET = 1e-3
"""Deviation, in units, below which windows are all alike: noise."""


class VideoEncoder(nn.Module):
    """Frames to features.

    Parameters
    ----------
    backbone : nn.Module
        (B, C, H, W) to (B, D).
    features : int
        D.
    convention : InputConvention
    channels : int
        3 (RGB) or 1 (grey).
    frames : int
        Frames of a snippet, side by side in the channels.
    """

    def __init__(
        self, backbone: nn.Module, features: int, convention: InputConvention, *, channels: int = 3, frames: int = 1
    ) -> None:
        super().__init__()
        self.input = VideoInput(convention, channels=channels, frames=frames)
        self.backbone = backbone
        self.features = features

    def forward(self, frames: Tensor, extremes: Tensor | None = None) -> Tensor:
        """Return the features, (B, N, D), of frames, (B, N, H, W, C) uint8; a video has no extremes."""
        return _encode(self.backbone, self.input(frames))

    def pixels(self, frames: Tensor) -> int:
        """Return how many pixels the backbone gets of frames."""
        return frames.shape[:4].numel()


class WindowLevel(nn.Module):
    """How high and how wide a window's samples lie: what a field that is rescaled by window or clip no longer says.

    Width counts by its logarithm, as hands at a keyboard and hands at rest differ by a factor and by hardly an amount.
    Batch norm brings both to one size.

    Parameters
    ----------
    low, high : (C,) sequences of float
        Bounds of each axis; mean and deviation are in units of half their distance, the mean from their middle.
    """

    middle: Tensor
    unit: Tensor

    def __init__(self, low: Any, high: Any) -> None:
        super().__init__()
        low, high = (torch.as_tensor(bound, dtype=torch.float32) for bound in (low, high))
        self.features = 2 * len(low)
        self.register_buffer("middle", (low + high) / 2)
        # An axis that never moved has no unit; its level is the same whatever it reads.
        self.register_buffer("unit", torch.where(high > low, (high - low) / 2, torch.inf))
        self.norm = nn.BatchNorm1d(self.features)

    def forward(self, windows: Tensor) -> Tensor:
        """Return mean and log deviation of each axis, (B, N, 2 C), of windows, (B, N, C, K)."""
        level = self.measured(windows)
        return self.norm(level.flatten(0, 1)).reshape(level.shape)

    def measured(self, windows: Tensor) -> Tensor:
        """Return the same before batch norm."""
        windows = (windows.float() - self.middle[:, None]) / self.unit[:, None]
        spread = torch.log(windows.std(dim=-1, correction=0) + _QUIET)
        return torch.cat([windows.mean(dim=-1), spread], dim=-1)


class SensorEncoder(nn.Module):
    """Sensor windows to Gramian angular field images to features.

    Parameters
    ----------
    images : FieldImages
    backbone : nn.Module
        (B, C', H, W) to (B, D), C' = `images.channels`.
    features : int
        D of the backbone.
    convention : InputConvention
    level : WindowLevel, optional
        Its numbers stand beside the backbone's features.
    """

    def __init__(
        self,
        images: FieldImages,
        backbone: nn.Module,
        features: int,
        convention: InputConvention,
        *,
        level: WindowLevel | None = None,
    ) -> None:
        super().__init__()
        self.images = images
        self.input = SensorInput(convention)
        self.backbone = backbone
        self.level = level
        self.backbone_features = features
        self.features = features + (level.features if level else 0)

    def forward(self, windows: Tensor, extremes: Tensor | None = None) -> Tensor:
        """Return the features of windows.

        Parameters
        ----------
        windows : (B, N, C, K) tensor
            In the sensor's unit.
        extremes : (B, C, 2) tensor, optional
            Minimum and maximum of each axis over the whole clip; scale "clip" needs them.

        Returns
        -------
        (B, N, `features`) tensor
        """
        return self.with_level(_encode(self.backbone, self.pictures(windows, extremes)), windows)

    def pictures(self, windows: Tensor, extremes: Tensor | None = None) -> Tensor:
        """Return what the backbone gets of windows: images, (B, N, C', H, W)."""
        low, high = (None, None) if extremes is None else (extremes[..., 0], extremes[..., 1])
        return self.input(self.images(windows, low, high))

    def pixels(self, windows: Tensor) -> int:
        """Return how many pixels the backbone gets of windows."""
        side = self.images.options.image_size or windows.shape[-1]
        return windows.shape[:2].numel() * side**2

    def with_level(self, features: Tensor, windows: Tensor) -> Tensor:
        """Return the backbone's features, (B, N, D), with the level of their windows beside, where there is one."""
        if self.level is None:
            return features
        return torch.cat([features, self.level(windows).to(features.dtype)], dim=-1)


def encode_together(
    encoders: Sequence[SensorEncoder], windows: Sequence[Tensor], extremes: Sequence[Tensor | None]
) -> list[Tensor]:
    """Return the features of several sensors whose encoders have one backbone, which runs once on the images of all.

    In training that is more than speed: batch norm then sees the mixture of sensors whose mean and variance it keeps
    for evaluation.

    Parameters
    ----------
    encoders, windows, extremes : sequences of the same length
        As of `SensorEncoder.forward`, one a sensor.

    Returns
    -------
    list of (B, N, D_m) tensors
    """
    of_each = zip(encoders, windows, extremes, strict=True)
    images = torch.stack([encoder.pictures(own, its_extremes) for encoder, own, its_extremes in of_each])
    # Flattened with the sensors first, and parted again by shape: a graph for any number of clips can do both.
    features = encoders[0].backbone(images.flatten(0, 2)).reshape(*images.shape[:3], -1)
    parts = zip(encoders, features.unbind(0), windows, strict=True)
    return [encoder.with_level(own, its_windows) for encoder, own, its_windows in parts]


def _encode(backbone: nn.Module, images: Tensor) -> Tensor:
    features = backbone(images.flatten(0, 1))
    return features.reshape(*images.shape[:2], -1)
