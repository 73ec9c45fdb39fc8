"""Modules run as programs of their own, some at once; none of them, nor what they started, outlives this process."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol, TypeVar

from mmtsa_cli.errors import MmtsaError

STOP = b"s"
"""What is written to the stdin of a process that is to stop."""
_LOOK_S = 0.05


class StoppedError(MmtsaError):
    """Work was asked to stop, and what is finished is kept (exit code 130, as for any interrupted program)."""

    exit_code = 130


class Startable(Protocol):
    """Work that is done by a process."""

    def start(self) -> subprocess.Popen:
        """Start the process."""


S = TypeVar("S", bound=Startable)


def run_processes(
    tasks: Sequence[S], *, jobs: int, should_stop: Callable[[], bool] = lambda: False
) -> Iterator[tuple[S, int]]:
    """Run every task, `jobs` at once, and yield each with its exit code when it has ended.

    Whyever the iteration is left, no process is left behind.

    Raises
    ------
    StoppedError
        `should_stop` said so: the processes were told, and have ended.
    """
    waiting = list(tasks)
    running: dict[subprocess.Popen, S] = {}
    with _none_left(running):
        while waiting or running:
            if should_stop():
                _stop(running)
                raise StoppedError("stopped", remedy="what is finished is kept: give the same command again to go on")
            while waiting and len(running) < jobs:
                task = waiting.pop(0)
                running[task.start()] = task
            time.sleep(_LOOK_S)
            for process in [process for process in running if process.poll() is not None]:
                task = running.pop(process)
                _end_group(process)
                yield task, process.returncode


def start_module(module: str, *arguments: Path, log: IO[bytes], threads: int) -> subprocess.Popen:
    """Start `python -m module arguments`, its output into `log`, its arithmetic on `threads` threads."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    return subprocess.Popen(
        [sys.executable, "-m", module, *map(str, arguments)],
        # A signal can come before a program handles it; a byte in a pipe waits. Where the pipe ends, this process has
        # died, and the other must not outlive it.
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=log,
        env={**os.environ, **dict.fromkeys(names, str(threads))},
        # A terminal's Ctrl-C comes here alone, and is passed on as a byte.
        start_new_session=True,
    )


def cores() -> int:
    """Return the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _stop(running: Collection[subprocess.Popen]) -> None:
    for process in running:
        if process.stdin:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(STOP)
                process.stdin.flush()
    for process in running:
        process.wait()


@contextmanager
def _none_left(running: Collection[subprocess.Popen]) -> Iterator[None]:
    try:
        yield
    finally:
        for process in running:
            _end_group(process)
            process.kill()
            process.wait()


def _end_group(process: subprocess.Popen) -> None:
    """End what a process may have left behind, and the process itself where it is still there."""
    if process.stdin:
        process.stdin.close()
    if os.name == "posix":
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            return
