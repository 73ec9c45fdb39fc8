"""What a trained system says does not depend on how it is asked: folded norms, threads that draw, the order of sums."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from mmtsa_cli.methods.mmtsa import Mmtsa, MmtsaOptions
from mmtsa_cli.training.optimisation import autocast
from mmtsa_cli.training.run import Run
from tests.methods.small_clips import TRAINING, clips_of, small


def trained(samples, directory, **training):
    directory.mkdir()
    clips = clips_of(samples, modalities=("gyro", "acc_phone"), subjects=("1", "2"))
    options = small(MmtsaOptions, epochs=1, training=replace(TRAINING, **training))
    method = Mmtsa.for_samples(options, clips, seed=3)
    method.fit(clips, None, seed=3, run=Run(directory))
    return method, clips


@pytest.fixture(scope="module")
def case(samples, tmp_path_factory):
    return trained(samples, tmp_path_factory.mktemp("inference") / "run")


def asked_directly(method, clips):
    """The probabilities of the network as it was trained, in float32."""
    tensors = method._tensors(clips.batch(list(range(len(clips)))))
    with torch.inference_mode(), autocast("float32", method.device):
        return method.network.eval()(tensors)[0].double().softmax(dim=1).numpy()


def same_weights(one, other):
    pairs = zip(one.network.state_dict().values(), other.network.state_dict().values(), strict=True)
    return all(torch.equal(mine, its) for mine, its in pairs)


def test_predictions_are_those_of_the_network(case):
    method, clips = case
    np.testing.assert_allclose(method.predict_proba(clips), asked_directly(method, clips), atol=1e-5)


def test_in_bfloat16_they_are_within_two_hundredths(case):
    method, clips = copy.copy(case[0]), case[1]
    method.options = replace(method.options, training=replace(method.options.training, precision="bfloat16"))
    method._ready = None
    np.testing.assert_allclose(method.predict_proba(clips), asked_directly(method, clips), atol=0.02)


def test_weights_that_change_are_asked_anew(case):
    method, clips = case
    before = method.predict_proba(clips)
    kept = copy.deepcopy(method.network.state_dict())
    with torch.no_grad():
        for tensor in method.network.parameters():
            tensor.mul_(1.5)
    after = method.predict_proba(clips)
    np.testing.assert_allclose(after, asked_directly(method, clips), atol=1e-5)
    assert np.abs(after - before).max() > 1e-3
    method.network.load_state_dict(kept)
    np.testing.assert_array_equal(method.predict_proba(clips), before)


def test_any_number_of_workers_trains_to_the_same_bits(case, samples, tmp_path):
    method, clips = case
    other, _ = trained(samples, tmp_path / "run", workers=4)
    assert same_weights(method, other)
    np.testing.assert_array_equal(other.predict_proba(clips), method.predict_proba(clips))


def test_deterministic_runs_are_bitwise_equal_and_leave_torch_as_it_was(samples, tmp_path):
    runs = [trained(samples, tmp_path / name, deterministic=True)[0] for name in ("one", "other")]
    assert same_weights(*runs)
    assert not torch.are_deterministic_algorithms_enabled()


def test_what_deterministic_costs_is_measured_without_a_trace(case):
    method, clips = case
    kept = copy.deepcopy(method.network.state_dict())
    ordered, free = method.deterministic_cost(clips, seed=0, repeats=1)
    assert ordered > 0
    assert free > 0
    assert all(torch.equal(kept[name], tensor) for name, tensor in method.network.state_dict().items())
