"""What a network says of a clip without one of its modalities, or with one axis of a sensor at rest.

Without a modality: its features are what modality dropout makes them in training, the token that was learned for it.
A network that was trained without modality dropout has no tokens; then its features are 0, which takes their part
out of the classifier's first layer and out of the scores of attention, and leaves all else as it is. It has never
seen such features, so what it says then is a hint, not a measurement. The mean over training clips would be closer to
what it has seen, but a run does not hold its clips, and those of the recording at hand would give part of it away.

An axis at rest: every window of it holds its own mean. Its field set to mid-grey would be simpler, but no network has
seen such fields beside those of living axes: with one axis of noise beside one that holds the event, a network gave up
more of its score for the noise (measured, tests/models/test_leave_out.py has the case).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from mmtsa_cli.models.network import SegmentNetwork


@dataclass(frozen=True)
class LeftOut:
    """Scores of one clip with something left out.

    Attributes
    ----------
    modalities : mapping of str to (classes,) tensor
        Without each modality of the inputs; empty where there is only one.
    axes : mapping of str to (C, classes) tensor
        With each axis of each sensor at rest.
    """

    modalities: dict[str, Tensor]
    axes: dict[str, Tensor]


def leave_out(network: SegmentNetwork, inputs: Mapping[str, Tensor]) -> LeftOut:
    """Return what a network says of a clip when each modality, and each axis of each sensor, is left out in turn.

    Parameters
    ----------
    network : SegmentNetwork
        In evaluation mode.
    inputs : mapping of str to tensor
        As of `SegmentNetwork.forward`, of one clip.
    """
    encoders = dict(zip(network.modalities, network.encoders.values(), strict=True))
    given = [name for name in network.modalities if name in inputs]
    found = {name: encoders[name](inputs[name], inputs.get(f"{name}.extremes")) for name in given}
    absent = _absent(network, found)
    several = given if len(given) > 1 else []
    modalities = {}
    for name in several:
        others = {other: values for other, values in found.items() if other != name}
        modalities[name] = _scores(network, absent, others)[0]
    axes = {}
    for name in given:
        # A video has five dimensions.
        if inputs[name].ndim == 4:
            rested = _rested(encoders[name], inputs[name], inputs.get(f"{name}.extremes"))
            axes[name] = _scores(network, absent, {**found, name: rested})
    return LeftOut(modalities, axes)


def _absent(network: SegmentNetwork, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return what stands for each modality when it is absent, (1, N, D_m)."""
    if not network.tokens:
        return {name: torch.zeros_like(values) for name, values in features.items()}
    like = next(iter(features.values()))
    return {name: network.token(name).to(like.dtype).expand(*like.shape[:2], -1) for name in network.modalities}


def _rested(encoder: torch.nn.Module, windows: Tensor, extremes: Tensor | None) -> Tensor:
    """Return the features, (C, N, D_m), of a clip's windows, (1, N, C, K), with each axis at rest in turn."""
    axes = windows.shape[2]
    rested = windows.repeat(axes, 1, 1, 1)
    for axis in range(axes):
        rested[axis, :, axis] = windows[0, :, axis].mean(dim=-1, keepdim=True)
    return encoder(rested, None if extremes is None else extremes.expand(axes, -1, -1))


def _scores(network: SegmentNetwork, absent: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensor:
    clips = max(len(values) for values in present.values())
    there = {name: values.expand(clips, -1, -1) for name, values in present.items()}
    stand_ins = {name: values.expand(clips, -1, -1) for name, values in absent.items()}
    return network.classify([{**stand_ins, **there}[name] for name in network.modalities], there)[0]
