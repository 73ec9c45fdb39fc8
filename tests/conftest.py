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


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own: neither does it touch the user's, nor does it find what another test left."""
    directory = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("MMTSA_CACHE", str(directory))
    return directory


@pytest.fixture
def eager_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let several jobs mean several processes, however little there is to do."""
    from mmtsa_cli.stages import parallel

    monkeypatch.setattr(parallel, "_WORTH_PROCESSES_S", -1.0)


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The real recordings: `MMTSA_DATA`, or `../shared/data` beside the checkout."""
    named = os.environ.get("MMTSA_DATA")
    root = Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not root.is_dir():
        pytest.skip(f"no real recordings: {root} is not there; set MMTSA_DATA")
    return root


@pytest.fixture(scope="session")
def synthetic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small synthetic recordings: 4 people, 14 activities, 2 sessions, clips of 4 s at 64 pixels."""
    from mmtsa_cli.stages import synth

    return synth.run(tmp_path_factory.mktemp("synthetic") / "rec", subjects=4, repeats=2, size=64, seconds=4.0).output


@pytest.fixture(scope="session")
def samples(synthetic: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sample store of the small synthetic recordings: every modality, 3 segments of 3 candidate frames."""
    from mmtsa_cli.stages import sample

    options = sample.CuttingOptions(segments=3, frames=3, window_s=1.0, short_side=64)
    return sample.run(synthetic, tmp_path_factory.mktemp("store") / "samples", options=options).output
