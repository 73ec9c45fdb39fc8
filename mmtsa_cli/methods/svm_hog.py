"""`svm-hog`: oriented gradients of frames, pooled over time, and a support vector machine.

Ofli, Chaudhry, Kurillo, Vidal, Bajcsy: Berkeley MHAD: a comprehensive multimodal human action database. WACV 2013; it
describes video by histograms of oriented gradients (Dalal and Triggs, CVPR 2005) and classifies with a chi-square
kernel. Here every candidate frame of the store, grey and scaled to a square, is described on a grid of cells (blocks of
2 x 2 cells, 9 orientations); over each of a few equal parts of the clip's time mean and standard deviation of every
number are taken.

The kernel `chi2` is the additive one, see `mapped_svm`. The publication's interest points and vocabulary are not used,
and which form of the kernel it takes is not stated.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from mmtsa_cli.artifacts.options import option
from mmtsa_cli.methods.classical import LinearMethod, of_kind
from mmtsa_cli.methods.grid_search import best_settings, some_numbers
from mmtsa_cli.methods.mapped_svm import MappedSvm, gram, one_against_rest
from mmtsa_cli.methods.oriented_gradients import clip_gradients, descriptor_size
from mmtsa_cli.sampling.draw import Samples
from mmtsa_cli.sampling.feature_cache import clip_features


@dataclass(frozen=True)
class SvmHogOptions:
    """Everything about the system that a recipe may set."""

    grid: int = option(8, "cells along each side of a frame", low=2)
    cell: int = option(8, "side of a cell in pixels; a frame is scaled to grid x cell", low=4)
    parts: int = option(4, "equal parts of a clip's time over which mean and deviation are taken", low=1)
    kernel: Literal["chi2", "linear"] = option("chi2", "kernel of the support vector machine")
    C: tuple[float, ...] = option((1.0, 10.0, 100.0, 1000.0), "penalties to choose from", above=0, check=some_numbers)
    folds: int = option(5, "folds of the training clips to choose on, by subject where there are 3", low=2)


def pooled(rows: NDArray[np.float32], times: NDArray[Any], duration_s: float, parts: int) -> NDArray[np.float64]:
    """Return mean and standard deviation of the rows within each of `parts` equal parts of a clip.

    Parameters
    ----------
    rows : (n, D) array
        At least one.
    times : (n,) array
        Seconds from the clip's start. A part without a frame takes the one that is nearest to its middle.
    duration_s : float
    parts : int

    Returns
    -------
    (parts * 2 * D,) float64 array
        Mean and deviation of the first part, then of the second.
    """
    part_of = np.clip(np.asarray(times) / duration_s * parts, 0, parts - 1).astype(int)
    result = []
    for part in range(parts):
        within = part_of == part
        if not within.any():
            within = [np.abs(times - (part + 0.5) * duration_s / parts).argmin()]
        chosen = rows[within].astype(np.float64)
        result += [chosen.mean(axis=0), chosen.std(axis=0)]
    return np.concatenate(result)


class SvmHog(LinearMethod):
    """The pooled gradients at length 1 in the kernel's sense, then the machine."""

    options_class: ClassVar[type] = SvmHogOptions

    @classmethod
    def reads(cls, options: Any, samples: Samples) -> tuple[str, ...]:
        """Return the first video.

        Raises
        ------
        DataError
            There is none.
        """
        return of_kind(samples, "video", who="svm-hog", what="a video")[:1]

    def features(self, samples: Samples) -> NDArray[np.float32]:
        """Return the pooled gradients of every clip, (n, parts * 2 * D) float32, one clip after the other.

        Their sum (`chi2`), or the root of the sum of their squares (`linear`), is 1, so that a clip's kernel with
        itself is.
        """
        options, store, name = self.options, samples.store, self.modalities[0]
        parameters = {"version": 1, "modality": name, "grid": options.grid, "cell": options.cell}
        gradients = clip_features(store, "hog", clip_gradients, parameters)
        order = 1 if options.kernel == "chi2" else 2
        features = np.zeros((len(samples), options.parts * 2 * descriptor_size(options.grid)), np.float32)
        for row, clip in zip(features, samples.clips, strict=True):
            times = store.frames(name, clip)["time_s"]
            whole = pooled(gradients.rows(clip), times, store.duration_s(clip), options.parts)
            row[:] = whole / max(float(np.linalg.norm(whole, order)), 1e-12)
        return features

    def choose(
        self, features: NDArray[Any], labels: NDArray[np.int64], subjects: Sequence[str], *, seed: int
    ) -> dict[str, Any]:
        """Return the penalty of the grid that does best on people, or clips, that are left out."""
        if len(self.options.C) == 1:
            return {"C": self.options.C[0]}
        from joblib import parallel_config

        # One trial after the other: it is its classes, more than there are penalties, that the cores share.
        with parallel_config(backend="threading"):
            chosen = best_settings(
                one_against_rest(self.options.C[0], jobs=os.cpu_count()),
                {"estimator__C": self.options.C},
                gram(features, self.options.kernel),
                labels,
                subjects=subjects,
                folds=self.options.folds,
                seed=seed,
                jobs=1,
                before_trial=self.stop_if_asked,
            )
        return {"C": chosen["estimator__C"]}

    def estimator(self, *, seed: int, classes_present: int) -> MappedSvm:
        """Return the machine, with what was chosen."""
        return MappedSvm(self.options.kernel, **self.settings)
