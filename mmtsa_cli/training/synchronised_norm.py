"""Batch norm over the batches of all processes, on CPUs (Gloo) as on GPUs (NCCL).

`torch.nn.SyncBatchNorm` refuses CPUs. Here each process tells the others count, mean and mean square deviation of its
batch; from these follow, exactly, mean and variance of all clips together (Chan, Golub, LeVeque, 1979), and gradients
flow back through what was told.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmtsa_cli.training.group import rank, size


class _Sum(torch.autograd.Function):
    """The sum of a tensor over processes; its gradient is the sum of theirs."""

    @staticmethod
    def forward(context: Any, own: Tensor) -> Tensor:
        total = own.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(total)
        return total


def norms_of(network: nn.Module) -> list[_BatchNorm]:
    """Return the batch norms of a network that keep running statistics, each once."""
    return [m for m in network.modules() if isinstance(m, _BatchNorm) and m.running_mean is not None]


@contextmanager
def synchronised_norms(network: nn.Module, wanted: bool) -> Iterator[None]:
    """Within the block the batch norms of a network in training see the batches of all processes.

    Modules, names and weights stay what they are.
    """
    norms = norms_of(network) if wanted and size() > 1 else []
    for norm in norms:
        norm.forward = partial(_forward, norm)  # type: ignore[method-assign]
    try:
        yield
    finally:
        for norm in norms:
            del norm.forward


def _forward(norm: _BatchNorm, values: Tensor) -> Tensor:
    """Normalise (B, C, ...) by the statistics of all processes; in evaluation by the running ones, as ever."""
    if not norm.training:
        return type(norm).forward(norm, values)
    own = values.float()
    count, mean, variance = _statistics(own)
    _follow(norm, count, mean.detach(), variance.detach())
    shape = (1, -1, *[1] * (own.ndim - 2))
    scale = torch.rsqrt(variance + norm.eps)
    offset = -mean * scale
    if norm.affine:
        scale, offset = scale * norm.weight, offset * norm.weight + norm.bias
    return (own * scale.view(shape) + offset.view(shape)).to(values.dtype)


def _statistics(values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return count, mean (C,) and variance (C,), divided by the count, of the values of all processes."""
    channels = values.shape[1]
    variance, mean = torch.var_mean(values, dim=[0, *range(2, values.ndim)], correction=0)
    table = values.new_zeros(size(), 2 * channels + 1)
    own = torch.cat([values.new_full((1,), values.numel() / channels), mean, variance])
    told = _Sum.apply(table.index_put((torch.tensor(rank(), device=values.device),), own))
    count = told[:, :1].detach()
    means, variances = told[:, 1 : channels + 1], told[:, channels + 1 :]
    share = count / count.sum()
    total = (share * means).sum(dim=0)
    return count.sum(), total, (share * (variances + (means - total) ** 2)).sum(dim=0)


def _follow(norm: _BatchNorm, count: Tensor, mean: Tensor, variance: Tensor) -> None:
    """Move the running statistics as batch norm does; the running variance is that of a sample."""
    with torch.no_grad():
        norm.num_batches_tracked.add_(1)  # type: ignore[union-attr]
        follow = norm.momentum if norm.momentum is not None else 1 / float(norm.num_batches_tracked)  # type: ignore[arg-type]
        norm.running_mean.lerp_(mean, follow)  # type: ignore[union-attr]
        norm.running_var.lerp_(variance * count / (count - 1), follow)  # type: ignore[union-attr]
