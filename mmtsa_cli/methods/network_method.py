"""Systems whose network is trained by gradient: all of them but for the network itself and its loss.

They share the draw of segments, the training loop, mixup and label smoothing, the averaging over draws and the choice
of the best epoch, so that a table compares systems and not training scripts.
"""

from __future__ import annotations

import copy
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mmtsa_cli.artifacts.options import option
from mmtsa_cli.errors import ArtifactError, DataError
from mmtsa_cli.imaging.field import FieldOptions
from mmtsa_cli.methods.batches import BatchPlan, evaluation_batches, prefetched
from mmtsa_cli.methods.contract import Cost
from mmtsa_cli.models.cost import macs, parameters
from mmtsa_cli.models.inference import Precision, activation_ranges, ready_for_inference, ready_in_integers
from mmtsa_cli.models.integers import Range
from mmtsa_cli.models.network import Input, ModelOptions
from mmtsa_cli.sampling.draw import Augmentation, Batch, Samples
from mmtsa_cli.training.checkpoint import TrainingState
from mmtsa_cli.training.group import gathered, own_part
from mmtsa_cli.training.loop import Work, train
from mmtsa_cli.training.memory import keep_freed_memory
from mmtsa_cli.training.optimisation import (
    TrainingOptions,
    autocast,
    choose_device,
    compile_backbones,
    deterministic_algorithms,
    uses_bfloat16,
    with_least_steps,
)
from mmtsa_cli.training.parts import split_of
from mmtsa_cli.training.run import Run

if TYPE_CHECKING:
    from typing_extensions import Self

Progress = Callable[[int, int], None]


class CrossEntropy(Protocol):
    """The loss of scores against the labels of a batch, smoothed and mixed."""

    def __call__(self, scores: Tensor, group_of: Tensor | None = None) -> Tensor:
        """Return the mean loss of scores, (B, classes).

        Parameters
        ----------
        scores : (B, classes) tensor, or (B, groups)
        group_of : (classes,) int64 tensor, optional
            The group of each class: scores are then of groups, and compared with those of the labels.
        """


@dataclass(frozen=True)
class NetworkOptions:
    """Everything about a network system that a recipe may set."""

    imaging: FieldOptions = field(default_factory=FieldOptions)
    model: ModelOptions = field(default_factory=ModelOptions)
    augmentation: Augmentation = field(default_factory=Augmentation)
    training: TrainingOptions = field(default_factory=TrainingOptions)
    draws: int = option(1, "draws of a clip whose probabilities are averaged; 1: the centre of each segment", low=1)


@dataclass(frozen=True)
class Prediction:
    """What the network says of n clips.

    Attributes
    ----------
    probabilities : (n, classes) float array
        Rows sum to 1.
    attention : (n, N) float array
        Weight of each segment; rows sum to 1, and are even where the network weighs none.
    """

    probabilities: NDArray[np.float64]
    attention: NDArray[np.float64]


class NetworkMethod(ABC):
    """A system with a network: subclasses say what it is (`build`) and, where it is more than one term, its loss.

    Parameters
    ----------
    options : NetworkOptions
    inputs : mapping of str to Input
        Per modality what its encoder gets.
    classes : sequence of str
    segments : int
    seed : int
        Of the weights at the start.

    Attributes
    ----------
    network : nn.Module
        From the tensors of a batch (see `SegmentNetwork.forward`) to logits, (B, classes), and attention over segments,
        (B, N), or None where it has none.
    """

    options_class: ClassVar[type] = NetworkOptions

    def __init__(
        self,
        options: Any,
        *,
        inputs: Mapping[str, Input],
        classes: Sequence[str],
        segments: int,
        seed: int = 0,
    ) -> None:
        self.options = options
        self.inputs = dict(inputs)
        self.classes = tuple(classes)
        self.segments = segments
        self.device = choose_device(options.training.device)
        if options.training.threads:
            torch.set_num_threads(options.training.threads)
        torch.manual_seed(seed)
        self.network: Any = self.build().to(self.device).to(memory_format=torch.channels_last)
        self._ready: tuple[Any, nn.Module] | None = None
        self._ranges: Mapping[str, Mapping[str, Range]] | None = None

    @abstractmethod
    def build(self) -> nn.Module:
        """Return the network, its weights drawn from torch's own generator."""

    def loss(self, tensors: Mapping[str, Tensor], cross_entropy: CrossEntropy) -> tuple[Tensor, Tensor]:
        """Return the loss of a batch as a scalar, and the logits by which clips are counted as right.

        Parameters
        ----------
        tensors : mapping of str to tensor
            What the network takes.
        cross_entropy : callable
            See `CrossEntropy`.
        """
        logits, _ = self.network(tensors)
        return cross_entropy(logits), logits

    @classmethod
    def for_samples(cls, options: Any, samples: Samples, *, seed: int = 0) -> Self:
        """Return an untrained system for the modalities of `samples`; their quantiles become scale `dataset`."""
        inputs = {name: _input(samples, name, options) for name in samples.modalities}
        return cls(options, inputs=inputs, classes=samples.classes, segments=samples.segments, seed=seed)

    @classmethod
    def restore(cls, options: Any, state: Mapping[str, Any]) -> Self:
        """Return a trained system.

        Parameters
        ----------
        options : NetworkOptions
            As it was trained with.
        state : mapping
            As `state` gives it.

        Raises
        ------
        ArtifactError
            Weights of another network.
        """
        missing = [key for key in ("_inputs", "_classes", "_segments") if key not in state]
        if missing:
            raise ArtifactError("the state is of no network", expected=", ".join(missing), found=", ".join(state)[:80])
        try:
            inputs = {name: Input(**value) for name, value in state["_inputs"].items()}
        except (AttributeError, TypeError) as error:
            raise ArtifactError("the state's inputs are of no network", found=str(error)) from None
        # What the backbone started from is in the weights: it is not looked for again.
        options = replace(options, model=replace(options.model, weights=None))
        method = cls(options, inputs=inputs, classes=state["_classes"], segments=state["_segments"])
        weights = {name: torch.as_tensor(value) for name, value in state.items() if not name.startswith("_")}
        try:
            method.network.load_state_dict(weights)
        except RuntimeError as error:
            raise ArtifactError(
                "the weights are of another network", found=str(error).splitlines()[-1].strip()
            ) from None
        return method

    def state(self) -> dict[str, Any]:
        """Return the weights by name, and what makes a network of them again."""
        about = {
            "_inputs": {name: asdict(wanted) for name, wanted in self.inputs.items()},
            "_classes": list(self.classes),
            "_segments": self.segments,
        }
        return {**about, **{name: tensor.cpu().numpy() for name, tensor in self.network.state_dict().items()}}

    def cost(self) -> Cost:
        """Return parameters, and the multiply-accumulates of one clip, counted on a network without content."""
        empty = copy.deepcopy(self.network).to("meta")
        return Cost(parameters(self.network), macs(empty, self._example()))

    def _example(self) -> dict[str, Tensor]:
        """Return the tensors of one clip, without content."""
        tensors = {}
        for name, wanted in self.inputs.items():
            if wanted.size is None:
                raise ValueError(f"the size of {name} is not known")
            if wanted.kind == "video":
                shape = (1, self.segments, wanted.size, wanted.size, wanted.channels * wanted.frames)
                tensors[name] = torch.empty(shape, dtype=torch.uint8, device="meta")
            else:
                tensors[name] = torch.empty((1, self.segments, wanted.channels, wanted.size), device="meta")
                tensors[f"{name}.extremes"] = torch.empty((1, wanted.channels, 2), device="meta")
        return tensors

    def fit(self, samples: Samples, validation: Samples | None, *, seed: int, run: Run) -> TrainingState:
        """Train on `samples`; choose the best epoch, and when to stop, by `validation`.

        Raises
        ------
        DataError
            Fewer than two clips.
        UsageError
            A batch cannot be cut for the processes that train together.
        TrainingStoppedError
        """
        if len(samples) < 2:
            raise DataError("too few clips to train on", expected="at least 2", found=str(len(samples)))
        size = min(self.options.training.batch_size, len(samples))
        options = self.options.training
        split = split_of(options, size)
        plan = BatchPlan(samples, size, self.options.augmentation, seed, workers=options.workers, split=split)
        options = with_least_steps(options, plan.steps)
        if options.compile:
            compile_backbones(self.network)
        if self.device.type == "cpu":
            keep_freed_memory()
        validate = (lambda network: self._validate(validation)) if validation else None
        work = Work(plan.steps, plan.batches, self._loss, validate)
        return train(self.network, work, options, seed=seed, run=run)

    def deterministic_cost(self, samples: Samples, *, seed: int, repeats: int = 3) -> tuple[float, float]:
        """Return the seconds of a training step with deterministic algorithms, and without: medians, taken in turns.

        The network stays as it is. A first step of each is not counted.

        Raises
        ------
        UsageError
            A layer has no deterministic algorithm on this device.
        """
        kept, self.network = self.network, copy.deepcopy(self.network).train()
        size = min(self.options.training.batch_size, len(samples))
        batch = samples.batch(list(range(size)))
        seconds: dict[bool, list[float]] = {True: [], False: []}
        try:
            for _ in range(1 + repeats):
                for wanted, taken in seconds.items():
                    begun = time.perf_counter()
                    with deterministic_algorithms(wanted):
                        self._step(batch, seed)
                    taken.append(time.perf_counter() - begun)
        finally:
            self.network = kept
        return float(np.median(seconds[True][1:])), float(np.median(seconds[False][1:]))

    def _step(self, batch: Batch, seed: int) -> None:
        """Compute the gradients of a batch, and wait for them."""
        with autocast(self.options.training.precision, self.device):
            loss, _, _ = self._loss(self.network, batch, torch.Generator().manual_seed(seed))
        loss.backward()
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def predict_proba(
        self, samples: Samples, *, seed: int = 0, progress: Progress = lambda done, total: None
    ) -> NDArray[np.float64]:
        """Return the probability of each class for each clip, (n, classes)."""
        return self.predict(samples, seed=seed, progress=progress).probabilities

    def predict(self, samples: Samples, *, seed: int = 0, progress: Progress = lambda done, total: None) -> Prediction:
        """Return probabilities and attention of every clip, averaged over `draws`: the centre, then random ones."""
        network, precision = self.network_for_inference()

        def forward(batch: Batch) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
            return self._forward(batch, network, precision)

        return Prediction(*self._averaged(samples, forward, seed=seed, progress=progress))

    def network_for_inference(self) -> tuple[nn.Module, str]:
        """Return the network as it is fastest asked, without its norms, and the precision for `autocast` round it.

        It is made anew when the weights have changed. A network without backbones is asked as it is.
        """
        precision = self.options.training.precision
        if not any("backbone" in holder._modules for holder in self.network.modules()):
            return self.network.eval(), precision
        tensors = [*self.network.parameters(), *self.network.buffers()]
        weights = [(id(tensor), tensor._version) for tensor in tensors if not tensor.is_inference()]
        if self._ready is None or self._ready[0] != weights:
            if self._ranges is not None:
                self._ready = weights, ready_in_integers(self.network, self._ranges)
                return self._ready[1], "float32"
            reduced: Precision = "bfloat16" if uses_bfloat16(precision, self.device) else "float32"
            self._ready = weights, ready_for_inference(self.network, precision=reduced)
        return self._ready[1], "float32"

    def activation_ranges(self, samples: Samples) -> dict[str, dict[str, Range]] | None:
        """Return what all that backbones compute of some clips lies between; see `models.inference`."""
        batches = evaluation_batches(samples, list(range(len(samples))), 0, 0)
        return activation_ranges(self.network, (self._tensors(draw()) for draw in batches))

    def compute_in_integers(self, ranges: Mapping[str, Mapping[str, Range]]) -> None:
        """Predict with backbones in 8-bit integers from now on.

        Parameters
        ----------
        ranges : mapping
            Of `activation_ranges`, of this system.

        Raises
        ------
        ArtifactError
            Ranges of another network.
        """
        self._ranges, self._ready = ranges, None
        try:
            self.network_for_inference()
        except KeyError as error:
            raise ArtifactError("ranges of another network", expected=f"one of {error.args[0]}") from None

    def _averaged(
        self,
        samples: Samples,
        forward: Callable[[Batch], tuple[NDArray[np.float64], ...]],
        *,
        seed: int,
        progress: Progress,
    ) -> list[NDArray[np.float64]]:
        """Return what `forward` says of every clip, array by array, averaged over draws.

        Several processes share the clips out, and each returns all.
        """
        sums: list[NDArray[np.float64]] = []
        own = own_part(len(samples))
        total = self.options.draws * len(own)
        for draw in range(self.options.draws):
            parts = []
            for batch in prefetched(evaluation_batches(samples, own, draw, seed), self.options.training.workers):
                parts.append(forward(batch))
                progress(draw * len(own) + sum(len(part[0]) for part in parts), total)
            stacked = [gathered(own, np.concatenate(side), len(samples)) for side in zip(*parts, strict=True)]
            sums = [s + now for s, now in zip(sums, stacked, strict=True)] if draw else stacked
        return [one / self.options.draws for one in sums]

    def _forward(
        self, batch: Batch, network: nn.Module, precision: str
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        with torch.inference_mode(), autocast(precision, self.device):
            logits, attention = network(self._tensors(batch))
        if attention is None:
            attention = torch.full((len(logits), self.segments), 1 / self.segments)
        return logits.double().softmax(dim=1).cpu().numpy(), attention.double().cpu().numpy()

    def _validate(self, validation: Samples) -> dict[str, float]:
        from mmtsa_cli.evaluation.metrics import score

        # As it is trained: a copy for inference would have to be made anew after each epoch.
        network, options, own = self.network.eval(), self.options.training, own_part(len(validation))
        drawn = prefetched(evaluation_batches(validation, own, 0, 0), options.workers)
        centre = [self._forward(batch, network, options.precision)[0] for batch in drawn]
        probabilities = gathered(own, np.concatenate(centre), len(validation))
        result = score(validation.labels, probabilities.argmax(axis=1), len(self.classes))
        likelihood = probabilities[np.arange(len(probabilities)), validation.labels]
        loss = float(-np.log(np.maximum(likelihood, 1e-12)).mean())
        # Ties of the accuracy, common with few clips, are decided by the loss.
        return {
            "accuracy": result.accuracy,
            "macro_f1": result.macro_f1,
            "loss": loss,
            "score": result.accuracy - 1e-4 * min(loss, 99.0),
        }

    def _loss(self, network: nn.Module, batch: Batch, generator: torch.Generator) -> tuple[Tensor, int, int]:
        # The loop trains the network that this system holds.
        options = self.options.training
        labels = torch.from_numpy(batch.labels).to(self.device)
        tensors = self._tensors(batch)
        mixed, share = labels, 1.0
        if options.mixup and len(labels) > 1:
            order, share = _mixup_partner(len(labels), options.mixup, generator)
            tensors = {name: _mix(tensor, order, share) for name, tensor in tensors.items()}
            mixed = labels[order]

        def cross_entropy(scores: Tensor, group_of: Tensor | None = None) -> Tensor:
            own, partner = (labels, mixed) if group_of is None else (group_of[labels], group_of[mixed])
            first = nn.functional.cross_entropy(scores.float(), own, label_smoothing=options.label_smoothing)
            if share == 1:
                return first
            other = nn.functional.cross_entropy(scores.float(), partner, label_smoothing=options.label_smoothing)
            return share * first + (1 - share) * other

        loss, logits = self.loss(tensors, cross_entropy)
        right = int((logits.argmax(dim=1) == labels).sum())
        return loss, right, len(labels)

    def _tensors(self, batch: Batch) -> dict[str, Tensor]:
        """Return the network's inputs; `NAME.extremes` holds what scale `clip` rescales by."""
        arrays = dict(batch.inputs)
        arrays.update({f"{name}.extremes": values for name, values in batch.extremes.items()})
        return {name: torch.from_numpy(values).to(self.device, non_blocking=True) for name, values in arrays.items()}


def _input(samples: Samples, name: str, options: Any) -> Input:
    stored = samples.store.header.modalities[name]
    if stored.kind == "video":
        return Input("video", len(stored.channels), size=samples.options.frame_size, frames=samples.options.snippet)
    low_high = samples.quantiles(name, options.imaging.quantile)
    bounds = tuple(map(tuple, low_high.tolist()))
    return Input("sensor", len(stored.channels), bounds, size=samples.window_samples(name))


def _mixup_partner(count: int, alpha: float, generator: torch.Generator) -> tuple[Tensor, float]:
    order = torch.randperm(count, generator=generator)
    seed = int(torch.randint(2**31, (1,), generator=generator))
    share = float(np.random.default_rng(seed).beta(alpha, alpha))
    return order, max(share, 1 - share)


def _mix(tensor: Tensor, order: Tensor, share: float) -> Tensor:
    mixed = share * tensor.float() + (1 - share) * tensor[order].float()
    return mixed.round().to(torch.uint8) if tensor.dtype == torch.uint8 else mixed
