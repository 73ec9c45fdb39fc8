"""The files below a directory, listed once: what an adapter finds its recordings in."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

ARCHIVE_ENDINGS = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
_UNFINISHED_ENDINGS = (".part", ".partial", ".crdownload", ".download", ".opdownload", ".aria2", ".!ut", ".filepart")
_TABLE_ENDINGS = (".csv", ".tsv", ".txt")
_TABLE_BYTES = 64 << 20
_LITTER = ("__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini")


@dataclass(frozen=True)
class FileTree:
    """The files of a dataset as it was downloaded, in a fixed order.

    Attributes
    ----------
    files : mapping of str to Path
        Per file its path relative to the root, with `/` between its parts, and its absolute path. What a system leaves
        behind (hidden files, `__MACOSX`) is not listed.
    sizes : mapping of str to int
        Bytes of each file.
    archives : tuple of str
        Those of `files` that are archives by their names.
    unfinished : tuple of str
        Those of `files` that a download left behind before its end, by their names (`.part`, `.crdownload`, ...).
    """

    files: Mapping[str, Path]
    sizes: Mapping[str, int]
    archives: tuple[str, ...] = ()
    unfinished: tuple[str, ...] = ()

    def fingerprint(self) -> str:
        """Return `sha256:...` of the names and sizes of all files, and of the content of tables at the top."""
        digest = hashlib.sha256()
        for name in sorted(self.files):
            digest.update(f"{self.sizes[name]} {name}\n".encode("utf-8", "surrogateescape"))
            # What a person edits by hand may keep its size: a label that becomes another one of as many letters.
            if "/" not in name and name.lower().endswith(_TABLE_ENDINGS) and self.sizes[name] <= _TABLE_BYTES:
                digest.update(self.files[name].read_bytes())
        return "sha256:" + digest.hexdigest()

    def joined(self, other: FileTree) -> FileTree:
        """Return both trees as one, as if `other` were unpacked over this one."""
        return FileTree(
            {**self.files, **other.files},
            {**self.sizes, **other.sizes},
            tuple(name for name in (*self.archives, *other.archives)),
            tuple(name for name in (*self.unfinished, *other.unfinished)),
        )


def list_files(root: Path, *, leave_out: Iterable[Path] = ()) -> FileTree:
    """List the files below a directory, or the one file that `root` is; follows links to directories, each once.

    Parameters
    ----------
    root : Path
    leave_out : iterable of Path
        Directories that are not entered (an output that lies among the data).
    """
    root = root.resolve()
    if root.is_file():
        return _tree({root.name: (root, root.stat().st_size)})
    found: dict[str, tuple[Path, int]] = {}
    passed_over = {path.resolve() for path in leave_out}
    _walk(root, "", found, passed_over, set())
    return _tree(found)


def _walk(
    directory: Path,
    prefix: str,
    found: dict[str, tuple[Path, int]],
    passed_over: set[Path],
    seen: set[tuple[int, int]],
) -> None:
    status = directory.stat()
    if directory in passed_over or (status.st_dev, status.st_ino) in seen:
        return
    seen.add((status.st_dev, status.st_ino))
    with os.scandir(directory) as entries:
        ordered = sorted(entries, key=lambda entry: entry.name)
    for entry in ordered:
        if entry.name.startswith(".") or entry.name in _LITTER:
            continue
        if entry.is_dir():
            _walk(Path(entry.path), f"{prefix}{entry.name}/", found, passed_over, seen)
        elif entry.is_file():
            found[f"{prefix}{entry.name}"] = (Path(entry.path), entry.stat().st_size)


def _tree(found: Mapping[str, tuple[Path, int]]) -> FileTree:
    lower = {name: name.lower() for name in found}
    return FileTree(
        {name: path for name, (path, _) in found.items()},
        {name: size for name, (_, size) in found.items()},
        tuple(name for name in found if lower[name].endswith(ARCHIVE_ENDINGS)),
        tuple(name for name in found if lower[name].endswith(_UNFINISHED_ENDINGS)),
    )


def stem(name: str) -> str:
    """Return the name of a file without folders and ending."""
    return PurePosixPath(name).stem
