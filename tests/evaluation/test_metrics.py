"""Scores and intervals against scikit-learn and closed forms."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import (
    accuracy_score,
    f1_score,
    precision_recall_fscore_support,
)
from sklearn.metrics import (
    confusion_matrix as sklearn_confusion,
)

from mmtsa_cli.evaluation.intervals import bootstrap
from mmtsa_cli.evaluation.metrics import confusion_matrix, score

pairs = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=60)


@settings(max_examples=50, deadline=None)
@given(pairs)
def test_score_equals_scikit_learn(labels):
    true, predicted = (np.array(side) for side in zip(*labels, strict=True))
    ours = score(true, predicted, 5)
    assert ours.accuracy == pytest.approx(accuracy_score(true, predicted))
    assert ours.accuracy == pytest.approx(f1_score(true, predicted, average="micro"))
    assert ours.macro_f1 == pytest.approx(f1_score(true, predicted, average="macro"))
    precision, recall, f1, support = precision_recall_fscore_support(true, predicted, labels=range(5), zero_division=0)
    assert [c.precision for c in ours.per_class] == pytest.approx(precision)
    assert [c.recall for c in ours.per_class] == pytest.approx(recall)
    assert [c.f1 for c in ours.per_class] == pytest.approx(f1)
    assert [c.support for c in ours.per_class] == list(support)
    assert (confusion_matrix(true, predicted, 5) == sklearn_confusion(true, predicted, labels=range(5))).all()


def test_no_predictions_cannot_be_scored():
    with pytest.raises(ValueError, match="no predictions"):
        score(np.array([], int), np.array([], int), 3)


def test_interval_of_clips_is_near_the_binomial_one():
    rng = np.random.default_rng(1)
    true = np.zeros(400, int)
    predicted = (rng.random(400) > 0.8).astype(int)
    accuracy = (predicted == 0).mean()
    low, high = bootstrap(true, predicted, ["one"] * 400, 2).accuracy
    half = 1.96 * np.sqrt(accuracy * (1 - accuracy) / 400)
    assert (low, high) == pytest.approx((accuracy - half, accuracy + half), abs=0.01)


def test_people_who_differ_widen_the_interval():
    true = np.zeros(200, int)
    predicted = np.r_[np.zeros(100, int), np.ones(100, int)]
    alone = bootstrap(true, predicted, ["one"] * 200, 2)
    people = bootstrap(true, predicted, ["a"] * 100 + ["b"] * 100, 2)
    assert alone.over == "clips"
    assert people.over == "subjects and their clips"
    assert people.accuracy == (0.0, 1.0)
    assert np.ptp(alone.accuracy) < 0.2


def test_intervals_repeat_with_their_seed():
    rng = np.random.default_rng(0)
    true, predicted = rng.integers(0, 3, 50), rng.integers(0, 3, 50)
    subjects = [str(i % 4) for i in range(50)]
    assert bootstrap(true, predicted, subjects, 3, seed=5) == bootstrap(true, predicted, subjects, 3, seed=5)
    assert bootstrap(true, predicted, subjects, 3, seed=5) != bootstrap(true, predicted, subjects, 3, seed=6)
