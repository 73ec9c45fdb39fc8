"""Comparisons: against closed forms, scipy, and data in which the systems are known to be equal."""

import numpy as np
import pytest
from scipy import stats

from mmtsa_cli.evaluation.comparison import holm, mcnemar, paired_difference
from mmtsa_cli.evaluation.metrics import score


def predictions(rng, true, accuracy, classes):
    """Right with a given chance, else one of the other classes."""
    wrong = (true + rng.integers(1, classes, size=len(true))) % classes
    return np.where(rng.random(len(true)) < accuracy, true, wrong)


def discordant(mine, its, both=5):
    """Two classes, true 0 everywhere: `mine` clips only the first has right, `its` only the second."""
    first = np.array([0] * mine + [1] * its + [0] * both)
    second = np.array([1] * mine + [0] * its + [0] * both)
    return np.zeros(mine + its + both, np.int64), first, second


@pytest.mark.parametrize(("mine", "its"), [(0, 0), (1, 0), (5, 0), (9, 2), (2, 9), (12, 12), (300, 260), (700, 300)])
def test_the_exact_test_is_the_binomial_one(mine, its):
    result = mcnemar(*discordant(mine, its))
    expected = stats.binomtest(mine, mine + its).pvalue if mine + its else 1.0
    assert (result.first_only, result.second_only, result.exact) == (mine, its, True)
    assert result.p == pytest.approx(expected, rel=1e-9)


def test_the_exact_test_of_six_to_none_is_one_in_32():
    assert mcnemar(*discordant(6, 0)).p == 2 / 2**6


@pytest.mark.parametrize(("mine", "its"), [(700, 600), (1200, 1000), (900, 900)])
def test_of_many_clips_chi_square_decides_and_is_close_to_the_exact_one(mine, its):
    result = mcnemar(*discordant(mine, its))
    statistic = max(abs(mine - its) - 1, 0) ** 2 / (mine + its)
    assert not result.exact
    assert result.p == pytest.approx(stats.chi2.sf(statistic, 1), rel=1e-9)
    assert result.p == pytest.approx(mcnemar(*discordant(mine, its), exact_up_to=10**6).p, abs=0.005)


def test_equal_systems_are_called_different_no_more_often_than_the_level():
    rng = np.random.default_rng(7)
    true = rng.integers(5, size=(2000, 120))
    alarms = [mcnemar(t, predictions(rng, t, 0.7, 5), predictions(rng, t, 0.7, 5)).p < 0.05 for t in true]
    # The exact test is cautious: below 5 %, but no useless test that never speaks.
    assert 0.02 < np.mean(alarms) < 0.055


def test_the_difference_is_that_of_the_scores_and_turns_its_sign():
    rng = np.random.default_rng(1)
    true = rng.integers(4, size=200)
    one, other = predictions(rng, true, 0.8, 4), predictions(rng, true, 0.6, 4)
    people = [str(i % 5) for i in range(200)]
    there = paired_difference(true, one, other, people, 4, replicates=300)
    back = paired_difference(true, other, one, people, 4, replicates=300)
    a, b = score(true, one, 4), score(true, other, 4)
    assert there.accuracy == pytest.approx(a.accuracy - b.accuracy)
    assert there.macro_f1 == pytest.approx(a.macro_f1 - b.macro_f1)
    assert there.accuracy_interval_95 == pytest.approx([-x for x in reversed(back.accuracy_interval_95)])
    assert there.accuracy_interval_95[0] < there.accuracy < there.accuracy_interval_95[1]
    assert there.over == "subjects and their clips"


def test_a_system_does_not_differ_from_itself_at_all():
    true = np.arange(40) % 4
    one = (true + (np.arange(40) < 15)) % 4
    result = paired_difference(true, one, one, ["a"] * 20 + ["b"] * 20, 4, replicates=50)
    assert result.accuracy_interval_95 == result.macro_f1_interval_95 == (0.0, 0.0)


def test_over_clips_the_interval_is_that_of_the_normal_law_for_many_clips():
    rng = np.random.default_rng(3)
    true = rng.integers(3, size=4000)
    one, other = predictions(rng, true, 0.75, 3), predictions(rng, true, 0.7, 3)
    result = paired_difference(true, one, other, [""] * 4000, 3, replicates=1500)
    each = (one == true).astype(float) - (other == true)
    error = each.std() / np.sqrt(4000)
    known = (each.mean() - 1.96 * error, each.mean() + 1.96 * error)
    assert result.over == "clips"
    assert result.accuracy_interval_95 == pytest.approx(known, abs=0.15 * error)


def test_pairing_makes_the_interval_narrow_where_the_same_clips_are_hard():
    rng = np.random.default_rng(4)
    true = rng.integers(3, size=600)
    one = predictions(rng, true, 0.7, 3)
    nearly = np.where(rng.random(600) < 0.02, (true + 1) % 3, one)
    alone = predictions(rng, true, 0.7, 3)
    widths = [
        np.ptp(paired_difference(true, one, other, [""] * 600, 3, replicates=400).accuracy_interval_95)
        for other in (nearly, alone)
    ]
    assert widths[0] < widths[1] / 3


def test_the_interval_holds_the_truth_as_often_as_it_says():
    """20 people who differ; the truth of each simulated study is a difference of 0.1 on average over people."""
    rng = np.random.default_rng(11)
    people = np.repeat(np.arange(20), 15)
    holds = []
    for _ in range(100):
        ease = rng.normal(0, 0.08, size=20)[people]
        true = rng.integers(4, size=300)
        one, other = (predictions(rng, true, level + ease, 4) for level in (0.7, 0.6))
        result = paired_difference(true, one, other, [str(p) for p in people], 4, replicates=200)
        holds.append(result.accuracy_interval_95[0] <= 0.1 <= result.accuracy_interval_95[1])
    assert 0.90 <= np.mean(holds) <= 0.995


def test_holm_is_the_step_down_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.2]) == [0.2]
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_holm_keeps_false_alarms_over_all_comparisons_below_the_level():
    rng = np.random.default_rng(5)
    p = rng.random((4000, 10))
    alarms = np.mean([min(holm(list(row))) < 0.05 for row in p])
    assert np.mean(p.min(axis=1) < 0.05) > 0.35
    assert 0.04 < alarms < 0.06


@pytest.mark.parametrize("lengths", [(0, 0, 0), (3, 3, 2)])
def test_what_cannot_be_compared_is_refused(lengths):
    arrays = [np.zeros(length, np.int64) for length in lengths]
    with pytest.raises(ValueError, match="predictions"):
        mcnemar(*arrays)
    with pytest.raises(ValueError, match="predictions"):
        paired_difference(*arrays, [""] * lengths[0], 2)
