"""HAMLET: attention over time and over modalities, both ways to combine, its size."""

from __future__ import annotations

import pytest
import torch

from mmtsa_cli.errors import UsageError
from mmtsa_cli.methods.hamlet import Hamlet
from mmtsa_cli.models.cost import parameters
from tests.methods.sequence_cases import (
    BACKBONE_FEATURES,
    CLASSES,
    HIDDEN,
    SENSOR_AXES,
    D,
    loud,
    method_of,
    tensors_of,
)


def plant_identity(attention):
    with torch.no_grad():
        attention.project.weight.copy_(torch.eye(D).repeat(3, 1))


@pytest.mark.parametrize("combine", ["concat", "sum"])
def test_modalities_attend_to_each_other_and_are_combined(combine):
    method = method_of(Hamlet, combine=combine)
    network, tensors = method.network.eval(), tensors_of(method)
    vectors, _ = network.streams(tensors)
    assert vectors.shape == (4, 3, D)
    attended, weights = network.attention(vectors)
    torch.testing.assert_close(weights.sum(dim=2), torch.ones(4, 3))
    parts = list(attended.unbind(1))
    fused = torch.cat(parts, dim=1) if combine == "concat" else parts[0] + parts[1] + parts[2]
    torch.testing.assert_close(network(tensors)[0], network.classifier(fused))


def test_attention_over_time_follows_the_loudest_segment():
    method = method_of(Hamlet, segments=4)
    pool = method.network.streams.streams[0][-1]
    plant_identity(pool.attention)
    loud(pool, 2)
    _, attention = method.network.eval()(tensors_of(method))
    assert (attention[:, 2] > 0.99).all()


def test_attention_over_modalities_follows_the_loudest_one():
    method = method_of(Hamlet)
    found = []
    attention = method.network.attention
    plant_identity(attention)
    loud(attention, 1)
    attention.register_forward_hook(lambda module, inputs, output: found.append(output[1]))
    method.network.eval()(tensors_of(method))
    # Whoever asks.
    assert (found[0][:, :, 1] > 0.99).all()


@pytest.mark.parametrize("combine", ["concat", "sum"])
def test_parameters_in_closed_form(combine):
    method = method_of(Hamlet, combine=combine)
    lstm, attention = 2 * 4 * D * (2 * D + 2), 4 * D * D
    backbone = parameters(method.network.streams.streams[0][0][0].backbone)
    video = backbone + (BACKBONE_FEATURES + 1) * D + lstm + attention
    sensor = 64 * (SENSOR_AXES + 1) + 32 * 10 + 2049 * D + lstm + attention
    fused = 3 * D if combine == "concat" else D
    classifier = 2 * fused + (fused + 1) * HIDDEN + (HIDDEN + 1) * len(CLASSES)
    assert parameters(method.network) == video + 2 * sensor + attention + classifier


def test_heads_that_do_not_fit_are_refused():
    with pytest.raises(
        UsageError, match="features: the heads cannot share it evenly, expected a multiple of 3, found 16"
    ):
        method_of(Hamlet, heads=3)
