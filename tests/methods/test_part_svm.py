"""`part-svm`, the yardstick: its statistics worked out by hand, the machine against scikit-learn's own twenty lines."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from mmtsa_cli.errors import DataError
from mmtsa_cli.methods.part_svm import PartSvm, PartSvmOptions
from mmtsa_cli.methods.window_statistics import part_statistics
from mmtsa_cli.sampling.store import Store
from mmtsa_cli.training.run import Run
from tests.methods.parts import part

SENSORS = ("acc_phone", "gyro")


@pytest.fixture
def store(samples):
    return Store(samples)


def test_the_statistics_of_two_parts_worked_out_by_hand():
    series = np.array([[0, 4, 0, 4, 9, 9, 9, 9], [0, 1, 2, 3, 3, 2, 1, 0]]).T
    found = part_statistics(series, 2)
    assert found == pytest.approx([2, 1.5, 2, 1.25**0.5, 4, 1, 9, 1.5, 0, 1.25**0.5, 0, 1])


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 40), st.integers(1, 12), st.floats(-100, 100), st.floats(0.01, 100))
def test_an_offset_moves_the_means_alone_and_a_factor_all(count, parts, offset, factor):
    series = np.random.default_rng(count).normal(size=(count, 3))
    one = part_statistics(series, parts).reshape(parts, 3, 3)
    other = part_statistics(series * factor + offset, parts).reshape(parts, 3, 3)
    assert np.isfinite(one).all()
    np.testing.assert_allclose(other[:, 0], one[:, 0] * factor + offset, atol=1e-6)
    np.testing.assert_allclose(other[:, 1:], one[:, 1:] * factor, atol=1e-6)


def test_it_is_what_twenty_lines_of_scikit_learn_say(store, tmp_path):
    train, test = part(store, "123", SENSORS), part(store, "4", SENSORS)
    method = PartSvm.for_samples(PartSvmOptions(C=(10.0,), gamma=(1.0,)), train)
    method.fit(train, None, seed=0, run=Run(tmp_path))

    def rows(samples):
        return [np.concatenate([statistics(store.series(name, c)) for name in SENSORS]) for c in samples.clips]

    def statistics(series):
        parts = [series[round(i * len(series) / 6) : round((i + 1) * len(series) / 6)] for i in range(6)]
        return np.concatenate([[p.mean(0), p.std(0), np.abs(np.diff(p, axis=0)).mean(0)] for p in parts]).ravel()

    known = np.stack(rows(train))
    theirs = make_pipeline(StandardScaler(), SVC(C=10, gamma="auto")).fit(known, train.labels)
    said = method.predict_proba(test).argmax(axis=1)
    # Parts whose borders fall between two samples share one of them here, so a clip or two may be told otherwise.
    assert (said == theirs.predict(np.stack(rows(test)))).mean() > 0.9


def test_without_a_sensor_it_says_so(store):
    with pytest.raises(DataError, match="part-svm needs a sensor"):
        PartSvm.for_samples(PartSvmOptions(), part(store, "123", ("rgb",)))
