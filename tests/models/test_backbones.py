"""Backbones by name: without classifier, for any channels, with weights where given."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file
from torchvision import models

from mmtsa_cli.errors import DataError, UsageError
from mmtsa_cli.models.backbones import create_backbone
from mmtsa_cli.models.bn_inception import bn_inception

FEATURES = {
    "bn_inception": 1024,
    "resnet18": 512,
    "mobilenet_v3_small": 1024,
    "efficientnet_b0": 1280,
    "densenet121": 1024,
    "vgg11_bn": 4096,
    "googlenet": 1024,
    "inception_v3": 2048,
    "convnext_tiny": 768,
    "swin_t": 768,
    "vit_b_16": 768,
    "squeezenet1_1": 512,
}


@pytest.mark.parametrize("name", FEATURES)
def test_gives_features_of_images_with_any_channels(name):
    with torch.device("meta"):
        for channels in (3, 6):
            backbone, features = create_backbone(name, in_channels=channels, image_size=224)
            assert features == FEATURES[name]
            assert backbone.train()(torch.zeros(2, channels, 224, 224)).shape == (2, features)


def test_unknown_name_offers_the_nearest():
    with pytest.raises(UsageError, match="no backbone 'resnet81'; did you mean resnet18"):
        create_backbone("resnet81", in_channels=3)


@pytest.mark.parametrize(("name", "size"), [("vit_b_16", 96), ("inception_v3", 48)])
def test_size_that_a_model_cannot_take_is_refused(name, size):
    with torch.device("meta"), pytest.raises(UsageError, match=f"{name} cannot take images of {size} x {size} pixels"):
        create_backbone(name, in_channels=3, image_size=size)


def test_width_of_a_model_without_widths_is_refused():
    with pytest.raises(UsageError, match=r"model.width.*found 0.5; only bn_inception"):
        create_backbone("resnet18", in_channels=3, width=0.5)


@pytest.fixture(scope="module")
def resnet_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "resnet18.pth"
    torch.manual_seed(0)
    torch.save(models.resnet18().state_dict(), path)
    return path


@pytest.fixture(scope="module")
def inception_file(tmp_path_factory):
    """A file as the Caffe port's: with its classifier, without counts of batches."""
    path = tmp_path_factory.mktemp("weights") / "bn_inception.pth"
    torch.manual_seed(0)
    state = {name: torch.randn(tensor.shape) for name, tensor in bn_inception().state_dict().items()}
    state = {name: tensor for name, tensor in state.items() if not name.endswith("num_batches_tracked")}
    torch.save({**state, "last_linear.weight": torch.zeros(1000, 1024), "last_linear.bias": torch.zeros(1000)}, path)
    return path


@pytest.mark.parametrize("name", ["bn_inception", "resnet18"])
def test_weights_load_with_their_classifier_left_out(name, inception_file, resnet_file):
    path = {"bn_inception": inception_file, "resnet18": resnet_file}[name]
    backbone, _ = create_backbone(name, in_channels=3, weights=str(path))
    stored = torch.load(path, weights_only=True)
    loaded = {key: value for key, value in backbone.state_dict().items() if "num_batches" not in key}
    assert len(loaded) >= 100
    assert all(torch.equal(value, stored[key]) for key, value in loaded.items())


def test_first_layer_of_a_sensor_is_the_mean_over_colours_repeated(inception_file):
    backbone, _ = create_backbone("bn_inception", in_channels=3, colour=False, weights=str(inception_file))
    weight = torch.load(inception_file, weights_only=True)["conv1_7x7_s2.weight"]
    for channel in range(3):
        torch.testing.assert_close(backbone.conv1_7x7_s2.weight[:, channel], weight.mean(dim=1))


@pytest.mark.parametrize("channels", [1, 6])
def test_other_channels_answer_a_grey_image_as_the_colours_did(channels, resnet_file):
    colour, _ = create_backbone("resnet18", in_channels=3, weights=str(resnet_file))
    other, _ = create_backbone("resnet18", in_channels=channels, weights=str(resnet_file))
    grey = torch.rand(1, 1, 32, 32)
    with torch.no_grad():
        expected = colour.eval()(grey.expand(-1, 3, -1, -1))
        actual = other.eval()(grey.expand(-1, channels, -1, -1))
    torch.testing.assert_close(actual, expected, rtol=1e-3, atol=1e-4)


def test_auxiliary_outputs_of_a_file_are_passed_over(tmp_path):
    state = models.googlenet(aux_logits=True, init_weights=False).state_dict()
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, tmp_path / "googlenet.safetensors")
    backbone, _ = create_backbone("googlenet", in_channels=3, weights=str(tmp_path / "googlenet.safetensors"))
    assert torch.equal(backbone.conv1.conv.weight, state["conv1.conv.weight"])


def test_weights_of_another_width_name_the_tensor(inception_file):
    message = r"bn_inception.pth: tensor conv1_7x7_s2.weight has another shape .* expected \(16, 3, 7, 7\), found \(64"
    with pytest.raises(DataError, match=message):
        create_backbone("bn_inception", in_channels=3, width=0.25, weights=str(inception_file))


def test_weights_of_another_network_name_the_tensor(resnet_file):
    with pytest.raises(DataError, match=r"no tensor conv1_7x7_s2.weight \(and \d+ others.*check backbone and width"):
        create_backbone("bn_inception", in_channels=3, weights=str(resnet_file))
