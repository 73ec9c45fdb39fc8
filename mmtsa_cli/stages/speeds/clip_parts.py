"""Where the time goes in which a network is asked about one clip, on one thread: clocks round its layers."""

from __future__ import annotations

import copy
import time
from typing import Any

from torch import nn

from mmtsa_cli.models.inference import one_thread
from mmtsa_cli.models.integers import IntegerConvolution
from mmtsa_cli.models.packed_convolution import PackedConvolution
from mmtsa_cli.stages.speeds.networks import NATIVE, Networks, asked, multiplies_bytes, network_in_integers

_REPEATS = 10
_CONVOLUTIONS = (nn.Conv2d, PackedConvolution, IntegerConvolution)


def time_by_part(networks: Networks) -> dict[str, dict[str, float]]:
    """Return the milliseconds of the parts of one clip, by the way in which it is computed: the fastest of several."""
    ready = {"a clip, one thread": networks.at(NATIVE).network_for_inference()[0]}
    if multiplies_bytes(networks):
        ready["a clip, integers, one thread"] = network_in_integers(networks, NATIVE)
    tensors = networks.tensors(NATIVE, 1)
    return {name: _parts(copy.deepcopy(network), tensors) for name, network in ready.items()}


def _parts(network: Any, tensors: Any) -> dict[str, float]:
    network.side_by_side = False
    spent = {"frames and fields to images": 0.0, "convolutions": 0.0}
    for encoder in network.encoders.values():
        for name in ("images", "input"):
            if isinstance(layer := getattr(encoder, name, None), nn.Module):
                _clock(layer, spent, "frames and fields to images")
        for layer in encoder.modules():
            if isinstance(layer, _CONVOLUTIONS):
                _clock(layer, spent, "convolutions")
    call, found = asked(network, tensors), []
    with one_thread():
        call()
        for _ in range(_REPEATS):
            spent.update(dict.fromkeys(spent, 0.0))
            begun = time.perf_counter()
            call()
            whole = time.perf_counter() - begun
            rest = whole - sum(spent.values())
            found.append((whole, {**spent, "all else: pooling, joining, scaling, attention": rest}))
    _, parts = min(found, key=lambda pair: pair[0])
    return {name: 1000 * seconds for name, seconds in parts.items()}


def _clock(layer: nn.Module, spent: dict[str, float], part: str) -> None:
    """Add what a layer takes from now on to one of the parts."""
    begun = 0.0

    def start(*_: object) -> None:
        nonlocal begun
        begun = time.perf_counter()

    def stop(*_: object) -> None:
        spent[part] += time.perf_counter() - begun

    layer.register_forward_pre_hook(start)
    layer.register_forward_hook(stop)
