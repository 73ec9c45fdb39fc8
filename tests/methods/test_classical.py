"""What all systems of features and a classifier share, and how they choose from a grid."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier

from mmtsa_cli.artifacts.options import option
from mmtsa_cli.errors import ArtifactError, DataError
from mmtsa_cli.methods import classical
from mmtsa_cli.methods.classical import ClassicalMethod, fitted_numbers
from mmtsa_cli.methods.grid_search import best_settings, some_numbers, splits
from mmtsa_cli.methods.kwapisz import Svm, SvmOptions
from mmtsa_cli.sampling.store import Store
from mmtsa_cli.training.checkpoint import load_tensors, save_tensors
from mmtsa_cli.training.run import Run, TrainingStoppedError
from tests.methods.parts import part


@dataclass(frozen=True)
class ToyOptions:
    C: float = option(1.0, "penalty", above=0)


class Toy(ClassicalMethod):
    """Means and deviations of the phone's accelerometer, less the means over the training clips."""

    options_class = ToyOptions

    def fit_features(self, samples, *, seed):
        self.centre = self._raw(samples).mean(axis=0)

    def features(self, samples):
        return self._raw(samples) - self.centre

    def _raw(self, samples):
        series = [samples.store.series(self.modalities[0], clip).astype(float) for clip in samples.clips]
        return np.stack([np.concatenate([rows.mean(axis=0), rows.std(axis=0)]) for rows in series])

    def estimator(self, *, seed, classes_present):
        return LinearSVC(C=self.options.C, random_state=seed)

    def feature_state(self):
        return {"centre": self.centre}

    def restore_features(self, state):
        self.centre = state["centre"]


class ToyWithProbabilities(Toy):
    def estimator(self, *, seed, classes_present):
        return LogisticRegression()


@pytest.fixture
def store(samples):
    return Store(samples)


def fitted(samples, tmp_path, cls=Toy, **options):
    method = cls.for_samples(ToyOptions(**options), samples, seed=3)
    method.fit(samples, None, seed=3, run=Run(tmp_path))
    return method


def test_columns_are_the_classes_and_one_without_a_training_clip_has_zero(store, tmp_path):
    left_out = store.labels[3]
    method = fitted(part(store, "123", ("acc_phone",), without=[left_out]), tmp_path)
    test = part(store, "4", ("acc_phone",))
    probabilities = method.predict_proba(test)
    assert probabilities.shape == (28, 14)
    assert probabilities.dtype == np.float64
    assert (probabilities[:, 3] == 0).all()
    assert (np.delete(probabilities, 3, axis=1) > 0).all()
    assert probabilities.sum(axis=1) == pytest.approx(np.ones(28), abs=1e-12)
    values = np.delete(np.arange(14), 3)[method.classifier.decision_function(method.features(test)).argmax(axis=1)]
    assert (probabilities.argmax(axis=1) == values).all()


def test_probabilities_are_the_softmax_of_decision_values_or_the_classifier_s_own(store, tmp_path):
    train, test = part(store, "123", ("acc_phone",)), part(store, "4", ("acc_phone",))
    method = fitted(train, tmp_path)
    powers = np.exp(method.classifier.decision_function(method.features(test)))
    assert method.predict_proba(test) == pytest.approx(powers / powers.sum(axis=1, keepdims=True), abs=1e-12)
    own = fitted(train, tmp_path, ToyWithProbabilities)
    assert own.predict_proba(test) == pytest.approx(own.classifier.predict_proba(own.features(test)), abs=1e-12)


def test_two_classes_have_one_decision_value_of_which_both_probabilities_come(store, tmp_path):
    two = [store.labels[2], store.labels[9]]
    method = fitted(part(store, "123", ("acc_phone",), labels=two), tmp_path)
    test = part(store, "4", ("acc_phone",), labels=two)
    value = method.classifier.decision_function(method.features(test))
    assert method.predict_proba(test)[:, 9] == pytest.approx(1 / (1 + np.exp(-2 * value)), abs=1e-12)


def test_a_clip_s_probabilities_do_not_depend_on_the_others(store, tmp_path, monkeypatch):
    method = fitted(part(store, "123", ("acc_phone",)), tmp_path)
    test = part(store, "4", ("acc_phone",))
    whole, done = method.predict_proba(test), []
    monkeypatch.setattr(classical, "_CLIPS_AT_ONCE", 10)
    few = method.predict_proba(test, progress=lambda *now: done.append(now))
    assert done == [(10, 28), (20, 28), (28, 28)]
    assert few == pytest.approx(whole, abs=1e-12)
    assert method.predict_proba(part(store, "", ("acc_phone",))).shape == (0, 14)


def test_a_system_comes_back_from_a_file_with_the_same_probabilities(store, tmp_path):
    import torch

    test = part(store, "4", ("acc_phone",))
    method = fitted(part(store, "123", ("acc_phone",)), tmp_path, C=0.3)
    state = method.state()
    tensors = {name: torch.as_tensor(value) for name, value in state.items() if not name.startswith("_")}
    save_tensors(tmp_path / "toy", tensors, {name: value for name, value in state.items() if name.startswith("_")})
    arrays, about = load_tensors(tmp_path / "toy")
    again = Toy.restore(ToyOptions(C=0.3), {**arrays, **about})
    assert (again.predict_proba(test) == method.predict_proba(test)).all()
    assert again.cost() == method.cost()
    assert again.modalities == ("acc_phone",)
    assert again.state().keys() == state.keys()


def test_the_state_of_another_system_is_refused(store, tmp_path):
    state = fitted(part(store, "123", ("acc_phone",)), tmp_path).state()
    with pytest.raises(ArtifactError, match="state is of another system, expected ToyWithProbabilities, found Toy"):
        ToyWithProbabilities.restore(ToyOptions(), state)
    with pytest.raises(ArtifactError, match="found no classifier's features"):
        Toy.restore(ToyOptions(), {"_inputs": {}, "weight": np.zeros(3)})


def test_clips_of_one_class_are_too_few(store, tmp_path):
    with pytest.raises(DataError, match=r"too few clips to train on, .* at least 2 classes, found 6 clips of 1"):
        fitted(part(store, "123", ("acc_phone",), labels=[store.labels[0]]), tmp_path)
    with pytest.raises(DataError, match="found 0 clips of 0"):
        fitted(part(store, "9", ("acc_phone",)), tmp_path)


def test_training_clips_of_no_known_class_are_not_used(store, tmp_path):
    some = store.labels[:5]
    test = part(store, "4", ("acc_phone",), classes=some)
    with_strangers = fitted(part(store, "123", ("acc_phone",), classes=some), tmp_path)
    without = fitted(part(store, "123", ("acc_phone",), classes=some, labels=some), tmp_path)
    assert (with_strangers.predict_proba(test) == without.predict_proba(test)).all()


def test_who_asks_it_to_stop_is_heard_before_the_classifier_is_fitted(store, tmp_path):
    train = part(store, "123", ("acc_phone",))
    method = Toy.for_samples(ToyOptions(), train)
    with pytest.raises(TrainingStoppedError, match="stopped before the classifier was fitted"):
        method.fit(train, None, seed=0, run=Run(tmp_path, should_stop=lambda: True))
    assert method.classifier is None


def test_a_fit_is_left_between_clips_and_between_the_trials_of_its_grid(store, tmp_path, monkeypatch):
    train = part(store, "123", ("acc_watch",))
    monkeypatch.setattr(classical, "_CLIPS_AT_ONCE", 40)
    asked = []

    def fit(until):
        method = Svm.for_samples(SvmOptions(C=(1.0, 10.0), gamma=(0.1, 1.0), folds=2), train)
        asked.clear()
        method.fit(train, None, seed=0, run=Run(tmp_path, should_stop=lambda: asked.append(1) or len(asked) > until))
        return method

    # Of 84 clips three parts, then before the choice, before 4 trials on each of 2 folds, and before the last fit.
    assert fit(13).classifier is not None
    assert len(asked) == 13
    for until in (1, 3, 6, 12):
        with pytest.raises(TrainingStoppedError, match="stopped before the classifier was fitted"):
            fit(until)
        assert until < len(asked) <= until + 4


def test_the_grid_s_choice_is_that_of_scikit_learn():
    rng = np.random.default_rng(3)
    points, labels = rng.normal(size=(80, 4)), np.arange(80) % 3
    points[np.arange(80), labels] += 1.0
    grid = {"gamma": (0.01, 0.1, 1.0), "C": (0.1, 1.0, 10.0)}
    people = [str(i % 5) for i in range(80)]
    tries = splits(labels, people, folds=5, seed=0)
    for features, machine in ((points, SVC()), (points @ points.T, SVC(kernel="precomputed"))):
        own = grid if machine.kernel == "rbf" else {"C": grid["C"]}
        known = GridSearchCV(machine, own, cv=tries, scoring="accuracy", refit=False).fit(features, labels)
        assert best_settings(machine, own, features, labels, subjects=people, folds=5, seed=0) == known.best_params_


def test_the_cost_is_the_numbers_that_predicting_needs(store, tmp_path):
    # 6 features: their centre, and weights and an intercept of each of 14 classes.
    assert fitted(part(store, "123", ("acc_phone",)), tmp_path).cost() == classical.Cost(6 + 14 * 7)


def test_numbers_of_each_kind_of_classifier():
    rng = np.random.default_rng(0)
    features, labels = rng.normal(size=(30, 5)), np.arange(30) % 3
    machine = make_pipeline(StandardScaler(), SVC(kernel="linear")).fit(features, labels)
    vectors = len(machine[-1].support_)
    # Of three classes: two coefficients a support vector, three intercepts; mean and scale of the features.
    assert fitted_numbers(machine) == 2 * 5 + vectors * (5 + 2) + 3
    tree = DecisionTreeClassifier(max_depth=1, random_state=0).fit(features, labels)
    assert fitted_numbers(tree) == 4 + 2 * 3


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_nobody_is_fitted_to_and_tried_on(data):
    count = data.draw(st.integers(6, 40))
    people = [f"s{data.draw(st.integers(0, 5))}" for _ in range(count)]
    labels = np.array([data.draw(st.integers(0, 3)) for _ in range(count)])
    many = len(set(people)) >= 3
    found = [] if len(set(labels)) < 2 else splits(labels, people, folds=4, seed=0)
    for fit, rest in found:
        assert not {*fit.tolist()} & {*rest.tolist()}
        assert len({*fit.tolist(), *rest.tolist()}) == count
        assert len(set(labels[fit])) > 1
        if many:
            assert not {people[i] for i in fit} & {people[i] for i in rest}


def test_clips_of_few_people_are_dealt_out_by_class():
    labels, people = np.repeat([0, 1], [12, 8]), ["one", "two"] * 10
    found = splits(labels, people, folds=4, seed=5)
    assert [np.bincount(labels[rest]).tolist() for _, rest in found] == [[3, 2]] * 4
    again, other = splits(labels, people, folds=4, seed=5), splits(labels, people, folds=4, seed=6)
    assert all((a[1] == b[1]).all() for a, b in zip(found, again, strict=True))
    assert any((a[1] != b[1]).any() for a, b in zip(found, other, strict=True))


def test_the_grid_s_best_value_is_chosen_and_of_equal_ones_the_first():
    rng = np.random.default_rng(1)
    points = rng.normal(size=(90, 2))
    ring = (np.hypot(*points.T) > 1.1).astype(int)
    people = [str(i % 3) for i in range(90)]
    wanted = {"subjects": people, "folds": 3, "seed": 0}
    # A width of 1e-9 sees no ring, one of 1e5 only the training clips themselves.
    grid = {"gamma": (1e-9, 1.0, 1e5), "C": (10.0,)}
    assert best_settings(SVC(), grid, points, ring, **wanted) == {"gamma": 1.0, "C": 10.0}
    same = {"gamma": (1e-9, 1e-10), "C": (2.0, 1.0)}
    assert best_settings(SVC(), same, points, ring, **wanted) == {"gamma": 1e-9, "C": 2.0}


def test_without_clips_to_choose_by_the_first_values_are_taken():
    # Either clip left out leaves one class.
    features, labels = np.eye(2), np.array([0, 1])
    chosen = best_settings(SVC(), {"C": (3.0, 1.0)}, features, labels, subjects=["", ""], folds=5, seed=0)
    assert chosen == {"C": 3.0}
    assert some_numbers(()) == "a list of at least one number"
    assert some_numbers((1.0,)) is None
