"""A disk that fills up under every command that writes: one line that says so, exit code 1, nothing half-written."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from safetensors import safe_open

from mmtsa_cli.sampling.packing import StoreWriter
from tests.pipelines.conftest import SMALL
from tests.trees.own import content

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
WHERE = {
    "synth": "mmtsa_cli.recordings.synthesis.generator.encode",
    "prepare": "mmtsa_cli.stages.prepare.write_index",
    "imagify": "mmtsa_cli.imaging.files.replace_file",
    "sample": "mmtsa_cli.sampling.packing.StoreWriter.finish",
    "eval": "mmtsa_cli.reporting.plots._save",
}
"""What writes the last part of each command's result."""


def fail(*arguments: object, **options: object) -> None:
    raise FULL


def assert_told(outcome, place: Path) -> None:
    (line,) = [line for line in outcome.stderr.splitlines() if not line.startswith("epoch")]
    assert line.startswith(f"mmtsa: error: {place}")
    assert ": cannot be written: No space left on device; " in line
    assert "free some space" in line


@pytest.mark.parametrize("name", WHERE)
def test_nothing_is_left(mmtsa, commands: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    before = content(tmp_path)
    monkeypatch.setattr(WHERE[name], fail)
    outcome = mmtsa(*commands[name], "-o", tmp_path / "out", expect=1)
    assert_told(outcome, tmp_path / "out")
    assert "nothing was kept" in outcome.stderr
    assert content(tmp_path) == before
    assert not (tmp_path / "out.partial").exists()


def test_an_earlier_result_stays_as_it_is(mmtsa, commands: dict, tmp_path: Path, monkeypatch) -> None:
    mmtsa(*commands["sample"], "-o", tmp_path / "out")
    before = content(tmp_path)
    monkeypatch.setattr(StoreWriter, "finish", fail)
    mmtsa(*commands["sample"], "--segments", 2, "-o", tmp_path / "out", "--overwrite", expect=1)
    assert content(tmp_path) == before


def test_training_keeps_its_last_whole_checkpoint(mmtsa, store: Path, tmp_path: Path, monkeypatch) -> None:
    from mmtsa_cli.training import checkpoint

    whole, calls = checkpoint.replace_file, []

    def until_full(path: Path, data: bytes, **others: object) -> None:
        calls.append(path)
        if len(calls) > full_after:
            raise FULL
        whole(path, data, **others)

    monkeypatch.setattr(checkpoint, "replace_file", until_full)
    arguments = ("train", store, *SMALL, "--set", "training.epochs=3", "-o", tmp_path / "out")
    full_after = 0
    outcome = mmtsa(*arguments, expect=1)
    assert_told(outcome, tmp_path / "out")
    assert "nothing was kept" in outcome.stderr
    assert not (tmp_path / "out.partial").exists()
    calls.clear()
    full_after = 1
    outcome = mmtsa(*arguments, expect=1)
    assert_told(outcome, tmp_path / "out.partial")
    assert "the last whole checkpoint is kept: free some space and add --resume to go on" in outcome.stderr
    assert not (tmp_path / "out").exists()
    monkeypatch.setattr(checkpoint, "replace_file", whole)
    mmtsa(*arguments, "--resume")
    assert (tmp_path / "out" / "manifest.json").is_file()
    assert not (tmp_path / "out.partial").exists()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, in memory, whose size a test can set."""
    place = tmp_path / "disk"
    place.mkdir()
    if os.name != "posix" or os.geteuid() != 0 or not shutil.which("mount"):
        pytest.skip("a real full disk needs mount, and so root")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(place)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*WHERE, "train", "gaf.png", "gaf.npy"])
def test_a_real_disk_of_every_size(mmtsa, commands: dict, rec: Path, disk: Path, name: str) -> None:
    command = commands.get(name) or ("imagify", rec / "walk_1.csv")
    output = disk / (name if name.startswith("gaf") else "out")
    refused = 0
    # From one page up to the size at which it fits.
    for kilobytes in (4 * 2**power for power in range(14)):
        subprocess.run(["mount", "-o", f"remount,size={kilobytes}k", str(disk)], check=True)
        outcome = mmtsa(*command, "-o", output, expect=None)
        if outcome.code == 0:
            break
        refused += 1
        assert outcome.code == 1
        assert_told(outcome, output)
        left = {str(path.relative_to(disk)) for path in disk.rglob("*") if path.is_file()}
        if name == "train" and left:
            assert "the last whole checkpoint is kept" in outcome.stderr
            checkpoints = list(disk.glob("out.partial/folds/*/*.safetensors"))
            assert checkpoints
            for path in checkpoints:
                with safe_open(str(path), framework="pt") as tensors:
                    assert tensors.keys()
            shutil.rmtree(disk / "out.partial")
        else:
            assert left == set()
            assert "nothing was kept" in outcome.stderr
    assert output.exists()
    assert refused > 0
