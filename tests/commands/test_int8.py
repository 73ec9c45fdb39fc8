"""`mmtsa eval --int8` and `mmtsa predict --int8`: the same classes in 8-bit integers, and bad input."""

import csv
import io
import json

import pytest

from mmtsa_cli.models.integers import computes_integers
from tests.commands.test_predict import QUICK, table, write

SETTINGS = (*QUICK[1:], "training.epochs=6", "sampling.window=0.5", "training.precision=float32")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Recordings, a store and two runs of rgb and acc_watch, with other backbones."""
    from mmtsa_cli.stages import sample, train

    at = tmp_path_factory.mktemp("int8")
    write(at / "rec")
    cutting = sample.CuttingOptions(segments=3, frames=3, window_s=0.5, short_side=32)
    store = sample.run(at / "rec", at / "samples", modalities=("rgb", "acc_watch"), options=cutting, jobs=1).output
    for name, backbone in (("run", "bn_inception"), ("other", "resnet10")):
        train.run(store, at / name, settings=(*SETTINGS, f"model.backbone={backbone}"), protocol="cross-subject")
    return at


@pytest.fixture(scope="module")
def evaluated(made):
    from mmtsa_cli.stages import eval as evaluation

    if not computes_integers():
        pytest.skip("this processor does not multiply bytes")
    evaluation.run(made / "run", made / "samples", made / "eval", options=evaluation.EvalOptions(int8=True))
    return made / "eval"


def test_it_is_told_what_integers_change_and_their_predictions_are_near(mmtsa, made, evaluated, tmp_path):
    found = json.loads((evaluated / "metrics.json").read_text())
    changed = found["int8"]
    assert changed["n"] == found["n"] == 2
    assert changed["accuracy"] == found["accuracy"]
    assert changed["accuracy"] - changed["accuracy_before"] == pytest.approx(changed["difference"])
    assert changed["changed"] == 0
    low, high = changed["difference_interval_95"]
    assert low <= changed["difference"] <= high
    mmtsa("eval", made / "run", made / "samples", "-o", tmp_path / "plain")
    rows = {row["id"]: row for row in table((tmp_path / "plain" / "predictions.csv").read_text())}
    for row in table((evaluated / "predictions.csv").read_text()):
        # Near, and still not the same numbers: it is another arithmetic that was asked.
        assert float(row["p_walk"]) == pytest.approx(float(rows[row["id"]]["p_walk"]), abs=0.05)
        assert row["p_walk"] != rows[row["id"]]["p_walk"]
    shown = mmtsa("eval", made / "run", made / "samples", "-o", evaluated, "--int8")
    assert "already holds this result" in shown.stderr
    assert "8-bit integers: accuracy" in shown.stderr
    said = "0.0% of 2 clips are given another class"
    assert said in shown.stderr
    mmtsa("report", evaluated, "-o", tmp_path / "page.html")
    assert f"{said}." in (tmp_path / "page.html").read_text()


def test_scales_come_from_training_clips_alone(made, evaluated):
    from mmtsa_cli.sampling.draw import Samples
    from mmtsa_cli.sampling.store import Store
    from mmtsa_cli.stages.trainings.trained import drawing, open_run, restore

    run = open_run(made / "run")
    (model,) = run.models
    store = Store(made / "samples")
    clips = [number for number, clip in enumerate(store.clips) if clip["id"] in model["clips"]["train"]]
    options = drawing(run.recipe, model)
    samples = Samples(store, clips, modalities=tuple(model["inputs"]), classes=model["classes"], options=options)
    ranges = restore(run, model).activation_ranges(samples)
    kept = json.loads((evaluated / "integers.json").read_text())["folds"]["cross-subject"]
    assert {name: {key: tuple(ends) for key, ends in nodes.items()} for name, nodes in kept.items()} == ranges


def test_predict_says_what_eval_said_in_integers(mmtsa, made, evaluated):
    done = mmtsa("predict", made / "run", made / "rec", "--format", "csv", "--int8", evaluated)
    found = {row["recording"]: row for row in csv.DictReader(io.StringIO(done.stdout))}
    known = table((evaluated / "predictions.csv").read_text())
    assert known
    for row in known:
        for name in ("p_walk", "p_sit"):
            # A batch of another size is rounded elsewhere, and a byte beside is a little more.
            assert float(found[row["id"]][name]) == pytest.approx(float(row[name]), abs=0.02)


def test_bad_evaluations_are_refused_in_a_line(mmtsa, made, evaluated, tmp_path):
    rec = made / "rec"
    mmtsa("eval", made / "run", made / "samples", "-o", tmp_path / "plain")
    without = mmtsa("predict", made / "run", rec, "--int8", tmp_path / "plain", expect=2)
    assert "no integers.json; make it with `mmtsa eval" in without.stderr
    other = mmtsa("predict", made / "other", rec, "--int8", evaluated, expect=2)
    assert "of another run, expected an evaluation of" in other.stderr
    kept = json.loads((evaluated / "integers.json").read_text())
    ranges = kept["folds"]["cross-subject"]
    backbone = next(iter(ranges))
    node = next(iter(ranges[backbone]))
    for name, folds, said in (
        ("folds", {}, "no ranges of fold cross-subject"),
        ("backbone", {"cross-subject": {}}, "ranges of another network"),
        ("order", {"cross-subject": {**ranges, backbone: {node: [2, 1]}}}, "2.0 to 1.0 is no range"),
        ("number", {"cross-subject": {backbone: {node: [0, "NaN"]}}}, "is no range"),
        ("end", {"cross-subject": {backbone: {node: [0, 10**400]}}}, "integers.json: damaged"),
        ("wide", {"cross-subject": {backbone: {node: [-1e308, 1e308]}}}, "is no range"),
        ("shape", {"cross-subject": [1]}, "integers.json: damaged"),
    ):
        copied = tmp_path / name
        mmtsa("eval", made / "run", made / "samples", "-o", copied, "--int8")
        (copied / "integers.json").write_text(json.dumps({**kept, "folds": folds}))
        refused = mmtsa("predict", made / "run", rec, "--int8", copied, expect=2 if name == "folds" else 1)
        assert said in refused.stderr
        assert "Traceback" not in refused.stderr


def test_subsets_samples_of_others_and_machines_without_are_refused(mmtsa, made, evaluated, tmp_path, monkeypatch):
    run, samples = made / "run", made / "samples"
    subsets = mmtsa("eval", run, samples, "-o", tmp_path / "eval", "--int8", "--all-subsets", expect=2)
    assert "--int8 --all-subsets: " in subsets.stderr
    few, split = tmp_path / "few", tmp_path / "split.yaml"
    write(few, subjects=("4", "5"))
    split.write_text("train: {subject: ['5']}\ntest: {subject: ['4']}\n")
    cut = ("--modalities", "rgb,acc_watch", "--window", "0.5", "--frames", "3", "--protocol", split)
    mmtsa("sample", few, "-o", tmp_path / "store", *cut)
    asked = ("eval", run, tmp_path / "store", "-o", tmp_path / "eval", "--int8")
    lacking = mmtsa(*asked, expect=1)
    assert "none of the run's training clips is in the samples" in lacking.stderr
    monkeypatch.setattr("mmtsa_cli.models.integers.computes_integers", lambda: False)
    predict = ("predict", run, made / "rec", "--int8", evaluated)
    for command in (("eval", run, samples, "-o", tmp_path / "eval", "--int8"), predict):
        refused = mmtsa(*command, expect=2)
        assert "8-bit integers are for processors that multiply bytes" in refused.stderr
        assert "leave --int8 out" in refused.stderr
    assert not (tmp_path / "eval").exists()
