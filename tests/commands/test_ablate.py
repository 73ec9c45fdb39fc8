"""`mmtsa ablate`: tables of what was measured, each figure again from the predictions; interrupted, it goes on."""

import csv
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

from mmtsa_cli.evaluation.comparison import holm, mcnemar
from mmtsa_cli.evaluation.intervals import bootstrap
from mmtsa_cli.sampling.store import Store
from mmtsa_cli.stages import ablate as stage
from mmtsa_cli.stages.tables import units

QUICK = """
sampling: {frame_size: 32, window: 1.0}
imaging: {field: both, range: unit, scale: dataset, image_size: 32}
model: {backbone: resnet10, width: 0.125, hidden: 16, dropout: 0.0}
training: {epochs: 1, batch_size: 28, optimizer: adamw, lr: 0.004, precision: float32, threads: 1}
"""


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    path = tmp_path_factory.mktemp("recipe") / "quick.yaml"
    path.write_text(QUICK)
    return path


@pytest.fixture(scope="module")
def table4(samples, quick, tmp_path_factory):
    output = tmp_path_factory.mktemp("ablate") / "table4"
    return stage.run(samples, output, modalities=("rgb", "acc"), recipe=str(quick), jobs=2)


@pytest.fixture
def pretended(monkeypatch, samples):
    """Units that are not trained: each says what `answers` makes of its true labels; what was asked stays in a list."""
    asked = []
    store = Store(samples)

    def run_units(samples, wanted, directory, *, protocol, jobs, progress, should_stop, **rest):
        asked.extend(wanted)
        return [answer(unit, directory) for unit in wanted]

    def answer(unit, directory):
        if "gyro" in unit.modalities and run_units.gyro_fails:
            return units.UnitResult(unit, "failed", "no memory left")
        place = directory / "units" / unit.name
        place.mkdir(parents=True)
        test = [clip for clip in store.clips if clip["subject"] == "4"]
        labels = np.array([store.labels.index(clip["label"]) for clip in test])
        share = (1 + len(unit.modalities) + unit.seed) / 10
        said = np.where(np.random.default_rng(5).random(len(test)) < share, labels, (labels + 1) % len(store.labels))
        ids, subjects = ([clip[key] for clip in test] for key in ("id", "subject"))
        chances = np.eye(len(store.labels))[said]
        np.savez(place / units.PREDICTIONS, ids=ids, subjects=subjects, labels=labels, probabilities=chances)
        return units.UnitResult(
            unit, "done", None, place, store.labels, 84, 28, seconds=2.0 + unit.seed, parameters=1000, macs=10**9
        )

    run_units.gyro_fails = False
    run_units.asked = asked
    monkeypatch.setattr(stage, "run_units", run_units)
    return run_units


def test_every_subset_has_a_row_with_its_ceiling_and_the_published_figure(table4, samples):
    rows = {row["row"]: row for row in table4.facts["rows"]}
    known = Store(samples).header.notes["ceilings"]
    assert {name: (row["ceiling"], row["published"]) for name, row in rows.items()} == {
        "rgb": (known["video"], 0.6695),
        "acc": (known["sensors"], None),
        "rgb+acc": (known["both"], 0.8447),
    }
    assert rows["acc"]["modalities"] == ["acc_phone", "acc_watch"]
    assert rows["rgb"]["parameters"] < rows["acc"]["parameters"] < rows["rgb+acc"]["parameters"]
    assert 0 < rows["rgb"]["macs"] < rows["rgb+acc"]["macs"]
    assert all(row["train_seconds"] > 0 for row in rows.values())


def test_scores_and_tests_follow_from_the_predictions(table4, samples):
    store = Store(samples)
    said = {}
    for place in (table4.output / "units").iterdir():
        result = json.loads((place / "result.json").read_text())
        with np.load(place / "predictions.npz") as stored:
            names = [result["classes"][i] for i in stored["probabilities"].argmax(axis=1)]
            said[tuple(result["unit"]["modalities"])] = (stored["ids"].tolist(), names)
    label = {clip["id"]: store.labels.index(clip["label"]) for clip in store.clips}
    numbers = {}
    for row in table4.facts["rows"]:
        ids, names = said[tuple(row["modalities"])]
        true, predicted = np.array([label[i] for i in ids]), np.array([store.labels.index(name) for name in names])
        numbers[row["row"]] = (true, predicted)
        assert row["accuracy"] == pytest.approx((true == predicted).mean())
        assert row["clips"] == 28
        assert row["interval_95"] == list(bootstrap(true, predicted, ["4"] * 28, 14, seed=0).accuracy)
    found = table4.facts["differences"]
    true, best = numbers[found[0]["best"]]
    assert (true == best).mean() == max(row["accuracy"] for row in table4.facts["rows"])
    p = holm([mcnemar(true, numbers[row["row"]][1], best).p for row in found])
    assert [row["holm_p"] for row in found] == pytest.approx(p)
    for row in found:
        other = numbers[row["row"]][1]
        assert row["difference"] == pytest.approx((true == other).mean() - (true == best).mean())


def test_the_tables_are_written_in_all_formats_and_the_manifest_holds_the_whole(table4, samples):
    names = {path.name for path in table4.output.iterdir()}
    kinds = ("md", "csv", "tex", "json")
    assert names == {"manifest.json", "units"} | {f"{t}.{kind}" for t in ("table", "differences") for kind in kinds}
    rows = list(csv.DictReader((table4.output / "table.csv").open()))
    assert [row["modalities"] for row in rows] == ["rgb", "acc", "rgb+acc"]
    assert rows[0]["F1 on MMAct, cross-subject (published)"] == "0.6695"
    assert rows[1]["F1 on MMAct, cross-subject (published)"] == ""
    assert rows[0]["accuracy = micro F1"] == f"{table4.facts['rows'][0]['accuracy']:.3f}"
    manifest = json.loads((table4.output / "manifest.json").read_text())
    assert manifest["stage"] == "ablate"
    assert manifest["configuration"]["rows"]["rgb"]["training"]["epochs"] == 1
    assert manifest["results"]["rows"] == table4.facts["rows"]
    assert list(manifest["inputs"]) == [str(samples)]


def test_once_more_it_is_there_already(mmtsa, table4, samples, quick):
    arguments = ("ablate", samples, "-o", table4.output, "--recipe", quick, "--modalities", "rgb,acc")
    done = mmtsa(*arguments)
    assert "already holds this result" in done.stderr
    assert done.stdout.startswith("### Ablation over modalities (table 4 of the paper), cross-subject\n")
    assert "| rgb+acc" in done.stdout
    assert "of video alone, of all sensors together, or of both" in done.stdout
    assert json.loads(mmtsa(*arguments, "--json").stdout) == table4.facts
    changed = mmtsa(*arguments, "--set", "training.lr=0.1", expect=2)
    assert "made with other settings" in changed.stderr


def test_settings_reach_the_training(pretended, mmtsa, samples, quick, tmp_path):
    asked = pretended.asked
    done = mmtsa(
        "ablate", samples, "-o", tmp_path / "out", "--recipe", quick, "--fusion", "concat,attention",
        "--image-size", "32,48", "--vary", "training.lr=0.1", "--warm-start", "--seeds", "2", "--seed", "7", "--json",
    )  # fmt: skip
    assert len({unit.name for unit in asked}) == len(asked) == 2 * 2 * 2
    assert {unit.seed for unit in asked} == {7, 8}
    assert {unit.settings["model"]["fusion"] for unit in asked} == {"average", "attention"}
    assert {unit.settings["imaging"]["image_size"] for unit in asked} == {32, 48}
    assert all(unit.settings["training"]["lr"] == 0.1 and unit.settings["warm_start"] for unit in asked)
    assert all(unit.settings["training"]["epochs"] == 1 and unit.method == "mmtsa" for unit in asked)
    facts = json.loads(done.stdout)
    assert [row["model.fusion"] for row in facts["rows"]] == ["concat", "concat", "attention", "attention"]
    # Of another image size than the paper's nothing is published.
    assert {row["published"] for row in facts["rows"]} == {None}
    assert "8 trainings (rows: 4, folds: 1, seeds: 2)" in done.stderr


def test_table_5_has_the_papers_two_figures(pretended, mmtsa, samples, quick, tmp_path):
    done = mmtsa("ablate", samples, "-o", tmp_path / "out", "--recipe", quick, "--fusion", "concat,attention")
    assert done.stdout.startswith("### Ablation over modalities x model.fusion (table 5 of the paper)")
    rows = json.loads((tmp_path / "out" / "table.json").read_text())["rows"]
    assert [(row["model.fusion"], row["published"]) for row in rows] == [("concat", 0.8402), ("attention", 0.8741)]


def test_of_several_seeds_the_mean_and_the_deviation(pretended, mmtsa, samples, quick, tmp_path):
    arguments = ("ablate", samples, "-o", tmp_path / "out", "--recipe", quick, "--modalities", "rgb,acc")
    done = mmtsa(*arguments, "--seeds", "3", "--json")
    facts = json.loads(done.stdout)
    draws = np.random.default_rng(5).random(28)
    for row in facts["rows"]:
        each = [(draws < (1 + len(row["modalities"]) + seed) / 10).mean() for seed in range(3)]
        assert row["accuracy"] == pytest.approx(np.mean(each))
        assert row["deviation"] == pytest.approx(np.std(each, ddof=1))
        assert row["interval_95"][0] < row["accuracy"] < row["interval_95"][1]
        assert row["train_seconds"] == 3.0
    assert "McNemar's test of the first seed" in (tmp_path / "out" / "differences.md").read_text()
    assert "3 seeds: means" in (tmp_path / "out" / "table.md").read_text()


def test_one_at_a_time_all_is_compared_with_the_recipe(pretended, mmtsa, samples, quick, tmp_path):
    varied = ("--one-at-a-time", "--scale", "clip", "--vary", "training.lr=0.1,0.2")
    done = mmtsa("ablate", samples, "-o", tmp_path / "out", "--recipe", quick, *varied, "--json")
    facts = json.loads(done.stdout)
    assert [row["changed"] for row in facts["rows"]] == ["nothing", "scale clip", "training.lr 0.1", "training.lr 0.2"]
    assert {unit.settings["training"]["lr"] for unit in pretended.asked if "lr" not in unit.name} == {0.004}
    whole = facts["rows"][0]["row"]
    assert [(row["row"], row["reference"]) for row in facts["differences"]] == [
        (row["row"], whole) for row in facts["rows"][1:]
    ]
    differences = (tmp_path / "out" / "differences.md").read_text()
    assert differences.startswith(f"### Differences to {whole}\n")
    assert "Of 3 comparisons" in differences
    refused = mmtsa("ablate", samples, "-o", tmp_path / "other", "--recipe", quick, "--one-at-a-time", expect=2)
    assert "--one-at-a-time: needs settings to vary" in refused.stderr


def test_a_training_that_fails_is_a_row_with_its_reason(pretended, mmtsa, samples, quick, tmp_path):
    pretended.gyro_fails = True
    arguments = ("ablate", samples, "-o", tmp_path / "out", "--recipe", quick, "--modalities")
    done = mmtsa(*arguments, "rgb,gyro", "--json")
    rows = {row["row"]: row for row in json.loads(done.stdout)["rows"]}
    assert "accuracy" in rows["rgb"]
    assert "accuracy" not in rows["rgb+gyro"]
    assert "mmtsa: warning: rgb+gyro failed: no memory left" in done.stderr
    assert "rgb+gyro failed: no memory left" in (tmp_path / "out" / "table.md").read_text()
    failed = mmtsa(*arguments[:3], tmp_path / "other", *arguments[4:], "gyro", expect=1)
    assert "every training failed; gyro: no memory left" in failed.stderr
    assert not (tmp_path / "other").exists()


def test_without_samples_and_output_synthetic_ones_and_a_name(pretended, mmtsa, samples, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mmtsa_cli.stages.defaults.synthetic_samples", lambda note: samples)
    done = mmtsa("ablate", "--modalities", "rgb,acc", "--set", "sampling.window=1.0")
    assert "no output named: writing ablate" in done.stderr
    assert (tmp_path / "ablate" / "table.tex").is_file()
    manifest = json.loads((tmp_path / "ablate" / "manifest.json").read_text())
    assert manifest["configuration"]["rows"]["rgb"]["model"]["hidden"] == 128


def test_something_else_in_its_place_is_left_alone(mmtsa, samples, quick, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ablate").mkdir()
    (tmp_path / "ablate" / "notes.txt").write_text("mine")
    done = mmtsa("ablate", samples, "--recipe", quick, "--modalities", "rgb,acc", expect=2)
    assert "ablate: exists and was not made by mmtsa, left as it is" in done.stderr
    assert (tmp_path / "ablate" / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("arguments", "phrase"),
    [
        (("--modalities", "rgb,gyroo"), "no modality 'gyroo' in the data"),
        (("--vary", "training.lrr=1"), "--vary training.lrr=1: unknown key training.lrr; did you mean lr?"),
        (("--segments", "99"), "--segments 99: more segments than the store has candidate frames"),
        (("--recipe", "ablate-smal"), "no recipe 'ablate-smal', expected a name or a file; did you mean ablate-small?"),
    ],
)
def test_wrong_wishes_end_before_anything_is_written(mmtsa, samples, quick, tmp_path, arguments, phrase):
    recipe = () if "--recipe" in arguments else ("--recipe", quick)
    done = mmtsa("ablate", samples, "-o", tmp_path / "out", *recipe, *arguments, expect=2)
    assert phrase in done.stderr
    assert not list(tmp_path.iterdir())


def test_what_another_process_writes_is_left_alone(mmtsa, samples, quick, tmp_path):
    partial = tmp_path / "out.partial"
    partial.mkdir()
    lock = json.dumps({"pid": os.getppid(), "host": socket.gethostname()})
    (partial / ".writing").write_text(lock)
    done = mmtsa("ablate", samples, "-o", tmp_path / "out", "--recipe", quick, "--modalities", "gyro", expect=1)
    assert f"being written by process {os.getppid()}" in done.stderr
    assert (partial / ".writing").read_text() == lock


def test_interrupted_it_keeps_what_is_finished_and_goes_on(mmtsa, samples, quick, tmp_path):
    output, partial = tmp_path / "out", tmp_path / "out.partial"
    arguments = ["ablate", samples, "-o", output, "--recipe", quick, "--modalities", "gyro", "--seeds", "2"]
    process = subprocess.Popen(
        [sys.executable, "-m", "mmtsa_cli", *map(str, arguments)], stderr=subprocess.PIPE, stdout=subprocess.PIPE
    )
    deadline = time.monotonic() + 60
    while not list(partial.glob("units/gyro_*/result.json")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert b"give the same command again to go on" in errors
    assert not output.exists()
    kept = next(partial.glob("units/gyro_*/result.json"))
    written = kept.stat().st_mtime_ns
    other = mmtsa(*arguments, "--set", "draws=2", expect=2)
    assert "an unfinished ablation with other settings is there" in other.stderr
    mmtsa(*arguments)
    assert (output / "units" / kept.parent.name / "result.json").stat().st_mtime_ns == written
    assert not partial.exists()
    shutil.rmtree(output)
