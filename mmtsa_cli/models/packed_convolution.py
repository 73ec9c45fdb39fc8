"""Convolutions whose weights lie as the processor's instructions read them, and whose ReLU is part of them.

PyTorch's eager convolution brings its weights into oneDNN's blocked order at every call. For one clip that takes
half as long as the arithmetic, so for inference it is done once, with the operators that PyTorch's own compiler emits.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from mmtsa_cli.models.bn_inception import PooledConvolution, averaged

_RELUS = (functional.relu, torch.relu)


def can_pack(weight: Tensor) -> bool:
    """Say whether such weights can be packed on this machine: float32, or bfloat16 where it is fast, on x86."""
    operators: Any = torch.ops.mkldnn
    known = all(hasattr(operators, name) for name in ("_convolution_pointwise", "_reorder_convolution_weight"))
    if not (known and weight.device.type == "cpu" and torch.backends.mkldnn.is_available()):
        return False
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return False
    return weight.dtype == torch.float32 or (weight.dtype == torch.bfloat16 and operators._is_mkldnn_bf16_supported())


class PackedConvolution(nn.Module):
    """A convolution, and the ReLU behind it where there is one; its answers equal those of the two layers.

    The order of the weights that is fastest depends on the images' shape and on the number of threads, so they are
    packed at the first call and again when one of these changes.

    Parameters
    ----------
    convolution : nn.Conv2d
        With padding by numbers, zeros all round.
    relu : bool
    """

    def __init__(self, convolution: nn.Conv2d, *, relu: bool) -> None:
        super().__init__()
        self.weight, self.bias = convolution.weight, convolution.bias
        padding: Any = convolution.padding
        self._geometry = list(padding), list(convolution.stride), list(convolution.dilation), convolution.groups
        self._behind = "relu" if relu else "none"
        # What it is packed for, and the weights: replaced as one, so that threads always find the two together.
        self._packed: tuple[tuple[Any, ...], Tensor] | None = None

    def forward(self, images: Tensor) -> Tensor:
        """Return (B, out, H', W') for images, (B, C, H, W)."""
        operators: Any = torch.ops.mkldnn
        wanted, packed = (images.shape, torch.get_num_threads()), self._packed
        if packed is None or packed[0] != wanted:
            ordered = operators._reorder_convolution_weight(self.weight.detach(), *self._geometry, list(images.shape))
            packed = self._packed = wanted, ordered
        # The overload by name: looked up at each call it takes a seventh of a small layer.
        convolve = operators._convolution_pointwise.default
        return convolve(images, packed[1], self.bias, *self._geometry, self._behind, [], "")

    def __getstate__(self) -> dict[str, Any]:
        """Leave the packed weights out of copies: they cannot be copied, and are made again at the first call."""
        return {**self.__dict__, "_packed": None}


class PackedPooledConvolution(nn.Module):
    """A convolution with the mean over pixels in it, packed: see `PooledConvolution`."""

    def __init__(self, convolution: PooledConvolution, *, relu: bool) -> None:
        super().__init__()
        self.projection = PackedConvolution(convolution, relu=False)
        self.bias, self.projection.bias = self.projection.bias, None
        self._relu = relu

    def forward(self, images: Tensor) -> Tensor:
        """Return (B, out, H, W) for images, (B, C, H, W)."""
        said = averaged(self.projection(images)).add_(self.bias.view(-1, 1, 1))  # type: ignore[union-attr]
        return said.relu_() if self._relu else said


def pack_convolutions(backbone: fx.GraphModule) -> fx.GraphModule:
    """Replace the convolutions of a graph, and each ReLU that alone follows one, in place; return the graph."""
    modules = dict(backbone.named_modules())
    for node in list(backbone.graph.nodes):
        convolution = modules.get(str(node.target)) if node.op == "call_module" else None
        if not (isinstance(convolution, nn.Conv2d) and is_plain(convolution)):
            continue
        behind = [user for user in node.users if is_relu(user, modules)]
        relu = len(behind) == len(node.users) == 1
        if not is_called_once(node):
            continue
        backbone.set_submodule(str(node.target), _packed(convolution, relu=relu))
        if relu:
            behind[0].replace_all_uses_with(node)
            backbone.graph.erase_node(behind[0])
    backbone.recompile()
    return backbone


def _packed(convolution: nn.Conv2d, *, relu: bool) -> nn.Module:
    if isinstance(convolution, PooledConvolution):
        return PackedPooledConvolution(convolution, relu=relu)
    return PackedConvolution(convolution, relu=relu)


def is_plain(convolution: nn.Conv2d) -> bool:
    """Say whether a convolution pads by numbers, zeros all round."""
    return convolution.padding_mode == "zeros" and not isinstance(convolution.padding, str)


def is_relu(node: fx.Node, modules: Mapping[str, nn.Module]) -> bool:
    """Say whether a node of a graph is a ReLU."""
    if node.op == "call_module":
        return isinstance(modules.get(str(node.target)), nn.ReLU)
    return node.op == "call_function" and node.target in _RELUS


def is_called_once(node: fx.Node) -> bool:
    """Say whether nothing else in the graph calls the layer of a node."""
    return sum(other.op == "call_module" and other.target == node.target for other in node.graph.nodes) == 1
