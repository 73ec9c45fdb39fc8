"""SIGTERM, as batch systems send it: exit code 143, one line, nothing half-written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")


@pytest.mark.parametrize(
    "arguments",
    [
        ("benchmark", "--speed"),
        ("synth", "--subjects", "40", "--repeats", "9", "--jobs", "2"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_nothing_is_left(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    command = [sys.executable, "-m", "mmtsa_cli", *arguments, "-o", str(tmp_path / "out")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "out.partial" / ".writing").is_file():
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 143, said
    assert said.strip().splitlines()[-1] == "mmtsa: terminated"
    assert "Traceback" not in said
    assert list(tmp_path.iterdir()) == []
