"""From raw local descriptors to a Fisher vector: what is learned of a sample of the training clips' descriptors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mmtsa_cli.errors import DataError
from mmtsa_cli.methods.fisher import Mixture, fisher_gradient, fit_mixture, improved

Descriptors = Callable[[int], NDArray[np.float32]]
"""Returns the descriptors of a clip, (n, d), by its position; n may be 0, d is the same of all."""


@dataclass(frozen=True)
class Reduction:
    """How descriptors are made fit for a mixture with diagonal covariances: which principal components are kept.

    Attributes
    ----------
    count : int or None
        So many; None: as many as explain `variance`.
    variance : float
        Share of the descriptors' variance, above 0 and at most 1.
    standardise : bool
        Divide each column by its deviation first: columns of several units.
    appended : int
        Last columns that are standardised, but stay beside the principal components as they are.
    """

    count: int | None = None
    variance: float = 1.0
    standardise: bool = False
    appended: int = 0


@dataclass(frozen=True)
class FisherEncoder:
    """Shift and scale, principal components, mixture, improved Fisher vector.

    Attributes
    ----------
    centre : (d,) array
        Mean of the training descriptors.
    axes : (d, D) array
        What a centred descriptor is multiplied by.
    mixture : Mixture
        Of D dimensions.
    """

    centre: NDArray[np.float64]
    axes: NDArray[np.float64]
    mixture: Mixture

    @classmethod
    def fit(
        cls, descriptors: NDArray[np.float32], components: int, *, reduction: Reduction, seed: int
    ) -> FisherEncoder:
        """Return the encoder of training descriptors, (n, d), with a mixture of `components` Gaussians.

        Raises
        ------
        DataError
            Fewer descriptors than components.
        """
        if len(descriptors) < components:
            raise DataError(
                "too few local descriptors in the training clips",
                expected=f"at least {components}, one a component of the mixture",
                found=str(len(descriptors)),
                remedy="ask for fewer components; clips of still pictures have no trajectories",
            )
        centre, axes = _projection(descriptors.astype(np.float64), reduction)
        return cls(centre, axes, fit_mixture((descriptors - centre) @ axes, components, seed=seed))

    @property
    def length(self) -> int:
        """Numbers of a Fisher vector, 2 K D."""
        return 2 * self.mixture.means.size

    def encode(self, descriptors: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the Fisher vector of a clip's descriptors, (n, d), as (2 K D,); zeros where there are none."""
        if not len(descriptors):
            return np.zeros(self.length)
        return improved(fisher_gradient((descriptors - self.centre) @ self.axes, self.mixture))

    def state(self) -> dict[str, NDArray[np.float64]]:
        """Return the arrays that `restore` takes."""
        mixture = self.mixture
        shapes = {"weights": mixture.weights, "means": mixture.means, "variances": mixture.variances}
        return {"centre": self.centre, "axes": self.axes, **shapes}

    @classmethod
    def restore(cls, state: Mapping[str, NDArray[np.float64]]) -> FisherEncoder:
        """Return the encoder whose `state` this is."""
        mixture = Mixture(state["weights"], state["means"], state["variances"])
        return cls(state["centre"], state["axes"], mixture)


def _projection(values: NDArray[np.float64], reduction: Reduction) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return centre, (d,), and axes, (d, D)."""
    inner = values.shape[1] - reduction.appended
    centre, scale = values.mean(axis=0), values.std(axis=0)
    # A column that does not vary is 0 once centred, whatever it is divided by.
    scale[scale < 1e-12] = 1.0
    if not reduction.standardise:
        scale[:inner] = 1.0
    principal = principal_axes(
        (values[:, :inner] - centre[:inner]) / scale[:inner], count=reduction.count, variance=reduction.variance
    )
    axes = np.zeros((len(scale), principal.shape[1] + reduction.appended))
    axes[:inner, : principal.shape[1]] = principal
    axes[inner:, principal.shape[1] :] = np.eye(reduction.appended)
    return centre, axes / scale[:, None]


def principal_axes(
    centred: NDArray[np.float64], *, count: int | None = None, variance: float = 1.0
) -> NDArray[np.float64]:
    """Return the directions of largest variance of centred rows, (n, d), as (d, D) with orthonormal columns.

    Parameters
    ----------
    centred : (n, d) array
    count : int, optional
        D; None: the fewest that explain `variance`, a share above 0 and at most 1.
    """
    values, vectors = np.linalg.eigh(centred.T @ centred / len(centred))
    values, vectors = np.maximum(values[::-1], 0.0), vectors[:, ::-1]
    if count is None:
        shares = np.cumsum(values) / max(values.sum(), 1e-30)
        count = int(np.searchsorted(shares, variance - 1e-9)) + 1
    return vectors[:, : min(count, vectors.shape[1])]


def sampled(descriptors: Descriptors, clips: int, *, limit: int, seed: int) -> NDArray[np.float32]:
    """Return descriptors of `clips` clips, `limit` at most but one of each clip, drawn without replacement.

    Each clip gives the same number at most, so that a long one does not rule the mixture; what is kept at any time are
    the drawn ones and the descriptors of one clip.
    """
    quota = max(1, limit // max(clips, 1))
    parts = []
    for position in range(clips):
        rows = descriptors(position)
        if len(rows) > quota:
            chosen = np.random.default_rng([seed, position]).choice(len(rows), quota, replace=False)
            rows = rows[np.sort(chosen)]
        parts.append(np.array(rows, np.float32))
    width = max((part.shape[1] for part in parts), default=0)
    return np.concatenate([part for part in parts if len(part)] or [np.zeros((0, width), np.float32)])
