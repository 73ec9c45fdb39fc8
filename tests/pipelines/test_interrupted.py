"""Ctrl-C while recordings are made, checked, imaged or sampled: exit code 130, one line, nothing left."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.trees.own import content, write_recordings


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of 3000 recordings over four files: more than is sampled before the test interrupts."""
    rec = write_recordings(tmp_path_factory.mktemp("many") / "rec")
    header, *rows = csv.reader((rec / "index.csv").open())
    with (rec / "index.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([header, *([f"{r[0]}_{i}", *r[1:]] for i in range(750) for r in rows)])
    return rec


@pytest.mark.skipif(os.name != "posix", reason="signals of a terminal")
@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("seconds", [0.0, 2.0])
@pytest.mark.parametrize("name", ["synth", "sample", "imagify"])
def test_nothing_is_left(many: Path, tmp_path: Path, name: str, jobs: int, seconds: float) -> None:
    arguments = {
        "synth": ["synth", "--subjects", "40", "--repeats", "9"],
        "sample": ["sample", str(many), "--window", "1"],
        "imagify": ["imagify", str(many), "--modalities", "acc", "--size", "100"],
    }[name]
    before = content(many)
    command = [sys.executable, "-m", "mmtsa_cli", *arguments, "-o", str(tmp_path / "out"), "--jobs", str(jobs)]
    # A terminal sends Ctrl-C to the whole group, workers included.
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # A suite that a script runs in the background is told to ignore SIGINT, and its children with it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    while not (tmp_path / "out.partial").is_dir():
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    time.sleep(seconds)
    assert process.poll() is None, "done before it was interrupted"
    os.killpg(process.pid, signal.SIGINT)
    printed, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert (printed, said.strip()) == ("", "mmtsa: interrupted")
    assert list(tmp_path.iterdir()) == []
    assert content(many) == before
    assert not _group_is_alive(process.pid)


def _group_is_alive(group: int, patience_s: float = 5.0) -> bool:
    """Whether a process of the group is still there after a moment in which they may end."""
    until = time.monotonic() + patience_s
    while time.monotonic() < until:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return False
        time.sleep(0.05)
    return True
