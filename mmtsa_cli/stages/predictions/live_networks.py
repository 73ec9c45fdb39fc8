"""The networks of a run over a stream: each with its ring of segments, their answers averaged as `predict` does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mmtsa_cli.evaluation.calibration import with_temperature
from mmtsa_cli.models.streaming import SegmentRing
from mmtsa_cli.stages.predictions.networks import Networks
from mmtsa_cli.training.optimisation import autocast

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class _Asked:
    """A network with its ring, the precision it is asked in, and its temperature."""

    ring: SegmentRing
    precision: str
    temperature: float


class LiveNetworks:
    """Networks that are given one segment after the other.

    Parameters
    ----------
    networks : Networks

    Attributes
    ----------
    segments : int
        N.
    by_window : tuple of str
        Sensors whose images are scaled by the extremes of the whole window, so that all N are encoded at each hop.
    """

    def __init__(self, networks: Networks) -> None:
        self.segments = int(networks.model["segments"])
        self._inputs = networks.model["inputs"]
        sensors = [name for name, its in self._inputs.items() if its["kind"] == "sensor"]
        self.by_window = tuple(sensors) if networks.recipe.imaging.scale == "clip" else ()
        self._device = networks.methods[0].device
        self._asked = [
            self._with_ring(method, temperature)
            for method, temperature in zip(networks.methods, networks.temperatures, strict=True)
        ]

    def _with_ring(self, method: Any, temperature: float) -> _Asked:
        network, precision = method.network_for_inference()
        return _Asked(SegmentRing(network, self.segments, by_window=self.by_window), precision, temperature)

    @property
    def held(self) -> int:
        """How many segments there are, up to N, without a missing one among them."""
        return self._asked[0].ring.held

    def warm_up(self) -> None:
        """Let the networks see a window of nothing: what is slow is slow the first time."""
        nothing: dict[str, NDArray[Any]] = {}
        for name, its in self._inputs.items():
            if its["kind"] == "video":
                nothing[name] = np.zeros((its["size"], its["size"], its["channels"] * its["frames"]), np.uint8)
            else:
                nothing[name] = np.zeros((its["channels"], its["size"]), np.float32)
        for _ in range(self.segments):
            self.push(nothing)
        self.classify({name: np.zeros((self._inputs[name]["channels"], 2), np.float32) for name in self.by_window})
        self.clear()

    def push(self, segment: Arrays) -> None:
        """Encode the newest segment.

        Parameters
        ----------
        segment : mapping of str to array
            Per modality that is there: a frame, (H, W, C) uint8, or a window, (C, K) float32.
        """
        tensors = self._tensors(segment, (1, 1))
        for one in self._asked:
            with torch.inference_mode(), autocast(one.precision, self._device):
                one.ring.push(tensors)

    def skip(self) -> None:
        """Note that the newest segment cannot be had."""
        for one in self._asked:
            one.ring.skip()

    def clear(self) -> None:
        """Forget all segments."""
        for one in self._asked:
            one.ring.clear()

    def classify(self, extremes: Arrays) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return probabilities, (classes,), and attention, (N,): means over the networks.

        Parameters
        ----------
        extremes : mapping of str to (C, 2) array
            Of the sensors in `by_window`.
        """
        tensors = self._tensors(extremes, (1,))
        said = []
        for one in self._asked:
            with torch.inference_mode(), autocast(one.precision, self._device):
                logits, attention = one.ring.classify(tensors)
            probabilities = logits[0].double().softmax(dim=0).cpu().numpy()
            said.append((with_temperature(probabilities, one.temperature), attention[0].double().cpu().numpy()))
        return np.mean([p for p, _ in said], axis=0), np.mean([weights for _, weights in said], axis=0)

    def _tensors(self, arrays: Arrays, leading: tuple[int, ...]) -> dict[str, Tensor]:
        return {
            name: torch.from_numpy(array.reshape(*leading, *array.shape)).to(self._device)
            for name, array in arrays.items()
        }
