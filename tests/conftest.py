"""Fixtures that every test may use."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from mmtsa_cli import cli


@dataclass(frozen=True)
class Outcome:
    """What a command line did."""

    code: int
    stdout: str
    stderr: str


@pytest.fixture
def mmtsa(capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Run `mmtsa ARGUMENTS...` in this process, errors turned into lines and exit codes as for a user."""

    def call(*arguments: object, expect: int | None = 0) -> Outcome:
        capsys.readouterr()
        code = cli.run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        if expect is not None:
            assert code == expect, f"exit code {code}, wanted {expect}:\n{captured.out}\n{captured.err}"
        return Outcome(code, captured.out, captured.err)

    return call


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The real recordings: `MMTSA_DATA`, or `../shared/data` beside the checkout."""
    named = os.environ.get("MMTSA_DATA")
    root = Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not root.is_dir():
        pytest.skip(f"no real recordings: {root} is not there; set MMTSA_DATA")
    return root
