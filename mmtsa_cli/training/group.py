"""The processes that train one network together: how they find each other, and what they tell each other.

A process that was started alone is a group of one, and none of these functions does anything for it. The first of them
(rank 0) is the one that writes files and speaks to people.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import distributed

from mmtsa_cli.errors import MmtsaError, UsageError
from mmtsa_cli.training.launched import is_one_of_several, restarts

T = TypeVar("T")
_PATIENCE = timedelta(minutes=30)
"""How long a process waits for the others: the first one alone draws curves and writes files meanwhile."""


class LostProcessError(MmtsaError):
    """A step failed in one of several processes, most often because another of them is no more (exit code 1)."""


def size() -> int:
    """Return how many processes train together."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def rank() -> int:
    """Return the number of this one, from 0."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def is_first() -> bool:
    """Whether this is the process that writes and speaks."""
    return rank() == 0


@contextmanager
def joined(device: str) -> Iterator[None]:
    """Within the block this process and those that were started with it are a group, if any were.

    They speak over Gloo on CPUs and over NCCL on GPUs, of which each process gets its own. The cores of a machine are
    shared out evenly among its processes, unless `training.threads` says otherwise later.

    Parameters
    ----------
    device : str
        As of `TrainingOptions`.

    Raises
    ------
    UsageError
        One device is named for all, or a machine has fewer GPUs than processes.
    """
    if not is_one_of_several() or distributed.is_initialized():
        yield
        return
    cuda = device.split(":")[0] == "cuda" or (device == "auto" and torch.cuda.is_available())
    if cuda:
        torch.cuda.set_device(_own_gpu(device))
    else:
        torch.set_num_threads(max(1, _cores() // int(os.environ["LOCAL_WORLD_SIZE"])))
    store, number, count = next(distributed.rendezvous("env://", timeout=_PATIENCE))
    if os.environ["LOCAL_WORLD_SIZE"] == os.environ["WORLD_SIZE"]:
        # Torchrun's store outlives those that died: what they left must not be taken for an address of the living. On
        # several machines this count is each one's own, and TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1 does the same.
        store = distributed.PrefixStore(f"restart-{restarts()}", store)
    distributed.init_process_group(
        "nccl" if cuda else "gloo", store=store, rank=number, world_size=count, timeout=_PATIENCE
    )
    try:
        yield
        # Who leaves while others still wait for what it said breaks the connection under them.
        distributed.barrier()
    finally:
        distributed.destroy_process_group()


def _own_gpu(device: str) -> int:
    own, there = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
    if ":" in device:
        raise UsageError(
            "one device for several processes",
            where="training.device",
            expected="auto, cpu or cuda: each process takes a GPU of its own",
            found=device,
        )
    if own >= there:
        raise UsageError(
            "more processes than GPUs on this machine",
            where="training.device",
            expected=f"at most {there} processes",
            found=os.environ["LOCAL_WORLD_SIZE"],
            remedy="start fewer, or set training.device=cpu",
        )
    return own


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def from_first(make: Callable[[], T]) -> T:
    """Return in every process what `make` returned in the first, the only one that calls it.

    Raises
    ------
    MmtsaError
        What it raised there; in the others, one with the same line.
    """
    if size() == 1:
        return make()
    said: list[Any] = [None, None]
    error: Exception | None = None
    if is_first():
        try:
            said[0] = make()
        except Exception as raised:  # noqa: BLE001 - raised again below, when the others know
            error = raised
            said[1] = (raised.line() if isinstance(raised, MmtsaError) else str(raised), _exit_code(raised))
    distributed.broadcast_object_list(said, src=0)
    if error is not None:
        raise error
    if said[1] is not None:
        told = MmtsaError(said[1][0])
        told.exit_code = said[1][1]
        raise told
    return said[0]


def _exit_code(error: Exception) -> int:
    return error.exit_code if isinstance(error, MmtsaError) else 1


def summed(values: Sequence[float]) -> list[float]:
    """Return the sums of numbers over all processes."""
    if size() == 1:
        return list(values)
    told = torch.tensor(values, dtype=torch.float64, device=_device())
    distributed.all_reduce(told)
    return told.tolist()


def any_of(wish: bool) -> bool:
    """Return whether any process wishes it."""
    return summed([float(wish)])[0] > 0


def own_part(count: int) -> list[int]:
    """Return which of `count` things, from 0, this process does: a run of them, the same one as another's at need."""
    if not count:
        return []
    own = np.array_split(np.arange(count), size())[rank()].tolist()
    return own or [0]


def gathered(numbers: Sequence[int], rows: NDArray[Any], count: int) -> NDArray[Any]:
    """Return the rows that all processes made of `count` things, in the order of their numbers.

    Parameters
    ----------
    numbers : sequence of n int
        Which things the rows of this process are of, as `own_part` said.
    rows : (n, ...) array
        Of one shape but for n in every process.
    count : int
    """
    if size() == 1:
        return in_order([np.asarray(numbers)], [rows], count)
    longest = -(-count // size())
    # All must send as much: who has less repeats its last row, under its own number.
    chosen = np.minimum(np.arange(longest), len(rows) - 1)
    own = [torch.from_numpy(np.ascontiguousarray(array[chosen])).to(_device()) for array in (np.asarray(numbers), rows)]
    parts = []
    for tensor in own:
        told = [torch.empty_like(tensor) for _ in range(size())]
        distributed.all_gather(told, tensor)
        parts.append([part.cpu().numpy() for part in told])
    return in_order(parts[0], parts[1], count)


def in_order(numbers: Sequence[NDArray[np.int64]], rows: Sequence[NDArray[Any]], count: int) -> NDArray[Any]:
    """Return one row of each number from 0 to `count` - 1, in this order, however often a number is there.

    Raises
    ------
    ValueError
        A number is missing, or none of them.
    """
    found, first = np.unique(np.concatenate(numbers), return_index=True)
    if not np.array_equal(found, np.arange(count)):
        raise ValueError(f"rows of {len(found)} things where {count} were to be done")
    return np.concatenate(rows)[first]


def _device() -> torch.device:
    return torch.device("cuda" if distributed.get_backend() == "nccl" else "cpu")
