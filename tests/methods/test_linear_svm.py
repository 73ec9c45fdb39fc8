"""The linear machine against scikit-learn's LinearSVC, which has the same objective."""

import numpy as np
import pytest
from sklearn.svm import LinearSVC

from mmtsa_cli.methods.linear_svm import LinearSvm


def clips(count, width, classes):
    """Vectors of length 1 whose classes overlap."""
    rng = np.random.default_rng([count, width])
    labels = np.arange(count) % classes + 3
    features = rng.normal(size=(count, width)) + rng.normal(size=(classes, width))[labels - 3] / 2
    return features / np.linalg.norm(features, axis=1, keepdims=True), labels


def objective(machine, features, labels, C):
    signs = np.where(labels[:, None] == machine.classes_[-len(machine.coef_) :], 1, -1)
    short = np.maximum(1 - signs * (features @ machine.coef_.T + machine.intercept_), 0)
    return (machine.coef_**2).sum(axis=1) / 2 + machine.intercept_**2 / 2 + C * (short**2).sum(axis=0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("count", "width", "classes", "C"), [(120, 200, 5, 100.0), (200, 12, 4, 1.0), (90, 40, 2, 10.0)]
)
def test_it_finds_what_liblinear_finds(count, width, classes, C, dtype):
    features, labels = clips(count, width, classes)
    machine = LinearSvm(C).fit(features.astype(dtype), labels)
    known = LinearSVC(C=C, dual="auto", random_state=0, max_iter=100_000, tol=1e-6).fit(features, labels)
    assert machine.classes_.tolist() == known.classes_.tolist()
    assert machine.coef_.shape == known.coef_.shape
    values, expected = machine.decision_function(features), known.decision_function(features)
    assert values.dtype == np.float64
    assert values == pytest.approx(expected, abs=2e-3 * np.abs(expected).max())
    assert objective(machine, features, labels, C) == pytest.approx(objective(known, features, labels, C), rel=1e-4)


def test_it_can_be_left_between_steps():
    features, labels = clips(60, 30, 3)
    asked = []

    def ask():
        asked.append(1)
        if len(asked) == 4:
            raise KeyboardInterrupt

    machine = LinearSvm(10.0, before_step=ask)
    with pytest.raises(KeyboardInterrupt):
        machine.fit(features, labels)
    assert not machine.coef_.size
