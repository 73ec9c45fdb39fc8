"""The faults, each as a function: it disturbs a stage at moments that the seed gives, and checks what comes after."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.faults.trial import Fault, Ground, LostError, Trial, Unavailable, trial

_CLOCK = """
import random, time
_true, _n = time.time, random.Random(SEED)
def _jumping():
    return _true() + _n.uniform(-1e8, 1e8)
time.time = _jumping
time.time_ns = lambda: int(1e9 * _jumping())
"""


def interrupted(ground: Ground, name: str, seed: int) -> None:
    """Send SIGINT to the whole group, as a terminal does."""
    _signalled(ground, name, seed, signal.SIGINT, 130)


def terminated(ground: Ground, name: str, seed: int) -> None:
    """Send SIGTERM, in turns to the process and to all of its group, as batch systems do."""
    _signalled(ground, name, seed, signal.SIGTERM, 143)


def killed(ground: Ground, name: str, seed: int) -> None:
    """Send SIGKILL, in turns to the process and to all of its group."""
    _signalled(ground, name, seed, signal.SIGKILL, -signal.SIGKILL)


def _signalled(ground: Ground, name: str, seed: int, number: signal.Signals, code: int) -> None:
    with trial(ground, name, seed=seed) as one:
        process = one.start()
        running = one.at_a_moment(process)
        if running and (number == signal.SIGINT or seed % 2):
            os.killpg(process.pid, number)
        elif running:
            process.send_signal(number)
        # Before Python runs a line of ours, a signal ends it as it ends any program.
        said = one.expect(process, code, -number, 0) if running else one.expect(process, 0)
        if process.returncode == code and number != signal.SIGKILL:
            _check_stopped(one, said)
        one.check_nothing_runs()
        one.check_again()


def _check_stopped(one: Trial, said: str) -> None:
    lines = [line for line in said.splitlines() if "terminated" in line or "interrupted" in line or "stopped" in line]
    if not lines:
        raise LostError(f"does not say that it was stopped: {said[-500:]!r}")
    left = [path.name for path in one.output.parent.iterdir()]
    resumable = {"train": ["result.partial"], "benchmark": ["result"]}.get(one.name, [])
    if left not in ([], resumable, ["result"]):
        raise LostError(f"stopped, it leaves {left}")
    if (one.partial / ".writing").exists():
        raise LostError("stopped, it leaves its lock")


def full_disk(ground: Ground, name: str, seed: int) -> None:
    """Give a disk that holds a part of the result; then room."""
    with _disk() as disk, trial(ground, name, seed=seed, place=disk) as one:
        kilobytes = int(one.random.uniform(0.05, 0.9) * ground.kilobytes[name])
        _resize(disk, max(kilobytes, 16))
        said = one.expect(one.start(), 0, 1)
        if "cannot be written" not in said and "failed" not in said and "no room" not in said and said.strip():
            raise LostError(f"says nothing of the disk: {said[-500:]!r}")
        _resize(disk, 1 << 20)
        one.check_again()


def limited_files(ground: Ground, name: str, seed: int) -> None:
    """Where no disk can be mounted: no file may grow beyond some size."""
    import resource

    with trial(ground, name, seed=seed) as one:
        limit = int(one.random.uniform(0.02, 0.6) * 1024 * ground.kilobytes[name])
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
        try:
            process = one.start()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        one.expect(process, 0, 1)
        one.check_again()


def read_only(ground: Ground, name: str, seed: int) -> None:
    """Give a disk that cannot be written; then one that can."""
    with _disk() as disk, trial(ground, name, seed=seed, place=disk) as one:
        with _read_only_below(one.output.parent):
            one.expect(one.start(), 1, phrase="cannot be written")
        one.check_again()


def vanished_output(ground: Ground, name: str, seed: int) -> None:
    """Remove the directory that is written while it is."""
    with trial(ground, name, seed=seed) as one:
        process = one.start()
        one.wait_for_partial(process)
        time.sleep(one.random.uniform(0.0, 0.5) * ground.seconds[name])
        shutil.rmtree(one.partial, ignore_errors=True)
        one.expect(process, 0, 1)
        one.check_nothing_runs()
        one.check_again()


def vanished_input(ground: Ground, name: str, seed: int) -> None:
    """Move what is read away while it is read, and back afterwards."""
    with trial(ground, name, seed=seed) as one, _own_inputs(one) as inputs:
        process = one.start()
        one.at_a_moment(process)
        place = inputs / one.stage.reads
        place.rename(inputs / "moved")
        try:
            one.expect(process, 0, 1)
        finally:
            (inputs / "moved").rename(place)
        one.check_nothing_runs()
        one.check_again()


def damaged_checkpoint(ground: Ground, name: str, seed: int) -> None:
    """Kill a training, and cut its last checkpoint off, or change a byte: the one before is taken, and that is said."""
    with trial(ground, name, seed=seed) as one:
        process = one.start()
        before = _wait_for(process, one.partial, "before-last.safetensors")
        os.killpg(process.pid, signal.SIGKILL)
        one.expect(process, -signal.SIGKILL)
        one.check_nothing_runs()
        last = before.with_name("last.safetensors")
        data = last.read_bytes()
        place = one.random.randrange(len(data) // 2, len(data))
        changed = bytes([data[place] ^ 1]) + data[place + 1 :] if seed % 2 else b""
        last.write_bytes(data[:place] + changed)
        said = one.expect(one.start(*one.stage.again), 0)
        log = one.output / "work" / "log.txt"
        told = said + (log.read_text() if log.is_file() else "")
        if name == "train" and "going on from the one before it, before-last.safetensors" not in told:
            raise LostError(f"does not say that it took the one before: {told[-500:]!r}")
        one.check_same(one.stage.result(one.output))
        one.check_nothing_stays()


def two_writers(ground: Ground, name: str, seed: int) -> None:
    """Begin the same command twice: the second is refused, with the first one's process and machine."""
    import socket

    with trial(ground, name, seed=seed) as one:
        first = one.start()
        one.wait_for_partial(first)
        # Held where it is, so that it cannot be done before the second one comes.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(first.pid, signal.SIGSTOP)
            os.waitid(os.P_PID, first.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        try:
            if (one.partial / ".writing").exists():
                phrase = f"being written by process {first.pid} on {socket.gethostname()}"
                again = one.stage.again if next(one.partial.rglob("last.safetensors"), None) else ()
                one.expect(one.start(*again), 1, phrase=phrase)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(first.pid, signal.SIGCONT)
        one.expect(first, 0)
        one.check_same(one.stage.result(one.output))
        one.check_again()


def jumping_clock(ground: Ground, name: str, seed: int) -> None:
    """Let the clock of the day jump by years at every look."""
    with trial(ground, name, seed=seed) as one:
        (one.place / "clock").mkdir()
        (one.place / "clock" / "sitecustomize.py").write_text(_CLOCK.replace("SEED", str(seed)))
        path = os.pathsep.join([str(one.place / "clock"), *filter(None, [os.environ.get("PYTHONPATH")])])
        one.environment["PYTHONPATH"] = path
        one.expect(one.start(), 0)
        one.check_same(one.stage.result(one.output))
        for log in one.output.rglob("log.csv"):
            seconds = [float(row.rsplit(",", 1)[1]) for row in log.read_text().splitlines()[1:]]
            if not all(0 <= value < 600 for value in seconds):
                raise LostError(f"durations by the clock of the day: {seconds}")
        del one.environment["PYTHONPATH"]
        one.check_again()


def killed_worker(ground: Ground, name: str, seed: int) -> None:
    """Kill a process that the stage has begun for its work."""
    with trial(ground, name, seed=seed) as one:
        process = one.start()
        child = _wait_for_worker(process, one.random.random())
        if child is None:
            one.expect(process, 0)
        else:
            os.kill(child, signal.SIGKILL)
            said = one.expect(process, 0, 1)
            if process.returncode and "killed" not in said and "SIGKILL" not in said:
                raise LostError(f"does not say what happened: {said[-500:]!r}")
        one.check_nothing_runs()
        one.check_again()


def changed_input(ground: Ground, name: str, seed: int) -> None:
    """Change what is read while it is read, and put it right afterwards."""
    with trial(ground, name, seed=seed) as one, _own_inputs(one) as inputs:
        files = sorted(
            path for path in (inputs / one.stage.reads).rglob("*") if path.suffix in (".csv", ".bin", ".gz", ".mp4")
        )
        sound = {path: path.read_bytes() for path in files if path.name not in ("index.csv", "clips.csv")}
        process = one.start()
        one.wait_for_partial(process)
        for path, data in sound.items():
            place = one.random.randrange(len(data))
            path.write_bytes(data[:place] + bytes([data[place] ^ 0x55]) + data[place + 1 :])
        said = one.expect(process, 0, 1, -signal.SIGBUS)
        # A benchmark ends well with a system that failed, and tries that again.
        finished = process.returncode == 0 and "changed while it was read" not in said
        for path, data in sound.items():
            path.write_bytes(data)
        one.check_nothing_runs()
        if finished:
            # Read before it was changed, or not at all: then it must be as if nothing had been.
            one.check_same(one.stage.result(one.output))
        one.check_again()


FAULTS: dict[str, tuple[Fault, tuple[str, ...]]] = {
    "SIGINT": (interrupted, ("prepare", "sample", "train", "benchmark")),
    "SIGTERM": (terminated, ("prepare", "sample", "train", "benchmark")),
    "SIGKILL": (killed, ("prepare", "sample", "train", "benchmark")),
    "full disk": (full_disk, ("prepare", "sample", "train", "benchmark")),
    "limited file size": (limited_files, ("prepare", "sample", "train", "benchmark")),
    "read-only directory": (read_only, ("prepare", "sample", "train", "benchmark")),
    "vanished output": (vanished_output, ("prepare", "sample", "train", "benchmark")),
    "vanished input": (vanished_input, ("prepare", "sample", "train", "benchmark")),
    "damaged checkpoint": (damaged_checkpoint, ("train",)),
    "two writers": (two_writers, ("prepare", "sample", "train", "benchmark")),
    "jumping clock": (jumping_clock, ("prepare", "sample", "train", "benchmark")),
    "killed worker": (killed_worker, ("sample", "benchmark")),
    "changed input": (changed_input, ("prepare", "sample", "train", "benchmark")),
}
"""Per fault what makes it, and the stages that it can meet."""


def _wait_for(process: subprocess.Popen, folder: Path, name: str) -> Path:
    while process.poll() is None:
        found = next(iter(folder.rglob(name)), None)
        if found:
            return found
        time.sleep(0.002)
    raise LostError(f"ended without {name}: {process.communicate()[1][-500:]}")


_WORKERS = (b"LokyProcess", b"unit_process")


def _wait_for_worker(process: subprocess.Popen, part: float) -> int | None:
    """Return a process that another one has begun, some moments after it was."""
    while process.poll() is None:
        if _workers(process):
            time.sleep(part)
            workers = _workers(process)
            return workers[0] if process.poll() is None and workers else None
        time.sleep(0.005)
    return None


def _workers(process: subprocess.Popen) -> list[int]:
    """Return the processes that another one has begun for its work, in the order in which they began."""
    try:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise Unavailable(f"/proc does not tell of children: {error}") from None
    # By name: a pool has a child that keeps account of its resources, and any child looks like its parent at first.
    return [int(child) for child in children if any(name in _command(int(child)) for name in _WORKERS)]


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


@contextmanager
def _own_inputs(one: Trial) -> Iterator[Path]:
    """Copy the inputs, with the same times, to where a trial may spoil them; the paths in results are the same."""
    place = one.ground.inputs.with_name("spoilt")
    shutil.rmtree(place, ignore_errors=True)
    one.ground.inputs.rename(place)
    shutil.copytree(place, one.ground.inputs)
    try:
        yield one.ground.inputs
    finally:
        shutil.rmtree(one.ground.inputs, ignore_errors=True)
        place.rename(one.ground.inputs)


@contextmanager
def _disk() -> Iterator[Path]:
    """Mount a file system of its own, in memory."""
    import tempfile

    if os.name != "posix" or os.geteuid() != 0 or not shutil.which("mount"):
        raise Unavailable("a disk of its own needs mount, and so root")
    place = Path(tempfile.mkdtemp(prefix="mmtsa-disk-"))
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1g", "tmpfs", str(place)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        place.rmdir()
        raise Unavailable(f"no file system can be mounted here: {done.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)
        place.rmdir()


def _resize(disk: Path, kilobytes: int) -> None:
    subprocess.run(["mount", "-o", f"remount,size={kilobytes}k", str(disk)], check=True)


@contextmanager
def _read_only_below(folder: Path) -> Iterator[None]:
    """Let nothing be written below a folder, by root neither."""
    subprocess.run(["mount", "--bind", str(folder), str(folder)], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", str(folder)], check=True)
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
