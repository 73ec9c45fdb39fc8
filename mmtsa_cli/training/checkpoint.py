"""Checkpoints: tensors in safetensors, everything else as JSON in its header, so that one file is the whole state.

No pickle is written or read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from mmtsa_cli.artifacts.directory import replace_file
from mmtsa_cli.errors import ArtifactError

LAST, BEST = "last.safetensors", "best.safetensors"
_STATE = "mmtsa"


@dataclass
class TrainingState:
    """Where a training stands.

    Attributes
    ----------
    epoch, step : int
        Epochs done, and steps done of the next one.
    sums : list of float
        Sum of losses, clips right, clips seen, seconds, of the epoch under way.
    history : list of dict
        One row an epoch: epoch, loss, accuracy, validation_accuracy, validation_macro_f1, lr, seconds, clips_per_s.
    best_score : float or None
    best_epoch : int
    seed : int
    """

    epoch: int = 0
    step: int = 0
    sums: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0, 0.0])
    history: list[dict[str, Any]] = field(default_factory=list)
    best_score: float | None = None
    best_epoch: int = 0
    seed: int = 0


def save_tensors(path: Path, tensors: Mapping[str, torch.Tensor], state: Mapping[str, Any]) -> None:
    """Write tensors and plain values as one file, whole or not at all."""
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    replace_file(path, save(plain, {_STATE: json.dumps(dict(state))}))


def load_tensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Read what `save_tensors` wrote.

    Raises
    ------
    ArtifactError
        The file is missing or damaged.
    """
    try:
        with safe_open(str(path), framework="pt") as stored:
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118 - no mapping
            return tensors, json.loads((stored.metadata() or {})[_STATE])
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise ArtifactError("damaged or no checkpoint", where=str(path), found=str(error)) from None


@dataclass
class Trainee:
    """The things that change while a network is trained: network, optimiser, average of the weights (or None)."""

    network: nn.Module
    optimizer: torch.optim.Optimizer
    average: dict[str, torch.Tensor] | None = None


def save_last(directory: Path, trainee: Trainee, state: TrainingState) -> None:
    """Write the checkpoint from which training goes on."""
    tensors = {f"network.{name}": tensor for name, tensor in trainee.network.state_dict().items()}
    for name, tensor in (trainee.average or {}).items():
        tensors[f"average.{name}"] = tensor
    for number, slots in trainee.optimizer.state_dict()["state"].items():
        for slot, value in slots.items():
            if value is not None:
                tensors[f"optimizer.{number}.{slot}"] = torch.as_tensor(value)
    save_tensors(directory / LAST, tensors, asdict(state))


def load_last(directory: Path, trainee: Trainee) -> TrainingState:
    """Put the checkpoint's tensors into `trainee` and return where training stood.

    Raises
    ------
    ArtifactError
        The checkpoint is missing, damaged, or of another network.
    """
    tensors, raw = load_tensors(directory / LAST)
    parts: dict[str, dict[str, torch.Tensor]] = {"network": {}, "average": {}, "optimizer": {}}
    for name, tensor in tensors.items():
        part, _, rest = name.partition(".")
        parts[part][rest] = tensor
    try:
        trainee.network.load_state_dict(parts["network"])
    except RuntimeError as error:
        first = str(error).splitlines()[-1].strip()
        raise ArtifactError("the checkpoint is of another network", where=str(directory / LAST), found=first) from None
    if trainee.average is not None:
        device = next(trainee.network.parameters()).device
        trainee.average = {name: tensor.to(device) for name, tensor in parts["average"].items()}
    slots: dict[int, dict[str, torch.Tensor]] = {}
    for name, tensor in parts["optimizer"].items():
        number, _, slot = name.partition(".")
        slots.setdefault(int(number), {})[slot] = tensor
    trainee.optimizer.load_state_dict({"state": slots, "param_groups": trainee.optimizer.state_dict()["param_groups"]})
    return TrainingState(**raw)
