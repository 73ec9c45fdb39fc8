"""The rows of a user's own table as recordings: each cell checked, each file looked for."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PureWindowsPath

from mmtsa_cli.errors import DataError
from mmtsa_cli.recordings.cells import RowFaults
from mmtsa_cli.recordings.datasets.adapter import Skipped
from mmtsa_cli.recordings.index import Recording

FREE = ("id", "label", "subject", "session", "scene", "view")
TIMES = ("start", "end")
_SHOWN = 3


def modalities_of(columns: Mapping[str, str]) -> list[str]:
    """Return which of the mapped names are modalities: all that have no other meaning."""
    return [name for name in columns if name not in (*FREE, *TIMES)]


class RowReader:
    """Rows turned into recordings; what is wrong, left out or not there is kept.

    Attributes
    ----------
    skipped : list of Skipped
    examples : dict of str to str
        Per modality the name of its first file, whether that is there or not.
    """

    def __init__(self, name: str, path: Path, header: Sequence[str], columns: Mapping[str, str]) -> None:
        self._name = name
        self._path = path
        self._width = len(header)
        self._at = {role: header.index(column) for role, column in columns.items()}
        self._modalities = modalities_of(columns)
        self._faults = RowFaults(path)
        self._missing: list[str] = []
        self.skipped: list[Skipped] = []
        self.examples: dict[str, str] = {}

    def recording(self, row: int, cells: Sequence[str]) -> Recording | None:
        """Return the recording of a row, its id empty where it has none; None where it is none."""
        if any(cell.strip() for cell in cells[self._width :]):
            self._faults.add(row, "too many cells", expected=str(self._width), found=str(len(cells)))
            return None
        # A spreadsheet may leave out the cells that are empty at the end of a row.
        padded = [*cells, *[""] * (self._width - len(cells))]
        said = {role: padded[column].strip() for role, column in self._at.items()}
        if not said["label"]:
            self._skip(row, "no label")
            return None
        paths = self._files(row, said)
        self._faults.check_id(row, said.get("id", ""), remedy="leave id out of the table to have them made")
        start, end = self._faults.span(row, *(said.get(key, "") for key in TIMES))
        columns = {"id": "", "label": "", "subject": "", **{role: said[role] for role in FREE if role in said}}
        recording = Recording(columns["id"], said["label"], columns, paths, start, end, row)
        return recording if paths else None

    def raise_errors(self, found: Sequence[Recording]) -> None:
        """Raise what was found, the first ones in full; else that there is not one file."""
        self._faults.raise_all()
        if self._missing and not found:
            raise DataError(
                f"none of its {len(self._missing)} files is there",
                where=str(self._path),
                found=self._some_missing(),
                remedy=f"write them absolute, or relative to {self._path.parent}",
            )

    def warnings(self) -> list[str]:
        """Return what the person should look at."""
        if not self._missing:
            return []
        return [
            f"{len(self._missing)} files of {self._name} are not there: {self._some_missing()}; their cells are empty"
        ]

    def _files(self, row: int, said: Mapping[str, str]) -> dict[str, Path]:
        paths = {}
        for modality in self._modalities:
            if not said[modality]:
                continue
            path = _path(self._path.parent, said[modality])
            self.examples.setdefault(modality, path.name)
            if _is_file(path):
                paths[modality] = path
            else:
                self._missing.append(said[modality][:200])
                self._skip(row, f"no such file ({modality})")
        if not any(said[modality] for modality in self._modalities):
            self._skip(row, "no file")
        return paths

    def _some_missing(self) -> str:
        more = len(self._missing) - _SHOWN
        return ", ".join(self._missing[:_SHOWN]) + (f" and {more} more" if more > 0 else "")

    def _skip(self, row: int, why: str) -> None:
        self.skipped.append(Skipped(f"{self._name}, row {row}", why))


def _path(root: Path, text: str) -> Path:
    """Return a path of the user's own table, wherever it leads; one of Windows is tried with its other separators."""
    path = Path(os.path.normpath(root / text))
    if "\\" in text and not _is_file(path):
        return Path(os.path.normpath(root / PureWindowsPath(text).as_posix()))
    return path


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        # What stands in a cell may be too long for a path, or none at all.
        return False
