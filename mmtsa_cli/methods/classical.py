"""Systems of two steps: features of a clip, computed or learned without gradient, then a classifier of scikit-learn."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from mmtsa_cli.errors import ArtifactError, DataError
from mmtsa_cli.methods.contract import Cost
from mmtsa_cli.modalities import Kind
from mmtsa_cli.sampling.draw import Samples
from mmtsa_cli.training.run import Run, TrainingStoppedError

if TYPE_CHECKING:
    from typing_extensions import Self

Progress = Callable[[int, int], None]
_CLIPS_AT_ONCE = 256


class ClassicalMethod(ABC):
    """A system of features and a classifier: subclasses say what both are (`features`, `estimator`).

    Parameters
    ----------
    options : dataclass
        Of `options_class`.
    modalities : sequence of str
        What is read, in this order.
    classes : sequence of str
        The labels, in the order of the columns of `predict_proba`.
    seed : int
        Replaced by that of `fit`.

    Attributes
    ----------
    settings : dict
        What `choose` chose; plain values.
    classifier : scikit-learn classifier
        The fitted `estimator`; None before.
    """

    options_class: ClassVar[type]

    def __init__(self, options: Any, *, modalities: Sequence[str], classes: Sequence[str], seed: int = 0) -> None:
        self.options = options
        self.modalities = tuple(modalities)
        self.classes = tuple(classes)
        self.seed = seed
        self.settings: dict[str, Any] = {}
        self.classifier: Any = None
        self._should_stop: Callable[[], bool] = lambda: False
        self._features: NDArray[Any] = np.empty((0, 0))
        self._labels: NDArray[np.int64] = np.empty(0, np.int64)

    @classmethod
    def for_samples(cls, options: Any, samples: Samples, *, seed: int = 0) -> Self:
        """Return an unfitted system for what it reads of `samples`.

        Raises
        ------
        DataError
            A modality that it needs is not among those of the samples.
        """
        return cls(options, modalities=cls.reads(options, samples), classes=samples.classes, seed=seed)

    @classmethod
    def reads(cls, options: Any, samples: Samples) -> tuple[str, ...]:
        """Return which modalities of `samples` are read: all, unless a subclass chooses (see `of_kind`).

        Raises
        ------
        DataError
            None of them fits.
        """
        return samples.modalities

    def fit_features(self, samples: Samples, *, seed: int) -> None:  # noqa: B027 - most have nothing to learn
        """Learn from training clips what must be known before there are features (a vocabulary, a mixture)."""

    @abstractmethod
    def features(self, samples: Samples) -> NDArray[Any]:
        """Return the features of every clip, (n, D) finite; those of a clip do not depend on the others.

        float64, or float32 where they are so many that memory counts; the state keeps them as they are.
        """

    def choose(
        self, features: NDArray[Any], labels: NDArray[np.int64], subjects: Sequence[str], *, seed: int
    ) -> dict[str, Any]:
        """Return what of the classifier is chosen on the training clips, as plain values that the state keeps.

        Parameters
        ----------
        features : (n, D) array
        labels : (n,) int64 array
        subjects : sequence of str
            Who is seen in each clip; an empty text where the index does not say.
        seed : int
        """
        return {}

    @abstractmethod
    def estimator(self, *, seed: int, classes_present: int) -> Any:
        """Return an unfitted classifier of scikit-learn, with `predict_proba` or `decision_function`.

        It may use `settings`, and must be the same after the same fit.
        """

    def feature_state(self) -> dict[str, NDArray[Any]]:
        """Return what `fit_features` learned, as named arrays."""
        return {}

    def restore_features(self, state: Mapping[str, NDArray[Any]]) -> None:  # noqa: B027 - and nothing to take
        """Take back what `feature_state` gave."""

    def classifier_state(self) -> dict[str, NDArray[Any]]:
        """Return what the fitted classifier is made again from: the training clips' features and labels.

        Fitting is a function of them, `settings` and the seed, so this is exact for any classifier.
        """
        return {"features": self._features, "labels": self._labels}

    def restore_classifier(self, state: Mapping[str, NDArray[Any]]) -> Any:
        """Return the fitted classifier from what `classifier_state` gave."""
        self._features, self._labels = state["features"], state["labels"]
        return self.estimator(seed=self.seed, classes_present=len(np.unique(self._labels))).fit(
            self._features, self._labels
        )

    def fit(self, samples: Samples, validation: Samples | None, *, seed: int, run: Run) -> None:
        """Fit to `samples`; what is to be chosen is chosen on them too, `validation` is not read.

        Raises
        ------
        DataError
            Fewer than two classes with a clip.
        TrainingStoppedError
            It was asked to stop before the classifier was fitted; nothing is kept.
        """
        known = samples.labels >= 0
        labels = samples.labels[known]
        if len(np.unique(labels)) < 2:
            raise DataError(
                "too few clips to train on",
                expected="clips of at least 2 classes",
                found=f"{len(labels)} clips of {len(np.unique(labels))}",
            )
        samples = _part(samples, np.flatnonzero(known))
        self._should_stop = run.should_stop
        self.fit_features(samples, seed=seed)
        features = self._training_features(samples)
        self.stop_if_asked()
        self.seed = seed
        self.settings = self.choose(features, labels, samples.column("subject"), seed=seed)
        self.stop_if_asked()
        self.classifier = self.estimator(seed=seed, classes_present=len(np.unique(labels))).fit(features, labels)
        self._features, self._labels = features, labels

    def stop_if_asked(self) -> None:
        """Leave a fit that was asked to stop: subclasses call it between steps of what takes long.

        Raises
        ------
        TrainingStoppedError
        """
        if self._should_stop():
            raise TrainingStoppedError("stopped before the classifier was fitted")

    def _training_features(self, samples: Samples) -> NDArray[Any]:
        """Return the features of every clip, computed into their place, some clips after the other."""
        features: NDArray[Any] | None = None
        for positions in _chunks(len(samples)):
            self.stop_if_asked()
            part = self.features(_part(samples, positions))
            if features is None:
                features = np.empty((len(samples), part.shape[1]), part.dtype)
            features[positions] = part
        assert features is not None
        return features

    def predict_proba(
        self, samples: Samples, *, seed: int = 0, progress: Progress = lambda done, total: None
    ) -> NDArray[np.float64]:
        """Return the probability of each class for each clip, (n, classes) float64.

        Where the classifier has no probabilities they are the softmax of its decision values: the order of the classes
        is the classifier's, but the numbers are not calibrated. A class without a training clip has 0.
        """
        probabilities = np.zeros((len(samples), len(self.classes)))
        for positions in _chunks(len(samples)):
            known = self._known_probabilities(self.features(_part(samples, positions)))
            probabilities[positions[:, None], self.classifier.classes_] = known
            progress(int(positions[-1]) + 1, len(samples))
        return probabilities

    def _known_probabilities(self, features: NDArray[Any]) -> NDArray[np.float64]:
        """Return the probabilities of the classes that the classifier knows, in its order."""
        if hasattr(self.classifier, "predict_proba"):
            return np.asarray(self.classifier.predict_proba(features), np.float64)
        values = np.asarray(self.classifier.decision_function(features), np.float64)
        if values.ndim == 1:
            values = np.stack([-values, values], axis=1)
        return softmax(values, axis=1)

    def cost(self) -> Cost:
        """Return the numbers that were fitted and are needed to predict.

        Those of `feature_state`, and of the classifier (`fitted_numbers`); the training clips are not counted, though
        the state keeps them.
        """
        learned = sum(int(np.size(values)) for values in self.feature_state().values())
        return Cost(learned + fitted_numbers(self.classifier))

    def state(self) -> dict[str, Any]:
        """Return what was learned and chosen, and the classifier as arrays (`classifier_state`)."""
        about = {
            "_system": type(self).__name__,
            "_modalities": list(self.modalities),
            "_classes": list(self.classes),
            "_seed": self.seed,
            "_settings": self.settings,
        }
        learned = {f"learned.{name}": values for name, values in self.feature_state().items()}
        classifier = {f"classifier.{name}": values for name, values in self.classifier_state().items()}
        return {**about, **learned, **classifier}

    @classmethod
    def restore(cls, options: Any, state: Mapping[str, Any]) -> Self:
        """Return the fitted system whose `state` this is.

        Raises
        ------
        ArtifactError
            The state of another system.
        """
        if state.get("_system") != cls.__name__:
            found = str(state.get("_system", "no classifier's features"))
            raise ArtifactError("the state is of another system", expected=cls.__name__, found=found)
        method = cls(options, modalities=state["_modalities"], classes=state["_classes"], seed=state["_seed"])
        method.settings = dict(state["_settings"])
        method.restore_features(_under("learned.", state))
        method.classifier = method.restore_classifier(_under("classifier.", state))
        return method


class LinearMethod(ClassicalMethod):
    """A system whose classifier is weights and intercepts: they are kept, not the training clips' features."""

    def classifier_state(self) -> dict[str, NDArray[Any]]:
        """Return the weights: far fewer numbers than the training clips' features."""
        machine = self.classifier
        return {"coef": machine.coef_, "intercept": machine.intercept_, "classes": machine.classes_}

    def restore_classifier(self, state: Mapping[str, NDArray[Any]]) -> Any:
        """Return the machine with its weights."""
        machine = self.estimator(seed=self.seed, classes_present=len(state["classes"]))
        machine.coef_, machine.intercept_, machine.classes_ = state["coef"], state["intercept"], state["classes"]
        return machine


def of_kind(samples: Samples, kind: Kind, *, who: str, what: str, prefix: str = "") -> tuple[str, ...]:
    """Return the modalities of a kind whose name begins with `prefix`.

    Raises
    ------
    DataError
        There is none: "`who` needs `what`".
    """
    found = tuple(name for name in samples.modalities if samples.kind(name) == kind and name.startswith(prefix))
    if not found:
        there = ", ".join(samples.modalities) or "no modality"
        raise DataError(f"{who} needs {what}", expected=what, found=there)
    return found


def fitted_numbers(estimator: Any) -> int:
    """Return how many numbers of a fitted classifier are needed to predict.

    A pipeline: the sum over its steps. A scaler: mean and scale of each feature. A support vector machine: support
    vectors, their coefficients and intercepts, or the weights where it is linear and keeps no vectors. A tree: feature,
    threshold and two branches of each inner node, and the class shares of each leaf.
    """
    if hasattr(estimator, "steps"):
        return sum(fitted_numbers(step) for _, step in estimator.steps)
    if hasattr(estimator, "tree_"):
        tree = estimator.tree_
        return int(4 * (tree.node_count - tree.n_leaves) + tree.n_leaves * tree.n_classes[0])
    machine = "support_vectors_" if hasattr(estimator, "support_vectors_") else "coef_"
    names = ("mean_", "scale_", machine, "dual_coef_", "intercept_")
    return sum(int(np.size(getattr(estimator, name))) for name in names if hasattr(estimator, name))


def _under(prefix: str, state: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """Return the arrays whose name begins with `prefix`, without it."""
    return {name.removeprefix(prefix): np.asarray(state[name]) for name in state if name.startswith(prefix)}


def _chunks(count: int) -> Iterator[NDArray[np.int64]]:
    for start in range(0, count, _CLIPS_AT_ONCE):
        yield np.arange(start, min(start + _CLIPS_AT_ONCE, count))


def _part(samples: Samples, positions: NDArray[np.int64]) -> Samples:
    """Return some of the clips; all of them unchanged."""
    clips = [samples.clips[position] for position in positions]
    return Samples(
        samples.store, clips, modalities=samples.modalities, classes=samples.classes, options=samples.options
    )
