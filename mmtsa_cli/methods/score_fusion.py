"""Late fusion: one network a modality, each fitted on its own, whose class scores are averaged by weight."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mmtsa_cli.artifacts.directory import file_name
from mmtsa_cli.errors import ArtifactError
from mmtsa_cli.methods.contract import Cost, Progress
from mmtsa_cli.methods.network_method import NetworkMethod, NetworkOptions
from mmtsa_cli.methods.trained_once import narrowed
from mmtsa_cli.sampling.draw import Samples
from mmtsa_cli.training.checkpoint import TrainingState
from mmtsa_cli.training.run import Run

if TYPE_CHECKING:
    from typing_extensions import Self


class ScoreFusion(ABC):
    """Networks of one modality each; subclasses say which, and how their scores become one.

    Parameters
    ----------
    options : NetworkOptions
    parts : mapping of str to NetworkMethod
        By name (that of the modality, where nothing else is said); at least one.
    weights : (M,) array, optional
        One a modality, not negative, sum 1; None: equal ones.
    """

    name: ClassVar[str]
    options_class: ClassVar[type] = NetworkOptions
    part_class: ClassVar[type[NetworkMethod]]

    def __init__(
        self, options: Any, parts: Mapping[str, NetworkMethod], weights: NDArray[np.float64] | None = None
    ) -> None:
        self.options = options
        self.parts = dict(parts)
        self.classes = next(iter(self.parts.values())).classes
        self.weights = np.full(len(self.parts), 1 / len(self.parts)) if weights is None else weights

    @classmethod
    @abstractmethod
    def modalities(cls, samples: Samples) -> tuple[str, ...]:
        """Return which modalities of `samples` get a network.

        Raises
        ------
        DataError
            One that the system needs is not among them.
        """

    @classmethod
    def part_options(cls, options: Any) -> Any:
        """Return the options of the parts."""
        return options

    @classmethod
    def part_class_of(cls, name: str) -> type[NetworkMethod]:
        """Return the class of the part called `name`."""
        return cls.part_class

    @abstractmethod
    def combine(self, probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the fused probabilities, (n, classes), of those of the parts, (M, n, classes)."""

    @classmethod
    def for_samples(cls, options: Any, samples: Samples, *, seed: int = 0) -> Self:
        """Return an untrained system with a network for each modality that it reads.

        Raises
        ------
        DataError
            One that it needs is not among those of `samples`.
        """
        wanted = cls.part_options(options)
        names = cls.modalities(samples)
        return cls(
            options, {n: cls.part_class_of(n).for_samples(wanted, samples.narrowed([n]), seed=seed) for n in names}
        )

    def fit(
        self, samples: Samples, validation: Samples | None, *, seed: int, run: Run
    ) -> dict[str, TrainingState] | None:
        """Train the networks one after the other, each in a directory of its own, so that each can be resumed.

        Raises
        ------
        DataError
            Fewer than two clips.
        TrainingStoppedError
        """
        states = {}
        for name, part in self.parts.items():
            directory = run.directory / file_name(name)
            directory.mkdir(parents=True, exist_ok=True)
            own, own_validation = narrowed(samples, validation, tuple(part.inputs))
            states[name] = part.fit(own, own_validation, seed=seed, run=replace(run, directory=directory))
        return states

    def predict_proba(
        self, samples: Samples, *, seed: int = 0, progress: Progress = lambda done, total: None
    ) -> NDArray[np.float64]:
        """Return the probability of each class for each clip, (n, classes)."""
        return self.combine(self.predict_parts(samples, seed=seed, progress=progress))

    def predict_parts(
        self, samples: Samples, *, seed: int = 0, progress: Progress = lambda done, total: None
    ) -> NDArray[np.float64]:
        """Return the probabilities that each network gives on its own, (M, n, classes)."""
        answers = []
        for number, part in enumerate(self.parts.values()):

            def advance(done: int, total: int, number: int = number) -> None:
                progress(number * total + done, len(self.parts) * total)

            own = samples.narrowed(tuple(part.inputs))
            answers.append(part.predict_proba(own, seed=seed, progress=advance))
        return np.stack(answers)

    def cost(self) -> Cost:
        """Return the sum of what the networks cost: all of them run to predict."""
        costs = [part.cost() for part in self.parts.values()]
        return Cost(sum(cost.parameters for cost in costs), sum(cost.macs or 0 for cost in costs))

    def state(self) -> dict[str, Any]:
        """Return the weights of every network by name, and those of the modalities."""
        states = {name: part.state() for name, part in self.parts.items()}
        plain = {name: {k: v for k, v in state.items() if k.startswith("_")} for name, state in states.items()}
        arrays = {
            f"part/{name}/{key}": value
            for name, state in states.items()
            for key, value in state.items()
            if not key.startswith("_")
        }
        return {"_parts": plain, "_weights": self.weights.tolist(), **arrays}

    @classmethod
    def restore(cls, options: Any, state: Mapping[str, Any]) -> Self:
        """Return the trained system.

        Raises
        ------
        ArtifactError
            The state of another system.
        """
        if "_parts" not in state:
            raise ArtifactError(f"the state is of another system than {cls.name}", expected="networks by modality")
        wanted = cls.part_options(options)
        parts = {}
        for name, about in state["_parts"].items():
            prefix = f"part/{name}/"
            arrays = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
            parts[name] = cls.part_class_of(name).restore(wanted, {**about, **arrays})
        return cls(options, parts, np.array(state["_weights"], np.float64))
