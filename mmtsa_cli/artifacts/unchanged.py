"""Whether files stayed what they were while they were read: a result of half the old and half the new is none."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from mmtsa_cli.artifacts.remote import is_url
from mmtsa_cli.errors import DataError

States = Mapping[Path, tuple[int, int] | None]
"""Per file its bytes and when it was last changed, in nanoseconds; None where it is not there."""


class ChangedError(DataError):
    """Files were changed, moved or removed while they were read."""


def states_of(paths: Iterable[Path]) -> States:
    """Return what is known of files without reading them; those of other machines are left out."""
    return {path: _state(path) for path in paths if not is_url(str(path))}


def files_in(directory: Path) -> list[Path]:
    """Return the files of a directory of this machine, for `states_of`."""
    if is_url(str(directory)) or not directory.is_dir():
        return []
    return [path for path in sorted(directory.iterdir()) if path.is_file()]


def check_unchanged(before: States) -> None:
    """Refuse files that are no longer as they were.

    Raises
    ------
    ChangedError
    """
    changed = [path for path, state in before.items() if _state(path) != state]
    if changed:
        more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        raise ChangedError(
            f"changed while it was read{more}",
            where=str(changed[0]),
            remedy="nothing was kept of what was made of it: give the same command again when nothing writes there",
        )


@contextmanager
def unchanged(before: States, *, checkpoints: Path | None = None) -> Iterator[None]:
    """Refuse what the block made, or what it says is wrong, if one of the files has changed meanwhile.

    Parameters
    ----------
    checkpoints : Path, optional
        A directory whose `.safetensors` files are then removed: they are of the old files and of the new.

    Raises
    ------
    ChangedError
    """
    try:
        try:
            yield
        except Exception:
            check_unchanged(before)
            raise
        check_unchanged(before)
    except ChangedError:
        for checkpoint in checkpoints.glob("*.safetensors") if checkpoints else ():
            checkpoint.unlink()
        raise


def _state(path: Path) -> tuple[int, int] | None:
    try:
        status = os.stat(path)  # noqa: PTH116 - quicker than by the path, and asked of every file
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns
