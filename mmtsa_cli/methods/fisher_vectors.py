"""The Fisher-vector systems of the Multimodal Egocentric Activity dataset.

Song, Cheung, Chandrasekhar, Mandal, Lin, "Egocentric activity recognition with multimodal Fisher vector", ICASSP 2016.
A clip is a bag of local descriptors, windows of its sensors (`sensor_windows`) or trajectories of its video
(`trajectories`); each kind is encoded as an improved Fisher vector (`fisher`), normalised apart, those of a system are
put side by side, and a linear support vector machine tells one class from the rest.

- `fvs`: windows, whose order in the clip does not count; each sensor has a mixture of its own.
- `tfvs`: the same; a window's time in the clip is one more number of its descriptor, beside the principal components.
- `fvv`: trajectories; HOG, HOF and MBH right and down have a mixture each, after principal components of half the size.
- `fvv+fvs`, `mfv`: the video's Fisher vectors with those of windows, without and with time.

Of the publication only the abstract and the start of the introduction could be read. "Temporal trajectory-like features
from sensor data" and "the Fisher Kernel framework to fuse video and temporal enhanced sensor features" are its words;
what describes a window, how many components a mixture has and how time is added are ours. The first two, and that each
sensor has a mixture, were chosen on its dataset by leaving out training sequences one at a time.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from mmtsa_cli.artifacts.options import option
from mmtsa_cli.methods.classical import LinearMethod, of_kind
from mmtsa_cli.methods.fisher_encoder import FisherEncoder, Reduction, sampled
from mmtsa_cli.methods.linear_svm import LinearSvm
from mmtsa_cli.methods.sensor_windows import WindowOptions, store_windows
from mmtsa_cli.methods.track_histograms import COLUMNS
from mmtsa_cli.methods.trajectories import TrackOptions, video_tracks
from mmtsa_cli.sampling.draw import Samples
from mmtsa_cli.sampling.feature_cache import Features

_CLIPS_A_WORKER = 64
"""Clips whose encoding makes a further process worth its start."""


@dataclass(frozen=True)
class FisherOptions:
    """What all systems of Fisher vectors share."""

    sampled: int = option(100_000, "descriptors of training clips that a mixture is fitted to at most", low=100)
    c: float = option(100.0, "C of the linear support vector machine", above=0)


@dataclass(frozen=True)
class FvsOptions(FisherOptions):
    """Everything about `fvs` and `tfvs` that a recipe may set."""

    windows: WindowOptions = field(default_factory=WindowOptions)
    variance: float = option(0.95, "share of the windows' variance in their principal components", above=0, high=1)
    components: int = option(8, "Gaussians of a mixture of windows", low=1)
    mixtures: Literal["sensor", "all"] = option(
        "sensor", "sensor: a mixture of windows each, Fisher vectors side by side; all: one of all channels together"
    )


@dataclass(frozen=True)
class FvvOptions(FisherOptions):
    """Everything about `fvv` that a recipe may set."""

    trajectories: TrackOptions = field(default_factory=TrackOptions)
    video_components: int = option(
        64, "Gaussians of a mixture of trajectories (256 published); fewer for few clips", low=1
    )


@dataclass(frozen=True)
class FusedOptions(FvsOptions, FvvOptions):
    """Everything about `fvv+fvs` and `mfv` that a recipe may set."""


@dataclass(frozen=True)
class Part:
    """Descriptors that have a mixture of their own.

    Attributes
    ----------
    columns : slice
        Of the descriptors of their kind.
    components : int
        K.
    reduction : Reduction
    """

    columns: slice
    components: int
    reduction: Reduction


@dataclass(frozen=True)
class Bag:
    """Where local descriptors come from, and what they are encoded by.

    Attributes
    ----------
    descriptors : Features
        Of every clip of the store.
    parts : mapping of str to Part
        By name, in the order of the features.
    """

    descriptors: Features
    parts: Mapping[str, Part]


class FisherMethod(LinearMethod):
    """A system of Fisher vectors; subclasses say of which descriptors.

    Attributes
    ----------
    kinds : tuple of str
        "tracks", "windows" or "timed windows", in the order of the features.
    """

    kinds: ClassVar[tuple[str, ...]]
    name: ClassVar[str]

    def __init__(self, options: Any, **wanted: Any) -> None:
        super().__init__(options, **wanted)
        self._encoders: dict[str, FisherEncoder] = {}

    @classmethod
    def reads(cls, options: Any, samples: Samples) -> tuple[str, ...]:
        """Return the main video and all sensors, or one of both."""
        read: tuple[str, ...] = ()
        if "tracks" in cls.kinds:
            videos = of_kind(samples, "video", who=cls.name, what="a video")
            read += ("rgb",) if "rgb" in videos else videos[:1]
        if cls.kinds != ("tracks",):
            read += of_kind(samples, "sensor", who=cls.name, what="a sensor")
        return read

    def fit_features(self, samples: Samples, *, seed: int) -> None:
        """Learn principal components and mixtures from descriptors of the clips, drawn by the seed."""
        from joblib import Parallel, delayed
        from sklearn.exceptions import ConvergenceWarning

        def learned(drawn: NDArray[np.float32], part: Part) -> FisherEncoder:
            self.stop_if_asked()
            return FisherEncoder.fit(drawn[:, part.columns], part.components, reduction=part.reduction, seed=seed)

        names, tasks = [], []
        for bag in self.bags(samples):
            self.stop_if_asked()
            drawn = sampled(_by_position(bag, samples.clips), len(samples), limit=self.options.sampled, seed=seed)
            names += list(bag.parts)
            tasks += [delayed(learned)(drawn, part) for part in bag.parts.values()]
        # One mixture does not fill the cores: most of it is sums over arrays, which let other threads run.
        with warnings.catch_warnings():
            # A mixture that still moves a little encodes as well. (Said here, as it goes for all threads.)
            warnings.simplefilter("ignore", ConvergenceWarning)
            encoders = Parallel(n_jobs=min(os.cpu_count() or 1, len(tasks)), backend="threading")(tasks)
        self._encoders = dict(zip(names, encoders, strict=True))

    def features(self, samples: Samples) -> NDArray[np.float32]:
        """Return the Fisher vectors of every clip side by side, each of length 1, or 0 without a descriptor."""
        from joblib import Parallel, delayed

        bags, clips = self.bags(samples), samples.clips
        workers = max(1, min(os.cpu_count() or 1, len(clips) // _CLIPS_A_WORKER))
        bounds = np.linspace(0, len(clips), workers + 1).astype(int)
        tasks = [delayed(_encoded)(bags, self._encoders, clips[first:after]) for first, after in pairwise(bounds)]
        return np.concatenate(Parallel(n_jobs=workers)(tasks))

    def bags(self, samples: Samples) -> list[Bag]:
        """Return the local descriptors of `samples` in the order of `kinds`; windows of the sensors one by one."""
        bags = []
        sensors = tuple(name for name in self.modalities if samples.kind(name) == "sensor")
        for kind in self.kinds:
            if kind == "tracks":
                bags.append(self._track_bag(samples))
            elif self.options.mixtures == "all":
                bags.append(self._window_bag(samples, "windows", sensors, timed=kind == "timed windows"))
            else:
                bags += [
                    self._window_bag(samples, f"windows/{name}", (name,), timed=kind == "timed windows")
                    for name in sensors
                ]
        return bags

    def _track_bag(self, samples: Samples) -> Bag:
        (video,) = (name for name in self.modalities if samples.kind(name) == "video")
        tracks = video_tracks(samples.store, video, self.options.trajectories)
        parts = {
            name: Part(columns, self.options.video_components, Reduction(count=(columns.stop - columns.start) // 2))
            for name, columns in COLUMNS.items()
        }
        return Bag(tracks, parts)

    def _window_bag(self, samples: Samples, name: str, sensors: tuple[str, ...], *, timed: bool) -> Bag:
        options = self.options
        reduction = Reduction(variance=options.variance, standardise=True, appended=int(timed))
        # The last column of windows is their time.
        part = Part(slice(None) if timed else slice(-1), options.components, reduction)
        return Bag(store_windows(samples.store, sensors, options.windows), {name: part})

    def estimator(self, *, seed: int, classes_present: int) -> Any:
        """Return a linear support vector machine, one class against the rest."""
        return LinearSvm(self.options.c, before_step=self.stop_if_asked)

    def feature_state(self) -> dict[str, NDArray[Any]]:
        """Return the encoders' arrays, named "PART/ARRAY"."""
        return {
            f"{part}/{name}": values
            for part, encoder in self._encoders.items()
            for name, values in encoder.state().items()
        }

    def restore_features(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take back the encoders."""
        for part in dict.fromkeys(name.rpartition("/")[0] for name in state):
            own = {name.rpartition("/")[2]: state[name] for name in state if name.rpartition("/")[0] == part}
            self._encoders[part] = FisherEncoder.restore(own)


def _by_position(bag: Bag, clips: Sequence[int]) -> Callable[[int], NDArray[np.float32]]:
    return lambda position: bag.descriptors.rows(clips[position])


def _encoded(bags: Sequence[Bag], encoders: Mapping[str, FisherEncoder], clips: Sequence[int]) -> NDArray[np.float32]:
    """Return the Fisher vectors of clips of a store, (n, D)."""
    features = np.empty((len(clips), sum(encoder.length for encoder in encoders.values())), np.float32)
    for clip, row in zip(clips, features, strict=True):
        vectors = []
        for bag in bags:
            rows = bag.descriptors.rows(clip)
            vectors += [encoders[name].encode(rows[:, part.columns]) for name, part in bag.parts.items()]
        row[:] = np.concatenate(vectors)
    return features


class Fvs(FisherMethod):
    """Fisher vector of sensor windows."""

    options_class: ClassVar[type] = FvsOptions
    kinds = ("windows",)
    name = "fvs"


class Tfvs(FisherMethod):
    """Fisher vector of sensor windows with their time."""

    options_class: ClassVar[type] = FvsOptions
    kinds = ("timed windows",)
    name = "tfvs"


class Fvv(FisherMethod):
    """Fisher vectors of trajectories."""

    options_class: ClassVar[type] = FvvOptions
    kinds = ("tracks",)
    name = "fvv"


class FvvFvs(FisherMethod):
    """Fisher vectors of trajectories and of sensor windows."""

    options_class: ClassVar[type] = FusedOptions
    kinds = ("tracks", "windows")
    name = "fvv+fvs"


class Mfv(FisherMethod):
    """The multimodal Fisher vector: trajectories and sensor windows with their time."""

    options_class: ClassVar[type] = FusedOptions
    kinds = ("tracks", "timed windows")
    name = "mfv"
