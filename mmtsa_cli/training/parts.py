"""The batch of a step cut into parts, whose gradients are computed one after the other or each by a process of its own.

The gradient of a step is the mean over its clips whoever computes it, and what is random in a part follows from seed,
step and the part's number. So a training depends on how many parts there are, and not on how many processes.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from mmtsa_cli.errors import UsageError
from mmtsa_cli.training.group import LostProcessError, rank, size
from mmtsa_cli.training.optimisation import TrainingOptions
from mmtsa_cli.training.synchronised_norm import norms_of

B = TypeVar("B")
Loss = Callable[[nn.Module, B, torch.Generator], tuple[Tensor, int, int]]
_FEWEST_CLIPS = 2


@dataclass(frozen=True)
class Part(Generic[B]):
    """A part of the batch of a step.

    Attributes
    ----------
    batch : B
    number : int
        From 0.
    share : float
        Its clips, of all clips of the step.
    """

    batch: B
    number: int = 0
    share: float = 1.0


@dataclass(frozen=True)
class Split:
    """Into how many parts the batch of a step is cut, and which of them this process computes."""

    count: int = 1
    own: tuple[int, ...] = (0,)

    def of(self, clips: NDArray[np.int64]) -> list[tuple[int, NDArray[np.int64], float]]:
        """Return number, clips and share of each of this process's parts of the clips of a step."""
        parts = np.array_split(clips, self.count)
        return [(number, parts[number], len(parts[number]) / len(clips)) for number in self.own]


def split_of(options: TrainingOptions, clips: int) -> Split:
    """Return how a batch of so many clips, or some more, is cut.

    Raises
    ------
    UsageError
        Fewer parts than processes, parts of fewer than two clips, or norms that cannot be synchronised over them.
    """
    count, processes = options.parts or size(), size()
    if count < processes:
        raise UsageError(
            "fewer parts of a batch than processes",
            where="training.parts",
            expected=f"at least {processes}, or 0: one a process",
            found=str(count),
        )
    if count > 1 and clips // count < _FEWEST_CLIPS:
        raise UsageError(
            f"a batch of {clips} clips in {count} parts, one a process or as training.parts says",
            where="training.batch_size",
            expected=f"at least {_FEWEST_CLIPS} clips a part",
            remedy="start fewer processes, or set a larger training.batch_size",
        )
    if options.sync_norm:
        _check_synchronised(options, count)
    return Split(count, tuple(range(rank(), count, processes)))


def _check_synchronised(options: TrainingOptions, count: int) -> None:
    if count != size():
        raise UsageError(
            "norms see only what is computed at the same time",
            where="training.sync_norm",
            expected=f"training.parts 0, or as many as processes ({size()})",
            found=str(count),
        )
    if options.compile and size() > 1:
        raise UsageError(
            "compiled backbones do not wait for other processes",
            where="training.sync_norm",
            remedy="set training.compile=false, or training.sync_norm=false",
        )


class _LossOf(nn.Module):
    """A network and its loss as one module, which is what DistributedDataParallel watches."""

    def __init__(self, network: nn.Module, loss: Loss[Any]) -> None:
        super().__init__()
        self.network, self._loss = network, loss

    def forward(self, batch: Any, generator: torch.Generator) -> tuple[Tensor, int, int]:
        return self._loss(self.network, batch, generator)


class Gradients(Generic[B]):
    """Gradients of a step, from the parts of this process and those of the others.

    Parameters
    ----------
    network : nn.Module
        Its parameters get them.
    loss : callable (network, batch, generator) -> (loss, clips right, clips)
        The loss is a mean over the clips of the batch.
    synchronised : bool
        Whether the norms see all processes already.
    """

    def __init__(self, network: nn.Module, loss: Loss[B], *, synchronised: bool = False) -> None:
        self._call: Any = _LossOf(network, loss)
        if size() > 1:
            with warnings.catch_warnings():
                # Newer versions call it otherwise, and older ones do not know that name.
                warnings.simplefilter("ignore", FutureWarning)
                # Norms' statistics are ours: see `_Running`.
                self._call = DistributedDataParallel(self._call, broadcast_buffers=False)
        self._norms = [] if synchronised else norms_of(network)

    def add(
        self,
        parts: Sequence[Part[B]],
        generator_of: Callable[[int], torch.Generator],
        autocast: Callable[[], Any],
    ) -> tuple[float, int, int]:
        """Add the gradients of this process's parts, the last of them with those of the others.

        Parameters
        ----------
        parts : sequence of Part
        generator_of : callable
            Seeds torch for the part of a number, and returns the part's own generator.
        autocast : callable
            Returns the context of the forward pass.

        Returns
        -------
        loss, right, clips : float, int, int
            The sum of losses over clips, clips that were classified rightly, and clips, of this process.

        Raises
        ------
        LostProcessError
            In one of several processes what torch does fails.
        """
        running = _Running(self._norms) if len(parts) > 1 or size() > 1 else None
        sums = (0.0, 0, 0)
        try:
            for part in parts:
                last = part is parts[-1]
                with nullcontext() if last or size() == 1 else self._call.no_sync():
                    loss, right, clips = self._one(part, generator_of(part.number), autocast)
                sums = (sums[0] + loss * clips, sums[1] + right, sums[2] + clips)
                if running:
                    running.add(part.share, last=last)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            if size() == 1:
                raise
            first = str(error).strip().splitlines()[0]
            raise LostProcessError(
                f"a step failed in process {rank() + 1} of {size()}",
                found=first,
                remedy="where another one ended before, what it said is the reason",
            ) from error
        return sums

    def _one(self, part: Part[B], generator: torch.Generator, autocast: Callable[[], Any]) -> tuple[float, int, int]:
        with autocast():
            loss, right, clips = self._call(part.batch, generator)
        # The processes' gradients are averaged, and are to be summed.
        (loss * (part.share * size())).backward()
        return float(loss.detach()), right, clips


class _Running:
    """Running statistics of norms over a step: each part moves them from where they stood, and the mean of all stays.

    The mean goes by the parts' shares, so that the running mean is that of the whole batch, however it is cut; the
    running variance is that within parts.
    """

    def __init__(self, norms: Sequence[Any]) -> None:
        self._kept = [tensor for norm in norms for tensor in (norm.running_mean, norm.running_var)]
        self._counts = [norm.num_batches_tracked for norm in norms]
        self._before = [tensor.clone() for tensor in [*self._kept, *self._counts]]
        self._sum = self._flat().zero_()

    def add(self, share: float, *, last: bool) -> None:
        """Add what a part has made of them; after the last one of this process put the mean of all in their place."""
        if not self._kept:
            return
        self._sum += share * self._flat()
        if not last:
            torch._foreach_copy_([*self._kept, *self._counts], self._before)
            return
        if size() > 1:
            distributed.all_reduce(self._sum)
        sizes = [tensor.numel() for tensor in self._kept]
        torch._foreach_copy_(self._kept, list(self._sum.split(sizes)))

    def _flat(self) -> Tensor:
        return torch.cat([tensor.flatten() for tensor in self._kept]) if self._kept else torch.empty(0)
