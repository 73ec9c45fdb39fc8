"""Directories that are written here and put elsewhere when they are whole, their manifest last."""

from __future__ import annotations

import json
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mmtsa_cli.artifacts.manifest import FILE_NAME
from mmtsa_cli.artifacts.remote import RemotePath, UnreachableError
from mmtsa_cli.errors import MmtsaError

_MARK = ".writing"
"""There from the beginning to the end: what has it, and no manifest, is what a stage that died has left."""


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
    with tempfile.TemporaryDirectory(prefix="mmtsa-") as name:
        mark = Path(name) / _MARK
        mark.write_text(json.dumps({"pid": os.getpid(), "host": socket.gethostname()}), encoding="utf-8")
        try:
            (final / _MARK).upload(mark)
        except UnreachableError as error:
            raise UnreachableError(error.what, where=str(final), found=error.found, remedy=error.remedy) from None
        try:
            directory = Path(name) / "whole"
            yield directory
            _put(directory, final)
        except BaseException:
            with suppress(MmtsaError, OSError):
                (final / _MARK).unlink()
            raise
        (final / _MARK).unlink()


def is_left_over(final: RemotePath) -> bool:
    """Whether a stage that died has left it half-written."""
    return not (final / FILE_NAME).is_file() and (final / _MARK).is_file()


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
            if path not in put and path.name != _MARK:
                path.unlink()
        (final / FILE_NAME).upload(directory / FILE_NAME)
    except BaseException:
        with suppress(MmtsaError, OSError):
            for path in put:
                path.unlink()
        raise
