"""Output directories: written beside their final name, renamed when they are whole."""

from __future__ import annotations

import errno
import json
import os
import shutil
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, count
from pathlib import Path
from typing import Literal

from mmtsa_cli.artifacts.manifest import FILE_NAME, Manifest, read_manifest, write_manifest
from mmtsa_cli.errors import ArtifactError, UsageError

_LOCK = ".writing"
State = Literal["new", "done"]


def partial_path(final: Path) -> Path:
    """Return where `final` is written until it is whole: `final.partial` beside it."""
    return final.with_name(final.name + ".partial")


def check_output(final: Path, manifest: Manifest, *, overwrite: bool = False) -> State:
    """Say whether `final` is still to be made.

    Returns
    -------
    "new" or "done"
        "done" where the directory already holds the result of the same work.

    Raises
    ------
    UsageError
        Something is there that is not ours, or that was made by other work and `overwrite` is not set.
    """
    if not final.exists() and not final.is_symlink():
        return "new"
    if final.is_dir() and not any(final.iterdir()):
        return "new"
    if not (final.is_dir() and (final / FILE_NAME).is_file()):
        raise UsageError(
            "exists and was not made by mmtsa, left as it is",
            where=f"--output {final}",
            remedy="name a directory that does not exist",
        )
    existing = read_manifest(final)
    if existing.stage != manifest.stage:
        raise UsageError(
            f"holds the result of `{existing.stage}`, left as it is",
            where=f"--output {final}",
            remedy="name a directory that does not exist",
        )
    if overwrite:
        return "new"
    if existing.same_work(manifest):
        return "done"
    changed = existing.differences(manifest)
    raise UsageError(
        f"made with other settings ({'; '.join(changed[:3])}{'; ...' if len(changed) > 3 else ''})",
        where=f"--output {final}",
        remedy="give --overwrite to replace it, or name another directory",
    )


@contextmanager
def new_directory(final: Path, manifest: Manifest, *, results: dict | None = None) -> Iterator[Path]:
    """Write a directory whole or not at all.

    Yields the directory to write into. When the block ends well, the manifest (with `results`, which the block may
    fill) is added and the directory takes its final name, replacing an older one of ours. When the block fails or is
    interrupted, nothing stays.

    Raises
    ------
    ArtifactError
        Another living process writes the same directory, or the place cannot be written.
    UsageError
        Something that is not ours stands in a place beside it that is needed.
    """
    final = final.absolute()
    partial = partial_path(final)
    with _writable(final):
        final.parent.mkdir(parents=True, exist_ok=True)
        check_room(final)
        discard_stale(partial)
        partial.mkdir()
    try:
        with _writable(final):
            claim(partial)
            write_manifest(partial, manifest)
            yield partial
            finish(partial, final, _with_results(manifest, results))
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def finish(partial: Path, final: Path, manifest: Manifest) -> None:
    """Add the manifest to a directory that is whole, and give it its final name."""
    write_manifest(partial, manifest)
    (partial / _LOCK).unlink(missing_ok=True)
    replaced = _replaced_path(final)
    if final.is_dir():
        shutil.rmtree(replaced, ignore_errors=True)
        final.rename(replaced)
    partial.rename(final)
    shutil.rmtree(replaced, ignore_errors=True)


def claim(partial: Path) -> None:
    """Mark `partial` as being written by this process.

    Raises
    ------
    ArtifactError
        Another living process writes it.
    """
    owner = _owner(partial)
    if owner and owner["pid"] != os.getpid():
        raise ArtifactError(
            f"being written by process {owner['pid']} on {owner['host']}",
            where=str(partial),
            remedy="wait for it, or name another directory",
        )
    (partial / _LOCK).write_text(json.dumps({"pid": os.getpid(), "host": socket.gethostname()}))


def release(partial: Path) -> None:
    """Give up the claim, leaving what was written for a later run to go on with."""
    (partial / _LOCK).unlink(missing_ok=True)


def discard_stale(partial: Path) -> None:
    """Remove what a stage that died left behind.

    Raises
    ------
    ArtifactError
        The stage has not died: its process is alive.
    """
    if partial.is_dir():
        claim(partial)
        shutil.rmtree(partial)


def check_room(final: Path) -> None:
    """Refuse to write a directory where something that no stage left stands in the two places that it needs.

    Raises
    ------
    UsageError
    """
    for beside in (partial_path(final), _replaced_path(final)):
        if (beside.exists() or beside.is_symlink()) and not _is_left_over(beside):
            raise UsageError(
                "exists and was not made by mmtsa, left as it is",
                where=str(beside),
                remedy="this name is needed while the result is written: name another --output",
            )


def _is_left_over(beside: Path) -> bool:
    if beside.is_symlink() or not beside.is_dir():
        return False
    return any((beside / name).is_file() for name in (FILE_NAME, _LOCK)) or not any(beside.iterdir())


def file_name(text: str) -> str:
    """Return `text` as the name of a file: no separators, nothing that a shell or another system trips over."""
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in text).lstrip(".")


def file_names(texts: Sequence[str]) -> list[str]:
    """Return a file name for each of `texts`, all different: one that is taken already gets a number."""
    taken: set[str] = set()
    names = []
    for text in texts:
        first = file_name(text) or "unnamed"
        name = next(n for n in chain([first], (f"{first}-{i}" for i in count(2))) if n.casefold() not in taken)
        taken.add(name.casefold())
        names.append(name)
    return names


def replace_file(path: Path, data: bytes) -> None:
    """Write a file whole or not at all: beside its name, then renamed."""
    temporary = path.with_name(f".{path.name}.partial")
    try:
        with temporary.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _replaced_path(final: Path) -> Path:
    """Return where an older result stands while the new one takes its name."""
    return final.with_name(final.name + ".replaced")


def _with_results(manifest: Manifest, results: dict | None) -> Manifest:
    if results is None:
        return manifest
    return Manifest(manifest.stage, manifest.configuration, manifest.seed, manifest.inputs, results=results)


def _owner(partial: Path) -> dict | None:
    """Return who writes `partial`, if that process may still be alive."""
    try:
        owner = json.loads((partial / _LOCK).read_text())
        pid, host = int(owner["pid"]), str(owner["host"])
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, KeyError, TypeError):
        return None
    if host != socket.gethostname():
        return owner
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        return owner
    return owner


@contextmanager
def _writable(final: Path) -> Iterator[None]:
    """Turn a full or read-only disk into an error of ours; faults of what a stage reads are not its business."""
    try:
        yield
    except OSError as error:
        place = str(error.filename or "")
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        if not full and error.errno != errno.EROFS and not place.startswith(str(final.parent.absolute())):
            raise
        raise ArtifactError(
            f"cannot be written: {error.strerror or error}",
            where=str(final),
            remedy="nothing was kept; free some space or name another place" if full else "name another place",
        ) from error
