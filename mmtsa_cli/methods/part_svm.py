"""`part-svm`: simple statistics of the sensors and a support vector machine, twenty lines of anybody's script.

Of no publication: the yardstick. A clip is cut into a few equal parts; mean, standard deviation and mean absolute
difference of neighbouring samples of each axis in each part are the features, the classifier that of Cortes and Vapnik
(Support-vector networks, Machine Learning 20, 1995) with a Gaussian kernel. A network that does not beat it by a wide
margin is of no use to anybody.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mmtsa_cli.artifacts.options import option
from mmtsa_cli.methods.classical import of_kind
from mmtsa_cli.methods.gaussian_svm import GaussianSvm, GaussianSvmOptions
from mmtsa_cli.methods.window_statistics import clip_part_statistics
from mmtsa_cli.sampling.draw import Samples
from mmtsa_cli.sampling.feature_cache import clip_features


@dataclass(frozen=True)
class PartSvmOptions(GaussianSvmOptions):
    """Everything about the system that a recipe may set."""

    parts: int = option(6, "equal parts of a clip", low=1, high=100)


class PartSvm(GaussianSvm):
    """The statistics of all sensors side by side, standardised, then the machine."""

    options_class: ClassVar[type] = PartSvmOptions

    @classmethod
    def reads(cls, options: Any, samples: Samples) -> tuple[str, ...]:
        """Return all sensors.

        Raises
        ------
        DataError
            There is none.
        """
        return of_kind(samples, "sensor", who="part-svm", what="a sensor")

    def features(self, samples: Samples) -> NDArray[np.float64]:
        """Return the statistics of every clip, (n, parts * 3 for each axis)."""
        about = {"version": 1, "parts": self.options.parts}
        sensors = [
            clip_features(samples.store, "part-statistics", clip_part_statistics, {**about, "modality": name})
            for name in self.modalities
        ]
        rows = [np.concatenate([sensor.rows(clip)[0] for sensor in sensors]) for clip in samples.clips]
        return np.stack(rows).astype(np.float64)
