"""BN-Inception: Ioffe and Szegedy, "Batch normalization: accelerating deep network training by reducing internal
covariate shift", ICML 2015, as action recognition has used it since temporal segment networks (Wang et al. 2016).

Layers have the names of the public Caffe port, so that its ImageNet weights load. That port takes BGR images, 0 to 255
less the means (104, 117, 128).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class _Block:
    """Channels of one inception block: branches 1x1, 3x3 (reduce, out), double 3x3 (reduce, out), pool projection.

    Without 1x1 and projection the block halves the image: its convolutions have stride 2, its pool passes through.
    """

    name: str
    one: int
    three: tuple[int, int]
    double: tuple[int, int]
    projection: int
    max_pool: bool = False

    @property
    def halves(self) -> bool:
        return not self.one


_BLOCKS = (
    _Block("3a", 64, (64, 64), (64, 96), 32),
    _Block("3b", 64, (64, 96), (64, 96), 64),
    _Block("3c", 0, (128, 160), (64, 96), 0),
    _Block("4a", 224, (64, 96), (96, 128), 128),
    _Block("4b", 192, (96, 128), (96, 128), 128),
    _Block("4c", 160, (128, 160), (128, 160), 128),
    _Block("4d", 96, (128, 192), (160, 192), 128),
    _Block("4e", 0, (128, 192), (192, 256), 0),
    _Block("5a", 352, (192, 320), (160, 224), 128),
    _Block("5b", 352, (192, 320), (192, 224), 128, max_pool=True),
)


class PooledConvolution(nn.Conv2d):
    """The mean over 3 x 3 pixels (zeros all round) and then a convolution of 1 x 1, computed in the other order.

    Both are linear, so they commute but for the bias, which comes last. A projection has a quarter of the channels of
    what it projects: there is as much less to average.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, out, H, W) for (B, in, H, W)."""
        return averaged(functional.conv2d(x, self.weight)) + self.bias.view(-1, 1, 1)  # type: ignore[union-attr]


def averaged(x: Tensor) -> Tensor:
    """Return the mean over 3 x 3 pixels round each, those beyond the edge counted as zeros."""
    return functional.avg_pool2d(x, 3, stride=1, padding=1)


class BNInception(nn.Module):
    """The network up to its features; it has no classifier.

    Parameters
    ----------
    in_channels : int
    width : float
        Every layer's channels are multiplied by it (to multiples of 8, at least 8), for small data.

    Attributes
    ----------
    features : int
        D; 1024 at width 1.
    """

    def __init__(self, in_channels: int = 3, width: float = 1.0) -> None:
        super().__init__()
        self._width = width
        stem = self._scaled(64)
        self._add("conv1_7x7_s2", in_channels, stem, 7, stride=2)
        self._add("conv2_3x3_reduce", stem, stem, 1)
        self._add("conv2_3x3", stem, self._scaled(192), 3)
        channels = self._scaled(192)
        for block in _BLOCKS:
            channels = self._add_block(block, channels)
        self.features = channels
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]

    def forward(self, images: Tensor) -> Tensor:
        """Return the features of images.

        Parameters
        ----------
        images : (B, C, H, W) tensor
            At least 32 x 32 pixels.

        Returns
        -------
        (B, D) tensor
        """
        x = self._unit("conv1_7x7_s2", images)
        x = functional.max_pool2d(x, 3, stride=2, ceil_mode=True)
        x = self._unit("conv2_3x3", self._unit("conv2_3x3_reduce", x))
        x = functional.max_pool2d(x, 3, stride=2, ceil_mode=True)
        for block in _BLOCKS:
            x = self._block(block, x)
        return x.mean(dim=(2, 3))

    def _block(self, block: _Block, x: Tensor) -> Tensor:
        prefix = f"inception_{block.name}"
        three = self._chain(x, f"{prefix}_3x3_reduce", f"{prefix}_3x3")
        double = self._chain(x, f"{prefix}_double_3x3_reduce", f"{prefix}_double_3x3_1", f"{prefix}_double_3x3_2")
        if block.halves:
            return torch.cat([three, double, _halving_pool(x)], dim=1)
        # The mean is part of its projection.
        pooled = functional.max_pool2d(x, 3, stride=1, padding=1) if block.max_pool else x
        one, projection = self._unit(f"{prefix}_1x1", x), self._unit(f"{prefix}_pool_proj", pooled)
        return torch.cat([one, three, double, projection], dim=1)

    def _chain(self, x: Tensor, *names: str) -> Tensor:
        for name in names:
            x = self._unit(name, x)
        return x

    def _unit(self, name: str, x: Tensor) -> Tensor:
        return functional.relu(getattr(self, f"{name}_bn")(getattr(self, name)(x)), inplace=True)

    def _add_block(self, block: _Block, channels: int) -> int:
        """Add the layers of a block and return the channels that come out of it."""
        prefix, stride = f"inception_{block.name}", 2 if block.halves else 1
        (three_in, three), (double_in, double) = map(self._scaled, block.three), map(self._scaled, block.double)
        if not block.halves:
            self._add(f"{prefix}_1x1", channels, self._scaled(block.one), 1)
        self._add(f"{prefix}_3x3_reduce", channels, three_in, 1)
        self._add(f"{prefix}_3x3", three_in, three, 3, stride=stride)
        self._add(f"{prefix}_double_3x3_reduce", channels, double_in, 1)
        self._add(f"{prefix}_double_3x3_1", double_in, double, 3)
        self._add(f"{prefix}_double_3x3_2", double, double, 3, stride=stride)
        if block.halves:
            return three + double + channels
        layer = nn.Conv2d if block.max_pool else PooledConvolution
        self._add(f"{prefix}_pool_proj", channels, self._scaled(block.projection), 1, layer=layer)
        return self._scaled(block.one) + three + double + self._scaled(block.projection)

    def _add(
        self, name: str, channels: int, out: int, size: int, *, stride: int = 1, layer: type[nn.Conv2d] = nn.Conv2d
    ) -> None:
        # The port's convolutions have biases, although the normalisation that follows takes them out again.
        self.add_module(name, layer(channels, out, size, stride=stride, padding=size // 2))
        # Caffe's moving average keeps 0.9 of the old value: momentum 0.1 in torch's sense.
        self.add_module(f"{name}_bn", nn.BatchNorm2d(out, eps=1e-5, momentum=0.1))

    def _scaled(self, channels: int) -> int:
        return max(8, round(channels * self._width / 8) * 8)


def _halving_pool(x: Tensor) -> Tensor:
    """Pool 3 x 3 with stride 2 to the size that a convolution with stride 2 gives.

    On even sizes this is the port's pool (`ceil_mode`), the only ones that 224 pixels lead to; on odd ones that is a
    row and a column short. The zeros change nothing: what comes in has passed a ReLU.
    """
    return functional.max_pool2d(functional.pad(x, (0, 2, 0, 2)), 3, stride=2)


def bn_inception(in_channels: int = 3, width: float = 1.0) -> BNInception:
    """Return BN-Inception without its classifier; 10.27 M parameters at width 1."""
    return BNInception(in_channels, width)
