"""The classifier of systems of few features: standardised, then a support vector machine with a Gaussian kernel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmtsa_cli.artifacts.options import option
from mmtsa_cli.methods.classical import ClassicalMethod
from mmtsa_cli.methods.grid_search import CACHE_MB, best_settings, some_numbers


@dataclass(frozen=True)
class GaussianSvmOptions:
    """The machine with its grid."""

    C: tuple[float, ...] = option((1.0, 10.0, 100.0), "penalties to choose from", above=0, check=some_numbers)
    gamma: tuple[float, ...] = option(
        (0.03, 0.1, 0.3, 1.0), "widths of the kernel to choose from, times 1 / features", above=0, check=some_numbers
    )
    folds: int = option(5, "folds of the training clips to choose on, by subject where there are 3", low=2)


class GaussianSvm(ClassicalMethod):
    """A system with this classifier; subclasses say the features. Its options are `GaussianSvmOptions`, or more."""

    def choose(
        self, features: NDArray[Any], labels: NDArray[np.int64], subjects: Sequence[str], *, seed: int
    ) -> dict[str, Any]:
        """Return penalty and width of the grid that do best on people, or clips, that are left out."""
        widths = [gamma / features.shape[1] for gamma in self.options.gamma]
        return best_settings(
            self.estimator(seed=seed, classes_present=len(np.unique(labels))),
            {"svc__C": self.options.C, "svc__gamma": widths},
            features,
            labels,
            subjects=subjects,
            folds=self.options.folds,
            seed=seed,
            before_trial=self.stop_if_asked,
        )

    def estimator(self, *, seed: int, classes_present: int) -> Any:
        """Return the scaler and the machine, with what was chosen."""
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
        from sklearn.svm import SVC

        return make_pipeline(StandardScaler(), SVC(cache_size=CACHE_MB)).set_params(**self.settings)
