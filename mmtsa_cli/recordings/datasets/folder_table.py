"""A user's own table: a row a recording, with its label and the paths of its files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain, count
from pathlib import Path, PurePosixPath

from mmtsa_cli.artifacts.directory import file_name
from mmtsa_cli.errors import DataError, ManyErrors, MmtsaError, UsageError, did_you_mean
from mmtsa_cli.modalities import KNOWN_KINDS
from mmtsa_cli.recordings.cells import read_cells
from mmtsa_cli.recordings.datasets.adapter import Scan
from mmtsa_cli.recordings.datasets.folder_rows import FREE, TIMES, RowReader, modalities_of
from mmtsa_cli.recordings.datasets.tree import FileTree
from mmtsa_cli.recordings.index import ModalitySpec, Recording

VIDEO_ENDINGS = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v")
_TABLE_ENDINGS = (".csv", ".tsv", ".txt")
_TELEMETRY = {"acc": "ACCL", "gyro": "GYRO"}
_EXPECTED = "a header that names the columns of labels and paths"
_SHOWN = 3


def is_root_table(name: str) -> bool:
    """Whether a file lies at the top of the tree and is a table by its name."""
    return "/" not in name and PurePosixPath(name).suffix.lower() in _TABLE_ENDINGS


def find_table(tree: FileTree, mapping: Mapping[str, str]) -> str | None:
    """Return the name of the table at the top of the tree; None where the tree is to be read by its folders.

    Raises
    ------
    UsageError
        There is a mapping, and no table or several.
    """
    tables = [name for name in tree.files if is_root_table(name)]
    if mapping and len(tables) != 1:
        raise UsageError(
            "no table to map" if not tables else "several tables to map",
            where="--map",
            expected="a CSV file, or a directory with one at its top",
            found=", ".join(tables[:_SHOWN]) or None,
            remedy="name the table in place of the directory",
        )
    if len(tables) != 1:
        return None
    return tables[0] if mapping or len(tree.files) == 1 or _says_what_it_is(tree.files[tables[0]]) else None


def scan_table(name: str, path: Path, mapping: Mapping[str, str]) -> Scan:
    """Return a recording per row that has a label and a file that is there.

    Parameters
    ----------
    name : str
        As it stands in the tree.
    mapping : mapping of str to str
        Columns of the index (id, label, subject, session, scene, view, start, end, and any name of a modality), and
        those of the table that hold them; empty: columns of these names.

    Raises
    ------
    DataError, UsageError, ManyErrors
        No column of labels or paths, wrong cells with their rows, or none of the files is there.
    """
    header, rows = read_cells(path, expected=_EXPECTED)
    columns = _columns(header, mapping, path)
    reader = RowReader(name, path, header, columns)
    found = [recording for row, cells in rows if (recording := reader.recording(row, cells))]
    reader.raise_errors(found)
    unused = [column for column in header if column and column not in columns.values()]
    notes = [f"columns that are not used: {', '.join(unused)}; --map takes them"] if unused else []
    return Scan(
        tuple(_with_ids(found)),
        tuple(reader.skipped),
        tuple(notes),
        tuple(reader.warnings()),
        modalities={modality: _spec(modality, text) for modality, text in reader.examples.items()},
    )


def _says_what_it_is(path: Path) -> bool:
    try:
        header, _ = read_cells(path, expected=_EXPECTED)
    except DataError:
        return False
    return "label" in header and any(name in KNOWN_KINDS for name in header)


def _columns(header: Sequence[str], mapping: Mapping[str, str], path: Path) -> dict[str, str]:
    """Return per name of the index its column of the table."""
    columns = dict(mapping) or {name: name for name in header if name in (*FREE, *TIMES, *KNOWN_KINDS)}
    where = "--map" if mapping else f"{path}, row 1"
    error = UsageError if mapping else DataError
    faults: list[MmtsaError] = []
    for name, column in columns.items():
        if header.count(column) != 1:
            what = f"{column} stands twice in {path}" if column in header else f"no column {column} in {path}"
            faults.append(error(what, where=where, found=", ".join(header), remedy=did_you_mean(column, header)))
        if name != file_name(name):
            faults.append(error("a modality names files", where=where, expected="letters, digits, - and _", found=name))
    has = f"columns {', '.join(header)}"
    if "label" not in columns:
        faults.append(error("no column of labels", where=where, found=has, remedy="name it: --map label=COLUMN,..."))
    if not modalities_of(columns):
        faults.append(error("no column of paths", where=where, found=has, remedy="name it: --map rgb=COLUMN,..."))
    if faults:
        raise faults[0] if len(faults) == 1 else ManyErrors(faults)
    return columns


def _with_ids(recordings: Sequence[Recording]) -> list[Recording]:
    """Give an id, made of the first file's name, to each that has none."""
    taken = {recording.id.casefold() for recording in recordings}
    named = []
    for recording in recordings:
        if not recording.id:
            first = file_name(next(iter(recording.paths.values())).stem) or "unnamed"
            tries = chain([first], (f"{first}-{number}" for number in count(2)))
            name = next(name for name in tries if name.casefold() not in taken)
            taken.add(name.casefold())
            recording = replace(recording, id=name, columns={**recording.columns, "id": name})
        named.append(recording)
    return named


def _spec(modality: str, name: str) -> ModalitySpec:
    """Return what a modality is: by its name, else by the ending of a file; a sensor in a camera's video by both."""
    video = PurePosixPath(name).suffix.lower() in VIDEO_ENDINGS
    kind = KNOWN_KINDS.get(modality) or ("video" if video else "sensor")
    stream = _TELEMETRY.get(modality.partition("_")[0]) if video and kind == "sensor" else None
    return ModalitySpec(kind, variable=stream)
