"""The Fisher-vector systems of the Multimodal Egocentric Activity dataset.

Song, Cheung, Chandrasekhar, Mandal, Lin, "Egocentric activity recognition with multimodal Fisher vector", ICASSP 2016.
A clip is a bag of local descriptors, windows of its sensors (`sensor_windows`) or trajectories of its video
(`trajectories`); each kind is encoded as an improved Fisher vector (`fisher`), normalised apart, those of a system are
put side by side, and a linear support vector machine tells one class from the rest.

- `fvs`: windows, whose order in the clip does not count.
- `tfvs`: the same; a window's time in the clip is one more number of its descriptor, beside the principal components.
- `fvv`: trajectories; HOG, HOF and MBH right and down have a mixture each, after principal components of half the size.
- `fvv+fvs`, `mfv`: the video's Fisher vectors with those of windows, without and with time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mmtsa_cli.artifacts.options import option
from mmtsa_cli.methods.classical import ClassicalMethod, of_kind
from mmtsa_cli.methods.fisher_encoder import Descriptors, FisherEncoder, Reduction, sampled
from mmtsa_cli.methods.sensor_windows import WindowOptions, sensor_windows
from mmtsa_cli.methods.track_histograms import COLUMNS
from mmtsa_cli.methods.trajectories import TrackOptions, video_tracks
from mmtsa_cli.sampling.draw import Samples


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
    components: int = option(25, "Gaussians of the mixture of windows", low=1)


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


class FisherMethod(ClassicalMethod):
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
        for kind in self.kinds:
            drawn = sampled(self.descriptors(kind, samples), len(samples), limit=self.options.sampled, seed=seed)
            for name, part in self.parts(kind).items():
                self._encoders[name] = FisherEncoder.fit(
                    drawn[:, part.columns], part.components, reduction=part.reduction, seed=seed
                )

    def features(self, samples: Samples) -> NDArray[np.float64]:
        """Return the Fisher vectors of every clip side by side, each of length 1, or 0 without a descriptor."""
        kinds = [(self.descriptors(kind, samples), self.parts(kind)) for kind in self.kinds]
        width = sum(encoder.length for encoder in self._encoders.values())
        features = np.empty((len(samples), width))
        for position, row in enumerate(features):
            vectors = []
            for descriptors, parts in kinds:
                rows = descriptors(position)
                vectors += [self._encoders[name].encode(rows[:, part.columns]) for name, part in parts.items()]
            row[:] = np.concatenate(vectors)
        return features

    def descriptors(self, kind: str, samples: Samples) -> Descriptors:
        """Return what gives the descriptors of a clip of `samples` by its position."""
        store, clips = samples.store, samples.clips
        if kind == "tracks":
            (video,) = (name for name in self.modalities if samples.kind(name) == "video")
            tracks = video_tracks(store, video, self.options.trajectories)
            return lambda position: tracks.rows(clips[position])
        sensors = [name for name in self.modalities if samples.kind(name) == "sensor"]
        return lambda position: sensor_windows(store, sensors, clips[position], self.options.windows)

    def parts(self, kind: str) -> dict[str, Part]:
        """Return the mixtures of a kind of descriptors by name; the last column of windows is their time."""
        options = self.options
        if kind == "tracks":
            return {
                name: Part(columns, options.video_components, Reduction(count=(columns.stop - columns.start) // 2))
                for name, columns in COLUMNS.items()
            }
        timed = kind == "timed windows"
        reduction = Reduction(variance=options.variance, standardise=True, appended=int(timed))
        return {"windows": Part(slice(None) if timed else slice(-1), options.components, reduction)}

    def estimator(self, *, seed: int, classes_present: int) -> Any:
        """Return a linear support vector machine, one class against the rest."""
        from sklearn.svm import LinearSVC

        return LinearSVC(C=self.options.c, dual="auto", random_state=seed, max_iter=10_000)

    def feature_state(self) -> dict[str, NDArray[Any]]:
        """Return the encoders' arrays, named "PART/ARRAY"."""
        return {
            f"{part}/{name}": values
            for part, encoder in self._encoders.items()
            for name, values in encoder.state().items()
        }

    def restore_features(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take back the encoders."""
        for part in [name for kind in self.kinds for name in self.parts(kind)]:
            own = {name.partition("/")[2]: values for name, values in state.items() if name.startswith(f"{part}/")}
            self._encoders[part] = FisherEncoder.restore(own)


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
