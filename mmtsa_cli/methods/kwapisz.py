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

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from mmtsa_cli.artifacts.options import option
from mmtsa_cli.methods.classical import ClassicalMethod, of_kind
from mmtsa_cli.methods.gaussian_svm import GaussianSvm, GaussianSvmOptions
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
class SvmOptions(GaussianSvmOptions, KwapiszOptions):
    """The features, and the support vector machine with its grid."""


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


class Svm(KwapiszMethod, GaussianSvm):
    """The features standardised, then a support vector machine with a Gaussian kernel."""

    name = "svm"
    options_class: ClassVar[type] = SvmOptions


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
