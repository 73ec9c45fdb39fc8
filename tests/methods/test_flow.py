"""Optical flow of candidate frames: direction and size, packing, the stacks that a network gets."""

import cv2
import numpy as np
import pytest

from mmtsa_cli.errors import ArtifactError
from mmtsa_cli.methods import flow
from mmtsa_cli.methods.flow import STILL, FlowSamples, compute_flow, dense_flow, grey_frames, to_bytes, unpacked
from mmtsa_cli.sampling.store import Store
from tests.methods.parts import part


def textured(height=64, width=64, *, seed=0):
    noise = np.random.default_rng(seed).uniform(0, 255, (height, width)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2)
    return cv2.normalize(smooth, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)


@pytest.fixture
def store(samples):
    return Store(samples)


def about(size=32, crop=0.875):
    return {"version": 1, "modality": "rgb", "size": size, "crop": crop}


def test_flow_points_where_the_picture_goes():
    picture = textured()
    found = dense_flow(picture, np.roll(picture, (-2, 3), axis=(0, 1)))
    np.testing.assert_allclose(found[16:-16, 16:-16].mean(axis=(0, 1)), [3, -2], atol=0.2)
    # OpenCV 5 finds a sixth of a pixel near the border of a picture that did not move.
    assert np.abs(dense_flow(picture, picture)).max() < 0.25


def test_bytes_of_flow():
    pixels = np.array([0.0, 20.0, -20.0, 99.0, -99.0, 10.0], np.float32)
    assert to_bytes(pixels).tolist() == [STILL, 255, 1, 255, 1, 192]


@pytest.mark.parametrize("size", [32, 33])
def test_rows_hold_the_flow_of_each_pair(store, size):
    rows = compute_flow(store, 0, about(size, crop=1.0))
    assert rows.dtype == np.float32
    assert rows.shape == (8, -(-2 * size * size // 4))
    frames = [cv2.resize(f, (size, size), interpolation=cv2.INTER_AREA) for f in grey_frames(store, "rgb", 0)]
    expected = np.stack([to_bytes(dense_flow(frames[i], frames[i + 1])) for i in range(8)])
    np.testing.assert_array_equal(unpacked(rows, size), expected)
    assert (expected != STILL).any()


def test_stacks_are_neighbouring_flows_of_each_segment(store):
    clips = part(store, "1", ["rgb"], labels=["jumping_jacks"])
    drawn = FlowSamples(clips, "rgb", 3)
    batch = drawn.batch([0, 1])
    assert batch.inputs["rgb"].shape == (2, 3, 32, 32, 6)
    assert batch.inputs["rgb"].dtype == np.uint8
    assert batch.extremes == {}
    np.testing.assert_array_equal(batch.labels, clips.labels)
    # Nine frames, at 0.5/9, 1.5/9 ..: the flow nearest to the middle of segment 2 is the fourth or the fifth.
    flows = unpacked(compute_flow(store, clips.clips[0], about()), 32)
    stack = batch.inputs["rgb"][0, 1].reshape(32, 32, 3, 2).transpose(2, 0, 1, 3)
    assert any(np.array_equal(stack, flows[first : first + 3]) for first in (2, 3))


def test_stacks_repeat_the_flow_at_the_ends(store):
    drawn = FlowSamples(part(store, "1", ["rgb"]), "rgb", 9)
    stack = drawn.batch([0]).inputs["rgb"][0, 0].reshape(32, 32, 9, 2)
    np.testing.assert_array_equal(stack[:, :, 0], stack[:, :, 1])
    assert not np.array_equal(stack[:, :, 4], stack[:, :, 5])


def test_random_draws_follow_from_their_generator(store):
    drawn = FlowSamples(part(store, "1", ["rgb"], labels=["jumping_jacks"]), "rgb", 1)
    one, again, other = (drawn.batch([0], generators=[np.random.default_rng(seed)]).inputs["rgb"] for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)


def test_a_clip_of_one_frame_stands_still(store, monkeypatch):
    frames = Store.frames
    monkeypatch.setattr(Store, "frames", lambda self, name, clip: frames(self, name, clip)[:1])
    monkeypatch.setattr(flow, "clip_features", lambda store, name, compute, about: _Now(store, compute, about))
    stack = FlowSamples(part(store, "1", ["rgb"]), "rgb", 2).batch([0]).inputs["rgb"]
    assert stack.shape == (1, 3, 32, 32, 4)
    assert (stack == STILL).all()


class _Now:
    def __init__(self, store, compute, about):
        self.rows = lambda clip: compute(store, clip, about)


def test_a_frame_that_cannot_be_decoded_is_named(store, monkeypatch):
    monkeypatch.setattr(Store, "jpeg", lambda self, name, record: np.zeros(40, np.uint8))
    with pytest.raises(ArtifactError, match=r"rgb of clip s01_e01_drinking_slow: a frame .* cannot be decoded"):
        grey_frames(store, "rgb", 0)
