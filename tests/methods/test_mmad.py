"""Several teachers: their mean, a student of it, and a student of teachers that attention weighs."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from mmtsa_cli.errors import ArtifactError
from mmtsa_cli.methods import mmad
from mmtsa_cli.methods.mmad import (
    Mmad,
    MmadOptions,
    MultiTeachers,
    MultiTeachersOptions,
    Student,
    StudentOptions,
    TaughtByAttention,
    TeacherAttention,
    attention_transfer_loss,
)
from mmtsa_cli.methods.teachers import SensorTeacher, teacher_options
from mmtsa_cli.methods.tsn import SegmentConsensus
from mmtsa_cli.training.run import Run
from tests.methods.small_clips import clips_of, forbid, small


def softmax(scores):
    raised = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return raised / raised.sum(axis=-1, keepdims=True)


def test_attention_starts_even_and_sums_to_one():
    attention = TeacherAttention(3, 8)
    features = torch.randn(5, 3, 8)
    torch.testing.assert_close(attention(features), torch.full((5, 3), 1 / 3))
    for layer in attention.scores:
        nn.init.normal_(layer.weight)
    weights = attention(features).detach().numpy()
    scores = [features[:, i].numpy() @ layer.weight.detach().numpy()[0] for i, layer in enumerate(attention.scores)]
    np.testing.assert_allclose(weights, softmax(np.stack(scores, axis=1)), rtol=1e-4)
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-6)


def test_maps_are_compared_as_attention_transfer_does():
    rng = np.random.default_rng(0)
    student, teacher = rng.normal(size=(4, 3, 7)), rng.normal(size=(4, 3, 5))

    def map_of(features):
        energy = np.array([[np.mean(segment**2) for segment in clip] for clip in features])
        return energy / np.sqrt((energy**2).sum(axis=1, keepdims=True))

    expected = np.mean([np.sum((a - b) ** 2) for a, b in zip(map_of(student), map_of(teacher), strict=True)])
    found = attention_transfer_loss(torch.tensor(student), torch.tensor(teacher)).item()
    assert found == pytest.approx(expected, rel=1e-5)
    assert found > 0.05
    assert attention_transfer_loss(torch.tensor(student), torch.tensor(-3 * student)).item() < 1e-10
    assert attention_transfer_loss(torch.tensor(student[:, :1]), torch.tensor(teacher[:, :1])).item() < 1e-10


class AsGiven(nn.Module):
    """An encoder whose features are its input."""

    features = 6

    def forward(self, inputs, extremes=None):
        return inputs


CLIPS, CLASSES, SEGMENTS, WIDTH = 24, 3, 2, 256


@pytest.fixture
def toy(samples, monkeypatch):
    """A system of two teachers of which one is right for each clip; their features show which."""
    rng = np.random.default_rng(0)
    labels = torch.from_numpy(rng.integers(CLASSES, size=CLIPS))
    right = torch.from_numpy(rng.integers(2, size=CLIPS))
    logits = torch.zeros(CLIPS, 2, CLASSES)
    for clip in range(CLIPS):
        logits[clip, right[clip], labels[clip]] = 5.0
        logits[clip, 1 - right[clip], (labels[clip] + 1) % CLASSES] = 5.0
    features = torch.rand(CLIPS, 2, SEGMENTS, WIDTH, generator=torch.Generator().manual_seed(0)) * 0.1
    features[torch.arange(CLIPS), right, :, 0] += 1.0
    monkeypatch.setattr(mmad, "knowledge_of", lambda teachers, tensors: (logits, features))
    torch.manual_seed(0)
    method = Mmad.for_samples(small(MmadOptions), clips_of(samples, subjects=("1",)))
    student = SegmentConsensus("rgb", AsGiven(), classes=CLASSES, dropout=0.0)
    method.network = TaughtByAttention(student, TeacherAttention(2, WIDTH))
    tensors = {"rgb": torch.randn(CLIPS, SEGMENTS, 6)}
    return method, tensors, labels, right, logits, features


def cross_entropy(labels):
    return lambda scores: nn.functional.cross_entropy(scores, labels)


def test_attention_follows_the_teacher_that_is_right(toy):
    method, tensors, labels, right, _, features = toy
    optimizer = torch.optim.Adam(method.network.parameters(), lr=0.02)
    for _ in range(120):
        loss, _ = method.loss(tensors, cross_entropy(labels))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    weights = method.network.attention(features.mean(dim=2))
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(CLIPS))
    assert (weights.argmax(dim=1) == right).all()
    assert weights[torch.arange(CLIPS), right].mean() > 0.8
    assert (method.weighted(tensors)[0].argmax(dim=1) == labels).all()


def test_the_loss_has_the_four_terms(toy):
    method, tensors, labels, _, logits, features = toy
    method.options = small(MmadOptions, temperature=2.0, soft=0.7, feature=3.0)
    for layer in method.network.attention.scores:
        nn.init.normal_(layer.weight, std=0.2)
    loss, given = method.loss(tensors, cross_entropy(labels))
    weights = method.network.attention(features.mean(dim=2)).detach().numpy()
    target = np.array([sum(weights[b, m] * logits[b, m].numpy() for m in range(2)) for b in range(CLIPS)])
    shown = np.array([sum(weights[b, m] * features[b, m].numpy() for m in range(2)) for b in range(CLIPS)])
    scores = given.detach().numpy()

    def entropy(values):
        return -np.log(softmax(values)[np.arange(CLIPS), labels.numpy()]).mean()

    wanted, own = softmax(target / 2), softmax(scores / 2)
    soft = 4 * (wanted * np.log(wanted / own)).sum(axis=1).mean()
    alike = attention_transfer_loss(tensors["rgb"], torch.from_numpy(shown)).item()
    assert loss.item() == pytest.approx(entropy(scores) + 0.7 * soft + 3 * alike + entropy(target), rel=1e-4)


def test_the_students_terms_do_not_move_the_attention_nor_the_labels_of_teachers_the_student(toy):
    method, tensors, labels, *_ = toy

    def gradients(**weights):
        method.options = small(MmadOptions, **weights)
        method.network.zero_grad()
        method.loss(tensors, cross_entropy(labels))[0].backward()
        return [p.grad.clone() for p in method.network.attention.parameters()]

    taught, alone = gradients(soft=1.0, feature=1.0), gradients(soft=0.0, feature=0.0)
    assert sum(g.abs().sum() for g in alone) > 0.1
    for one, other in zip(taught, alone, strict=True):
        torch.testing.assert_close(one, other)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """Where all systems of this module find their teachers."""
    return tmp_path_factory.mktemp("shared")


def fitted(options_class, method_class, train, directory, shared, *, epochs=2, **wanted):
    method = method_class.for_samples(small(options_class, epochs=epochs, **wanted), train)
    method.fit(train, None, seed=0, run=Run(directory, shared=shared))
    return method


def test_fused_teachers_give_the_mean_of_their_probabilities(samples, tmp_path, shared, monkeypatch):
    train = clips_of(samples)
    method = fitted(MultiTeachersOptions, MultiTeachers, train, tmp_path, shared)
    alone = []
    for name in ("gyro", "acc_phone"):
        weights = load_file(next(shared.glob(f"teacher-{name}-*")) / "best.safetensors")
        teacher = SensorTeacher.for_samples(teacher_options(method.options), train.narrowed([name]), seed=5)
        teacher.network.load_state_dict(weights)
        alone.append(teacher.predict_proba(train.narrowed([name])))
    assert np.abs(alone[0] - alone[1]).max() > 0.05
    forbid(monkeypatch, "frames")
    np.testing.assert_allclose(method.predict_proba(train), (alone[0] + alone[1]) / 2, rtol=1e-6)
    assert method.cost().parameters == sum(p.numel() for m in method.parts.values() for p in m.network.parameters())
    restored = MultiTeachers.restore(method.options, method.state())
    np.testing.assert_array_equal(restored.predict_proba(train), method.predict_proba(train))


def test_a_student_of_the_mean_has_it_as_target_and_needs_the_video_alone(samples, tmp_path, shared, monkeypatch):
    train = clips_of(samples)
    method = fitted(MultiTeachersOptions, MultiTeachers, train, tmp_path, shared, mode="distil", soft=1.0, dropout=0.0)
    assert list(method.teachers) == ["gyro", "acc_phone"]
    tensors = method._tensors(train.batch([0, 1, 2]))
    method.network.eval()
    loss, logits = method.loss(tensors, lambda scores: scores.sum())
    scores = np.mean([t.network(tensors)[0].detach().numpy() for t in method.teachers.values()], axis=0)
    wanted, given = softmax(scores / 4), softmax(logits.detach().numpy() / 4)
    assert loss.item() == pytest.approx(16 * (wanted * np.log(wanted / given)).sum(axis=1).mean(), rel=1e-4)
    forbid(monkeypatch, "series")
    restored = MultiTeachers.restore(method.options, method.state())
    np.testing.assert_array_equal(restored.predict_proba(train), method.predict_proba(train))
    with pytest.raises(ArtifactError, match="another system than multi-teachers, mode fuse, found no networks of sens"):
        MultiTeachers.restore(small(MultiTeachersOptions), method.state())


def test_mmad_learns_attention_beside_a_student_that_answers_alone(samples, tmp_path, shared, monkeypatch):
    train = clips_of(samples)
    method = fitted(MmadOptions, Mmad, train, tmp_path, shared)
    assert any(p.abs().sum() > 0 for p in method.attention.parameters())
    weights = load_file(tmp_path / "best.safetensors")
    assert {name.split(".")[0] for name in weights} == {"student", "attention"}
    forbid(monkeypatch, "series")
    state = method.state()
    assert not any("attention" in name for name in state)
    restored = Mmad.restore(method.options, state)
    np.testing.assert_array_equal(restored.predict_proba(train), method.predict_proba(train))
    alone = Student.for_samples(small(StudentOptions), train.narrowed(["rgb"]))
    assert method.cost() == alone.cost()
    assert method.cost().parameters == sum(p.numel() for p in alone.network.parameters())


def test_the_student_on_labels_alone_is_the_taught_network(samples, tmp_path, monkeypatch):
    train = clips_of(samples, modalities=("rgb",))
    taught = Mmad.for_samples(small(MmadOptions), clips_of(samples))
    student = Student.for_samples(small(StudentOptions), train)
    shapes = [{name: value.shape for name, value in m.network.state_dict().items()} for m in (taught, student)]
    assert shapes[0] == shapes[1]
    forbid(monkeypatch, "series")
    student.fit(train, None, seed=0, run=Run(tmp_path))
    tensors, labels = student._tensors(train.batch([0, 1])), torch.tensor([0, 1])
    student.network.eval()
    loss, logits = student.loss(tensors, cross_entropy(labels))
    assert loss.item() == pytest.approx(nn.functional.cross_entropy(logits, labels).item())
