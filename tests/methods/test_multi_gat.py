"""Multi-GAT: experts, and messages between modalities that leave the receiver itself out."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from mmtsa_cli.methods.multi_gat import Experts, GraphAttention, MultiGat
from mmtsa_cli.models.cost import parameters
from tests.methods.sequence_cases import (
    BACKBONE_FEATURES,
    CLASSES,
    HIDDEN,
    SENSOR_AXES,
    D,
    dead_parameters,
    loud,
    method_of,
    tensors_of,
)

M = 4


@pytest.fixture
def nodes():
    return torch.randn(3, M, D, generator=torch.Generator().manual_seed(0))


def graph(heads=2):
    torch.manual_seed(0)
    return GraphAttention(D, heads=heads, dropout=0.0)


@pytest.mark.parametrize("heads", [1, 2, 8])
def test_messages_are_those_of_the_equation(nodes, heads):
    layer = graph(heads)
    messages, weights = layer.messages(nodes)
    size = D // heads
    for head in range(heads):
        part = slice(head * size, (head + 1) * size)
        sent = nodes[0] @ layer.transform.weight[part].T
        for i in range(M):
            others = [j for j in range(M) if j != i]
            raw = [(layer.receiver[head] @ sent[i] + layer.sender[head] @ sent[j]).item() for j in others]
            exponentials = [math.exp(score if score > 0 else 0.2 * score) for score in raw]
            shares = torch.tensor(exponentials) / sum(exponentials)
            torch.testing.assert_close(weights[0, head, i, others], shares)
            torch.testing.assert_close(messages[0, i, part], (shares[:, None] * sent[others]).sum(dim=0))


def test_a_node_hears_the_others_and_not_itself(nodes):
    layer = graph()
    # Who receives decides how the others are weighed; without that, nothing of a node may be in what it hears.
    nn.init.zeros_(layer.receiver)
    messages, weights = layer.messages(nodes)
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(3, 2, M))
    assert (weights.diagonal(dim1=2, dim2=3) == 0).all()
    for i in range(M):
        changed = nodes.clone()
        changed[:, i] += 1
        differs = (layer.messages(changed)[0] - messages).abs().amax(dim=2)
        assert (differs[:, i] == 0).all()
        assert (differs[:, [j for j in range(M) if j != i]] > 1e-4).all()


def test_attention_follows_the_loudest_sender(nodes):
    layer = graph(heads=1)
    with torch.no_grad():
        layer.transform.weight.copy_(torch.eye(D))
        layer.sender.fill_(1.0)
    nodes[:, 2] += 5
    _, weights = layer.messages(nodes)
    assert (weights[:, 0, [0, 1, 3], 2] > 0.99).all()
    assert (weights[:, 0, 2, 2] == 0).all()


def test_a_layer_adds_what_was_heard_and_normalises(nodes):
    layer = graph()
    out = layer(nodes)
    heard = (nodes + layer.messages(nodes)[0]).flatten(0, 1)
    normal = (heard - heard.mean(dim=0)) / (heard.var(dim=0, unbiased=False) + 1e-5).sqrt()
    torch.testing.assert_close(out, normal.clamp(min=0).reshape(3, M, D))


def test_experts_are_weighed_by_the_context():
    torch.manual_seed(0)
    mixture = Experts(D, 2)
    vectors, context = torch.randn(3, D), torch.randn(3, D)
    out, weights = mixture(vectors, context)
    outputs = torch.stack([expert(vectors) for expert in mixture.experts], dim=1)
    said = outputs + mixture.attention(outputs)[0]
    scores = torch.einsum("bed,bd->be", said, context @ mixture.query.weight.T) / math.sqrt(D)
    torch.testing.assert_close(weights, scores.exp() / scores.exp().sum(dim=1, keepdim=True))
    torch.testing.assert_close(out, vectors + torch.einsum("be,bed->bd", weights, said))
    # A context that points to what the second expert says: all weight on it.
    mixture.query.weight.data = torch.eye(D)
    towards = (said[:, 1] - said[:, 0]).detach()
    _, weights = mixture(vectors, 40 * towards / towards.square().sum(dim=1, keepdim=True))
    assert (weights[:, 1] > 0.99).all()


def test_attention_over_time_follows_the_loudest_segment():
    method = method_of(MultiGat, segments=4)
    pool = method.network.streams.streams[0][-1]
    nn.init.ones_(pool.weight)
    loud(pool, 2)
    _, attention = method.network.eval()(tensors_of(method))
    assert (attention[:, 2] > 0.99).all()


def test_with_one_sensor_only_the_scores_of_senders_have_nothing_to_learn():
    # One neighbour has weight 1 whatever its score.
    expected = [f"graph.{layer}.{side}" for layer in (0, 1) for side in ("receiver", "sender")]
    assert sorted(dead_parameters(method_of(MultiGat, sensors=1))) == expected


def test_the_first_layer_has_eight_heads_and_the_second_one():
    layers = method_of(MultiGat).network.graph
    assert [tuple(layer.sender.shape) for layer in layers] == [(8, D // 8), (1, D)]


def test_parameters_in_closed_form():
    method = method_of(MultiGat)
    backbone = parameters(method.network.streams.streams[0][0][0].backbone)
    lstm, keyless = 2 * 4 * D * (2 * D + 2), D
    video = backbone + (BACKBONE_FEATURES + 1) * D + lstm + keyless
    sensor = 64 * (SENSOR_AXES + 1) + 32 * 10 + 2049 * D + lstm + keyless
    experts = 2 * ((D + 1) * 2 * D + (2 * D + 1) * D) + 4 * D * D + D * D
    layer = D * D + 2 * D + 2 * D
    classifier = 3 * D * HIDDEN + 2 * HIDDEN + (HIDDEN + 1) * len(CLASSES)
    expected = video + 2 * sensor + keyless + 3 * experts + 2 * layer + classifier
    assert parameters(method.network) == expected
