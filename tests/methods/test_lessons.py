"""Lessons: what a student and its teacher see of a clip, and that the teacher only answers."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from mmtsa_cli.methods.distillation import distillation_loss
from mmtsa_cli.methods.lessons import LessonOptions, LessonSamples, Teacher, _places
from mmtsa_cli.methods.mmtsa import Mmtsa, MmtsaOptions
from mmtsa_cli.sampling.augmentation import SensorAugmentation, VideoAugmentation
from mmtsa_cli.sampling.draw import Augmentation, DrawOptions, Samples
from mmtsa_cli.sampling.store import Store
from mmtsa_cli.training.run import Run
from tests.methods.small_clips import small

NAMES = ("rgb", "acc_phone", "gyro")
DRAW = DrawOptions(segments=3, window=1.0, frame_size=32)
VARIED = Augmentation(SensorAugmentation(scale=0.2, noise=0.1), VideoAugmentation(shift=0.1))


class Answering(nn.Module):
    """Says class scores of its own, and keeps what it was asked."""

    def forward(self, inputs):
        self.seen = dict(inputs)
        clips = len(next(iter(inputs.values())))
        return torch.arange(3.0).expand(clips, 3).clone(), None


@pytest.fixture
def store(samples):
    return Store(samples)


def clips_of(store, names=NAMES, draw=DRAW, clips=range(6)):
    return Samples(store, clips, modalities=names, classes=store.labels, options=draw)


def draw(own, teacher, seed=3):
    generators = [np.random.default_rng([seed, row]) for row in range(4)]
    return LessonSamples(own, teacher).batch(range(4), generators=generators, augmentation=VARIED)


def test_where_they_draw_alike_both_see_the_same_and_it_is_drawn_once(store):
    batch = draw(clips_of(store, ("gyro",)), Teacher(Answering(), NAMES, DRAW))
    assert set(batch.inputs) == {"gyro", "teacher:rgb", "teacher:acc_phone"}
    assert set(batch.extremes) == {"gyro", "teacher:acc_phone"}
    whole = draw(clips_of(store), Teacher(Answering(), NAMES, DRAW))
    assert set(whole.inputs) == set(NAMES)
    assert np.array_equal(whole.inputs["gyro"], batch.inputs["gyro"])


def test_a_student_of_fewer_segments_sees_some_of_its_teachers(store):
    own = clips_of(store, ("rgb", "gyro"), replace(DRAW, segments=2))
    batch = draw(own, Teacher(Answering(), NAMES, DRAW))
    assert batch.inputs["gyro"].shape[1] == batch.inputs["rgb"].shape[1] == 2
    assert batch.inputs["teacher:gyro"].shape[1] == 3
    for row in range(4):
        places = []
        for window, frame in zip(batch.inputs["gyro"][row], batch.inputs["rgb"][row], strict=True):
            (place,) = [k for k in range(3) if np.array_equal(window, batch.inputs["teacher:gyro"][row, k])]
            assert np.array_equal(frame, batch.inputs["teacher:rgb"][row, place])
            places.append(place)
        assert places[0] in (0, 1)
        assert places[1] in (1, 2)
        assert places == sorted(places)


@pytest.mark.parametrize(("count", "of"), [(1, 5), (2, 5), (3, 5), (4, 5), (5, 5), (2, 4)])
def test_segments_stand_for_those_they_overlap(count, of):
    drawn = np.stack([_places(count, of, np.random.default_rng(seed)) for seed in range(200)])
    assert set(drawn.ravel()) == set(range(of))
    for number in range(count):
        overlap = {
            k for k in range(of) if k / of < (number + 1) / count - 1e-9 and (k + 1) / of > number / count + 1e-9
        }
        assert set(drawn[:, number]) == overlap
    assert set(_places(count, of, None)) <= set(range(of))


@pytest.mark.parametrize("other", [{"segments": 5}, {"frame_size": 40}, {"window": 0.5}])
def test_where_they_draw_otherwise_each_gets_its_own_draw(store, other):
    own = clips_of(store, NAMES, replace(DRAW, **other))
    batch = draw(own, Teacher(Answering(), NAMES, DRAW))
    plain = own.batch(range(4), generators=[np.random.default_rng([3, row]) for row in range(4)], augmentation=VARIED)
    for name in NAMES:
        assert np.array_equal(batch.inputs[name], plain.inputs[name])
        assert batch.inputs[f"teacher:{name}"].shape[1] == 3
    assert batch.inputs["teacher:rgb"].shape[2] == 32


def test_a_teacher_gets_its_own_of_what_differs_and_is_frozen():
    network = nn.Sequential(nn.Linear(2, 2))
    teacher = Teacher(network.train(), ("a",), DRAW)
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())
    asked = Answering()
    teacher = Teacher(asked, ("a", "b"), DRAW)
    said = teacher.scores({"a": torch.zeros(2, 1), "teacher:a": torch.ones(2, 1), "teacher:b": torch.ones(2, 1)})
    assert torch.equal(asked.seen["a"], torch.ones(2, 1))
    assert "b" in asked.seen
    assert not said.requires_grad


def test_the_loss_is_shared_between_labels_and_teacher(store):
    labels = store.labels[:3]
    own = Samples(store, range(3), modalities=("gyro",), classes=labels, options=DRAW)
    lesson = LessonOptions(temperature=2.0, weight=0.25)
    method = Mmtsa.for_samples(small(MmtsaOptions, distillation=lesson), own, seed=1)
    batch = own.batch(range(3))
    method.network.eval()
    tensors = method._tensors(batch)

    def cross_entropy(scores, group_of=None):
        return nn.functional.cross_entropy(scores, torch.tensor([0, 1, 2]))

    alone, logits = method.loss(tensors, cross_entropy)
    method.teacher = Teacher(Answering(), ("gyro",), DRAW)
    taught, _ = method.loss(tensors, cross_entropy)
    soft = distillation_loss(logits, torch.arange(3.0).expand(3, 3), temperature=2.0)
    torch.testing.assert_close(taught, 0.75 * alone + 0.25 * soft)


def test_training_follows_the_teacher_and_does_not_change_it(store, tmp_path):
    def fit(teacher, name):
        own = clips_of(store, ("gyro",), clips=range(12))
        lesson = LessonOptions(weight=1.0)
        method = Mmtsa.for_samples(small(MmtsaOptions, epochs=1, distillation=lesson), own, seed=1)
        method.teacher = teacher
        (tmp_path / name).mkdir()
        method.fit(own, None, seed=1, run=Run(tmp_path / name))
        return method.network.state_dict()

    other = Mmtsa.for_samples(small(MmtsaOptions), clips_of(store, NAMES), seed=5)
    before = {name: value.clone() for name, value in other.network.state_dict().items()}
    teacher = Teacher(other.network, NAMES, DRAW)
    alone, taught, again = fit(None, "alone"), fit(teacher, "taught"), fit(teacher, "again")
    assert all(torch.equal(before[name], value) for name, value in other.network.state_dict().items())
    assert any(not torch.equal(alone[name], taught[name]) for name in alone)
    assert all(torch.equal(again[name], taught[name]) for name in taught)
