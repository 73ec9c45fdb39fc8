"""`svm-hog`: gradients of images of known direction, pooling by hand, the machine against scikit-learn's own."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics.pairwise import additive_chi2_kernel

from mmtsa_cli.errors import ArtifactError, DataError
from mmtsa_cli.methods import mapped_svm
from mmtsa_cli.methods.mapped_svm import MappedSvm, gram, one_against_rest
from mmtsa_cli.methods.oriented_gradients import (
    cell_histograms,
    clip_gradients,
    descriptor_size,
    normalised_blocks,
    oriented_gradients,
)
from mmtsa_cli.methods.svm_hog import SvmHog, SvmHogOptions, pooled
from mmtsa_cli.sampling.draw import Samples
from mmtsa_cli.sampling.store import Store
from mmtsa_cli.training.run import Run
from tests.methods.parts import accuracy, part

SMALL = SvmHogOptions(grid=4, cell=8, parts=2)


@pytest.fixture
def store(samples):
    return Store(samples)


def plane(degrees, side=32):
    """An image that rises towards `degrees`: between neighbours but one the gradient is 2 everywhere."""
    y, x = np.mgrid[:side, :side]
    return x * np.cos(np.radians(degrees)) + y * np.sin(np.radians(degrees))


def edge(degrees):
    """A frame that turns, over 8 pixels across its middle, from dark to bright towards `degrees`."""
    rise = plane(degrees, 64)
    return np.clip(120 + 20 * (rise - rise.mean()), 40, 200).astype(np.uint8)


@pytest.mark.parametrize(
    ("degrees", "shares"),
    [(30, {1: 1.0}), (90, {4: 1.0}), (170, {8: 1.0}), (20, {0: 0.5, 1: 0.5}), (35, {1: 0.75, 2: 0.25}),
     (0, {0: 0.5, 8: 0.5}), (210, {1: 1.0}), (-15, {7: 0.25, 8: 0.75})],
)  # fmt: skip
def test_a_gradient_votes_for_the_orientations_next_to_its_own(degrees, shares):
    cells = cell_histograms(plane(degrees), 8)
    assert cells.shape == (4, 4, 9)
    wanted = np.zeros(9)
    wanted[list(shares)] = list(shares.values())
    # 64 pixels of gradient 2; cells at the border see it cut.
    assert cells[1:3, 1:3] == pytest.approx(np.broadcast_to(128 * wanted, (2, 2, 9)), abs=1e-9)


@pytest.mark.parametrize("orientation", range(9))
def test_an_edge_s_dominant_orientation_is_that_across_it(orientation):
    found = oriented_gradients(edge(20 * orientation + 10), grid=8, cell=8)
    by_orientation = found.reshape(7, 7, 4, 9).sum(axis=(0, 1, 2))
    assert by_orientation.argmax() == orientation


def test_an_upright_edge_is_seen_where_it_is_and_nowhere_else():
    frame = np.full((64, 64), 40, np.uint8)
    frame[:, 32:] = 200
    blocks = oriented_gradients(frame, grid=8, cell=8).reshape(7, 7, 2, 2, 9)
    # The difference is seen at columns 31 and 32, in cells 3 and 4: blocks 2, 3 and 4 hold them.
    assert (np.flatnonzero(blocks.sum(axis=(0, 2, 3, 4))) == [2, 3, 4]).all()
    # Cells of block 3 hold it alike, orientations 0 and 8 half each: 8 equal numbers, cut off at 0.2.
    inside = blocks[:, 3]
    assert (inside[..., 1:8] == 0).all()
    assert inside[..., [0, 8]] == pytest.approx(np.full((7, 2, 2, 2), 0.2 / (8 * 0.2**2 + 0.1**2) ** 0.5), abs=1e-6)


@pytest.mark.parametrize(("grid", "cell", "size"), [(8, 8, 1764), (2, 8, 36), (4, 16, 324), (9, 4, 2304)])
def test_the_size_is_that_of_blocks_of_four_cells_that_overlap_by_one(grid, cell, size):
    side, block, stride = grid * cell, 2 * cell, cell
    assert descriptor_size(grid) == ((side - block) // stride + 1) ** 2 * 4 * 9 == size
    frame = np.random.default_rng(0).integers(0, 256, (48, 80), dtype=np.uint8)
    found = oriented_gradients(frame, grid=grid, cell=cell)
    assert found.shape == (size,)
    assert found.dtype == np.float32
    assert 0 <= found.min() < found.max() <= 1


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_a_mirrored_image_has_mirrored_cells_and_orientations(seed):
    image = np.random.default_rng(seed).normal(size=(32, 24))
    found = cell_histograms(image, 8)
    assert cell_histograms(image[:, ::-1], 8) == pytest.approx(found[:, ::-1, ::-1], abs=1e-9)
    assert cell_histograms(-3 * image + 7, 8) == pytest.approx(3 * found, abs=1e-9)


def test_no_vote_is_lost():
    image = np.random.default_rng(0).normal(size=(32, 32))
    y, x = np.gradient(np.pad(image, 1, mode="edge"))
    lengths = 2 * np.hypot(x, y)[1:-1, 1:-1]
    by_cell = lengths.reshape(4, 8, 4, 8).sum(axis=(1, 3))
    assert cell_histograms(image, 8).sum(axis=2) == pytest.approx(by_cell)


def test_blocks_have_length_one_unless_there_is_next_to_nothing_in_them():
    strong = normalised_blocks(np.random.default_rng(0).uniform(50, 100, (5, 5, 9)))
    assert np.linalg.norm(strong, axis=(2, 3)) == pytest.approx(np.ones((4, 4)), abs=0.01)
    # 36 numbers of 0.01 have a length of 0.06: over sqrt(0.06^2 + 4^2) it is 0.015, over sqrt(0.015^2 + 0.1^2) 0.148.
    faint = normalised_blocks(np.full((2, 2, 9), 0.01))
    assert np.linalg.norm(faint) == pytest.approx(0.148, abs=5e-4)
    # One direction in one cell of four: cut off at 0.2, then 0.2 / sqrt(0.2^2 + 0.1^2).
    lone = np.zeros((2, 2, 9))
    lone[0, 1, 3] = 90.0
    assert normalised_blocks(lone)[0, 0, 1, 3] == pytest.approx(0.8**0.5)
    assert (oriented_gradients(np.full((64, 64), 128, np.uint8), grid=8, cell=8) == 0).all()


def test_pooling_takes_mean_and_deviation_of_each_part_of_the_time():
    rows = np.array([[0, 1], [2, 1], [10, 5], [20, 5]], np.float32)
    found = pooled(rows, np.array([0.1, 1.9, 2.0, 4.0]), 4.0, 2)
    assert found == pytest.approx([1, 1, 1, 0, 15, 5, 5, 0])
    # Nothing lies between 1 and 2 s of three: the frame nearest to 1.5 s stands for it.
    found = pooled(rows[:3], np.array([0.2, 0.8, 2.5]), 3.0, 3)
    assert found == pytest.approx([1, 1, 1, 0, 2, 1, 0, 0, 10, 5, 0, 0])


def histograms(count, width, seed=0):
    values = np.random.default_rng(seed).gamma(0.7, size=(count, width))
    return (values / values.sum(axis=1, keepdims=True)).astype(np.float32)


def test_the_kernel_matrix_is_that_of_chi_square(monkeypatch):
    monkeypatch.setattr(mapped_svm, "_ROWS_AT_ONCE", 7)
    features = histograms(30, 600)
    x, y = features[:, None].astype(float), features[None].astype(float)
    exact = (2 * x * y / (x + y)).sum(axis=2)
    # Of numbers that sum to 1 it is 1 less half of what scikit-learn's own says.
    assert exact == pytest.approx(1 + additive_chi2_kernel(features.astype(float)) / 2, abs=1e-6)
    matrix = gram(features, "chi2")
    apart = ~np.eye(30, dtype=bool)
    assert np.abs(matrix - exact)[apart].max() < 0.03
    assert np.corrcoef(matrix[apart], exact[apart])[0, 1] > 0.99
    # Two samples of the spectrum, 0.5 apart, hold of a number's kernel with itself 0.5 (1 + 2 / cosh(pi / 2)).
    assert np.diag(matrix) == pytest.approx(np.full(30, 0.5 + 1 / np.cosh(np.pi / 2)), abs=1e-5)
    assert gram(features, "linear") == pytest.approx(features.astype(float) @ features.T.astype(float), abs=1e-6)


@pytest.mark.parametrize("kernel", ["chi2", "linear"])
@pytest.mark.parametrize("classes", [2, 4])
def test_the_weights_say_what_the_kernel_machines_say(kernel, classes):
    features, labels = histograms(40, 300), np.arange(40) % classes + 5
    features[np.arange(40), labels] += 0.05
    matrix = gram(features, kernel)
    machine = MappedSvm(kernel, C=50.0).fit(features[:30], labels[:30])
    known = one_against_rest(50.0).fit(matrix[:30, :30], labels[:30])
    assert machine.classes_.tolist() == list(range(5, 5 + classes))
    assert machine.coef_.shape == (1 if classes == 2 else classes, 3 if kernel == "chi2" else 1, 300)
    values = known.decision_function(matrix[30:, :30])
    assert machine.decision_function(features[30:]) == pytest.approx(values, abs=1e-5)


def fitted(options, samples, tmp_path):
    method = SvmHog.for_samples(options, samples, seed=1)
    method.fit(samples, None, seed=1, run=Run(tmp_path))
    return method


def test_a_clip_s_rows_are_the_gradients_of_its_candidate_frames(store):
    rows = clip_gradients(store, 5, {"modality": "rgb", "grid": 4, "cell": 8})
    records = store.frames("rgb", 5)
    assert rows.shape == (len(records), 324) == (9, 324)
    frame = cv2.imdecode(store.jpeg("rgb", records[7]), cv2.IMREAD_GRAYSCALE)
    assert (rows[7] == oriented_gradients(frame, grid=4, cell=8)).all()


@pytest.mark.parametrize("kernel", ["chi2", "linear"])
def test_a_new_person_s_activities_are_recognised_above_chance(store, tmp_path, cache, kernel):
    options = SvmHogOptions(grid=4, cell=8, parts=2, kernel=kernel)
    method = fitted(options, part(store, "123", ("rgb",)), tmp_path)
    test = part(store, "4", ("rgb",))
    features = method.features(test)
    assert features.shape == (28, 2 * 2 * 324)
    assert features.dtype == np.float32
    order = 1 if kernel == "chi2" else 2
    assert np.linalg.norm(features, order, axis=1) == pytest.approx(np.ones(28), abs=1e-5)
    assert method.settings["C"] in options.C
    # Of 28 clips chance (1 in 14) gets 6 or more right once in 70 times.
    assert accuracy(method.predict_proba(test), test) >= 6 / 28
    # Fitting and predicting share what was computed once.
    assert len(list((cache / "features").iterdir())) == 1


def test_one_by_one_or_restored_the_probabilities_are_the_same(store, tmp_path):
    train = part(store, "123", ("rgb",), without=[store.labels[4]])
    test = part(store, "4", ("rgb",))
    method = fitted(SMALL, train, tmp_path)
    whole = method.predict_proba(test)
    assert (whole[:, 4] == 0).all()
    assert whole.sum(axis=1) == pytest.approx(np.ones(28), abs=1e-12)
    wanted = {"modalities": test.modalities, "classes": test.classes, "options": test.options}
    single = [method.predict_proba(Samples(store, [clip], **wanted)) for clip in test.clips]
    assert np.concatenate(single) == pytest.approx(whole, abs=1e-12)
    state = method.state()
    again = SvmHog.restore(SMALL, state)
    assert (again.predict_proba(test) == whole).all()
    # 13 classes have weights for 3 numbers of each feature; no training clip is kept.
    assert again.cost().parameters == method.cost().parameters == 13 * (3 * 1296 + 1)
    assert {name for name in state if not name.startswith("_")} == {
        "classifier.coef", "classifier.intercept", "classifier.classes"
    }  # fmt: skip


def test_it_reads_the_first_video_and_needs_one(store):
    every = part(store, "123", tuple(store.header.modalities))
    assert SvmHog.for_samples(SMALL, every).modalities == ("rgb",)
    with pytest.raises(DataError, match="svm-hog needs a video, expected a video, found acc_phone, gyro") as raised:
        SvmHog.for_samples(SMALL, part(store, "123", ("acc_phone", "gyro")))
    assert raised.value.exit_code == 1


def test_a_frame_that_is_no_image_is_named(store, monkeypatch):
    monkeypatch.setattr(Store, "jpeg", lambda *a: np.arange(99, dtype=np.uint8))
    with pytest.raises(ArtifactError, match=r"samples: a frame cannot be decoded; sample anew"):
        clip_gradients(store, 0, {"modality": "rgb", "grid": 4, "cell": 8})
