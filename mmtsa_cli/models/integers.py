"""A backbone in 8-bit integers, for processors that multiply bytes several times as fast as numbers with a fraction.

What passes between layers is bytes, too: a convolution and the ReLU behind it read and write them, and pooling and
concatenation need nothing else. Weights have a scale an output channel, activations one a tensor, from the least and
the largest value that a few clips of training make (Jacob et al., "Quantization and training of neural networks for
efficient integer-arithmetic-only inference", CVPR 2018, without its training). Layers that know no bytes compute in
float32 between a multiplication and a rounding.

The operators are those that PyTorch's own compiler emits for x86 (oneDNN).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from mmtsa_cli.models.bn_inception import PooledConvolution, averaged
from mmtsa_cli.models.packed_convolution import is_called_once, is_plain, is_relu

Range = tuple[float, float]

_HIGHEST, _WEIGHT_HIGHEST = 255, 127
_FEW = 4
"""Channels of an image that is brought into another order by channels."""


@cache
def computes_integers() -> bool:
    """Say whether this machine multiplies bytes without overflow, and has the operators."""
    convolution = nn.Conv2d(64, 8, 3, padding=1)
    with torch.inference_mode():
        convolution.weight.fill_(1.0)
        convolution.bias.zero_()  # type: ignore[union-attr]
        images = torch.full((1, 64, 8, 8), _HIGHEST, dtype=torch.uint8).to(memory_format=torch.channels_last)
        layer = IntegerConvolution(convolution, Scale(1.0), None)
        try:
            said, pooled = layer(images), _max_pool(images, 3, 2, 0, 1, ceil_mode=True)
        except (AttributeError, RuntimeError):
            return False
    # On processors that add pairs of products in 16 bits this overflows.
    exact = functional.conv2d(images.float(), torch.ones_like(convolution.weight), padding=1)
    return torch.allclose(said, exact, rtol=1e-3) and bool((pooled == _HIGHEST).all())


def in_integers(graph: fx.GraphModule, ranges: Mapping[str, Range]) -> fx.GraphModule:
    """Return a backbone that computes its convolutions in 8-bit integers.

    Parameters
    ----------
    graph : fx.GraphModule
        In evaluation, its norms folded.
    ranges : mapping of str to (float, float)
        Of every node, as `Watch` keeps them.
    """
    return _Rewriting(graph, ranges).run()


class Watch(nn.Module):
    """A graph that keeps the extremes of what each of its nodes has said.

    Attributes
    ----------
    ranges : dict of str to (float, float)
        Least and largest value by the node's name, over all that was asked.
    """

    def __init__(self, graph: fx.GraphModule) -> None:
        super().__init__()
        self._graph = graph
        self.ranges: dict[str, Range] = {}

    def forward(self, images: Tensor) -> Tensor:
        """Return what the graph does."""
        return _Interpreter(self._graph, self.ranges).run(images)


class _Interpreter(fx.Interpreter):
    def __init__(self, graph: fx.GraphModule, ranges: dict[str, Range]) -> None:
        super().__init__(graph)
        self._ranges = ranges

    def run_node(self, n: fx.Node) -> Any:
        said = super().run_node(n)
        if isinstance(said, Tensor) and said.is_floating_point() and said.numel():
            low, high = map(float, torch.aminmax(said))
            before = self._ranges.get(n.name, (math.inf, -math.inf))
            self._ranges[n.name] = min(before[0], low), max(before[1], high)
        return said


@dataclass(frozen=True)
class Scale:
    """What a byte stands for: (byte - `zero`) * `step`."""

    step: float
    zero: int = 0

    @classmethod
    def of(cls, low: float, high: float) -> Scale:
        """Return the scale by which bytes reach from `low` to `high`, and 0 is one of them."""
        low, high = min(low, 0.0), max(high, 0.0)
        step = max((high - low) / _HIGHEST, 1e-12)
        return cls(step, min(round(-low / step), _HIGHEST))


class ToBytes(nn.Module):
    """Numbers to bytes: rounded, and cut where they exceed what the scale reaches."""

    def __init__(self, scale: Scale) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        """Return uint8 of the same shape, channels last."""
        scaled = x.float() * (1 / self.scale.step)
        if self.scale.zero:
            scaled += self.scale.zero
        scaled.round_().clamp_(0, _HIGHEST)
        if scaled.shape[1] > _FEW or scaled.is_contiguous(memory_format=torch.channels_last):
            return scaled.to(torch.uint8, memory_format=torch.channels_last)
        # Channel by channel: one pass that turns an image round takes half again as long.
        said = torch.empty_like(scaled, dtype=torch.uint8, memory_format=torch.channels_last)
        for channel in range(said.shape[1]):
            said[:, channel].copy_(scaled[:, channel])
        return said


class FromBytes(nn.Module):
    """Bytes to numbers."""

    def __init__(self, scale: Scale) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        """Return float32 of the same shape."""
        said = x.float()
        if self.scale.zero:
            said -= self.scale.zero
        return said.mul_(self.scale.step)


class IntegerConvolution(nn.Module):
    """A convolution of bytes by bytes.

    Parameters
    ----------
    convolution : nn.Conv2d
        With padding by numbers, zeros all round.
    taken : Scale
        Of the images.
    given : Scale or None
        Of the bytes that it says; they begin at 0 and cut off what is below: the ReLU behind it. None: float32.
    """

    steps: Tensor

    def __init__(self, convolution: nn.Conv2d, taken: Scale, given: Scale | None) -> None:
        super().__init__()
        self.taken, self.given = taken, given
        padding: Any = convolution.padding
        self._geometry = list(convolution.stride), list(padding), list(convolution.dilation), convolution.groups
        weight = convolution.weight.detach().float()
        steps = (weight.abs().amax(dim=(1, 2, 3)) / _WEIGHT_HIGHEST).clamp(min=1e-12)
        self.register_buffer("weight", (weight / steps[:, None, None, None]).round().to(torch.int8))
        self.register_buffer("steps", steps)
        self.register_buffer("zeros", torch.zeros(len(steps), dtype=torch.long))
        self.bias = None if convolution.bias is None else nn.Parameter(convolution.bias.detach().float(), False)
        # What it is packed for, and the weights: replaced as one, so that threads always find the two together.
        self._packed: tuple[tuple[Any, ...], Tensor] | None = None

    def forward(self, images: Tensor) -> Tensor:
        """Return (B, out, H', W'), uint8 or float32, for images, (B, C, H, W) uint8."""
        operators: Any = torch.ops.onednn
        wanted, packed = (images.shape, torch.get_num_threads()), self._packed
        if packed is None or packed[0] != wanted:
            ordered = operators.qconv_prepack(
                self.weight, self.steps, self.taken.step, self.taken.zero, *self._geometry, list(images.shape)
            )
            packed = self._packed = wanted, ordered
        out = (1.0, 0, torch.float32) if self.given is None else (self.given.step, 0, torch.uint8)
        return operators.qconv2d_pointwise.default(
            images, self.taken.step, self.taken.zero, packed[1], self.steps, self.zeros, self.bias, *self._geometry,
            *out, "none", [], "",
        )  # fmt: skip

    def __getstate__(self) -> dict[str, Any]:
        """Leave the packed weights out of copies: they cannot be copied, and are made again at the first call."""
        return {**self.__dict__, "_packed": None}


class IntegerPooledConvolution(nn.Module):
    """A convolution with the mean over pixels in it, of bytes: see `PooledConvolution`."""

    bias: Tensor

    def __init__(self, convolution: PooledConvolution, taken: Scale, given: Scale | None) -> None:
        super().__init__()
        self.projection = IntegerConvolution(convolution, taken, None)
        bias, self.projection.bias = self.projection.bias, None
        # In steps of what it says, and half of one more, so that to cut the rest off is all that is left to do.
        step, more = (1.0, 0.0) if given is None else (given.step, 0.5)
        self.projection.steps = self.projection.steps / step
        self.register_buffer("bias", bias.view(-1, 1, 1) / step + more)  # type: ignore[union-attr]
        self._gives_bytes = given is not None

    def forward(self, images: Tensor) -> Tensor:
        """Return (B, out, H, W), uint8 or float32, for images, (B, C, H, W) uint8."""
        said = averaged(self.projection(images)).add_(self.bias)
        return said.clamp_(0, _HIGHEST).to(torch.uint8) if self._gives_bytes else said


def _max_pool(
    x: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor:
    """Return the largest bytes of each window; parameters as those of `functional.max_pool2d`."""
    assert not return_indices
    pool: Any = torch.ops.quantized.max_pool2d
    sizes = (_pair(kernel_size), _pair(kernel_size if stride is None else stride), _pair(padding), _pair(dilation))
    return pool(x, *sizes, ceil_mode)


def _pair(size: Any) -> list[int]:
    return [size, size] if isinstance(size, int) else list(size)


_POOLS: tuple[Any, ...] = (functional.max_pool2d, torch.max_pool2d)
_PASSING: tuple[Any, ...] = (*_POOLS, functional.pad, torch.cat)
"""What gives bytes where it is given bytes, all of one scale; padding is with zeros, which all bytes here begin at."""


class _Rewriting:
    """One graph, and the one that is made of it."""

    def __init__(self, graph: fx.GraphModule, ranges: Mapping[str, Range]) -> None:
        self._graph, self._ranges = graph, ranges
        self._modules = dict(graph.named_modules())
        self._fused = {node for node in graph.graph.nodes if self._is_fused(node)}
        self._scales = self._find_scales()
        self._new_modules: dict[str, nn.Module] = dict(self._modules)
        self._made = fx.Graph()
        # What each node has become, and the scale of its bytes; None where it gives numbers.
        self._now: dict[fx.Node, tuple[fx.Node, Scale | None]] = {}
        self._as_bytes: dict[fx.Node, tuple[fx.Node, Scale]] = {}

    def run(self) -> fx.GraphModule:
        """Return the new graph."""
        for node in self._graph.graph.nodes:
            self._now[node] = self._change(node)
        made = fx.GraphModule(self._new_modules, self._made, self._graph._get_name())
        return made.eval()

    def _find_scales(self) -> dict[fx.Node, Scale]:
        """Return the scale of each node that gives bytes; those that come together have one."""
        together: dict[fx.Node, list[fx.Node]] = {}
        for node in self._graph.graph.nodes:
            if node in self._fused:
                together[node] = [node]
            elif self._passes(node) and all(source in together for source in node.all_input_nodes):
                groups = {id(together[source]): together[source] for source in node.all_input_nodes}
                joined = [node, *(member for group in groups.values() for member in group)]
                together.update(dict.fromkeys(joined, joined))
        return {
            node: Scale.of(0.0, max(self._ranges[member.name][1] for member in group))
            for node, group in together.items()
        }

    def _passes(self, node: fx.Node) -> bool:
        padded = node.kwargs.get("value") or node.kwargs.get("mode", "constant") != "constant" or len(node.args) > 2
        return node.op == "call_function" and node.target in _PASSING and not (node.target is functional.pad and padded)

    def _is_fused(self, node: fx.Node) -> bool:
        """Say whether a node is a ReLU that is part of the convolution before it."""
        before = node.args[0] if is_relu(node, self._modules) else None
        return isinstance(before, fx.Node) and self._layer(before) is not None and len(before.users) == 1

    def _layer(self, node: fx.Node) -> nn.Conv2d | None:
        layer = self._modules.get(str(node.target)) if node.op == "call_module" else None
        return layer if isinstance(layer, nn.Conv2d) and is_plain(layer) and is_called_once(node) else None

    def _change(self, node: fx.Node) -> tuple[fx.Node, Scale | None]:
        if (layer := self._layer(node)) is not None:
            return self._convolution(node, layer)
        if node in self._fused:
            return self._now[node.all_input_nodes[0]]
        if node in self._scales:
            copied = self._made.node_copy(node, lambda source: self._now[source][0])
            if node.target in _POOLS:
                copied.target = _max_pool
            return copied, self._scales[node]
        return self._made.node_copy(node, self._numbers), None

    def _convolution(self, node: fx.Node, layer: nn.Conv2d) -> tuple[fx.Node, Scale | None]:
        source, taken = self._bytes(node.all_input_nodes[0])
        fused = self._fused & set(node.users)
        given = self._scales[next(iter(fused))] if fused else None
        form = IntegerPooledConvolution if isinstance(layer, PooledConvolution) else IntegerConvolution
        name = str(node.target)
        self._new_modules[name] = form(layer, taken, given)  # type: ignore[arg-type]
        return self._made.call_module(name, (source,)), given

    def _bytes(self, node: fx.Node) -> tuple[fx.Node, Scale]:
        now, scale = self._now[node]
        if scale is not None:
            return now, scale
        if node not in self._as_bytes:
            scale = Scale.of(*self._ranges[node.name])
            self._as_bytes[node] = self._inserted(f"{node.name}_to_bytes", ToBytes(scale), now), scale
        return self._as_bytes[node]

    def _numbers(self, node: fx.Node) -> fx.Node:
        now, scale = self._now[node]
        return now if scale is None else self._inserted(f"{node.name}_from_bytes", FromBytes(scale), now)

    def _inserted(self, name: str, layer: nn.Module, source: fx.Node) -> fx.Node:
        self._new_modules[name] = layer
        return self._made.call_module(name, (source,))
