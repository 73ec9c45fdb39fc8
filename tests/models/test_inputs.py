"""What goes into a backbone: order of colours, range, means."""

from __future__ import annotations

import pytest
import torch

from mmtsa_cli.models.inputs import CAFFE, HALVES, IMAGENET, SensorInput, VideoInput, convention_of


def frames_of(*colour):
    return torch.tensor(colour, dtype=torch.uint8).expand(2, 3, 4, 5, len(colour))


def test_each_backbone_has_its_convention():
    assert convention_of("bn_inception") is CAFFE
    assert convention_of("resnet18") is IMAGENET
    assert convention_of("inception_v3") is HALVES


def test_caffe_takes_blue_first_less_the_means():
    images = VideoInput(CAFFE)(frames_of(255, 100, 10))
    assert images.shape == (2, 3, 3, 4, 5)
    assert images[0, 0, :, 0, 0].tolist() == [10 - 104, 100 - 117, 255 - 128]


def test_torchvision_takes_normalised_red_first():
    images = VideoInput(IMAGENET)(frames_of(255, 0, 51))
    expected = torch.tensor([(1 - 0.485) / 0.229, -0.456 / 0.224, (0.2 - 0.406) / 0.225])
    torch.testing.assert_close(images[0, 0, :, 0, 0], expected)


def test_grey_frames_take_the_colours_mean():
    images = VideoInput(CAFFE, channels=1)(frames_of(116))
    assert images.shape == (2, 3, 1, 4, 5)
    torch.testing.assert_close(images.flatten()[0], torch.tensor(116 - 349 / 3))


def test_frames_of_two_channels_are_refused():
    with pytest.raises(ValueError, match="2 channels"):
        VideoInput(CAFFE, channels=2)


@pytest.mark.parametrize("convention", [CAFFE, IMAGENET, HALVES])
@pytest.mark.parametrize(("channels", "count"), [(3, 1), (3, 2), (1, 1), (1, 5)])
def test_frames_are_normalised_as_the_formula_says(convention, channels, count):
    frames = torch.randint(0, 256, (2, 3, 5, 7, channels * count), dtype=torch.uint8)
    ordered = frames.unflatten(-1, (count, channels))
    if channels == 3 and convention.order == "bgr":
        ordered = ordered.flip(-1)
    mean, std = torch.tensor(convention.mean), torch.tensor(convention.std)
    if channels == 1:
        mean, std = mean.mean(), std.mean()
    expected = ((ordered.float() * (convention.scale / 255) - mean) / std).flatten(-2).permute(0, 1, 4, 2, 3)
    made = VideoInput(convention, channels=channels, frames=count)(frames)
    assert torch.equal(made, expected)
    # As convolutions read it fastest, without a copy.
    assert made.flatten(0, 1).is_contiguous(memory_format=torch.channels_last) or channels * count == 1


@pytest.mark.parametrize("convention", [CAFFE, IMAGENET, HALVES])
def test_sensor_images_are_the_grey_images_of_equation_5(convention):
    grey = torch.tensor([0, 51, 255], dtype=torch.uint8).reshape(1, 1, 1, 3, 1)
    as_video = VideoInput(convention, channels=1)(grey).flatten()
    as_field = SensorInput(convention)(torch.tensor([-1.0, -0.6, 1.0]))
    torch.testing.assert_close(as_field, as_video, rtol=0.02, atol=1e-4)
