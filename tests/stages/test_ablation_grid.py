"""What an ablation trains: subsets of names, combinations of values, and what is refused before anything is trained."""

import pytest

from mmtsa_cli.errors import MmtsaError, UsageError
from mmtsa_cli.sampling.store import Store
from mmtsa_cli.stages.recipe import read_recipe
from mmtsa_cli.stages.tables.grid import NAMED, ceiling_of, points_of, read_axes, subsets

KINDS = {"rgb": "video", "acc_phone": "sensor", "acc_watch": "sensor", "gyro": "sensor"}
SMALL = ("model.backbone=resnet10", "sampling.window=1.0", "sampling.frame_size=32", "imaging.image_size=32")


@pytest.fixture(scope="module")
def store(samples):
    return Store(samples)


def points(store, names=None, settings=SMALL, **asked):
    alone = asked.pop("one_at_a_time", False)
    axes = read_axes({key: text for key, text in asked.items() if key != "vary"}, asked.get("vary", ()))
    return points_of(store, names, axes, recipe="synthetic", settings=settings, one_at_a_time=alone)


def test_every_subset_is_there_once_and_a_group_stays_together():
    assert subsets(["rgb", "acc"], KINDS) == {
        ("rgb",): ("rgb",),
        ("acc",): ("acc_phone", "acc_watch"),
        ("rgb", "acc"): ("rgb", "acc_phone", "acc_watch"),
    }
    assert len(subsets(list(KINDS), KINDS)) == 2**4 - 1


def test_names_that_stand_for_the_same_are_one():
    assert list(subsets(["imu", "imu", "gyro"], KINDS)) == [("imu",), ("gyro",)]


def test_the_four_rows_of_table_4_are_among_its_subsets(store):
    found = {frozenset(p.modalities) for p in points(store, ["rgb", "acc", "gyro", "orientation"])}
    wearable = {"acc_phone", "acc_watch", "gyro", "orientation"}
    assert len(found) == 15
    assert {frozenset(s) for s in ({"rgb"}, wearable, {"rgb", "acc_phone", "acc_watch"}, wearable | {"rgb"})} <= found


def test_without_names_all_subsets_and_with_varied_settings_all_together(store):
    assert len(points(store)) == 2**5 - 1
    rows = points(store, fusion="concat,attention")
    assert [row.recipe.model.fusion for row in rows] == ["average", "attention"]
    assert {row.modalities for row in rows} == {tuple(store.header.modalities)}
    (one, other) = points(store, settings=[*SMALL, "modalities=[rgb, acc]"], segments="1,3")
    assert one.modalities == other.modalities == ("rgb", "acc_phone", "acc_watch")
    assert (one.label, other.label) == ("rgb+acc, segments 1", "rgb+acc, segments 3")


def test_a_grid_is_every_combination(store):
    rows = points(store, ["rgb", "gyro"], fusion="concat,attention", vary=["training.lr=1e-3,0.01", "draws=1"])
    assert len(rows) == 3 * 2 * 2 * 1
    assert len({row.label for row in rows}) == 12
    assert {row.recipe.training.lr for row in rows} == {0.001, 0.01}


def test_one_at_a_time_is_the_recipe_and_each_value_alone(store):
    base = read_recipe("synthetic", SMALL)
    vary = [f"training.lr=0.5,{base.training.lr}", "augmentation.sensors.scale=0.9"]
    rows = points(store, one_at_a_time=True, scale="clip", vary=vary)
    everything = "+".join(store.header.modalities)
    changes = ["scale clip", "training.lr 0.5", "augmentation.sensors.scale 0.9"]
    assert [row.label for row in rows] == [everything, *(f"{everything}, {change}" for change in changes)]
    assert [row.recipe.training.lr for row in rows] == [base.training.lr, base.training.lr, 0.5, base.training.lr]
    assert [row.recipe.augmentation.sensors.scale for row in rows[2:]] == [base.augmentation.sensors.scale, 0.9]


@pytest.mark.parametrize("asked", [{"names": ["rgb", "gyro"], "fusion": "concat"}, {}])
def test_one_at_a_time_needs_settings_and_no_subsets(store, asked):
    with pytest.raises(UsageError, match="needs settings to vary, and no subsets"):
        points(store, one_at_a_time=True, **asked)


def test_lists_and_nothing_are_values_too(store):
    rows = points(store, vary=["training.steps=[1, 2],[3]", "imaging.image_size=null,48"])
    assert [(row.recipe.training.steps, row.recipe.imaging.image_size) for row in rows] == [
        ((1, 2), None), ((1, 2), 48), ((3,), None), ((3,), 48)
    ]  # fmt: skip


def test_two_names_of_one_value_are_one_row(store):
    assert [p.varied["model.fusion"] for p in points(store, fusion="concat,average,attention")] == [
        "concat", "attention"
    ]  # fmt: skip


def test_the_ceiling_is_that_of_the_kinds_that_are_there(store):
    known = store.header.notes["ceilings"]
    found = {"+".join(p.names): ceiling_of(p, store) for p in points(store, ["rgb", "acc"])}
    assert found == {"rgb": known["video"], "acc": known["sensors"], "rgb+acc": known["both"]}
    assert known["both"] == 1.0
    assert known["video"] < 1


def test_every_option_of_its_own_leads_to_a_key_of_the_recipe():
    for name, key in NAMED.items():
        section, field = key.split(".")
        assert hasattr(getattr(read_recipe(None), section), field), name


@pytest.mark.parametrize(
    ("asked", "phrase"),
    [
        ({"vary": ["training.lrr=1,2"]}, "--vary training.lrr=1: unknown key training.lrr; did you mean lr?"),
        ({"vary": ["trainig.lr=1"]}, "unknown key trainig; did you mean training?"),
        ({"vary": ["training.lr=0.1,-1"]}, "--vary training.lr=-1: training.lr is wrong, expected a number"),
        ({"fusion": "sum"}, "--fusion sum: model.fusion is wrong, expected one of attention, average"),
        ({"segments": "3,0"}, "--segments 0: sampling.segments is wrong, expected a number of at least 1, found 0"),
        ({"segments": "3,10"}, "--segments 10: more segments than the store has candidate frames, expected at most 9"),
        ({"window": "1,60"}, "--window 60: a window longer than the shortest clip"),
        ({"backbone": "resnet10,rasnet18"}, "--backbone rasnet18: "),
        ({"vary": ["training.lr"]}, "--vary training.lr: names no values, expected KEY=VALUE,VALUE"),
        ({"vary": ["training.lr="]}, "names no values"),
        ({"vary": ["training.lr=[1"]}, "its values are not YAML"),
        ({"vary": ["modalities=rgb"]}, "--vary modalities: not varied so; use --modalities"),
        ({"fusion": "concat", "vary": ["model.fusion=attention"]}, "model.fusion is varied twice"),
    ],
)
def test_what_cannot_be_is_refused_with_the_option_that_asked_for_it(store, asked, phrase):
    with pytest.raises(MmtsaError) as caught:
        points(store, **asked)
    assert phrase in str(caught.value)
    assert caught.value.exit_code == 2


def test_all_that_is_wrong_is_said_at_once(store):
    with pytest.raises(MmtsaError) as caught:
        points(store, vary=["training.lr=-1,-2", "draws=0"])
    text = str(caught.value)
    assert all(phrase in text for phrase in ("training.lr=-1", "training.lr=-2", "draws=0"))
    assert text.count("draws=0") == 1


def test_a_modality_that_is_not_there_is_named(store):
    with pytest.raises(UsageError, match=r"--modalities: no modality 'gyroo' in the data, .*did you mean gyro\?"):
        points(store, ["rgb", "gyroo"])
