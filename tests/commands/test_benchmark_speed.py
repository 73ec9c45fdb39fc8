"""`mmtsa benchmark --speed`: the figures beside the naive way, in small and, slowly, as they are."""

from __future__ import annotations

import importlib.util
import json

import pytest

from mmtsa_cli.errors import MmtsaError
from mmtsa_cli.models.integers import computes_integers
from mmtsa_cli.stages import speed
from mmtsa_cli.stages.recipe import read_recipe
from mmtsa_cli.stages.speeds import networks as speed_networks
from mmtsa_cli.stages.speeds import processes as speed_processes
from mmtsa_cli.stages.speeds import training as speed_training

TINY = ("model.backbone=resnet10", "model.width=0.25", "model.hidden=8")


@pytest.fixture
def tiny(monkeypatch):
    """The same measurements with a network that takes no time, on images that fit it; whole processes left out."""
    monkeypatch.setattr(speed_networks, "ENLARGED", 64)
    for name, sizes in (("LARGE", (64, 64)), ("NATIVE", (64, None)), ("SMALL", (32, 32))):
        for module in (speed_networks, speed_training):
            monkeypatch.setattr(module, name, speed_networks.Sizes(*sizes))

    def recipe(self, sizes):
        size = "null" if sizes.sensors is None else str(sizes.sensors)
        return read_recipe("paper", [f"imaging.image_size={size}", *TINY])

    monkeypatch.setattr(speed_networks.Networks, "_recipe", recipe)
    monkeypatch.setattr(speed_processes, "process_rows", lambda work, repeats: [])
    taken = {"naive": 2.0, "native": 0.4, "equal": 0.8, "small": 0.1, speed_training.GIVEN_BACK: 0.5}

    def measured(way, store, batch, steps):
        return {"spent": [(taken[way], 2 * taken[way])] * steps, "peak_mb": 1000 * taken[way]}

    monkeypatch.setattr(speed_training, "measure_process", measured)


def test_rows_have_ours_naive_and_their_ratio(mmtsa, tiny):
    done = mmtsa("benchmark", "--speed", "--json", "--repeats", 2, "--batch", 2)
    facts = json.loads(done.stdout)
    for what in ("field", "item", "train", "infer", "memory"):
        rows = [row for row in facts["rows"] if what in row["name"]]
        assert rows, what
        for row in rows:
            assert row["ours"] > 0
            assert row["ratio"] == pytest.approx(row["naive"] / row["ours"])
            # Told when it is measured: what is interrupted has its figures in the log.
            assert f"{row['name']}: {row['ours']:.4g} {row['unit']}, naive" in done.stderr.replace("\n", " ")
    computed = {"a clip, one thread", *(["a clip, integers, one thread"] if computes_integers() else [])}
    assert {"item", "training step", *computed} == set(facts["time"])
    for name in computed:
        assert list(facts["time"][name])[:2] == ["frames and fields to images", "convolutions"]
        assert all(spent > 0 for spent in facts["time"][name].values())
    assert facts["machine"]["cores"] >= 1


def test_a_directory_keeps_the_tables_and_is_not_measured_twice(mmtsa, tiny, tmp_path, monkeypatch):
    out = tmp_path / "speed"
    first = mmtsa("benchmark", "--speed", "--explain", "--repeats", 2, "--batch", 2, "-o", out)
    assert {path.name for path in out.iterdir()} == {"manifest.json", "speed.json", "rows.csv", "ways.csv"}
    for text in (
        "What each way gives",
        "norms folded",
        "grouped call",
        "Where the time goes",
        "decoded at half size",
        "drawn ahead",
        "side by side",
        "freed memory given back",
    ):
        assert text in first.stdout
    ways = json.loads((out / "speed.json").read_text())["ways"]
    assert {row["part"] for row in ways} == {"field", "item", "infer", "train"}
    folded = next(row for row in ways if "norms folded" in row["way"])
    assert float(folded["difference"]) < 1e-4
    monkeypatch.setattr(speed, "_measure", None)
    again = mmtsa("benchmark", "--speed", "--explain", "--repeats", 2, "--batch", 2, "-o", out)
    assert again.stdout == first.stdout
    assert "already holds this result" in again.stderr


def test_a_naive_way_that_was_killed_leaves_our_rows(tiny, tmp_path, monkeypatch):
    ours = speed_training.measure_process

    def killed(way, *arguments):
        if way == "naive":
            raise MmtsaError("a process that was to be measured failed", found="exit code -9 (killed)")
        return ours(way, *arguments)

    monkeypatch.setattr(speed_training, "measure_process", killed)
    found = speed_training.measure_steps(tmp_path, batch=16, steps=2, given_back=False)
    rows = [row.facts() for row in speed_training.training_rows(found)]
    assert [row["ours"] for row in rows] == [400.0, 800.0, 100.0, 400.0]
    assert all(row["naive"] is row["ratio"] is row["reached"] is None for row in rows)
    assert all("exit code -9" in row["naive_way"] for row in rows)


def test_a_process_of_steps_says_their_times_and_its_memory(tmp_path):
    from mmtsa_cli.stages.speeds import material

    material.write_store(tmp_path / "store", clips=2)
    found = speed_training.measure_process("small", tmp_path / "store", 2, 2)
    assert len(found["spent"]) == 2
    assert min(min(pair) for pair in found["spent"]) > 0
    assert found["peak_mb"] > 100


@pytest.mark.parametrize("option", ["--explain", "--compile", "--whole-paper"])
def test_options_of_speed_alone_are_refused_without_it(mmtsa, tmp_path, option):
    done = mmtsa("benchmark", option, "-o", tmp_path / "out", expect=2)
    assert "go with --speed" in done.stderr


def test_speed_takes_no_samples_and_refuses_a_wrong_store_at_once(mmtsa, tmp_path):
    assert "--accuracy SAMPLES" in mmtsa("benchmark", tmp_path, "--speed", expect=2).stderr
    done = mmtsa("benchmark", "--speed", "--accuracy", tmp_path / "none", expect=1)
    assert "none" in done.stderr
    assert "made for the measurements" not in done.stderr


@pytest.mark.slow
def test_the_whole_of_it_with_growth(mmtsa, tmp_path):
    out = tmp_path / "speed"
    facts = json.loads(
        mmtsa("benchmark", "--speed", "--growth", 300, "--repeats", 2, "--batch", 2, "-o", out, "--json").stdout
    )
    assert (out / "growth.png").stat().st_size > 10_000
    slopes = {row["what"]: row["exponent"] for row in facts["exponents"]}
    assert abs(slopes["draw of 3 windows: allocated"]) < 0.05
    names = " ".join(row["name"] for row in facts["rows"])
    assert all(what in names for what in ("field", "item", "train", "infer", "imagify", "--help", "memory"))


@pytest.mark.slow
def test_accuracy_stands_beside_speed_and_says_what_each_step_costs(mmtsa, tiny, samples, tmp_path, monkeypatch):
    from mmtsa_cli.stages.speeds import accuracy as speed_accuracy

    small = ("model.backbone=resnet10", "model.width=0.25", "imaging.image_size=32", "sampling.frame_size=32")
    monkeypatch.setattr(speed_accuracy, "PAPER_IN_SMALL", (*small, "training.epochs=1", "sampling.window=1.0"))
    whole = speed_accuracy.train.run

    def quick(*arguments, settings=(), **wanted):
        return whole(*arguments, settings=(*settings, "training.epochs=1"), **wanted)

    monkeypatch.setattr(speed_accuracy.train, "run", quick)
    done = mmtsa("benchmark", "--speed", "--accuracy", samples, "--repeats", 2, "--batch", 2, "--json")
    facts = json.loads(done.stdout)
    assert [row["recipe"] for row in facts["accuracy"]] == ["fast", "fast", "paper"]
    assert facts["accuracy"][1]["settings"] == "model.shared_sensors=true"
    assert "training.epochs=1" in facts["accuracy"][2]["settings"]
    assert all(0 <= row["accuracy"] <= 1 and row["clips_per_s"] > 0 for row in facts["accuracy"])
    assert [row["step"] for row in facts["steps"]][:2] == ["float32", "bfloat16"]
    assert facts["steps"][0]["changed"] == 0
    if importlib.util.find_spec("onnxruntime"):
        integers = next(row for row in facts["steps"] if "int8" in row["step"])
        assert 0 <= integers["accuracy"] <= 1
        assert integers["ms_per_clip"] > 0
