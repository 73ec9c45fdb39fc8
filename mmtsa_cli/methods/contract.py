"""What every system of the tables is to `benchmark` and `ablate`, whatever it is inside."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from numpy.typing import NDArray

from mmtsa_cli.sampling.draw import Samples
from mmtsa_cli.training.run import Run

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Cost:
    """What a trained system is in size and work.

    Attributes
    ----------
    parameters : int
        Numbers that were fitted to the training clips and are needed to predict.
    macs : int or None
        Multiply-accumulates of one clip, counted by running it; None where the system is no network.
    """

    parameters: int
    macs: int | None = None


class Method(Protocol):
    """A system: made for some samples, fitted to them, then asked.

    Attributes
    ----------
    options_class : type
        The dataclass of its options; every field has a default and a help text (`artifacts.options.option`).
    classes : tuple of str
        The labels, in the order of the columns of `predict_proba`.
    """

    options_class: ClassVar[type]
    classes: tuple[str, ...]

    @classmethod
    def for_samples(cls, options: Any, samples: Samples, *, seed: int = 0) -> Method:
        """Return an unfitted system for the modalities, classes and segments of `samples`.

        Raises
        ------
        DataError
            A modality that it needs is not among those of the samples.
        """

    def fit(self, samples: Samples, validation: Samples | None, *, seed: int, run: Run) -> Any:
        """Fit to `samples`; choose by `validation` what is to be chosen, or do without.

        Parameters
        ----------
        run : Run
            `run.directory` is the system's own; a network whose checkpoint is there goes on from it. `run.shared`, if
            given, is a place that systems of the same training clips and seed share (teachers).

        Raises
        ------
        DataError
            Too few clips.
        TrainingStoppedError
            It was asked to stop.
        MmtsaError
            The fitting failed (a loss that is no number).
        """

    def predict_proba(
        self, samples: Samples, *, seed: int = 0, progress: Progress = lambda done, total: None
    ) -> NDArray[Any]:
        """Return the probability of each class for each clip, (n, classes) float64, rows that sum to 1.

        Does not depend on how many clips are asked at once, and changes nothing in the system.
        """

    def cost(self) -> Cost:
        """Return what the fitted system costs."""

    def state(self) -> Mapping[str, Any]:
        """Return all that `restore` needs: named arrays, and plain values under names that begin with `_`."""

    @classmethod
    def restore(cls, options: Any, state: Mapping[str, Any]) -> Method:
        """Return the fitted system whose `state` this is; it predicts the same probabilities.

        Raises
        ------
        ArtifactError
            The state of another system.
        """
