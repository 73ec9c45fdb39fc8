"""Attention over segments: its laws."""

from __future__ import annotations

import pytest
import torch

from mmtsa_cli.models.fusion import AdditiveAttention, AverageFusion, Classifier

B, N, D = 3, 5, 8


@pytest.fixture
def features():
    return torch.randn(B, N, D, generator=torch.Generator().manual_seed(0))


def trained_attention(**arguments):
    attention = AdditiveAttention(D, **arguments)
    torch.nn.init.normal_(attention.weight, generator=torch.Generator().manual_seed(1))
    return attention


def test_equals_equations_8_and_9(features):
    attention = trained_attention()
    fused, weights = attention(features)
    scores = torch.einsum("bnd,d->bn", features, attention.weight).exp()
    expected = scores / scores.sum(dim=1, keepdim=True)
    torch.testing.assert_close(weights, expected)
    torch.testing.assert_close(fused, torch.einsum("bn,bnd->bd", expected, features))


def test_weights_sum_to_one(features):
    _, weights = trained_attention()(features * 100)
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(B))


def test_starts_at_the_plain_mean(features):
    fused, weights = AdditiveAttention(D)(features)
    mean, equal = AverageFusion()(features)
    torch.testing.assert_close(fused, mean)
    torch.testing.assert_close(weights, equal)


def test_follows_the_loudest_segment(features):
    attention = AdditiveAttention(D)
    torch.nn.init.ones_(attention.weight)
    features[:, 3] += 10
    fused, weights = attention(features)
    assert (weights[:, 3] > 0.999).all()
    torch.testing.assert_close(fused, features[:, 3], rtol=1e-2, atol=1e-2)


def test_order_of_segments_permutes_the_weights_and_leaves_the_result(features):
    order = torch.tensor([2, 0, 4, 1, 3])
    attention = trained_attention()
    (fused, weights), (again, permuted) = attention(features), attention(features[:, order])
    torch.testing.assert_close(permuted, weights[:, order])
    torch.testing.assert_close(again, fused)


def test_position_embedding_sees_the_order(features):
    attention = trained_attention(segments=N)
    assert not torch.allclose(attention(features)[0], attention(features.flip(1))[0], atol=1e-3)


def test_position_embedding_refuses_other_numbers_of_segments(features):
    with pytest.raises(ValueError, match="5 segments, embeddings of 4"):
        AdditiveAttention(D, segments=4)(features)


def test_weights_are_float32_under_autocast(features):
    with torch.autocast("cpu", torch.bfloat16):
        fused, weights = trained_attention()(features.bfloat16())
    assert weights.dtype == torch.float32
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(B))
    assert fused.shape == (B, D)


def test_classifier_is_two_layers_and_quiet_in_evaluation(features):
    classifier = Classifier(D, hidden=16, classes=4, dropout=0.5).eval()
    linear = [layer for layer in classifier if isinstance(layer, torch.nn.Linear)]
    assert [(layer.in_features, layer.out_features) for layer in linear] == [(D, 16), (16, 4)]
    assert torch.equal(classifier(features[:, 0]), classifier(features[:, 0]))
