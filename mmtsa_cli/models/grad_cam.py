"""Grad-CAM: which places of a frame or a field spoke for a class.

Selvaraju, Cogswell, Das, Vedantam, Parikh, Batra, "Grad-CAM: visual explanations from deep networks via gradient-based
localization", ICCV 2017: of the maps A^k of a layer, a = ReLU(sum_k w_k A^k), w_k the mean over places of the gradient
of the class's score (before the softmax) with respect to A^k.

The paper takes the last layer, 7 x 7 places of an image of 224 pixels. Of a field of 32 pixels the last layer of a
residual network has 2 x 2, which says no more than which half of a window it was. So the layer is the last one that
has at least 7 x 7 places, and that all of the features pass through.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from mmtsa_cli.models.network import SegmentNetwork

_PLACES = 7


def grad_cam(network: SegmentNetwork, inputs: Mapping[str, Tensor], target: int) -> dict[str, Tensor]:
    """Return a map of every frame and every field, with what each place of it adds to the score of a class.

    Parameters
    ----------
    network : SegmentNetwork
        In evaluation mode. What reaches its features beside the backbone (the level of a window) is in no map.
    inputs : mapping of str to tensor
        As of `SegmentNetwork.forward`.
    target : int
        The class.

    Returns
    -------
    mapping of str to (B, N, h, w) float32 tensor
        Per modality of the inputs; at least 0. The sum of a map is what its segment adds to the score, to first order
        and of what speaks for the class alone: so maps of two modalities compare.
    """
    encoders = dict(zip(network.modalities, network.encoders.values(), strict=True))
    runs = network.runs([name for name in network.modalities if name in inputs])
    # Sensors that share a backbone go through it in one run, one after the other.
    traces = [_Trace(encoders[names[0]].get_submodule("backbone")) for names in runs]
    with torch.enable_grad(), ExitStack() as stack:
        for trace in traces:
            stack.enter_context(trace)
        logits, _ = network(inputs)
        score = logits[:, target].sum()
    layers = [trace.layer() for trace in traces]
    gradients = torch.autograd.grad(score, layers, allow_unused=True)
    maps = [_weighed(layer.detach(), gradient) for layer, gradient in zip(layers, gradients, strict=True)]
    clips = len(logits)
    found: dict[str, Tensor] = {}
    for names, one in zip(runs, maps, strict=True):
        found.update(zip(names, one.reshape(len(names), clips, -1, *one.shape[1:]), strict=True))
    return {name: found[name] for name in encoders if name in found}


def _weighed(layer: Tensor, gradient: Tensor | None) -> Tensor:
    """Return the map of each image, (B, h, w); 0 where the score does not depend on the layer."""
    if gradient is None:
        return layer.new_zeros(len(layer), *layer.shape[2:]).float()
    weights = gradient.float().mean(dim=(2, 3), keepdim=True)
    return (weights * layer.float()).sum(dim=1).relu()


def time_importance(maps: Tensor, samples: int) -> Tensor:
    """Map what the places of fields add to a score back to the samples of their windows.

    A pixel (i, j) of a field is made of samples i and j: half of it is given to each, so that a pixel of the diagonal
    goes to its own sample whole. Of a map L that is T_i = sum_j (L_ij + L_ji) / 2, enlarged to the window linearly.

    Parameters
    ----------
    maps : (..., h, h) tensor, at least 0
    samples : int
        K.

    Returns
    -------
    (..., K) tensor, at least 0
        Its sum is that of the map.
    """
    total = maps.sum(dim=(-2, -1))[..., None]
    shares = (maps.sum(dim=-1) + maps.sum(dim=-2)) / 2
    flat = shares.reshape(-1, 1, shares.shape[-1])
    enlarged = torch.nn.functional.interpolate(flat, size=samples, mode="linear", align_corners=False)
    enlarged = enlarged.reshape(*shares.shape[:-1], samples)
    # Enlarging by no whole number changes the sum a little.
    return enlarged * (total / enlarged.sum(dim=-1, keepdim=True).clamp(min=torch.finfo(maps.dtype).tiny))


# The layer


class _Trace(TorchFunctionMode):
    """Notes the maps that a backbone makes of its images, while the network runs within it as a context."""

    def __init__(self, backbone: torch.nn.Module) -> None:
        super().__init__()
        self._backbone = backbone
        self._running = False
        self._images: Tensor
        self._maps: list[Tensor] = []
        self._hooks: list[Any] = []

    def __enter__(self) -> _Trace:
        self._hooks = [
            self._backbone.register_forward_pre_hook(self._begin),
            self._backbone.register_forward_hook(self._end),
        ]
        super().__enter__()
        return self

    def __exit__(self, *exception: Any) -> None:
        super().__exit__(*exception)
        for hook in self._hooks:
            hook.remove()

    def _begin(self, module: torch.nn.Module, arguments: Any) -> tuple[Tensor]:
        # Where the search for the layer ends, and the network's graph begins.
        self._images = arguments[0].detach().requires_grad_()
        self._running = True
        return (self._images,)

    def _end(self, module: torch.nn.Module, arguments: Any, features: Tensor) -> None:
        self._running = False
        self._features = features

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if self._running and isinstance(result, Tensor) and result.ndim == 4 and result.grad_fn is not None:
            self._maps.append(result)
        return result

    def layer(self) -> Tensor:
        """Return the last map of at least 7 x 7 places that all features pass through, else the finest one."""
        finest = self._images
        for found in reversed(_distinct(self._maps)):
            # Images are square: what is not has its channels last.
            side = found.shape[-1]
            if side != found.shape[-2] or not _is_passed_by_all(found, self._features, self._images):
                continue
            if side >= _PLACES:
                return found
            if finest is self._images or side > finest.shape[-1]:
                finest = found
        return finest


def _distinct(maps: Sequence[Tensor]) -> list[Tensor]:
    """Return the maps without those that a later step made anew in their place."""
    return list({map_.grad_fn: map_ for map_ in maps}.values())


def _is_passed_by_all(layer: Tensor, features: Tensor, images: Tensor) -> bool:
    """Say whether no way through the graph leads from the features to the images but through the layer."""
    seen, open_ = set(), [features.grad_fn]
    while open_:
        step = open_.pop()
        if step is None or step is layer.grad_fn or step in seen:
            continue
        if getattr(step, "variable", None) is images:
            return False
        seen.add(step)
        open_ += [before for before, _ in step.next_functions]
    return True
