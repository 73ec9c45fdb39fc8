"""Grad-CAM: known maps of networks made by hand, the layer it takes, and where it finds a planted event."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mmtsa_cli.imaging.field import FieldOptions
from mmtsa_cli.imaging.layer import FieldImages
from mmtsa_cli.models.encoders import SensorEncoder
from mmtsa_cli.models.fusion import AverageFusion
from mmtsa_cli.models.grad_cam import grad_cam, time_importance
from mmtsa_cli.models.inputs import InputConvention
from mmtsa_cli.models.network import Input, ModelOptions, SegmentNetwork, build_network
from tests.models import planted

PLAIN = InputConvention("rgb", 2.0, (1.0, 1.0, 1.0), (1.0, 1.0, 1.0))
"""Fields reach the backbone as they are."""
REST = 0.5**0.5
"""An axis that rests here has a field of zeros."""


class Bright(nn.Module):
    """A backbone by hand: how bright an image is on the mean, and twice that."""

    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv2d(1, 2, 1, bias=False)
        self.convolution.weight.data = torch.tensor([1.0, 2.0]).reshape(2, 1, 1, 1)

    def forward(self, images):
        return self.convolution(images).relu().mean(dim=(2, 3))


def by_hand():
    """A network of one axis: the score of class 0 is five times the brightness of its fields, of class 1 none."""
    images = FieldImages(FieldOptions(scale="-1,1"), axes=1)
    encoder = SensorEncoder(images, Bright(), 2, PLAIN)
    classifier = nn.Linear(2, 2, bias=False)
    classifier.weight.data = torch.tensor([[1.0, 2.0], [0.0, 0.0]])
    return SegmentNetwork({"acc": encoder}, AverageFusion(), classifier).eval()


def with_event(at, length=40):
    """Two windows at rest, (1, 2, 1, K): in the first one three samples are at the top."""
    windows = torch.full((1, 2, 1, length), REST)
    windows[0, 0, 0, at - 1 : at + 2] = 1.0
    return {"acc": windows}


@pytest.mark.parametrize("at", [1, 13, 38])
def test_a_map_lies_on_the_event_and_sums_to_the_score(at):
    network, inputs = by_hand(), with_event(at)
    maps = grad_cam(network, inputs, 0)["acc"]
    assert maps.shape == (1, 2, 40, 40)
    assert maps.min() >= 0
    torch.testing.assert_close(maps[0, 1], torch.zeros(40, 40), atol=1e-6, rtol=0)
    logits, _ = network(inputs)
    torch.testing.assert_close(maps.sum(), logits[0, 0])
    moments = time_importance(maps, 40)
    assert moments.shape == (1, 2, 40)
    assert moments.min() >= 0
    torch.testing.assert_close(moments.sum(dim=-1), maps.sum(dim=(2, 3)))
    assert abs(int(moments[0, 0].argmax()) - at) <= 1
    assert moments[0, 0, at] > 4 * moments[0, 0].median()
    torch.testing.assert_close(grad_cam(network, inputs, 1)["acc"], torch.zeros(1, 2, 40, 40))


def test_a_pixel_is_shared_by_its_row_and_its_column():
    place = torch.zeros(8, 8)
    place[2, 5] = 3.0
    expected = torch.zeros(8)
    expected[[2, 5]] = 1.5
    torch.testing.assert_close(time_importance(place, 8), expected)
    torch.testing.assert_close(time_importance(place.T, 8), expected)
    torch.testing.assert_close(time_importance(torch.diag(torch.arange(8.0)), 8), torch.arange(8.0))


@pytest.mark.parametrize("samples", [5, 8, 37, 200])
def test_enlarging_keeps_the_sum_and_the_place(samples):
    maps = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    maps[0, 0] = 0
    maps[0, 0, 6, 6] = 1
    moments = time_importance(maps, samples)
    assert moments.shape == (2, 3, samples)
    assert moments.min() >= 0
    torch.testing.assert_close(moments.sum(dim=-1), maps.sum(dim=(2, 3)))
    assert moments[0, 0].argmax() / samples == pytest.approx(6.5 / 8, abs=1 / 8)
    torch.testing.assert_close(time_importance(torch.zeros(8, 8), samples), torch.zeros(samples))


def two_modalities(backbone="resnet10", **options):
    torch.manual_seed(0)
    inputs = {"rgb": Input("video", 3), "acc": Input("sensor", 3, bounds=[(-2.0, 2.0)] * 3)}
    wanted = ModelOptions(backbone=backbone, width=0.25, hidden=16, **options)
    return build_network(inputs, wanted, FieldOptions(scale="dataset"), segments=2, classes=3).eval()


def inputs_of(size, samples=32):
    generator = torch.Generator().manual_seed(0)
    frames = torch.randint(256, (1, 2, size, size, 3), dtype=torch.uint8, generator=generator)
    return {"rgb": frames, "acc": torch.randn(1, 2, 3, samples, generator=generator)}


@pytest.mark.parametrize(
    ("backbone", "size", "side"),
    [("resnet10", 32, 8), ("resnet10", 112, 7), ("bn_inception", 112, 7), ("resnet10", 8, 4)],
)
def test_the_layer_is_the_last_with_seven_by_seven_places(backbone, size, side):
    maps = grad_cam(two_modalities(backbone), inputs_of(size), 0)
    assert maps["rgb"].shape == (1, 2, side, side)
    assert maps["acc"].shape[:2] == (1, 2)


@pytest.mark.parametrize("fusion", ["attention", "average"])
def test_of_a_modality_that_is_cut_off_it_is_zero(fusion):
    network = two_modalities(fusion=fusion)
    whole = grad_cam(network, inputs_of(32), 1)
    assert whole["rgb"].sum() > 0
    assert whole["acc"].sum() > 0
    width = network.encoders["modality_rgb"].features
    with torch.no_grad():
        network.classifier[1].weight[:, :width] = 0
        if fusion == "attention":
            network.fusion.weight[:width] = 0
    maps = grad_cam(network, inputs_of(32), 1)
    torch.testing.assert_close(maps["rgb"], torch.zeros_like(maps["rgb"]), rtol=0, atol=0)
    assert maps["acc"].sum() > 0


def test_the_network_is_left_as_it_was():
    network, inputs = two_modalities(), inputs_of(32)
    before = network(inputs)[0].detach()
    once, twice = (grad_cam(network, inputs, 2)["acc"] for _ in range(2))
    torch.testing.assert_close(once, twice, rtol=0, atol=0)
    torch.testing.assert_close(network(inputs)[0].detach(), before, rtol=0, atol=0)
    assert all(parameter.grad is None for parameter in network.parameters())
    with torch.no_grad():
        torch.testing.assert_close(grad_cam(network, inputs, 2)["acc"], once, rtol=0, atol=0)


def test_a_modality_that_is_absent_has_no_map():
    network = two_modalities(modality_dropout=0.3)
    assert list(grad_cam(network, {"acc": inputs_of(32)["acc"]}, 0)) == ["acc"]


def test_it_peaks_where_an_event_was_planted():
    network = planted.trained()
    windows, classes, centres = planted.clips(40, torch.Generator().manual_seed(2))
    assert (network({"acc": windows})[0].argmax(dim=1) == classes).float().mean() > 0.9
    maps = torch.cat(
        [grad_cam(network, {"acc": w[None]}, int(c))["acc"] for w, c in zip(windows, classes, strict=True)]
    )
    moments = time_importance(maps, planted.SAMPLES)
    near = ((moments.argmax(dim=-1) - centres).abs() <= 8).float().mean()
    # Chance is some 0.27.
    assert near > 0.7
