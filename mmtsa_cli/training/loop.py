"""One training loop of plain functions, for any network and any batches.

Everything random in a step follows from the seed and the step alone, so that a training that was stopped anywhere and
resumed ends at the same weights as one that was not. Where several processes train together (see `group`), all of them
take every step, each with its parts of the batch, and the first one writes.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from mmtsa_cli.errors import MmtsaError
from mmtsa_cli.training.checkpoint import (
    BEST,
    LAST,
    Trainee,
    TrainingState,
    forget_before,
    load_tensors,
    put_back,
    read_last,
    save_last,
    save_tensors,
)
from mmtsa_cli.training.group import any_of, from_first, is_first, summed
from mmtsa_cli.training.optimisation import (
    TrainingOptions,
    autocast,
    build_optimizer,
    deterministic_algorithms,
    learning_rate,
)
from mmtsa_cli.training.parts import Gradients, Part
from mmtsa_cli.training.run import Run, TrainingStoppedError
from mmtsa_cli.training.synchronised_norm import synchronised_norms

B = TypeVar("B")


@dataclass(frozen=True)
class Work(Generic[B]):
    """What is trained on.

    Attributes
    ----------
    steps : int
        Steps of an epoch.
    batches : callable (epoch, first step) -> iterable of sequences of Part
        The epoch's batches from a step on, of each the parts of this process; the same ones for the same epoch, always.
    loss : callable (network, batch, generator) -> (loss, clips right, clips)
        The loss as a scalar tensor with its graph; the generator is the step's own.
    validate : callable (network) -> dict of float, or None
        Scores on validation clips, the same in every process; "score" is what early stopping and the best checkpoint go
        by, higher is better.
    """

    steps: int
    batches: Callable[[int, int], Iterable[Sequence[Part[B]]]]
    loss: Callable[[nn.Module, B, torch.Generator], tuple[Tensor, int, int]]
    validate: Callable[[nn.Module], dict[str, float]] | None = None


def train(network: nn.Module, work: Work[B], options: TrainingOptions, *, seed: int, run: Run) -> TrainingState:
    """Train a network in place, to the end or until it is asked to stop.

    Afterwards `best.safetensors` holds the weights with the best validation score, or the last ones where nothing
    validates, and the network holds the same, in every process.

    Raises
    ------
    TrainingStoppedError
        It was asked to stop; the checkpoint is written.
    MmtsaError
        The loss is no longer a number; the checkpoint before is kept.
    """
    trainee = Trainee(network, build_optimizer(network, options), _start_average(network, options))
    state = _resume(trainee, run) or TrainingState(seed=seed)
    rate = learning_rate(options, work.steps)
    with deterministic_algorithms(options.deterministic), synchronised_norms(network, options.sync_norm):
        gradients = Gradients(network, work.loss, synchronised=options.sync_norm)
        while state.epoch < options.epochs and not _patience_is_over(state, options):
            _epoch(trainee, gradients, work, options, state, rate, run)
            _close_epoch(trainee, work, options, state, run)
    best, _ = from_first(lambda: load_tensors(run.directory / BEST))
    network.load_state_dict(best)
    if is_first():
        forget_before(run.directory)
    return state


def _resume(trainee: Trainee, run: Run) -> TrainingState | None:
    """Put the checkpoint that the first process finds into the trainee of every process; None where there is none."""
    last = run.directory / LAST
    found = from_first(lambda: read_last(run.directory, warn=run.warn) if last.is_file() else None)
    return put_back(trainee, *found, where=last) if found else None


def _epoch(
    trainee: Trainee,
    gradients: Gradients[B],
    work: Work[B],
    options: TrainingOptions,
    state: TrainingState,
    rate: Callable[[int], float],
    run: Run,
) -> None:
    saved = started = time.monotonic()
    before = state.sums[3]
    trainee.network.train()
    # Of the last step that was taken: resumed behind the last one of an epoch, none follows in it.
    _set_rate(trainee, rate(state.epoch * work.steps + max(state.step - 1, 0)))
    for parts in work.batches(state.epoch, state.step):
        step = state.epoch * work.steps + state.step
        _set_rate(trainee, rate(step))
        sums = _step(trainee, gradients, parts, options, state.seed, step)
        loss = sums[0] / sums[2]
        if not math.isfinite(loss):
            raise MmtsaError(
                f"the loss is {loss} at step {state.step + 1} of epoch {state.epoch + 1}",
                where="training",
                remedy="the checkpoint before is kept; try a smaller training.lr",
            )
        state.step += 1
        for place, value in enumerate(sums):
            state.sums[place] += value
        state.sums[3] = before + time.monotonic() - started
        run.report(state, state.step, work.steps)
        stop = any_of(run.should_stop())
        if is_first() and (stop or time.monotonic() - saved > options.checkpoint_minutes * 60):
            save_last(run.directory, trainee, state)
            saved = time.monotonic()
        if stop:
            raise TrainingStoppedError(f"stopped in epoch {state.epoch + 1} of {options.epochs}, at step {state.step}")


def _set_rate(trainee: Trainee, rate: float) -> None:
    for group in trainee.optimizer.param_groups:
        group["lr"] = rate


def _step(
    trainee: Trainee,
    gradients: Gradients[B],
    parts: Sequence[Part[B]],
    options: TrainingOptions,
    seed: int,
    step: int,
) -> list[float]:
    """Take a step; return the sum of losses over clips, clips that were right, and clips, of all processes."""

    def generator_of(part: int) -> torch.Generator:
        torch.manual_seed(_mix(seed, step, part))
        return torch.Generator().manual_seed(_mix(seed + 1, step, part))

    device = next(trainee.network.parameters()).device
    trainee.optimizer.zero_grad(set_to_none=True)
    sums = summed(gradients.add(parts, generator_of, lambda: autocast(options.precision, device)))
    if math.isfinite(sums[0]):
        if options.clip_norm:
            nn.utils.clip_grad_norm_(trainee.network.parameters(), options.clip_norm)
        trainee.optimizer.step()
        _follow(trainee, options.average, step)
    return sums


def _close_epoch(trainee: Trainee, work: Work[Any], options: TrainingOptions, state: TrainingState, run: Run) -> None:
    loss_sum, right, clips, seconds = state.sums
    row: dict[str, Any] = {
        "epoch": state.epoch + 1,
        "loss": loss_sum / max(clips, 1),
        "accuracy": right / max(clips, 1),
        "lr": trainee.optimizer.param_groups[0]["lr"],
        "clips_per_s": clips / max(seconds, 1e-9),
    }
    with _averaged(trainee):
        scores = work.validate(trainee.network) if work.validate else {}
        row.update({f"validation_{name}": value for name, value in scores.items()})
        better = not scores or state.best_score is None or scores["score"] > state.best_score
        if better:
            state.best_score, state.best_epoch = scores.get("score"), state.epoch + 1
            if is_first() and (scores or state.epoch + 1 == options.epochs):
                about = {"epoch": state.epoch + 1, **scores}
                save_tensors(run.directory / BEST, trainee.network.state_dict(), about)
    row["seconds"] = seconds
    state.history.append(row)
    state.epoch, state.step, state.sums = state.epoch + 1, 0, [0.0, 0.0, 0.0, 0.0]
    if is_first():
        save_last(run.directory, trainee, state)
    run.report(state, work.steps, work.steps)


def _patience_is_over(state: TrainingState, options: TrainingOptions) -> bool:
    return (
        bool(options.patience) and state.best_score is not None and state.epoch - state.best_epoch >= options.patience
    )


def _mix(seed: int, step: int, part: int) -> int:
    """Return a seed for a part of a step; neighbouring steps and parts get unrelated ones."""
    mixed = seed * 0x9E3779B97F4A7C15 + step * 0xBF58476D1CE4E5B9 + part * 0xD6E8FEB86659FD93 + 0x94D049BB133111EB
    return mixed % 2**63


def _start_average(network: nn.Module, options: TrainingOptions) -> dict[str, Tensor] | None:
    if not options.average:
        return None
    return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}


def _follow(trainee: Trainee, decay: float, step: int) -> None:
    """Move the average of the weights a little towards the weights (faster at first, when they change most)."""
    if trainee.average is None:
        return
    decay = min(decay, (1 + step) / (10 + step))
    with torch.no_grad():
        for name, tensor in trainee.network.state_dict().items():
            mean = trainee.average[name]
            if mean.is_floating_point():
                mean.lerp_(tensor.to(mean.dtype), 1 - decay)
            else:
                mean.copy_(tensor)


class _averaged:  # noqa: N801 - reads as a statement
    """Within the block the network holds the average of its weights, if one is kept."""

    def __init__(self, trainee: Trainee) -> None:
        self._trainee = trainee
        self._own: dict[str, Tensor] = {}

    def __enter__(self) -> None:
        if self._trainee.average is not None:
            self._own = {name: tensor.clone() for name, tensor in self._trainee.network.state_dict().items()}
            self._trainee.network.load_state_dict(self._trainee.average)

    def __exit__(self, *exception: object) -> None:
        if self._own:
            self._trainee.network.load_state_dict(self._own)
