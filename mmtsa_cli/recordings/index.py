"""The index of recordings: `index.csv` (one row a recording) beside `dataset.yaml` (what each modality is)."""

from __future__ import annotations

import csv
import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmtsa_cli.artifacts.manifest import FILE_NAME as MANIFEST_NAME
from mmtsa_cli.artifacts.remote import RemotePath, joined
from mmtsa_cli.errors import DataError, ManyErrors, MmtsaError, UsageError, did_you_mean, nearest
from mmtsa_cli.modalities import KNOWN_KINDS, Kind
from mmtsa_cli.recordings.cells import RowFaults, read_cells
from mmtsa_cli.recordings.description import (
    DATASET_NAME,
    Description,
    ModalitySpec,
    read_description,
    write_description,
)
from mmtsa_cli.recordings.relocation import relocation
from mmtsa_cli.recordings.rows import Recording, Recordings, Table

__all__ = [
    "DATASET_NAME",
    "INDEX_NAME",
    "Dataset",
    "ModalitySpec",
    "Recording",
    "fingerprint_index",
    "read_index",
    "write_index",
]

INDEX_NAME = "index.csv"
_REQUIRED = ("id", "label", "subject")
_TIMES = ("start", "end")


@dataclass(frozen=True)
class Dataset:
    """A validated index.

    Attributes
    ----------
    name : str
    root : Path
        The directory of index.csv; relative paths count from there.
    modalities : mapping of str to ModalitySpec
    recordings : sequence of Recording
    protocols : mapping of str to mapping
        The published splits: name to `{"train": {column: [values]}, "test": {...}}` or `{"leave_one_out": column}`.
    default_protocol : str or None
    notes : mapping
        What else dataset.yaml says (citation, ceilings of synthetic recordings).
    """

    name: str
    root: Path
    modalities: Mapping[str, ModalitySpec]
    recordings: Sequence[Recording]
    protocols: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    default_protocol: str | None = None
    notes: Mapping[str, Any] = field(default_factory=dict)

    def kinds(self) -> dict[str, Kind]:
        """Return the kind of each modality, as `modalities.select` wants it."""
        return {name: spec.kind for name, spec in self.modalities.items()}


def read_index(directory: Path, *, root: Path | None = None, labelled: bool = True) -> Dataset:
    """Read and check the index of a directory; opens none of the recordings.

    `index.csv` has the columns `id,label,subject`, may have `start,end` in seconds and any others, and one column a
    modality that holds a path, relative to `directory` or absolute; an empty cell means not recorded. Without
    `dataset.yaml`, columns of the usual names (`modalities.KNOWN_KINDS`) are modalities with default settings.

    Parameters
    ----------
    directory : Path
    root : Path, optional
        Where the recordings lie now, if the index was made on another machine (`relocation`).
    labelled : bool
        False: `label` and `subject` may be missing, as of recordings whose activity is to be found out.

    Raises
    ------
    DataError, UsageError, ManyErrors
        Every fault of both files at once, with its row or line; more than ten are counted.
    """
    path = directory / INDEX_NAME
    header, rows = _read_cells(directory, path)
    described = directory / DATASET_NAME
    if described.is_file():
        description = read_description(described)
    else:
        description = Description(directory.resolve().name, {}, {}, None, {})
    specs = dict(description.modalities)
    # A column with a usual name is that modality, whether or not dataset.yaml has anything to add.
    specs.update(
        {name: ModalitySpec(KNOWN_KINDS[name]) for name in header if name in KNOWN_KINDS and name not in specs}
    )
    _check_header(header, specs, path, _REQUIRED if labelled else _REQUIRED[:1])
    reader = _Rows(directory, path, header, tuple(specs), labelled=labelled, moved=root is not None)
    for row, cells in rows:
        reader.add(row, cells)
    reader.faults.raise_all()
    if not reader.table.rows:
        raise DataError("lists no recordings", where=str(path), expected="a row a recording below the header")
    if root is not None:
        _relocate(reader.table, root, path)
    return Dataset(
        name=description.name or directory.resolve().name,
        root=directory,
        modalities=specs,
        recordings=Recordings(reader.table),
        protocols=description.protocols,
        default_protocol=description.default_protocol,
        notes=description.notes,
    )


def write_index(dataset: Dataset, directory: Path) -> None:
    """Write `index.csv` and `dataset.yaml`; paths below `dataset.root` become relative, others absolute."""
    free = list(dict.fromkeys([*_REQUIRED, *(key for recording in dataset.recordings for key in recording.columns)]))
    timed = any(recording.start_s is not None or recording.end_s is not None for recording in dataset.recordings)
    root = dataset.root.resolve()
    with (directory / INDEX_NAME).open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow([*free, *(_TIMES if timed else ()), *dataset.modalities])
        for recording in dataset.recordings:
            columns = {**recording.columns, "id": recording.id, "label": recording.label}
            times = [_time_text(recording.start_s), _time_text(recording.end_s)] if timed else []
            files = [_path_text(recording.paths.get(name), root) for name in dataset.modalities]
            writer.writerow([*(columns.get(key, "") for key in free), *times, *files])
    description = Description(
        dataset.name, dataset.modalities, dataset.protocols, dataset.default_protocol, dataset.notes
    )
    write_description(directory / DATASET_NAME, description)


def fingerprint_index(directory: Path) -> str:
    """Return `sha256:...` of index.csv, dataset.yaml and, where the directory was made by a stage, its manifest."""
    digest = hashlib.sha256()
    for name in (INDEX_NAME, DATASET_NAME, MANIFEST_NAME):
        path = directory / name
        content = path.read_bytes() if path.is_file() else b""
        digest.update(f"{name} {len(content)}\n".encode())
        digest.update(content)
    return "sha256:" + digest.hexdigest()


def _relocate(table: Table, root: Path, path: Path) -> None:
    # As the index has them: a path of another system would not survive being made one of this.
    moved = relocation(
        [text for row in zip(*table.files.values(), strict=True) for text in row if text], root, where=str(path)
    )
    # Of an index that lies elsewhere, what has not moved is no file of that place either.
    table.root = root if isinstance(path, RemotePath) else path.parent
    table.files = {name: [moved[text] if text else "" for text in texts] for name, texts in table.files.items()}


class _Rows:
    """Rows checked and gathered in a table, their errors collected."""

    def __init__(
        self,
        directory: Path,
        path: Path,
        header: Sequence[str],
        modalities: Sequence[str],
        *,
        labelled: bool,
        moved: bool,
    ) -> None:
        self._directory = directory
        self._moved, self._here = moved, not isinstance(directory, RemotePath)
        self._labelled = labelled
        self._header = header
        self._modalities = modalities
        free = [name for name in header if name not in modalities and name not in _TIMES]
        self.table = Table(directory, {name: [] for name in free}, {name: [] for name in modalities})
        self.faults = RowFaults(path)

    def add(self, row: int, cells: Sequence[str]) -> None:
        """Add the recording of a row, or note its errors."""
        count, fault = len(self.faults.errors), self.faults.add
        if len(cells) != len(self._header) and any(cells[len(self._header) :] or [""]):
            fault(row, "too many cells", expected=str(len(self._header)), found=str(len(cells)))
            return
        if len(cells) < len(self._header):
            fault(row, "too few cells", expected=str(len(self._header)), found=str(len(cells)))
            return
        values = dict(zip(self._header, (cell.strip() for cell in cells), strict=False))
        if not values["id"]:
            fault(row, "no id")
        else:
            self.faults.check_id(row, values["id"])
        if self._labelled and not values["label"]:
            fault(row, "no label", remedy="name the activity, or delete the row")
        files = {name: values[name] for name in self._modalities if values[name]}
        for name, text in files.items():
            self._check_place(row, name, text)
        if not files:
            fault(row, "no file of any modality", expected=f"a path below {', '.join(self._modalities)}")
        start, end = self.faults.span(row, *(values.get(key, "") for key in _TIMES))
        if len(self.faults.errors) == count:
            self.table.append(row, values, start, end)

    def _check_place(self, row: int, name: str, text: str) -> None:
        if self._moved or (self._here and "://" not in text):
            return
        try:
            joined(self._directory, text)
        except ValueError as error:
            remedy = "name files below the index, or copy the index here"
            self.faults.add(row, f"{name} {error}", found=text, remedy=remedy)
        except UsageError as error:
            self.faults.add(row, f"{name}: {error.what}", found=error.where or "", remedy=error.remedy or "")


def _read_cells(directory: Path, path: Path) -> tuple[list[str], Iterator[tuple[int, list[str]]]]:
    """Return the header, and the rows with their numbers as they are asked for."""
    if not path.is_file():
        found = "no such directory"
        if directory.is_dir():
            found = ", ".join(sorted(entry.name for entry in directory.iterdir())[:5]) or "an empty directory"
        elif directory.exists():
            found = "a file"
        raise DataError(f"no {INDEX_NAME}", where=str(directory), expected="a directory of recordings", found=found)
    return read_cells(path, expected=f"a header {','.join(_REQUIRED)},...")


def _check_header(
    header: Sequence[str], specs: Mapping[str, ModalitySpec], path: Path, required: Sequence[str]
) -> None:
    where = f"{path}, row 1"
    errors: list[MmtsaError] = []
    for name in required:
        if name not in header:
            close = nearest(name, [other.lower() for other in header])
            remedy = next((f"did you mean {name} by {other}?" for other in header if other.lower() == close), None)
            errors.append(DataError(f"no column {name}", where=where, found=", ".join(header), remedy=remedy))
    twice = [name for name, count in Counter(header).items() if count > 1 and name]
    errors += [DataError(f"column {name} stands twice", where=where) for name in twice]
    for name in specs:
        if name not in header:
            remedy = did_you_mean(name, header)
            errors.append(DataError(f"no column for modality {name} of {DATASET_NAME}", where=where, remedy=remedy))
    if not specs:
        remedy = f"call its column {', '.join(KNOWN_KINDS)}, or give its kind in {DATASET_NAME}"
        errors.append(DataError("no column of a modality", where=where, found=", ".join(header), remedy=remedy))
    if errors:
        raise ManyErrors(errors)


def _time_text(seconds: float | None) -> str:
    return "" if seconds is None else repr(round(float(seconds), 9))


def _path_text(path: Path | None, root: Path) -> str:
    if path is None:
        return ""
    full = path if path.is_absolute() else path.absolute()
    return full.relative_to(root).as_posix() if full.is_relative_to(root) else str(full)
