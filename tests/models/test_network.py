"""The segment network: shapes, gradients, modalities that are missing or dropped, a set learned by heart."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mmtsa_cli.errors import DataError, UsageError
from mmtsa_cli.imaging.field import FieldOptions
from mmtsa_cli.models.cost import macs, parameters
from mmtsa_cli.models.encoders import WindowLevel
from mmtsa_cli.models.fusion import AverageFusion
from mmtsa_cli.models.network import Input, ModelOptions, SegmentNetwork, build_network

INPUTS = {
    "rgb": Input("video", 3),
    "depth": Input("video", 1),
    "acc.watch": Input("sensor", 3, bounds=[(-2.0, 2.0)] * 3),
    "items": Input("sensor", 2),
}
SMALL = ModelOptions(width=0.25, hidden=32)


def batch_of(names, *, clips=2, segments=3, size=32, samples=32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    batch = {}
    for name in names:
        channels = INPUTS[name].channels
        if INPUTS[name].kind == "video":
            shape = (clips, segments, size, size, channels)
            batch[name] = torch.randint(256, shape, dtype=torch.uint8, generator=generator)
        else:
            batch[name] = torch.randn(clips, segments, channels, samples, generator=generator)
            batch[f"{name}.extremes"] = torch.tensor([-3.0, 3.0]).expand(clips, channels, 2)
    return batch


def network_of(names, options=SMALL, *, segments=3, classes=4, field=None):
    torch.manual_seed(0)
    inputs = {name: INPUTS[name] for name in names}
    return build_network(inputs, options, field or FieldOptions(), segments=segments, classes=classes)


@pytest.mark.parametrize("names", [("rgb",), ("items",), ("rgb", "depth", "acc.watch", "items")])
@pytest.mark.parametrize("segments", [1, 4])
@pytest.mark.parametrize("fusion", ["attention", "average"])
def test_any_modalities_and_segments(names, segments, fusion):
    options = ModelOptions(width=0.25, hidden=32, fusion=fusion, position_embedding=True)
    network = network_of(names, options, segments=segments).eval()
    logits, attention = network(batch_of(names, segments=segments))
    assert logits.shape == (2, 4)
    assert attention.shape == (2, segments)
    torch.testing.assert_close(attention.sum(dim=1), torch.ones(2))


@pytest.mark.parametrize("scale", ["window", "clip", "dataset", "-2,2"])
@pytest.mark.parametrize("field", ["sum", "both"])
def test_every_scale_and_field(scale, field):
    network = network_of(["acc.watch"], field=FieldOptions(scale=scale, field=field))
    logits, _ = network(batch_of(["acc.watch"]))
    assert torch.isfinite(logits).all()


def test_the_level_of_a_window_stands_beside_its_features():
    options = ModelOptions(backbone="resnet10", width=0.25, hidden=32, level=True)
    network = network_of(["acc.watch", "rgb"], options, field=FieldOptions(scale="window")).eval()
    batch, encoder = batch_of(["acc.watch", "rgb"]), network.encoders["modality_acc:watch"]
    # Bounds of -2 and 2: units of 2, from 0. The features of acc.watch come first, its level last among them.
    beside = encoder(batch["acc.watch"])
    assert beside.shape == (2, 3, 128 + 6)
    windows = batch["acc.watch"].double() / 2
    level = encoder.level.measured(batch["acc.watch"]).double()
    torch.testing.assert_close(level[..., :3], windows.mean(dim=-1), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(level[..., 3:], (windows.std(dim=-1, correction=0) + 1e-3).log(), rtol=1e-5, atol=1e-5)
    # Batch norm that has seen nothing: divided by sqrt(1 + 1e-5).
    torch.testing.assert_close(beside[..., 128:].double(), level, rtol=1e-4, atol=1e-4)
    # The field of scale window does not change where the series is lifted and widened, the level does.
    moved = encoder(3 * batch["acc.watch"] + 1)
    torch.testing.assert_close(moved[..., :128], beside[..., :128], rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(moved[..., 128:131], 3 * beside[..., 128:131] + 0.5, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(moved[..., 131:], beside[..., 131:] + torch.log(torch.tensor(3.0)), rtol=5e-3, atol=5e-3)
    assert network(batch)[0].shape == (2, 4)
    network.train()(batch_of(["acc.watch", "rgb"], clips=64))
    assert encoder.level.norm.running_mean.abs().max() > 0


def test_an_axis_that_never_moved_has_no_level():
    level = WindowLevel([0.0, -1.0], [0.0, 1.0]).eval()
    found = level.measured(torch.full((1, 1, 2, 5), 0.5))
    quiet = torch.log(torch.tensor(1e-3))
    torch.testing.assert_close(found, torch.tensor([[[0.0, 0.5, quiet, quiet]]]))


def test_backbones_are_shared_over_segments():
    network = network_of(["rgb"]).eval()
    batch = batch_of(["rgb"])
    batch["rgb"] = batch["rgb"][:, :1].expand(-1, 3, -1, -1, -1)
    one = {"rgb": batch["rgb"][:, :1]}
    torch.testing.assert_close(network.fuse(batch)[0], network.fuse(one)[0], rtol=1e-4, atol=1e-4)


def test_gradient_reaches_every_parameter():
    network = network_of(INPUTS, ModelOptions(width=0.25, hidden=32, dropout=0.0, position_embedding=True))
    logits, _ = network(batch_of(INPUTS))
    nn.functional.cross_entropy(logits, torch.tensor([0, 1])).backward()
    without = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum()]
    assert without == []


def test_missing_modality_is_named():
    network = network_of(["rgb", "depth"])
    with pytest.raises(DataError, match="no depth in the input, expected rgb, depth, found rgb"):
        network(batch_of(["rgb"]))


class Fixed(nn.Module):
    """An encoder that says always the same."""

    features = 1

    def __init__(self, value):
        super().__init__()
        self.value = value

    def forward(self, inputs, extremes=None):
        return torch.full((*inputs.shape[:2], 1), self.value)


def test_modality_dropout_puts_tokens_and_keeps_one():
    encoders = {name: Fixed(1.0) for name in ("a", "b", "c")}
    network = SegmentNetwork(encoders, AverageFusion(), nn.Identity(), modality_dropout=0.8)
    for number, token in enumerate(network.tokens.values(), start=2):
        nn.init.constant_(token, float(number))
    inputs = {name: torch.zeros(400, 2, 1) for name in encoders}
    torch.manual_seed(0)
    fused, _ = network(inputs)
    tokens = torch.tensor([2.0, 3.0, 4.0]).expand(400, 3)
    assert ((fused == 1) | (fused == tokens)).all()
    kept = (fused == 1).sum(dim=1)
    assert set(kept.tolist()) == {1, 2, 3}
    # All three are dropped with 0.8^3, two with 3 x 0.8^2 x 0.2: both leave one.
    assert (kept == 1).float().mean() == pytest.approx(0.896, abs=0.06)
    assert torch.equal(network.eval()(inputs)[0], torch.ones(400, 3))
    only_b = network({"b": inputs["b"]})[0]
    assert torch.equal(only_b, torch.tensor([2.0, 1.0, 4.0]).expand(400, 3))


def with_tokens(names):
    options = ModelOptions(backbone="resnet10", width=0.25, hidden=32, modality_dropout=0.5, auxiliary=0.5)
    network = network_of(names, options)
    for token in network.tokens.values():
        nn.init.normal_(token)
    return network


def test_what_is_absent_has_no_influence():
    network, batch = with_tokens(INPUTS).eval(), batch_of(INPUTS)
    there = {name: value for name, value in batch.items() if name.startswith(("rgb", "items"))}
    logits, attention = network(there)
    assert not torch.allclose(logits, network(batch)[0])
    # As a subset of a whole batch, whatever stands in the others, numbers or none.
    for content in (0.0, 1e6, float("nan")):
        filled = {**batch, "acc.watch": torch.full_like(batch["acc.watch"], content)}
        (of_two, its_attention), (of_all, _) = network.forward_subsets(filled, [("items", "rgb"), tuple(INPUTS)])
        assert torch.equal(of_two, logits)
        assert torch.equal(its_attention, attention)
    assert not torch.isfinite(of_all).all()
    torch.testing.assert_close(network.forward_subsets(batch, [tuple(INPUTS)])[0][0], network(batch)[0])


def voting(names, **options):
    return network_of(names, ModelOptions(backbone="resnet10", width=0.25, hidden=32, auxiliary=0.5, **options))


def test_a_vote_is_the_product_of_what_all_classifiers_say():
    names = ["depth", "acc.watch", "items"]
    silent, heard = voting(names).eval(), voting(names, vote=True).eval()
    heard.load_state_dict(silent.state_dict())
    batch = batch_of(names)
    said, apart = heard(batch)[0].softmax(dim=1), silent.forward_training(batch)
    assert torch.equal(silent(batch)[0], apart.logits)
    product = torch.stack([scores.softmax(dim=1) for scores in (apart.logits, *apart.own)]).prod(dim=0) ** (1 / 4)
    torch.testing.assert_close(said, product / product.sum(dim=1, keepdim=True))
    assert not torch.allclose(said, apart.logits.softmax(dim=1), atol=1e-3)
    assert torch.equal(heard.forward_training(batch).logits, apart.logits)


def test_who_is_absent_has_no_vote():
    names = ["depth", "acc.watch", "items"]
    network, batch = voting(names, vote=True, modality_dropout=0.5).eval(), batch_of(names)
    there = {name: value for name, value in batch.items() if name.startswith("items")}
    before = network(there)[0]
    with torch.no_grad():
        for name in ("depth", "acc:watch"):
            network.auxiliary[f"modality_{name}"][1].bias[0] = 100.0
    assert torch.equal(network(there)[0], before)
    assert torch.equal(network.forward_subsets(batch, [("items",)])[0][0], before)
    assert network(batch)[0].argmax(dim=1).tolist() == [0, 0]


def test_a_vote_of_nobody_is_refused():
    told = r"model\.vote: modalities without classifiers of their own, expected model\.auxiliary above 0"
    with pytest.raises(UsageError, match=told):
        network_of(["items"], ModelOptions(width=0.25, hidden=32, vote=True))


def test_tokens_learn():
    network, batch = with_tokens(["depth", "items"]), batch_of(["depth", "items"], clips=8)
    before = [token.clone() for token in network.tokens.values()]
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(batch)[0], torch.arange(8) % 4).backward()
        optimizer.step()
    assert all((now != old).any() for now, old in zip(network.tokens.values(), before, strict=True))


def test_without_tokens_and_without_any_modality():
    assert not network_of(["rgb"], ModelOptions(width=0.25, hidden=32, modality_dropout=0.5)).tokens
    network = with_tokens(["depth", "items"]).eval()
    with pytest.raises(DataError, match="no depth, items in the input, expected one of depth, items, found nothing"):
        network({})
    with pytest.raises(DataError, match="trained with --modality-dropout"):
        network_of(["depth", "items"])(batch_of(["depth"]))


def test_state_restores_the_bounds_of_scale_dataset():
    field = FieldOptions(scale="dataset")
    trained = network_of(["acc.watch"], field=field).eval()
    inputs = {"acc.watch": Input("sensor", 3)}
    restored = build_network(inputs, SMALL, field, segments=3, classes=4).eval()
    restored.load_state_dict(trained.state_dict())
    batch = batch_of(["acc.watch"])
    assert torch.equal(restored(batch)[0], trained(batch)[0])


def test_clips_do_not_influence_each_other_in_evaluation():
    network = network_of(INPUTS).eval()
    batch = batch_of(INPUTS, clips=3)
    together = network(batch)[0]
    alone = torch.cat([network({name: value[i : i + 1] for name, value in batch.items()})[0] for i in range(3)])
    torch.testing.assert_close(together, alone, rtol=1e-3, atol=1e-4)


def test_has_the_size_and_cost_measured_of_the_papers_network():
    inputs = {"rgb": Input("video", 3), **{f"sensor{i}": Input("sensor", 3) for i in range(4)}}
    with torch.device("meta"):
        network = build_network(inputs, ModelOptions(), FieldOptions(image_size=224), segments=3, classes=37)
        batch = {"rgb": torch.zeros(1, 3, 224, 224, 3, dtype=torch.uint8)}
        for i in range(4):
            batch |= {f"sensor{i}": torch.zeros(1, 3, 3, 100), f"sensor{i}.extremes": torch.zeros(1, 3, 2)}
    assert round(parameters(network) / 1e6, 1) == 54.0
    assert round(macs(network, batch) / 1e9, 1) == 30.5


def test_learns_a_tiny_set_by_heart():
    network = network_of(["depth", "items"], ModelOptions(width=0.25, hidden=32, dropout=0.0), segments=2)
    batch, labels = batch_of(["depth", "items"], clips=8, segments=2), torch.arange(8) % 4
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3)
    for _ in range(30):
        loss = nn.functional.cross_entropy(network(batch)[0], labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.02
