"""The Fisher vector against the derivatives that it is made of, and the encoder around it."""

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import norm

from mmtsa_cli.errors import DataError
from mmtsa_cli.methods.fisher import Mixture, fisher_gradient, fit_mixture, improved
from mmtsa_cli.methods.fisher_encoder import FisherEncoder, Reduction, principal_axes, sampled

MIXTURE = Mixture(
    np.array([0.2, 0.5, 0.3]),
    np.array([[-2.0, 1.0], [0.5, 0.0], [3.0, -1.0]]),
    np.array([[0.5, 2.0], [1.0, 0.3], [1.5, 1.0]]),
)


def drawn(mixture, count, *, seed=0):
    rng = np.random.default_rng(seed)
    chosen = rng.choice(len(mixture.weights), count, p=mixture.weights)
    noise = rng.normal(size=(count, mixture.means.shape[1]))
    return mixture.means[chosen] + noise * np.sqrt(mixture.variances[chosen])


def likelihood(descriptors, weights, means, deviations):
    """The log-likelihood, by scipy's densities."""
    densities = norm.logpdf(descriptors[:, None], means, deviations).sum(axis=2)
    return logsumexp(np.log(weights) + densities, axis=1).sum()


def test_gradient_is_the_derivative_of_the_likelihood_over_the_root_of_the_information():
    descriptors = drawn(MIXTURE, 7)
    weights, means, deviations = MIXTURE.weights, MIXTURE.means, np.sqrt(MIXTURE.variances)
    step, expected = 1e-6, []
    # Fisher information of w N(mu, sigma^2) where components do not overlap: w / sigma^2 and 2 w / sigma^2.
    for moved, factor in ((0, 1.0), (1, 2.0)):
        for k, d in np.ndindex(means.shape):
            shift = np.zeros_like(means)
            shift[k, d] = step
            sides = [
                likelihood(descriptors, weights, means + s * shift * (1 - moved), deviations + s * shift * moved)
                for s in (1, -1)
            ]
            information = factor * weights[k] / deviations[k, d] ** 2
            expected.append((sides[0] - sides[1]) / (2 * step) / np.sqrt(information))
    np.testing.assert_allclose(fisher_gradient(descriptors, MIXTURE), expected, rtol=1e-5, atol=1e-7)


def test_posteriors_are_those_of_bayes():
    descriptors = drawn(MIXTURE, 5)
    joint = MIXTURE.weights * norm.pdf(descriptors[:, None], MIXTURE.means, np.sqrt(MIXTURE.variances)).prod(axis=2)
    np.testing.assert_allclose(MIXTURE.posteriors(descriptors), joint / joint.sum(axis=1, keepdims=True), rtol=1e-10)


def test_data_of_the_mixture_itself_has_no_gradient_in_expectation():
    count = 200_000
    mean = fisher_gradient(drawn(MIXTURE, count), MIXTURE) / count
    # Each number's variance is at most 1 (2 of a deviation, over 2): five standard errors.
    assert np.abs(mean).max() < 5 / np.sqrt(count)
    elsewhere = fisher_gradient(drawn(MIXTURE, 1000) + 1.0, MIXTURE) / 1000
    assert np.abs(elsewhere).max() > 0.3


def test_dimension_order_and_additivity():
    descriptors = drawn(MIXTURE, 20)
    whole = fisher_gradient(descriptors, MIXTURE)
    assert whole.shape == (2 * 3 * 2,)
    np.testing.assert_allclose(fisher_gradient(descriptors[::-1], MIXTURE), whole, atol=1e-10)
    parts = fisher_gradient(descriptors[:6], MIXTURE) + fisher_gradient(descriptors[6:], MIXTURE)
    np.testing.assert_allclose(parts, whole, atol=1e-10)
    np.testing.assert_array_equal(fisher_gradient(descriptors[:0], MIXTURE), 0)


def test_improved_takes_signed_roots_and_length_one():
    np.testing.assert_allclose(improved(np.array([9.0, -16.0, 0.0])), [0.6, -0.8, 0.0])
    np.testing.assert_allclose(improved(np.array([0.09, -0.16, 0.0])), [0.6, -0.8, 0.0])
    np.testing.assert_array_equal(improved(np.zeros(3)), 0)


def test_fit_finds_the_mixture():
    found = fit_mixture(drawn(MIXTURE, 20_000), 3, seed=0)
    order = np.argsort(found.means[:, 0])
    np.testing.assert_allclose(found.weights[order], MIXTURE.weights, atol=0.03)
    np.testing.assert_allclose(found.means[order], MIXTURE.means, atol=0.1)
    np.testing.assert_allclose(found.variances[order], MIXTURE.variances, atol=0.15)


def test_principal_axes_are_those_of_largest_variance():
    rng = np.random.default_rng(0)
    turn, _ = np.linalg.qr(rng.normal(size=(4, 4)))
    scales = np.array([8.0, 4.0, 1.0, 0.5])
    values = rng.normal(size=(5000, 4)) * scales @ turn.T
    axes = principal_axes(values, count=2)
    np.testing.assert_allclose(np.abs((axes * turn[:, :2]).sum(axis=0)), 1, atol=1e-2)
    shares = np.cumsum(scales**2) / (scales**2).sum()
    assert principal_axes(values, variance=shares[1] - 0.01).shape == (4, 2)
    assert principal_axes(values, variance=shares[1] + 0.005).shape == (4, 3)
    assert principal_axes(values).shape == (4, 4)
    assert principal_axes(values, count=9).shape == (4, 4)


def test_standardised_encoder_does_not_see_units():
    descriptors = np.random.default_rng(0).normal(size=(300, 4)) @ np.random.default_rng(1).normal(size=(4, 4))
    units = np.array([1e-3, 1.0, 50.0, 1e4])
    reduction = Reduction(variance=0.9, standardise=True, appended=1)
    one = FisherEncoder.fit(descriptors, 3, reduction=reduction, seed=0)
    other = FisherEncoder.fit(descriptors * units + 7, 3, reduction=reduction, seed=0)
    np.testing.assert_allclose(
        one.encode(descriptors[:9]), other.encode(descriptors[:9] * units + 7), rtol=1e-6, atol=1e-7
    )


def test_appended_column_stays_beside_the_components():
    descriptors = np.random.default_rng(0).normal(2.0, 3.0, size=(200, 5))
    encoder = FisherEncoder.fit(descriptors, 2, reduction=Reduction(count=2, standardise=True, appended=1), seed=0)
    assert encoder.axes.shape == (5, 3)
    reduced = (descriptors - encoder.centre) @ encoder.axes
    expected = (descriptors[:, 4] - descriptors[:, 4].mean()) / descriptors[:, 4].std()
    np.testing.assert_allclose(reduced[:, 2], expected, atol=1e-10)


def test_encoder_of_no_descriptor_and_of_constant_columns():
    descriptors = np.random.default_rng(0).normal(size=(100, 3))
    descriptors[:, 1] = 4.0
    encoder = FisherEncoder.fit(descriptors, 2, reduction=Reduction(standardise=True), seed=0)
    vector = encoder.encode(descriptors[:5])
    assert vector.shape == (encoder.length,)
    assert np.isfinite(vector).all()
    assert np.linalg.norm(vector) == pytest.approx(1)
    np.testing.assert_array_equal(encoder.encode(descriptors[:0]), np.zeros(encoder.length))


def test_encoder_is_restored():
    descriptors = np.random.default_rng(0).normal(size=(100, 3))
    encoder = FisherEncoder.fit(descriptors, 4, reduction=Reduction(count=2), seed=0)
    restored = FisherEncoder.restore(encoder.state())
    np.testing.assert_array_equal(restored.encode(descriptors[:7]), encoder.encode(descriptors[:7]))


def test_fewer_descriptors_than_components_are_refused():
    with pytest.raises(
        DataError, match=r"too few local descriptors in the training clips, expected at least 5.*found 3"
    ):
        FisherEncoder.fit(np.zeros((3, 2), np.float32), 5, reduction=Reduction(), seed=0)


def test_sample_takes_alike_of_every_clip_and_by_the_seed():
    clips = [np.full((count, 2), number, np.float32) for number, count in enumerate((1000, 3, 0, 50))]
    for clip in clips:
        clip[:, 1] = np.arange(len(clip))
    rows = sampled(clips.__getitem__, 4, limit=40, seed=0)
    assert np.bincount(rows[:, 0].astype(int)).tolist() == [10, 3, 0, 10]
    assert len(np.unique(rows, axis=0)) == len(rows)
    np.testing.assert_array_equal(rows, sampled(clips.__getitem__, 4, limit=40, seed=0))
    assert not np.array_equal(rows, sampled(clips.__getitem__, 4, limit=40, seed=1))
    assert sampled(lambda position: np.zeros((0, 2), np.float32), 4, limit=40, seed=0).shape == (0, 2)
