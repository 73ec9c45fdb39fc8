"""Backbones in 8-bit integers: exact where bytes are, and near the network elsewhere."""

from __future__ import annotations

import copy
from itertools import product

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import fx, nn
from torch.nn import functional

from mmtsa_cli.models.bn_inception import PooledConvolution
from mmtsa_cli.models.inference import activation_ranges, ready_in_integers
from mmtsa_cli.models.integers import (
    FromBytes,
    IntegerConvolution,
    IntegerPooledConvolution,
    Scale,
    ToBytes,
    Watch,
    computes_integers,
    in_integers,
)
from tests.models.test_inference import seen

integers = pytest.mark.skipif(not computes_integers(), reason="this processor does not multiply bytes")
BOUND = {"bn_inception": 0.15, "resnet10": 0.05, "mobilenet_v3_small": 0.3}
"""Of the features' largest difference, as a part of the largest feature, with weights drawn at random."""

_ENDS = st.floats(-1e4, 1e4, allow_nan=False)


@given(_ENDS, _ENDS, st.floats(0, 1))
def test_a_byte_is_nearer_than_half_a_step_within_the_range_and_zero_is_exact(one, other, part):
    low, high = min(one, other, 0.0), max(one, other, 0.0)
    scale = Scale.of(low, high)
    assert 0 <= scale.zero <= 255
    values = torch.tensor([0.0, low + part * (high - low)], dtype=torch.float32).reshape(1, 2, 1, 1)
    again = FromBytes(scale)(ToBytes(scale)(values))
    assert again[0, 0] == 0
    # The zero itself is rounded to a byte, so that an end may be cut by half a step.
    assert abs(again - values).max() <= scale.step * 1.01 + 1e-4 * abs(values).max()


@integers
@pytest.mark.parametrize(("stride", "groups", "pooled"), [(1, 1, False), (2, 1, False), (1, 4, False), (1, 1, True)])
def test_whole_numbers_come_out_exactly(stride, groups, pooled):
    torch.manual_seed(0)
    size = 1 if pooled else 3
    layer = (PooledConvolution if pooled else nn.Conv2d)(4, 8, size, stride=stride, padding=size // 2, groups=groups)
    with torch.no_grad():
        layer.weight.copy_(torch.randint(-126, 127, layer.weight.shape))
        layer.weight[:, 0, 0, 0] = 127  # so that a step of the weights is 1
        layer.bias.copy_(torch.randint(-900, 900, layer.bias.shape))
    images = torch.randint(0, 256, (2, 4, 9, 9)).to(torch.uint8).to(memory_format=torch.channels_last)
    with torch.inference_mode():
        form = IntegerPooledConvolution if pooled else IntegerConvolution
        exact = layer(images.float() - 100)
        if pooled:  # the mean over pixels counts those beyond the edge as 0
            exact = functional.avg_pool2d(functional.conv2d(images.float() - 100, layer.weight), 3, 1, 1)
            exact = exact + layer.bias.view(-1, 1, 1)
        said = form(layer, Scale(1.0, 100), None)(images)
        cut = form(layer, Scale(1.0, 100), Scale(512.0))(images)
    assert said.dtype == torch.float32
    assert torch.allclose(said, exact, rtol=1e-5, atol=0.05)
    assert cut.dtype == torch.uint8
    assert (cut.float() - (exact / 512).clamp(0, 255)).abs().max() <= 0.501


@integers
@pytest.mark.parametrize("backbone", list(BOUND))
def test_the_copy_is_near_the_network_and_all_its_convolutions_are_of_bytes(backbone):
    network, tensors = seen(backbone)
    before = copy.deepcopy(network.state_dict())
    ready = ready_in_integers(network, activation_ranges(network, [tensors]))
    layers = list(ready.modules())
    assert any(isinstance(layer, IntegerConvolution) for layer in layers)
    assert not any(isinstance(layer, (nn.Conv2d, nn.BatchNorm2d)) for layer in layers)
    with torch.inference_mode():
        for clips in (6, 1, 6):
            some = {name: values[:clips] for name, values in tensors.items()}
            exact, near = (
                torch.cat([encoder(some[name]) for name, encoder in zip(tensors, one.encoders.values(), strict=True)])
                for one in (network, ready)
            )
            assert (near - exact).abs().max() / exact.abs().max() < BOUND[backbone]
            assert near.std() > 0.5 * exact.std()
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


@integers
def test_between_the_layers_of_bn_inception_there_are_bytes_alone():
    network, tensors = seen("bn_inception")
    ready = ready_in_integers(network, activation_ranges(network, [tensors]))
    graph = ready.encoders["modality_rgb"].backbone
    kinds = [type(layer) for layer in graph.modules()]
    assert (kinds.count(ToBytes), kinds.count(FromBytes)) == (1, 1)
    # A ReLU is where bytes are cut at 0.
    assert not [node for node in graph.graph.nodes if node.target is functional.relu]


@integers
def test_sensors_that_share_a_backbone_share_its_scales_and_a_copy_answers_alike():
    network, tensors = seen("resnet10", shared_sensors=True)
    ranges = activation_ranges(network, [tensors])
    assert len(ranges) == 2  # of the video, and of both sensors
    ready = ready_in_integers(network, ranges)
    with torch.inference_mode():
        said = ready(tensors)[0]
        assert torch.equal(copy.deepcopy(ready)(tensors)[0], said)


def test_ranges_hold_over_all_batches():
    graph = fx.symbolic_trace(nn.Sequential(nn.Conv2d(1, 2, 1), nn.ReLU()))
    watch = Watch(graph)
    batches = [torch.full((1, 1, 2, 2), float(value)) for value in (3, -5, 1)]
    with torch.inference_mode():
        said = [watch(images) for images in batches]
    assert watch.ranges["input_1"] == (-5, 3)
    assert watch.ranges["_1"] == (min(float(one.min()) for one in said), max(float(one.max()) for one in said))


class Branches(nn.Module):
    """What passes bytes on, and layers that need numbers; with `beside` one branch gives numbers, too."""

    def __init__(self, *, beside: bool):
        super().__init__()
        self.one, self.two, self.three = nn.Conv2d(2, 3, 1), nn.Conv2d(2, 3, 3, padding=1), nn.Conv2d(6, 4, 1)
        self.beside = beside

    def forward(self, images):
        one, two = functional.relu(self.one(images)), functional.relu(self.two(images))
        joined = torch.cat([one.sqrt() if self.beside else one, two], dim=1)
        pooled = functional.max_pool2d(functional.pad(joined, (0, 1, 0, 1)), 3, stride=2)
        return functional.hardswish(self.three(pooled)) + pooled[:, :4]


@integers
@pytest.mark.parametrize("beside", [False, True])
def test_what_passes_bytes_on_keeps_one_scale_and_what_cannot_gets_numbers(beside):
    torch.manual_seed(0)
    graph, images = fx.symbolic_trace(Branches(beside=beside).eval()), torch.randn(3, 2, 8, 8)
    watch = Watch(graph)
    with torch.inference_mode():
        exact = watch(images)
        changed = in_integers(graph, watch.ranges)
        assert (changed(images) - exact).abs().max() < 0.05 * exact.abs().max()
    assert any(node.target is functional.max_pool2d for node in changed.graph.nodes) == beside


def test_a_network_without_a_fixed_graph_has_no_ranges():
    class Branching(nn.Module):
        def forward(self, images):
            return images.mean(dim=(2, 3)) if images.sum() > 0 else images.amax(dim=(2, 3))

    network, tensors = seen("resnet10")
    network.encoders["modality_acc"].backbone = Branching()
    assert activation_ranges(network, [tensors]) is None


def test_ranges_of_another_network_are_refused():
    network, tensors = seen("resnet10")
    ranges = activation_ranges(network, [tensors])
    names = list(ranges)
    for name, node in product(names[:1], list(ranges[names[0]])[:1]):
        lacking = {**ranges, name: {key: value for key, value in ranges[name].items() if key != node}}
        with pytest.raises(KeyError):
            ready_in_integers(network, lacking)
    with pytest.raises(KeyError):
        ready_in_integers(network, {name: ranges[name] for name in names[1:]})
