"""Leaving out: what a network says without a modality, and with an axis at rest."""

from __future__ import annotations

import pytest
import torch

from mmtsa_cli.imaging.field import FieldOptions
from mmtsa_cli.models.leave_out import leave_out
from mmtsa_cli.models.network import Input, ModelOptions, build_network
from tests.models import planted


def network_of(**options):
    torch.manual_seed(0)
    inputs = {name: Input("sensor", 2, bounds=[(-2.0, 2.0)] * 2) for name in ("acc", "gyro", "other")}
    wanted = ModelOptions(backbone="resnet10", width=0.125, hidden=16, **options)
    return build_network(inputs, wanted, FieldOptions(scale="dataset"), segments=2, classes=3).eval()


def windows_of(names=("acc", "gyro", "other")):
    generator = torch.Generator().manual_seed(0)
    return {name: torch.randn(1, 2, 2, 32, generator=generator) for name in names}


def cut_off(network, number):
    """Let nothing of the features of a modality reach the scores."""
    width = network.encoders["modality_acc"].features
    part = slice(number * width, (number + 1) * width)
    with torch.no_grad():
        network.classifier[1].weight[:, part] = 0
        network.fusion.weight[part] = 0


@torch.no_grad()
def test_only_the_modality_that_decides_is_missed():
    network, inputs = network_of(), windows_of()
    with torch.no_grad():
        network.fusion.weight.normal_()
    cut_off(network, 1)
    cut_off(network, 2)
    scores = network(inputs)[0][0]
    found = leave_out(network, inputs)
    assert list(found.modalities) == ["acc", "gyro", "other"]
    torch.testing.assert_close(found.modalities["gyro"], scores)
    torch.testing.assert_close(found.modalities["other"], scores)
    assert (found.modalities["acc"] - scores).abs().max() > 1e-3
    # Nothing is left that could depend on the recording.
    others = leave_out(network, {**inputs, "acc": -inputs["acc"]})
    torch.testing.assert_close(others.modalities["acc"], found.modalities["acc"])


@pytest.mark.parametrize("vote", [False, True])
@torch.no_grad()
def test_with_modality_dropout_the_token_stands_for_it(vote):
    network, inputs = network_of(modality_dropout=0.3, auxiliary=0.5, vote=vote), windows_of()
    for token in network.tokens.values():
        token.normal_()
    found = leave_out(network, inputs)
    for name in inputs:
        without = network({other: windows for other, windows in inputs.items() if other != name})[0][0]
        torch.testing.assert_close(found.modalities[name], without)
    # One that was not recorded has its token from the start.
    two = leave_out(network, windows_of(("acc", "gyro")))
    assert list(two.modalities) == ["acc", "gyro"]
    torch.testing.assert_close(two.modalities["gyro"], network(windows_of(("acc",)))[0][0])
    assert leave_out(network, windows_of(("acc",))).modalities == {}


@torch.no_grad()
def test_an_axis_at_rest_holds_the_mean_of_its_window():
    network, inputs = network_of(), windows_of()
    found = leave_out(network, inputs)
    for axis in range(2):
        changed = inputs["gyro"].clone()
        changed[:, :, axis] = changed[:, :, axis].mean(dim=-1, keepdim=True)
        expected = network({**inputs, "gyro": changed})[0][0]
        torch.testing.assert_close(found.axes["gyro"][axis], expected)
    assert set(found.axes) == {"acc", "gyro", "other"}


@torch.no_grad()
def test_the_axis_with_the_event_is_missed_and_that_of_noise_is_not():
    network = planted.trained()
    windows, classes, _ = planted.clips(64, torch.Generator().manual_seed(2))
    lost = torch.zeros(2)
    for clip, label in zip(windows, classes, strict=True):
        inputs = {"acc": clip[None]}
        sides = torch.tensor([1.0, -1.0]) * (1 if label == 0 else -1)
        lost += (network(inputs)[0] * sides).sum() - (leave_out(network, inputs).axes["acc"] * sides).sum(dim=1)
    assert lost[0] / 64 > 2
    assert lost[1].abs() < 0.1 * lost[0]
