"""Calibration: the error by hand, the temperature that made it found again."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmtsa_cli.evaluation.calibration import (
    expected_calibration_error,
    fit_temperature,
    negative_log_likelihood,
    with_temperature,
)


def softmax(logits):
    scaled = np.exp(logits - logits.max(axis=1, keepdims=True))
    return scaled / scaled.sum(axis=1, keepdims=True)


def drawn(logits, rng):
    """Labels drawn from the softmax of logits: what is perfectly calibrated."""
    return np.array([rng.choice(logits.shape[1], p=row) for row in softmax(logits)])


def test_the_error_is_the_one_worked_out_by_hand():
    # Bins of 0.2: (0.4, 0.6] holds 0.5 and 0.6, one right: |0.55 - 0.5|; (0.8, 1.0] holds 0.9 and 1.0, both right.
    confidence = np.array([0.5, 0.6, 0.9, 1.0])
    right = np.array([True, False, True, True])
    by_hand = 2 / 4 * abs(0.55 - 0.5) + 2 / 4 * abs(0.95 - 1.0)
    assert expected_calibration_error(confidence, right, bins=5) == pytest.approx(by_hand)


def test_a_confidence_on_an_edge_belongs_to_the_bin_below():
    # 0.6 x 15 is 9.000000000000002: it must not fall into the tenth bin, beside 0.65.
    confidence, right = np.array([0.6, 0.65]), np.array([True, False])
    assert expected_calibration_error(confidence, right) == pytest.approx((0.4 + 0.65) / 2)


def test_sure_and_always_right_has_no_error_and_sure_and_always_wrong_all_of_it():
    assert expected_calibration_error(np.ones(9), np.ones(9, bool)) == 0
    assert expected_calibration_error(np.ones(9), np.zeros(9, bool)) == 1


def test_nothing_to_calibrate_is_refused():
    with pytest.raises(ValueError, match="no predictions"):
        expected_calibration_error(np.zeros(0), np.zeros(0, bool))
    with pytest.raises(ValueError, match="no clips"):
        fit_temperature(np.zeros((0, 3)), np.zeros(0, np.int64))


@pytest.mark.parametrize("scale", [0.4, 1.0, 3.0])
def test_the_temperature_by_which_logits_were_scaled_is_found(scale):
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(6000, 5)) * 2
    labels = drawn(logits, rng)
    probabilities = softmax(logits * scale)
    assert fit_temperature(probabilities, labels) == pytest.approx(scale, rel=0.05)
    after = with_temperature(probabilities, scale)
    assert np.allclose(after, softmax(logits))
    errors = [expected_calibration_error(p.max(axis=1), p.argmax(axis=1) == labels) for p in (probabilities, after)]
    assert errors[1] < 0.03
    assert scale == 1 or errors[1] < errors[0] / 3


def test_the_likelihood_is_that_of_the_true_classes():
    probabilities = np.array([[0.5, 0.5], [0.1, 0.9]])
    assert negative_log_likelihood(probabilities, np.array([0, 1])) == pytest.approx(-(np.log(0.5) + np.log(0.9)) / 2)


@settings(max_examples=50, deadline=None)
@given(st.floats(0.1, 10), st.integers(2, 6), st.integers(0, 1000))
def test_a_temperature_keeps_the_order_and_the_sum(temperature, classes, seed):
    probabilities = softmax(np.random.default_rng(seed).normal(size=(4, classes)) * 5)
    after = with_temperature(probabilities, temperature)
    assert np.allclose(after.sum(axis=1), 1)
    assert (after.argmax(axis=1) == probabilities.argmax(axis=1)).all()


def test_a_probability_of_zero_stays_finite():
    after = with_temperature(np.array([[1.0, 0.0]]), 2.0)
    assert np.isfinite(after).all()
    assert np.isfinite(negative_log_likelihood(np.array([[1.0, 0.0]]), np.array([1])))
