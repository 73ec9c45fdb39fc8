"""BN-Inception: its published size, the names of the Caffe port, any input size."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from mmtsa_cli.models.bn_inception import PooledConvolution, _halving_pool, bn_inception
from mmtsa_cli.models.cost import macs, parameters


def test_has_the_published_size_and_cost():
    with torch.device("meta"):
        network, images = bn_inception(), torch.zeros(1, 3, 224, 224)
    assert network.features == 1024
    assert parameters(network) == 10_270_240
    assert round(macs(network, images) / 1e9, 2) == 2.03


def test_has_the_names_and_shapes_of_the_caffe_port():
    with torch.device("meta"):
        state = bn_inception().state_dict()
    shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
    # 69 convolutions and normalisations: weight and bias, and weight, bias, mean, variance, count.
    assert len(shapes) == 69 * 7
    assert shapes["conv1_7x7_s2.weight"] == (64, 3, 7, 7)
    assert shapes["conv1_7x7_s2.bias"] == (64,)
    assert shapes["conv1_7x7_s2_bn.running_var"] == (64,)
    assert shapes["conv2_3x3_reduce.weight"] == (64, 64, 1, 1)
    assert shapes["inception_3a_double_3x3_1.weight"] == (96, 64, 3, 3)
    assert shapes["inception_3a_pool_proj_bn.weight"] == (32,)
    assert shapes["inception_3c_3x3.weight"] == (160, 128, 3, 3)
    assert shapes["inception_4e_double_3x3_2.weight"] == (256, 256, 3, 3)
    assert shapes["inception_5a_1x1.weight"] == (352, 1056, 1, 1)
    assert shapes["inception_5b_pool_proj.weight"] == (128, 1024, 1, 1)
    assert not any(name.startswith(("inception_3c_1x1", "inception_4e_pool_proj")) for name in shapes)


def test_normalisation_averages_as_caffe_does():
    norms = [m for m in bn_inception(width=0.25).modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert len(norms) == 69
    assert {(norm.eps, norm.momentum) for norm in norms} == {(1e-5, 0.1)}


@pytest.mark.parametrize("size", [32, 33, 37, 48, 50, 63, 100, 101, 107, 200, 225])
def test_takes_any_size_from_32_pixels_up(size):
    with torch.device("meta"):
        features = bn_inception(in_channels=6, width=0.25).eval()(torch.zeros(2, 6, size, size + 1))
    assert features.shape == (2, 256)


def test_halving_pool_is_the_ports_on_even_sizes():
    maps = torch.rand(2, 3, 28, 14)
    assert torch.equal(_halving_pool(maps), functional.max_pool2d(maps, 3, stride=2, ceil_mode=True))


def test_halving_pool_has_the_size_of_a_strided_convolution_on_odd_sizes():
    maps = torch.rand(1, 1, 7, 5)
    pooled = _halving_pool(maps)
    assert pooled.shape[2:] == functional.conv2d(maps, torch.zeros(1, 1, 3, 3), stride=2, padding=1).shape[2:]
    assert pooled[0, 0, 3, 2] == maps[0, 0, 6, 4]


@pytest.mark.parametrize(("width", "features"), [(0.25, 256), (0.5, 512), (0.01, 32)])
def test_width_scales_the_features(width, features):
    with torch.device("meta"):
        network = bn_inception(width=width)
        assert network.features == network.eval()(torch.zeros(1, 3, 32, 32)).shape[1] == features


def test_a_projection_of_means_is_the_mean_of_projections():
    torch.manual_seed(0)
    layer = PooledConvolution(24, 8, 1).double()
    plain = nn.Conv2d(24, 8, 1).double()
    plain.load_state_dict(layer.state_dict())
    images = torch.rand(2, 24, 9, 6, dtype=torch.float64, requires_grad=True)
    asked = [layer(images), plain(functional.avg_pool2d(images, 3, stride=1, padding=1))]
    torch.testing.assert_close(asked[0], asked[1])
    assert asked[0][:, :, 0, 0].std() > 0.01
    gradients = [torch.autograd.grad(said.square().sum(), [images, *own.parameters()])
                 for said, own in zip(asked, (layer, plain), strict=True)]  # fmt: skip
    torch.testing.assert_close(gradients[0], gradients[1])
