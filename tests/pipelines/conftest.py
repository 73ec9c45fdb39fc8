"""Sound recordings, a store and a run of them, which tests spoil or write beside."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.trees.own import write_recordings
from tests.trees.utd_mhad import write_utd_mhad

SMALL = ("--set", "training.epochs=1", "--set", "model.width=0.125", "--set", "model.hidden=16", "--set",
         "sampling.frame_size=32", "--set", "imaging.image_size=16", "--set", "training.threads=1")  # fmt: skip


@pytest.fixture(scope="package")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_recordings(tmp_path_factory.mktemp("sound") / "rec", subjects=("1", "2", "3"))


@pytest.fixture
def rec(sound: Path, tmp_path: Path) -> Path:
    """Recordings of 2 activities by 3 subjects, which a test may spoil."""
    return Path(shutil.copytree(sound, tmp_path / "rec"))


@pytest.fixture(scope="package")
def store(sound: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from mmtsa_cli.stages import sample

    options = sample.CuttingOptions(frames=2, window_s=0.5)
    return sample.run(sound, tmp_path_factory.mktemp("store") / "samples", options=options, jobs=1).output


@pytest.fixture(scope="package")
def run(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from mmtsa_cli.stages import train

    return train.run(store, tmp_path_factory.mktemp("run") / "run", settings=SMALL[1::2], modalities=("acc",)).output


@pytest.fixture
def commands(rec: Path, store: Path, run: Path, tmp_path: Path) -> dict[str, tuple]:
    """Every command that writes a directory, without its output."""
    return {
        "synth": ("synth", "--subjects", 2, "--repeats", 1, "--size", 32, "--seconds", 2, "--jobs", 1),
        "prepare": ("prepare", "utd-mhad", write_utd_mhad(tmp_path / "utd")),
        "imagify": ("imagify", rec, "--modalities", "acc", "--jobs", 1),
        "sample": ("sample", rec, "--window", 0.5, "--jobs", 1),
        "train": ("train", store, *SMALL),
        "eval": ("eval", run, store),
    }
