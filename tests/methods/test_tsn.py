"""Temporal segment networks: scores averaged over segments, and over streams by weights that validation chooses."""

import math

import numpy as np
import pytest
import torch
from safetensors.numpy import load, save
from torch import nn

from mmtsa_cli.errors import ArtifactError, DataError
from mmtsa_cli.methods.tsn import SegmentConsensus, TsnFusion, TsnOptions, TsnRgb, best_weights, fuse_scores
from mmtsa_cli.training.run import Run
from tests.methods.small_clips import clips_of, forbid, small


class AsGiven(nn.Module):
    """An encoder whose features are its input."""

    features = 4

    def forward(self, inputs, extremes=None):
        return inputs


def softmax(scores):
    raised = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return raised / raised.sum(axis=-1, keepdims=True)


def test_the_consensus_is_the_mean_of_the_segments_scores_before_the_softmax():
    torch.manual_seed(0)
    network = SegmentConsensus("rgb", AsGiven(), classes=3, dropout=0.8).eval()
    features = torch.randn(2, 5, 4) * 4
    logits, attention = network({"rgb": features, "gyro": torch.zeros(2)})
    weight, bias = (p.detach().numpy() for p in network.classifier.parameters())
    scores = np.einsum("bnd,cd->bnc", features.numpy(), weight) + bias
    np.testing.assert_allclose(logits.detach().numpy(), scores.mean(axis=1), rtol=1e-5, atol=1e-6)
    assert attention is None
    assert np.abs(softmax(scores).mean(axis=1) - softmax(scores.mean(axis=1))).max() > 0.01


def test_four_fifths_of_the_features_are_dropped_in_training():
    network = SegmentConsensus("rgb", AsGiven(), classes=1, dropout=TsnOptions().dropout)
    nn.init.ones_(network.classifier.weight)
    nn.init.zeros_(network.classifier.bias)
    torch.manual_seed(0)
    kept = network.consensus(torch.ones(4000, 1, 4)) / 5
    assert kept.mean().item() / 4 == pytest.approx(0.2, abs=0.02)


def test_tsn_rgb_reads_the_main_video_only(samples, tmp_path, monkeypatch):
    train = clips_of(samples, modalities=("gyro", "rgb"))
    with monkeypatch.context() as closed:
        forbid(closed, "series")
        method = TsnRgb.for_samples(small(TsnOptions), train)
        method.fit(train, clips_of(samples, subjects=("4",)), seed=0, run=Run(tmp_path))
        method.predict_proba(train)
    assert list(method.inputs) == ["rgb"]
    with pytest.raises(DataError, match="tsn-rgb needs a video, expected a video, found gyro"):
        TsnRgb.for_samples(small(TsnOptions), train.narrowed(["gyro"]))


def test_fused_scores_are_the_softmax_of_their_weighted_mean():
    scores = np.random.default_rng(0).normal(0, 3, (3, 5, 4))
    weights = np.array([0.5, 0.2, 0.3])
    expected = softmax(sum(w * s for w, s in zip(weights, scores, strict=True)))
    np.testing.assert_allclose(fuse_scores(softmax(scores), weights), expected, rtol=1e-9)
    certain = np.array([[[1.0, 0.0]], [[1.0, 0.0]]])
    np.testing.assert_allclose(fuse_scores(certain, np.array([0.5, 0.5])), [[1.0, 0.0]], atol=1e-12)


def answers(labels, right, rng, *, classes=3, size=2.0):
    """Probabilities that lean to the true class where `right`, and to another one elsewhere."""
    shown = np.where(right, labels, (labels + 1) % classes)
    return softmax(size * np.eye(classes)[shown] + rng.normal(0, 0.3, (len(labels), classes)))


def test_the_stream_that_is_right_gets_the_weight():
    rng = np.random.default_rng(1)
    labels = rng.integers(3, size=40)
    never, always = np.zeros(40, bool), np.ones(40, bool)
    streams = np.stack([answers(labels, right, rng) for right in (never, always, rng.random(40) < 0.4)])
    weights = best_weights(streams, labels)
    assert weights.sum() == pytest.approx(1)
    assert weights.argmax() == 1
    assert weights[1] >= 0.9
    others = best_weights(streams[[1, 0, 2]], labels)
    assert others.tolist() == weights[[1, 0, 2]].tolist()


def test_the_weights_found_are_the_likeliest_of_a_fine_scan():
    rng = np.random.default_rng(2)
    labels = rng.integers(3, size=60)
    streams = np.stack([answers(labels, rng.random(60) < part, rng) for part in (0.8, 0.75)])
    scan = np.linspace(0, 1, 2001)

    def likelihood(first):
        mean = first * np.log(streams[0]) + (1 - first) * np.log(streams[1])
        return np.log(softmax(mean))[np.arange(60), labels].mean()

    best = scan[np.argmax([likelihood(first) for first in scan])]
    assert 0 < best < 1
    assert best_weights(streams, labels)[0] == pytest.approx(best, abs=0.05)


def test_clips_of_no_class_have_no_say():
    rng = np.random.default_rng(4)
    labels = rng.integers(3, size=30)
    streams = np.stack([answers(labels, rng.random(30) < part, rng) for part in (0.8, 0.6)])
    strange = np.stack([answers(np.full(60, 2), np.full(60, right), rng) for right in (False, True)])
    both = np.concatenate([streams, strange], axis=1)
    found = best_weights(both, np.concatenate([labels, np.full(60, -1)]))
    assert found.tolist() == best_weights(streams, labels).tolist()
    assert found[0] > 0.5 > best_weights(both, np.concatenate([labels, np.full(60, 2)]))[0]


def test_streams_that_are_alike_and_clips_of_no_class_leave_the_weights_equal():
    rng = np.random.default_rng(3)
    labels = rng.integers(3, size=9)
    one = answers(labels, np.ones(9, bool), rng)
    assert best_weights(np.stack([one] * 3), labels) == pytest.approx([1 / 3] * 3)
    assert best_weights(np.stack([one, one[::-1]]), np.full(9, -1)).tolist() == [0.5, 0.5]


@pytest.mark.parametrize("count", [1, 2, 5, 8])
def test_the_grid_stays_small_and_holds_every_stream_alone(count):
    from mmtsa_cli.methods.tsn import _weightings

    grid = np.array(list(_weightings(count)))
    assert len(grid) <= 5000
    np.testing.assert_allclose(grid.sum(axis=1), 1)
    assert len({tuple(row) for row in grid.round(6)}) == len(grid)
    assert all((grid == alone).all(axis=1).any() for alone in np.eye(count))
    steps = round(1 / np.unique(grid[grid > 0]).min())
    assert len(grid) == math.comb(steps + count - 1, count - 1)


@pytest.fixture(scope="module")
def fused(samples, tmp_path_factory):
    """A fusion of three networks, with two validation subjects."""
    directory = tmp_path_factory.mktemp("fusion")
    train, validation = clips_of(samples, subjects=("1", "2")), clips_of(samples, subjects=("3", "4"))
    method = TsnFusion.for_samples(small(TsnOptions, epochs=4, dropout=0.2), train)
    method.fit(train, validation, seed=0, run=Run(directory))
    return method, train, validation, directory


def test_a_fusion_weighs_networks_that_were_trained_apart(fused):
    method, _, validation, directory = fused
    assert sorted(p.name for p in directory.iterdir()) == ["acc_phone", "gyro", "rgb"]
    alone = [part.predict_proba(validation.narrowed([name])) for name, part in method.parts.items()]
    weights = np.array(method.state()["_weights"])
    assert weights.tolist() == best_weights(np.stack(alone), validation.labels).tolist()
    expected = softmax(sum(w * np.log(p) for w, p in zip(weights, alone, strict=True)))
    np.testing.assert_allclose(method.predict_proba(validation), expected, rtol=1e-6)


def test_a_fusion_keeps_its_weights_when_it_is_saved(fused):
    method, _, validation, _ = fused
    method.weights = np.array([0.1, 0.2, 0.7])
    state = method.state()
    arrays = {name: np.ascontiguousarray(value) for name, value in state.items() if not name.startswith("_")}
    plain = {name: value for name, value in state.items() if name.startswith("_")}
    restored = TsnFusion.restore(method.options, {**load(save(arrays)), **plain})
    np.testing.assert_array_equal(restored.predict_proba(validation), method.predict_proba(validation))
    assert restored.weights.tolist() == [0.1, 0.2, 0.7]
    assert restored.cost() == method.cost()
    part = next(iter(method.parts.values()))
    with pytest.raises(ArtifactError, match="another system than tsn-fusion, expected networks by modality") as caught:
        TsnFusion.restore(method.options, part.state())
    assert caught.value.exit_code == 1


def test_a_fusion_costs_what_its_networks_cost(fused):
    method = fused[0]
    costs = [part.cost() for part in method.parts.values()]
    assert method.cost().parameters == sum(p.numel() for m in method.parts.values() for p in m.network.parameters())
    assert method.cost().macs == sum(cost.macs for cost in costs)


def test_a_fusion_that_was_fitted_is_not_trained_again_and_is_even_without_validation(fused, samples):
    method, train, _, directory = fused
    steps = []
    again = TsnFusion.for_samples(method.options, train)
    assert again.weights.tolist() == pytest.approx([1 / 3] * 3)
    again.fit(train, None, seed=0, run=Run(directory, report=lambda *told: steps.append(told)))
    assert steps == []
    assert again.weights.tolist() == pytest.approx([1 / 3] * 3)
    for name, part in again.parts.items():
        for key, value in part.network.state_dict().items():
            torch.testing.assert_close(value, method.parts[name].network.state_dict()[key])


def test_progress_counts_every_network(fused):
    method, _, validation, _ = fused
    told = []
    method.predict_proba(validation, progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (36, 36)
    assert told == sorted(told)
