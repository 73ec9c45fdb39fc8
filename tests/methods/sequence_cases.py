"""The systems that read sequences, small, on drawn tensors or on a few clips of the synthetic store."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from mmtsa_cli.methods.hamlet import Hamlet
from mmtsa_cli.methods.keyless import Keyless
from mmtsa_cli.methods.multi_gat import MultiGat
from mmtsa_cli.methods.mumu import Mumu
from mmtsa_cli.models.network import Input, ModelOptions
from mmtsa_cli.training.optimisation import TrainingOptions

SYSTEMS = (Keyless, Hamlet, Mumu, MultiGat)
CLASSES = ("sitting", "standing", "walking", "running")
GROUPS = {"sitting": "still", "standing": "still", "walking": "moving", "running": "moving"}
MODEL = ModelOptions(backbone="resnet10", width=0.125, hidden=12, dropout=0.0)
TRAINING = TrainingOptions(
    epochs=12, batch_size=6, optimizer="adamw", lr=0.004, schedule="cosine", threads=1, precision="float32"
)
BACKBONE_FEATURES, D, HIDDEN, SENSOR_AXES = 64, 16, 12, 3


def options_of(system, **wanted):
    """Return small options: 16 features, no dropout."""
    options = replace(system.options_class(), model=MODEL, training=TRAINING)
    if system is not Keyless:
        options = replace(options, features=D)
    return replace(options, **wanted)


def method_of(system, *, sensors=2, channels=3, segments=3, **wanted):
    """Return an untrained system for a video and some sensors."""
    if system is Mumu:
        wanted = {"groups": GROUPS, **wanted}
    inputs = {"rgb": Input("video", channels, size=32)}
    inputs |= {f"sensor.{i}": Input("sensor", SENSOR_AXES, bounds=[(-2.0, 2.0)] * 3, size=12) for i in range(sensors)}
    return system(options_of(system, **wanted), inputs=inputs, classes=CLASSES, segments=segments)


def tensors_of(method, *, clips=4, seed=0):
    """Return what the network of a system gets of some clips, drawn at random."""
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for name, wanted in method.inputs.items():
        if wanted.kind == "video":
            shape = (clips, method.segments, wanted.size, wanted.size, wanted.channels)
            tensors[name] = torch.randint(256, shape, dtype=torch.uint8, generator=generator)
        else:
            tensors[name] = torch.randn(clips, method.segments, wanted.channels, wanted.size, generator=generator)
    return tensors


def cross_entropy(scores, group_of=None):
    """The loss of clips of which each has the next class."""
    labels = torch.arange(len(scores)) % len(CLASSES)
    return nn.functional.cross_entropy(scores, labels if group_of is None else group_of[labels])


def dead_parameters(method, *, clips=8):
    """Return the parameters that the loss does not move: their gradient is nothing beside that of the others."""
    method.network.train()
    loss, _ = method.loss(tensors_of(method, clips=clips), cross_entropy)
    loss.backward()
    sizes = {n: 0.0 if p.grad is None else float(p.grad.abs().max()) for n, p in method.network.named_parameters()}
    return [name for name, size in sizes.items() if size < 1e-6 * max(sizes.values())]


def loud(module, place, amount=10.0):
    """Let a module see its input, (B, T, D), with 1 added everywhere, and `amount` more at one place of T."""

    def louder(_, inputs):
        steps = inputs[0] + 1
        steps[:, place] += amount
        return (steps, *inputs[1:])

    return module.register_forward_pre_hook(louder)
