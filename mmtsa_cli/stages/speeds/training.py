"""How fast the network is trained, beside float32 as it stands with sensor images enlarged to 224 pixels."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mmtsa_cli.methods.mmtsa import Mmtsa
from mmtsa_cli.stages.speeds.networks import (
    LARGE,
    NAIVE,
    NATIVE,
    SMALL,
    Networks,
    Sizes,
    own_precision,
    wait_for,
    way_rows,
)
from mmtsa_cli.stages.speeds.timing import SpeedRow, Times, in_turns, timed_row
from mmtsa_cli.training.optimisation import autocast, build_optimizer, compile_backbones, deterministic_algorithms


def training_rows(networks: Networks, *, batch: int, repeats: int) -> list[SpeedRow]:
    """Return the rows of one training step."""
    ways = {
        "naive": step_of(networks.at(LARGE), networks.naive(LARGE), networks.tensors(LARGE, batch), "float32"),
        "native": _our_step(networks, NATIVE, batch),
        "equal": _our_step(networks, LARGE, batch),
        "small": _our_step(networks, SMALL, batch),
    }
    times = in_turns(ways, repeats=repeats, budget_s=60)
    about = f"batch {batch}; {NAIVE}"
    return [
        timed_row("train: step, native size", times["native"], times["naive"], bar=4, naive_way=about),
        timed_row("train: step, equal size", times["equal"], times["naive"], bar=2, naive_way=about),
        timed_row(f"train: step, {SMALL}", times["small"], times["naive"], bar=None, naive_way=about),
    ]


def training_ways(networks: Networks, *, batch: int, repeats: int) -> list[dict[str, Any]]:
    """Return what each way to train faster gives alone, and several together."""
    large, at_large = networks.at(LARGE), networks.tensors(LARGE, batch)
    native, at_native = networks.at(NATIVE), networks.tensors(NATIVE, batch)
    last, own = copy.deepcopy(large.network), own_precision(networks)
    ways = {
        f"{NAIVE} (the naive way)": step_of(large, networks.naive(LARGE), at_large, "float32"),
        "alone: channels-last": step_of(large, last, at_large, "float32"),
        "alone: bfloat16 (autocast)": step_of(large, networks.naive(LARGE), at_large, "bfloat16"),
        "alone: sensors at native size": step_of(native, networks.naive(NATIVE), at_native, "float32"),
        f"{own}, channels-last, equal size": _our_step(networks, LARGE, batch),
        f"{own}, channels-last, native": _our_step(networks, NATIVE, batch),
        "the same, deterministic": _ordered(_our_step(networks, NATIVE, batch)),
        "the same, its clips drawn before each step": _drawn_before(networks, batch),
        "the same, its clips drawn ahead by a thread": _drawn_ahead(networks, batch),
        f"the same, {SMALL}": _our_step(networks, SMALL, batch),
    }
    if own == "float32":
        # Emulated it is tens of times slower, which says nothing of a processor that has it.
        del ways["alone: bfloat16 (autocast)"]
    times = in_turns(ways, repeats=repeats, budget_s=90)
    return way_rows("train", times, {})


def _drawn_before(networks: Networks, batch: int) -> Callable[[], float]:
    step = _our_step(networks, NATIVE, batch)

    def drawn() -> float:
        networks.tensors(NATIVE, batch)
        return step()

    return drawn


def _drawn_ahead(networks: Networks, batch: int) -> Callable[[], float]:
    """Return a step during which a thread draws the next one's clips, as training does."""
    step = _our_step(networks, NATIVE, batch)

    def drawn() -> float:
        with ThreadPoolExecutor(1) as pool:
            coming = pool.submit(networks.tensors, NATIVE, batch)
            loss = step()
            coming.result()
        return loss

    return drawn


def step_of(method: Mmtsa, network: nn.Module, tensors: Mapping[str, Tensor], precision: str) -> Callable[[], float]:
    """Return what trains a network by one step on the same clips each time, and returns the loss."""
    network.train()
    optimizer = build_optimizer(network, method.options.training)
    device = next(network.parameters()).device
    labels = torch.arange(len(next(iter(tensors.values()))), device=device)

    def step() -> float:
        with autocast(precision, device):
            logits = network(tensors)[0].float()
            loss = nn.functional.cross_entropy(logits, labels % logits.shape[1])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        wait_for(device)
        return float(loss.detach())

    return step


def time_by_part(networks: Networks, *, batch: int) -> dict[str, float]:
    """Return the milliseconds of the parts of one of our training steps, drawing its clips included."""
    method = networks.at(NATIVE)
    network: Any = copy.deepcopy(method.network).train()
    optimizer = build_optimizer(network, method.options.training)
    parts: dict[str, float] = {}
    for _ in range(2):
        begun = time.perf_counter()
        tensors = networks.tensors(NATIVE, batch)
        drawn = time.perf_counter()
        with torch.no_grad():
            for name, encoder in zip(network.modalities, network.encoders.values(), strict=True):
                if hasattr(encoder, "images"):
                    extremes = tensors[f"{name}.extremes"]
                    encoder.images(tensors[name], extremes[..., 0], extremes[..., 1])
        imaged = time.perf_counter()
        with autocast("auto", method.device):
            loss = nn.functional.cross_entropy(network(tensors)[0].float(), torch.arange(batch, device=method.device))
        forward = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        backward = time.perf_counter()
        optimizer.step()
        parts = {
            "drawing clips (beside the rest, by threads)": drawn - begun,
            "fields": imaged - drawn,
            "forward, fields left out": max(forward - imaged - (imaged - drawn), 0.0),
            "backward": backward - forward,
            "optimiser": time.perf_counter() - backward,
        }
    return {name: 1000 * seconds for name, seconds in parts.items()}


def device_rows(store: Path, *, batch: int, repeats: int) -> list[SpeedRow]:
    """Return the row of clips on the GPU, in milliseconds a clip; none where there is no GPU."""
    if not torch.cuda.is_available():
        return []
    networks = Networks(store, device="cuda")
    ours = networks.at(NATIVE)
    ready = copy.deepcopy(ours.network)
    compile_backbones(ready)
    ways: dict[str, Callable[[], object]] = {
        "naive": step_of(networks.at(LARGE), networks.naive(LARGE), networks.tensors(LARGE, batch), "float32"),
        "ours": step_of(ours, ready, networks.tensors(NATIVE, batch), "bfloat16"),
        "loader": lambda: networks.tensors(NATIVE, batch),
    }
    times = {name: _a_clip(found, batch) for name, found in in_turns(ways, repeats=repeats, warmup=2).items()}
    return [
        timed_row("GPU: a clip of a step, compiled", times["ours"], times["naive"], bar=None, naive_way=NAIVE),
        timed_row(
            "GPU: a clip drawn, against the step", times["loader"], times["ours"], bar=1, naive_way="the step itself"
        ),
    ]


def _a_clip(times: Times, batch: int) -> Times:
    return replace(times, median_s=times.median_s / batch, fastest_s=times.fastest_s / batch, cpu_s=times.cpu_s / batch)


def _our_step(networks: Networks, sizes: Sizes, batch: int) -> Callable[[], float]:
    method = networks.at(sizes)
    return step_of(method, copy.deepcopy(method.network), networks.tensors(sizes, batch), "auto")


def _ordered(step: Callable[[], float]) -> Callable[[], float]:
    def ordered() -> float:
        with deterministic_algorithms(True):
            return step()

    return ordered
