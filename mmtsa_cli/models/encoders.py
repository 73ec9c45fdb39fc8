"""Encoders: what one modality recorded in every segment, to features (the F(X; W) of equation 7).

A modality's backbone is shared over segments: they go through it as more images of one batch.
"""

from __future__ import annotations

from torch import Tensor, nn

from mmtsa_cli.imaging.layer import FieldImages
from mmtsa_cli.models.inputs import InputConvention, SensorInput, VideoInput


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


class SensorEncoder(nn.Module):
    """Sensor windows to Gramian angular field images to features.

    Parameters
    ----------
    images : FieldImages
    backbone : nn.Module
        (B, C', H, W) to (B, D), C' = `images.channels`.
    features : int
        D.
    convention : InputConvention
    """

    def __init__(self, images: FieldImages, backbone: nn.Module, features: int, convention: InputConvention) -> None:
        super().__init__()
        self.images = images
        self.input = SensorInput(convention)
        self.backbone = backbone
        self.features = features

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
        (B, N, D) tensor
        """
        low, high = (None, None) if extremes is None else (extremes[..., 0], extremes[..., 1])
        return _encode(self.backbone, self.input(self.images(windows, low, high)))


def _encode(backbone: nn.Module, images: Tensor) -> Tensor:
    features = backbone(images.flatten(0, 1))
    return features.reshape(*images.shape[:2], -1)
