"""Windows with an event planted in one of their two axes, and a small network that has learned to tell two events."""

from __future__ import annotations

import functools

import torch
from torch.nn import functional

from mmtsa_cli.imaging.field import FieldOptions
from mmtsa_cli.models.network import Input, ModelOptions, SegmentNetwork, build_network

SAMPLES = 64


def clips(count: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return windows, (B, 2, 2, K), classes, (B,), and where in each window the event is, (B, 2).

    Axis 0 holds it among noise, a swell (class 0) or a tremor (class 1) of some 12 samples; axis 1 is noise alone.
    """
    windows = 0.15 * torch.randn(count, 2, 2, SAMPLES, generator=generator)
    classes = torch.randint(2, (count,), generator=generator)
    centres = torch.randint(8, SAMPLES - 8, (count, 2), generator=generator)
    since = torch.arange(SAMPLES) - centres[..., None]
    shape = torch.where(classes[:, None, None] == 0, torch.tensor(0.9), torch.cos(1.6 * since))
    windows[:, :, 0] += torch.exp(-0.5 * (since / 3) ** 2) * shape
    return windows, classes, centres


@functools.cache
@torch.enable_grad()
def trained() -> SegmentNetwork:
    """Return a network that tells the two events apart, in evaluation mode; its caller may want no gradients."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(1)
    options = ModelOptions(backbone="resnet10", width=0.125, hidden=32, dropout=0.1)
    inputs = {"acc": Input("sensor", 2, bounds=[(-1.0, 1.0)] * 2)}
    network = build_network(inputs, options, FieldOptions(scale="dataset"), segments=2, classes=2)
    optimiser = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=0.05)
    for _ in range(100):
        windows, classes, _ = clips(32, generator)
        logits, _ = network({"acc": windows})
        optimiser.zero_grad()
        functional.cross_entropy(logits, classes).backward()
        optimiser.step()
    return network.eval()
