"""Dense trajectories: points of a grid that are followed by optical flow, and what the video looks like around them.

Wang, Kläser, Schmid, Liu, "Dense trajectories and motion boundary descriptors for action recognition", IJCV 2013, on
the store's candidate frames, of which a clip has few (see `flow`): 4 steps of 0.4 s span what 40 to 50 steps of a video
would, where the publication takes 15. Tracks are therefore short, their histograms are pooled over the whole track
instead of three parts of it, and a track that goes all its way in one step is kept, which need not be an error of the
flow here. There is one scale, and no correction of camera motion.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmtsa_cli.artifacts.options import option
from mmtsa_cli.methods.flow import dense_flow, grey_frames
from mmtsa_cli.methods.track_histograms import WIDTH, frame_histograms, normalised
from mmtsa_cli.sampling.feature_cache import Features, FeaturesNow, clip_features
from mmtsa_cli.sampling.store import Store

_VERSION = 1
_LEAST_TEXTURE = 0.001
"""Part of the frame's largest eigenvalue of the structure tensor that a point's must reach to be followed."""


@dataclass(frozen=True)
class TrackOptions:
    """Which points of a video are followed, and how far. The defaults are for a short side of 120 pixels."""

    size: int = option(120, "short side in pixels to which larger frames are scaled", low=32)
    step: int = option(6, "distance of the grid's points in pixels", low=2)
    length: int = option(4, "steps of a track, candidate frame to candidate frame; fewer in a clip of fewer", low=1)
    patch: int = option(24, "side in pixels of the square around a point that is described", low=4)
    motion: float = option(2.0, "pixels a track must go in all to be kept", above=0)
    tracks: int = option(256, "tracks of a clip that are kept at most, evenly over all", low=1)


def video_tracks(store: Store, modality: str, options: TrackOptions) -> Features | FeaturesNow:
    """Return the descriptors of the tracks of every clip, kept so that they are computed once.

    A row holds HOG, HOF and MBH as `track_histograms.COLUMNS` says: 0.5 kB, so 256 tracks take 135 kB a clip.
    """
    about = {"version": _VERSION, "modality": modality, **asdict(options)}
    return clip_features(store, "tracks", compute_tracks, about)


def compute_tracks(store: Store, clip: int, parameters: Mapping[str, Any]) -> NDArray[np.float32]:
    """Return the descriptors of a clip's tracks, (n, D); `parameters` are modality and the fields of `TrackOptions`."""
    options = TrackOptions(**{field.name: parameters[field.name] for field in fields(TrackOptions)})
    frames = [_scaled(frame, options.size) for frame in grey_frames(store, parameters["modality"], clip)]
    return describe(frames, options)[1]


def describe(
    frames: Sequence[NDArray[np.uint8]], options: TrackOptions
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Follow points through grey frames, (H, W) each, and describe their surroundings.

    Returns
    -------
    paths : (n, length + 1, 2) array
        Right and down, in pixels.
    descriptors : (n, WIDTH) array
        See `track_histograms.COLUMNS`.
    """
    flows = [dense_flow(first, second) for first, second in pairwise(frames)]
    length = min(options.length, len(flows))
    if not length:
        return np.zeros((0, 1, 2), np.float32), np.zeros((0, WIDTH), np.float32)
    starts, paths = _all_tracks(frames, flows, length, options.step)
    kept = np.flatnonzero(_is_kept(paths, frames[0].shape, options.motion))
    if len(kept) > options.tracks:
        kept = kept[np.linspace(0, len(kept) - 1, options.tracks).round().astype(int)]
    starts, paths = starts[kept], paths[kept]
    sums = np.zeros((len(kept), WIDTH))
    for number, (frame, flow) in enumerate(zip(frames, flows, strict=False)):
        here = np.flatnonzero((starts <= number) & (number < starts + length))
        if len(here):
            points = paths[here, number - starts[here]]
            sums[here] += frame_histograms(frame, flow, points, patch=options.patch)
    return paths, normalised(sums)


def _all_tracks(
    frames: Sequence[NDArray[np.uint8]], flows: Sequence[NDArray[np.float32]], length: int, step: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the first frame, (n,), and the path, (n, length + 1, 2), of the tracks of one grid after the other."""
    last = len(flows) - length
    starts, paths = [], []
    # The last grid may overlap the one before, so that every flow is used.
    for first in sorted({*range(0, last + 1, length), last}):
        points = grid_points(frames[first], step)
        paths.append(np.stack(list(_followed(points, flows[first : first + length])), axis=1))
        starts.append(np.full(len(points), first))
    return np.concatenate(starts), np.concatenate(paths)


def grid_points(frame: NDArray[np.uint8], step: int) -> NDArray[np.float32]:
    """Return the points of a grid where a frame has structure in two directions, (n, 2), right and down."""
    import cv2

    height, width = frame.shape
    y, x = np.mgrid[step // 2 : height : step, step // 2 : width : step]
    texture = cv2.cornerMinEigenVal(frame, blockSize=3, ksize=3)
    kept = texture[y, x] > _LEAST_TEXTURE * max(float(texture.max()), 1e-12)
    return np.stack([x[kept], y[kept]], axis=1).astype(np.float32)


def _followed(points: NDArray[np.float32], flows: Sequence[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
    """Yield the points, then where each flow, median-filtered over 3 x 3 pixels, takes them."""
    import cv2

    yield points
    for flow in flows:
        x, y = np.rint(points).astype(int).T
        height, width = flow.shape[:2]
        smooth = np.dstack([cv2.medianBlur(np.ascontiguousarray(flow[..., axis]), 3) for axis in (0, 1)])
        points = points + smooth[np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)]
        yield points


def _is_kept(paths: NDArray[np.float32], shape: tuple[int, ...], motion: float) -> NDArray[np.bool_]:
    """Whether a track stays within the frame and moves `motion` pixels in all."""
    inside = ((paths >= 0) & (paths <= np.array([shape[1] - 1, shape[0] - 1]))).all(axis=(1, 2))
    return inside & (np.linalg.norm(np.diff(paths, axis=1), axis=2).sum(axis=1) >= motion)


def _scaled(frame: NDArray[Any], size: int) -> NDArray[Any]:
    """Return a frame whose short side is `size` pixels at most."""
    import cv2

    scale = size / min(frame.shape)
    if scale >= 1:
        return frame
    height, width = (max(1, round(side * scale)) for side in frame.shape)
    return cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)
