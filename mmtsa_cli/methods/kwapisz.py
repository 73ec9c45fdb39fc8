"""`svm` and `decision-tree`: 43 features of an accelerometer's window, and a classifier.

Kwapisz, Weiss, Moore: Activity recognition using cell phone accelerometers. SIGKDD Explorations 12(2), 2011,
section 2.2. Per axis: mean, standard deviation, mean absolute difference from the mean, the shares of the samples in 10
equal bins between lowest and highest, and the time between peaks; of all axes together: the mean length of the vector.
That is 3 + 3 + 3 + 30 + 3 + 1 = 43 numbers of a window of 10 s.

The publication leaves open what a clip of another length gives (here: windows that cover it, evenly spaced, their
features averaged; a shorter clip is one window), how high a peak must be at first (option `peak_height`), and what
stands for a time between peaks that is not known (0 ms, which no two peaks can have). Its trees are C4.5 (J48); here
they are CART with entropy and leaves of at least 2 clips. Its classifiers do not include a support vector machine; that
is the table's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from mmtsa_cli.artifacts.options import option
from mmtsa_cli.methods.classical import ClassicalMethod, of_kind
from mmtsa_cli.methods.grid_search import CACHE_MB, best_settings, some_numbers
from mmtsa_cli.methods.window_statistics import clip_statistics
from mmtsa_cli.sampling.draw import Samples
from mmtsa_cli.sampling.feature_cache import clip_features


@dataclass(frozen=True)
class KwapiszOptions:
    """What the features are computed of."""

    sensors: Literal["accelerometers", "all"] = option(
        "accelerometers", "what is read; all: the same features of every sensor, side by side"
    )
    window_s: float | None = option(10.0, "length of a window in seconds; null: the whole clip", above=0)
    peak_height: float = option(
        0.9, "height of a peak over the lowest value, of the highest's, that counts at first", above=0, high=1
    )


@dataclass(frozen=True)
class SvmOptions(KwapiszOptions):
    """The features, and the support vector machine with its grid."""

    C: tuple[float, ...] = option((1.0, 10.0, 100.0), "penalties to choose from", above=0, check=some_numbers)
    gamma: tuple[float, ...] = option(
        (0.03, 0.1, 0.3, 1.0), "widths of the kernel to choose from, times 1 / features", above=0, check=some_numbers
    )
    folds: int = option(5, "folds of the training clips to choose on, by subject where there are 3", low=2)


@dataclass(frozen=True)
class DecisionTreeOptions(KwapiszOptions):
    """The features, and the tree."""

    min_samples_leaf: int = option(2, "clips that a leaf holds at least", low=1)
    pruning: float = option(0.0, "gain of entropy a leaf below which branches are cut; 0: none is", low=0)


class KwapiszMethod(ClassicalMethod):
    """The features; subclasses are the classifiers, `name` is theirs in the registry."""

    name: ClassVar[str]

    @classmethod
    def reads(cls, options: Any, samples: Samples) -> tuple[str, ...]:
        """Return the accelerometers, or all sensors.

        Raises
        ------
        DataError
            There is none.
        """
        if options.sensors == "all":
            return of_kind(samples, "sensor", who=cls.name, what="a sensor")
        return of_kind(samples, "sensor", who=cls.name, what="an accelerometer", prefix="acc")

    def features(self, samples: Samples) -> NDArray[np.float64]:
        """Return the features of every clip, those of the sensors side by side: (n, 43 for each of three axes)."""
        about = {"version": 1, "window_s": self.options.window_s, "peak_height": self.options.peak_height}
        sensors = [
            clip_features(samples.store, "statistics", clip_statistics, {**about, "modality": name})
            for name in self.modalities
        ]
        rows = [np.concatenate([sensor.rows(clip)[0] for sensor in sensors]) for clip in samples.clips]
        return np.stack(rows).astype(np.float64)


class Svm(KwapiszMethod):
    """The features standardised, then a support vector machine with a Gaussian kernel."""

    name = "svm"
    options_class: ClassVar[type] = SvmOptions

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


class DecisionTree(KwapiszMethod):
    """The features as they are, then a decision tree; its probabilities are the class shares of a leaf."""

    name = "decision-tree"
    options_class: ClassVar[type] = DecisionTreeOptions

    def estimator(self, *, seed: int, classes_present: int) -> Any:
        """Return the tree."""
        from sklearn.tree import DecisionTreeClassifier

        return DecisionTreeClassifier(
            criterion="entropy",
            min_samples_leaf=self.options.min_samples_leaf,
            ccp_alpha=self.options.pruning,
            random_state=seed,
        )
