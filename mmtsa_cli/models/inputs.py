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
        turns = channels == 3 and convention.order == "bgr"
        # What stands first in the result; empty: as it comes.
        self._order = [3 * frame + colour for frame in range(frames) for colour in (2, 1, 0)] if turns else []
        mean, std = torch.tensor(convention.mean), torch.tensor(convention.std)
        if channels == 1:
            mean, std = mean.mean()[None], std.mean()[None]
        self._factor = convention.scale / 255.0
        self._deviates = any(value != 1 for value in convention.std)
        self.register_buffer("mean", mean.repeat(frames), persistent=False)
        self.register_buffer("std", std.repeat(frames), persistent=False)

    def forward(self, frames: Tensor) -> Tensor:
        """Return frames, (B, N, H, W, C) uint8 in RGB or grey, as (B, N, C, H, W) float32, C = channels x frames."""
        width, channels = frames.shape[-2:]
        if self._order:
            # Four times as fast as `flip`, which turns round three bytes at a time.
            frames = torch.cat([frames[..., channel : channel + 1] for channel in self._order], dim=-1)
        # By rows: three numbers are too few for a pass over them to be quick.
        rows = frames.flatten(-2).to(torch.float32, copy=True)
        if self._factor != 1:
            rows *= self._factor
        rows -= self.mean.repeat(width)
        if self._deviates:
            rows /= self.std.repeat(width)
        return rows.unflatten(-1, (width, channels)).permute(0, 1, 4, 2, 3)


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
        return (images * self._factor).add_(self._offset)
