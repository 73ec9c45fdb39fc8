"""A trained network made ready to be asked: batch norm folded into convolutions, weights in the format that is fastest.

Batch norm in evaluation is an affine map of each channel by numbers that are known, so it disappears into the weights
of the convolution before it: the same function to rounding, with a pass over memory less a layer.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from mmtsa_cli.models.integers import Range, Watch, in_integers
from mmtsa_cli.models.packed_convolution import can_pack, pack_convolutions

Precision = Literal["float32", "bfloat16"]


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute with one thread.

    A segment of a small network is too little work for several, which wait for one another: beside other work on the
    machine that costs many times what it may gain (tests/benchmarks/stream_hop.py measures it).
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class ReducedPrecision(nn.Module):
    """A backbone whose weights and activations are bfloat16, between float32 images and float32 features.

    Weights are converted once, where autocast converts them at each call.

    Parameters
    ----------
    backbone : nn.Module
        (B, C, H, W) to (B, D).
    """

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone.to(torch.bfloat16)

    def forward(self, images: Tensor) -> Tensor:
        """Return the features, (B, D) float32, of images, (B, C, H, W)."""
        # In two steps: the one that does both reads number by number.
        images = images.to(torch.bfloat16).contiguous(memory_format=torch.channels_last)
        return self.backbone(images).float()


def ready_for_inference(network: nn.Module, *, precision: Precision = "float32", packed: bool = True) -> nn.Module:
    """Return a copy of a network that answers the same, faster; the network itself stays as it is.

    Every backbone (a module that another one holds as `backbone`) loses its batch norms, and computes channels-last, in
    `precision`; what stands round it (fields, attention, classifier) stays float32. A backbone whose computation is not
    a fixed graph keeps its norms and is not packed.

    Parameters
    ----------
    network : nn.Module
        In evaluation its answers differ from the copy's by rounding: relative to the largest logit by less than 1e-4
        in float32; in bfloat16 by as much as under autocast (BN-Inception's features by 0.025 of what they differ by
        between clips, root of the mean square), which moves probabilities of a trained network by less than 0.02.
    precision : "float32" or "bfloat16"
    packed : bool
        Bring the convolutions' weights into the processor's own order once, where this machine can; the answers are
        the same.

    Returns
    -------
    nn.Module
        In evaluation mode, without gradients.
    """
    return _with_backbones(network, lambda name, backbone: _fast(backbone, precision, packed=packed))


def ready_in_integers(network: nn.Module, ranges: Mapping[str, Mapping[str, Range]]) -> nn.Module:
    """Return a copy of a network whose backbones compute in 8-bit integers; the network itself stays as it is.

    Parameters
    ----------
    network : nn.Module
    ranges : mapping
        Of `activation_ranges`, of the same network.

    Returns
    -------
    nn.Module
        In evaluation mode, without gradients. Its answers are near the network's, and no bound is known beforehand.

    Raises
    ------
    KeyError
        Ranges of another network.
    """

    def change(name: str, backbone: nn.Module) -> nn.Module:
        graph = fold_norms(backbone)
        assert isinstance(graph, fx.GraphModule)
        return in_integers(graph.to(memory_format=torch.channels_last), ranges[name])

    return _with_backbones(network, change)


def activation_ranges(
    network: nn.Module, batches: Iterable[Mapping[str, Tensor]]
) -> dict[str, dict[str, Range]] | None:
    """Return the least and the largest value of all that backbones compute of some clips, by backbone and node.

    Parameters
    ----------
    network : nn.Module
    batches : iterable of mappings of str to tensor
        What the network takes.

    Returns
    -------
    dict, or None
        None where a backbone's computation cannot be written down as a graph, or nothing in it is one.
    """
    watches: dict[str, Watch] = {}
    unknown = []

    def change(name: str, backbone: nn.Module) -> nn.Module:
        graph = fold_norms(backbone)
        if not isinstance(graph, fx.GraphModule):
            unknown.append(name)
            return backbone
        watches[name] = Watch(graph.to(memory_format=torch.channels_last))
        return watches[name]

    watched = _with_backbones(network, change)
    if unknown or not watches:
        return None
    with torch.inference_mode():
        for tensors in batches:
            watched(tensors)
    return {name: watch.ranges for name, watch in watches.items()}


def _with_backbones(network: nn.Module, change: Callable[[str, nn.Module], nn.Module]) -> nn.Module:
    """Return a copy in evaluation, without gradients, each backbone replaced; `change` gets its name, too."""
    ready = copy.deepcopy(network).eval().requires_grad_(False)
    made: dict[int, nn.Module] = {}
    for name, holder in list(ready.named_modules()):
        backbone = holder._modules.get("backbone")
        if backbone is None or isinstance(holder, ReducedPrecision):
            continue
        # Encoders that share a backbone go on sharing it.
        if id(backbone) not in made:
            made[id(backbone)] = change(name, backbone)
        holder.backbone = made[id(backbone)]
    for module in ready.modules():
        if hasattr(module, "side_by_side"):
            module.side_by_side = next(module.parameters()).device.type == "cpu"  # type: ignore[assignment]
    return ready


def fold_norms(backbone: nn.Module) -> nn.Module:
    """Return a backbone in evaluation with each batch norm that follows a convolution folded into it.

    Returns
    -------
    nn.Module
        The backbone itself where its computation cannot be written down as a graph.
    """
    try:
        graph = fx.GraphModule(backbone, _Layers().trace(backbone), type(backbone).__name__)
    # Whatever a module's own code raises when it is run on symbols: it then depends on values.
    except Exception:  # noqa: BLE001
        return backbone
    modules = dict(graph.named_modules())
    for node in list(graph.graph.nodes):
        pair = _convolution_and_norm(node, modules)
        if pair is None:
            continue
        before = node.args[0]
        _replace(graph, before.target, fuse_conv_bn_eval(*pair))
        node.replace_all_uses_with(before)
        graph.graph.erase_node(node)
    graph.delete_all_unused_submodules()
    graph.recompile()
    # The modules that only hold others are new.
    return graph.train(backbone.training)


class _Layers(fx.Tracer):
    """Leaves convolutions whole, those of our own, too."""

    def is_leaf_module(self, module: nn.Module, name: str) -> bool:
        """Say whether a module is one node of the graph."""
        return isinstance(module, nn.Conv2d) or super().is_leaf_module(module, name)


def _fast(backbone: nn.Module, precision: Precision, *, packed: bool) -> nn.Module:
    folded = fold_norms(backbone).to(memory_format=torch.channels_last)
    fast = ReducedPrecision(folded) if precision == "bfloat16" else folded
    if packed and isinstance(folded, fx.GraphModule) and can_pack(next(folded.parameters())):
        pack_convolutions(folded)
    return fast


def _convolution_and_norm(node: fx.Node, modules: dict[str, nn.Module]) -> tuple[nn.Conv2d, nn.BatchNorm2d] | None:
    """Return the layers of a norm and of the convolution before it, where nothing else uses what that one says."""
    norm = modules.get(str(node.target)) if node.op == "call_module" else None
    before: Any = node.args[0] if node.args else None
    if not (isinstance(norm, nn.BatchNorm2d) and norm.running_mean is not None and isinstance(before, fx.Node)):
        return None
    convolution = modules.get(str(before.target)) if before.op == "call_module" else None
    if not isinstance(convolution, nn.Conv2d) or len(before.users) > 1:
        return None
    # A layer that is called twice has another norm behind it the second time.
    called = sum(other.op == "call_module" and other.target == before.target for other in node.graph.nodes)
    return (convolution, norm) if called == 1 else None


def _replace(graph: fx.GraphModule, name: str, layer: nn.Module) -> None:
    parent, _, attribute = name.rpartition(".")
    setattr(graph.get_submodule(parent), attribute, layer)


class GroupedSensors(nn.Module):
    """A network whose sensors with images of one shape are encoded by one call: their convolutions as groups of one.

    The answer is the same; whether it comes sooner depends on the machine, so it is measured (`mmtsa benchmark --speed
    --explain`) and not taken for granted.

    Parameters
    ----------
    network : SegmentNetwork
        Ready for inference.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network: Any = network
        self._stacked: dict[tuple[str, ...], Any] = {}

    def forward(self, inputs: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Return logits and attention, as the network does; all its modalities are needed."""
        encoders = dict(zip(self.network.modalities, self.network.encoders.values(), strict=True))
        features: dict[str, Tensor] = {}
        images: dict[tuple[int, ...], dict[str, Tensor]] = {}
        for name, encoder in encoders.items():
            extremes = inputs.get(f"{name}.extremes")
            if hasattr(encoder, "pictures"):
                shown = encoder.pictures(inputs[name], extremes)
                images.setdefault(tuple(shown.shape), {})[name] = shown
            else:
                features[name] = encoder(inputs[name], extremes)
        for shape, group in images.items():
            said = self._in_one_call({name: encoders[name].backbone for name in group}, list(group.values()))
            for name, one in zip(group, said, strict=True):
                features[name] = encoders[name].with_level(one.reshape(*shape[:2], -1), inputs[name])
        return self.network.classify([features[name] for name in encoders], features)

    def _in_one_call(self, backbones: Mapping[str, nn.Module], images: Sequence[Tensor]) -> Sequence[Tensor]:
        """Return what each backbone says of its images, (B, N, C, H, W) each, all of one shape."""
        flat = torch.stack([shown.flatten(0, 1) for shown in images])
        first = next(iter(backbones.values()))
        if len(backbones) == 1:
            return [first(flat[0])]
        reduced, names = isinstance(first, ReducedPrecision), tuple(backbones)
        if names not in self._stacked:
            # The weights of all, one over the other; the function comes from one that has none.
            inner: list[Any] = [one.backbone if reduced else one for one in backbones.values()]
            like = copy.deepcopy(inner[0]).to("meta")
            states = [backbone.state_dict() for backbone in inner]
            self._stacked[names] = {key: torch.stack([state[key] for state in states]) for key in states[0]}, like
        weights, like = self._stacked[names]

        def one(own: Any, shown: Tensor) -> Tensor:
            return torch.func.functional_call(like, own, (shown,))

        return torch.vmap(one)(weights, flat.to(torch.bfloat16) if reduced else flat).float().unbind()
