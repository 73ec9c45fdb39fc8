"""`mmtsa export`: the graph says what the run says and runs without the package; what has no graph is refused."""

import csv
import importlib.util
import json
import runpy
import shutil
import subprocess
import sys
from itertools import pairwise

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from mmtsa_cli.sampling.draw import Samples
from mmtsa_cli.sampling.store import Store
from mmtsa_cli.stages.exports.quantise import remarks
from mmtsa_cli.stages.trainings.trained import drawing, open_run, restore

QUICK = (
    "training.epochs=1", "training.batch_size=14", "training.optimizer=adamw", "training.lr=0.01", "training.threads=1",
    "training.precision=float32", "model.width=0.125", "model.hidden=16", "sampling.frame_size=32",
    "sampling.snippet=1", "sampling.window=0.9", "imaging.image_size=16",
)  # fmt: skip
FOLDS = ("fold-1", "fold-2")


@pytest.fixture(scope="module")
def made(samples, tmp_path_factory):
    """A run of a video and a sensor that is rescaled by clip, its evaluation, and a run of two folds."""
    from mmtsa_cli.stages import eval as evaluation
    from mmtsa_cli.stages import train

    at = tmp_path_factory.mktemp("export")
    settings = (*QUICK, "imaging.scale=clip", "draws=2")
    train.run(samples, at / "run", settings=settings, modalities=("rgb", "acc_watch"))
    train.run(samples, at / "folds", settings=QUICK, modalities=("gyro",), protocol="2-fold-subject")
    evaluation.run(at / "run", samples, at / "eval")
    return at


@pytest.fixture(scope="module")
def exported(made):
    """The first of them as ONNX, in float32 and in 8 bits."""
    from mmtsa_cli.stages import export

    options = export.ExportOptions(int8=True, evaluation=made / "eval")
    return export.run(made / "run", made / "model", options=options)


@pytest.fixture
def clips(made, samples):
    return clips_of(made / "run", samples)


def clips_of(run, samples, fold=0):
    """Draw three test clips of a fold; return what a graph takes, and what the run's network says of them."""
    trained = open_run(run)
    model = trained.models[fold]
    store = Store(samples)
    chosen = [n for n, clip in enumerate(store.clips) if clip["id"] in model["clips"]["test"][:3]]
    options = drawing(trained.recipe, model)
    drawn = Samples(store, chosen, modalities=tuple(model["inputs"]), classes=model["classes"], options=options)
    batch = drawn.batch(range(3))
    arrays = {**batch.inputs, **{f"{name}.extremes": values for name, values in batch.extremes.items()}}
    network = restore(trained, model).network.eval()
    with torch.no_grad():
        logits, attention = network({name: torch.from_numpy(values) for name, values in arrays.items()})
    return chosen, arrays, logits.softmax(dim=1).numpy(), attention.numpy()


def ask(path, arrays):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {one.name: arrays[one.name] for one in session.get_inputs()})


def card_of(directory):
    return json.loads((directory / "card.json").read_text())


# The graph


def test_the_graph_takes_raw_clips_and_says_what_the_run_says_at_any_batch_size(exported, clips):
    _, arrays, probabilities, attention = clips
    session = onnxruntime.InferenceSession(exported.output / "model.onnx", providers=["CPUExecutionProvider"])
    assert {one.name: (one.type, one.shape[1:]) for one in session.get_inputs()} == {
        "rgb": ("tensor(uint8)", [3, 32, 32, 3]),
        "acc_watch": ("tensor(float)", [3, 3, arrays["acc_watch"].shape[-1]]),
        "acc_watch.extremes": ("tensor(float)", [3, 2]),
    }
    assert {one.shape[0] for one in session.get_inputs()} == {"clips"}
    for size in (1, 2, 3):
        said = session.run(["probabilities", "attention"], {name: arrays[name][:size] for name in arrays})
        assert said[0] == pytest.approx(probabilities[:size], abs=1e-5)
        assert said[1] == pytest.approx(attention[:size], abs=1e-5)
        assert said[0].sum(axis=1) == pytest.approx(np.ones(size), abs=1e-5)


def test_the_images_are_made_in_the_graph_by_the_extremes_of_the_clip(exported, clips):
    _, arrays, probabilities, _ = clips
    wider = {**arrays, "acc_watch.extremes": arrays["acc_watch.extremes"] * 3}
    assert np.abs(ask(exported.output / "model.onnx", wider)[0] - probabilities).max() > 1e-4
    # Twice the samples between twice the extremes are the same image.
    twice = {**arrays, **{name: 2 * arrays[name] for name in ("acc_watch", "acc_watch.extremes")}}
    assert ask(exported.output / "model.onnx", twice)[0] == pytest.approx(probabilities, abs=1e-5)


def test_what_was_checked_and_measured_is_told_and_kept(exported, made, samples):
    facts, card = exported.facts, card_of(exported.output)
    tested = len(open_run(made / "run").models[0]["clips"]["test"])
    assert facts["verification"] == card["verification"]
    assert card["verification"]["on"] == "test clips of samples"
    assert card["verification"]["clips"] == {"1": min(16, tested), "8": tested}
    assert 0 <= card["verification"]["probabilities"] <= card["verification"]["bound"] == 1e-4
    rows = card["figures"]["rows"]
    assert [row["file"] for row in rows] == [None, "model.onnx", "model-int8.onnx"]
    for row in rows:
        assert row["n"] == tested
        assert 0 < row["least_ms"] <= row["latency_ms"] <= row["latency_p95_ms"]
    assert rows[0]["accuracy"] == rows[1]["accuracy"]
    known = json.loads((made / "eval" / "metrics.json").read_text())
    assert card["evaluation"]["accuracy"] == known["folds"][0]["accuracy"]
    assert card["evaluation"]["draws"] == 2
    assert any("x the speed of float32" in note for note in facts["notes"])


# 8 bits


def test_8_bits_are_in_the_convolutions_per_channel_and_nowhere_else(exported, clips):
    _, arrays, probabilities, _ = clips
    graph = onnx.load(exported.output / "model-int8.onnx").graph
    maker = {name: node for node in graph.node for name in node.output}
    constants = {one.name: onnx.numpy_helper.to_array(one) for one in graph.initializer}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    assert len(convolutions) > 10
    for node in convolutions:
        image, weight = (maker[name] for name in node.input[:2])
        assert image.op_type == weight.op_type == "DequantizeLinear"
        values, scales = (constants[name] for name in weight.input[:2])
        assert values.dtype == np.int8
        assert scales.shape == (len(values),)
    others = [node for node in graph.node if node.op_type in ("Gemm", "Softmax", "Clip", "Pow", "Sqrt")]
    assert others
    assert not {maker[name].op_type for node in others for name in node.input if name in maker} & {"DequantizeLinear"}
    said = ask(exported.output / "model-int8.onnx", arrays)[0]
    assert 0 < np.abs(said - probabilities).max() < 0.2
    assert (exported.output / "model-int8.onnx").stat().st_size < (exported.output / "model.onnx").stat().st_size


def test_where_8_bits_do_not_pay_is_warned_of():
    before = {"least_ms": 2.0, "bytes": 100, "shares": {"Conv": 0.8, "Mul": 0.2}, "accuracy": 0.9, "n": 50}
    after = {**before, "bytes": 25, "shares": {"QLinearConv": 0.5, "Mul": 0.5}}
    notes, warnings = remarks(before, {**after, "least_ms": 0.8, "accuracy": 0.895})
    assert notes == ["int8: 2.50 x the speed of float32, 0.25 of its size"]
    assert warnings == []
    notes, warnings = remarks(before, {**after, "least_ms": 1.6})
    assert notes[1] == (
        "int8 is less than 2 x as fast as float32: its integer operators are 2.00 x as fast as the convolutions that "
        "they replace, and 50% of its time goes to what stays float32"
    )
    _, warnings = remarks(before, {**after, "least_ms": 2.5, "accuracy": 0.88})
    assert warnings[0].startswith("int8 does not pay on this machine: 2.50 ms a clip, 2.00 ms in float32; its integer")
    assert warnings[1].startswith("int8 costs accuracy: 0.880, 0.900 in float32 on the same 50 clips, a fall of more")


# What lies beside it


def test_the_card_says_what_goes_in_how_it_was_made_and_how_good_it_is(exported, made):
    card, text = card_of(exported.output), (exported.output / "CARD.md").read_text()
    (sensor,) = [one for one in card["inputs"] if one["kind"] == "sensor"]
    assert (sensor["unit"], sensor["rate_hz"], len(sensor["axes"])) == ("m/s^2", 100.0, 3)
    assert card["classes"] == open_run(made / "run").models[0]["classes"]
    assert card["licence"] == "MIT"
    for phrase in (
        *card["classes"],
        f"| `acc_watch` | float32 | (B, 3, 3, {sensor['shape'][-1]}) | 100 Hz | m/s^2 | {', '.join(sensor['axes'])} |",
        "| `rgb` | uint8 | (B, 3, 32, 32, 3) |",
        "1. Cut the clip into 3 segments of equal length.",
        "minimum and maximum of each axis over the whole clip",
        "(0.9 s) around its centre",
        "scale clip, image size 16",
        "Protocol: cross-subject, fold cross-subject; training and test are apart in: subject",
        "more than 0.0001 would have been an error",
        "Evaluation of the run (eval): accuracy",
        "mean of 2 draws of a clip",
        "Licence of mmtsa, whose code the graph and the example come from: MIT",
    ):
        assert phrase in text, phrase


def test_the_example_needs_neither_this_package_nor_torch(exported, clips, samples, tmp_path):
    chosen, arrays, probabilities, _ = clips
    classes = card_of(exported.output)["classes"]
    np.savez(tmp_path / "three.npz", **arrays)
    said = [line.split() for line in run_example(exported.output, tmp_path / "three.npz")]
    assert [name for name, _ in said] == [classes[row.argmax()] for row in probabilities]
    assert [float(probability) for _, probability in said] == pytest.approx(probabilities.max(axis=1), abs=6e-5)
    # One clip from files: the sensor's whole series, cut by the example itself.
    store = Store(samples)
    rows = store.series("acc_watch", chosen[0])
    with (tmp_path / "acc.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["time", *reversed(store.header.modalities["acc_watch"].channels)])
        writer.writerows([i / 100, *reversed(row)] for i, row in enumerate(rows.tolist()))
    np.save(tmp_path / "frames.npy", arrays["rgb"][0])
    files = (f"acc_watch={tmp_path / 'acc.csv'}", f"rgb={tmp_path / 'frames.npy'}")
    (line,) = run_example(exported.output, *files)
    name, probability = line.split()
    assert name == classes[probabilities[0].argmax()]
    assert float(probability) == pytest.approx(probabilities[0].max(), abs=2e-3)
    assert len((exported.output / "example.py").read_text().splitlines()) < 45


def run_example(directory, *arguments):
    """Run example.py where importing the package or torch fails."""
    program = (
        "import runpy, sys\n"
        "sys.modules.update({name: None for name in ('mmtsa_cli', 'torch')})\n"
        "sys.argv = sys.argv[1:]\nrunpy.run_path(sys.argv[0])"
    )
    words = [str(directory / "example.py"), *map(str, arguments)]
    done = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


# torch.export


def test_a_program_of_torch_says_the_same_and_has_an_example(mmtsa, made, samples, tmp_path, monkeypatch, capsys):
    done = mmtsa("export", made / "folds", "-o", tmp_path / "out", "--format", "torch", "--fold", FOLDS[1], "--json")
    assert json.loads(done.stdout)["fold"] == FOLDS[1]
    _, arrays, probabilities, attention = clips_of(made / "folds", samples, fold=1)
    module = torch.export.load(tmp_path / "out" / "model.pt2").module()
    for size in (1, 3):
        said = module(torch.from_numpy(arrays["gyro"][:size]))
        assert said[0].detach().numpy() == pytest.approx(probabilities[:size], abs=1e-5)
        assert said[1].detach().numpy() == pytest.approx(attention[:size], abs=1e-5)
    np.savez(tmp_path / "clips.npz", gyro=arrays["gyro"])
    monkeypatch.setattr(sys, "argv", ["example.py", str(tmp_path / "clips.npz")])
    runpy.run_path(str(tmp_path / "out" / "example.py"))
    classes = card_of(tmp_path / "out")["classes"]
    said = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert said == [classes[row.argmax()] for row in probabilities]


def test_a_program_of_executorch_says_the_same_and_has_an_example(mmtsa, made, clips, tmp_path, monkeypatch, capsys):
    pytest.importorskip("executorch.exir", reason="the extra executorch is not installed")
    mmtsa("export", made / "run", "-o", tmp_path / "out", "--format", "executorch")
    card = card_of(tmp_path / "out")
    assert list(card["files"]) == ["model.pte"]
    assert card["verification"]["probabilities"] < 1e-5
    _, arrays, probabilities, _ = clips
    np.savez(tmp_path / "clips.npz", **arrays)
    monkeypatch.setattr(sys, "argv", ["example.py", str(tmp_path / "clips.npz")])
    runpy.run_path(str(tmp_path / "out" / "example.py"))
    said = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert said == [card["classes"][row.argmax()] for row in probabilities]


@pytest.mark.parametrize(
    ("form", "package", "extra"), [("executorch", "executorch", "executorch"), ("onnx", "onnxruntime", "export")]
)
def test_what_is_not_installed_is_named(mmtsa, made, tmp_path, monkeypatch, form, package, extra):
    from importlib import util

    real = util.find_spec
    monkeypatch.setattr(util, "find_spec", lambda name, *rest: None if name == package else real(name, *rest))
    done = mmtsa("export", made / "run", "-o", tmp_path / "out", "--format", form, expect=2)
    assert f"--format {form}: needs {package}; pip install 'mmtsa[{extra}]'" in done.stderr
    assert not (tmp_path / "out").exists()


def test_without_samples_it_is_checked_on_synthetic_inputs_and_says_so(mmtsa, made, tmp_path):
    run = shutil.copytree(made / "folds", tmp_path / "run")
    edit_json(run / "manifest.json", lambda m: m.update(inputs=dict.fromkeys(["gone"], *m["inputs"].values())))
    asked = ("export", run, "-o", tmp_path / "out", "--format", "torch", "--fold", FOLDS[0])
    done = mmtsa(*asked)
    assert "the run's samples are not there: held against it on synthetic inputs" in done.stderr
    assert "synthetic inputs within the ranges of training: 16 in batches of 1, 16 in batches of 8" in done.stdout
    assert all("accuracy" not in row for row in card_of(tmp_path / "out")["figures"]["rows"])
    again = mmtsa(*asked)
    assert "already holds this result" in again.stderr
    assert again.stdout == done.stdout
    other = mmtsa(*asked[:-1], FOLDS[1], expect=2)
    assert "made with other settings" in other.stderr
    refused = mmtsa("export", run, "-o", tmp_path / "int8", "--int8", "--fold", FOLDS[0], expect=2)
    assert "--int8: no samples to calibrate on" in refused.stderr
    assert "give them with --samples STORE" in refused.stderr


def test_a_graph_that_says_something_else_is_not_written(mmtsa, made, tmp_path, monkeypatch):
    from mmtsa_cli.stages import export

    write = export.write_program

    def write_and_change(method, inputs, path):
        write(method, inputs, path)
        with torch.no_grad():
            method.network.classifier[-1].bias[0] += 0.01

    monkeypatch.setattr(export, "write_program", write_and_change)
    out = tmp_path / "out"
    done = mmtsa("export", made / "folds", "-o", out, "--format", "torch", "--fold", FOLDS[0], expect=1)
    assert "model.pt2: the exported graph does not say what the run says; nothing was written" in done.stderr
    assert "expected a difference of at most 0.0001, found 0.0" in done.stderr
    assert not list(tmp_path.iterdir())


# Bad input


def edit_json(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("options", "code", "phrase"),
    [
        ((), 2, f"the run has 2 networks, a graph is of one; choose one with --fold {FOLDS[0]}, {FOLDS[1]}"),
        (("--fold", "fold-9"), 2, "--fold: no fold 'fold-9'; did you mean fold-"),
        (("--format", "torch", "--int8"), 2, "--int8: integers are of format onnx only, found --format torch"),
        (("--format", "tflite"), 2, "'tflite' is not one of 'onnx', 'torch', 'executorch'"),
        (("--samples", "none"), 1, "none: no such directory, expected a directory made by `mmtsa sample`"),
        (("--evaluation", "none"), 1, "none: no such directory, expected a directory made by `mmtsa eval`"),
    ],
)
def test_a_wrong_wish_is_answered(mmtsa, made, tmp_path, options, code, phrase):
    fold = ("--fold", FOLDS[0]) if {"--samples", "--evaluation"} & set(options) else ()
    done = mmtsa("export", made / "folds", "-o", tmp_path / "out", *fold, *options, expect=code)
    assert phrase in done.stderr
    assert not list(tmp_path.iterdir())


def test_an_evaluation_of_another_run_is_refused(mmtsa, made, tmp_path):
    options = ("--fold", FOLDS[0], "--evaluation", made / "eval")
    done = mmtsa("export", made / "folds", "-o", tmp_path / "out", *options, expect=2)
    assert "eval: of another run, expected an evaluation of" in done.stderr


def test_missing_packages_are_named(mmtsa, made, tmp_path, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "onnxscript" else found(name))
    done = mmtsa("export", made / "run", "-o", tmp_path / "out", expect=2)
    assert "--format onnx: needs onnxscript; pip install 'mmtsa[export]'" in done.stderr


@pytest.mark.parametrize("stage", ["benchmark", "ablate", "eval"])
def test_what_has_no_graph_is_refused_and_what_has_one_is_named(mmtsa, tmp_path, stage):
    manifest = {"stage": stage, "configuration": {}, "inputs": {}, "schema": 1}
    (tmp_path / "table").mkdir()
    (tmp_path / "table" / "manifest.json").write_text(json.dumps(manifest))
    done = mmtsa("export", tmp_path / "table", "-o", tmp_path / "out", expect=1)
    assert "table: no graph to export, expected a run of `mmtsa train`" in done.stderr
    assert f"found the result of {stage}; train one with `mmtsa train SAMPLES -o RUN`" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_unit_of_a_classical_system_has_no_graph(mmtsa, tmp_path):
    unit = tmp_path / "svm--cross-subject--seed-0"
    unit.mkdir()
    (unit / "result.json").write_text(json.dumps({"unit": {"method": "svm"}}))
    done = mmtsa("export", unit, "-o", tmp_path / "out", expect=1)
    assert "found a unit of a table, system svm; train one" in done.stderr
    assert "classical systems have no network at all" in done.stderr


def test_damaged_weights_and_runs_of_other_versions_are_refused(mmtsa, made, tmp_path):
    run = shutil.copytree(made / "run", tmp_path / "run")
    weights = run / "folds" / "cross-subject" / "best.safetensors"
    sound = weights.read_bytes()
    weights.write_bytes(sound[: len(sound) // 2])
    done = mmtsa("export", run, "-o", tmp_path / "out", expect=1)
    assert "best.safetensors: damaged or no checkpoint" in done.stderr
    weights.write_bytes(sound)
    edit_json(run / "folds" / "cross-subject" / "model.json", lambda m: m["classes"].append("another"))
    done = mmtsa("export", run, "-o", tmp_path / "out", expect=1)
    assert "best.safetensors: the weights are of another network" in done.stderr
    edit_json(run / "folds" / "cross-subject" / "model.json", lambda m: m["classes"].pop())
    edit_json(run / "folds" / "cross-subject" / "model.json", lambda m: m["inputs"]["acc_watch"].pop("size"))
    done = mmtsa("export", run, "-o", tmp_path / "out", expect=1)
    assert "the run does not say the size of its acc_watch; it is of an older mmtsa" in done.stderr
    edit_json(run / "manifest.json", lambda m: m["configuration"]["recipe"].update(magic=1))
    done = mmtsa("export", run, "-o", tmp_path / "out", expect=1)
    assert "trained by another version, expected a run that mmtsa 0.1.0 understands" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def at_half_the_rate(store, name):
    """Let a store hold every second sample of a sensor."""
    edit_json(store / "store.json", lambda s: s["modalities"][name].update(rate=s["modalities"][name]["rate"] / 2))
    bounds = np.load(store / f"series-{name}.npy")
    values = np.fromfile(store / f"series-{name}.bin", np.float32).reshape(bounds[-1], 3)
    kept = [values[first:after:2] for first, after in pairwise(bounds)]
    np.save(store / f"series-{name}.npy", np.cumsum([0, *map(len, kept)]))
    np.concatenate(kept).tofile(store / f"series-{name}.bin")


def test_samples_that_are_not_the_runs_are_refused(mmtsa, made, samples, tmp_path):
    store = shutil.copytree(samples, tmp_path / "store")
    shutil.copytree(samples, tmp_path / "as-it-was")
    at_half_the_rate(store, "acc_watch")
    asked = ("export", made / "run", "-o", tmp_path / "out", "--samples", store)
    done = mmtsa(*asked, expect=1)
    assert "the samples do not have the run's acc_watch, expected sensor with 3 channels, windows of 90" in done.stderr
    assert "found sensor with 3 channels, windows of 45 samples; give the samples that the run was" in done.stderr
    store = (tmp_path / "as-it-was").rename(shutil.rmtree(store) or store)
    rows = (store / "clips.csv").read_text()
    tested = open_run(made / "run").models[0]["clips"]["test"][0]
    (store / "clips.csv").write_text(rows.replace(f"{tested},", "other,"))
    done = mmtsa(*asked, expect=1)
    assert f"{tested}: 1 of the run's test clips are not in the samples" in done.stderr
    assert not (tmp_path / "out").exists()
