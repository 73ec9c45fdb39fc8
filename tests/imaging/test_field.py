"""The field's arithmetic: against pyts, against itself, and its laws."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mmtsa_cli.artifacts.options import Source, to_options
from mmtsa_cli.errors import ManyErrors
from mmtsa_cli.imaging.field import (
    FieldOptions,
    gramian,
    grey_field,
    parse_bounds,
    piecewise_mean,
    rescale,
    to_grey,
    window_of_field,
)

KINDS = ("sum", "difference")
RANGES = ("signed", "unit")


@pytest.fixture
def gramian_of_pyts(monkeypatch):
    # pyts compiles its loops when it is imported, which takes a minute; interpreted they are quick enough here.
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    from pyts.image import GramianAngularField

    return GramianAngularField


def field_of(series, *, kind="sum", range="signed"):
    return gramian(rescale(series, series.min(axis=-1), series.max(axis=-1), range=range), kind)


def random_series(samples=120, axes=3, seed=0):
    return np.random.default_rng(seed).normal(size=(axes, samples)).cumsum(axis=-1)


def varied_series(low=-50.0, high=50.0):
    """Series that move by more than rounding."""
    values = st.integers(min_value=int(low * 100), max_value=int(high * 100)).map(lambda number: number / 100)
    whole = arrays(np.float64, st.integers(4, 40), elements=values)
    return whole.filter(lambda series: np.ptp(series) > 0.1 + 0.01 * np.abs(series).max())


@pytest.mark.parametrize(("kind", "method"), [("sum", "summation"), ("difference", "difference")])
@pytest.mark.parametrize(("range", "sample_range"), [("signed", (-1, 1)), ("unit", (0, 1))])
def test_equals_pyts(kind, method, range, sample_range, gramian_of_pyts):
    series = random_series()
    expected = gramian_of_pyts(method=method, sample_range=sample_range).fit_transform(series)
    np.testing.assert_allclose(field_of(series, kind=kind, range=range), expected, atol=1e-6)


@pytest.mark.parametrize("size", [1, 24, 60, 120])
def test_piecewise_mean_equals_the_means_of_equal_parts(size):
    series = random_series(120)
    np.testing.assert_allclose(piecewise_mean(series, size), series.reshape(3, size, -1).mean(axis=-1), atol=1e-12)


@given(varied_series(), st.data())
def test_piecewise_mean_counts_shared_samples_by_their_share(series, data):
    size = data.draw(st.integers(1, len(series)))
    # Every sample repeated `size` times makes parts that divide evenly.
    expected = np.repeat(series, size).reshape(size, -1).mean(axis=-1)
    np.testing.assert_allclose(piecewise_mean(series, size), expected, atol=1e-9)


@pytest.mark.parametrize("size", [0, 121])
def test_piecewise_mean_refuses_sizes_out_of_range(size):
    with pytest.raises(ValueError, match="of 120 samples"):
        piecewise_mean(random_series(120), size)


@settings(max_examples=60)
@given(varied_series(), st.sampled_from(KINDS), st.sampled_from(RANGES), st.data())
def test_window_equals_crop_of_the_full_field(series, kind, range, data):
    start = data.draw(st.integers(0, len(series) - 2))
    length = data.draw(st.integers(2, len(series) - start))
    full = field_of(series, kind=kind, range=range)
    part = window_of_field(series, series.min(), series.max(), start=start, length=length, kind=kind, range=range)
    crop = full[start : start + length, start : start + length]
    np.testing.assert_allclose(part, crop, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("range", RANGES)
def test_tensors_give_what_arrays_give(kind, range):
    series = random_series()
    series[1] = 9.81
    low, high = series.min(axis=-1), series.max(axis=-1)
    expected = gramian(rescale(series, low, high, range=range), kind)
    tensors = [torch.from_numpy(array) for array in (series, low, high)]
    actual = gramian(rescale(*tensors, range=range), kind)
    assert isinstance(actual, torch.Tensor)
    np.testing.assert_allclose(actual.numpy(), expected, atol=1e-12)


@settings(max_examples=60)
@given(varied_series(), st.floats(0.01, 100), st.floats(-50, 50), st.sampled_from(KINDS), st.sampled_from(RANGES))
def test_own_extremes_make_the_field_independent_of_unit_and_offset(series, factor, offset, kind, range):
    moved = factor * series + offset
    # Near +-1 the field amplifies the rounding of a sample by its root.
    if np.ptp(moved) > 2e-4 * (abs(moved.min()) + abs(moved.max())):
        expected = field_of(series, kind=kind, range=range)
        np.testing.assert_allclose(field_of(moved, kind=kind, range=range), expected, atol=1e-4)


@given(varied_series())
def test_signed_sums_cannot_tell_a_series_from_its_mirror_image(series):
    np.testing.assert_array_equal(field_of(-series), field_of(series))


@given(varied_series())
def test_unit_sums_hold_the_series_on_their_diagonal(series):
    diagonal = np.diagonal(field_of(series, range="unit"))
    scaled = np.sqrt((diagonal + 1) / 2)
    np.testing.assert_allclose(scaled * np.ptp(series) + series.min(), series, atol=1e-4)


def test_unit_sums_and_differences_tell_a_series_from_its_mirror_image():
    series = np.array([0.0, 1.0, 3.0, 2.0])
    assert np.abs(field_of(-series, range="unit") - field_of(series, range="unit")).max() > 0.5
    np.testing.assert_allclose(field_of(-series, kind="difference"), -field_of(series, kind="difference"), atol=1e-12)
    assert np.abs(field_of(series, kind="difference")).max() > 0.5


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("range", RANGES)
@pytest.mark.parametrize("value", [0.0, 9.81, -1e6])
def test_constant_axis_is_mid_grey(value, kind, range):
    field = field_of(np.full((1, 20), value), kind=kind, range=range)
    np.testing.assert_allclose(field, 0, atol=1e-12)
    assert set(np.unique(to_grey(field))) <= {127, 128}


def test_noise_floor_is_a_part_of_the_bounds_magnitudes():
    nearly_constant = 10 + np.array([0.0, 1.0, 0.0]) * 1e-3
    assert np.all(np.abs(field_of(nearly_constant)) < 1e-12)
    scaled = rescale(nearly_constant, nearly_constant.min(), nearly_constant.max(), noise_floor=1e-5)
    np.testing.assert_allclose(scaled, [-1, 1, -1], atol=1e-9)


def test_a_quiet_axis_about_zero_keeps_its_contrast():
    assert field_of(np.array([-1e-9, 1e-9])).min() == -1


def test_grey_spans_0_to_255_without_a_look_at_the_field():
    series = random_series()
    field = field_of(series)
    own = (field - field.min(axis=(1, 2), keepdims=True)) / np.ptp(field, axis=(1, 2), keepdims=True) * 255
    grey = to_grey(field)
    assert grey.dtype == np.uint8
    assert np.abs(grey - own).max() <= 0.5 + 1e-4
    assert (grey.min(), grey.max()) == (0, 255)


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None, max_examples=40)
@given(scaled=arrays(np.float64, st.tuples(st.integers(1, 3), st.integers(2, 9)), elements=st.floats(-1, 1)))
def test_grey_in_one_pass_is_the_exact_one_to_a_rounding(kind, scaled):
    exact = (gramian(scaled, kind) + 1) * 127.5
    fast = grey_field(scaled, kind)
    assert fast.shape == (*scaled.shape, scaled.shape[-1])
    assert np.abs(fast - exact).max() <= 0.5 + 1e-4


@pytest.mark.parametrize("kind", KINDS)
def test_grey_in_one_pass_of_a_long_series_differs_in_hardly_a_pixel(kind):
    scaled = rescale(random_series(), random_series().min(axis=-1), random_series().max(axis=-1))
    scaled = np.concatenate([scaled] * 4, axis=-1)
    fast, exact = grey_field(scaled, kind), to_grey(gramian(scaled, kind))
    assert (fast != exact).mean() < 1e-4
    assert np.abs(fast.astype(int) - exact).max() <= 1


def test_values_beyond_the_bounds_are_clipped():
    values = np.array([-3.0, 0.0, 5.0])
    low, high = np.array(-1.0), np.array(1.0)
    np.testing.assert_array_equal(rescale(values, low, high), [-1, 0, 1])
    np.testing.assert_array_equal(rescale(values, low, high, range="unit"), [0, 0.5, 1])


def test_scale_takes_names_and_bounds():
    assert parse_bounds("clip") is None
    assert parse_bounds("-2, 2.5") == (-2.0, 2.5)
    assert FieldOptions(scale="-16,16").bounds == (-16.0, 16.0)


@pytest.mark.parametrize("scale", ["clips", "1", "2,1", "0,inf", "1,2,3"])
def test_wrong_scale_is_named_with_its_line(scale):
    source = Source("recipe.yaml", {"scale": scale}, {("scale",): "recipe.yaml, line 3"})
    with pytest.raises(ManyErrors, match=r"recipe.yaml, line 3: scale is wrong, expected .*LOW,HIGH"):
        to_options(FieldOptions, source)


def test_defaults_are_the_papers():
    options = FieldOptions()
    assert (options.field, options.range, options.scale, options.image_size) == ("sum", "signed", "clip", None)
    assert options.channels(3) == 3
    assert FieldOptions(field="both").channels(3) == 6
