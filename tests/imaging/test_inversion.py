"""Fields back to series: round trips at float and 8-bit precision, and what cannot be told."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mmtsa_cli.imaging.field import gramian, rescale, to_grey
from mmtsa_cli.imaging.inversion import GREY_STEP, is_difference_field, mismatch, series_of_field

# Where the diagonal is flat, at s = 0, an error of e in it is one of sqrt(e / 2) in s.
FLOAT_BOUND = 2e-8
# Half a step of grey; and 1 / 255 more where the sign of a sample that small is lost with it.
GREY_BOUND = (GREY_STEP / 2) ** 0.5 + GREY_STEP


@st.composite
def rescaled(draw, range):
    """A series that is rescaled by its own extremes, as `imagify` does."""
    series = draw(arrays(np.float64, st.integers(4, 40), elements=st.floats(-100, 100, width=32)))
    assume(np.ptp(series) > 1e-3 * (1 + np.abs(series).max()))
    return rescale(series, series.min(), series.max(), range=range)


def through_grey(field):
    return to_grey(field) / 127.5 - 1


def error(found, series):
    """The error up to the sign of the whole."""
    return min(np.abs(found - series).max(), np.abs(found + series).max())


@given(rescaled("unit"))
@settings(max_examples=150, deadline=None)
def test_on_zero_to_one_the_series_comes_back(series):
    np.testing.assert_allclose(series_of_field(gramian(series), range="unit"), series, atol=FLOAT_BOUND)
    found = series_of_field(through_grey(gramian(series)), range="unit")
    np.testing.assert_allclose(found, series, atol=GREY_BOUND)


@given(rescaled("signed"))
@settings(max_examples=150, deadline=None)
def test_on_minus_one_to_one_it_comes_back_up_to_one_sign(series):
    assert error(series_of_field(gramian(series)), series) <= FLOAT_BOUND
    assert error(series_of_field(through_grey(gramian(series))), series) <= GREY_BOUND
    found = series_of_field(gramian(series))
    # Which of the two it gives does not depend on which it was made of: nothing could tell.
    np.testing.assert_array_equal(found, series_of_field(gramian(-series)))
    assert found[np.abs(found).argmax()] > 0


@given(rescaled("signed"))
@settings(max_examples=100, deadline=None)
def test_far_from_zero_eight_bits_are_exact_to_three_thousandths(series):
    large = np.abs(series) >= 0.7
    found = series_of_field(through_grey(gramian(series)))
    assert np.abs(np.abs(found) - np.abs(series))[large].max() <= 0.003


def test_signs_are_those_of_the_series_and_not_of_each_sample():
    series = np.array([-1.0, -0.5, 0.0, 0.25, -0.25, 0.75, 1.0])
    assert error(series_of_field(gramian(series)), series) <= FLOAT_BOUND
    assert error(np.abs(series), series) > 0.5


@given(rescaled("signed"))
@settings(max_examples=100, deadline=None)
def test_the_series_found_has_the_field_it_was_found_in(series):
    field = gramian(series)
    assert mismatch(field, series_of_field(field)) <= 1e-6
    assert mismatch(through_grey(field), series_of_field(through_grey(field))) <= 0.03


def test_what_is_no_field_of_a_series_is_told_by_the_mismatch():
    noise = np.random.default_rng(0).uniform(-1, 1, (30, 30))
    assert mismatch(noise, series_of_field(noise)) > 0.1
    signed = gramian(np.sin(np.arange(30.0)))
    assert mismatch(signed, series_of_field(signed, range="unit")) > 0.1


@pytest.mark.parametrize("change", [lambda field: field, through_grey])
def test_a_difference_field_is_known_by_its_diagonal(change):
    series = rescale(np.arange(20.0) % 7, np.float64(0), np.float64(6))
    assert is_difference_field(change(gramian(series, "difference")))
    assert not is_difference_field(change(gramian(series)))
    # A constant axis: mid-grey everywhere.
    assert not is_difference_field(change(gramian(np.full(20, 0.5**0.5))))
