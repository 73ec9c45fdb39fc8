"""Keyless attention fusion: its equation, its steps, its size."""

from __future__ import annotations

import torch
from torch import nn

from mmtsa_cli.methods.keyless import ConvolvedSeries, Keyless
from mmtsa_cli.models.cost import parameters
from mmtsa_cli.models.network import Input
from tests.methods.sequence_cases import (
    BACKBONE_FEATURES,
    CLASSES,
    HIDDEN,
    SENSOR_AXES,
    loud,
    method_of,
    tensors_of,
)


def test_a_modality_is_the_keyless_mean_of_its_recurrent_features():
    method = method_of(Keyless)
    network, tensors = method.network.eval(), tensors_of(method)
    vectors, attention = network.streams(tensors)
    assert vectors.shape == (4, 3, 2 * HIDDEN)
    encoder, recurrent, pool = network.streams.streams[0]
    nn.init.normal_(pool.weight)
    hidden = recurrent.lstm(encoder(tensors["rgb"]))[0]
    scores = (hidden @ pool.weight).exp()
    expected = scores / scores.sum(dim=1, keepdim=True)
    vectors, attention = network.streams(tensors)
    torch.testing.assert_close(attention, expected)
    torch.testing.assert_close(vectors[:, 0], (expected[..., None] * hidden).sum(dim=1))
    logits = network(tensors)[0]
    weight, bias = network.classifier[1].weight, network.classifier[1].bias
    torch.testing.assert_close(logits, torch.cat(list(vectors.unbind(1)), dim=1) @ weight.T + bias)


def test_attention_follows_the_loudest_segment():
    method = method_of(Keyless, segments=4)
    pool = method.network.streams.streams[0][2]
    nn.init.ones_(pool.weight)
    loud(pool, 2)
    _, attention = method.network.eval()(tensors_of(method))
    assert (attention[:, 2] > 0.99).all()


def test_a_sensors_step_is_the_maximum_over_five_samples_of_its_own_segment():
    torch.manual_seed(0)
    series = ConvolvedSeries(Input("sensor", 3))
    windows = torch.randn(2, 3, 3, 12, generator=torch.Generator().manual_seed(0))
    steps = series(windows)
    assert steps.shape == (2, 3 * 3, 128)
    filled = torch.cat([windows, windows[..., -1:].repeat(1, 1, 1, 3)], dim=-1)
    maps = series.convolutions[:4](filled[:, 1])
    torch.testing.assert_close(steps[:, 4], maps[..., 5:10].amax(dim=-1))
    other = windows.clone()
    other[:, 0] += 1
    changed = (series(other) != steps).any(dim=-1)
    assert changed[0].tolist() == [True] * 3 + [False] * 6


def test_parameters_in_closed_form():
    method = method_of(Keyless)
    streams = method.network.streams.streams

    def lstm(features, units):
        return 8 * units * (features + units + 2) + 8 * units * (2 * units + units + 2)

    video = parameters(streams[0][0].backbone) + lstm(BACKBONE_FEATURES, HIDDEN) + 2 * HIDDEN
    sensor = 64 * (5 * SENSOR_AXES + 1) + 128 * (5 * 64 + 1) + lstm(128, HIDDEN) + 2 * HIDDEN
    classifier = (3 * 2 * HIDDEN + 1) * len(CLASSES)
    assert parameters(method.network) == video + 2 * sensor + classifier
