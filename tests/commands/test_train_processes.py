"""`mmtsa train` in several processes: the same result as in one, also where one of them is killed; a clean end."""

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from mmtsa_cli.stages.trainings import group as train_group

QUICK = """
modalities: [acc_phone, gyro]
sampling: {frame_size: 32, window: 1.0}
imaging: {field: both, range: unit, scale: dataset, image_size: 32}
model: {backbone: resnet10, width: 0.125, hidden: 32, dropout: 0.3, modality_dropout: 0.2}
training: {epochs: 4, batch_size: 9, optimizer: adamw, lr: 0.004, precision: float32, threads: 1, mixup: 0.3,
  average: 0.9, parts: 2}
validation: {count: 1}
"""


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    path = tmp_path_factory.mktemp("recipe") / "quick.yaml"
    path.write_text(QUICK)
    return path


@pytest.fixture(scope="module")
def alone(samples, quick, tmp_path_factory):
    """The training in one process, which computes both parts of each batch one after the other."""
    from mmtsa_cli.stages import train

    return train.run(samples, tmp_path_factory.mktemp("alone") / "run", recipe=str(quick)).output


def fold(run):
    return run / "folds" / "cross-subject"


def log(run):
    rows = csv.DictReader((fold(run) / "log.csv").open())
    return [
        [float(row[name]) for name in ("loss", "accuracy", "validation_loss", "validation_accuracy")] for row in rows
    ]


def assert_same(one, other):
    """Weights to 1e-5 of the largest, losses and scores to 1e-5: what rounding in another order may change."""
    first, second = (load_file(fold(run) / "best.safetensors") for run in (one, other))
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert np.allclose(value, second[name], rtol=0, atol=1e-5 * np.abs(value).max(initial=1e-9)), name
    assert np.allclose(log(one), log(other), rtol=1e-5, atol=1e-5)


def started(samples, quick, output, *settings):
    """Start `mmtsa train --nproc 2` with a temporary directory by which its processes can be told from others."""
    command = ["train", samples, "-o", output, "--recipe", quick, "--nproc", 2, *settings]
    temporary = output.parent / "tmp"
    temporary.mkdir()
    return subprocess.Popen(
        [sys.executable, "-m", "mmtsa_cli", *map(str, command)],
        env={**os.environ, "TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(process, phrase):
    for line in process.stderr:
        if phrase in line:
            return
    raise AssertionError(f"the processes ended before {phrase!r}")


def workers(directory):
    """Return the processes that train, by their number."""
    found = {}
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            environment = dict(
                part.split(b"=", 1) for part in (entry / "environ").read_bytes().split(b"\0") if b"=" in part
            )
        except OSError:
            continue
        if b"torch.distributed.run" not in words and any(word.startswith(bytes(directory / "tmp")) for word in words):
            found[int(environment[b"RANK"])] = int(entry.name)
    return found


linux = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks for processes in /proc")


@linux
def test_a_process_that_is_killed_is_replaced_and_the_result_is_that_of_one_process(samples, quick, alone, tmp_path):
    process = started(samples, quick, tmp_path / "run")
    wait_for(process, "epoch 2 of 4")
    os.kill(workers(tmp_path)[1], signal.SIGKILL)
    output, said = process.communicate(timeout=120)
    assert process.returncode == 0, said
    assert "a process died: all were started again (restart 1 of 3)" in said
    assert "Traceback" not in said
    assert "Training run" in output
    assert_same(tmp_path / "run", alone)
    # What only several processes need does not stay.
    assert {path.name for path in (tmp_path / "run").iterdir()} == {path.name for path in alone.iterdir()}
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.slow
@linux
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_all_end_and_one_process_can_go_on(mmtsa, samples, quick, alone, tmp_path, how):
    process = started(samples, quick, tmp_path / "run")
    wait_for(process, "epoch 2 of 4")
    process.send_signal(how)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 128 + how
    assert "run.partial is kept, add --resume to go on" in said
    assert workers(tmp_path) == {}
    mmtsa("train", samples, "-o", tmp_path / "run", "--recipe", quick, "--resume")
    assert_same(tmp_path / "run", alone)


@pytest.mark.slow
@linux
def test_killed_too_often_the_training_ends_and_is_kept(mmtsa, samples, quick, tmp_path):
    process = started(samples, quick, tmp_path / "run", "--max-restarts", 0)
    wait_for(process, "epoch 2 of 4")
    os.kill(workers(tmp_path)[0], signal.SIGKILL)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "--nproc: a process of the training died, as did those started for it" in said
    assert "is kept, add --resume to go on; what they wrote is in its processes.log" in said
    assert "exitcode: -9" in (tmp_path / "run.partial" / "processes.log").read_text()


@pytest.mark.slow
def test_synchronised_norms_make_several_processes_train_as_one_on_whole_batches(mmtsa, samples, quick, tmp_path):
    settings = ["training.parts=0", "training.sync_norm=true", "training.mixup=0", "model.dropout=0"]
    rest = ["model.modality_dropout=0", "training.optimizer=sgd", "training.lr=0.01", "training.epochs=2"]
    options = [word for setting in settings + rest for word in ("--set", setting)]
    for name, more in (("one", ()), ("two", ("--nproc", 2))):
        mmtsa("train", samples, "-o", tmp_path / name, "--recipe", quick, *options, *more)
    # Rounding alone differs, and each step of momentum adds to it.
    assert np.allclose(log(tmp_path / "one"), log(tmp_path / "two"), rtol=1e-3, atol=0.04)
    first, second = (load_file(fold(tmp_path / name) / "best.safetensors") for name in ("one", "two"))
    assert all(
        np.allclose(first[name], second[name], atol=0.02 * np.abs(first[name]).max(initial=1e-2)) for name in first
    )


@pytest.mark.slow
def test_a_wrong_wish_is_told_once_and_nothing_is_started_again(mmtsa, samples, quick, tmp_path):
    wish = ("--set", "training.lr=-1")
    done = mmtsa("train", samples, "-o", tmp_path / "run", "--recipe", quick, "--nproc", 2, *wish, expect=2)
    assert done.stderr.count("training.lr is wrong, expected a number above 0") == 1
    assert "started again" not in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("settings", "phrase"),
    [
        (("training.parts=5",), "training.batch_size: a batch of 9 clips in 5 parts"),
        (("training.sync_norm=true",), "training.sync_norm: norms see only what is computed at the same time"),
        (("model.pairing=0.1",), "model.pairing: pairing tells a clip from all others of its batch"),
    ],
)
def test_what_cannot_be_cut_is_refused(mmtsa, samples, quick, tmp_path, settings, phrase):
    options = [word for setting in settings for word in ("--set", setting)]
    done = mmtsa("train", samples, "-o", tmp_path / "run", "--recipe", quick, *options, expect=2)
    assert phrase in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_torchrun_says_itself_how_many_processes_there_are(mmtsa, samples, quick, tmp_path, monkeypatch):
    for name in ("RANK", "LOCAL_RANK"):
        monkeypatch.setenv(name, "1")
    for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_PORT"):
        monkeypatch.setenv(name, "2")
    monkeypatch.setenv("MASTER_ADDR", "localhost")
    done = mmtsa("train", samples, "-o", tmp_path / "run", "--recipe", quick, "--nproc", 2, expect=2)
    assert "--nproc: this process is one of several already; leave it out" in done.stderr
    assert "name SAMPLES" in mmtsa("train", "-o", tmp_path / "run", expect=2).stderr
    assert not train_group.speaks()


def test_the_settings_of_parts_are_in_the_manifest(alone):
    training = json.loads((alone / "manifest.json").read_text())["configuration"]["recipe"]["training"]
    assert (training["parts"], training["sync_norm"]) == (2, False)
