"""A small residual network for small images and small data: ResNet-10 after He et al. (2016), at any width.

One basic block a stage instead of two, and a first layer that halves the image once instead of twice: sensor images
are 30 to 100 pixels wide, not 224. At width 0.25 it has 0.31 M parameters and 1 % of BN-Inception's arithmetic.
"""

from __future__ import annotations

import math
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional

Norm = Literal["batch", "group"]
_CHANNELS = (64, 128, 256, 512)
_GROUPS = 8
_CHANNELS_AT_ONCE = 16


def normalisation(norm: Norm, channels: int) -> nn.Module:
    """Return batch norm, or group norm (Wu and He, 2018), of 8 groups where channels divide so: it knows no batch."""
    if norm == "batch":
        return nn.BatchNorm2d(channels)
    return nn.GroupNorm(math.gcd(_GROUPS, channels), channels)


class _EveryOther(nn.Conv2d):
    """A convolution of 1 x 1 with a stride: of the pixels that it looks at, without one.

    The same numbers, for numbers of channels that do not fill AVX-512's registers: with those, oneDNN's gradient of a
    strided one reads beyond its images and may end the process (8 channels of 50 x 50 pixels, PyTorch 2.14).
    """

    def forward(self, images: Tensor) -> Tensor:
        """Return (B, out, ceil(H / stride), ceil(W / stride))."""
        down, across = self.stride
        return functional.conv2d(images[:, :, ::down, ::across], self.weight, self.bias)


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut, (B, in, H, W) to (B, out, H / stride, W / stride)."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, norm: Norm = "batch") -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False)
        self.bn1 = normalisation(norm, out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.bn2 = normalisation(norm, out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            layer = nn.Conv2d if in_channels % _CHANNELS_AT_ONCE == 0 else _EveryOther
            self.shortcut = nn.Sequential(
                layer(in_channels, out_channels, 1, stride=stride, bias=False), normalisation(norm, out_channels)
            )

    def forward(self, images: Tensor) -> Tensor:
        """Return the block's output."""
        inner = self.relu(self.bn1(self.conv1(images)))
        return self.relu(self.bn2(self.conv2(inner)) + self.shortcut(images))


class ResNet10(nn.Module):
    """Images to features, (B, C, H, W) to (B, D), D = 512 x width.

    Parameters
    ----------
    in_channels : int
        C.
    width : float
        Multiplies the channels 64, 128, 256, 512 of its stages.
    norm : "batch" or "group"
    """

    def __init__(self, in_channels: int = 3, width: float = 1.0, norm: Norm = "batch") -> None:
        super().__init__()
        widths = [max(8, round(channels * width)) for channels in _CHANNELS]
        self.features = widths[-1]
        self.conv1 = nn.Conv2d(in_channels, widths[0], 3, stride=2, padding=1, bias=False)
        self.bn1 = normalisation(norm, widths[0])
        self.relu = nn.ReLU(inplace=True)
        before = [widths[0], *widths[:-1]]
        stages = zip(before, widths, (1, 2, 2, 2), strict=True)
        self.stages = nn.Sequential(*(BasicBlock(first, last, stride, norm) for first, last, stride in stages))
        self.pool = nn.AdaptiveAvgPool2d(1)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        """Return the features of images."""
        return self.pool(self.stages(self.relu(self.bn1(self.conv1(images))))).flatten(1)
