"""The five systems of Fisher vectors: what their windows see, that time counts, round trips, figures above chance."""

from dataclasses import replace

import joblib
import numpy as np
import pytest

from mmtsa_cli.errors import DataError
from mmtsa_cli.methods import fisher_vectors
from mmtsa_cli.methods.fisher_vectors import FusedOptions, Fvs, FvsOptions, Fvv, FvvFvs, FvvOptions, Mfv, Tfvs
from mmtsa_cli.methods.sensor_windows import (
    WindowOptions,
    common_channels,
    resampled,
    sensor_windows,
    without_sign_jumps,
)
from mmtsa_cli.methods.track_histograms import WIDTH
from mmtsa_cli.methods.trajectories import TrackOptions
from mmtsa_cli.sampling.feature_cache import Features
from mmtsa_cli.sampling.store import Store
from mmtsa_cli.training.checkpoint import load_tensors, save_tensors
from mmtsa_cli.training.run import Run
from tests.methods.parts import accuracy, part

SENSORS = ("acc_phone", "acc_watch", "gyro", "orientation")
ALL = ("rgb", *SENSORS)
TRACKS = TrackOptions(step=8, length=2)
WINDOWS = WindowOptions(hop=0.2)
SYSTEMS = {
    Fvs: FvsOptions(windows=WINDOWS, components=5),
    Tfvs: FvsOptions(windows=WINDOWS, components=5),
    Fvv: FvvOptions(trajectories=TRACKS, video_components=4),
    FvvFvs: FusedOptions(windows=WINDOWS, components=5, trajectories=TRACKS, video_components=4),
    Mfv: FusedOptions(windows=WINDOWS, components=5, trajectories=TRACKS, video_components=4),
}


@pytest.fixture(scope="module")
def store(samples):
    return Store(samples)


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    """One cache for the module, so that trajectories are computed once."""
    directory = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MMTSA_CACHE", str(directory))
        yield directory


@pytest.fixture(scope="module")
def fitted(store, tmp_path_factory):
    """Every system fitted to subjects 1 to 3."""
    clips = part(store, "123", ALL)
    methods = {cls: cls.for_samples(options, clips) for cls, options in SYSTEMS.items()}
    for method in methods.values():
        method.fit(clips, None, seed=0, run=Run(tmp_path_factory.mktemp("run")))
    return methods


def test_resampling_keeps_a_ramp_and_averages_what_is_too_fast():
    times = np.arange(400) / 100
    ramp = resampled(np.stack([3 * times, np.full(400, 2.0)], axis=1), 100.0, wanted=20.0, count=80)
    np.testing.assert_allclose(ramp[2:-2, 0], 3 * np.arange(80)[2:-2] / 20, atol=1e-9)
    np.testing.assert_allclose(ramp[:, 1], 2.0)
    fast = resampled(np.sin(2 * np.pi * 40 * times)[:, None], 100.0, wanted=10.0, count=40)
    assert np.abs(fast).max() < 0.25
    slow = resampled(np.array([[0.0], [1.0], [2.0]]), 1.0, wanted=2.0, count=6)
    np.testing.assert_allclose(slow[:, 0], [0, 0.5, 1, 1.5, 2, 2])


def test_angles_turn_without_a_jump(store, monkeypatch):
    turning = (np.arange(200.0) * 5 % 360)[:, None].repeat(3, axis=1).astype(np.float32)
    monkeypatch.setattr(Store, "series", lambda self, name, clip: turning)
    channels = common_channels(store, ["orientation"], 0, 50.0)
    assert channels.shape == (195, 6)
    np.testing.assert_allclose(np.hypot(channels[:, 0], channels[:, 3]), 1, atol=1e-5)
    assert np.abs(np.diff(channels, axis=0)).max() < np.deg2rad(5) + 1e-5


def test_a_quaternion_does_not_jump_to_its_other_sign(store, monkeypatch):
    half = np.deg2rad(np.arange(170.0, 190.0)) / 2
    smooth = np.stack([0.6 * np.sin(half), 0.8 * np.sin(half), 0 * half, np.cos(half)], axis=1)
    given = smooth * np.where(smooth[:, 3:] < 0, -1, 1)
    assert np.abs(np.diff(given, axis=0)).max() > 1.5
    np.testing.assert_allclose(without_sign_jumps(given), smooth, atol=1e-12)
    back = np.concatenate([given, given[::-1]])
    np.testing.assert_allclose(without_sign_jumps(back), np.concatenate([smooth, smooth[::-1]]), atol=1e-12)
    np.testing.assert_array_equal(without_sign_jumps(given[:1]), given[:1])
    stored = replace(store.header.modalities["gyro"], unit="quaternion", rate=10.0)
    monkeypatch.setitem(store.header.modalities, "gyro", stored)
    monkeypatch.setattr(Store, "series", lambda self, name, clip: given.astype(np.float32))
    channels = common_channels(store, ["gyro"], 0, 10.0)
    np.testing.assert_allclose(channels[:20], smooth, atol=1e-6)


def test_windows_are_differences_of_all_sensors_with_their_time(store):
    options = WindowOptions(rate=10, length=0.5, hop=0.2, described_by="steps")
    found = sensor_windows(store, ["acc_watch", "gyro"], 0, options)
    channels = common_channels(store, ["acc_watch", "gyro"], 0, 10.0)
    assert len(channels) == 39
    assert found.shape == (18, 4 * 6 + 1)
    np.testing.assert_allclose(found[3, :-1], np.diff(channels[6:11], axis=0).ravel(), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found[:, -1], (np.arange(18) * 2 + 2.5) / 39, rtol=1e-5)
    values = sensor_windows(store, ["acc_watch", "gyro"], 0, replace(options, described_by="values"))
    np.testing.assert_allclose(values[3, :-1], channels[6:11].ravel(), rtol=1e-5)
    both = sensor_windows(store, ["acc_watch", "gyro"], 0, replace(options, described_by="both"))
    np.testing.assert_array_equal(both, np.concatenate([found[:, :-1], values], axis=1))


def test_a_clip_shorter_than_a_window_has_one(store):
    found = sensor_windows(store, ["gyro"], 0, WindowOptions(rate=10, length=6.0, described_by="steps"))
    assert found.shape == (1, 59 * 3 + 1)
    np.testing.assert_array_equal(found[0, 39 * 3 : -1], 0)


def test_order_of_windows_counts_for_tfvs_alone(fitted, store):
    clips = part(store, "4", SENSORS)
    for cls, same in ((Fvs, True), (Tfvs, False)):
        method = fitted[cls]
        bag = next(bag for bag in method.bags(clips) if "windows/gyro" in bag.parts)
        rows, columns = bag.descriptors.rows(clips.clips[0]), bag.parts["windows/gyro"].columns
        reversed_rows = np.concatenate([rows[::-1, :-1], rows[:, -1:]], axis=1)
        encode = method._encoders["windows/gyro"].encode
        difference = np.linalg.norm(encode(rows[:, columns]) - encode(reversed_rows[:, columns]))
        assert (difference < 1e-9) == same
        assert same or difference > 0.1


def test_each_kind_is_normalised_apart(fitted, store):
    clips = part(store, "4", ALL, labels=["jumping_jacks"])
    video, sensors, timed = (fitted[cls].features(clips) for cls in (Fvv, Fvs, Tfvs))
    np.testing.assert_allclose(fitted[FvvFvs].features(clips), np.concatenate([video, sensors], axis=1), atol=1e-12)
    np.testing.assert_allclose(fitted[Mfv].features(clips), np.concatenate([video, timed], axis=1), atol=1e-12)
    # Each sensor's is of length 1.
    np.testing.assert_allclose(np.linalg.norm(sensors, axis=1), np.sqrt(len(SENSORS)))
    # HOG, HOF and MBH right and down: four of length 1.
    np.testing.assert_allclose(np.linalg.norm(video, axis=1), 2)
    components, halves = 4, 16 + 18 + 16 + 16
    assert video.shape[1] == 2 * components * halves


def test_a_clip_without_tracks_is_zero(fitted, store, monkeypatch):
    method, clips = fitted[Fvv], part(store, "4", ["rgb"])
    monkeypatch.setattr(Features, "rows", lambda self, clip: np.zeros((0, WIDTH), np.float32))
    np.testing.assert_array_equal(method.features(clips), 0)
    assert np.isfinite(method.predict_proba(clips)).all()


def test_several_processes_encode_as_one_does(fitted, store, monkeypatch):
    clips = part(store, "4", ALL)
    alone = fitted[Mfv].features(clips)
    shares = []

    class Watched(joblib.Parallel):
        def __init__(self, n_jobs, **others):
            shares.append(n_jobs)
            super().__init__(n_jobs, **others)

    monkeypatch.setattr(joblib, "Parallel", Watched)
    monkeypatch.setattr(fisher_vectors, "_CLIPS_A_WORKER", len(clips) // 3)
    monkeypatch.setattr(fisher_vectors.os, "cpu_count", lambda: 3)
    np.testing.assert_allclose(fitted[Mfv].features(clips), alone, atol=1e-6)
    assert shares == [3]


@pytest.mark.parametrize("cls", SYSTEMS)
def test_above_chance_on_a_new_person(fitted, store, cls):
    clips = part(store, "4", ALL)
    probabilities = fitted[cls].predict_proba(clips)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    # 28 clips of 14 classes, 2 right by chance: 6 or more happen so once in 86.
    assert accuracy(probabilities, clips) >= 6 / 28


@pytest.mark.parametrize("cls", SYSTEMS)
def test_saved_and_restored_and_one_at_a_time(fitted, store, tmp_path, cls):
    import torch

    clips = part(store, "4", ALL, labels=["jumping_jacks", "sitting", "hurrying"])
    state = fitted[cls].state()
    arrays = {name: torch.from_numpy(values) for name, values in state.items() if not name.startswith("_")}
    save_tensors(tmp_path / "m", arrays, {name: value for name, value in state.items() if name.startswith("_")})
    tensors, plain = load_tensors(tmp_path / "m")
    restored = cls.restore(SYSTEMS[cls], {**{name: value.numpy() for name, value in tensors.items()}, **plain})
    together = fitted[cls].predict_proba(clips)
    np.testing.assert_allclose(restored.predict_proba(clips), together, atol=1e-12)
    alone = [part(store, "4", ALL, labels=[label]) for label in ("jumping_jacks",)]
    rows = np.flatnonzero(clips.labels == clips.classes.index("jumping_jacks"))
    np.testing.assert_allclose(fitted[cls].predict_proba(alone[0]), together[rows], atol=1e-12)


def test_the_seed_draws_the_descriptors(store, tmp_path):
    clips = part(store, "12", SENSORS)
    options = replace(SYSTEMS[Fvs], sampled=1000)
    means = []
    for seed in (0, 0, 1):
        method = Fvs.for_samples(options, clips)
        method.fit_features(clips, seed=seed)
        means.append(method.feature_state()["windows/gyro/means"])
    np.testing.assert_array_equal(means[0], means[1])
    assert not np.allclose(means[0], means[2])


def test_one_mixture_of_all_channels(store, tmp_path):
    clips = part(store, "12", SENSORS)
    apart, together = (
        Fvs.for_samples(replace(SYSTEMS[Fvs], mixtures=mixtures, variance=1.0), clips) for mixtures in ("sensor", "all")
    )
    for method in (apart, together):
        method.fit(clips, None, seed=0, run=Run(tmp_path))
    parts = [{name.rpartition("/")[0] for name in method.feature_state()} for method in (apart, together)]
    assert parts == [{f"windows/{name}" for name in SENSORS}, {"windows"}]
    # All keep every direction of their windows of 10 samples, twice for the angles; the mixtures have 5 components.
    assert apart.features(clips).shape == together.features(clips).shape == (len(clips), 2 * 5 * 10 * (3 * 3 + 6))
    np.testing.assert_allclose(np.linalg.norm(together.features(clips), axis=1), 1)
    restored = Fvs.restore(together.options, together.state())
    np.testing.assert_array_equal(restored.predict_proba(clips), together.predict_proba(clips))


def test_what_is_read_and_what_is_missing(store):
    assert Fvs.for_samples(FvsOptions(), part(store, "1", ALL)).modalities == SENSORS
    assert Fvv.for_samples(FvvOptions(), part(store, "1", ALL)).modalities == ("rgb",)
    for cls, there, what in (
        (Fvs, ["rgb"], "fvs needs a sensor"),
        (Tfvs, ["rgb"], "tfvs needs a sensor"),
        (Fvv, ["gyro"], "fvv needs a video"),
        (FvvFvs, ["gyro"], r"fvv\+fvs needs a video"),
        (FvvFvs, ["rgb"], r"fvv\+fvs needs a sensor"),
        (Mfv, ["rgb"], "mfv needs a sensor, expected a sensor, found rgb"),
    ):
        with pytest.raises(DataError, match=what):
            cls.for_samples(SYSTEMS[cls], part(store, "1", there))


def test_too_few_tracks_for_the_mixture(store, tmp_path):
    clips = part(store, "1", ["rgb"], labels=["sitting", "jumping_jacks"])
    options = FvvOptions(trajectories=TRACKS, video_components=5000)
    with pytest.raises(DataError, match=r"too few local descriptors.*expected at least 5000"):
        Fvv.for_samples(options, clips).fit(clips, None, seed=0, run=Run(tmp_path))
