"""What each fault does to frames and windows, and that it happens to its own modalities alone."""

import numpy as np
import pytest

from mmtsa_cli.sampling.corruption import CORRUPTIONS, CorruptedSamples
from mmtsa_cli.sampling.draw import DrawOptions, Samples
from mmtsa_cli.sampling.store import Store

NAMES = ("rgb", "acc_watch", "gyro")


@pytest.fixture(scope="module")
def sound(samples):
    store = Store(samples)
    clips = range(0, len(store.clips), 9)
    classes = sorted({clip["label"] for clip in store.clips})
    return Samples(store, clips, modalities=NAMES, classes=classes, options=DrawOptions(frame_size=32))


def drawn(sound, fault, strength, *, seed=0, positions=None):
    return CorruptedSamples(sound, fault, strength, seed=seed).batch(positions or range(len(sound)))


@pytest.mark.parametrize("fault", CORRUPTIONS)
def test_a_fault_changes_its_own_kind_alone_by_its_seed(sound, fault):
    strength, plain = CORRUPTIONS[fault].strengths[-1], sound.batch(range(len(sound)))
    found = drawn(sound, fault, strength)
    for name in NAMES:
        assert found.inputs[name].dtype == plain.inputs[name].dtype
        assert found.inputs[name].shape == plain.inputs[name].shape
        changed = not np.array_equal(found.inputs[name], plain.inputs[name])
        assert changed == (sound.kind(name) == CORRUPTIONS[fault].kind), name
    again, other = drawn(sound, fault, strength), drawn(sound, fault, strength, seed=1)
    one = drawn(sound, fault, strength, positions=[2])
    of_other_seed = []
    for name in NAMES:
        np.testing.assert_array_equal(found.inputs[name], again.inputs[name])
        np.testing.assert_array_equal(found.inputs[name][2:3], one.inputs[name])
        of_other_seed.append(np.array_equal(found.inputs[name], other.inputs[name]))
    # Blur and darkness have nothing random.
    assert all(of_other_seed) == (fault in ("blur", "dark"))


@pytest.mark.parametrize("fault", sorted(set(CORRUPTIONS) - {"blur"}))
def test_without_strength_nothing_is_wrong(sound, fault):
    found, plain = drawn(sound, fault, 0.0), sound.batch(range(len(sound)))
    for name in NAMES:
        np.testing.assert_allclose(found.inputs[name], plain.inputs[name], rtol=1e-6)


@pytest.mark.parametrize("fault", CORRUPTIONS)
def test_stronger_faults_change_more(sound, fault):
    kind, plain = CORRUPTIONS[fault].kind, sound.batch(range(len(sound)))
    name = next(name for name in NAMES if sound.kind(name) == kind)
    distances = []
    for strength in CORRUPTIONS[fault].strengths:
        found = drawn(sound, fault, strength).inputs[name].astype(float)
        distances.append(float(np.abs(found - plain.inputs[name]).mean()))
    if fault == "shift":
        # A periodic motion may come round again: only none is surely nearest.
        assert min(distances) > 0
    else:
        assert distances == sorted(distances)
        assert distances[0] < distances[-1]


def test_noise_and_bias_are_parts_of_the_spread(sound):
    plain = sound.batch(range(len(sound)))
    low, high = plain.extremes["gyro"].transpose(2, 0, 1)
    spread = (high - low)[:, None, :, None]
    noise = (drawn(sound, "noise", 0.1).inputs["gyro"] - plain.inputs["gyro"]) / spread
    assert noise.std() == pytest.approx(0.1, rel=0.02)
    bias = (drawn(sound, "bias", 0.1).inputs["gyro"] - plain.inputs["gyro"]) / spread
    np.testing.assert_allclose(np.abs(bias), 0.1, rtol=1e-3)
    # The same for all of a clip's windows and samples.
    assert np.ptp(np.sign(bias), axis=(1, 3)).max() == 0


def test_lost_samples_are_bridged_and_as_many_as_asked(sound):
    plain, found = (batch.inputs["acc_watch"] for batch in (sound.batch(range(len(sound))), drawn(sound, "drop", 0.4)))
    kept = np.isclose(plain, found, rtol=1e-6, atol=1e-6).all(axis=2)
    assert kept.mean() == pytest.approx(0.6, abs=0.08)
    assert found.min() >= plain.min()
    assert found.max() <= plain.max()


def test_a_wrong_clock_reads_the_series_at_another_time(sound):
    store, rate = sound.store, sound.store.header.modalities["gyro"].rate
    late = round(0.25 * rate)
    found = drawn(sound, "shift", 0.25)
    signs = set()
    for number, clip in enumerate(sound.clips):
        first = sound.first_rows("gyro", clip, np.full(sound.segments, 0.5))
        rows = store.series("gyro", clip)
        reads = {
            sign: rows[
                np.clip(first[:, None] + np.arange(sound.window_samples("gyro")) + sign * late, 0, len(rows) - 1)
            ]
            for sign in (-1, 1)
        }
        (sign,) = (
            s for s, wanted in reads.items() if np.array_equal(found.inputs["gyro"][number].transpose(0, 2, 1), wanted)
        )
        signs.add(sign)
        # The other sensors' clock is the same one.
        start = sound.first_rows("acc_watch", clip, np.full(sound.segments, 0.5))[1]
        wrong = store.series("acc_watch", clip)[start + sign * round(0.25 * store.header.modalities["acc_watch"].rate)]
        np.testing.assert_array_equal(found.inputs["acc_watch"][number, 1, :, 0], wrong)
    assert signs == {-1, 1}


def test_darkness_and_a_square(sound):
    plain = sound.batch([0]).inputs["rgb"].astype(float)
    dark = drawn(sound, "dark", 0.75, positions=[0]).inputs["rgb"]
    np.testing.assert_allclose(dark, plain / 4, atol=0.5)
    hidden = drawn(sound, "occlude", 0.25, positions=[0]).inputs["rgb"]
    black = (hidden != plain).any(axis=(0, 1, 4))
    rows, columns = np.nonzero(black)
    assert (np.ptp(rows) + 1, np.ptp(columns) + 1) <= (16, 16)
    assert (hidden[0][:, rows.min() : rows.min() + 16, columns.min() : columns.min() + 16] == 0).mean() > 0.9


def test_draws_share_a_clips_fault(sound):
    bad = CorruptedSamples(sound, "occlude", 0.5, seed=3)
    first, second = (bad.batch([1], generators=[np.random.default_rng(draw)]).inputs["rgb"][0] == 0 for draw in (1, 2))
    assert (first.all(axis=(0, 3)) == second.all(axis=(0, 3))).mean() > 0.9
