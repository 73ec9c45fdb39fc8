"""Backbones by name: BN-Inception, a small residual network, and torchvision's models without their classifiers."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from mmtsa_cli.errors import UsageError, did_you_mean
from mmtsa_cli.models.bn_inception import bn_inception
from mmtsa_cli.models.residual import Norm, ResNet10
from mmtsa_cli.models.weights import load_tensors, place_tensors

# Outputs that only help training on ImageNet; they are not built, and their weights are passed over.
_AUXILIARY = {"googlenet": ("aux1", "aux2"), "inception_v3": ("AuxLogits",)}
_OTHER_WIDTHS = ("mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large")


def create_backbone(
    name: str,
    *,
    in_channels: int,
    colour: bool = True,
    weights: str | None = None,
    weights_sha256: str | None = None,
    width: float = 1.0,
    norm: Norm = "batch",
    image_size: int | None = None,
) -> tuple[nn.Module, int]:
    """Return a backbone, (B, C, H, W) to (B, D), and D.

    Parameters
    ----------
    name : str
        `bn_inception`, `resnet10`, or a classification model of torchvision (`resnet18`).
    in_channels : int
        C.
    colour : bool
        Whether the channels are the colours that the weights were trained on. Where they are not, or where C is not 3,
        the weights of the first layer become their mean over the colours, repeated C times, and scaled by 3 / C, so
        that an image whose channels are all alike is answered as a grey photograph was. From scratch it has no effect.
    weights : str, optional
        Path or URL of a file of weights; None: from scratch.
    weights_sha256 : str, optional
        What the file must hash to; needed for a URL.
    width : float
        Multiplies the channels of `bn_inception`, `resnet10` and the mobilenets; 1 for all others.
    norm : "batch" or "group"
        Of `resnet10`; all others have their own.
    image_size : int, optional
        Images will be that high and wide: checked here, so that a model that cannot take them is refused early.

    Raises
    ------
    UsageError
        No such model, a width or norm it does not have, or an image size it cannot take.
    DataError
        The weights cannot be had, or are of another network.
    """
    module: nn.Module
    dropped: tuple[str, ...]
    if norm != "batch" and name != "resnet10":
        raise UsageError(f"{name} has its own norm", where="model.norm", found=norm, remedy="only resnet10 has another")
    if name == "bn_inception":
        inception = bn_inception(in_channels, width)
        module, features, dropped = inception, inception.features, ("last_linear",)
    elif name == "resnet10":
        module, features, dropped = _small_residual(in_channels, width, norm)
    else:
        module, features, dropped = _torchvision(name, in_channels, width)
    if weights:
        tensors = load_tensors(weights, sha256=weights_sha256)
        kept = {key: value for key, value in tensors.items() if not key.startswith(tuple(f"{d}." for d in dropped))}
        if in_channels != 3 or not colour:
            first = f"{_first_convolution(module)}.weight"
            kept = {key: _colourless(value, in_channels) if key == first else value for key, value in kept.items()}
        place_tensors(module, kept, source=weights)
    if image_size:
        _check_size(module, name, in_channels, image_size)
    return module, features


def _small_residual(in_channels: int, width: float, norm: Norm) -> tuple[nn.Module, int, tuple[str, ...]]:
    module = ResNet10(in_channels, width, norm)
    return module, module.features, ()


def _torchvision(name: str, in_channels: int, width: float) -> tuple[nn.Module, int, tuple[str, ...]]:
    """Return a model of torchvision without its classifier, its features, and the names of what it lost."""
    from torchvision import models

    names = models.list_models(module=models)
    if name not in names:
        remedy = did_you_mean(name, ["bn_inception", "resnet10", *names])
        raise UsageError(f"no backbone {name!r}", where="model.backbone", remedy=remedy)
    if width != 1.0 and name not in _OTHER_WIDTHS:
        remedy = f"only bn_inception, resnet10, {', '.join(_OTHER_WIDTHS)} have other widths"
        raise UsageError(f"{name} has one width", where="model.width", found=f"{width:g}", remedy=remedy)
    auxiliary = _AUXILIARY.get(name, ())
    arguments: dict[str, Any] = {"aux_logits": False, "init_weights": True} if auxiliary else {}
    if width != 1.0:
        arguments["width_mult"] = width
    module = models.get_model(name, weights=None, **arguments)
    classifier, features = _drop_classifier(module)
    if in_channels != 3:
        _widen_input(module, in_channels)
    return module, features, (classifier, *auxiliary)


def _drop_classifier(module: nn.Module) -> tuple[str, int]:
    """Make the last layer with weights pass its input on; return its name and the features that come to it."""
    layers = [(n, m) for n, m in module.named_modules() if isinstance(m, (nn.Linear, nn.Conv2d))]
    name, layer = layers[-1]
    # squeezenet's classifier is a convolution.
    features = layer.in_features if isinstance(layer, nn.Linear) else layer.in_channels
    parent, _, attribute = name.rpartition(".")
    setattr(module.get_submodule(parent), attribute, nn.Identity())
    return name, features


def _widen_input(module: nn.Module, in_channels: int) -> None:
    """Replace the first convolution by one that takes `in_channels`."""
    name = _first_convolution(module)
    old = module.get_submodule(name)
    if not isinstance(old, nn.Conv2d):
        raise TypeError(f"{name} is no convolution")
    new = nn.Conv2d(
        in_channels,
        old.out_channels,
        old.kernel_size,  # type: ignore[arg-type]
        stride=old.stride,  # type: ignore[arg-type]
        padding=old.padding,  # type: ignore[arg-type]
        bias=old.bias is not None,
    )
    parent, _, attribute = name.rpartition(".")
    setattr(module.get_submodule(parent), attribute, new)


def _first_convolution(module: nn.Module) -> str:
    return next(name for name, layer in module.named_modules() if isinstance(layer, nn.Conv2d))


def _colourless(weight: Tensor, in_channels: int) -> Tensor:
    """Return (out, C, h, w) weights from (out, 3, h, w): the mean over colours, repeated, the sum kept."""
    mean = weight.mean(dim=1, keepdim=True)
    return mean.repeat(1, in_channels, 1, 1) * (weight.shape[1] / in_channels)


def _check_size(module: nn.Module, name: str, in_channels: int, size: int) -> None:
    device = next(module.parameters()).device
    was_training = module.training
    try:
        with torch.no_grad():
            module.eval()(torch.zeros(1, in_channels, size, size, device=device))
    except (RuntimeError, AssertionError, ValueError) as error:
        raise UsageError(
            f"{name} cannot take images of {size} x {size} pixels",
            where="model.backbone",
            found=(str(error).splitlines() or ["no reason given"])[0],
            remedy="set another image size, or take another backbone",
        ) from None
    finally:
        module.train(was_training)
