"""Trainings whose run lies elsewhere: the same run, put there when it is whole, and lost at no time."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("fsspec", reason="the extra `cluster` is not installed")

from mmtsa_cli.artifacts.remote import RemotePath, UnreachableError
from mmtsa_cli.stages.stopping import Asked
from tests.trees.servers import content

TRAIN = (
    *("--recipe", "fast", "--protocol", "cross-subject", "--modalities", "gyro"),
    *("--set", "training.epochs=2", "--set", "training.threads=1"),
)
BEST = "folds/cross-subject/best.safetensors"


def test_a_run_elsewhere_is_the_one_made_here(mmtsa, samples, ten, elsewhere, cache, tmp_path):
    mmtsa("train", samples, "-o", tmp_path / "run", *TRAIN)
    mmtsa("train", samples, "-o", f"{elsewhere}/run", *TRAIN)
    here, there = content(tmp_path / "run"), content(f"{elsewhere}/run")
    assert there.keys() == here.keys()
    assert there[BEST] == here[BEST]
    assert not list((cache / "unfinished").iterdir())
    assert (
        f"{elsewhere}/run already holds this result" in mmtsa("train", samples, "-o", f"{elsewhere}/run", *TRAIN).stderr
    )

    mmtsa("eval", tmp_path / "run", samples, "-o", tmp_path / "eval")
    mmtsa("eval", f"{elsewhere}/run", samples, "-o", f"{elsewhere}/eval")
    assert content(f"{elsewhere}/eval")["predictions.csv"] == content(tmp_path / "eval")["predictions.csv"]
    predicted = [mmtsa("predict", run, ten, "--format", "csv").stdout for run in (tmp_path / "run", f"{elsewhere}/run")]
    assert predicted[0] == predicted[1]


def test_a_run_that_cannot_be_put_there_is_kept_and_put_there_later(mmtsa, samples, memory, cache, monkeypatch):
    really = RemotePath.upload

    def failing(path: RemotePath, local: Path) -> None:
        if path.name == "model.json":
            raise UnreachableError("cannot be written", where=str(path), found="no answer")
        really(path, local)

    with monkeypatch.context() as patch:
        patch.setattr(RemotePath, "upload", failing)
        told = mmtsa("train", samples, "-o", f"{memory}/run", *TRAIN, expect=1).stderr
    assert RemotePath(f"{memory}/run").files() == []
    (kept,) = (cache / "unfinished").glob("*/run")
    assert f"kept as {kept}: give the same command again to put it there" in told.splitlines()[-1]
    whole = content(kept)
    again = mmtsa("train", samples, "-o", f"{memory}/run", *TRAIN).stderr
    assert "epoch" not in again
    assert content(f"{memory}/run") == whole
    assert not kept.exists()


def test_an_interrupted_one_is_gone_on_with_here(mmtsa, samples, memory, cache, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        steps = iter(range(10**6))
        patch.setattr(Asked, "answer", lambda self: next(steps) >= 3)
        told = mmtsa("train", samples, "-o", f"{memory}/run", *TRAIN, expect=None)
    assert told.code == 130
    (partial,) = (cache / "unfinished").glob("*/run.partial")
    assert f"{partial} is kept, add --resume to go on" in told.stderr
    assert RemotePath(f"{memory}/run").files() == []
    assert "an unfinished training is there" in mmtsa("train", samples, "-o", f"{memory}/run", *TRAIN, expect=2).stderr
    mmtsa("train", samples, "-o", f"{memory}/run", *TRAIN, "--resume")
    mmtsa("train", samples, "-o", tmp_path / "run", *TRAIN)
    assert content(f"{memory}/run")[BEST] == content(tmp_path / "run")[BEST]


def test_a_training_that_fails_leaves_nothing(mmtsa, samples, memory, cache):
    told = mmtsa("train", samples, "-o", f"{memory}/run", *TRAIN, "--set", "imaging.quantile=0.6", expect=2).stderr
    assert "imaging.quantile" in told
    mmtsa("train", samples, "-o", f"{memory}/run", *TRAIN, "--set", "training.lr=1e30", expect=1)
    assert RemotePath(f"{memory}/run").files() == []
    assert not list((cache / "unfinished").iterdir())


def test_a_place_that_cannot_be_written_is_told_before_training(mmtsa, samples, s3):
    told = mmtsa("train", samples, "-o", "s3://no-such-bucket/run", *TRAIN, expect=1).stderr
    assert "epoch" not in told
    assert "s3://no-such-bucket/run: cannot be written" in told.splitlines()[-1]
