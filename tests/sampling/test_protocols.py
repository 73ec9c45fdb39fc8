"""Who trains and who tests, and that nobody does both."""

import itertools
import re

import pytest

from mmtsa_cli.errors import DataError, MmtsaError, UsageError
from mmtsa_cli.sampling.protocols import hold_out, resolve

CLIPS = [
    {"id": f"{label}-{subject}-{session}", "label": label, "subject": subject, "session": session, "view": ""}
    for label, subject, session in itertools.product(("run", "sit"), ("1", "2", "3", "10"), ("1", "2"))
]
PUBLISHED = {"cross-subject": {"train": {"subject": ["1", "3"]}, "test": {"subject": ["2", "10", "77"]}}}


def subjects(positions):
    return sorted({CLIPS[i]["subject"] for i in positions})


def test_the_published_split_is_used_and_subjects_not_there_are_passed_over():
    protocol = resolve(None, CLIPS, published=PUBLISHED)
    (fold,) = protocol.folds
    assert (protocol.name, fold.name, fold.apart) == ("cross-subject", "cross-subject", ("subject",))
    assert (subjects(fold.train), subjects(fold.test)) == (["1", "3"], ["10", "2"])


def test_where_nothing_is_published_every_third_value_tests():
    (fold,) = resolve("cross-subject", CLIPS, published={}).folds
    assert (subjects(fold.train), subjects(fold.test)) == (["1", "10", "2"], ["3"])
    (fold,) = resolve("cross-session", CLIPS, published={}).folds
    assert {CLIPS[i]["session"] for i in fold.test} == {"2"}


def test_leave_one_out_tests_everybody_once():
    folds = resolve("leave-one-subject-out", CLIPS, published={}).folds
    assert [fold.name for fold in folds] == ["subject-1", "subject-2", "subject-3", "subject-10"]
    tested = sorted(i for fold in folds for i in fold.test)
    assert tested == list(range(len(CLIPS)))
    assert all(not set(fold.train) & set(fold.test) for fold in folds)
    assert all(not set(subjects(fold.train)) & set(subjects(fold.test)) for fold in folds)


def test_a_file_splits_by_any_columns(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text('train: {subject: ["1", 2], session: "1"}\ntest: {subject: [3], session: ["1", "2"]}\n')
    protocol = resolve(str(path), CLIPS, published={})
    (fold,) = protocol.folds
    assert protocol.name == "mine"
    assert [CLIPS[i]["id"] for i in fold.train] == ["run-1-1", "run-2-1", "sit-1-1", "sit-2-1"]
    assert len(fold.test) == 4


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("train: {subject: [1]}\n", r"not a protocol, expected train: .* found train"),
        ("train: {subject: [1]}\ntest: {person: [2]}\n", r"line 2: the index has no column 'person'.*"),
        ("train: {subject: [1]}\ntest: {subject: [99]}\n", "no clip in the test part"),
        ("train: {subject: [1, 2]}\ntest: {subject: [2, 3]}\n", "both in the train and the test part"),
        ("train: {subject: [1]}\ntest: {session: [2]}\n", "nothing keeps train and test part apart"),
        ("train: {subject: [1], label: [run]}\ntest: {subject: [2]}\n", "label sit .* that training never saw"),
        ("train: 3\ntest: {subject: [2]}\n", "names no column"),
        ("folds: {a: 3}\n", "not a protocol"),
    ],
)
def test_a_file_that_cannot_be_right_is_refused(tmp_path, text, phrase):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises((UsageError, DataError), match=phrase) as caught:
        resolve(str(path), CLIPS, published={})
    assert "mine.yaml" in caught.value.line()


def test_unknown_names_are_answered_with_the_nearest():
    with pytest.raises(UsageError, match="did you mean cross-subject"):
        resolve("cros-subject", CLIPS, published={})
    with pytest.raises(UsageError, match=r"no column 'sesion'.*did you mean session"):
        resolve("leave-one-sesion-out", CLIPS, published={})
    with pytest.raises(UsageError, match="no column 'view'"):
        resolve("cross-view", CLIPS, published={})


def test_one_subject_cannot_be_left_out():
    with pytest.raises(DataError, match="only one subject"):
        resolve("leave-one-subject-out", [c for c in CLIPS if c["subject"] == "1"], published={})


def test_a_class_of_one_subject_cannot_be_tested_without_it():
    clips = [*CLIPS, {"id": "x", "label": "swim", "subject": "3", "session": "1"}]
    with pytest.raises(DataError, match=r"label swim .*--exclude-labels"):
        resolve("leave-one-subject-out", clips, published={})


def test_validation_takes_whole_subjects_out_of_the_training_part():
    (fold,) = resolve(None, CLIPS, published=PUBLISHED).folds
    train, validation = hold_out(fold, CLIPS, column="subject", values=("3",), count=0, seed=0)
    assert (subjects(train), subjects(validation)) == (["1"], ["3"])
    train, validation = hold_out(fold, CLIPS, column="subject", values=(), count=1, seed=4)
    assert sorted([*train, *validation]) == sorted(fold.train)
    assert (train, validation) == hold_out(fold, CLIPS, column="subject", values=(), count=1, seed=4)
    train, validation = hold_out(fold, CLIPS, column="subject", values=(), count=0, seed=4)
    assert (train, validation) == (fold.train, ())
    with pytest.raises(UsageError, match="takes every subject"):
        hold_out(fold, CLIPS, column="subject", values=(), count=2, seed=0)
    with pytest.raises(UsageError, match="no training clip of subject 9"):
        hold_out(fold, CLIPS, column="subject", values=("9",), count=0, seed=0)


def test_folds_of_values_that_look_alike_as_files_stay_apart():
    clips = [{"id": f"{s}{n}", "label": "run", "session": s} for s in ("a b", "a-b", "a/b") for n in (1, 2)]
    folds = resolve("leave-one-session-out", clips, published={}).folds
    assert [fold.name for fold in folds] == ["session-a-b", "session-a-b-2", "session-a-b-3"]


def test_one_person_in_two_spellings_cannot_be_on_both_sides():
    clips = [{"id": f"{s}{n}", "label": "run", "subject": s} for s in ("Subject 1", "subject_01", "2") for n in (1, 2)]
    with pytest.raises(DataError, match=r"subjects Subject 1 and subject_01 look like one person in two spellings"):
        resolve("leave-one-subject-out", clips, published={})
    split = {"own": {"train": {"subject": ["Subject 1", "subject_01"]}, "test": {"subject": ["2"]}}}
    assert len(resolve("own", clips, published=split).folds) == 1


def people(count, clips_each=3):
    return [
        {"id": f"{s}-{n}", "label": "run" if n else "walk", "subject": str(s), "session": str(n)}
        for s in range(1, count + 1)
        for n in range(clips_each)
    ]


@pytest.mark.parametrize(("count", "folds"), [(10, 5), (7, 3), (5, 5)])
def test_k_folds_deal_out_every_subject_once(count, folds):
    clips = people(count)
    found = resolve(f"{folds}-fold-subject", clips, published={}).folds
    assert [fold.name for fold in found] == [f"fold-{n}" for n in range(1, folds + 1)]
    tested = [i for fold in found for i in fold.test]
    assert sorted(tested) == list(range(len(clips)))
    assert max(len(fold.test) for fold in found) - min(len(fold.test) for fold in found) <= 3
    for fold in found:
        assert not {clips[i]["subject"] for i in fold.train} & {clips[i]["subject"] for i in fold.test}
    assert found == resolve(f"{folds}-fold-subject", clips, published={}).folds


def test_k_folds_by_a_seed_from_a_file(tmp_path):
    path = tmp_path / "ten.yaml"
    orders = []
    for seed in (0, 1):
        path.write_text(f"k_fold: {{column: subject, folds: 4, seed: {seed}}}\nsource: mine\n")
        orders.append([fold.test for fold in resolve(str(path), people(12), published={}).folds])
    assert orders[0] != orders[1]
    assert sorted(map(len, orders[0])) == [9, 9, 9, 9]


def less(tmp_path, text, clips, protocol="leave_one_out: subject"):
    path = tmp_path / "curve.yaml"
    path.write_text(f"{protocol}\nless: {text}\n")
    return resolve(str(path), clips, published={}).folds


def test_less_keeps_some_people_and_a_share_of_each_label(tmp_path):
    clips = [{"id": f"{s}-{n}", "label": "ab"[n % 2], "subject": str(s)} for s in range(6) for n in range(10)]
    whole = less(tmp_path, "{share: 1}", clips)
    for fold, full in zip(less(tmp_path, "{subject: 2, share: 0.3, seed: 4}", clips), whole, strict=True):
        assert fold.test == full.test
        assert set(fold.train) < set(full.train)
        assert len({clips[i]["subject"] for i in fold.train}) == 2
        # 10 clips of each label by two people: a share of 0.3 is 3.
        assert sorted(clips[i]["label"] for i in fold.train) == ["a"] * 3 + ["b"] * 3
    drawn = [[fold.train for fold in less(tmp_path, f"{{subject: 2, seed: {seed}}}", clips)] for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]
    one = less(tmp_path, "{share: 0.01}", clips)[0]
    assert sorted(clips[i]["label"] for i in one.train) == ["a", "b"]


def test_a_larger_share_holds_the_smaller_one(tmp_path):
    clips = [{"id": f"{s}-{n}", "label": "ab"[n % 2], "subject": str(s)} for s in range(6) for n in range(10)]
    small, large = (less(tmp_path, f"{{share: {share}}}", clips)[0].train for share in (0.2, 0.6))
    assert set(small) < set(large)
    few, many = (less(tmp_path, f"{{subject: {count}}}", clips)[0].train for count in (1, 3))
    assert set(few) < set(many)


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("{seed: 1}", "expected less: {subject: 2, share: 0.5, seed: 0}"),
        ("{share: 1.5}", "expected a share above 0, at most 1, and a seed of 0 or more"),
        ("{person: 2}", "the index has no column 'person'"),
        ("{subject: 9}", "expected a number of values of subject from 1 to 3, as fold subject-1 trains on so many"),
        ("{session: 1, seed: 0}", "in the test part of fold subject-1 that training never saw"),
    ],
)
def test_less_that_cannot_be(tmp_path, text, phrase):
    with pytest.raises(MmtsaError, match=re.escape(phrase)) as caught:
        less(tmp_path, text, people(4))
    assert "line 2" in caught.value.line()


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("k_fold: {column: subject, folds: 1}", "folds of 2 or more"),
        ("k_fold: {column: subject, fold: 3}", "k_fold: {column: subject, folds: 5, seed: 0}"),
        ("k_fold: {column: sujbect}", "the index has no column 'sujbect'"),
        ("k_fold: {column: subject, folds: 9}", "expected at least 9 values of subject, found 4"),
    ],
)
def test_k_folds_that_cannot_be(tmp_path, text, phrase):
    path = tmp_path / "split.yaml"
    path.write_text(text)
    with pytest.raises(MmtsaError, match=re.escape(phrase)) as caught:
        resolve(str(path), people(4), published={})
    assert f"{path}, line 1" in caught.value.line()
