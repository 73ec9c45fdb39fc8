"""What augmentation changes, and what it leaves alone."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmtsa_cli.sampling.augmentation import (
    SensorAugmentation,
    VideoAugmentation,
    centre_box,
    change_windows,
    draw_change,
    random_box,
    relight,
)

ROWS = np.random.default_rng(0).normal(size=(300, 3)).astype(np.float32)
FIRST = np.array([0, 120, 250])
SPREAD = np.ptp(ROWS, axis=0)


def changed(options, rows=ROWS, seed=1, vectors=True, samples=50):
    rng = np.random.default_rng(seed)
    change = draw_change(options, rng)
    return change_windows(rows, FIRST, samples, options, change, rng, vectors=vectors, spread=SPREAD), change


def plain(rows=ROWS, samples=50):
    return np.stack([rows[f : f + samples].T for f in FIRST])


def test_nothing_asked_nothing_changed():
    windows, _ = changed(SensorAugmentation())
    assert not SensorAugmentation().active
    assert np.array_equal(windows, plain())


@given(st.integers(0, 1000))
def test_a_rotation_keeps_lengths_and_turns_every_sample_alike(seed):
    windows, change = changed(SensorAugmentation(rotation=40), seed=seed)
    assert np.allclose(change.rotation @ change.rotation.T, np.eye(3))
    assert np.isclose(np.linalg.det(change.rotation), 1)
    assert np.allclose(np.linalg.norm(windows, axis=1), np.linalg.norm(plain(), axis=1), atol=1e-4)
    assert np.allclose(windows, np.einsum("ij,njk->nik", change.rotation, plain()), atol=1e-5)


def test_angles_are_not_rotated():
    windows, _ = changed(SensorAugmentation(rotation=40), vectors=False)
    assert np.array_equal(windows, plain())


def test_a_change_of_tempo_reads_a_ramp_at_other_times():
    ramp = np.arange(300, dtype=np.float32)[:, None].repeat(3, axis=1)
    windows, change = changed(SensorAugmentation(speed=0.2), rows=ramp)
    assert change.speed != 1
    assert np.allclose(np.diff(windows, axis=2), change.speed, atol=1e-3)
    middle = windows[1, 0]
    assert middle.mean() == pytest.approx(120 + 24.5, abs=1e-3)
    assert windows.min() >= 0
    assert windows.max() <= 299


def test_a_warp_bends_time_but_keeps_its_order_and_ends():
    ramp = np.arange(300, dtype=np.float32)[:, None].repeat(3, axis=1)
    windows, _ = changed(SensorAugmentation(warp=0.2), rows=ramp)
    assert (np.diff(windows[1, 0]) > 0).all()
    assert windows[1, 0, [0, -1]] == pytest.approx([120, 169], abs=1e-3)
    assert np.ptp(np.diff(windows[1, 0])) > 0.05


@pytest.mark.parametrize("name", ["scale", "offset", "noise"])
def test_amplitude_changes_are_about_as_large_as_asked(name):
    windows, _ = changed(dataclasses.replace(SensorAugmentation(), **{name: 0.1}))
    difference = np.abs(windows - plain()).mean()
    assert 0.001 < difference < 0.5 * SPREAD.mean()


def test_a_gap_is_one_piece_bridged_by_a_line_and_as_long_as_asked():
    rows = np.random.default_rng(3).normal(size=(300, 2)).astype(np.float32)
    lost = []
    for seed in range(60):
        windows, _ = changed(SensorAugmentation(gap=0.2), rows=rows, seed=seed, vectors=False)
        for window, before in zip(windows, plain(rows), strict=True):
            (gone,) = np.nonzero((window != before).any(axis=0))
            lost.append(len(gone) / 50)
            if len(gone):
                assert len(gone) == gone[-1] - gone[0] + 1
                np.testing.assert_allclose(np.diff(window[:, gone], n=2, axis=1), 0, atol=1e-5)
                inside = gone[0] > 0 and gone[-1] < 49
                if inside:
                    bridge = window[:, gone[0] - 1 : gone[-1] + 2]
                    np.testing.assert_allclose(np.diff(bridge, n=2, axis=1), 0, atol=1e-5)
    # 180 lengths from 0 to 0.4: their mean is 0.2, with a standard error of 0.009.
    assert abs(np.mean(lost) - 0.2) < 0.03
    assert max(lost) <= 0.4


def test_the_same_generator_changes_the_same():
    options = SensorAugmentation(10, 0.1, 0.1, 0.1, 0.1, 0.1)
    assert np.array_equal(changed(options, seed=3)[0], changed(options, seed=3)[0])
    assert not np.array_equal(changed(options, seed=3)[0], changed(options, seed=4)[0])


@given(st.integers(0, 1000), st.tuples(st.integers(40, 400), st.integers(40, 400)), st.floats(0.3, 1))
def test_a_crop_lies_within_the_frame(seed, shape, crop):
    options = VideoAugmentation(shift=0.5, zoom=0.5, mirror=True)
    for box in (centre_box(shape, crop), random_box(shape, crop, options, np.random.default_rng(seed))):
        top, left, side, _ = np.array(box) * min(shape)
        assert top >= -1e-6
        assert left >= -1e-6
        assert top + side <= shape[0] + 1e-6
        assert left + side <= shape[1] + 1e-6


def test_without_options_the_crop_is_the_centre_and_the_light_stays():
    rng = np.random.default_rng(0)
    assert random_box((240, 320), 0.875, VideoAugmentation(), rng) == pytest.approx(centre_box((240, 320), 0.875))
    frames = rng.integers(0, 256, (2, 8, 8, 1), dtype=np.uint8)
    assert np.array_equal(relight(frames, VideoAugmentation(), rng), frames)


def test_erasing_greys_the_same_rectangle_of_all_frames():
    frames = np.zeros((3, 60, 60, 3), np.uint8)
    erased = relight(frames, VideoAugmentation(erase=1.0), np.random.default_rng(2))
    assert (frames == 0).all()
    share = (erased == 128).mean()
    assert 1 / 100 < share <= 1 / 9
    assert np.array_equal(erased[0], erased[2])
