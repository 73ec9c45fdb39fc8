"""Drawing a training item or a batch from the store: frames and raw sensor windows of every segment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmtsa_cli.artifacts.options import option
from mmtsa_cli.errors import ArtifactError, UsageError
from mmtsa_cli.sampling.augmentation import (
    CropBox,
    SensorAugmentation,
    SensorChange,
    VideoAugmentation,
    centre_box,
    change_windows,
    draw_change,
    random_box,
    relight,
)
from mmtsa_cli.sampling.jpeg_size import MOST_PIXELS, jpeg_size
from mmtsa_cli.sampling.packing import PackedFrame
from mmtsa_cli.sampling.segments import cut, draw_fractions, window_start
from mmtsa_cli.sampling.store import Store

_AT_ONCE = 32
"""Clips of a store that lies elsewhere that are drawn at the same time."""


@dataclass(frozen=True)
class DrawOptions:
    """What the network sees of a clip."""

    segments: int | None = option(None, "segments a clip is cut into (N); null: as the store was made", low=1)
    window: float | None = option(None, "length of a sensor window in seconds; null: as the store was made", above=0)
    frame_size: int = option(112, "height and width of a frame in pixels, as the network gets it", low=32)
    snippet: int = option(1, "neighbouring candidate frames that one image holds as its channels", low=1, high=9)
    crop: float = option(0.875, "part of a frame's short side that the centred square crop keeps", above=0, high=1)


@dataclass(frozen=True)
class Augmentation:
    """What varies in training."""

    sensors: SensorAugmentation = field(default_factory=SensorAugmentation)
    video: VideoAugmentation = field(default_factory=VideoAugmentation)


@dataclass(frozen=True)
class Batch:
    """What a network gets of B clips.

    Attributes
    ----------
    inputs : mapping of str to array
        A video: (B, N, H, W, C) uint8, C = 1 (grey) or 3 (RGB) times the frames of a snippet. A sensor: (B, N, C, K)
        float32 in the sensor's unit.
    extremes : mapping of str to array
        A sensor: (B, C, 2) float32, minimum and maximum of each axis over the whole clip.
    labels : (B,) int64
        Positions in the list of classes; -1 where the label is none of them.
    clips : (B,) int64
        Positions in the store.
    """

    inputs: Mapping[str, NDArray]
    extremes: Mapping[str, NDArray[np.float32]]
    labels: NDArray[np.int64]
    clips: NDArray[np.int64]


class Samples:
    """Some clips of a store, as a network with certain modalities, segments and classes draws them.

    Parameters
    ----------
    store : Store
    clips : sequence of int
        Positions in the store.
    modalities : sequence of str
    classes : sequence of str
        The labels, in the order of the network's outputs.
    options : DrawOptions

    Attributes
    ----------
    labels : (n,) int64 array
        The class of every clip; -1 where it is none of `classes`.

    Raises
    ------
    UsageError
        More segments than candidate frames, or a window longer than a clip.
    """

    def __init__(
        self,
        store: Store,
        clips: Sequence[int],
        *,
        modalities: Sequence[str],
        classes: Sequence[str],
        options: DrawOptions,
    ) -> None:
        self.store = store
        self.clips = tuple(clips)
        self.modalities = tuple(modalities)
        self.classes = tuple(classes)
        self.options = options
        self.segments = options.segments or store.header.segments
        self.window_s = options.window or store.header.window_s
        numbers = {label: number for number, label in enumerate(self.classes)}
        self.labels = np.array([numbers.get(store.clips[c]["label"], -1) for c in self.clips], np.int64)
        self._check()

    def __len__(self) -> int:
        return len(self.clips)

    def narrowed(self, modalities: Sequence[str]) -> Samples:
        """Return the same clips with some of the modalities: what is not asked for is not read."""
        return Samples(self.store, self.clips, modalities=modalities, classes=self.classes, options=self.options)

    def kind(self, modality: str) -> str:
        """Return "video" or "sensor"."""
        return self.store.header.modalities[modality].kind

    def quantiles(self, modality: str, part: float) -> NDArray[np.float32]:
        """Return per axis of a sensor the quantiles `part` and 1 - `part` over all samples of these clips, (C, 2)."""
        rows = np.concatenate([self.store.series(modality, clip) for clip in self.clips])
        return np.quantile(rows, [part, 1 - part], axis=0).T.astype(np.float32)

    def window_samples(self, modality: str) -> int:
        """Return K of a sensor."""
        return self.store.header.modalities[modality].window_samples(self.window_s)

    def column(self, name: str) -> list[str]:
        """Return a column of the index for every clip."""
        return [self.store.clips[clip].get(name, "") for clip in self.clips]

    def batch(
        self,
        positions: Sequence[int],
        *,
        generators: Sequence[np.random.Generator] | None = None,
        augmentation: Augmentation | None = None,
    ) -> Batch:
        """Draw some of the clips.

        Parameters
        ----------
        positions : sequence of int
            Positions in `clips`.
        generators : sequence of numpy.random.Generator, optional
            One a position: random draws, each independent of the others, so that a batch is the same whoever draws it.
            None: the centre of every segment.
        augmentation : Augmentation, optional
            What varies in a random draw; without generators nothing does.
        """
        rngs = generators if generators is not None else [None] * len(positions)
        items = self._items([self.clips[p] for p in positions], rngs, augmentation)
        sensor_names = [m for m in self.modalities if self.kind(m) == "sensor"]
        extremes = {m: np.stack([self.store.extremes(m, self.clips[p]) for p in positions]) for m in sensor_names}
        inputs = {m: np.stack([item[m] for item in items]) for m in self.modalities}
        clips = np.array([self.clips[p] for p in positions], np.int64)
        return Batch(inputs, extremes, self.labels[list(positions)], clips)

    def _items(
        self,
        clips: Sequence[int],
        rngs: Sequence[np.random.Generator | None],
        augmentation: Augmentation | None,
    ) -> list[dict[str, NDArray]]:
        if not self.store.elsewhere or len(clips) == 1:
            return [self._item(clip, rng, augmentation) for clip, rng in zip(clips, rngs, strict=True)]
        # Each waits for several answers of a server; together they wait no longer than one of them.
        with ThreadPoolExecutor(min(_AT_ONCE, len(clips))) as pool:
            return list(pool.map(self._item, clips, rngs, [augmentation] * len(clips)))

    def _item(
        self, clip: int, rng: np.random.Generator | None, augmentation: Augmentation | None
    ) -> dict[str, NDArray]:
        fractions = draw_fractions(self.segments, rng)
        change = draw_change(augmentation.sensors, rng) if augmentation and rng else None
        item: dict[str, NDArray] = {}
        for name in self.modalities:
            if self.kind(name) == "video":
                item[name] = self._frames(name, clip, fractions, augmentation, rng)
            else:
                item[name] = self._windows(name, clip, fractions, augmentation, change, rng)
        return item

    def _windows(
        self,
        name: str,
        clip: int,
        fractions: NDArray[np.float64],
        augmentation: Augmentation | None,
        change: SensorChange | None,
        rng: np.random.Generator | None,
    ) -> NDArray[np.float32]:
        """Return the windows of a clip, (N, C, K)."""
        stored = self.store.header.modalities[name]
        rows, samples = self.store.series(name, clip), stored.window_samples(self.window_s)
        first = self.first_rows(name, clip, fractions)
        if augmentation and augmentation.sensors.active and change and rng:
            low, high = self.store.extremes(name, clip).T
            return change_windows(
                rows, first, samples, augmentation.sensors, change, rng, vectors=stored.is_vector, spread=high - low
            )
        windows = rows[first[:, None] + np.arange(samples)]
        return np.ascontiguousarray(windows.transpose(0, 2, 1))

    def first_rows(self, name: str, clip: int, fractions: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return where the window of each segment begins in a sensor's series, (N,), by places from 0 to 1 in them."""
        rate, duration = self.store.header.modalities[name].rate, self.store.duration_s(clip)
        starts = [
            window_start(segment, fraction, self.window_s, duration)
            for segment, fraction in zip(cut(duration, self.segments), fractions, strict=True)
        ]
        last = max(len(self.store.series(name, clip)) - self.window_samples(name), 0)
        rows = np.rint(np.array(starts) * rate).astype(int)
        return np.minimum(np.maximum(rows, 0), last)

    def _frames(
        self,
        name: str,
        clip: int,
        fractions: NDArray[np.float64],
        augmentation: Augmentation | None,
        rng: np.random.Generator | None,
    ) -> NDArray[np.uint8]:
        """Return the frames of a clip, (N, H, W, C), those of a snippet side by side in C, in the order of time."""
        candidates = self.store.frames(name, clip)
        segments = cut(self.store.duration_s(clip), self.segments)
        times = [segment.time_at(fraction) for segment, fraction in zip(segments, fractions, strict=True)]
        nearest = np.abs(candidates["time_s"][None, :] - np.array(times)[:, None]).argmin(axis=1)
        # One crop and one change of light for the clip: its frames show one camera's view.
        shape = (int(candidates["height"][0]), int(candidates["width"][0]))
        crop, size = self.options.crop, self.options.frame_size
        box = random_box(shape, crop, augmentation.video, rng) if augmentation and rng else centre_box(shape, crop)
        grey = self.store.header.modalities[name].channels == ("grey",)
        reduction = reduction_for(min(shape) * box[2] / size)
        around = np.arange(self.options.snippet) - (self.options.snippet - 1) // 2
        chosen = np.clip(nearest[:, None] + around, 0, len(candidates) - 1)
        shown = {
            i: crop_to(decode_frame(self.store.jpeg(name, candidates[i]), grey, reduction), box, size)
            for i in np.unique(chosen)
        }
        channels = 1 if grey else 3
        frames = np.empty((len(chosen), size, size, channels * chosen.shape[1]), np.uint8)
        for segment, snippet in enumerate(chosen):
            for place, i in enumerate(snippet):
                frames[segment, :, :, place * channels : (place + 1) * channels] = shown[i]
        return relight(frames, augmentation.video, rng) if augmentation and rng else frames

    def _check(self) -> None:
        header = self.store.header
        videos = [m for m in self.modalities if self.kind(m) == "video"]
        if videos and self.segments > header.segments * header.frames:
            raise UsageError(
                "more segments than the store has candidate frames",
                where="sampling.segments",
                expected=f"at most {header.segments * header.frames}",
                found=str(self.segments),
                remedy=f"make the store anew with `mmtsa sample --segments {self.segments}`",
            )
        sensors = [m for m in self.modalities if self.kind(m) == "sensor"]
        shortest = min((self.store.duration_s(clip) for clip in self.clips), default=np.inf)
        if sensors and self.window_s > shortest + 1e-6:
            raise UsageError(
                "a window longer than the shortest clip",
                where="sampling.window",
                expected=f"at most {shortest:.3g} s",
                found=f"{self.window_s:g} s",
            )


def centre_view(frame: PackedFrame, *, grey: bool, options: DrawOptions) -> NDArray[np.uint8]:
    """Return a packed frame as the network gets it where nothing is random: the centre of it, (S, S, 1 or 3)."""
    shape = (frame.height, frame.width)
    box = centre_box(shape, options.crop)
    reduction = reduction_for(min(shape) * box[2] / options.frame_size)
    return crop_to(decode_frame(np.frombuffer(frame.jpeg, np.uint8), grey, reduction), box, options.frame_size)


def reduction_for(shrink: float) -> int:
    """Return the largest of 1, 2, 4, 8 by which decoding a JPEG may shrink what is then shrunk by `shrink` in all."""
    return max(factor for factor in (1, 2, 4, 8) if factor <= max(shrink, 1))


def decode_frame(jpeg: NDArray[np.uint8], grey: bool, reduction: int) -> Any:
    """Decode a JPEG at 1 / `reduction` of its size to (H, W, C), C = 1 (grey) or 3 (RGB)."""
    import cv2

    name = f"REDUCED_{'GRAYSCALE' if grey else 'COLOR'}_{reduction}"
    flag = getattr(cv2, f"IMREAD_{name if reduction > 1 else 'GRAYSCALE' if grey else 'COLOR'}")
    height, width = jpeg_size(jpeg) or (0, 0)
    image = cv2.imdecode(jpeg, flag) if 0 < height * width <= MOST_PIXELS else None
    if image is None:
        raise ArtifactError("a frame of the sample store cannot be decoded", remedy="make it anew with `mmtsa sample`")
    return image[:, :, None] if grey else cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def crop_to(frame: Any, box: CropBox, size: int) -> Any:
    """Cut the square `box` out of a frame and scale it to `size` pixels."""
    import cv2

    top, left, side, mirrored = box
    short = min(frame.shape[:2])
    y, x, s = round(top * short), round(left * short), max(1, round(side * short))
    part = frame[y : y + s, x : x + s]
    interpolation = cv2.INTER_AREA if s > size else cv2.INTER_LINEAR
    scaled = cv2.resize(part, (size, size), interpolation=interpolation)
    # A view backwards would be copied pixel by pixel afterwards.
    return (cv2.flip(scaled, 1) if mirrored else scaled).reshape(size, size, frame.shape[2])
