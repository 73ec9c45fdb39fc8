"""`mmtsa eval` with modalities missing and with faults: what a run that learned to do without makes of them."""

import csv
import json

import numpy as np
import pytest
import yaml

from mmtsa_cli.stages import eval as evaluation
from mmtsa_cli.stages import train
from tests.commands.test_train import QUICK

NAMES = ("rgb", "gyro")


@pytest.fixture(scope="module")
def runs(samples, tmp_path_factory):
    """A run that has learned to do without some of its modalities, and one that has not."""
    directory = tmp_path_factory.mktemp("conditions")
    recipe = directory / "quick.yaml"
    recipe.write_text(QUICK)
    return {
        name: train.run(samples, directory / name, recipe=str(recipe), settings=settings, modalities=NAMES).output
        for name, settings in {"able": ("model.modality_dropout=0.3",), "needy": ("training.epochs=1",)}.items()
    }


def evaluated(mmtsa, run, samples, output, *options):
    return json.loads(mmtsa("eval", run, samples, "-o", output, "--json", *options).stdout)


def test_all_subsets_are_scored_and_the_whole_is_the_evaluation(mmtsa, runs, samples, tmp_path):
    found = evaluated(mmtsa, runs["able"], samples, tmp_path / "all", "--all-subsets")
    rows = {"+".join(row["modalities"]): row for row in found["subsets"]}
    assert list(rows) == ["rgb", "gyro", "rgb+gyro"]
    assert rows["rgb+gyro"]["accuracy"] == found["accuracy"]
    assert rows["rgb+gyro"]["macro_f1_interval_95"] == found["macro_f1_interval_95"]
    written = list(csv.DictReader((tmp_path / "all" / "subsets.csv").open()))
    assert [row["modalities"] for row in written] == list(rows)
    assert float(written[1]["interval_95_low"]) == pytest.approx(rows["gyro"]["interval_95"][0])
    # One subset alone is the same evaluation, from clips of which nothing else is read.
    alone = evaluated(mmtsa, runs["able"], samples, tmp_path / "gyro", "--modalities", "gyro")
    assert alone["modalities"] == ["gyro"]
    assert (alone["accuracy"], alone["macro_f1"]) == (rows["gyro"]["accuracy"], rows["gyro"]["macro_f1"])
    assert (found["accuracy"], found["macro_f1"]) != (alone["accuracy"], alone["macro_f1"])


def test_samples_without_a_modality(mmtsa, runs, samples, synthetic, tmp_path):
    options = ("--segments", "3", "--frames", "3", "--window", "1", "--modalities", "gyro")
    mmtsa("sample", synthetic, "-o", tmp_path / "gyro-only", *options)
    done = mmtsa("eval", runs["able"], tmp_path / "gyro-only", "-o", tmp_path / "out", "--json")
    assert "the samples have no rgb: evaluated without it" in done.stderr
    alone = evaluated(mmtsa, runs["able"], samples, tmp_path / "same", "--modalities", "gyro")
    assert json.loads(done.stdout)["accuracy"] == alone["accuracy"]
    refused = mmtsa("eval", runs["needy"], tmp_path / "gyro-only", "-o", tmp_path / "no", expect=1)
    assert "the samples do not have the run's rgb" in refused.stderr
    assert "train it with --modality-dropout 0.3" in refused.stderr


def test_a_run_that_needs_all_says_what_to_do(mmtsa, runs, samples, tmp_path):
    for options in (("--all-subsets",), ("--modalities", "gyro")):
        done = mmtsa("eval", runs["needy"], samples, "-o", tmp_path / "out", *options, expect=2)
        assert "the run needs all its modalities" in done.stderr
        assert "--modality-dropout 0.3" in done.stderr
    assert not (tmp_path / "out").exists()


def test_faults_are_scored_at_each_strength(mmtsa, runs, samples, tmp_path):
    found = evaluated(mmtsa, runs["needy"], samples, tmp_path / "out", "--corrupt", "noise,shift")
    rows = [(row["fault"], row["strength"]) for row in found["robustness"]]
    assert rows == [("noise", s) for s in (0.05, 0.1, 0.2, 0.4)] + [("shift", s) for s in (0.1, 0.25, 0.5, 1.0)]
    for row in found["robustness"]:
        assert row["n"] == found["n"]
        assert row["interval_95"][0] <= row["accuracy"] <= row["interval_95"][1]
    assert len(list(csv.DictReader((tmp_path / "out" / "robustness.csv").open()))) == 8
    assert (tmp_path / "out" / "robustness.png").stat().st_size > 5000
    steps = []
    options = evaluation.EvalOptions(corrupt=("shift", "noise"))
    report = lambda done, total: steps.append((done, total))  # noqa: E731
    again = evaluation.run(runs["needy"], samples, tmp_path / "again", options=options, progress=report).metrics
    assert steps == sorted(steps)
    assert steps[-1] == (9 * found["n"], 9 * found["n"])
    key = lambda row: (row["fault"], row["strength"])  # noqa: E731
    assert sorted(again["robustness"], key=key) == sorted(found["robustness"], key=key)


@pytest.mark.parametrize(
    ("faults", "phrase"),
    [
        ("noise,blurr", "no fault 'blurr', expected all, or some of noise, bias"),
        ("dark", "dark is a fault of a video, and there is none, expected some of noise, bias, drop, shift"),
    ],
)
def test_faults_that_cannot_be(mmtsa, runs, samples, tmp_path, faults, phrase):
    options = ("--modalities", "gyro", "--corrupt", faults)
    done = mmtsa("eval", runs["able"], samples, "-o", tmp_path / "out", *options, expect=2)
    assert phrase in done.stderr


def test_training_may_be_told_on_the_command_line(mmtsa, samples, tmp_path):
    shown = mmtsa("train", "-o", tmp_path / "run", "--modality-dropout", "0.3", "--show-recipe").stdout
    assert "modality_dropout: 0.3" in shown


def test_a_fault_of_every_sensor_takes_what_they_know(mmtsa, runs, samples, tmp_path):
    found = evaluated(mmtsa, runs["needy"], samples, tmp_path / "out", "--corrupt", "all")
    assert {row["fault"] for row in found["robustness"]} == {
        "noise", "bias", "drop", "shift", "blur", "dark", "occlude"
    }  # fmt: skip
    assert np.isfinite([row["macro_f1"] for row in found["robustness"]]).all()


def test_recordings_are_predicted_from_what_there_is(mmtsa, runs, synthetic, tmp_path):
    dataset = yaml.safe_load((synthetic / "dataset.yaml").read_text())
    rows = list(csv.DictReader((synthetic / "index.csv").open()))[:3]
    for row in rows:
        row["gyro"] = str(synthetic / row["gyro"])
    with (tmp_path / "index.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, ["id", "label", "gyro"], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    described = {"name": "some", "modalities": {"gyro": dataset["modalities"]["gyro"]}}
    (tmp_path / "dataset.yaml").write_text(yaml.safe_dump(described))
    done = mmtsa("predict", runs["able"], tmp_path, "--format", "jsonl")
    assert "no rgb: predicted without, as the run has learned to" in done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["recording"] for line in lines] == [row["id"] for row in rows]
    # A file alone is the same; with the video it is another prediction.
    alone = json.loads(
        mmtsa("predict", runs["able"], "--gyro", rows[0]["gyro"], "--unit", "gyro=rad/s", "--format", "jsonl").stdout
    )
    assert alone["probabilities"] == lines[0]["probabilities"]
    video = synthetic / rows[0]["gyro"].replace(str(synthetic), "").lstrip("/").replace("gyro", "rgb").replace(
        "csv", "mp4"
    )
    both = ("--gyro", rows[0]["gyro"], "--unit", "gyro=rad/s", "--rgb", video)
    assert (
        json.loads(mmtsa("predict", runs["able"], *both, "--format", "jsonl").stdout)["probabilities"]
        != alone["probabilities"]
    )
    refused = mmtsa("predict", runs["needy"], tmp_path, expect=1)
    assert "no modality rgb" in refused.stderr
    assert "--modality-dropout" in refused.stderr
    refused = mmtsa("predict", runs["needy"], "--gyro", rows[0]["gyro"], expect=2)
    assert "no file of rgb" in refused.stderr
    assert "--modality-dropout 0.3" in refused.stderr
