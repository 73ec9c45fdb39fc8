"""Contrastive pairing of modalities: against its definition, and what it teaches."""

import math

import pytest
import torch

from mmtsa_cli.imaging.field import FieldOptions
from mmtsa_cli.models.network import Input, ModelOptions, build_network
from mmtsa_cli.models.pairing import pairing_loss


def by_definition(one, other, temperature):
    """One way: the mean over segments of -log of the share of the right partner."""
    clips, segments, _ = one.shape
    losses = []
    for b in range(clips):
        for n in range(segments):
            cosines = {
                (c, m): float(torch.cosine_similarity(one[b, n], other[c, m], dim=0)) / temperature
                for c in range(clips)
                for m in range(segments)
                if c != b or m == n
            }
            losses.append(math.log(sum(math.exp(v) for v in cosines.values())) - cosines[b, n])
    return sum(losses) / len(losses)


def test_it_is_the_loss_of_its_definition():
    vectors = [torch.randn(3, 2, 5, generator=torch.Generator().manual_seed(seed)) for seed in range(3)]
    pairs = [(0, 1), (1, 0), (0, 2), (2, 0), (1, 2), (2, 1)]
    expected = sum(by_definition(vectors[i], vectors[j], 0.5) for i, j in pairs) / 6
    assert float(pairing_loss(vectors, temperature=0.5)) == pytest.approx(expected, rel=1e-5)


def test_the_length_of_vectors_does_not_count_and_partners_that_are_alike_cost_least():
    one, other = (torch.randn(4, 3, 8, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    torch.testing.assert_close(pairing_loss([5 * one, other]), pairing_loss([one, other]))
    assert pairing_loss([one, one]) < 0.1 * pairing_loss([one, other])


def test_a_clips_own_other_segments_are_no_counterexamples():
    # Segments of a clip that are all alike could not be told apart: the loss would stay above log 3.
    clips = torch.eye(4)[:, None].expand(-1, 3, -1)
    assert pairing_loss([clips, clips]) < 1e-2


def test_encoders_learn_what_goes_together():
    inputs = {name: Input("sensor", 3, ((-1.0, 1.0),) * 3) for name in ("acc", "gyro")}
    torch.manual_seed(0)
    options = ModelOptions(backbone="resnet10", width=0.125, hidden=16, dropout=0.0, pairing=1.0)
    network = build_network(inputs, options, FieldOptions(scale="dataset"), segments=2, classes=2)
    windows = torch.randn(8, 2, 3, 16)
    batch = {"acc": windows, "gyro": windows.flip(-1)}
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    losses = []
    for _ in range(25):
        loss = pairing_loss(network.forward_training(batch).paired)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    # Chance: one of 15 (two segments of seven other clips, and its own).
    assert losses[0] > 1.5
    assert losses[-1] < 0.5 * losses[0]
    assert network.classifier[1].weight.grad is None


def test_one_modality_has_no_partner():
    inputs = {"acc": Input("sensor", 3, ((-1.0, 1.0),) * 3)}
    options = ModelOptions(backbone="resnet10", width=0.125, hidden=16, pairing=1.0)
    network = build_network(inputs, options, FieldOptions(scale="dataset"), segments=2, classes=2)
    assert network.forward_training({"acc": torch.randn(3, 2, 3, 32)}).paired == []
