"""A training in several processes of this machine: torchrun starts them, and again where one dies."""

from __future__ import annotations

import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any

from mmtsa_cli.artifacts.directory import partial_path
from mmtsa_cli.artifacts.uploading import home_of
from mmtsa_cli.errors import ManyErrors, MmtsaError, UsageError
from mmtsa_cli.stages.processes import StoppedError, cores
from mmtsa_cli.stages.result import StageResult
from mmtsa_cli.stages.stopping import Asked, stop_on_signals
from mmtsa_cli.stages.trainings.process import MARK
from mmtsa_cli.training import launched

_WORKER = "mmtsa_cli.stages.trainings.process"
_STEP_S = 120
"""How long a process that is to stop may take for the step under way."""
_LOOK_S = 0.1
_LOG = "processes.log"


def speaks() -> bool:
    """Whether this process tells of a training: the first, where torchrun started it as one of several."""
    return launched.number() == 0


def run(
    samples: Path,
    output: Path,
    *,
    processes: int,
    restarts: int,
    listen: Callable[[Any], None] = lambda event: None,
    warn: Callable[[str], None] = lambda text: None,
    **wishes: Any,
) -> StageResult:
    """Train as `train.run` does, by several processes of this machine.

    Parameters
    ----------
    samples, output : Path
    processes : int
        Each trains on its part of every batch, with its share of the cores or a GPU of its own.
    restarts : int
        How often all are started again, to go on from the last checkpoint, as one has died.
    listen, warn : callable
        As of `train.run`.
    wishes : optional
        The other arguments of `train.run`.

    Returns
    -------
    StageResult
        As of `train.run`.

    Raises
    ------
    MmtsaError
        What `train.run` raises in one of them; or one died more often than `restarts`.
    StoppedError
        Interrupted; the checkpoint is written.
    """
    if not is_alone():
        raise UsageError(
            "this process is one of several already",
            where="--nproc",
            remedy="leave it out: torchrun says how many there are",
        )
    told = _Told(restarts, listen, warn)
    with tempfile.TemporaryDirectory(prefix="mmtsa-") as name:
        job, log = Path(name) / "job.json", Path(name) / _LOG
        job.write_text(json.dumps({"samples": str(samples), "output": str(output), **wishes}), encoding="utf-8")
        # Patient no longer than the person: the second Ctrl-C ends all where they stand.
        with stop_on_signals() as asked, _torchrun(job, log, processes, restarts) as agent:
            _attend(agent, told, asked)
        if told.result is not None:
            return StageResult(output, told.result["fresh"], told.result["facts"])
        raise _error(told, asked, output, log)


def is_alone() -> bool:
    """Whether torchrun, or a script in its place, did not start this process as one of several."""
    return not launched.is_one_of_several()


class _Told:
    """What the processes have said until now."""

    def __init__(self, restarts: int, listen: Callable[[Any], None], warn: Callable[[str], None]) -> None:
        self._restarts, self._listen, self._warn = restarts, listen, warn
        self.result: dict[str, Any] | None = None
        self.fault: dict[str, Any] | None = None
        self.bug: str | None = None
        self.stopped = "stopped before the first step"

    def take(self, what: str, value: Any) -> None:
        """Take note of a line, or pass it on."""
        if what == "event":
            self._listen(SimpleNamespace(**value))
        elif what == "warning":
            self._warn(value)
        elif what == "started" and value:
            self._warn(f"a process died: all were started again (restart {value} of {self._restarts})")
        elif what == "result":
            self.result = value
        elif what == "fault":
            self.fault = self.fault or value
        elif what == "bug":
            self.bug = value
        elif what == "stopped":
            self.stopped = value


def _attend(agent: subprocess.Popen[bytes], told: _Told, asked: Asked) -> None:
    """Listen to the processes until torchrun ends; pass the wish to stop on, and stop them where no restart helps."""
    lines: queue.Queue[bytes | None] = queue.Queue()
    threading.Thread(target=_read, args=(agent.stdout, lines), daemon=True).start()
    stopping = False
    while True:
        try:
            line = lines.get(timeout=_LOOK_S)
        except queue.Empty:
            line = b""
        if line is None:
            agent.wait()
            return
        text = line.decode("utf-8", "replace").strip()
        if text.startswith(MARK):
            told.take(*json.loads(text.removeprefix(MARK)))
        if (asked.answer() or told.fault) and not stopping:
            stopping = True
            agent.send_signal(signal.SIGTERM)


def _read(stream: IO[bytes], lines: queue.Queue[bytes | None]) -> None:
    for line in stream:
        lines.put(line)
    lines.put(None)


@contextmanager
def _torchrun(job: Path, log: Path, processes: int, restarts: int) -> Iterator[subprocess.Popen[bytes]]:
    """Start torchrun; when the block is left, neither it nor what it started runs any more."""
    options = ["--standalone", "--local-addr", "localhost", "--nproc-per-node", str(processes)]
    restarting = ["--max-restarts", str(restarts), "--log-dir", str(job.parent)]
    command = [sys.executable, "-m", "torch.distributed.run", *options, *restarting, "-m", _WORKER, str(job)]
    settings = {
        "OMP_NUM_THREADS": str(max(1, cores() // processes)),
        "TORCH_ELASTIC_SHUTDOWN_TIMEOUT": str(_STEP_S),
        # Those that are started again meet in a store of their own.
        "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1",
    }
    with log.open("wb") as stream:
        agent = subprocess.Popen(
            command,
            # Inherited by the processes, which end where this pipe does.
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stream,
            env={**os.environ, **settings},
            # A terminal's Ctrl-C comes here alone, and is passed on.
            start_new_session=True,
        )
        try:
            yield agent
        finally:
            agent.stdin.close()  # type: ignore[union-attr]
            agent.kill()
            agent.wait()


def _error(told: _Told, asked: Asked, output: Path, log: Path) -> MmtsaError:
    from mmtsa_cli.stages.trainings.unfinished import has_checkpoint

    if told.fault:
        kind = UsageError if told.fault["exit_code"] == UsageError.exit_code else MmtsaError
        errors = [kind(line) for line in told.fault["lines"]]
        return ManyErrors(errors) if len(errors) > 1 else errors[0]
    partial = partial_path(home_of(output).absolute())
    kept = has_checkpoint(partial)
    if asked.signal is not None:
        remedy = f"{partial} is kept, add --resume to go on" if kept else "nothing was kept"
        stopped = StoppedError(told.stopped, remedy=remedy)
        stopped.exit_code = 128 + asked.signal
        return stopped
    return MmtsaError(
        "a process of the training died, as did those started for it",
        where="--nproc",
        found=told.bug or _last_words(log),
        remedy=f"{partial} is kept, add --resume to go on; {_kept_log(log, partial)}" if kept else "nothing was kept",
    )


def _kept_log(log: Path, partial: Path) -> str:
    shutil.copyfile(log, partial / _LOG)
    return f"what they wrote is in its {_LOG}"


def _last_words(log: Path) -> str:
    """Return the last line in which torchrun, or a process, says what became of it."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    said = [line.strip() for line in lines if "exitcode" in line or "Error:" in line]
    return said[-1] if said else "nothing that was written"
