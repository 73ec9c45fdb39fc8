"""What a network costs: its parameters, and the multiply-accumulates of one run."""

from __future__ import annotations

from typing import Any

from torch import nn


def parameters(module: nn.Module) -> int:
    """Return the number of trainable and fixed parameters; buffers are none."""
    return sum(parameter.numel() for parameter in module.parameters())


def macs(module: nn.Module, *inputs: Any) -> int:
    """Return the multiply-accumulates of convolutions, matrix products and attention in one run.

    Element-wise work (normalisation, activations, fields) is left out, as in published figures. Nothing is computed
    where module and inputs are on the `meta` device.

    Parameters
    ----------
    module : nn.Module
        It is run in evaluation mode, and left in the mode in which it was.
    *inputs
        What it is called with.
    """
    # It imports Triton, a tenth of a second that every training would pay.
    from torch.utils.flop_counter import FlopCounterMode

    was_training = module.training
    module.eval()
    # Gradients stay on: without them torch fuses attention into a kernel that the counter does not see.
    try:
        with FlopCounterMode(display=False) as counter:
            module(*inputs)
    finally:
        module.train(was_training)
    return counter.get_total_flops() // 2
