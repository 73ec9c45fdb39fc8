"""The improved Fisher vector: a clip's local descriptors as one vector of fixed length.

Perronnin, Sánchez, Mensink, "Improving the Fisher kernel for large-scale image classification", ECCV 2010. A mixture of
K Gaussians with diagonal covariances is fitted to descriptors of the training clips. A clip is described by how its own
descriptors would move the mixture: the gradients of their log-likelihood in the means and the deviations,

    g_mu(k)    = sum_t gamma_t(k) (x_t - mu_k) / sigma_k / sqrt(w_k)
    g_sigma(k) = sum_t gamma_t(k) ((x_t - mu_k)^2 / sigma_k^2 - 1) / sqrt(2 w_k)

where gamma_t(k) is the posterior of component k, and the roots are the closed form of the Fisher information, without
the division by the number of descriptors, which the normalisation undoes: a signed square root, then length 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

_VARIANCE_ADDED = 1e-4
"""To every variance of the mixture, as a part of the descriptors' own: a constant dimension could not be divided by."""


@dataclass(frozen=True)
class Mixture:
    """A mixture of K Gaussians of D dimensions with diagonal covariances.

    Attributes
    ----------
    weights : (K,) array
        Sum to 1.
    means, variances : (K, D) arrays
    """

    weights: NDArray[np.float64]
    means: NDArray[np.float64]
    variances: NDArray[np.float64]

    def posteriors(self, descriptors: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the probability of each component for each of n descriptors, (n, K); rows sum to 1."""
        return softmax(self.log_joint(descriptors), axis=1)

    def log_joint(self, descriptors: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the logarithm of weight times density of each component at each of n descriptors, (n, K)."""
        precisions = 1 / self.variances
        squares = (
            descriptors**2 @ precisions.T
            - 2 * descriptors @ (self.means * precisions).T
            + (self.means**2 * precisions).sum(axis=1)
        )
        norms = np.log(2 * np.pi * self.variances).sum(axis=1)
        return np.log(self.weights) - 0.5 * (norms + squares)


def fit_mixture(descriptors: NDArray[np.float64], components: int, *, seed: int) -> Mixture:
    """Fit a mixture by expectation maximisation, started by k-means.

    Parameters
    ----------
    descriptors : (n, D) array
    components : int
        K, at most n.
    seed : int
    """
    from sklearn.mixture import GaussianMixture

    added = _VARIANCE_ADDED * max(float(descriptors.var(axis=0).mean()), 1e-12)
    model = GaussianMixture(components, covariance_type="diag", reg_covar=added, random_state=seed)
    model.fit(descriptors)
    # A component that lost all descriptors keeps a weight that can be divided by.
    weights = np.maximum(model.weights_, 1e-8)
    return Mixture(weights / weights.sum(), model.means_, model.covariances_)


def fisher_gradient(descriptors: NDArray[np.float64], mixture: Mixture) -> NDArray[np.float64]:
    """Return the gradients that the module names, (2 K D,), those in the means first; 0 of no descriptor.

    They are sums over the n descriptors (n, D): those of two sets add up to that of their union.
    """
    deviations = np.sqrt(mixture.variances)
    posteriors = mixture.posteriors(descriptors)
    mass = posteriors.sum(axis=0)[:, None]
    first, second = posteriors.T @ descriptors, posteriors.T @ descriptors**2
    in_means = (first - mass * mixture.means) / deviations
    about_means = second - 2 * mixture.means * first + mass * mixture.means**2
    in_deviations = about_means / mixture.variances - mass
    roots = np.sqrt(mixture.weights)[:, None]
    return np.concatenate([(in_means / roots).ravel(), (in_deviations / roots / np.sqrt(2)).ravel()])


def improved(gradient: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the signed square root of a vector, scaled to length 1; a vector of zeros stays."""
    rooted = np.sign(gradient) * np.sqrt(np.abs(gradient))
    length = np.linalg.norm(rooted)
    return rooted / length if length else rooted
