"""`svm` and `decision-tree`: the 43 features against numbers worked out by hand, then the systems."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmtsa_cli.artifacts.options import Source, to_options
from mmtsa_cli.errors import DataError, ManyErrors
from mmtsa_cli.methods.kwapisz import DecisionTree, DecisionTreeOptions, Svm, SvmOptions
from mmtsa_cli.methods.window_statistics import bin_shares, series_features, time_between_peaks, window_features
from mmtsa_cli.sampling.feature_cache import computed_anew
from mmtsa_cli.sampling.store import Store
from mmtsa_cli.training.run import Run
from tests.methods.parts import accuracy, part

SYSTEMS = ((Svm, SvmOptions()), (DecisionTree, DecisionTreeOptions()))
numbers = st.lists(st.integers(-50, 50), min_size=1, max_size=60)


@pytest.fixture
def store(samples):
    return Store(samples)


def fitted(cls, options, samples, tmp_path):
    method = cls.for_samples(options, samples, seed=1)
    method.fit(samples, None, seed=1, run=Run(tmp_path))
    return method


def test_the_43_features_of_a_window_worked_out_by_hand():
    # One second at 10 Hz: a beat, a ramp, and a sensor that says 3 throughout.
    window = np.array([[0, 4, 0, 4, 0, 4, 0, 4, 0, 0], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], [3] * 10]).T
    found = window_features(window, 10.0)
    assert found.shape == (43,)
    assert found[0:3] == pytest.approx([1.6, 4.5, 3.0])
    # Variances: (4 x 2.4^2 + 6 x 1.6^2) / 10, and (10^2 - 1) / 12.
    assert found[3:6] == pytest.approx([3.84**0.5, 8.25**0.5, 0.0])
    # (4 x 2.4 + 6 x 1.6) / 10, and 2 x (0.5 + 1.5 + 2.5 + 3.5 + 4.5) / 10.
    assert found[6:9] == pytest.approx([1.92, 2.5, 0.0])
    assert found[9:19] == pytest.approx([0.6, 0, 0, 0, 0, 0, 0, 0, 0, 0.4])
    assert found[19:29] == pytest.approx([0.1] * 10)
    assert found[29:39] == pytest.approx([1, 0, 0, 0, 0, 0, 0, 0, 0, 0])
    # Peaks at samples 1, 3, 5 and 7: 200 ms apart. A ramp and a constant have none.
    assert found[39:42] == pytest.approx([200.0, 0.0, 0.0])
    # Squares of x, y and z summed: 0 + 0 + 9, 16 + 1 + 9, 0 + 4 + 9, ...
    squares = [9, 26, 13, 34, 25, 50, 45, 74, 73, 90]
    assert found[42] == pytest.approx(sum(square**0.5 for square in squares) / 10)


def test_the_bar_of_peaks_is_lowered_until_three_reach_it():
    axis = np.full(24, 100.0)
    axis[[2, 6, 14, 19]] += [10.0, 8.5, 4.5, 2.0]
    # 10, 8.5 and 4.5 reach the bar at 0.4 of the highest, the last peak does not: (4 + 8) / 2 samples.
    assert time_between_peaks(axis, 2.0) == pytest.approx(3.0)
    # A bar of 0.1 lets all four in: (4 + 8 + 5) / 3 samples.
    assert time_between_peaks(axis, 2.0, peak_height=0.1) == pytest.approx(17 / 6)
    axis[[14, 19]] = 100.0
    assert time_between_peaks(axis, 2.0) == 0.0


@given(
    rate=st.sampled_from([20.0, 50.0, 100.0]),
    period=st.floats(0.5, 2.5),
    phase=st.floats(0, 6.28),
    gravity=st.floats(-20, 20),
)
@settings(max_examples=60, deadline=None)
def test_the_period_of_a_sine_is_found_within_a_sample(rate, period, phase, gravity):
    times = np.arange(round(10 * rate)) / rate
    wave = 3 * np.sin(2 * np.pi * times / period + phase) + gravity
    assert time_between_peaks(wave, rate) == pytest.approx(period, abs=1 / rate)


@given(numbers, st.integers(-3, 3), st.integers(-1000, 1000), st.randoms())
@settings(max_examples=80, deadline=None)
def test_shares_do_not_depend_on_scale_offset_and_order(values, power, offset, random):
    axis = np.array(values, float)
    shares = bin_shares(axis)
    assert shares.sum() == pytest.approx(1)
    # Powers of two and whole numbers, so that the arithmetic is exact at the borders of bins.
    assert (bin_shares((axis + offset) * 2.0**power) == shares).all()
    random.shuffle(values)
    assert (bin_shares(np.array(values, float)) == shares).all()


@given(numbers, st.integers(-3, 3), st.integers(-1000, 1000))
@settings(max_examples=80, deadline=None)
def test_time_between_peaks_does_not_depend_on_scale_and_offset(values, power, offset):
    axis = np.array(values, float)
    assert time_between_peaks((axis + offset) * 2.0**power, 10.0) == time_between_peaks(axis, 10.0)


@given(numbers, st.floats(-100, 100), st.floats(0.01, 100))
@settings(max_examples=60, deadline=None)
def test_offset_and_scale_move_the_mean_and_stretch_the_spread(values, offset, scale):
    axis = np.array(values, float)[:, None]
    plain, moved = window_features(axis, 10.0), window_features(axis * scale + offset, 10.0)
    assert moved[0] == pytest.approx(plain[0] * scale + offset, abs=1e-8)
    assert moved[1:3] == pytest.approx(plain[1:3] * scale, abs=1e-8)
    # The mean difference is at most the deviation, whatever the values.
    assert plain[2] <= plain[1] + 1e-9


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_a_turned_sensor_keeps_the_mean_length(seed):
    rng = np.random.default_rng(seed)
    window, turn = rng.normal(size=(50, 3)), np.linalg.qr(rng.normal(size=(3, 3)))[0]
    assert window_features(window @ turn, 10.0)[-1] == pytest.approx(window_features(window, 10.0)[-1])


def test_a_clip_is_covered_by_windows_whose_features_are_averaged():
    series = np.random.default_rng(0).normal(size=(150, 3))
    first, last = window_features(series[:100], 10.0), window_features(series[50:], 10.0)
    assert series_features(series, 10.0, window_s=10.0) == pytest.approx((first + last) / 2)
    whole = window_features(series, 10.0)
    assert series_features(series, 10.0, window_s=None) == pytest.approx(whole)
    assert series_features(series, 10.0, window_s=20.0) == pytest.approx(whole)


@pytest.mark.parametrize(("cls", "options"), SYSTEMS)
def test_a_new_person_s_activities_are_recognised_above_chance(store, tmp_path, cls, options):
    names = ("acc_phone", "acc_watch")
    method = fitted(cls, options, part(store, "123", names), tmp_path)
    test = part(store, "4", names)
    assert method.features(test).shape == (28, 86)
    # Of 28 clips chance (1 in 14) gets 7 or more right once in 200 times.
    assert accuracy(method.predict_proba(test), test) >= 10 / 28


@pytest.mark.parametrize(("cls", "options"), SYSTEMS)
def test_one_by_one_restored_or_again_the_probabilities_are_the_same(store, tmp_path, cls, options):
    train, test = part(store, "123", ("acc_watch",), without=[store.labels[0]]), part(store, "4", ("acc_watch",))
    method = fitted(cls, options, train, tmp_path)
    whole = method.predict_proba(test)
    assert whole.sum(axis=1) == pytest.approx(np.ones(28), abs=1e-12)
    assert (whole[:, 0] == 0).all()
    single = [method.predict_proba(type(test)(
        store, [clip], modalities=test.modalities, classes=test.classes, options=test.options)) for clip in test.clips
    ]  # fmt: skip
    assert np.concatenate(single) == pytest.approx(whole, abs=1e-12)
    again = cls.restore(options, method.state())
    assert (again.predict_proba(test) == whole).all()
    assert again.settings == method.settings
    assert (fitted(cls, options, train, tmp_path).predict_proba(test) == whole).all()


def test_the_machine_has_what_the_grid_chose_and_counts_its_numbers(store, tmp_path):
    method = fitted(Svm, SvmOptions(C=(7.0,), gamma=(0.43,)), part(store, "123", ("acc_watch",)), tmp_path)
    machine = method.classifier[-1]
    assert method.settings == {"svc__C": 7.0, "svc__gamma": 0.01}
    assert (machine.C, machine.gamma, machine.kernel) == (7.0, 0.01, "rbf")
    vectors, pairs = len(machine.support_), 14 * 13 // 2
    assert method.cost().parameters == 2 * 43 + vectors * (43 + 13) + pairs
    assert method.cost().macs is None


def test_the_choice_leaves_whole_people_out(store, tmp_path, monkeypatch):
    from mmtsa_cli.methods import gaussian_svm

    seen = {}
    monkeypatch.setattr(gaussian_svm, "best_settings", lambda *a, **named: seen.update(named) or {"svc__C": 2.0})
    train = part(store, "123", ("acc_watch",))
    fitted(Svm, SvmOptions(folds=4), train, tmp_path)
    assert seen["subjects"] == train.column("subject")
    assert seen["folds"] == 4


def test_the_tree_splits_by_entropy_and_can_be_pruned(store, tmp_path):
    train = part(store, "123", ("acc_watch",))
    tree = fitted(DecisionTree, DecisionTreeOptions(), train, tmp_path).classifier
    assert (tree.criterion, tree.min_samples_leaf) == ("entropy", 2)
    assert tree.tree_.n_node_samples[tree.tree_.children_left == -1].min() >= 2
    pruned = fitted(DecisionTree, DecisionTreeOptions(pruning=0.2), train, tmp_path).classifier
    assert 1 < pruned.tree_.n_leaves < tree.tree_.n_leaves


@pytest.mark.parametrize(("cls", "options"), SYSTEMS)
def test_a_sensor_that_stands_still_does_no_harm(store, tmp_path, monkeypatch, cls, options):
    real = Store.series
    still = lambda self, name, clip: real(self, name, clip) * (name != "acc_phone") + 9.0  # noqa: E731
    monkeypatch.setattr(Store, "series", still)
    names = ("acc_phone", "acc_watch")
    test = part(store, "4", names)
    # In this process, where the store is as above.
    with computed_anew():
        method = fitted(cls, options, part(store, "123", names), tmp_path)
        assert np.isfinite(method.features(test)).all()
        assert np.isfinite(method.predict_proba(test)).all()
        assert accuracy(method.predict_proba(test), test) >= 8 / 28


@pytest.mark.parametrize(
    ("cls", "options", "name"),
    [(Svm, SvmOptions, "svm"), (DecisionTree, DecisionTreeOptions, "decision-tree")],
)
def test_what_is_read_is_the_accelerometers_unless_all_are_asked_for(store, cls, options, name):
    every = part(store, "123", tuple(store.header.modalities))
    assert cls.for_samples(options(), every).modalities == ("acc_phone", "acc_watch")
    assert cls.for_samples(options(sensors="all"), every).modalities == (
        "acc_phone", "acc_watch", "gyro", "orientation"
    )  # fmt: skip
    with pytest.raises(DataError, match=f"{name} needs an accelerometer, .*, found rgb, gyro") as raised:
        cls.for_samples(options(), part(store, "123", ("rgb", "gyro")))
    assert raised.value.exit_code == 1
    with pytest.raises(DataError, match=f"{name} needs a sensor, expected a sensor, found rgb"):
        cls.for_samples(options(sensors="all"), part(store, "123", ("rgb",)))


def test_a_wrong_option_is_named():
    wrong = {"C": [], "gamma": [0.1, -1], "sensors": "legs", "window": 3}
    with pytest.raises(ManyErrors) as raised:
        to_options(SvmOptions, Source("mine.yaml", wrong, {}))
    lines = [error.line() for error in raised.value.errors]
    assert lines[0] == "mine.yaml: C is wrong, expected a list of at least one number, found []"
    assert lines[1] == "mine.yaml: gamma is wrong, expected a number above 0, found [0.1, -1]"
    assert "expected one of accelerometers, all, found 'legs'" in lines[2]
    assert lines[3] == "mine.yaml: unknown key window; did you mean window_s?"
