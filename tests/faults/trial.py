"""One trial: a stage is begun, disturbed, looked at, given again, and compared with one that nobody disturbed."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.stages import STAGES, Stage

_MARK = "MMTSA_FAULT_TRIAL"
_PATIENCE_S = 20.0
_LONGEST_S = 300.0


class LostError(AssertionError):
    """Something was lost, left behind, or said badly."""


@dataclass
class Ground:
    """The inputs of all trials, and what each stage makes of them undisturbed.

    Attributes
    ----------
    inputs : Path
    whole : mapping of str to mapping
        Per stage its result.
    seconds, kilobytes : mapping of str to number
        How long it takes, and what it leaves on a disk.
    """

    inputs: Path
    whole: dict[str, Mapping[str, str]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    kilobytes: dict[str, int] = field(default_factory=dict)

    def measure(self, name: str) -> None:
        """Run a stage undisturbed, unless that is done."""
        if name in self.whole:
            return
        with trial(self, name, seed=0) as one:
            begun = time.monotonic()
            one.expect(one.start(), 0)
            self.seconds[name] = time.monotonic() - begun
            self.whole[name] = one.stage.result(one.output)
            files = [path for path in one.place.rglob("*") if path.is_file()]
            self.kilobytes[name] = sum(-(-path.stat().st_size // 4096) * 4 for path in files)


@dataclass
class Trial:
    """A stage with an output and a cache of its own.

    Attributes
    ----------
    random : random.Random
        By the seed of the trial: the same moments every time.
    """

    name: str
    stage: Stage
    ground: Ground
    inputs: Path
    place: Path
    random: random.Random
    environment: dict[str, str] = field(default_factory=dict)
    sessions: list[bytes] = field(default_factory=list)

    @property
    def output(self) -> Path:
        """What the command writes."""
        return self.place / "out" / "result"

    @property
    def partial(self) -> Path:
        """Where it works until then; a benchmark grows in place."""
        return self.output if self.name == "benchmark" else self.output.with_name("result.partial")

    def start(self, *more: str) -> subprocess.Popen:
        """Begin the command as a process group of its own."""
        environment = {
            **os.environ,
            "MMTSA_CACHE": str(self.place / "cache"),
            "TMPDIR": str(self.place / "tmp"),
            _MARK: str(self.place),
            **self.environment,
        }
        command = [sys.executable, "-m", "mmtsa_cli", *self.stage.arguments(self.inputs, self.output), *more]
        process = subprocess.Popen(
            command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
            start_new_session=True,
            # Whoever runs this in the background has had SIGINT ignored.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        self.sessions.append(str(process.pid).encode())
        return process

    def wait_for_partial(self, process: subprocess.Popen) -> None:
        """Wait until the output is under way, or the process has ended."""
        while process.poll() is None and not (self.partial / ".writing").exists():
            time.sleep(0.002)

    def expect(self, process: subprocess.Popen, *codes: int, phrase: str = "") -> str:
        """Wait for the end, and look at exit code and last line; return what was said."""
        _, said = process.communicate(timeout=_LONGEST_S)
        if process.returncode not in codes:
            raise LostError(f"exit code {process.returncode}, wanted {codes}: {said[-2000:]}")
        if "Traceback" in said or "internal error" in said or phrase not in said:
            raise LostError(f"said {said[-2000:]!r}, wanted {phrase!r}")
        return said

    def at_a_moment(self, process: subprocess.Popen) -> bool:
        """Wait for a random moment of the work; return whether it is still going on."""
        moment = self.random.uniform(0.05, 1.0) * self.ground.seconds[self.name]
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(moment)
        return process.poll() is None

    def check_nothing_runs(self) -> None:
        """Wait for the last process of the trial to end."""
        until = time.monotonic() + _PATIENCE_S
        while (alive := self._alive()) and time.monotonic() < until:
            time.sleep(0.05)
        if alive:
            raise LostError(f"still running: {alive}")

    def check_again(self) -> None:
        """Give the command again until it is whole, and compare."""
        for _ in range(2):
            resumable = bool(self.stage.again) and self.partial.is_dir()
            self.expect(self.start(*(self.stage.again if resumable else ())), 0)
            found = self.stage.result(self.output)
            self.check_same(found)
        self.check_nothing_stays()

    def check_same(self, found: Mapping[str, str]) -> None:
        """Compare with the undisturbed result, name by name."""
        whole = self.ground.whole[self.name]
        different = [name for name in sorted({*whole, *found}) if whole.get(name) != found.get(name)]
        if different:
            raise LostError(f"{len(different)} parts differ from the undisturbed: {different[:5]}")

    def check_nothing_stays(self) -> None:
        """Look beside the output, and among temporary files."""
        self.check_nothing_runs()
        beside = sorted(path.name for path in self.output.parent.iterdir())
        if beside != [self.output.name]:
            raise LostError(f"beside the result: {beside}")
        for folder in ("tmp", "cache"):
            left = [str(path.relative_to(self.place)) for path in (self.place / folder).rglob("*") if _is_stray(path)]
            if left:
                raise LostError(f"left behind: {left[:5]}")

    def _alive(self) -> list[str]:
        mark = f"{_MARK}={self.place}".encode()
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                state, _, _, session = (process / "stat").read_bytes().rpartition(b")")[2].split()[:4]
                ours = session in self.sessions or mark in (process / "environ").read_bytes()
                if ours and state != b"Z":
                    found.append(f"{process.name} {(process / 'cmdline').read_bytes()[:200]!r}")
        return found


def _is_stray(path: Path) -> bool:
    # Matplotlib's and others' caches are kept on purpose; what is unfinished or locked is not.
    return path.is_file() and ("partial" in path.name or path.parent.name == "tmp" or path.name == ".writing")


@contextlib.contextmanager
def trial(
    ground: Ground, name: str, *, seed: int, inputs: Path | None = None, place: Path | None = None
) -> Iterator[Trial]:
    """Give a trial, and clear its place away afterwards."""
    folder = place or Path(tempfile.mkdtemp(prefix="mmtsa-trial-"))
    for sub in ("out", "tmp", "cache"):
        (folder / sub).mkdir(exist_ok=True)
    one = Trial(name, STAGES[name], ground, inputs or ground.inputs, folder, random.Random(f"{name} {seed}"))
    try:
        yield one
    finally:
        shutil.rmtree(folder, ignore_errors=True)


Fault = Callable[[Ground, str, int], None]
"""Takes the ground, the stage and the seed of the trial; raises `LostError`; `Unavailable` where it cannot be made."""


class Unavailable(Exception):  # noqa: N818 - no error
    """Why a fault cannot be made here."""
