"""Keyless, HAMLET, MuMu and Multi-GAT: what all four must do."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from mmtsa_cli.errors import DataError
from mmtsa_cli.methods.keyless import Keyless
from mmtsa_cli.methods.mumu import Mumu
from mmtsa_cli.models.network import Input
from mmtsa_cli.training.run import Run
from tests.methods.sequence_cases import CLASSES, MODEL, SYSTEMS, dead_parameters, method_of, options_of, tensors_of
from tests.methods.small_clips import clips_of

pytestmark = pytest.mark.parametrize("system", SYSTEMS)


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.mark.parametrize("sensors", [1, 2, 4])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("segments", [1, 5])
def test_any_number_of_sensors_and_segments_and_both_kinds_of_video(system, sensors, channels, segments):
    method = method_of(system, sensors=sensors, channels=channels, segments=segments)
    logits, attention = method.network.eval()(tensors_of(method, clips=2))
    assert logits.shape == (2, len(CLASSES))
    assert attention.shape == (2, segments)
    torch.testing.assert_close(attention.sum(dim=1), torch.ones(2))
    assert method.cost().macs > 0


def test_gradient_reaches_every_parameter(system):
    # Four neighbours: a receiver in Multi-GAT acts by the kink of the rectifier, where its senders lie on both sides.
    assert dead_parameters(method_of(system, sensors=4)) == []


def test_clips_do_not_influence_each_other_in_evaluation(system):
    method = method_of(system)
    tensors, network = tensors_of(method), method.network.eval()
    together = network(tensors)[0]
    alone = torch.cat([network({name: t[i : i + 1] for name, t in tensors.items()})[0] for i in range(4)])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


def test_every_modality_is_of_consequence(system):
    method = method_of(system)
    tensors, other = tensors_of(method), tensors_of(method, seed=1)
    network = method.network.eval()
    for name in tensors:
        changed = (network({**tensors, name: other[name]})[0] - network(tensors)[0]).abs().amax(dim=1)
        assert (changed > 1e-6).all(), name


def test_runs_in_bfloat16_with_weights_that_sum_to_one(system):
    method = method_of(system)
    with torch.autocast("cpu", torch.bfloat16):
        logits, attention = method.network.eval()(tensors_of(method))
    assert torch.isfinite(logits).all()
    torch.testing.assert_close(attention.float().sum(dim=1), torch.ones(4))


def test_a_video_or_a_sensor_alone_is_refused(system):
    options = options_of(system, **({"groups": dict.fromkeys(CLASSES, "all")} if system is Mumu else {}))
    with pytest.raises(DataError, match="expected a video and at least one sensor, found rgb"):
        system(options, inputs={"rgb": Input("video", 3)}, classes=CLASSES, segments=3)


def test_learns_a_few_clips_and_is_restored(system, samples, tmp_path):
    train = clips_of(samples)
    wider = {} if system is Keyless else {"features": 64, "model": replace(MODEL, hidden=64)}
    options = options_of(system, **wider)
    method = system.for_samples(options, train, seed=0)
    state = method.fit(train, None, seed=0, run=Run(tmp_path))
    assert state.history[-1]["loss"] < 0.6 * state.history[0]["loss"]
    probabilities = method.predict_proba(train)
    # By chance a third of 18 clips; 15 or more happen so once in 150 000.
    assert (probabilities.argmax(axis=1) == train.labels).mean() > 0.8
    saved = method.state()
    plain = json.loads(json.dumps({name: value for name, value in saved.items() if name.startswith("_")}))
    arrays = {name: np.array(value) for name, value in saved.items() if not name.startswith("_")}
    restored = system.restore(options, {**arrays, **plain})
    np.testing.assert_array_equal(restored.predict_proba(train), probabilities)


def test_defaults_are_the_publications(system):
    options = system.options_class()
    assert options.model.backbone == "resnet50"
    assert (options.training.optimizer, options.training.lr) == ("adamw", 3e-4)
    assert options.training.schedule == ("restarts" if system.__name__ == "Hamlet" else "cosine")
    width = {"Keyless": 512, "Hamlet": 128, "Mumu": 128, "MultiGat": 256}[system.__name__]
    assert options.model.hidden == width
    assert system is Keyless or options.features == width
    dropout = {"Keyless": 0.5, "Hamlet": 0.4, "Mumu": 0.4, "MultiGat": 0.5}[system.__name__]
    assert options.model.dropout == dropout
