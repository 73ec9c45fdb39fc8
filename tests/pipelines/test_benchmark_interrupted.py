"""A benchmark that is interrupted: exit code 130, no process left, and the same table when it has gone on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.pipelines.conftest import SMALL

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of a terminal")
LAST = Path("work") / "mmtsa--cross-subject--seed-0" / "last.safetensors"


def start(store: Path, output: Path) -> subprocess.Popen:
    command = [
        sys.executable, "-m", "mmtsa_cli", "benchmark", str(store), "-o", str(output), "--methods", "mmtsa,svm",
        *SMALL, "--set", "training.epochs=12", "--jobs", "2",
    ]  # fmt: skip
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def wait_for(path: Path, process: subprocess.Popen) -> None:
    while not path.is_file():
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)


def units_alive(output: Path, patience_s: float = 8.0) -> list[str]:
    """Return the command lines of units of a benchmark that are there after a moment in which they may end."""
    until = time.monotonic() + patience_s
    while time.monotonic() < until:
        lines = subprocess.run(
            ["ps", "-eww", "-o", "args"], capture_output=True, text=True, check=True
        ).stdout.splitlines()
        alive = [line for line in lines if "unit_process" in line and str(output) in line]
        if not alive:
            return []
        time.sleep(0.05)
    return alive


def probabilities(output: Path) -> np.ndarray:
    with np.load(output / "units" / "mmtsa--cross-subject--seed-0" / "predictions.npz") as stored:
        return stored["probabilities"]


def accuracies(output: Path) -> dict[str, float]:
    return {row["method"]: row["accuracy"] for row in json.loads((output / "table.json").read_text())["rows"]}


def test_interrupted_and_given_again_it_is_as_one_that_was_not(store: Path, tmp_path: Path) -> None:
    output = tmp_path / "bench"
    process = start(store, output)
    wait_for(output / LAST, process)
    assert units_alive(output, 0.01)
    os.killpg(process.pid, signal.SIGINT)
    printed, said = process.communicate(timeout=60)
    assert (process.returncode, printed) == (130, "")
    assert "stopped; what is finished is kept: give the same command again to go on" in said
    assert "Traceback" not in said
    assert units_alive(output) == []
    assert (output / LAST).is_file()
    assert not (output / "results.json").exists()
    again = start(store, output)
    _, said = again.communicate(timeout=120)
    assert again.returncode == 0, said
    assert not (output / "work").exists()
    whole = start(store, tmp_path / "whole")
    _, said = whole.communicate(timeout=120)
    assert whole.returncode == 0, said
    assert np.array_equal(probabilities(output), probabilities(tmp_path / "whole"))
    assert accuracies(output) == accuracies(tmp_path / "whole")


def test_killed_it_leaves_no_process(store: Path, tmp_path: Path) -> None:
    output = tmp_path / "bench"
    process = start(store, output)
    wait_for(output / LAST, process)
    assert units_alive(output, 0.01)
    process.kill()
    process.communicate()
    assert units_alive(output) == []
    assert not (output / "results.json").exists()
