"""Costs against closed forms and torchvision's published ones."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torchvision import models

from mmtsa_cli.models.cost import macs, parameters


def test_closed_forms():
    network = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.Flatten(), nn.Linear(8 * 16, 5))
    images = torch.zeros(2, 3, 8, 8)
    assert parameters(network) == (3 * 9 + 1) * 8 + (8 * 16 + 1) * 5
    assert macs(network, images) == 2 * (8 * 16 * 27 + 8 * 16 * 5)


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small", "swin_t", "vit_b_16"])
def test_equals_what_torchvision_publishes(name):
    published = models.get_model_weights(name).DEFAULT.meta
    with torch.device("meta"):
        network, images = models.get_model(name), torch.zeros(1, 3, 224, 224)
    assert parameters(network) == published["num_params"]
    assert macs(network, images) / 1e9 == pytest.approx(published["_ops"], rel=0.01, abs=0.001)


def test_leaves_the_mode_as_it_was():
    network = nn.Linear(2, 2).train()
    macs(network, torch.zeros(1, 2))
    assert network.training
    macs(network.eval(), torch.zeros(1, 2))
    assert not network.training
