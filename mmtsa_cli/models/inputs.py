"""What a backbone expects its images to be, and the layers that make frames and sensor images so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class InputConvention:
    """How the images were that a backbone's public weights were trained on.

    Attributes
    ----------
    order : "rgb" or "bgr"
    scale : float
        The value of white: 255 or 1.
    mean, std : (float, float, float)
        Taken off and divided by, per channel in `order`.
    """

    order: Literal["rgb", "bgr"]
    scale: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


CAFFE = InputConvention("bgr", 255.0, (104.0, 117.0, 128.0), (1.0, 1.0, 1.0))
IMAGENET = InputConvention("rgb", 1.0, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALVES = InputConvention("rgb", 1.0, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))

_EXCEPTIONS = {"bn_inception": CAFFE, "googlenet": HALVES, "inception_v3": HALVES}


def convention_of(backbone: str) -> InputConvention:
    """Return the convention of a backbone; torchvision's own where it is no exception."""
    return _EXCEPTIONS.get(backbone, IMAGENET)


class VideoInput(nn.Module):
    """Frames as the backbone expects them.

    Parameters
    ----------
    convention : InputConvention
    channels : int
        3, or 1: grey frames, for which means and deviations are those of the colours averaged.
    frames : int
        Frames that stand side by side in the channels.

    Raises
    ------
    ValueError
        Another number of channels.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, convention: InputConvention, *, channels: int = 3, frames: int = 1) -> None:
        super().__init__()
        if channels not in (1, 3):
            raise ValueError(f"frames of {channels} channels; expected 1 (grey) or 3 (RGB)")
        self._flips = channels == 3 and convention.order == "bgr"
        self._factor = convention.scale / 255.0
        mean, std = torch.tensor(convention.mean), torch.tensor(convention.std)
        if channels == 1:
            mean, std = mean.mean()[None], std.mean()[None]
        self.register_buffer("mean", mean.repeat(frames)[:, None, None], persistent=False)
        self.register_buffer("std", std.repeat(frames)[:, None, None], persistent=False)

    def forward(self, frames: Tensor) -> Tensor:
        """Return frames, (B, N, H, W, C) uint8 in RGB or grey, as (B, N, C, H, W) float32, C = channels x frames."""
        images = frames.permute(0, 1, 4, 2, 3)
        if self._flips:
            images = images.unflatten(2, (-1, 3)).flip(3).flatten(2, 3)
        return (images.float() * self._factor - self.mean) / self.std


class SensorInput(nn.Module):
    """Sensor images as the backbone expects them: the grey images of equation 5, from black (-1) to white (1).

    Mid-grey is therefore 11.2 for a backbone that takes 0 to 255 less its mean, and 0.23 for one that takes ImageNet's
    normalised colours, as a grey photograph's would be.
    """

    def __init__(self, convention: InputConvention) -> None:
        super().__init__()
        mean, std = sum(convention.mean) / 3, sum(convention.std) / 3
        self._factor = convention.scale / 2 / std
        self._offset = (convention.scale / 2 - mean) / std

    def forward(self, images: Tensor) -> Tensor:
        """Return images, of any shape, in [-1, 1], as the backbone expects grey values."""
        return images * self._factor + self._offset
