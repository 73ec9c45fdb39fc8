"""`mmtsa train` and `mmtsa eval`: the loop is right, runs can be interrupted, results are reported as they are."""

import csv
import json
import shutil
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest
from safetensors.numpy import load_file

from mmtsa_cli.sampling.store import Store

QUICK = """
sampling: {frame_size: 32, window: 1.0}
imaging: {field: both, range: unit, scale: dataset, image_size: 32}
model: {width: 0.125, hidden: 32, dropout: 0.0}
training: {epochs: 2, batch_size: 28, optimizer: adamw, lr: 0.004, schedule: cosine, precision: float32, threads: 1}
"""


@pytest.fixture
def quick(tmp_path):
    path = tmp_path / "quick.yaml"
    path.write_text(QUICK)
    return path


@pytest.fixture(scope="module")
def trained(samples, tmp_path_factory):
    """A run of two epochs on phone accelerometer and gyroscope, with a validation subject."""
    from mmtsa_cli.stages import train

    directory = tmp_path_factory.mktemp("trained")
    (directory / "quick.yaml").write_text(QUICK)
    settings = ("validation.count=1", "training.patience=2")
    return train.run(
        samples,
        directory / "run",
        recipe=str(directory / "quick.yaml"),
        settings=settings,
        modalities=("acc_phone", "gyro"),
    ).output


def weights(run, fold="cross-subject"):
    return load_file(run / "folds" / fold / "best.safetensors")


def same(one, other):
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)


def test_a_run_holds_weights_log_curves_and_what_it_has_seen(trained, samples):
    fold = trained / "folds" / "cross-subject"
    assert {p.name for p in fold.iterdir()} == {
        "best.safetensors", "last.safetensors", "model.json", "log.csv", "curves.png"
    }  # fmt: skip
    model = json.loads((fold / "model.json").read_text())
    parts = {name: set(ids) for name, ids in model["clips"].items()}
    assert not parts["train"] & parts["test"]
    assert not parts["validation"] & (parts["train"] | parts["test"])
    assert len(parts["validation"]) == 28
    assert list(model["inputs"]) == ["acc_phone", "gyro"]
    rows = list(csv.DictReader((fold / "log.csv").open()))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert all(0 <= float(row["validation_macro_f1"]) <= 1 for row in rows)
    assert cv2.imread(str(fold / "curves.png")).std() > 5
    manifest = json.loads((trained / "manifest.json").read_text())
    assert manifest["configuration"]["recipe"]["training"]["epochs"] == 2
    assert manifest["results"]["folds"][0]["parameters"] == sum(
        value.size
        for name, value in weights(trained).items()
        if not name.endswith(("mean", "var", "tracked", "low", "high"))
    )


def test_scale_dataset_comes_from_the_training_clips_only(trained, samples):
    model = json.loads((trained / "folds" / "cross-subject" / "model.json").read_text())
    store = Store(samples)
    number = {clip["id"]: i for i, clip in enumerate(store.clips)}
    rows = np.concatenate([store.series("gyro", number[clip]) for clip in model["clips"]["train"]])
    known = np.quantile(rows, [0.01, 0.99], axis=0).T
    assert np.allclose(model["inputs"]["gyro"]["bounds"], known, atol=1e-4)


def test_eval_reports_what_the_predictions_say(mmtsa, trained, samples, tmp_path):
    done = mmtsa("eval", trained, samples, "-o", tmp_path / "eval", "--json")
    metrics = json.loads(done.stdout)
    assert metrics == json.loads((tmp_path / "eval" / "metrics.json").read_text())
    rows = list(csv.DictReader((tmp_path / "eval" / "predictions.csv").open()))
    assert len(rows) == metrics["n"] == 28
    assert {row["subject"] for row in rows} == {"4"}
    right = [row["label"] == row["predicted"] for row in rows]
    assert metrics["accuracy"] == pytest.approx(np.mean(right))
    assert metrics["interval_95"][0] <= metrics["accuracy"] <= metrics["interval_95"][1]
    assert set(metrics) >= {"accuracy", "macro_f1", "interval_95", "per_class", "n", "protocol", "seed"}
    assert metrics["per_class"]["sitting"].keys() >= {"f1", "interval_95", "n"}
    for row in rows:
        classes = {name: float(row[f"p_{name}"]) for name in metrics["classes"]}
        assert sum(classes.values()) == pytest.approx(1, abs=1e-4)
        assert max(classes, key=classes.get) == row["predicted"]
        assert sum(float(row[f"attention_{i}"]) for i in (1, 2, 3)) == pytest.approx(1, abs=1e-4)
    table = list(csv.DictReader((tmp_path / "eval" / "confusion.csv").open()))
    counts = np.array([[int(row[name]) for name in metrics["classes"]] for row in table])
    assert counts.sum() == 28
    assert np.trace(counts) == sum(right)
    assert cv2.imread(str(tmp_path / "eval" / "confusion.png")).std() > 5
    table = mmtsa("eval", trained, samples, "-o", tmp_path / "eval")
    assert "already holds this result" in table.stderr
    assert f"{metrics['accuracy']:.3f}" in table.stdout


def test_the_same_seed_gives_the_same_weights_and_another_one_others(mmtsa, samples, quick, tmp_path):
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        mmtsa("train", samples, "-o", tmp_path / name, "--recipe", quick, "--modalities", "gyro", "--seed", seed)
    assert same(weights(tmp_path / "a"), weights(tmp_path / "b"))
    assert not same(weights(tmp_path / "a"), weights(tmp_path / "c"))


@pytest.mark.parametrize(
    "how",
    [
        signal.SIGKILL,
        pytest.param(signal.SIGINT, marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, marks=pytest.mark.slow),
    ],
)
def test_interrupted_and_resumed_it_equals_the_uninterrupted_one(mmtsa, samples, quick, tmp_path, how):
    settings = ["--set", "training.epochs=4", "--set", "training.batch_size=7", "--set", "validation.count=1"]
    common = ["--recipe", str(quick), "--modalities", "acc_watch,gyro", *settings]
    mmtsa("train", samples, "-o", tmp_path / "whole", *common)
    command = [sys.executable, "-m", "mmtsa_cli", "train", str(samples), "-o", str(tmp_path / "run"), *common]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    for line in process.stderr:
        if line.startswith("epoch 1 of 4"):
            break
    time.sleep(0.3)
    process.send_signal(how)
    rest = process.stderr.read()
    code = process.wait(timeout=60)
    partial = tmp_path / "run.partial"
    assert not (tmp_path / "run").exists()
    assert (partial / "folds" / "cross-subject" / "last.safetensors").is_file()
    if how == signal.SIGKILL:
        assert code == -signal.SIGKILL
    else:
        assert code == {signal.SIGINT: 130, signal.SIGTERM: 143}[how]
        assert "add --resume to go on" in rest
        assert "Traceback" not in rest
    refused = mmtsa("train", samples, "-o", tmp_path / "run", *common, expect=2)
    assert "an unfinished training is there; add --resume" in refused.stderr
    other = mmtsa("train", samples, "-o", tmp_path / "run", *common, "--resume", "--seed", 9, expect=2)
    assert "seed: 0 -> 9" in other.stderr
    early = mmtsa("eval", tmp_path / "run", samples, "-o", tmp_path / "eval", expect=1)
    assert "`mmtsa train` has not finished it" in early.stderr
    mmtsa("train", samples, "-o", tmp_path / "run", *common, "--resume")
    assert not partial.exists()
    assert same(weights(tmp_path / "run"), weights(tmp_path / "whole"))
    for run in ("run", "whole"):
        mmtsa("eval", tmp_path / run, samples, "-o", tmp_path / f"eval-{run}")
    predictions = [(tmp_path / f"eval-{run}" / "predictions.csv").read_text() for run in ("run", "whole")]
    assert predictions[0] == predictions[1]


def test_leave_one_out_makes_a_run_a_fold_and_pools(mmtsa, samples, quick, tmp_path):
    arguments = ("--recipe", quick, "--modalities", "gyro", "--protocol", "leave-one-subject-out")
    mmtsa("train", samples, "-o", tmp_path / "run", *arguments, "--set", "training.epochs=1")
    names = [f"subject-{number}" for number in (1, 2, 3, 4)]
    assert sorted(p.name for p in (tmp_path / "run" / "folds").iterdir()) == names
    metrics = json.loads(mmtsa("eval", tmp_path / "run", samples, "-o", tmp_path / "eval", "--json").stdout)
    assert [fold["name"] for fold in metrics["folds"]] == names
    assert [fold["n"] for fold in metrics["folds"]] == [28] * 4
    assert metrics["n"] == 112
    assert metrics["subjects"] == 4
    assert metrics["accuracy"] == pytest.approx(np.mean([fold["accuracy"] for fold in metrics["folds"]]))
    rows = list(csv.DictReader((tmp_path / "eval" / "predictions.csv").open()))
    assert {(row["fold"], row["subject"]) for row in rows} == {(name, name[-1]) for name in names}


def relabelled(samples, directory, labels):
    """Copy a store with other labels: a mapping of the clip's id to its label."""
    shutil.copytree(samples, directory)
    rows = list(csv.DictReader((directory / "clips.csv").open()))
    with (directory / "clips.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0].keys())
        writer.writeheader()
        writer.writerows({**row, "label": labels(row)} for row in rows)
    return directory


@pytest.mark.slow
def test_a_tiny_set_is_learned_by_heart(mmtsa, samples, quick, tmp_path):
    settings = ("--set", "training.epochs=60", "--set", "training.batch_size=12", "--set", "training.lr=0.003")
    split = tmp_path / "tiny.yaml"
    split.write_text("train: {subject: ['1'], session: ['1']}\ntest: {subject: ['4']}\n")
    mmtsa("train", samples, "-o", tmp_path / "run", "--recipe", quick, "--protocol", split, *settings)
    rows = list(csv.DictReader((tmp_path / "run" / "folds" / "tiny" / "log.csv").open()))
    assert float(rows[-1]["loss"]) < 0.05
    assert float(rows[-1]["accuracy"]) == 1.0


@pytest.mark.slow
def test_shuffled_labels_give_chance(mmtsa, samples, quick, tmp_path):
    rng = np.random.default_rng(0)
    store = relabelled(samples, tmp_path / "store", lambda row: f"class{rng.integers(4)}")
    split = tmp_path / "two.yaml"
    split.write_text("train: {subject: ['1', '2']}\ntest: {subject: ['3', '4']}\n")
    arguments = ("--recipe", quick, "--modalities", "imu", "--protocol", split, "--set", "training.epochs=15")
    mmtsa("train", store, "-o", tmp_path / "run", *arguments)
    metrics = json.loads(mmtsa("eval", tmp_path / "run", store, "-o", tmp_path / "eval", "--json").stdout)
    # 56 clips, chance 0.25: four standard deviations are 0.23.
    assert metrics["accuracy"] < 0.25 + 0.23


def test_eval_refuses_clips_that_were_trained_on(mmtsa, trained, samples, tmp_path):
    split = tmp_path / "split.yaml"
    split.write_text("train: {subject: ['4']}\ntest: {subject: ['1', '2', '3']}\n")
    done = mmtsa("eval", trained, samples, "-o", tmp_path / "eval", "--protocol", split, expect=1)
    assert "84 clips of the test part were trained on" in done.stderr
    assert not (tmp_path / "eval").exists()


def test_eval_names_what_the_samples_lack(mmtsa, trained, synthetic, tmp_path):
    mmtsa("sample", synthetic, "-o", tmp_path / "other", "--modalities", "acc_phone", "--window", "1")
    done = mmtsa("eval", trained, tmp_path / "other", "-o", tmp_path / "eval", expect=1)
    assert "the samples do not have the run's gyro, expected sensor with 3 channels, found acc_phone" in done.stderr


@pytest.mark.parametrize(
    ("options", "phrases"),
    [
        (("--set", "training.epoch=1"), ["--set training.epoch=1: unknown key training.epoch; did you mean epochs?"]),
        (("--set", "training.lr=-1"), ["training.lr is wrong, expected a number above 0, found -1"]),
        (("--set", "training.lr=0", "--set", "seed=x"), ["training.lr is wrong", "seed is wrong, expected a whole"]),
        (("--set", "imaging.scale=loud"), ["imaging.scale is wrong, expected window, clip, dataset, or LOW,HIGH"]),
        (("--set", "model.backbone=resnet19"), ["no backbone 'resnet19'; did you mean resnet18?"]),
        (("--set", "training.patience=3"), ["training.patience: early stopping without validation clips"]),
        (("--set", "validation.count=3"), ["validation takes every subject of the training part"]),
        (("--set", "validation.values=[9]"), ["no training clip of subject 9"]),
        (("--set", "sampling.window=30"), ["a window longer than the shortest clip", "found 30 s"]),
        (("--set", "sampling.segments=99"), ["more segments than the store has candidate frames, expected at most 9"]),
        (("--set", "training.device=tpu9"), ["training.device: no device 'tpu9' here"]),
        (("--recipe", "papper"), ["--recipe: no recipe 'papper'"]),
        (("--recipe", "none.yaml"), ["none.yaml: cannot be read: No such file"]),
        (("--modalities", "acc_foot"), ["no modality 'acc_foot' in the data"]),
        (("--protocol", "leave-one-view-out"), ["the index has no column 'view'"]),
    ],
)  # fmt: skip
def test_a_wrong_wish_is_answered_before_any_work(mmtsa, samples, tmp_path, options, phrases):
    done = mmtsa("train", samples, "-o", tmp_path / "run", *options, expect=2)
    assert all(phrase in done.stderr for phrase in phrases), done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_recipe_names_the_line_of_its_faults(mmtsa, samples, tmp_path):
    recipe = tmp_path / "mine.yaml"
    recipe.write_text("seed: 1\ntraining:\n  epochs: 3\n  learning_rate: 0.1\nmodel: {dropout: 2}\n")
    done = mmtsa("train", samples, "-o", tmp_path / "run", "--recipe", recipe, expect=2)
    first, second = done.stderr.strip().splitlines()
    assert "mine.yaml, line 4: unknown key training.learning_rate" in first
    assert (
        "mine.yaml, line 5: model.dropout is wrong, expected a number of at least 0 and at most 0.95, found 2" in second
    )


def test_an_output_that_is_not_ours_is_left_alone(mmtsa, samples, quick, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("mine")
    done = mmtsa("train", samples, "-o", tmp_path / "run", "--recipe", quick, expect=2)
    assert "was not made by mmtsa" in done.stderr
    assert [p.name for p in (tmp_path / "run").iterdir()] == ["thesis.txt"]


def test_what_is_no_sample_store_is_named(mmtsa, synthetic, trained, tmp_path):
    done = mmtsa("train", synthetic, "-o", tmp_path / "run", expect=1)
    assert "expected a directory made by `mmtsa sample`, found the result of synth" in done.stderr
    done = mmtsa("eval", tmp_path / "none", synthetic, "-o", tmp_path / "eval", expect=1)
    assert "none: no such directory, expected a directory made by `mmtsa train`" in done.stderr


def test_few_clips_are_trained_on_for_more_epochs(mmtsa, samples, quick, tmp_path):
    arguments = ("--recipe", quick, "--modalities", "gyro", "--set", "training.epochs=1", "--json")
    done = mmtsa("train", samples, "-o", tmp_path / "run", *arguments, "--set", "training.least_steps=7")
    (fold,) = json.loads(done.stdout)["folds"]
    steps = max(1, fold["train_clips"] // 28)
    assert fold["epochs"] == -(-7 // steps) > 1
    assert f"epoch 1 of {fold['epochs']}: " in done.stderr
    log = (tmp_path / "run" / "folds" / "cross-subject" / "log.csv").read_text().splitlines()
    assert len(log) == 1 + fold["epochs"]
    # The schedule is that of all of them: the rate falls to the last.
    rates = [float(row[log[0].split(",").index("lr")]) for row in (line.split(",") for line in log[1:])]
    assert rates == sorted(rates, reverse=True)
    assert rates[0] > rates[-1]


def test_the_whole_recipe_can_be_shown(mmtsa, quick):
    shown = mmtsa("train", "--recipe", quick, "--set", "training.lr=0.5", "--seed", 3, "--show-recipe").stdout
    assert "lr: 0.5" in shown
    assert "seed: 3" in shown
    assert "missing option -o" in mmtsa("train", "--recipe", quick, expect=2).stderr
    assert "width: 0.125" in shown
    assert "momentum: 0.9" in shown
