"""Distillation from one sensor: the loss, the teachers, that they are frozen and trained once."""

import json
import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
from filelock import FileLock

from mmtsa_cli.errors import DataError
from mmtsa_cli.methods import distillation
from mmtsa_cli.methods.distillation import DistillationOptions, Smd, distillation_loss
from mmtsa_cli.methods.mmad import MultiTeachers, MultiTeachersOptions
from mmtsa_cli.methods.teachers import SensorTeacher, SeriesEncoder, fit_teachers, knowledge_of
from mmtsa_cli.training import owed
from mmtsa_cli.training.owed import seconds_of_others
from mmtsa_cli.training.run import Run, TrainingStoppedError
from tests.methods.small_clips import clips_of, forbid, small


def softmax(scores):
    raised = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return raised / raised.sum(axis=-1, keepdims=True)


def divergence(wanted, given):
    return float((wanted * np.log(wanted / given)).sum(axis=1).mean())


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_the_loss_is_the_divergence_of_softened_scores_times_the_square_of_the_temperature(temperature):
    student, teacher = np.random.default_rng(0).normal(0, 3, (2, 6, 5)) * [[[1]], [[2]]]
    wanted, given = softmax(teacher / temperature), softmax(student / temperature)
    loss = distillation_loss(torch.tensor(student), torch.tensor(teacher), temperature=temperature).item()
    assert loss == pytest.approx(temperature**2 * divergence(wanted, given), rel=1e-5)
    assert loss != pytest.approx(temperature**2 * divergence(given, wanted), rel=0.05)
    assert distillation_loss(torch.tensor(teacher), torch.tensor(teacher), temperature=temperature).item() == 0


def test_a_high_temperature_leaves_the_gradient_that_the_publication_derives():
    # Equation 4 there: (z - v) / (N T^2) for scores without mean, of one clip, before the factor T^2.
    student, teacher = torch.randn(2, 1, 5, generator=torch.Generator().manual_seed(0))
    student, teacher = ((x - x.mean()).requires_grad_() for x in (student, teacher))
    distillation_loss(student, teacher.detach(), temperature=100.0).backward()
    torch.testing.assert_close(student.grad, ((student - teacher) / 5).detach(), rtol=0.05, atol=5e-3)


def test_series_are_standardised_by_the_bounds_of_training():
    bounds = [(-2.0, 4.0), (10.0, 10.0)]
    encoder = SeriesEncoder(2, bounds)
    windows = torch.tensor([[[[-2.0, 1.0, 4.0], [10.0, 11.0, 9.0]]]])
    torch.testing.assert_close(encoder._standardised(windows), torch.tensor([[[[-1.0, 0, 1], [0, 1, -1]]]]))


@pytest.mark.parametrize("samples_of_window", [2, 5, 100])
def test_a_series_of_any_length_in_any_unit_is_encoded_alike(samples_of_window):
    windows = torch.randn(3, 4, 2, samples_of_window)
    torch.manual_seed(0)
    metres = SeriesEncoder(2, [(-3.0, 3.0), (-1.0, 2.0)]).eval()
    torch.manual_seed(0)
    millimetres = SeriesEncoder(2, [(-3000.0, 3000.0), (-1000.0, 2000.0)]).eval()
    features = metres(windows)
    assert features.shape == (3, 4, 256)
    torch.testing.assert_close(millimetres(windows * 1000), features, rtol=1e-3, atol=1e-5)


def test_a_teacher_has_three_convolutions_and_averages_the_scores_of_segments(samples):
    train = clips_of(samples, modalities=("gyro",))
    network = SensorTeacher.for_samples(small(DistillationOptions), train).network.eval()
    convolutions = [m for m in network.modules() if isinstance(m, torch.nn.Conv1d)]
    sizes = [(c.in_channels, c.out_channels, *c.kernel_size) for c in convolutions]
    assert sizes == [(3, 64, 9), (64, 128, 7), (128, 256, 5)]
    windows = torch.from_numpy(train.batch([0, 1]).inputs["gyro"])
    each = [network({"gyro": windows[:, i : i + 1]})[0] for i in range(windows.shape[1])]
    torch.testing.assert_close(network({"gyro": windows})[0], torch.stack(each).mean(dim=0), rtol=1e-4, atol=1e-5)


def test_the_student_approaches_its_teacher(samples, tmp_path):
    train = clips_of(samples, subjects=("1", "2"), modalities=("rgb", "gyro"))
    method = Smd.for_samples(small(DistillationOptions, epochs=10, soft=1.0, dropout=0.0), train)
    before = method.predict_proba(train)
    method.fit(train, None, seed=0, run=Run(tmp_path))
    taught = method.teachers["gyro"].predict_proba(train)
    assert divergence(taught, method.predict_proba(train)) < 0.3 * divergence(taught, before)


def test_a_students_loss_has_both_terms_and_leaves_the_teachers_alone(samples, tmp_path):
    train = clips_of(samples, subjects=("1",), modalities=("rgb", "gyro"))
    method = Smd.for_samples(small(DistillationOptions, epochs=1, soft=0.3, temperature=2.0, dropout=0.0), train)
    method.fit(train, None, seed=0, run=Run(tmp_path))
    teacher = method.teachers["gyro"].network
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    batch = train.batch([0, 1, 2])
    tensors, labels = method._tensors(batch), torch.from_numpy(batch.labels)
    method.network.train()
    loss, logits = method.loss(tensors, lambda scores: torch.nn.functional.cross_entropy(scores, labels))
    loss.backward()
    assert all(p.grad is None and not p.requires_grad for p in teacher.parameters())
    assert all(p.grad is not None for p in method.network.parameters())
    assert not teacher.training
    for name, value in teacher.state_dict().items():
        assert torch.equal(value, before[name]), name
    given, wanted = logits.detach().numpy(), teacher(tensors)[0].detach().numpy()
    true = -np.log(softmax(given)[np.arange(3), labels]).mean()
    expected = 0.7 * true + 0.3 * 4 * divergence(softmax(wanted / 2), softmax(given / 2))
    assert loss.item() == pytest.approx(expected, rel=1e-4)


def test_only_the_video_is_read_to_predict(samples, tmp_path, monkeypatch):
    train = clips_of(samples, subjects=("1",))
    method = Smd.for_samples(small(DistillationOptions, epochs=1), train)
    method.fit(train, None, seed=0, run=Run(tmp_path))
    forbid(monkeypatch, "series")
    assert method.predict_proba(train).shape == (6, 3)
    assert not any("teacher" in name or "gyro" in name for name in method.state())
    assert method.cost().parameters == sum(p.numel() for p in method.network.parameters())
    restored = Smd.restore(method.options, method.state())
    np.testing.assert_array_equal(restored.predict_proba(train), method.predict_proba(train))


class Scored:
    def __init__(self, macro_f1):
        self.macro_f1 = macro_f1


def test_the_teacher_is_the_best_sensor_or_without_validation_the_first_accelerometer(samples, tmp_path, monkeypatch):
    train = clips_of(samples, modalities=("rgb", "gyro", "acc_phone", "acc_watch"))
    method = Smd.for_samples(small(DistillationOptions), train)
    known = {"gyro": 0.4, "acc_phone": 0.2, "acc_watch": 0.7}
    asked = []

    def stand_in(sensors, *arguments, **named):
        asked.append(list(sensors))
        return {name: Scored(known[name] if arguments[2] else None) for name in sensors}

    monkeypatch.setattr(distillation, "fit_teachers", stand_in)
    named = {"seed": 0, "run": Run(tmp_path)}
    assert list(method.choose_teachers(list(known), train, train, **named)) == ["acc_watch"]
    assert list(method.choose_teachers(list(known), train, None, **named)) == ["acc_phone"]
    assert list(method.choose_teachers(["gyro"], train, None, **named)) == ["gyro"]
    assert asked == [["gyro", "acc_phone", "acc_watch"], ["acc_phone"], ["gyro"]]


@pytest.fixture
def trainings(monkeypatch):
    """Which sensors a teacher was trained for, in order."""
    done, own = [], SensorTeacher.fit

    def counted(self, samples, *arguments, **named):
        done.append(samples.modalities[0])
        return own(self, samples, *arguments, **named)

    monkeypatch.setattr(SensorTeacher, "fit", counted)
    return done


def test_a_teacher_is_trained_once_for_all_systems_of_the_same_clips_and_seed(samples, tmp_path, trainings):
    train, validation = clips_of(samples, subjects=("1", "2")), clips_of(samples, subjects=("4",))
    (tmp_path / "smd").mkdir()
    run = Run(tmp_path / "smd", shared=tmp_path / "shared")
    student = Smd.for_samples(small(DistillationOptions, epochs=1), train)
    student.fit(train, validation, seed=0, run=run)
    assert sorted(trainings) == ["acc_phone", "gyro"]
    mean = MultiTeachers.for_samples(small(MultiTeachersOptions, epochs=1, draws=2), train)
    mean.fit(train, validation, seed=0, run=replace(run, directory=tmp_path / "other"))
    assert len(trainings) == 2
    for name, value in next(iter(student.teachers.values())).network.state_dict().items():
        assert torch.equal(value, mean.parts[next(iter(student.teachers))].network.state_dict()[name])
    assert not (tmp_path / "smd" / "teachers").exists()
    kept = json.loads(next((tmp_path / "shared").glob("teacher-gyro-*/finished.json")).read_text())
    assert kept["origin"]["clips"] == train.column("id")


def test_a_system_pays_for_teachers_that_another_trained_and_not_for_its_own(samples, tmp_path, monkeypatch):
    monkeypatch.setattr(owed, "_of_others", {})
    train, options = clips_of(samples, subjects=("1", "2")), small(DistillationOptions, epochs=1)
    run = Run(tmp_path / "first", shared=tmp_path / "shared")
    fit_teachers(["gyro"], options, train, None, seed=0, run=run)
    assert seconds_of_others() == 0
    # The same run, after an interruption: the teacher's time is in its own.
    fit_teachers(["gyro"], options, train, None, seed=0, run=run)
    assert seconds_of_others() == 0
    (place,) = (tmp_path / "shared").iterdir()
    fit_teachers(["gyro"], options, train, None, seed=0, run=replace(run, directory=tmp_path / "second"))
    assert seconds_of_others() == pytest.approx(json.loads((place / "finished.json").read_text())["seconds"], abs=0.2)
    assert seconds_of_others() > 0


def test_a_teacher_that_another_process_trains_is_waited_for(samples, tmp_path, trainings):
    train, options = clips_of(samples, subjects=("1", "2")), small(DistillationOptions, epochs=1)
    fit_teachers(["gyro"], options, train, None, seed=0, run=Run(tmp_path / "first", shared=tmp_path / "shared"))
    (place,) = (tmp_path / "shared").iterdir()
    (place / "finished.json").rename(tmp_path / "kept.json")
    run = Run(tmp_path / "second", shared=tmp_path / "shared")
    lock = FileLock(place / ".lock")
    lock.acquire()
    with pytest.raises(TrainingStoppedError, match="while another process trained what this one needs"):
        fit_teachers(["gyro"], options, train, None, seed=0, run=replace(run, should_stop=lambda: True))
    waiting = threading.Thread(target=lambda: fit_teachers(["gyro"], options, train, None, seed=0, run=run))
    waiting.start()
    (tmp_path / "kept.json").rename(place / "finished.json")
    assert waiting.is_alive()
    lock.release()
    waiting.join()
    assert trainings == ["gyro"]


def test_another_seed_other_clips_or_other_options_need_other_teachers(samples, tmp_path, trainings):
    train = clips_of(samples, subjects=("1", "2"))
    options = small(DistillationOptions, epochs=1)
    run = Run(tmp_path, shared=tmp_path / "shared")
    longer = replace(options, training=replace(options.training, epochs=2))
    student = replace(options, temperature=9.0, dropout=0.0)
    fit_teachers(["gyro"], options, train, None, seed=0, run=run)
    fit_teachers(["gyro"], options, train, None, seed=0, run=run)
    fit_teachers(["gyro"], student, train, None, seed=0, run=run)
    assert len(trainings) == 1
    fit_teachers(["gyro"], options, train, None, seed=1, run=run)
    fit_teachers(["gyro"], options, clips_of(samples, subjects=("1", "3")), None, seed=0, run=run)
    fit_teachers(["gyro"], options, train, clips_of(samples, subjects=("4",)), seed=0, run=run)
    fit_teachers(["gyro"], longer, train, None, seed=0, run=run)
    fit_teachers(["acc_phone"], options, train, None, seed=0, run=run)
    assert len(trainings) == len(list((tmp_path / "shared").iterdir())) == 6


def test_a_teacher_that_was_stopped_is_gone_on_with(samples, tmp_path, trainings):
    train = clips_of(samples, subjects=("1", "2"))
    options = small(DistillationOptions, epochs=2)
    whole = fit_teachers(["gyro"], options, train, None, seed=0, run=Run(tmp_path / "whole"))["gyro"]
    steps = []
    stopped = Run(tmp_path / "run", report=lambda *told: steps.append(told), should_stop=lambda: len(steps) >= 3)
    with pytest.raises(TrainingStoppedError):
        fit_teachers(["gyro"], options, train, None, seed=0, run=stopped)
    assert not list(tmp_path.glob("run/teachers/*/finished.json"))
    rest = []
    again = Run(tmp_path / "run", report=lambda *told: rest.append(told))
    teacher = fit_teachers(["gyro"], options, train, None, seed=0, run=again)["gyro"]
    assert len(rest) < len(steps) + 3
    for name, value in teacher.network.state_dict().items():
        assert torch.equal(value, whole.network.state_dict()[name]), name
    assert list(tmp_path.glob("run/teachers/*/finished.json"))


def test_what_teachers_say_is_stacked_by_teacher(samples, tmp_path):
    train = clips_of(samples, subjects=("1", "2"))
    teachers = fit_teachers(["gyro", "acc_phone"], small(DistillationOptions, epochs=1), train, None, seed=0,
                            run=Run(tmp_path))  # fmt: skip
    tensors = teachers["gyro"]._tensors(train.batch([0, 1]))
    logits, features = knowledge_of(teachers, tensors)
    assert features.shape == (2, 2, train.segments, 256)
    assert not logits.requires_grad
    for number, name in enumerate(("gyro", "acc_phone")):
        torch.testing.assert_close(logits[:, number], teachers[name].network(tensors)[0].detach())
    proba = teachers["gyro"].predict_proba(train)[:2]
    np.testing.assert_allclose(softmax(logits[:, 0].double().numpy()), proba, rtol=1e-3, atol=1e-5)


def test_a_student_without_a_sensor_is_refused(samples):
    train = clips_of(samples, modalities=("rgb",))
    with pytest.raises(DataError, match="smd needs a sensor, expected a sensor, found rgb"):
        Smd.for_samples(small(DistillationOptions), train)
