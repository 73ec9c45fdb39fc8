"""What trains a network: optimiser, schedule, precision."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from mmtsa_cli.artifacts.options import option
from mmtsa_cli.errors import UsageError


@dataclass(frozen=True)
class TrainingOptions:
    """How the network is trained.

    The defaults are the paper's where it says them (section 4.2), those of temporal segment networks where it does not.
    """

    epochs: int = option(80, "passes over the training clips", low=1)
    least_steps: int = option(0, "steps at least: where clips are few, epochs are added until there are so many", low=0)
    batch_size: int = option(16, "clips a step, whatever the number of processes", low=1)
    parts: int = option(
        0,
        "parts a step's batch is cut into, each less to hold at once, for any number of processes; 0: one a process",
        low=0,
    )
    sync_norm: bool = option(False, "batch norm sees the whole batch where several processes share it")
    optimizer: Literal["sgd", "adamw"] = option("sgd", "SGD with momentum, or AdamW")
    lr: float = option(0.001, "learning rate", above=0)
    momentum: float = option(0.9, "momentum of SGD", low=0, high=1)
    weight_decay: float = option(5e-4, "weight decay; of weights, not of biases and norms, with AdamW", low=0)
    schedule: Literal["step", "cosine", "restarts", "constant"] = option(
        "step", "how the learning rate falls; restarts: as cosine, and anew from the top (Loshchilov, Hutter 2017)"
    )
    steps: tuple[int, ...] = option((20, 40), "epochs after which schedule step multiplies by gamma", low=1)
    gamma: float = option(0.1, "factor of schedule step", above=0, high=1)
    cycles: int = option(3, "falls of schedule restarts, each twice as long as the one before", low=1, high=10)
    warmup_epochs: float = option(0.0, "epochs over which the learning rate rises from 0", low=0)
    label_smoothing: float = option(0.0, "probability given to the other classes", low=0, high=0.9)
    mixup: float = option(0.0, "alpha of mixup between clips of a batch; 0: none", low=0)
    clip_norm: float = option(20.0, "longest gradient; 0: any", low=0)
    average: float = option(
        0.0, "decay a step of the average of the weights that is evaluated; 0: none", low=0, high=0.9999
    )
    patience: int = option(0, "epochs without a better validation score after which training stops; 0: never", low=0)
    precision: Literal["auto", "float32", "bfloat16"] = option(
        "auto", "auto: bfloat16 where the machine computes with it"
    )
    device: str = option("auto", "auto, cpu, cuda or cuda:1")
    threads: int = option(0, "threads of the arithmetic on the CPU, of each process; 0: one a core in all", low=0)
    workers: int = option(1, "threads that draw clips ahead; the result does not depend on it", low=1, high=64)
    deterministic: bool = option(
        False, "only algorithms whose sums have one order: bitwise equal runs, on one machine with as many threads"
    )
    compile: bool = option(False, "compile the backbones (torch.compile) before the first step, which takes minutes")
    checkpoint_minutes: float = option(10.0, "minutes after which a checkpoint is written within an epoch", above=0)


def choose_device(name: str) -> torch.device:
    """Return the device called `name`.

    Raises
    ------
    UsageError
        No such device on this machine.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError):
        found = "cpu" + (", cuda" if torch.cuda.is_available() else "")
        raise UsageError(f"no device {name!r} here", where="training.device", found=found) from None
    return device


def computes_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 is fast on a device: CUDA cards that support it, CPUs with AMX or AVX-512 BF16."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    # Asked of torch's own dispatcher; not public, so absent on some versions and processors.
    amx = getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    avx = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    return bool(amx() or avx())


def uses_bfloat16(precision: str, device: torch.device) -> bool:
    """Whether `precision` (of `TrainingOptions`) means bfloat16 on a device."""
    return precision == "bfloat16" or (precision == "auto" and computes_bfloat16(device))


def autocast(precision: str, device: torch.device) -> contextlib.AbstractContextManager[Any]:
    """Return the context in which the network runs."""
    if not uses_bfloat16(precision, device):
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


@contextlib.contextmanager
def deterministic_algorithms(wanted: bool) -> Iterator[None]:
    """Within the block torch takes no algorithm whose result depends on the order in which threads come.

    Raises
    ------
    UsageError
        A layer has no other algorithm on this device.
    """
    if not wanted:
        yield
        return
    before = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    # Read by cuBLAS when it starts, which is at the first product of matrices.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False
    try:
        yield
    except RuntimeError as error:
        if "deterministic" not in str(error):
            raise
        raise UsageError(
            "a layer of this network has no deterministic algorithm here",
            where="training.deterministic",
            found=str(error).split(".")[0],
            remedy="train on the CPU (training.device=cpu), or without --deterministic",
        ) from None
    finally:
        torch.use_deterministic_algorithms(before[0])
        torch.backends.cudnn.benchmark = before[1]


def compile_backbones(network: nn.Module) -> int:
    """Let every backbone of a network (what a module holds as `backbone`) be compiled when it is first called.

    Names and weights stay as they are. Returns how many there are.
    """
    backbones = {id(module): module for name, module in network.named_modules() if name.endswith("backbone")}
    for backbone in backbones.values():
        backbone.compile()
    return len(backbones)


def build_optimizer(network: nn.Module, options: TrainingOptions) -> torch.optim.Optimizer:
    """Return the optimiser of `options` for a network's parameters; its step is one pass over memory (`fused`)."""
    if options.optimizer == "sgd":
        return torch.optim.SGD(
            network.parameters(),
            lr=options.lr,
            momentum=options.momentum,
            weight_decay=options.weight_decay,
            fused=True,
        )
    weights = [p for p in network.parameters() if p.ndim > 1]
    others = [p for p in network.parameters() if p.ndim <= 1]
    groups: list[dict[str, Any]] = [{"params": weights}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=options.lr, weight_decay=options.weight_decay, fused=True)


def with_least_steps(options: TrainingOptions, steps_per_epoch: int) -> TrainingOptions:
    """Return the options with as many epochs as `least_steps` asks for."""
    return dataclasses.replace(options, epochs=max(options.epochs, math.ceil(options.least_steps / steps_per_epoch)))


def learning_rate(options: TrainingOptions, steps_per_epoch: int) -> Callable[[int], float]:
    """Return the learning rate as a function of the step, counted from 0."""
    total = options.epochs * steps_per_epoch
    warmup = options.warmup_epochs * steps_per_epoch

    def at(step: int) -> float:
        if step < warmup:
            return options.lr * (step + 1) / (warmup + 1)
        done = (step - warmup) / max(total - warmup, 1)
        if options.schedule == "cosine":
            return options.lr * 0.5 * (1 + math.cos(math.pi * done))
        if options.schedule == "restarts":
            return options.lr * 0.5 * (1 + math.cos(math.pi * _done_of_cycle(done, options.cycles)))
        if options.schedule == "step":
            passed = sum(step >= epoch * steps_per_epoch for epoch in options.steps)
            return options.lr * options.gamma**passed
        return options.lr

    return at


def _done_of_cycle(done: float, cycles: int) -> float:
    """Return how much of its cycle is over when `done` of all is, both from 0 to 1; cycles last 1, 2, 4, ... parts."""
    parts = done * (2**cycles - 1)
    # Cycle k begins after 1 + 2 + ... + 2^(k-1) = 2^k - 1 parts.
    cycle = min(int(math.log2(parts + 1)), cycles - 1)
    return (parts + 1) / 2**cycle - 1
