"""Directories that are written here and put elsewhere when they are whole, their manifest last."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mmtsa_cli.artifacts.cache import cache_directory
from mmtsa_cli.artifacts.claims import LOCK, claim, disown, release
from mmtsa_cli.artifacts.manifest import FILE_NAME
from mmtsa_cli.artifacts.remote import RemotePath, UnreachableError
from mmtsa_cli.errors import MmtsaError


@contextmanager
def uploaded_directory(final: RemotePath) -> Iterator[Path]:
    """Give a directory that is yet to be made, and put what was written there to `final` when the block ends well.

    The place is marked before the work begins, so that one that cannot be written is told at once. Files of an older
    result go, its manifest first, the new manifest comes last: at no time is half of one taken for whole. When the
    block, or putting it there, fails, nothing new stays.

    Raises
    ------
    ArtifactError
        The place cannot be written.
    """
    with tempfile.TemporaryDirectory(prefix="mmtsa-") as name, _marked(final):
        directory = Path(name) / "whole"
        yield directory
        _put(directory, final)


@contextmanager
def kept_until_put(final: Path) -> Iterator[Path]:
    """Give the name under which work of hours is finished, and put it to `final` when the block ends well.

    That is `final` itself where it is of this machine. Else it is in the cache, always the same place for one URL, so
    that work which was interrupted can be gone on with on this machine; it goes once all of it is put there.

    Raises
    ------
    ArtifactError
        The place cannot be written: said before the work begins where it can be known then.
    """
    if not isinstance(final, RemotePath):
        yield final
        return
    here = home_of(final)
    with _marked(final):
        here.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield here
            _put_later(here, final)
        finally:
            # Where nothing was kept.
            with suppress(OSError):
                here.parent.rmdir()
    shutil.rmtree(here.parent, ignore_errors=True)


def _put_later(here: Path, final: RemotePath) -> None:
    try:
        _put(here, final)
    except UnreachableError as error:
        remedy = f"all is finished and kept as {here}: give the same command again to put it there"
        raise UnreachableError(error.what, where=str(final), found=error.found, remedy=remedy) from None


def bring(final: RemotePath, here: Path) -> None:
    """Copy what lies at `final` and not here, so that work goes on where another machine, or this one, has left it.

    A file of the directory, and what is in a directory two levels down, is copied as a whole or not at all; what is
    here already stays as it is.
    """
    entries: dict[Path, list[RemotePath]] = defaultdict(list)
    for path in final.files():
        if path.name != LOCK:
            relative = Path(str(path).removeprefix(f"{final}/"))
            entries[Path(*relative.parts[:2])].append(path)
    here.mkdir(parents=True, exist_ok=True)
    for entry, files in entries.items():
        if (here / entry).exists():
            continue
        with tempfile.TemporaryDirectory(prefix=".bring-", dir=here.parent) as name:
            for path in files:
                copy = Path(name) / str(path).removeprefix(f"{final}/")
                copy.parent.mkdir(parents=True, exist_ok=True)
                path.copy_to(copy)
            (here / entry).parent.mkdir(parents=True, exist_ok=True)
            (Path(name) / entry).rename(here / entry)


def home_of(final: Path) -> Path:
    """Return where work is done whose result is to lie at `final`: there, or in the cache for a URL."""
    if not isinstance(final, RemotePath):
        return final
    return cache_directory() / "unfinished" / hashlib.sha256(str(final).encode()).hexdigest()[:24] / final.name


@contextmanager
def _marked(final: RemotePath) -> Iterator[None]:
    """Keep a place for this process, and marked as being written, while the block runs."""
    try:
        claim(final)
    except UnreachableError as error:
        raise UnreachableError(error.what, where=str(final), found=error.found, remedy=error.remedy) from None
    try:
        yield
    except BaseException:
        with suppress(MmtsaError, OSError):
            if (final / FILE_NAME).is_file() or final.files() == [final / LOCK]:
                release(final)
            else:
                # Files of an older result are left, whose manifest is gone: the mark says whose they are.
                disown(final)
        raise
    release(final)


def is_left_over(final: RemotePath) -> bool:
    """Whether a stage has left it half-written, or only the names of directories that hold no file.

    The mark is there from the beginning to the end: what has it, and no manifest, is no result.
    """
    return not (final / FILE_NAME).is_file() and ((final / LOCK).is_file() or (final.is_dir() and not final.files()))


def _put(directory: Path, final: RemotePath) -> None:
    files = sorted(path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file())
    files.remove(FILE_NAME)
    older = final.files()
    (final / FILE_NAME).unlink()
    put: list[RemotePath] = []
    try:
        for file in files:
            put.append(final / file)
            put[-1].upload(directory / file)
        for path in older:
            if path not in put and path.name != LOCK:
                path.unlink()
        (final / FILE_NAME).upload(directory / FILE_NAME)
    except BaseException:
        with suppress(MmtsaError, OSError):
            for path in put:
                path.unlink()
        raise
