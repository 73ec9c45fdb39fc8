"""How fast the network is trained, beside float32 as it stands with sensor images enlarged to 224 pixels."""

from __future__ import annotations

import copy
import json
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mmtsa_cli.errors import MmtsaError
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
from mmtsa_cli.stages.speeds.processes import run_measured
from mmtsa_cli.stages.speeds.timing import SpeedRow, Times, in_turns, summary, timed_row
from mmtsa_cli.training.optimisation import autocast, build_optimizer, compile_backbones, deterministic_algorithms

GIVEN_BACK = "freed memory given back"
_KEPT = "as trained (native size), a process of its own, freed memory kept"
_ROUNDS = 2


@dataclass(frozen=True)
class Steps:
    """What training took, by the way in which it was done.

    Attributes
    ----------
    batch : int
    times : dict of str to Times
        Of a step; without "naive" where that failed.
    peak_mb : dict of str to float
        Of the process.
    failed : str
        Why there is no "naive"; empty where there is.
    """

    batch: int
    times: dict[str, Times]
    peak_mb: dict[str, float]
    failed: str


def measure_steps(store: Path, *, batch: int, steps: int, given_back: bool) -> Steps:
    """Train in each way in processes of its own, in turns, whose memory holds nothing of the others.

    Parameters
    ----------
    store : Path
        Of `material.write_store`.
    batch, steps : int
        Clips of a step, and steps of a process that count.
    given_back : bool
        Once more as "native", but with memory that goes back to the system.

    Raises
    ------
    MmtsaError
        A way that is ours failed.
    """
    ways = ("naive", "native", "equal", "small", *([GIVEN_BACK] if given_back else []))
    found: dict[str, list[dict[str, Any]]] = {way: [] for way in ways}
    failed = ""
    for _ in range(_ROUNDS):
        for way, taken in found.items():
            if way == "naive" and failed:
                continue
            try:
                taken.append(measure_process(way, store, batch, steps))
            except MmtsaError as error:
                # It needs several times as much memory, and may be killed where ours has room.
                if way != "naive":
                    raise
                failed = error.found or "failed"
    done = {way: taken for way, taken in found.items() if taken}
    times = {way: summary([pair for one in taken for pair in one["spent"]]) for way, taken in done.items()}
    return Steps(batch, times, {way: max(one["peak_mb"] for one in taken) for way, taken in done.items()}, failed)


def measure_process(way: str, store: Path, batch: int, steps: int) -> dict[str, Any]:
    """Return what a process that trains in this way prints; see `step`.

    Raises
    ------
    MmtsaError
        It failed.
    """
    command = [sys.executable, "-m", "mmtsa_cli.stages.speeds.step", way, str(store), str(batch), str(steps)]
    return json.loads(run_measured(command))


def training_rows(found: Steps) -> list[SpeedRow]:
    """Return the rows of one training step, and of its memory."""
    about = f"batch {found.batch}; {NAIVE}" + (f": failed, {found.failed}" if found.failed else "")
    naive = found.times.get("naive")
    peak = SpeedRow(
        "memory: peak of the process", "MB", found.peak_mb["native"], found.peak_mb.get("naive"), 1 / 0.6, about
    )
    names = {"native": ("native size", 4), "equal": ("equal size", 2), "small": (str(SMALL), None)}
    return [
        *(
            timed_row(f"train: step, {name}", found.times[way], naive, bar=bar, naive_way=about)
            for way, (name, bar) in names.items()
        ),
        peak,
    ]


def process_ways(found: Steps) -> list[dict[str, Any]]:
    """Return what it gives to keep freed memory, which a process does or does not."""
    names = {"naive": f"{NAIVE}, a process of its own", "native": _KEPT, GIVEN_BACK: f"the same, {GIVEN_BACK}"}
    return way_rows("train", {name: found.times[way] for way, name in names.items() if way in found.times}, {})


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
