"""Imaging as a layer: the same fields, whatever the scale, size and precision."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mmtsa_cli.imaging.field import FieldOptions, gramian, rescale
from mmtsa_cli.imaging.layer import FieldImages

B, N, C, K = 2, 4, 3, 16


@pytest.fixture
def windows():
    return torch.from_numpy(np.random.default_rng(0).normal(size=(B, N, C, K)).astype(np.float32))


def reference(windows, low, high, kind="sum", range="signed"):
    values = windows.numpy().astype(np.float64)
    return gramian(
        rescale(values, np.broadcast_to(low, (B, N, C)), np.broadcast_to(high, (B, N, C)), range=range), kind
    )


def test_scale_window_uses_each_windows_own_extremes(windows):
    images = FieldImages(FieldOptions(scale="window"), axes=C)(windows)
    values = windows.numpy().astype(np.float64)
    expected = reference(windows, values.min(axis=-1), values.max(axis=-1))
    assert images.shape == (B, N, C, K, K)
    np.testing.assert_allclose(images, expected, atol=1e-4)


def test_scale_clip_uses_the_extremes_given(windows):
    low, high = torch.full((B, C), -5.0), torch.tensor([[5.0, 6, 7], [8, 9, 10]])
    images = FieldImages(FieldOptions(range="unit"), axes=C)(windows, low, high)
    expected = reference(windows, low.numpy()[:, None], high.numpy()[:, None], range="unit")
    np.testing.assert_allclose(images, expected, atol=1e-4)


def test_extremes_of_one_clip_serve_all(windows):
    layer = FieldImages(FieldOptions(), axes=C)
    one = layer(windows, torch.full((C,), -5.0), torch.full((C,), 5.0))
    each = layer(windows, torch.full((B, C), -5.0), torch.full((B, C), 5.0))
    torch.testing.assert_close(one, each)


def test_scale_clip_without_extremes_is_refused(windows):
    with pytest.raises(ValueError, match="extremes of every clip"):
        FieldImages(FieldOptions(), axes=C)(windows)


def test_scale_dataset_keeps_its_bounds_in_the_state(windows):
    low, high = np.array([-3.0, -2, -1]), np.array([1.0, 2, 3])
    options = FieldOptions(scale="dataset", field="difference")
    layer = FieldImages(options, axes=C, low=low, high=high)
    restored = FieldImages(options, axes=C)
    restored.load_state_dict(layer.state_dict())
    np.testing.assert_allclose(restored(windows), reference(windows, low, high, "difference"), atol=1e-3)


def test_fixed_bounds_come_from_the_options(windows):
    images = FieldImages(FieldOptions(scale="-2,2"), axes=C)(windows)
    np.testing.assert_allclose(images, reference(windows, -2.0, 2.0), atol=1e-3)


def test_bounds_of_another_number_of_axes_are_refused():
    with pytest.raises(ValueError, match="for 3 axes"):
        FieldImages(FieldOptions(scale="dataset"), axes=3, low=np.zeros(2), high=np.ones(2))


def test_both_fields_are_doubled_channels_sums_first(windows):
    both = FieldImages(FieldOptions(scale="window", field="both"), axes=C)
    images = both(windows)
    assert both.channels == 2 * C
    for kind, part in (("sum", images[:, :, :C]), ("difference", images[:, :, C:])):
        torch.testing.assert_close(part, FieldImages(FieldOptions(scale="window", field=kind), axes=C)(windows))


@pytest.mark.parametrize("size", [8, 16, 40])
def test_image_size(windows, size):
    images = FieldImages(FieldOptions(scale="window", image_size=size), axes=C)(windows)
    assert images.shape == (B, N, C, size, size)
    assert images.abs().max() <= 1


def test_shrinking_averages_instead_of_aliasing():
    # Samples that alternate: the field's rows do too; a shrunk image is their mean, not one of them.
    windows = torch.tensor([0.0, 1.0]).repeat(16).reshape(1, 1, 1, 32)
    images = FieldImages(FieldOptions(scale="window", image_size=8, range="unit"), axes=1)(windows)
    assert images[..., 2:-2, 2:-2].abs().max() < 0.1


def test_autocast_leaves_the_field_in_float32(windows):
    layer = FieldImages(FieldOptions(scale="window"), axes=C)
    with torch.autocast("cpu", torch.bfloat16):
        images = layer(windows)
    assert images.dtype == torch.float32
    torch.testing.assert_close(images, layer(windows))


def test_constant_axis_is_zero(windows):
    windows[:, :, 1] = 9.81
    images = FieldImages(FieldOptions(scale="window"), axes=C)(windows)
    assert images[:, :, 1].abs().max() < 1e-6
    assert torch.isfinite(images).all()


def test_exports_with_any_number_of_clips(windows):
    layer = FieldImages(FieldOptions(image_size=8), axes=C)
    extremes = torch.full((B, C), -5.0), torch.full((B, C), 5.0)
    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.export.export(layer, (windows, *extremes), dynamic_shapes=({0: batch}, {0: batch}, {0: batch}))
    more = windows.repeat(3, 1, 1, 1), extremes[0].repeat(3, 1), extremes[1].repeat(3, 1)
    torch.testing.assert_close(program.module()(*more), layer(*more))


def test_a_smaller_image_is_the_field_of_the_averaged_window():
    from mmtsa_cli.imaging.field import piecewise_mean

    windows = torch.randn(2, 3, 3, 64, generator=torch.Generator().manual_seed(0))
    options = FieldOptions(scale="dataset", image_size=32)
    small = FieldImages(options, axes=3, low=[-2.0] * 3, high=[2.0] * 3)(windows)
    averaged = torch.from_numpy(piecewise_mean(windows.numpy(), 32)).float()
    native = FieldImages(FieldOptions(scale="dataset"), axes=3, low=[-2.0] * 3, high=[2.0] * 3)(averaged)
    assert small.shape == (2, 3, 3, 32, 32)
    assert torch.allclose(small, native, atol=1e-5)
