"""Trajectories of a square whose way is known, and the histograms around its points."""

import numpy as np
import pytest

from mmtsa_cli.methods.track_histograms import COLUMNS, WIDTH, frame_histograms, normalised, orientation_layers
from mmtsa_cli.methods.trajectories import TrackOptions, compute_tracks, describe, video_tracks
from mmtsa_cli.sampling.store import Store
from tests.methods.test_flow import textured

OPTIONS = TrackOptions(length=3, step=4, patch=12, motion=2.0)


def moving_square(velocity, *, count=5, size=96, side=32):
    """Frames of a textured square that moves `velocity` pixels (right, down) a frame over a plain grey."""
    frames = []
    for number in range(count):
        frame = np.full((size, size), 90, np.uint8)
        left, top = 32 + number * velocity[0], 32 + number * velocity[1]
        part = frame[top : top + side, left : left + side]
        part[:] = textured(side, side)[: part.shape[0], : part.shape[1]]
        frames.append(frame)
    return frames


def hof_directions(descriptors):
    """The 8 directions of HOF, over cells, as shares."""
    bins = (descriptors[:, COLUMNS["hof"]] ** 2).reshape(len(descriptors), 4, 9).sum(axis=1)
    return bins.mean(axis=0)


@pytest.mark.parametrize(("velocity", "direction"), [((3, 0), 0), ((0, 3), 2), ((-3, 0), 4), ((2, 2), 1)])
def test_a_moving_square_gives_its_displacement_and_direction(velocity, direction):
    paths, descriptors = describe(moving_square(velocity), OPTIONS)
    assert len(paths) > 10
    assert paths.shape[1:] == (4, 2)
    assert descriptors.shape == (len(paths), WIDTH)
    steps = np.diff(paths, axis=1)
    np.testing.assert_allclose(np.median(steps, axis=(0, 1)), velocity, atol=0.3)
    moving = hof_directions(descriptors)[:8]
    assert moving.argmax() == direction
    assert moving[direction] > 0.8 * moving.sum()


def test_a_still_picture_gives_no_track_and_a_pan_no_boundary():
    still = [textured(96, 96)] * 5
    paths, descriptors = describe(still, OPTIONS)
    assert len(paths) == len(descriptors) == 0
    assert descriptors.shape == (0, WIDTH)
    wide = textured(96, 160)
    pan = [np.ascontiguousarray(wide[:, 3 * n : 3 * n + 96]) for n in range(5)]
    flow = np.full((96, 96, 2), -3.0, np.float32)
    sums = frame_histograms(pan[0], flow, np.array([[48.0, 48.0]], np.float32), patch=12)
    assert sums[:, COLUMNS["mbh_x"]].sum() == sums[:, COLUMNS["mbh_y"]].sum() == 0
    assert sums[:, COLUMNS["hof"]].sum() == pytest.approx(144 * 3 * np.sqrt(2))
    assert len(describe(pan, OPTIONS)[0]) > 50


def test_too_few_frames():
    frames = moving_square((3, 0), count=3)
    assert describe(frames, OPTIONS)[0].shape[1:] == (3, 2)
    assert len(describe(frames, OPTIONS)[0]) > 0
    assert describe(frames[:1], OPTIONS)[1].shape == (0, WIDTH)
    assert describe([], OPTIONS)[1].shape == (0, WIDTH)


def test_at_most_so_many_tracks_from_the_whole_clip():
    frames = moving_square((2, 0), count=13, size=96)
    all_paths, _ = describe(frames, OPTIONS)
    some, described = describe(frames, TrackOptions(length=3, step=4, patch=12, motion=2.0, tracks=7))
    assert len(some) == len(described) == 7
    np.testing.assert_array_equal(some[[0, -1]], all_paths[[0, -1]])


def test_tracks_stay_within_the_frame():
    paths, _ = describe(moving_square((6, 0), count=9), OPTIONS)
    assert len(paths) > 10
    assert paths.min() >= 0
    assert paths.max() <= 95


def test_orientation_layers_share_magnitude_between_the_nearest():
    angles = np.deg2rad([0.0, 45.0, 22.5, -45.0, 350.0])
    layers = orientation_layers(2 * np.cos(angles)[None], 2 * np.sin(angles)[None])[0]
    np.testing.assert_allclose(layers.sum(axis=1), 2, rtol=1e-5)
    assert layers[0, 0] == pytest.approx(2)
    assert layers[1, 1] == pytest.approx(2)
    np.testing.assert_allclose(layers[2, :2], 1, atol=1e-5)
    assert layers[3, 7] == pytest.approx(2, abs=1e-5)
    np.testing.assert_allclose(layers[4, [7, 0]], [2 * 10 / 45, 2 * 35 / 45], atol=1e-5)


def test_gradient_histogram_knows_the_edge_and_its_cell():
    frame = np.zeros((40, 40), np.uint8)
    frame[:, 18:] = 200
    sums = frame_histograms(frame, np.zeros((40, 40, 2), np.float32), np.array([[20.0, 20.0]], np.float32), patch=8)
    hog = sums[0, COLUMNS["hog"]].reshape(2, 2, 8)
    # Differences over two pixels: columns 17 and 18, 100 each, 4 rows a cell, both in the left cells (16 to 19).
    np.testing.assert_allclose(hog[:, 0, 0], 4 * 200)
    assert hog.sum() == pytest.approx(2 * 4 * 200)
    hof = sums[0, COLUMNS["hof"]].reshape(4, 9)
    np.testing.assert_allclose(hof[:, 8], 16)
    assert hof[:, :8].sum() == 0


def test_histograms_outside_the_frame_are_empty():
    frame, flow = textured(40, 40), np.ones((40, 40, 2), np.float32)
    corner = frame_histograms(frame, flow, np.array([[0.0, 0.0]], np.float32), patch=8)[0]
    hof = corner[COLUMNS["hof"]].reshape(4, 9).sum(axis=1)
    np.testing.assert_allclose(hof, [0, 0, 0, 16 * np.sqrt(2)], rtol=1e-5)


def test_each_histogram_is_normalised_apart():
    sums = np.zeros((2, WIDTH))
    sums[0, COLUMNS["hog"]] = 5.0
    sums[0, COLUMNS["hof"].start] = 0.1
    found = normalised(sums)
    for name in ("hog", "hof"):
        assert np.linalg.norm(found[0, COLUMNS[name]]) == pytest.approx(1)
    assert not found[0, COLUMNS["mbh_x"]].any()
    assert not found[1].any()


def test_tracks_of_a_store_are_kept(samples, cache):
    store = Store(samples)
    kept = video_tracks(store, "rgb", TrackOptions(step=16))
    about = {"modality": "rgb", "size": 120, "step": 16, "length": 4, "patch": 24, "motion": 2.0, "tracks": 256}
    for clip in (0, 50):
        np.testing.assert_array_equal(kept.rows(clip), compute_tracks(store, clip, about))
    (place,) = (cache / "features").glob("tracks-*")
    written = (place / "rows.npy").stat().st_mtime_ns
    video_tracks(store, "rgb", TrackOptions(step=16))
    assert (place / "rows.npy").stat().st_mtime_ns == written
