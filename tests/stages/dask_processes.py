"""A Dask scheduler and workers as processes of their own, which a test may kill."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass
class Cluster:
    """A scheduler at `address` and its workers, each of one thread."""

    address: str
    scheduler: subprocess.Popen
    place: Path
    workers: list[subprocess.Popen] = field(default_factory=list)

    def add_worker(self) -> None:
        """Start one more; it joins when it is ready."""
        options = ["--no-nanny", "--nthreads", "1", "--no-dashboard", "--local-directory", str(self.place)]
        self.workers.append(_started("dask_worker", self.address, *options))

    def stop(self) -> None:
        for process in [*self.workers, self.scheduler]:
            process.kill()
            process.wait()


@contextmanager
def cluster(place: Path, *, workers: int, allowed_failures: int = 3) -> Iterator[Cluster]:
    """Give a running cluster, gone when the block ends; so many workers may die of one task before it is given up."""
    told = place / "scheduler.json"
    options = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(told)]
    tolerant = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": str(allowed_failures)}
    running = Cluster("", _started("dask_scheduler", *options, **tolerant), place)
    try:
        running.address = _address(told, running.scheduler)
        for _ in range(workers):
            running.add_worker()
        yield running
    finally:
        running.stop()


def _started(program: str, *arguments: str, **settings: str) -> subprocess.Popen:
    # Tasks may be functions of the tests.
    path = os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, "-m", f"distributed.cli.{program}", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=REPOSITORY,
        env={**os.environ, **settings, "PYTHONPATH": path},
    )


def _address(told: Path, scheduler: subprocess.Popen) -> str:
    until = time.monotonic() + 60
    while time.monotonic() < until and scheduler.poll() is None:
        try:
            return str(json.loads(told.read_text())["address"])
        except (OSError, ValueError, KeyError):
            time.sleep(0.05)
    raise RuntimeError("the scheduler did not start")
