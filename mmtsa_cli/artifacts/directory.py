"""Output directories: written beside their final name, renamed when they are whole."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, count
from pathlib import Path
from typing import Any, Literal

from mmtsa_cli.artifacts.claims import LOCK, check_not_written, claim, is_mine_or_nobodys, release
from mmtsa_cli.artifacts.manifest import FILE_NAME, Manifest, read_manifest, write_manifest
from mmtsa_cli.artifacts.remote import RemotePath
from mmtsa_cli.artifacts.uploading import is_left_over, uploaded_directory
from mmtsa_cli.errors import ArtifactError, UsageError

State = Literal["new", "done"]

_BEFORE_MANIFEST = {LOCK, f".{FILE_NAME}.partial"}
"""What a directory holds that has just been begun."""


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
    ArtifactError
        Another process has just begun to write it.
    """
    if not final.exists() and not final.is_symlink():
        return "new"
    if isinstance(final, RemotePath) and is_left_over(final):
        return "new"
    if final.is_dir() and {path.name for path in final.iterdir()} <= _BEFORE_MANIFEST:
        check_not_written(final)
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
    """Write a directory whole or not at all; one that lies elsewhere is written here and put there (`uploading`).

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
    if isinstance(final, RemotePath):
        with uploaded_directory(final) as local, new_directory(local, manifest, results=results) as partial:
            yield partial
        return
    final = final.absolute()
    partial = partial_path(final)
    with _writable(final):
        final.parent.mkdir(parents=True, exist_ok=True)
        check_room(final)
        discard_stale(partial)
        try:
            partial.mkdir(exist_ok=True)
            claim(partial)
        except BaseException:
            # Where another process was quicker, the directory is its own.
            if is_mine_or_nobodys(partial):
                shutil.rmtree(partial, ignore_errors=True)
            raise
    try:
        with _writable(final):
            write_manifest(partial, manifest)
            yield partial
            finish(partial, final, _with_results(manifest, results))
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def finish(partial: Path, final: Path, manifest: Manifest) -> None:
    """Add the manifest to a directory that is whole, and give it its final name."""
    write_manifest(partial, manifest)
    release(partial)
    replaced = _replaced_path(final)
    if final.is_dir():
        shutil.rmtree(replaced, ignore_errors=True)
        final.rename(replaced)
    try:
        partial.rename(final)
    except BaseException:
        # Interrupted between the two: the older one gets its name back.
        if replaced.is_dir() and not final.exists():
            replaced.rename(final)
        raise
    shutil.rmtree(replaced, ignore_errors=True)


def finished(home: Path, manifest: Manifest) -> dict[str, Any] | None:
    """Return the results of this very work where it is whole, and all that is missing is to put it to its URL."""
    if not (home / FILE_NAME).is_file():
        return None
    before = read_manifest(home)
    return dict(before.results) if before.same_work(manifest) else None


def check_same_work(partial: Path, manifest: Manifest, *, what: str) -> None:
    """Refuse to go on with unfinished work of other settings, whose claim is given up.

    Parameters
    ----------
    partial : Path
        Claimed by this process.
    what : str
        What it is, as in "training".

    Raises
    ------
    UsageError
    """
    changed = read_manifest(partial).differences(manifest)
    if changed:
        release(partial)
        raise UsageError(
            f"an unfinished {what} with other settings is there ({'; '.join(changed[:3])})",
            where=str(partial),
            remedy="give the same settings to go on with it, or --overwrite to begin anew",
        )


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
    return any((beside / name).is_file() for name in (FILE_NAME, LOCK)) or not any(beside.iterdir())


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


def replace_file(path: Path, data: bytes, *, before: Path | None = None) -> None:
    """Write a file whole or not at all: beside its name, then renamed.

    Parameters
    ----------
    before : Path, optional
        What the file that it replaces is called from now on; there is a whole one under either name at any time.
    """
    temporary = path.with_name(f".{path.name}.partial")
    try:
        with temporary.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        if before is not None and path.is_file():
            before.unlink(missing_ok=True)
            _same_file(path, before)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _same_file(path: Path, other: Path) -> None:
    """Give a file a second name; a copy where the file system knows none."""
    try:
        os.link(path, other)
    except OSError:
        shutil.copyfile(path, other)


def _replaced_path(final: Path) -> Path:
    """Return where an older result stands while the new one takes its name."""
    return final.with_name(final.name + ".replaced")


def _with_results(manifest: Manifest, results: dict | None) -> Manifest:
    if results is None:
        return manifest
    return Manifest(manifest.stage, manifest.configuration, manifest.seed, manifest.inputs, results=results)


@contextmanager
def _writable(final: Path) -> Iterator[None]:
    """Turn a full or read-only disk into an error of ours; faults of what a stage reads are not its business."""
    try:
        yield
    except OSError as error:
        place = str(error.filename or "")
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        if not full and error.errno != errno.EROFS and not place.startswith(str(final.parent.absolute())):
            raise
        raise ArtifactError(
            f"cannot be written: {error.strerror or error}",
            where=str(final),
            remedy="nothing was kept; free some space or name another place" if full else "name another place",
        ) from error
