"""A segment network over a stream: the features of the last N segments are kept, so that a new one costs one segment.

Encoders see one segment at a time (equation 7), and only the fusion sees all N (equations 8 and 9); so what was encoded
once serves the N windows that a segment is part of. Not where a sensor's images are scaled by the extremes of the whole
window ("clip"): these change with the window, and the sensor's N segments are encoded anew.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping

import torch
from torch import Tensor

from mmtsa_cli.models.network import SegmentNetwork

Segment = dict[str, Tensor]


class SegmentRing:
    """The last N segments of a stream, encoded.

    Parameters
    ----------
    network : SegmentNetwork
        In evaluation mode.
    segments : int
        N, as the network was trained with.
    by_window : collection of str
        Sensors whose images depend on the extremes of the whole window: their windows are kept instead of features.
    """

    def __init__(self, network: SegmentNetwork, segments: int, *, by_window: Collection[str] = ()) -> None:
        self._network = network
        self._encoders = dict(zip(network.modalities, network.encoders.values(), strict=True))
        self._by_window = frozenset(by_window)
        self._segments: deque[Segment | None] = deque(maxlen=segments)

    @property
    def held(self) -> int:
        """How many segments there are, from the newest back to the first that is missing; N at most."""
        count = 0
        while count < len(self._segments) and self._segments[-1 - count] is not None:
            count += 1
        return count

    @property
    def full(self) -> bool:
        """Whether the last N segments are there."""
        return self.held == self._segments.maxlen

    def push(self, inputs: Mapping[str, Tensor]) -> None:
        """Encode the newest segment; the oldest of N is forgotten.

        Parameters
        ----------
        inputs : mapping of str to tensor
            As of `SegmentNetwork.forward`, of one clip and one segment: (1, 1, ...). A modality that is not there is
            absent from this segment: its token stands for it.

        Raises
        ------
        ValueError
            No modality at all, or one is missing and the network has no tokens.
        """
        missing = [name for name in self._encoders if name not in inputs]
        if len(missing) == len(self._encoders) or (missing and not self._network.tokens):
            raise ValueError(f"a segment without {', '.join(missing)}")
        self._segments.append(
            {
                name: inputs[name] if name in self._by_window else encoder(inputs[name])
                for name, encoder in self._encoders.items()
                if name in inputs
            }
        )

    def skip(self) -> None:
        """Note that the newest segment cannot be had: windows that hold it cannot be classified."""
        self._segments.append(None)

    def clear(self) -> None:
        """Forget all segments."""
        self._segments.clear()

    def classify(self, extremes: Mapping[str, Tensor] | None = None) -> tuple[Tensor, Tensor]:
        """Return what the network says of the last N segments.

        Parameters
        ----------
        extremes : mapping of str to (1, C, 2) tensor, optional
            Minimum and maximum of each axis over the window; needed of the sensors that depend on them.

        Returns
        -------
        logits : (1, classes) tensor
        attention : (1, N) float32 tensor

        Raises
        ------
        ValueError
            A segment is missing.
        """
        segments = [segment for segment in self._segments if segment is not None]
        if not self.full:
            raise ValueError(f"{self.held} of {self._segments.maxlen} segments")
        features = [self._features(name, segments, extremes or {}) for name in self._encoders]
        like = next(feature for row in features for feature in row if feature is not None)
        columns = [
            torch.cat([self._token(name, like) if one is None else one for one in row], dim=1)
            for name, row in zip(self._encoders, features, strict=True)
        ]
        present = {
            name: torch.cat(there, dim=1)
            for name, row in zip(self._encoders, features, strict=True)
            if (there := [one for one in row if one is not None])
        }
        return self._network.classify(columns, present)

    def _features(self, name: str, segments: list[Segment], extremes: Mapping[str, Tensor]) -> list[Tensor | None]:
        """Return the features of a modality, (1, 1, D) a segment; None where it is absent."""
        kept = [segment.get(name) for segment in segments]
        present = [tensor for tensor in kept if tensor is not None]
        if name not in self._by_window or not present:
            return kept
        encoded = iter(self._encoders[name](torch.cat(present, dim=1), extremes[name]).split(1, dim=1))
        return [None if tensor is None else next(encoded) for tensor in kept]

    def _token(self, name: str, like: Tensor) -> Tensor:
        return self._network.token(name).to(like.dtype).expand(1, 1, -1)
