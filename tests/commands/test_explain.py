"""`mmtsa explain`: the same as `predict` says, the reasons of it, the picture, and bad input."""

from __future__ import annotations

import json
import shutil

import cv2
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tests.commands.test_predict import QUICK, edit_json, lines, sensor, write


@pytest.fixture(scope="module")
def rec(tmp_path_factory):
    return write(tmp_path_factory.mktemp("explain") / "rec")


@pytest.fixture(scope="module")
def made(rec):
    """A run of rgb and acc_watch with three draws, and one of acc_watch alone with two folds."""
    from mmtsa_cli.stages import sample, train

    at = rec.parent
    cutting = sample.CuttingOptions(segments=3, frames=3, window_s=0.5, short_side=32)
    store = sample.run(rec, at / "samples", modalities=("rgb", "acc_watch"), options=cutting, jobs=1).output
    settings = (*QUICK, "sampling.window=0.5", "draws=3", "model.vote=false")
    train.run(store, at / "seen", settings=settings, protocol="cross-subject")
    alone = sample.run(rec, at / "samples-alone", modalities=("acc_watch",), options=cutting, jobs=1).output
    settings = ("training.epochs=1", *QUICK[1:], "sampling.window=0.5")
    train.run(alone, at / "folds", settings=settings, protocol="2-fold-subject")
    return at


@pytest.fixture
def clip(rec):
    """The options that give one recording's files."""
    return "--rgb", rec / "walk4.mp4", "--acc-watch", rec / "walk4-acc_watch.csv"


def explained(mmtsa, *arguments):
    return json.loads(mmtsa("explain", *arguments, "--json").stdout)


def test_it_explains_what_predict_says(mmtsa, made, clip, tmp_path):
    found = explained(mmtsa, made / "seen", *clip, "-o", tmp_path / "why.png")
    (said,) = lines(mmtsa("predict", made / "seen", *clip, "--format", "jsonl"))
    assert found["draws"] == 3
    assert found["named"] == found["class"] == said["class"]
    assert found["attention"] == said["attention"]
    assert found["probabilities"] == pytest.approx(said["probabilities"], abs=1e-6)
    assert found["probability"] == pytest.approx(said["confidence"], abs=1e-6)
    assert json.loads((tmp_path / "why.json").read_text()) == found
    assert sorted(path.name for path in tmp_path.iterdir()) == ["why.json", "why.png"]


def test_a_recording_of_an_index_is_named_by_its_id(mmtsa, rec, made, tmp_path):
    done = mmtsa("explain", made / "seen", rec, "--id", "sit4", "--draws", 1, "-o", tmp_path / "why.png")
    said = lines(mmtsa("predict", made / "seen", rec, "--draws", 1, "--format", "jsonl"))
    (said,) = (row for row in said if row["recording"] == "sit4")
    text = " ".join(done.stdout.split())
    assert "recording sit4 class" in text
    assert f"class {said['class']}, probability {said['confidence']:.3f}" in text
    assert f"attention to segments {', '.join(f'{weight:.3f}' for weight in said['attention'])}" in text
    assert "probability without rgb 0." in text


def test_the_picture_is_1600_pixels_wide_and_the_same_each_time(mmtsa, made, clip, tmp_path):
    for name in ("a", "b"):
        mmtsa("explain", made / "seen", *clip, "-o", tmp_path / f"{name}.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    picture = cv2.imread(str(tmp_path / "a.png"))
    assert picture.shape[1] == 1600
    # Heat from nothing to much, not one colour.
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 500


def test_numbers_hang_together(mmtsa, made, clip, tmp_path):
    found = explained(mmtsa, made / "seen", *clip, "-o", tmp_path / "why.png")
    acc, rgb = (found["modalities"][name] for name in ("acc_watch", "rgb"))
    odds = [np.log(p / (1 - p)) for p in (found["probability"], acc["probability_without"])]
    assert acc["log_odds_lost"] == pytest.approx(odds[0] - odds[1], abs=1e-3)
    assert acc["contribution"] == pytest.approx(found["probability"] - acc["probability_without"], abs=1e-5)
    assert sum(axis["share"] for axis in acc["axes"].values()) == pytest.approx(1, abs=1e-5)
    whole = 0.0
    for axis in acc["axes"].values():
        assert len(axis["importance"]) == 100
        assert min(axis["importance"]) >= 0
        peak = int(np.argmax(axis["importance"]))
        assert axis["peak_s"] == pytest.approx(
            found["modalities"]["acc_watch"]["importance_start_s"] + (peak + 0.5) / 50, abs=1e-3
        )
        whole += sum(axis["importance"]) * acc["importance_step_s"]
    assert whole == pytest.approx(max(acc["log_odds_lost"], 0), rel=1e-3)
    seconds = [end - start for start, end in found["segments_s"]]
    assert sum(i * s for i, s in zip(rgb["importance"], seconds, strict=True)) == pytest.approx(
        max(rgb["log_odds_lost"], 0), rel=1e-3
    )


def test_one_draw_is_important_only_in_its_windows(mmtsa, made, clip, tmp_path):
    found = explained(mmtsa, made / "seen", *clip, "--draws", 1, "-o", tmp_path / "why.png")
    acc = found["modalities"]["acc_watch"]
    times = acc["importance_start_s"] + (np.arange(100) + 0.5) * acc["importance_step_s"]
    inside = np.any([(times > start) & (times < end) for start, end in acc["windows_s"]], axis=0)
    assert inside.sum() == 75
    # Of whichever axis the network looks at.
    total = np.sum([axis["importance"] for axis in acc["axes"].values()], axis=0)
    assert total[~inside].max() == 0
    alone = explained(mmtsa, made / "folds", *clip[2:], "--draws", 1, "-o", tmp_path / "why.png")
    total = np.sum([axis["importance"] for axis in alone["modalities"]["acc_watch"]["axes"].values()], axis=0)
    assert total[~inside].max() == 0
    assert total[inside].max() > 0


def test_contributions_follow_the_modality_that_decides(mmtsa, made, clip, tmp_path):
    run = shutil.copytree(made / "seen", tmp_path / "run")
    path = next(run.glob("folds/*/best.safetensors"))
    weights = load_file(path)
    (first,) = (name for name in weights if name.endswith("classifier.1.weight"))
    width = weights[first].shape[1] // 2
    # Features of rgb come first: they reach neither the classifier nor the attention.
    weights[first][:, :width] = 0
    (attention,) = (name for name in weights if name.endswith("fusion.weight"))
    weights[attention][:width] = 0
    # Without the checksum, which is of the weights as they were.
    save_file(weights, path, metadata={"mmtsa": _metadata(path)["mmtsa"].splitlines()[0]})
    found = explained(mmtsa, run, *clip, "-o", tmp_path / "why.png")
    rgb, acc = (found["modalities"][name] for name in ("rgb", "acc_watch"))
    assert rgb["contribution"] == pytest.approx(0, abs=1e-6)
    assert rgb["grad_cam"] == [0, 0, 0]
    assert max(rgb["importance"]) == 0
    assert abs(acc["contribution"]) > 1e-3
    assert sum(acc["grad_cam"]) > 0


def _metadata(path):
    from safetensors import safe_open

    with safe_open(path, "numpy") as file:
        return file.metadata()


def test_another_class_can_be_explained(mmtsa, made, clip, tmp_path):
    named = explained(mmtsa, made / "seen", *clip, "-o", tmp_path / "a.png")
    other = "sit" if named["class"] == "walk" else "walk"
    found = explained(mmtsa, made / "seen", *clip, "--class", other, "-o", tmp_path / "b.png")
    assert (found["class"], found["named"]) == (other, named["class"])
    assert found["probability"] == pytest.approx(1 - named["probability"], abs=1e-5)
    contributions = [one["modalities"]["acc_watch"]["contribution"] for one in (named, found)]
    assert contributions[0] == pytest.approx(-contributions[1], abs=1e-5)
    assert (tmp_path / "a.png").read_bytes() != (tmp_path / "b.png").read_bytes()
    wrong = mmtsa("explain", made / "seen", *clip, "--class", "walking", "-o", tmp_path / "c.png", expect=2)
    assert "--class: the run has no class 'walking'; did you mean walk?" in wrong.stderr


def test_folds_are_averaged_and_one_modality_has_nothing_to_be_left_out(mmtsa, made, clip, tmp_path):
    done = mmtsa("explain", made / "folds", *clip[2:], "-o", tmp_path / "why.png", "--json")
    assert "mean of the networks of 2 folds; --fold NAME takes one of them" in done.stderr
    found = json.loads(done.stdout)
    assert found["networks"] == 2
    assert found["importance_in"] == "class score per second"
    assert "contribution" not in found["modalities"]["acc_watch"]
    one = [
        explained(
            mmtsa,
            made / "folds",
            *clip[2:],
            "--fold",
            f"fold-{n}",
            "--class",
            found["class"],
            "-o",
            tmp_path / "one.png",
        )
        for n in (1, 2)
    ]
    mean = np.mean([each["modalities"]["acc_watch"]["grad_cam"] for each in one], axis=0)
    assert found["modalities"]["acc_watch"]["grad_cam"] == pytest.approx(mean, rel=1e-4)
    assert (
        "did you mean fold-1?"
        in mmtsa("explain", made / "folds", *clip[2:], "--fold", "fold1", "-o", tmp_path / "x.png", expect=2).stderr
    )


def test_times_are_on_the_clock_of_the_video(mmtsa, rec, made, tmp_path):
    acc = tmp_path / "late.csv"
    acc.write_text("\n".join(
        row if i == 0 else f"{float(row.split(',')[0]) + 0.5:.4f},{row.split(',', 1)[1]}"
        for i, row in enumerate(sensor("acc_watch", "walk", seconds=1.2).splitlines())))  # fmt: skip
    files = ("--rgb", rec / "walk4.mp4", "--acc-watch", acc)
    found = explained(mmtsa, made / "seen", *files, "-o", tmp_path / "why.png")
    assert found["segments_s"][0][0] == pytest.approx(0.5, abs=0.01)
    assert found["segments_s"][-1][1] == pytest.approx(1.7, abs=0.01)
    assert found["modalities"]["acc_watch"]["importance_start_s"] == pytest.approx(0.5, abs=0.01)
    for time_s, (start, end) in zip(found["modalities"]["rgb"]["frames_s"], found["segments_s"], strict=True):
        assert start < time_s < end


def test_which_recording_must_be_clear(mmtsa, rec, made, clip, tmp_path):
    to = ("-o", tmp_path / "why.png")
    several = mmtsa("explain", made / "seen", rec, *to, expect=2)
    assert "one recording is explained, found 8; name one, as in --id walk1" in several.stderr
    wrong = mmtsa("explain", made / "seen", rec, "--id", "wlak4", *to, expect=2)
    assert "no recording 'wlak4'" in wrong.stderr
    assert "walk4" in wrong.stderr
    files = mmtsa("explain", made / "seen", *clip, "--id", "walk4", *to, expect=2)
    assert "--id walk4: files are one recording, which needs no id" in files.stderr
    missing = mmtsa("explain", made / "seen", *clip[2:], *to, expect=2)
    assert "no file of rgb" in missing.stderr
    assert not list(tmp_path.iterdir())


def test_bad_output_and_damaged_runs_are_told(mmtsa, made, clip, tmp_path):
    jpeg = mmtsa("explain", made / "seen", *clip, "-o", tmp_path / "why.jpg", expect=2)
    assert "not a picture that can be written, expected .png" in jpeg.stderr
    nowhere = mmtsa("explain", made / "seen", *clip, "-o", tmp_path / "no" / "why.png", expect=1)
    assert "cannot be written: No such file or directory; name another place" in nowhere.stderr
    run = shutil.copytree(made / "seen", tmp_path / "run")
    edit_json(next(run.glob("folds/*/model.json")), lambda model: model.update(classes=["a", "b", "c"]))
    other = mmtsa("explain", run, *clip, "-o", tmp_path / "why.png", expect=1)
    assert "train anew, or copy the run again: 3 classes by its model.json" in other.stderr
    assert not (tmp_path / "why.png").exists()
