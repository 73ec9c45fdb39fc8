"""The small residual network, and the classifiers of single modalities beside the fused one."""

import pytest
import torch

from mmtsa_cli.errors import UsageError
from mmtsa_cli.imaging.field import FieldOptions
from mmtsa_cli.models.backbones import create_backbone
from mmtsa_cli.models.cost import macs, parameters
from mmtsa_cli.models.network import Input, ModelOptions, build_network


@pytest.mark.parametrize(("width", "features"), [(1.0, 512), (0.25, 128)])
@pytest.mark.parametrize("size", [16, 33, 64])
def test_any_image_becomes_features(width, features, size):
    backbone, promised = create_backbone("resnet10", in_channels=6, width=width, image_size=size)
    assert promised == features
    assert backbone(torch.zeros(2, 6, size, size)).shape == (2, features)


def test_at_full_width_it_is_a_resnet_of_ten_layers():
    backbone, _ = create_backbone("resnet10", in_channels=3)
    weighted = [m for n, m in backbone.named_modules() if isinstance(m, torch.nn.Conv2d) and "shortcut" not in n]
    assert len(weighted) == 9  # the tenth is the classifier
    # 4.9 M of the published ResNet-10 less its classifier and its larger first layer.
    assert parameters(backbone) == pytest.approx(4.9e6, rel=0.01)
    small, _ = create_backbone("resnet10", in_channels=6, width=0.25)
    assert parameters(small) < 0.33e6
    assert macs(small, torch.zeros(1, 6, 32, 32)) < 12e6


@pytest.mark.parametrize("size", [15, 16])
@pytest.mark.parametrize("width", [0.125, 0.25])
def test_shortcuts_of_any_width_are_strided_convolutions(width, size):
    """Those of 8 channels are computed another way, as oneDNN's own may end the process."""
    torch.manual_seed(0)
    backbone, _ = create_backbone("resnet10", in_channels=3, width=width)
    shortcuts = [m for n, m in backbone.named_modules() if isinstance(m, torch.nn.Conv2d) and "shortcut" in n]
    assert shortcuts
    for layer in shortcuts:
        images = torch.randn(2, layer.in_channels, size, size, requires_grad=True)
        plain = torch.nn.functional.conv2d(images, layer.weight, stride=layer.stride)
        weights = torch.randn_like(plain)
        expected = torch.autograd.grad((plain * weights).sum(), (images, layer.weight))
        said = layer(images)
        found = torch.autograd.grad((said * weights).sum(), (images, layer.weight))
        for one, its in zip((said, *found), (plain, *expected), strict=True):
            torch.testing.assert_close(one, its, rtol=1e-5, atol=1e-5)


def test_only_backbones_with_widths_take_one():
    with pytest.raises(UsageError, match=r"resnet18 has one width.*only bn_inception, resnet10, mobilenet_v2"):
        create_backbone("resnet18", in_channels=3, width=0.5)


def test_group_norm_answers_an_image_alone_as_in_any_batch():
    images = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    images[1:] *= 9
    backbone, _ = create_backbone("resnet10", in_channels=3, width=0.25, norm="group")
    torch.testing.assert_close(backbone(images)[:1], backbone(images[:1]), rtol=1e-4, atol=1e-5)
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in backbone.modules())
    batch_norm, _ = create_backbone("resnet10", in_channels=3, width=0.25)
    assert not torch.allclose(batch_norm(images)[:1], batch_norm(images[:1]), rtol=1e-2)
    assert parameters(backbone) == parameters(batch_norm)
    with pytest.raises(UsageError, match=r"model.norm: resnet18 has its own norm, found group; only resnet10"):
        create_backbone("resnet18", in_channels=3, norm="group")


INPUTS = {"acc": Input("sensor", 3, ((-1.0, 1.0),) * 3), "gyro": Input("sensor", 3, ((-1.0, 1.0),) * 3)}
BATCH = {name: torch.randn(4, 3, 3, 32, generator=torch.Generator().manual_seed(1)) for name in INPUTS}


def network(auxiliary):
    torch.manual_seed(0)
    options = ModelOptions(backbone="resnet10", width=0.125, hidden=16, dropout=0.0, auxiliary=auxiliary)
    return build_network(INPUTS, options, FieldOptions(scale="dataset"), segments=3, classes=5)


def test_every_modality_has_its_own_classifier_where_it_is_asked_for():
    said = network(0.5).eval().forward_training(BATCH)
    assert said.logits.shape == (4, 5)
    assert said.attention.sum(dim=1).allclose(torch.ones(4))
    assert [scores.shape for scores in said.own] == [(4, 5)] * 2
    without = network(0.0).forward_training(BATCH)
    assert without.own == without.paired == []


def test_a_modality_is_taught_by_its_own_classifier_alone():
    model = network(0.5).eval()
    model.forward_training(BATCH).own[0].sum().backward()
    acc, gyro = model.encoders["modality_acc"], model.encoders["modality_gyro"]
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in acc.parameters())
    assert all(p.grad is None for p in gyro.parameters())


@pytest.mark.parametrize("backbone", ["resnet10", "bn_inception"])
def test_frames_of_a_snippet_are_prepared_as_single_ones_are(backbone):
    from mmtsa_cli.models.inputs import VideoInput, convention_of

    frames = torch.randint(0, 256, (2, 3, 8, 8, 6), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    both = VideoInput(convention_of(backbone), channels=3, frames=2)(frames)
    single = VideoInput(convention_of(backbone), channels=3)
    assert torch.equal(both, torch.cat([single(frames[..., :3]), single(frames[..., 3:])], dim=2))
