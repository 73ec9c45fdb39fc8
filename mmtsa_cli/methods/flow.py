"""Optical flow between neighbouring candidate frames of the store (Farneback 2003, from OpenCV).

The store keeps few frames of a clip (segments x frames: 15 of a clip of 6 s stand 0.4 s apart), where publications use
25 to 30 a second: motion from one frame to the next is ten times as far, and what goes and comes back in between is not
seen. `mmtsa sample --frames` keeps more of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmtsa_cli.errors import ArtifactError
from mmtsa_cli.sampling.augmentation import centre_box
from mmtsa_cli.sampling.draw import Augmentation, Batch, Samples
from mmtsa_cli.sampling.feature_cache import clip_features
from mmtsa_cli.sampling.segments import cut, draw_fractions
from mmtsa_cli.sampling.store import Store

BOUND = 20.0
"""Pixels of flow, each way, that a byte spans (as two-stream networks store flow); what is longer is cut off."""
STILL = 128
"""The byte of no motion."""
_VERSION = 1


def grey_frames(store: Store, modality: str, clip: int) -> list[NDArray[Any]]:
    """Return the candidate frames of a clip in the order of time, each (H, W), as the store keeps them.

    Raises
    ------
    ArtifactError
        A frame that cannot be decoded.
    """
    import cv2

    frames = []
    for record in store.frames(modality, clip):
        frame = cv2.imdecode(store.jpeg(modality, record), cv2.IMREAD_GRAYSCALE)
        if frame is None:
            where = f"{modality} of clip {store.clips[clip].get('id', clip)}"
            remedy = "make the store anew with `mmtsa sample`"
            raise ArtifactError("a frame of the sample store cannot be decoded", where=where, remedy=remedy)
        frames.append(frame)
    return frames


def dense_flow(first: NDArray[Any], second: NDArray[Any]) -> NDArray[Any]:
    """Return where each pixel of a grey frame, (H, W), went in the next one: (H, W, 2), right and down, in pixels."""
    import cv2

    start = np.zeros((*first.shape, 2), np.float32)
    return cv2.calcOpticalFlowFarneback(
        first, second, start, pyr_scale=0.5, levels=4, winsize=11, iterations=3, poly_n=5, poly_sigma=1.1, flags=0
    )


def to_bytes(flow: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return flow as bytes: 0.16 pixels a step about `STILL`."""
    return (np.rint(np.clip(flow / BOUND, -1, 1) * 127) + STILL).astype(np.uint8)


def compute_flow(store: Store, clip: int, parameters: Mapping[str, Any]) -> NDArray[np.float32]:
    """Return the flow of a clip at a network's size, a row a pair of neighbouring frames.

    `parameters` are modality, size and crop (see `DrawOptions`). The bytes of a flow, (size, size, 2), fill the float32
    numbers of its row without a meaning as numbers: at 112 pixels a flow takes 25 kB, and a clip of 15 frames 350 kB.
    """
    import cv2

    size, modality = parameters["size"], parameters["modality"]
    squares = []
    for frame in grey_frames(store, modality, clip):
        top, left, side, _ = centre_box(frame.shape, parameters["crop"])
        short = min(frame.shape)
        y, x, s = round(top * short), round(left * short), max(1, round(side * short))
        squares.append(cv2.resize(frame[y : y + s, x : x + s], (size, size), interpolation=cv2.INTER_AREA))
    rows = np.full((max(len(squares) - 1, 0), 4 * _row_numbers(size)), STILL, np.uint8)
    for row, (first, second) in zip(rows, pairwise(squares), strict=True):
        row[: 2 * size * size] = to_bytes(dense_flow(first, second)).ravel()
    return rows.view(np.float32)


def _row_numbers(size: int) -> int:
    return -(-2 * size * size // 4)


class FlowSamples(Samples):
    """The clips of `samples`, drawn as stacks of neighbouring flows of the one video among their modalities.

    Parameters
    ----------
    samples : Samples
    modality : str
        A video.
    stack : int
        Flows that one image holds, each as two channels, right and down.

    Notes
    -----
    A random draw varies where in its segment a stack lies; flow is not cropped or mirrored at random.
    """

    def __init__(self, samples: Samples, modality: str, stack: int) -> None:
        options = samples.options
        super().__init__(samples.store, samples.clips, modalities=[modality], classes=samples.classes, options=options)
        self._modality, self._stack = modality, stack
        about = {"version": _VERSION, "modality": modality, "size": options.frame_size, "crop": options.crop}
        self._flow = clip_features(samples.store, "flow", compute_flow, about)

    def narrowed(self, modalities: Sequence[str]) -> Samples:
        """Return the clips themselves: the flow is all that is read of them."""
        return self

    def batch(
        self,
        positions: Sequence[int],
        *,
        generators: Sequence[np.random.Generator] | None = None,
        augmentation: Augmentation | None = None,
    ) -> Batch:
        """Draw stacks, (B, N, H, W, 2 x stack) uint8 as of `to_bytes`; see `Samples.batch`."""
        rngs = generators if generators is not None else [None] * len(positions)
        stacks = [self._stacks(self.clips[p], rng) for p, rng in zip(positions, rngs, strict=True)]
        clips = np.array([self.clips[p] for p in positions], np.int64)
        return Batch({self._modality: np.stack(stacks)}, {}, self.labels[list(positions)], clips)

    def _stacks(self, clip: int, rng: np.random.Generator | None) -> NDArray[np.uint8]:
        size = self.options.frame_size
        flows = unpacked(self._flow.rows(clip), size)
        times = self.store.frames(self._modality, clip)["time_s"]
        middles = (times[1:] + times[:-1]) / 2
        segments = cut(self.store.duration_s(clip), self.segments)
        fractions = draw_fractions(self.segments, rng)
        wanted = np.array([segment.time_at(part) for segment, part in zip(segments, fractions, strict=True)])
        if not len(flows):
            return np.full((len(wanted), size, size, 2 * self._stack), STILL, np.uint8)
        nearest = np.abs(middles[None, :] - wanted[:, None]).argmin(axis=1)
        around = np.arange(self._stack) - (self._stack - 1) // 2
        chosen = flows[np.clip(nearest[:, None] + around, 0, len(flows) - 1)]
        return np.ascontiguousarray(chosen.transpose(0, 2, 3, 1, 4)).reshape(len(wanted), size, size, -1)


def unpacked(rows: NDArray[np.float32], size: int) -> NDArray[np.uint8]:
    """Return the flows, (n, size, size, 2) uint8, that `compute_flow` put into rows."""
    if not len(rows):
        return np.zeros((0, size, size, 2), np.uint8)
    plain = np.ascontiguousarray(rows).view(np.uint8).reshape(len(rows), -1)
    return plain[:, : 2 * size * size].reshape(-1, size, size, 2)
