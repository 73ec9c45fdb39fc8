"""Files of an index that was made on another machine, or before its data was moved: found again below a new root."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath

from mmtsa_cli.errors import DataError

_SHOWN = 3
_TRIED = 200


def missing_files(paths: Iterable[Path]) -> list[Path]:
    """Return those of `paths` that are not there, each once, in their order."""
    return [path for path in dict.fromkeys(paths) if not _may_be_there(path)]


def _may_be_there(path: Path) -> bool:
    try:
        return path.exists()
    # A name too long to be one, a folder closed to this user: who reads it says so, and in which row it stands.
    except OSError:
        return True


def missing_error(missing: Sequence[Path], total: int, *, where: str, root: Path | None = None) -> DataError:
    """Return the error for files that are not there: how many, three of them, and what to do."""
    some = ", ".join(str(path) for path in missing[:_SHOWN])
    more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
    remedy = "give --root with the directory that holds them now, if the index was made on another machine"
    return DataError(
        f"{len(missing)} of {total} files are not there: {some}{more}",
        where=where,
        remedy=remedy if root is None else f"they are not below --root {root} either: correct it",
    )


def refuse_elsewhere(paths: Iterable[Path], *, where: str, root: Path | None = None) -> list[Path]:
    """Return the files that are not there; refuse an index of which at least half are not.

    Raises
    ------
    DataError
        Half of the files or more are not there: the index was made on another machine, or the data was moved.
    """
    wanted = list(dict.fromkeys(paths))
    missing = missing_files(wanted)
    if len(missing) > 1 and 2 * len(missing) >= len(wanted):
        raise missing_error(missing, len(wanted), where=where, root=root)
    return missing


def relocation(written: Sequence[str], root: Path, *, where: str) -> Mapping[str, str]:
    """Return what the paths of an index become when their files lie below `root`.

    What all paths begin with is taken away as far as it must be: of the endings of the first paths, the longest that
    exists below `root` tells how much that is.

    Parameters
    ----------
    written : sequence of str
        Paths as the index has them, absolute or relative, of this system or of another.
    root : Path
    where : str
        For the message.

    Returns
    -------
    mapping of str to str
        Per path its new one, absolute.

    Raises
    ------
    DataError
        None of the first paths ends in anything that lies below `root`.
    """
    if not root.is_dir():
        raise DataError("no such directory", where="--root", found=str(root))
    resolved = root.resolve()
    parts = {text: _parts(text) for text in dict.fromkeys(written)}
    for path in list(parts.values())[:_TRIED]:
        kept = _longest_ending(path, resolved)
        if kept is not None:
            taken = path[: len(path) - kept]
            return {text: _moved(text, its, taken, resolved) for text, its in parts.items()}
    first = next(iter(parts), "no path")
    raise DataError(
        "none of the index's files lies below it",
        where=f"--root {root}",
        expected=f"a directory that holds an ending of {first}",
        found=where,
        remedy="name the directory that the data was moved to",
    )


def _parts(text: str) -> tuple[str, ...]:
    """Return the parts of a path as it was written, without drive and root."""
    windows = "\\" in text or bool(PureWindowsPath(text).drive)
    path: PurePath = PureWindowsPath(text) if windows else PurePosixPath(text)
    return tuple(part for part in path.parts if part != path.anchor)


def _longest_ending(parts: tuple[str, ...], root: Path) -> int | None:
    """Return how many of the last parts name a file below `root`, as many as possible."""
    for first in range(len(parts)):
        if ".." not in parts[first:] and root.joinpath(*parts[first:]).exists():
            return len(parts) - first
    return None


def _moved(text: str, parts: tuple[str, ...], taken: tuple[str, ...], root: Path) -> str:
    if parts[: len(taken)] != taken or ".." in parts[len(taken) :]:
        # Another drive, or another directory: left where it is, and told if it is not there.
        return text
    return str(root.joinpath(*parts[len(taken) :]))
