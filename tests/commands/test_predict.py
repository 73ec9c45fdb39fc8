"""`mmtsa predict` and `mmtsa eval --calibrate`: the same classes as `eval`, time lines, and bad input."""

import csv
import io
import json
import shutil
import subprocess
import sys
import time
from itertools import pairwise

import av
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tests.trees.own import write_rows
from tests.trees.videos import write_video

QUICK = (
    "training.epochs=4", "training.batch_size=8", "training.threads=1", "model.width=0.125", "model.hidden=16",
    "sampling.frame_size=32", "imaging.image_size=16", "draws=1",
)  # fmt: skip
DESCRIPTION = """
modalities:
  rgb: {kind: video}
  acc_watch: {kind: sensor, unit: m/s^2, rate: 50}
  gyro: {kind: sensor, unit: rad/s, rate: 50}
default_protocol: cross-subject
protocols:
  cross-subject: {train: {subject: ['1', '2', '3']}, test: {subject: ['4']}}
"""
G = 9.80665


def sensor(name, label, *, seconds=2.0, rate=50.0, factor=1.0, seed=0, columns="time,x,y,z"):
    """A CSV of an accelerometer (gravity and a swing) or of a gyroscope; walking is faster than sitting."""
    rng = np.random.default_rng(seed)
    times = np.arange(round(seconds * rate)) / rate
    swing = (3.0 if label == "walk" else 0.3) * np.sin(2 * np.pi * (2.0 if label == "walk" else 0.5) * times)
    values = np.column_stack([swing, np.full(len(times), G if name.startswith("acc") else 0.1), -swing])
    values = factor * (values + rng.normal(scale=0.05, size=values.shape))
    rows = [f"{t:.4f},{x:.6f},{y:.6f},{z:.6f}" for t, (x, y, z) in zip(times, values, strict=True)]
    return "\n".join([columns, *rows]) + "\n"


def write(directory, *, labels=("walk", "sit"), subjects=("1", "2", "3", "4")):
    rows = ["id,label,subject,rgb,acc_watch,gyro"]
    directory.mkdir(parents=True)
    for label in labels:
        for subject in subjects:
            name = f"{label}{subject}"
            write_video(directory / f"{name}.mp4", frames=20 if label == "walk" else 22)
            for modality in ("acc_watch", "gyro"):
                (directory / f"{name}-{modality}.csv").write_text(sensor(modality, label, seed=int(subject)))
            rows.append(f"{name},{label},{subject},{name}.mp4,{name}-acc_watch.csv,{name}-gyro.csv")
    return write_rows(directory, "\n".join(rows) + "\n", description=DESCRIPTION)


@pytest.fixture(scope="module")
def rec(tmp_path_factory):
    return write(tmp_path_factory.mktemp("predict") / "rec")


@pytest.fixture(scope="module")
def made(rec):
    """A store and a run of rgb and acc_watch, one of both sensors, and one of three folds."""
    from mmtsa_cli.stages import sample, train

    at = rec.parent
    cutting = sample.CuttingOptions(segments=3, frames=3, window_s=0.5, short_side=32)
    for name, modalities in (("seen", ("rgb", "acc_watch")), ("worn", ("acc_watch", "gyro"))):
        store = sample.run(rec, at / f"samples-{name}", modalities=modalities, options=cutting, jobs=1).output
        settings = (*QUICK, "validation.count=1", "sampling.window=0.5")
        train.run(store, at / name, settings=settings, protocol="cross-subject")
    settings = ("training.epochs=1", *QUICK[1:], "sampling.window=0.5")
    train.run(at / "samples-worn", at / "folds", settings=settings, protocol="leave-one-subject-out")
    return at


@pytest.fixture
def worn(rec, made):
    """The run of both sensors, and the options that give it one recording's files."""
    return made / "worn", ("--acc-watch", rec / "walk4-acc_watch.csv", "--gyro", rec / "walk4-gyro.csv")


def lines(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


def table(text):
    return list(csv.DictReader(io.StringIO(text)))


def numbers(row):
    return {key: float(value) for key, value in row.items() if key.startswith(("p_", "attention_"))}


# The same as eval


@pytest.mark.parametrize("name", ["seen", "worn"])
def test_it_says_what_eval_says_of_the_same_recordings_in_a_store(mmtsa, rec, made, tmp_path, name):
    mmtsa("eval", made / name, made / f"samples-{name}", "-o", tmp_path / "eval")
    known = {row["id"]: row for row in table((tmp_path / "eval" / "predictions.csv").read_text())}
    mmtsa("predict", made / name, rec, "-o", tmp_path / "all.csv")
    found = {row["recording"]: row for row in table((tmp_path / "all.csv").read_text())}
    assert len(found) == 8
    assert len(known) == 2
    for clip, row in known.items():
        assert found[clip]["class"] == row["predicted"]
        # Frames too: they go through the same JPEG.
        assert numbers(found[clip]) == pytest.approx(numbers(row), abs=2e-5)
    # The files of one of them, without the index: the rate is measured, not nominal.
    files = ("--acc-watch", rec / "walk4-acc_watch.csv")
    files += ("--rgb", rec / "walk4.mp4") if name == "seen" else ("--gyro", rec / "walk4-gyro.csv")
    (alone,) = table(mmtsa("predict", made / name, *files, "--format", "csv").stdout)
    assert alone["class"] == found["walk4"]["class"]
    assert numbers(alone) == pytest.approx(numbers(found["walk4"]), abs=1e-3)


def test_a_table_says_class_confidence_the_next_ones_and_attention(mmtsa, worn):
    run, files = worn
    done = mmtsa("predict", run, *files, "--top", 2)
    assert "Prediction of walk4-acc_watch" in done.stdout
    for heading in ("class", "confidence", "then", "attention to segments"):
        assert heading in done.stdout
    assert "sit 0." in done.stdout
    assert "walk" in done.stdout


def test_files_are_named_in_any_spelling_and_order(mmtsa, rec, made):
    acc, gyro = rec / "walk4-acc_watch.csv", rec / "walk4-gyro.csv"
    ways = [
        (made / "worn", "--acc-watch", acc, "--gyro", gyro),
        ("--gyro", gyro, f"--acc_watch={acc}", made / "worn"),
        (made / "worn", "--input", f"acc_watch={acc}", "--input", f"gyro={gyro}"),
    ]
    said = [lines(mmtsa("predict", *way, "--format", "jsonl"))[0]["probabilities"] for way in ways]
    assert said[0] == said[1] == said[2]


def test_recordings_need_no_labels(mmtsa, rec, made, tmp_path):
    new = shutil.copytree(rec, tmp_path / "new")
    write_rows(new, "id,acc_watch,gyro\na,walk4-acc_watch.csv,walk4-gyro.csv\nb,sit4-acc_watch.csv,\n")
    description = DESCRIPTION.replace("  rgb: {kind: video}\n", "")
    (new / "dataset.yaml").write_text(description)
    done = mmtsa("predict", made / "worn", new, "--format", "jsonl")
    assert [row["recording"] for row in lines(done)] == ["a"]
    assert "b left out: recording b: no gyro, which the run was trained on" in done.stderr


def test_several_folds_are_averaged_unless_one_is_named(mmtsa, worn, made):
    _, files = worn
    names = [f"subject-{number}" for number in (1, 2, 3, 4)]
    done = mmtsa("predict", made / "folds", *files, "--format", "jsonl")
    assert "mean of the networks of 4 folds; --fold NAME takes one of them" in done.stderr
    each = [lines(mmtsa("predict", made / "folds", *files, "--format", "jsonl", "--fold", n))[0] for n in names]
    mean = np.mean([one["probabilities"]["walk"] for one in each], axis=0)
    assert lines(done)[0]["probabilities"]["walk"] == pytest.approx(mean, abs=2e-6)
    wrong = mmtsa("predict", made / "folds", *files, "--fold", "subject-9", expect=2)
    assert "--fold: no fold 'subject-9'; did you mean subject-" in wrong.stderr


# Time lines


@pytest.fixture
def day(tmp_path):
    """A recording of 20 s: walking, from second 10 on sitting."""
    for name in ("acc_watch", "gyro"):
        first = sensor(name, "walk", seconds=10)
        second = sensor(name, "sit", seconds=10).splitlines()[1:]
        later = [f"{float(row.split(',')[0]) + 10:.4f},{row.split(',', 1)[1]}" for row in second]
        (tmp_path / f"{name}.csv").write_text(first + "\n".join(later) + "\n")
    return "--acc-watch", tmp_path / "acc_watch.csv", "--gyro", tmp_path / "gyro.csv"


def test_a_time_line_covers_the_recording_and_smooths_over_windows(mmtsa, made, day):
    done = mmtsa("predict", made / "worn", *day, "--window", 2, "--hop", 1, "--format", "jsonl")
    rows = lines(done)
    assert rows[0]["start_s"] == 0
    assert rows[-1]["end_s"] == pytest.approx(20, abs=0.01)
    for before, after in pairwise(rows):
        assert before["end_s"] == after["start_s"]
        assert before["class"] != after["class"]
    for row in rows:
        assert sum(row["probabilities"].values()) == pytest.approx(1, abs=1e-5)
        assert max(row["probabilities"], key=row["probabilities"].get) == row["class"]
        assert "attention" not in row


def test_each_second_is_the_mean_of_the_windows_over_it(mmtsa, made, day, monkeypatch):
    """Against predictions of the parts by themselves, cut by an index."""
    from mmtsa_cli.stages import predict

    options = predict.PredictOptions(window_s=2, hop_s=1)
    # One stretch a cell, whatever their classes.
    monkeypatch.setattr(predict, "stretches", lambda spans, values, names, threshold: [
        predict.Stretch(*span, "", 0.0, row) for span, row in zip(spans, values, strict=True)])  # fmt: skip
    files = [("acc_watch", day[1]), ("gyro", day[3])]
    cells = [one.probabilities["walk"] for one in predict.run(made / "worn", files=files, options=options).predictions]
    rows = [f"p{i:02},{i},{i + 2},acc_watch.csv,gyro.csv" for i in range(19)]
    cut = write_rows(day[1].parent, "id,start,end,acc_watch,gyro\n" + "\n".join(rows) + "\n")
    parts = [one.probabilities["walk"] for one in predict.run(made / "worn", cut).predictions]
    assert len(cells) == 20
    known = [parts[0], *((a + b) / 2 for a, b in pairwise(parts)), parts[-1]]
    assert cells == pytest.approx(known, abs=1e-4)


def test_subtitles_are_on_the_clock_of_the_video(mmtsa, rec, made, tmp_path):
    acc = tmp_path / "late.csv"
    acc.write_text("\n".join(
        row if i == 0 else f"{float(row.split(',')[0]) + 0.5:.4f},{row.split(',', 1)[1]}"
        for i, row in enumerate(sensor("acc_watch", "walk", seconds=1.2).splitlines())))  # fmt: skip
    files = ("--rgb", rec / "walk4.mp4", "--acc-watch", acc)
    mmtsa("predict", made / "seen", *files, "--window", 0.6, "-o", tmp_path / "walk.srt")
    subtitles = (tmp_path / "walk.srt").read_text()
    assert subtitles.startswith("1\n00:00:00,500 --> ")
    assert "--> 00:00:01,700\n" in subtitles
    mmtsa("predict", made / "seen", *files, "-o", tmp_path / "walk.vtt", "--format", "vtt")
    assert (tmp_path / "walk.vtt").read_text().startswith("WEBVTT\n\n00:00:00.500 --> 00:00:01.700\n")


def test_below_the_threshold_the_class_is_unknown(mmtsa, worn):
    run, files = worn
    (sure,) = lines(mmtsa("predict", run, *files, "--format", "jsonl"))
    (unsure,) = lines(mmtsa("predict", run, *files, "--format", "jsonl", "--threshold", 1))
    assert sure["class"] != "unknown"
    assert unsure == {**sure, "class": "unknown"}


def test_what_is_written_is_written_whole_or_not_at_all(mmtsa, worn, tmp_path):
    run, files = worn
    mmtsa("predict", run, *files, "-o", tmp_path / "a.csv")
    again = mmtsa("predict", run, *files, "-o", tmp_path / "a.csv")
    assert again.stdout == ""
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]
    nowhere = mmtsa("predict", run, *files, "-o", tmp_path / "no" / "a.csv", expect=1)
    assert "cannot be written: No such file or directory; name another place" in nowhere.stderr
    nameless = mmtsa("predict", run, *files, "-o", tmp_path / "a.txt", expect=2)
    assert "its name does not say the format, expected .jsonl, .csv, .srt, .vtt" in nameless.stderr


# Calibration


def test_calibration_is_reported_kept_and_used(mmtsa, made, worn, tmp_path):
    run, files = worn
    done = mmtsa("eval", run, made / "samples-worn", "-o", tmp_path / "eval", "--calibrate", "--json")
    found = json.loads(done.stdout)["calibration"]
    assert found["n"] == 2
    assert found["folds"]["cross-subject"]["validation_clips"] == 2
    temperature = found["folds"]["cross-subject"]["temperature"]
    assert found["before"]["accuracy"] == found["after"]["accuracy"]
    rows = table((tmp_path / "eval" / "predictions.csv").read_text())
    before = [max(float(row["p_walk"]), float(row["p_sit"])) for row in rows]
    assert found["before"]["mean_confidence"] == pytest.approx(np.mean(before), abs=1e-5)
    kept = json.loads((tmp_path / "eval" / "calibration.json").read_text())
    assert kept["folds"] == found["folds"]
    shown = mmtsa("eval", run, made / "samples-worn", "-o", tmp_path / "eval", "--calibrate")
    assert "expected calibration error" in shown.stdout
    (plain,) = lines(mmtsa("predict", run, *files, "--format", "jsonl"))
    (warm,) = lines(mmtsa("predict", run, *files, "--format", "jsonl", "--calibration", tmp_path / "eval"))
    odds = [np.log(one["probabilities"]["walk"] / one["probabilities"]["sit"]) for one in (plain, warm)]
    assert odds[0] / odds[1] == pytest.approx(temperature, rel=0.01)


def test_calibration_needs_validation_clips_and_the_same_run(mmtsa, made, worn, tmp_path):
    run, files = worn
    done = mmtsa("eval", made / "folds", made / "samples-worn", "-o", tmp_path / "eval", "--calibrate", expect=2)
    assert "no validation clips to fit a temperature on; train with --set validation.count=1" in done.stderr
    assert not (tmp_path / "eval").exists()
    mmtsa("eval", run, made / "samples-worn", "-o", tmp_path / "plain")
    without = mmtsa("predict", run, *files, "--calibration", tmp_path / "plain", expect=2)
    assert "no calibration.json; make it with `mmtsa eval" in without.stderr
    mmtsa("eval", made / "seen", made / "samples-seen", "-o", tmp_path / "other", "--calibrate")
    other = mmtsa("predict", run, *files, "--calibration", tmp_path / "other", expect=2)
    assert "of another run, expected an evaluation of" in other.stderr
    (tmp_path / "other" / "calibration.json").write_text("{")
    damaged = mmtsa("predict", run, *files, "--calibration", tmp_path / "other", expect=1)
    assert "calibration.json: damaged" in damaged.stderr


def test_a_run_notes_what_its_data_were(made):
    model = json.loads((made / "worn" / "folds" / "cross-subject" / "model.json").read_text())
    cutting = model["data"]["cutting"]
    assert cutting == {
        "segments": 3, "frames": 3, "window_s": 0.5, "short_side": 32, "quality": 90, "max_gap_s": 0.5
    }  # fmt: skip
    acc, gyro = (model["data"]["sensors"][name] for name in ("acc_watch", "gyro"))
    assert (acc["channels"], acc["rate"], acc["unit"]) == (["x", "y", "z"], 50.0, "m/s^2")
    assert acc["median"] == pytest.approx(G, abs=0.5)
    # The swing of walking reaches 3 in two axes.
    assert gyro["peak"] == pytest.approx(3 * 2**0.5, abs=0.2)


def moving_video(path, *, frames):
    """30 frames a second of 640 x 480, a pattern that moves, key frames as far apart as x264 puts them by itself."""
    blocks = np.random.default_rng(0).integers(0, 255, (100, 120, 3), dtype=np.uint8)
    pattern = np.kron(blocks, np.ones((8, 8, 1), np.uint8))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = 640, 480, "yuv420p"
        for index in range(frames):
            x, y = int(100 + 90 * np.sin(index / 40)), int(100 + 90 * np.cos(index / 33))
            picture = np.ascontiguousarray(pattern[y : y + 480, x : x + 640])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


@pytest.mark.slow
def test_five_minutes_are_predicted_in_fifteen_seconds(made, tmp_path):
    files = ("--rgb", moving_video(tmp_path / "long.mp4", frames=9000), "--acc-watch")
    (tmp_path / "acc.csv").write_text(sensor("acc_watch", "walk", seconds=300))
    command = [sys.executable, "-m", "mmtsa_cli", "predict", made / "seen", *files, tmp_path / "acc.csv"]
    started = time.monotonic()
    subprocess.run([*command, "--window", "15", "--hop", "5", "-o", tmp_path / "long.csv"], check=True)
    assert time.monotonic() - started < 15
    rows = table((tmp_path / "long.csv").read_text())
    assert float(rows[-1]["end_s"]) == pytest.approx(300, abs=0.1)


# Bad input: the run


@pytest.fixture
def spoilt(worn, tmp_path):
    """A copy of the run that may be spoilt, its fold, and the files."""
    run, files = worn
    copy = shutil.copytree(run, tmp_path / "copy")
    return copy, copy / "folds" / "cross-subject", files


def edit_json(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("change", "phrase"),
    [
        (lambda m: m.update(schema=99), "made by a newer mmtsa, expected schema 1 or older, found schema 99"),
        (lambda m: (m["versions"].update(mmtsa="9.9"), m["configuration"]["recipe"].update(magic=1)),
         "trained by another version, expected a run that mmtsa 0.1.0 understands, found mmtsa 9.9:"),
        (lambda m: m.update(stage="ablate"), "not what this command reads, expected a directory made by `mmtsa train`"),
        (lambda m: m["configuration"].pop("folds"), "damaged, found KeyError('folds'); train anew"),
    ],
)  # fmt: skip
def test_a_run_of_another_version_is_refused(mmtsa, spoilt, change, phrase):
    run, _, files = spoilt
    edit_json(run / "manifest.json", change)
    assert phrase in mmtsa("predict", run, *files, expect=1).stderr


@pytest.mark.parametrize(
    ("change", "phrase"),
    [
        (lambda m: m["classes"].append("run"), "best.safetensors: the weights are of another network"),
        (lambda m: m.update(method="later"), "trained by another version"),
        (lambda m: m.pop("inputs"), "model.json: damaged, found no inputs; train anew"),
        (lambda m: m["data"].pop("cutting"), "damaged, found KeyError('cutting'); train anew"),
    ],
)
def test_a_model_with_other_classes_or_of_another_version_is_refused(mmtsa, spoilt, change, phrase):
    run, fold, files = spoilt
    edit_json(fold / "model.json", change)
    assert phrase in mmtsa("predict", run, *files, expect=1).stderr


def test_folds_with_other_classes_have_no_mean(mmtsa, made, worn, tmp_path):
    _, files = worn
    run = shutil.copytree(made / "folds", tmp_path / "copy")
    edit_json(run / "folds" / "subject-2" / "model.json", lambda m: m["classes"].append("run"))
    done = mmtsa("predict", run, *files, expect=2)
    assert "its folds know other classes" in done.stderr
    assert "run not in all; choose one with --fold subject-1" in done.stderr
    mmtsa("predict", run, *files, "--fold", "subject-1")


def test_damaged_weights_are_refused(mmtsa, spoilt):
    run, fold, files = spoilt
    weights = fold / "best.safetensors"
    sound = weights.read_bytes()
    for content in (sound[: len(sound) // 2], b"", b"\0" * 100):
        weights.write_bytes(content)
        assert "best.safetensors: damaged or no checkpoint" in mmtsa("predict", run, *files, expect=1).stderr
    weights.write_bytes(sound)
    tensors = load_file(weights)
    name = next(name for name, value in tensors.items() if value.dtype == np.float32)
    tensors[name] = np.full_like(tensors[name], np.nan)
    save_file(tensors, weights, metadata={"mmtsa": "{}"})
    done = mmtsa("predict", run, *files, expect=1)
    assert f"best.safetensors: weights that are no numbers, found {name}" in done.stderr
    weights.unlink()
    assert "damaged or no checkpoint" in mmtsa("predict", run, *files, expect=1).stderr


def test_a_run_of_an_older_version_still_predicts(mmtsa, spoilt, worn):
    run, fold, files = spoilt
    edit_json(fold / "model.json", lambda m: m.pop("data"))
    done = mmtsa("predict", run, *files, "--format", "jsonl")
    assert "was trained by an older mmtsa, which did not note rates and units of its sensors" in done.stderr
    (new,) = lines(mmtsa("predict", worn[0], *files, "--format", "jsonl"))
    assert lines(done)[0]["probabilities"] == pytest.approx(new["probabilities"], abs=1e-5)


# Bad input: the recordings


def test_values_in_another_unit_are_warned_of_and_converted_when_the_unit_is_said(mmtsa, made, worn, tmp_path):
    run, files = worn
    acc, gyro = tmp_path / "acc.csv", tmp_path / "gyro.csv"
    acc.write_text(sensor("acc_watch", "walk", factor=1 / G, seed=4))
    gyro.write_text(sensor("gyro", "walk", factor=180 / np.pi, seed=4))
    others = ("--acc-watch", acc, "--gyro", gyro)
    warned = mmtsa("predict", run, *others, "--format", "jsonl")
    assert "acc, acc_watch: typical values of 1" in warned.stderr
    assert "m/s^2: probably in g; add --unit acc_watch=g to have it converted" in warned.stderr
    assert "rad/s: probably in deg/s; add --unit gyro=deg/s to have it converted" in warned.stderr
    said = ("--unit", "acc_watch=g", "--unit", "gyro=deg/s")
    right = mmtsa("predict", run, *others, *said, "--format", "jsonl")
    assert "warning" not in right.stderr
    assert "acc_watch: g converted to m/s^2, as in training" in right.stderr
    (known,) = lines(mmtsa("predict", run, *files, "--format", "jsonl"))
    assert lines(right)[0]["probabilities"] == pytest.approx(known["probabilities"], abs=1e-3)
    wrong = mmtsa("predict", run, *others, "--unit", "gyro=g", expect=1)
    assert "gyro is in g, expected rad/s, as in training" in wrong.stderr
    nonsense = mmtsa("predict", run, *others, "--unit", "gyro=furlong", expect=2)
    assert "--unit gyro=furlong: not a unit, expected one of m/s^2" in nonsense.stderr


def test_another_rate_is_resampled_and_warned_of(mmtsa, worn, tmp_path):
    run, files = worn
    acc = tmp_path / "acc.csv"
    acc.write_text(sensor("acc_watch", "walk", rate=20, seed=4))
    done = mmtsa("predict", run, "--acc-watch", acc, *files[2:], "--format", "jsonl")
    assert "acc_watch: recorded at 20 Hz, trained on 50 Hz; resampled, what moves faster than 10 Hz" in done.stderr
    assert lines(done)[0]["class"] == "walk"


def test_a_file_without_timestamps_needs_its_rate(mmtsa, worn, tmp_path):
    run, files = worn
    acc = tmp_path / "acc.csv"
    rows = [row.split(",", 1)[1] for row in sensor("acc_watch", "walk", seed=4).splitlines()]
    acc.write_text("\n".join(rows) + "\n")
    others = ("--acc-watch", acc, *files[2:])
    done = mmtsa("predict", run, *others, expect=1)
    assert "no timestamps and no rate, expected a column of time, or the rate in Hz" in done.stderr
    assert "add --rate acc-watch=HZ (--rate acc-watch=50 if it is as in training)" in done.stderr
    (row,) = lines(mmtsa("predict", run, *others, "--rate", "acc-watch=50", "--format", "jsonl"))
    (known,) = lines(mmtsa("predict", run, *files, "--format", "jsonl"))
    assert row["probabilities"] == pytest.approx(known["probabilities"], abs=1e-3)
    assert "not a rate" in mmtsa("predict", run, *others, "--rate", "acc-watch=fast", expect=2).stderr


def test_another_number_or_order_of_axes_is_refused(mmtsa, worn, tmp_path):
    run, files = worn
    text = sensor("acc_watch", "walk", seed=4)
    four, two, turned = (tmp_path / f"{name}.csv" for name in ("four", "two", "turned"))
    four.write_text("\n".join(f"{row},{'norm' if i == 0 else 1}" for i, row in enumerate(text.splitlines())) + "\n")
    two.write_text("\n".join(row.rsplit(",", 1)[0] for row in text.splitlines()) + "\n")
    turned.write_text(text.replace("time,x,y,z", "time,z,y,x"))
    for file, found in ((four, "4: x, y, z, norm"), (two, "2: x, y"), (turned, "3: z, y, x")):
        done = mmtsa("predict", run, "--acc-watch", file, *files[2:], expect=1)
        assert f"{file}: other axes of acc_watch than the run was trained on, expected 3: x, y, z" in done.stderr
        assert f"found {found}" in done.stderr
        if file != two:
            assert "name its columns: --columns acc_watch=x,y,z" in done.stderr
    mmtsa("predict", run, "--acc-watch", four, *files[2:], "--columns", "acc_watch=x,y,z")
    mmtsa("predict", run, "--acc-watch", four, *files[2:], "--columns", "acc_watch=2,3,4")


def test_a_missing_modality_says_what_to_do(mmtsa, rec, made, worn, tmp_path):
    run, files = worn
    done = mmtsa("predict", run, *files[:2], expect=2)
    assert "no file of gyro, expected one of each modality that the run was trained on: acc_watch, gyro" in done.stderr
    assert "add --gyro PATH, or train a run without it (mmtsa train SAMPLES --modalities acc_watch)" in done.stderr
    nothing = mmtsa("predict", run, expect=2)
    assert "no file of acc_watch, gyro" in nothing.stderr
    assert "add --acc-watch PATH --gyro PATH" in nothing.stderr
    lacking = write_rows(tmp_path / "lacking", f"id,acc_watch\na,{rec / 'walk4-acc_watch.csv'}\n")
    columns = mmtsa("predict", run, lacking, expect=1)
    assert "index.csv: no modality gyro, expected a column of each modality" in columns.stderr
    empty = write_rows(tmp_path / "empty", f"id,acc_watch,gyro\na,{rec / 'walk4-acc_watch.csv'},\n")
    assert "no recording has all of acc_watch, gyro" in mmtsa("predict", run, empty, expect=1).stderr


@pytest.mark.parametrize(
    ("options", "code", "phrase"),
    [
        (("--acc-wacht", "a.csv"), 2, "no modality 'acc-wacht', expected one of acc_watch, gyro; did you mean acc-"),
        (("--treshold", "0.5"), 2, "no modality 'treshold', expected one of acc_watch, gyro; did you mean threshold?"),
        (("--acc-watch",), 2, "--acc-watch: no such option, and as a modality it needs a file"),
        (("--input", "acc_watch"), 2, "expected NAME=PATH, found acc_watch"),
        (("--acc-watch", "none.csv"), 1, "--acc-watch none.csv: no such file"),
        (("--hop", "2"), 2, "--hop: a hop without a window; add --window SECONDS"),
        (("--window", "2", "--hop", "3"), 2, "--hop: windows that leave time out between them, expected at most"),
        (("--window", "0.2"), 2, "--window: shorter than the run's own sensor window, expected at least 0.5 s"),
        (("--threshold", "2"), 2, "2.0 is not in the range 0<=x<=1"),
        (("--rate", "acc=50"), 2, "--rate acc=50: the run has no modality 'acc'"),
        (("--rate", "50"), 2, "--rate 50: names no modality, expected NAME=VALUE"),
    ],
)  # fmt: skip
def test_a_wrong_wish_is_answered(mmtsa, worn, options, code, phrase):
    done = mmtsa("predict", worn[0], *options, expect=code)
    assert phrase in done.stderr, done.stderr


def test_recordings_and_files_do_not_go_together(mmtsa, rec, worn):
    run, files = worn
    assert "recordings and files of one recording together" in mmtsa("predict", run, rec, *files, expect=2).stderr
    assert "say them in dataset.yaml" in mmtsa("predict", run, rec, "--unit", "gyro=deg/s", expect=2).stderr
    twice = mmtsa("predict", run, *files, "--gyro", files[3], expect=2)
    assert "two files of gyro" in twice.stderr


def test_subtitles_of_several_recordings_are_refused(mmtsa, rec, worn):
    done = mmtsa("predict", worn[0], rec, "--format", "srt", expect=2)
    assert "--format srt: subtitles are of one video, found 8 recordings" in done.stderr


def test_what_is_shorter_than_the_sensor_window_is_refused(mmtsa, worn, tmp_path):
    run, files = worn
    acc = tmp_path / "acc.csv"
    acc.write_text(sensor("acc_watch", "walk", seconds=0.3))
    done = mmtsa("predict", run, "--acc-watch", acc, *files[2:], expect=1)
    assert "shorter than the run's sensor window, expected at least 0.5 s, found 0.3 s" in done.stderr


def test_a_grey_video_is_no_colour_video(mmtsa, rec, made, tmp_path):
    grey = write_video(tmp_path / "grey.mkv", codec="ffv1", grey=True)
    files = ("--rgb", grey, "--acc-watch", rec / "walk4-acc_watch.csv")
    done = mmtsa("predict", made / "seen", *files, expect=1)
    assert "rgb is a grey video" in done.stderr
    assert "expected a colour video, as the run was trained on" in done.stderr


def test_what_else_is_known_of_files_comes_from_a_dataset_yaml(mmtsa, rec, made, worn, tmp_path):
    run, files = worn
    late = tmp_path / "dataset.yaml"
    late.write_text("modalities:\n  acc_watch: {kind: sensor, offset_s: 0.5}\n  gyro: {kind: sensor}\n")
    (row,) = lines(mmtsa("predict", run, *files, "--dataset", late, "--format", "jsonl"))
    assert row["end_s"] - row["start_s"] == pytest.approx(1.5, abs=0.01)
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("modalities:\n  acc_watch: {kind: video}\n")
    done = mmtsa("predict", run, *files, "--dataset", wrong, expect=1)
    assert "acc_watch is no sensor, expected kind: sensor" in done.stderr


def test_a_damaged_recording_of_several_is_left_out(mmtsa, rec, worn, tmp_path):
    spoilt = shutil.copytree(rec, tmp_path / "rec")
    (spoilt / "sit2-gyro.csv").write_text("time,x,y,z\n0,1,2,3\n1,2,broken,4\n")
    done = mmtsa("predict", worn[0], spoilt, "--format", "jsonl")
    assert len(lines(done)) == 7
    assert "sit2 left out:" in done.stderr


@pytest.mark.data
def test_a_gopro_video_is_predicted_with_its_own_telemetry(mmtsa, data_root, tmp_path):
    from mmtsa_cli.stages import prepare, sample, train

    rec = prepare.run("gopro", data_root / "gopro", tmp_path / "rec").output
    parts = [f"p{i},{'a' if i % 2 else 'b'},{i // 2 % 2 + 1},{2 * i},{2 * i + 2}" for i in range(4)]
    (row,) = table((rec / "index.csv").read_text())
    files = {name: row[name] for name in ("rgb", "acc", "gyro")}
    many = tmp_path / "cut"
    description = (rec / "dataset.yaml").read_text()
    header = "id,label,subject,start,end,rgb,acc,gyro"
    text = "\n".join([header, *(f"{part},{','.join(files.values())}" for part in parts)]) + "\n"
    write_rows(many, text, description=description)
    cutting = sample.CuttingOptions(frames=1, window_s=0.5)
    store = sample.run(many, tmp_path / "samples", modalities=("rgb", "acc", "gyro"), options=cutting, jobs=1).output
    settings = ("training.epochs=1", *QUICK[1:], "sampling.window=0.5", "training.batch_size=2")
    train.run(store, tmp_path / "run", settings=settings, protocol="leave-one-subject-out")
    video = files["rgb"]
    given = ("--rgb", video, "--acc", video, "--gyro", video, "--dataset", rec)
    done = mmtsa("predict", tmp_path / "run", *given, "--window", 2, "--format", "csv", "--fold", "subject-1")
    rows = table(done.stdout)
    assert float(rows[0]["start_s"]) == pytest.approx(0, abs=0.1)
    assert float(rows[-1]["end_s"]) > 8
