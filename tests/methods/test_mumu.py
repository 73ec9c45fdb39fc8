"""MuMu: groups, the query that they give, and both losses."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from mmtsa_cli.artifacts.options import Source, to_options
from mmtsa_cli.errors import DataError, ManyErrors, UsageError
from mmtsa_cli.methods.activity_groups import clustered_groups, given_groups
from mmtsa_cli.methods.mumu import GuidedFusion, Mumu, MumuOptions
from mmtsa_cli.models.cost import parameters
from mmtsa_cli.sampling.draw import Batch
from tests.methods.sequence_cases import (
    BACKBONE_FEATURES,
    CLASSES,
    GROUPS,
    HIDDEN,
    SENSOR_AXES,
    D,
    cross_entropy,
    loud,
    method_of,
    options_of,
    tensors_of,
)
from tests.methods.small_clips import clips_of

LABELS = ("a", "b", "c", "d", "e", "f")


def recorded(offsets, *, clips=3, rows=40, kind="sensor"):
    """Return clips of the classes of `offsets`; a class's sensor shows its offset."""
    rng = np.random.default_rng(0)
    labels = np.repeat(list(offsets), clips)
    series = [rng.normal(offsets[label], 0.1, (rows, 3)).astype(np.float32) for label in labels]
    return SimpleNamespace(
        classes=LABELS,
        labels=np.array([LABELS.index(label) for label in labels]),
        clips=tuple(range(len(labels))),
        modalities=("gyro",),
        kind=lambda name: kind,
        store=SimpleNamespace(series=lambda name, clip: series[clip]),
    )


def test_classes_of_like_motion_are_clustered_together():
    groups = clustered_groups(recorded({"a": 0, "c": 9, "b": 0.2, "d": 9.3, "e": 0.1, "f": 30}), 3)
    assert groups == {"a": "group 1", "b": "group 1", "c": "group 2", "d": "group 2", "e": "group 1", "f": "group 3"}


def test_fewer_classes_than_groups_have_a_group_each_and_an_absent_class_the_first():
    groups = clustered_groups(recorded({"b": 0, "e": 0.1}), 3)
    assert groups == {**dict.fromkeys("abcdf", "group 1"), "e": "group 2"}


def test_one_clip_a_class_is_enough():
    groups = clustered_groups(recorded({"a": 0, "b": 9, "c": 20, "d": 20}, clips=1), 2)
    assert len(set(groups.values())) == 2
    assert groups["a"] != groups["c"]


def test_groups_need_a_sensor():
    with pytest.raises(DataError, match="grouped by what sensors say, expected at least one sensor, found gyro"):
        clustered_groups(recorded({"a": 0}, kind="video"), 3)


def test_given_groups_may_say_more_than_is_needed():
    given = {"a": "arms", "b": "legs", "c": "arms", "z": "hands"}
    groups = given_groups(given, recorded({"a": 0, "b": 1}))
    assert groups == {**dict.fromkeys("acdef", "arms"), "b": "legs"}


@pytest.mark.parametrize(
    ("given", "phrase"),
    [
        ({"a": "arms"}, "groups: no group for b, c, expected a group for every class of the training clips"),
        ({"a": "arms", "b": "legs", "C": "legs", "c-": "x"}, r"no group for c, .*; did you mean c by c-\?"),
        ({"a": "arms", "b": "arms", "c": "arms"}, "groups: one group has all classes, expected at least 2 groups"),
    ],
)
def test_groups_that_do_not_fit_are_named(given, phrase):
    with pytest.raises(UsageError, match=phrase) as told:
        given_groups(given, recorded({"a": 0, "b": 1, "c": 2}))
    assert told.value.exit_code == 2


def test_a_recipe_says_the_groups():
    source = Source("recipe.yaml", {"groups": {"walking": "legs", "waving": "arms"}}, {})
    assert to_options(MumuOptions, source).groups == {"walking": "legs", "waving": "arms"}
    assert MumuOptions().groups is None


def test_groups_come_from_a_csv_file(tmp_path):
    path = tmp_path / "groups.csv"
    path.write_text("note, label, group\nx, walking, legs\ny, waving, arms\n")
    source = Source("recipe.yaml", {"groups": str(path)}, {})
    assert to_options(MumuOptions, source).groups == {"walking": "legs", "waving": "arms"}


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        (None, r"groups.csv: cannot be read: No such file"),
        ("label,team\na,x\n", r"groups.csv: lacks a column, expected label, group, found label, team"),
        ("", r"groups.csv: lacks a column, expected label, group, found no columns"),
        ("label,group\na,x\nb\n", r"groups.csv, row 3: an empty cell"),
        ("label,group\na,x\na,y\n", r"groups.csv, row 3: a second row for a"),
        ("label,group\n\xff\n", r"groups.csv: not a CSV file in UTF-8"),
    ],
)
def test_a_file_of_groups_that_is_wrong_is_told_by_its_row(tmp_path, text, phrase):
    path = tmp_path / "groups.csv"
    if text is not None:
        path.write_text(text, encoding="latin-1")
    with pytest.raises(ManyErrors) as told:
        to_options(MumuOptions, Source("recipe.yaml", {"groups": str(path)}, {}))
    (error,) = told.value.errors
    assert re.search(phrase, error.line())
    assert error.exit_code == 2


def test_groups_stand_in_the_state_and_are_restored(samples):
    train = clips_of(samples, subjects=("1",))
    method = Mumu.for_samples(options_of(Mumu, group_count=2), train, seed=0)
    groups = method.state()["_groups"]
    assert groups == clustered_groups(train, 2)
    assert len(set(groups.values())) == 2
    state = {**method.state(), "_groups": json.loads(json.dumps(groups))}
    restored = Mumu.restore(options_of(Mumu, groups=dict.fromkeys(train.classes, "other")), state)
    assert torch.equal(restored.group_of, method.group_of)
    np.testing.assert_array_equal(restored.predict_proba(train), method.predict_proba(train))


def test_the_given_groups_of_a_recipe_are_used(samples):
    given = {"jumping_jacks": "legs", "lifting_crate": "arms", "sitting": "legs"}
    method = Mumu.for_samples(options_of(Mumu, groups=given), clips_of(samples, subjects=("1",)), seed=0)
    # Alphabetical: arms, legs.
    assert method.group_of.tolist() == [1, 0, 1]


def test_modalities_are_weighed_by_the_query():
    torch.manual_seed(0)
    fusion = GuidedFusion(D, 3, dropout=0.0).eval()
    vectors, query = torch.randn(4, 3, D), torch.randn(4, D)
    fused, weights = fusion(vectors, query)
    asked = query @ fusion.query.weight.T
    scores = torch.stack([(asked * (v @ fusion.key.weight.T)).sum(dim=1) for v in vectors.unbind(1)], dim=1)
    expected = (scores / math.sqrt(D)).softmax(dim=1)
    torch.testing.assert_close(weights, expected)
    share = fusion.project.weight.flatten()
    parts = (share[m] * expected[:, m, None] * (vectors[:, m] @ fusion.value.weight.T) for m in range(3))
    torch.testing.assert_close(fused, (sum(parts) / math.sqrt(1 + 1e-5)).clamp(min=0))


def test_the_weights_follow_the_modality_that_answers_the_query():
    fusion = GuidedFusion(D, 3, dropout=0.0).eval()
    with torch.no_grad():
        fusion.query.weight.copy_(torch.eye(D))
        fusion.key.weight.copy_(torch.eye(D))
    query = torch.randn(4, D, generator=torch.Generator().manual_seed(0))
    vectors = torch.zeros(4, 3, D)
    vectors[:, 1] = 20 * query
    _, weights = fusion(vectors, query)
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(4))
    assert (weights[:, 1] > 0.99).all()


def test_attention_over_segments_and_over_modalities_follows_the_loudest():
    method = method_of(Mumu, segments=4)
    network, found = method.network.eval(), []
    pool = network.streams.streams[0][-1]
    # The video is loud by its own loud segment already.
    for module, place, amount in ((pool, 2, 10), (network.auxiliary, 1, 100)):
        nn.init.ones_(module.weight)
        loud(module, place, amount)
    network.auxiliary.register_forward_hook(lambda module, inputs, output: found.append(output[1]))
    _, attention = network(tensors_of(method))
    assert (attention[:, 2] > 0.99).all()
    assert (found[0][:, 1] > 0.99).all()


def test_the_loss_is_the_classs_and_b_times_the_groups():
    method = method_of(Mumu, group_weight=0.7)
    method.network.eval()
    tensors = tensors_of(method)
    loss, logits = method.loss(tensors, cross_entropy)
    _, _, groups = method.network.forward_groups(tensors)
    # Clips are of the classes in turn; groups in alphabetical order are moving, still.
    group_loss = nn.functional.cross_entropy(groups, torch.tensor([1, 1, 0, 0]))
    torch.testing.assert_close(loss, cross_entropy(logits) + 0.7 * group_loss)


@pytest.mark.parametrize(("weight", "moves"), [(0.0, False), (0.5, True)])
def test_the_group_head_moves_with_the_auxiliary_loss_only(weight, moves):
    method = method_of(Mumu, group_weight=weight)
    loss, _ = method.loss(tensors_of(method), cross_entropy)
    loss.backward()
    assert all(bool(p.grad.abs().sum() > 0) is moves for p in method.network.group_head.parameters())


@pytest.mark.parametrize(("mixup", "smoothing"), [(0.0, 0.0), (0.4, 0.0), (0.4, 0.1)])
def test_groups_are_mixed_as_classes_are(monkeypatch, mixup, smoothing):
    method = method_of(Mumu)
    method.options = replace(
        method.options, training=replace(method.options.training, mixup=mixup, label_smoothing=smoothing)
    )
    scores = torch.randn(8, 2, generator=torch.Generator().manual_seed(0))
    found = []

    def keep(tensors, cross_entropy):
        # Scores of classes that are those of their group: a class has half of the probability of its group of two.
        found.extend([cross_entropy(scores[:, method.group_of]), cross_entropy(scores, method.group_of)])
        return found[0], scores[:, method.group_of]

    monkeypatch.setattr(method, "loss", keep)
    labels = np.arange(8, dtype=np.int64) % 4
    batch = Batch({name: t.numpy() for name, t in tensors_of(method, clips=8).items()}, {}, labels, np.arange(8))
    method._loss(method.network, batch, torch.Generator().manual_seed(1))
    torch.testing.assert_close(found[1], found[0] - math.log(2))
    plain = nn.functional.cross_entropy(scores, method.group_of[torch.from_numpy(labels)])
    assert torch.isclose(found[1], plain) == (mixup == 0)


def test_parameters_in_closed_form():
    method = method_of(Mumu)
    backbone = parameters(method.network.streams.streams[0][0][0].backbone)
    lstm, keyless = 2 * 4 * D * (2 * D + 2), D
    video = backbone + (BACKBONE_FEATURES + 1) * D + lstm + keyless
    sensor = 64 * (SENSOR_AXES + 1) + 32 * 10 + 2049 * D + lstm + keyless
    groups = (D + 1) * D // 2 + (D // 2 + 1) * len(set(GROUPS.values()))
    fusion = 3 * D * D + 3 + 2 * D
    classifier = (2 * D + 1) * HIDDEN + (HIDDEN + 1) * len(CLASSES)
    assert parameters(method.network) == video + 2 * sensor + keyless + groups + fusion + classifier
