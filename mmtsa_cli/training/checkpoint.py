"""Checkpoints: tensors in safetensors, everything else as JSON in its header, so that one file is the whole state.

No pickle is written or read.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from mmtsa_cli.artifacts.directory import replace_file
from mmtsa_cli.errors import ArtifactError

LAST, BEFORE, BEST = "last.safetensors", "before-last.safetensors", "best.safetensors"
"""The checkpoint that training goes on from, the one before it (while training goes on), and the best weights."""
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


def save_tensors(
    path: Path, tensors: Mapping[str, torch.Tensor], state: Mapping[str, Any], *, before: Path | None = None
) -> None:
    """Write tensors and plain values as one file, whole or not at all; `before` is a name for the one it replaces."""
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    text = json.dumps(dict(state))
    # One value: several are written in an order of their own each time, and equal trainings would differ.
    replace_file(path, save(plain, {_STATE: f"{text}\n{_checksum(plain, text)}"}), before=before)


def load_tensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Read what `save_tensors` wrote.

    Raises
    ------
    ArtifactError
        The file is missing or damaged, be it by a single byte.
    """
    try:
        with safe_open(str(path), framework="pt") as stored:
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118 - no mapping
            text, _, checksum = (stored.metadata() or {})[_STATE].partition("\n")
        # Those of before had none.
        if checksum and checksum != _checksum(tensors, text):
            raise ValueError("another checksum than its header states")
        state = json.loads(text)
        if not isinstance(state, dict):
            raise ValueError("no state")
    except (OSError, SafetensorError, KeyError, ValueError, RecursionError) as error:
        raise ArtifactError("damaged or no checkpoint", where=str(path), found=str(error)) from None
    return tensors, state


def _checksum(tensors: Mapping[str, torch.Tensor], text: str) -> str:
    found = zlib.crc32(text.encode())
    for name in sorted(tensors):
        found = zlib.crc32(name.encode(), found)
        found = zlib.crc32(tensors[name].reshape(-1).view(torch.uint8).numpy().data, found)
    return f"{found:08x}"


@dataclass
class Trainee:
    """The things that change while a network is trained: network, optimiser, average of the weights (or None)."""

    network: nn.Module
    optimizer: torch.optim.Optimizer
    average: dict[str, torch.Tensor] | None = None


def save_last(directory: Path, trainee: Trainee, state: TrainingState) -> None:
    """Write the checkpoint from which training goes on; the one before it stays beside it."""
    tensors = {f"network.{name}": tensor for name, tensor in trainee.network.state_dict().items()}
    for name, tensor in (trainee.average or {}).items():
        tensors[f"average.{name}"] = tensor
    for number, slots in trainee.optimizer.state_dict()["state"].items():
        for slot, value in slots.items():
            if value is not None:
                tensors[f"optimizer.{number}.{slot}"] = torch.as_tensor(value)
    save_tensors(directory / LAST, tensors, asdict(state), before=directory / BEFORE)


def forget_before(directory: Path) -> None:
    """Remove the checkpoint before the last one: training is over."""
    (directory / BEFORE).unlink(missing_ok=True)


def read_last(
    directory: Path, *, warn: Callable[[str], None] = lambda text: None
) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Read the last checkpoint, for `put_back`.

    Where it is damaged, `warn` is told, and the one before it is taken: what was trained since is trained again, to the
    same weights.

    Raises
    ------
    ArtifactError
        Both are damaged or missing.
    """
    try:
        return load_tensors(directory / LAST)
    except ArtifactError as error:
        try:
            before = load_tensors(directory / BEFORE)
        except ArtifactError:
            raise error from None
        warn(f"{error.line()}; going on from the one before it, {BEFORE}")
        return before


def put_back(trainee: Trainee, tensors: dict[str, torch.Tensor], raw: dict[str, Any], *, where: Path) -> TrainingState:
    """Put a checkpoint's tensors into `trainee` and return where training stood.

    Raises
    ------
    ArtifactError
        It is of another network than that of `trainee`; `where` names the file.
    """
    parts: dict[str, dict[str, torch.Tensor]] = {"network": {}, "average": {}, "optimizer": {}}
    for name, tensor in tensors.items():
        part, _, rest = name.partition(".")
        parts[part][rest] = tensor
    try:
        trainee.network.load_state_dict(parts["network"])
    except RuntimeError as error:
        first = str(error).splitlines()[-1].strip()
        raise ArtifactError("the checkpoint is of another network", where=str(where), found=first) from None
    if trainee.average is not None:
        device = next(trainee.network.parameters()).device
        trainee.average = {name: tensor.to(device) for name, tensor in parts["average"].items()}
    weights = [weight for group in trainee.optimizer.param_groups for weight in group["params"]]
    slots: dict[int, dict[str, torch.Tensor]] = {}
    for name, tensor in parts["optimizer"].items():
        number, _, slot = name.partition(".")
        slots.setdefault(int(number), {})[slot] = _laid_out_as(weights[int(number)], tensor)
    trainee.optimizer.load_state_dict({"state": slots, "param_groups": trainee.optimizer.state_dict()["param_groups"]})
    return TrainingState(**raw)


def _laid_out_as(weight: torch.Tensor, slot: torch.Tensor) -> torch.Tensor:
    """Return what an optimiser keeps of a weight in that weight's order in memory: a fused step goes by that alone."""
    if slot.shape != weight.shape:
        return slot
    return torch.empty_like(weight, dtype=slot.dtype).copy_(slot)
