"""Warm start: the fused network begins with the encoders that were trained alone, once, whoever trained them."""

from dataclasses import replace

import pytest
import torch

from mmtsa_cli.methods.mmtsa import Mmtsa, MmtsaOptions
from mmtsa_cli.methods.network_method import NetworkMethod
from mmtsa_cli.models.network import ModelOptions
from mmtsa_cli.sampling.draw import DrawOptions, Samples
from mmtsa_cli.sampling.store import Store
from mmtsa_cli.training.optimisation import TrainingOptions
from mmtsa_cli.training.run import Run, TrainingStoppedError

OPTIONS = MmtsaOptions(
    model=ModelOptions(backbone="resnet10", width=0.125, hidden=16),
    training=TrainingOptions(epochs=1, batch_size=28, threads=1, precision="float32"),
    warm_start=True,
)


@pytest.fixture(scope="module")
def clips(samples):
    store = Store(samples)
    drawn = DrawOptions(frame_size=32, window=1.0)
    return Samples(store, range(28), modalities=("acc_phone", "gyro"), classes=store.labels, options=drawn)


@pytest.fixture
def fits(monkeypatch):
    """The networks that are trained, in order: their modalities, and their encoders before and after."""
    seen = []
    original = NetworkMethod.fit

    def fit(self, *arguments, **named):
        before = encoders(self)
        seen.append([tuple(self.inputs), before, None])
        place = len(seen) - 1
        state = original(self, *arguments, **named)
        seen[place][2] = encoders(self)
        return state

    monkeypatch.setattr(NetworkMethod, "fit", fit)
    return seen


def encoders(method):
    network = method.network
    return {
        name: {key: value.clone() for key, value in encoder.state_dict().items()}
        for name, encoder in zip(network.modalities, network.encoders.values(), strict=True)
    }


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def fit(clips, place, options=OPTIONS, shared=None, **run):
    directory = place / f"run-{len(list(place.iterdir()))}"
    directory.mkdir()
    method = Mmtsa.for_samples(options, clips, seed=3)
    method.fit(clips, None, seed=3, run=Run(directory, shared=shared, **run))
    return method


def test_each_modality_is_trained_alone_first_and_the_fused_one_begins_there(clips, tmp_path, fits):
    fit(clips, tmp_path)
    assert [names for names, _, _ in fits] == [("acc_phone",), ("gyro",), ("acc_phone", "gyro")]
    start = fits[2][1]
    for number, name in enumerate(("acc_phone", "gyro")):
        assert same(start[name], fits[number][2][name])
        assert not same(start[name], fits[number][1][name])


def test_without_it_nothing_is_trained_alone(clips, tmp_path, fits):
    fit(clips, tmp_path, replace(OPTIONS, warm_start=False))
    assert [names for names, _, _ in fits] == [("acc_phone", "gyro")]


def test_what_a_row_of_one_modality_trained_is_not_trained_again(clips, tmp_path, fits):
    shared = tmp_path / "shared"
    fit(clips.narrowed(["gyro"]), tmp_path, shared=shared)
    fit(clips, tmp_path, shared=shared)
    assert [names for names, _, _ in fits] == [("gyro",), ("acc_phone",), ("acc_phone", "gyro")]
    assert same(fits[2][1]["gyro"], fits[0][2]["gyro"])
    fit(clips, tmp_path, shared=shared)
    assert len(fits) == 4
    # Other settings are another training.
    fit(clips, tmp_path, replace(OPTIONS, draws=2), shared=shared)
    assert len(fits) == 7


def test_a_training_that_was_stopped_goes_on_without_beginning_anew(clips, tmp_path, fits):
    whole = fit(clips, tmp_path, replace(OPTIONS, training=replace(OPTIONS.training, batch_size=14)))
    options = whole.options
    steps = []
    directory = tmp_path / "stopped"
    directory.mkdir()
    # Two steps a training: the third training is asked to stop after its first.
    stopping = Run(directory, lambda state, step, total: steps.append(step), lambda: len(steps) == 7)
    with pytest.raises(TrainingStoppedError):
        Mmtsa.for_samples(options, clips, seed=3).fit(clips, None, seed=3, run=stopping)
    trained = len(fits)
    again = Mmtsa.for_samples(options, clips, seed=3)
    again.fit(clips, None, seed=3, run=Run(directory))
    assert [names for names, _, _ in fits[trained:]] == [("acc_phone", "gyro")]
    assert same(again.network.state_dict(), whole.network.state_dict())
