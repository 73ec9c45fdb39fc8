"""Sensors that share a backbone: one set of weights, one run, and all that works with a backbone each still does."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn

from mmtsa_cli.imaging.field import FieldOptions
from mmtsa_cli.models.cost import macs, parameters
from mmtsa_cli.models.grad_cam import grad_cam
from mmtsa_cli.models.leave_out import leave_out
from mmtsa_cli.models.network import Input, ModelOptions, build_network

AXES = ((-2.0, 2.0),) * 3
INPUTS = {
    "rgb": Input("video", 3, size=32),
    "acc": Input("sensor", 3, AXES, size=40),
    "gyro": Input("sensor", 3, AXES, size=50),
    "mag": Input("sensor", 3, AXES, size=40),
    "light": Input("sensor", 1, AXES[:1], size=40),
}
OWN = ModelOptions(backbone="resnet10", width=0.125, hidden=16, dropout=0.0, level=True)
SHARED = replace(OWN, shared_sensors=True)
SENSORS = ("acc", "gyro", "mag")


def network_of(names, options=SHARED, image_size=32):
    torch.manual_seed(0)
    field = FieldOptions(scale="dataset", image_size=image_size)
    return build_network({name: INPUTS[name] for name in names}, options, field, segments=2, classes=4)


def batch_of(names, clips=3):
    generator = torch.Generator().manual_seed(1)
    found = {}
    for name in names:
        wanted = INPUTS[name]
        if wanted.kind == "video":
            found[name] = torch.randint(256, (clips, 2, 32, 32, 3), dtype=torch.uint8, generator=generator)
        else:
            found[name] = torch.randn(clips, 2, wanted.channels, wanted.size, generator=generator)
    return found


def test_sensors_alike_have_the_backbone_of_one():
    one, own, shared = (network_of(*what) for what in ((("acc",),), (SENSORS, OWN), (SENSORS,)))
    backbone = parameters(one.encoders["modality_acc"].backbone)
    assert parameters(own) - parameters(shared) == 2 * backbone
    # The same weights are drawn for the first sensor as for one with a backbone of its own.
    assert torch.equal(own.state_dict()[CONV], shared.state_dict()[CONV])
    # The work is that of three, as each sensor's images go through.
    assert macs(own, batch_of(SENSORS)) == macs(shared, batch_of(SENSORS))


CONV = "encoders.modality_acc.backbone.conv1.weight"


def test_other_axes_and_other_sizes_of_images_have_backbones_of_their_own():
    assert network_of(INPUTS).runs(tuple(INPUTS)) == [("rgb",), SENSORS, ("light",)]
    assert network_of(SENSORS, image_size=None).runs(SENSORS) == [("acc", "mag"), ("gyro",)]
    assert network_of(SENSORS, OWN).runs(SENSORS) == [("acc",), ("gyro",), ("mag",)]


def test_a_run_of_all_says_what_each_alone_does():
    network, batch = network_of(INPUTS).eval(), batch_of(INPUTS)
    together = network._features(batch)
    for name, found in zip(network.modalities, together, strict=True):
        alone = network.encoders[f"modality_{name}"](batch[name])
        torch.testing.assert_close(found, alone, rtol=1e-4, atol=1e-5)


def test_in_training_batch_norm_sees_all_sensors_in_one_batch():
    network, batch = network_of(SENSORS).train(), batch_of(SENSORS)
    network(batch)
    norm = network.encoders["modality_gyro"].backbone.bn1
    assert int(norm.num_batches_tracked) == 1
    nn.functional.cross_entropy(network(batch)[0], torch.tensor([0, 1, 2])).backward()
    assert all(p.grad is not None for p in network.encoders["modality_gyro"].backbone.parameters())


def test_a_state_holds_the_backbone_once_and_makes_the_same_network():
    network, batch = network_of(INPUTS), batch_of(INPUTS)
    network.train()(batch)
    network.eval()
    state = network.state_dict()
    assert not [
        name for name in state if name.startswith(("encoders.modality_gyro.backbone", "encoders.modality_mag.b"))
    ]
    other = network_of(INPUTS, replace(SHARED, dropout=0.1)).eval()
    nn.init.zeros_(other.encoders["modality_acc"].backbone.conv1.weight)
    other.load_state_dict(state)
    assert torch.equal(other(batch)[0], network(batch)[0])
    twin = copy.deepcopy(network)
    assert parameters(twin) == parameters(network)
    assert torch.equal(twin(batch)[0], network(batch)[0])
    with pytest.raises(RuntimeError, match="Missing key"):
        other.load_state_dict({name: value for name, value in state.items() if "backbone" not in name})


def test_modalities_that_are_missing_and_reasons_are_told_as_ever():
    network = network_of(INPUTS, replace(SHARED, modality_dropout=0.3)).eval()
    batch = batch_of(INPUTS)
    some = {name: batch[name] for name in ("gyro", "mag")}
    torch.testing.assert_close(network(some)[0], network.forward_subsets(batch, [("gyro", "mag")])[0][0])
    maps = grad_cam(network, batch, 1)
    assert list(maps) == list(INPUTS)
    for name in SENSORS:
        assert maps[name].shape[:2] == (3, 2)
    # Each sensor has its own map: that of another one's windows differs, that of the same windows alone does not.
    own = grad_cam(network_of(INPUTS, replace(OWN, modality_dropout=0.3)).eval(), batch, 1)
    assert own["mag"].shape == maps["mag"].shape
    changed = grad_cam(network, {**batch, "acc": batch["acc"].flip(-1)}, 1)
    assert not torch.allclose(changed["acc"], maps["acc"])
    assert set(leave_out(network, {name: values[:1] for name, values in batch.items()}).axes) == {*SENSORS, "light"}


def test_a_graph_takes_any_number_of_clips():
    network, batch = network_of(("acc", "gyro")).eval(), batch_of(("acc", "gyro"))
    network(batch)
    clips = torch.export.Dim("clips", min=1)
    shapes = {"inputs": {name: {0: clips} for name in batch}}
    program = torch.export.export(network, (batch,), dynamic_shapes=shapes, strict=False)
    for count in (1, 5):
        more = batch_of(("acc", "gyro"), clips=count)
        torch.testing.assert_close(program.module()(more)[0], network(more)[0], rtol=1e-4, atol=1e-5)
