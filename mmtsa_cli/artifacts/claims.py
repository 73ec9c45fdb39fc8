"""Who writes a place: a file in it that names the process and its machine, so that a second one is refused."""

from __future__ import annotations

import json
import os
import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from mmtsa_cli.artifacts.remote import RemotePath
from mmtsa_cli.errors import ArtifactError

LOCK = ".writing"
_LOOKS, _LOOK_S = 5, 0.02
_NOBODY = b"{}"


def claim(place: Path | RemotePath) -> None:
    """Mark a directory, or a place elsewhere, as being written by this process.

    Raises
    ------
    ArtifactError
        Another living process writes it, or one of another machine, of which that cannot be known; or the place cannot
        be written.
    """
    lock = place / LOCK
    while not _written_first(lock, json.dumps(_this_process())):
        check_not_written(place)
        lock.unlink(missing_ok=True)


def check_not_written(place: Path | RemotePath) -> None:
    """Refuse a place that another process writes.

    Raises
    ------
    ArtifactError
        It lives, or is one of another machine, of which that cannot be known.
    """
    mine, owner = _this_process(), _owner(place)
    if owner is None or (owner["pid"], owner["host"]) == (mine["pid"], mine["host"]):
        return
    far = f"; if it has died, remove {place / LOCK}" if owner["host"] != mine["host"] else ""
    raise ArtifactError(
        f"being written by process {owner['pid']} on {owner['host']}",
        where=str(place),
        remedy=f"wait for it, or name another directory{far}",
    )


def release(place: Path | RemotePath) -> None:
    """Give up the claim, leaving what was written for a later run to go on with."""
    (place / LOCK).unlink(missing_ok=True)


def release_far(partial: Path) -> None:
    """Give up the claim of a process of another machine, which the caller knows to be no more."""
    owner = _read(partial / LOCK)
    if owner and owner["host"] != socket.gethostname():
        release(partial)


def disown(place: RemotePath) -> None:
    """Leave the mark, as what lies there is half of a result, but nobody's: whoever comes next takes it over."""
    (place / LOCK).write_bytes(_NOBODY)


def is_mine_or_nobodys(partial: Path) -> bool:
    """Whether no other process that may be alive writes `partial`."""
    owner = _owner(partial)
    return owner is None or owner["pid"] == os.getpid()


def _this_process() -> dict[str, Any]:
    return {"pid": os.getpid(), "host": socket.gethostname(), "started": _started(os.getpid())}


def _written_first(lock: Path | RemotePath, text: str) -> bool:
    """Write a file that is not there yet; return whether it was not."""
    if isinstance(lock, RemotePath):
        return lock.create(text.encode())
    # A system or a file system without files that have no name yet fails at it.
    with suppress(OSError, AttributeError):
        return _named_whole(lock, text)
    try:
        stream = lock.open("x", encoding="utf-8")
    except FileExistsError:
        return False
    try:
        with stream:
            stream.write(text)
    except BaseException:
        lock.unlink(missing_ok=True)
        raise
    return True


def _named_whole(lock: Path, text: str) -> bool:
    """Write a file without a name and then give it one: who looks finds all of it, or none."""
    directory = os.open(lock.parent, os.O_RDONLY)
    try:
        file = os.open(lock.parent, os.O_TMPFILE | os.O_WRONLY, 0o666)
        try:
            os.write(file, text.encode())
            os.link(f"/proc/self/fd/{file}", lock, src_dir_fd=directory, follow_symlinks=True)
        except FileExistsError:
            return False
        finally:
            os.close(file)
    finally:
        os.close(directory)
    return True


def _owner(place: Path | RemotePath) -> dict[str, Any] | None:
    """Return who writes a place, if that process may still be alive."""
    owner = _read(place / LOCK)
    if owner is None or owner["host"] != socket.gethostname():
        return owner
    try:
        os.kill(owner["pid"], 0)
    except (ProcessLookupError, OverflowError):
        return None
    except PermissionError:
        pass
    # The number may be that of another program by now.
    started = _started(owner["pid"])
    return owner if None in (started, owner["started"]) or started == owner["started"] else None


def _read(lock: Path | RemotePath) -> dict[str, Any] | None:
    """Return what a lock says; None where there is none, one that is nobody's, or that was never written whole."""
    for _ in range(_LOOKS):
        try:
            said = json.loads(lock.read_text(encoding="utf-8"))
            if not said:
                return None
            pid, started = int(said["pid"]), said.get("started")
            if pid > 0:
                return {"pid": pid, "host": str(said["host"]), "started": started}
            return None
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (ValueError, KeyError, TypeError, AttributeError):
            # Another process may be about to write it.
            time.sleep(_LOOK_S)
    return None


def _started(pid: int) -> str | None:
    """Return when a process began, as a mark that no later process of its number has; None where that is not told."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        # The name in brackets may hold spaces and brackets itself.
        ticks = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[19]
    except (OSError, ValueError, IndexError):
        return None
    return f"{boot} {int(ticks)}"
