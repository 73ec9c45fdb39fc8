"""Copies of files that lie elsewhere, for readers that need one of this machine: in the cache, of bounded size."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path

from mmtsa_cli.artifacts.cache import cache_directory
from mmtsa_cli.artifacts.file_systems import UnreachableError
from mmtsa_cli.errors import UsageError

_BOUND_ENV = "MMTSA_FETCHED_GB"
_BOUND_GB = 10.0
_IN_USE_S = 600.0
"""A copy that was asked for so shortly ago may be about to be opened, and stays."""


def cached_copy(url: str, version: str, suffix: str, size: int, fetch: Callable[[Path], None]) -> Path:
    """Return the copy of a file that lies elsewhere, fetched where it is not there yet.

    The least recently used copies go when all of them take more than 10 GB, or what `MMTSA_FETCHED_GB` says.

    Parameters
    ----------
    version : str
        Another one when the file has changed.
    suffix : str
        Its ending, by which readers know what it is.
    size : int
        Bytes.
    fetch : callable
        Takes the name under which the file is to be put.

    Raises
    ------
    ArtifactError
        It is not what it was when it was asked about.
    """
    key = hashlib.sha256(version.encode()).hexdigest()[:24]
    directory = cache_directory() / "fetched"
    copy = directory / f"{key}{suffix}"
    if not copy.is_file():
        directory.mkdir(parents=True, exist_ok=True)
        _make_room(directory, size)
        partial = directory / f"{key}.{os.getpid()}.partial"
        try:
            fetch(partial)
            fetched = partial.stat().st_size
            if fetched != size:
                expected, found = f"{size} bytes", f"{fetched} bytes"
                raise UnreachableError("changed while it was fetched", where=url, expected=expected, found=found)
            partial.replace(copy)
        finally:
            partial.unlink(missing_ok=True)
    else:
        os.utime(copy)
    return copy


def _make_room(directory: Path, size: int) -> None:
    """Remove the copies that were not used for longest until `size` more bytes fit."""
    copies = []
    for entry in os.scandir(directory):
        try:
            status = entry.stat()
        except FileNotFoundError:
            continue
        copies.append((status.st_mtime, status.st_size, entry.path))
    total, now = sum(its for _, its, _ in copies) + size, time.time()
    for used, its, name in sorted(copies):
        if total <= _bound_bytes() or now - used < _IN_USE_S:
            return
        try:
            Path(name).unlink(missing_ok=True)
        except OSError:
            # Open elsewhere, on a system that keeps such files.
            continue
        total -= its


def _bound_bytes() -> float:
    named = os.environ.get(_BOUND_ENV, "")
    try:
        bound = float(named) if named else _BOUND_GB
    except ValueError:
        raise UsageError("not a number", where=_BOUND_ENV, expected="GB", found=named) from None
    return bound * 1e9
