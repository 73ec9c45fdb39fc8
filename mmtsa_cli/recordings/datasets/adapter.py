"""The contract of a dataset adapter: what a published dataset is, and where its authors put its recordings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from mmtsa_cli.errors import DataError
from mmtsa_cli.recordings.datasets.tree import FileTree
from mmtsa_cli.recordings.index import ModalitySpec, Recording


@dataclass(frozen=True)
class ScanOptions:
    """What the person who calls `prepare` may choose; `Adapter.options` says which of it a dataset takes.

    Attributes
    ----------
    time : "stamps" or "rate"
        Whether the stamps inside a sensor's file are believed, or only the first one, and the rate from there on.
    test_scenes : tuple of str
        The scenes that protocol cross-scene tests on; empty: the dataset's own choice.
    clip_s, overlap_s : float or None
        Length of the clips that long recordings are cut into, and how far neighbours overlap; None: as published.
    mapping : mapping of str to str
        Columns of the index by name, and the columns of a table that hold them ("label" to "activity").
    """

    time: Literal["stamps", "rate"] = "stamps"
    test_scenes: tuple[str, ...] = ()
    clip_s: float | None = None
    overlap_s: float | None = None
    mapping: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Skipped:
    """A file, or a part of one, that is no recording, though it lies where recordings are.

    Attributes
    ----------
    file : str
        Relative to the dataset's root, with the part where it is one ("REC_1/REC_1.mp4, 30 to 45 s").
    why : str
        The same words for the same reason, so that they can be counted ("empty (0 bytes)", "no label").
    """

    file: str
    why: str


@dataclass(frozen=True)
class Scan:
    """What an adapter found.

    Attributes
    ----------
    recordings : tuple of Recording
        In a fixed order, ids unique, paths absolute and in the order of the modalities; none: another dataset.
    skipped : tuple of Skipped
        Files that look like the dataset's and are not used, and why. Files of other kinds need no mention.
    notes : tuple of str
        What was measured or decided on the way, a sentence each ("gyro: 14.98 Hz measured against the video").
    warnings : tuple of str
        What the person should look at, a sentence each.
    modalities : mapping of str to ModalitySpec, or None
        Where the files said more than `Adapter.modalities` (a measured rate).
    protocols : mapping of str to mapping, or None
        Where they depend on the files or the options; None: `Adapter.protocols`.
    """

    recordings: tuple[Recording, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    modalities: Mapping[str, ModalitySpec] | None = None
    protocols: Mapping[str, Mapping[str, Any]] | None = None


class Adapter(Protocol):
    """A published dataset. An adapter looks for files by name, and opens those alone that hold labels or clocks.

    Attributes
    ----------
    name : str
        As the command takes it ("utd-mhad").
    citation : str
        The publication to cite.
    modalities : mapping of str to ModalitySpec
        All that the dataset may hold, in the order of the index's columns.
    protocols : mapping of str to mapping
        The published splits, as in `Dataset.protocols`; each may say its `source`.
    default_protocol : str or None
    expected_layout : str
        The files that are looked for: shown by the help, and by the error where there are none.
    clips : int or None
        Recordings in the whole dataset, by which half a download is told; None where that is not known.
    options : frozenset of str
        The fields of `ScanOptions` that it takes.
    """

    name: str
    citation: str
    modalities: Mapping[str, ModalitySpec]
    protocols: Mapping[str, Mapping[str, Any]]
    default_protocol: str | None
    expected_layout: str
    clips: int | None
    options: frozenset[str]

    def scan(self, tree: FileTree, options: ScanOptions) -> Scan:
        """Return the recordings among the files of `tree`; no recordings where it is another dataset.

        Raises
        ------
        DataError
            Files that contradict each other (`add_file`), or one with labels that cannot be read.
        """


def add_file(files: dict[str, Path], modality: str, path: Path, recording: str) -> None:
    """Note the file of one modality of a recording.

    Raises
    ------
    DataError
        There is one already: which of the two is the recording nobody can tell.
    """
    if modality in files and files[modality] != path:
        raise DataError(
            f"two files of {modality} for one clip, {recording}",
            where=str(path),
            found=f"also {files[modality]}",
            remedy="take one of them away",
        )
    files[modality] = path


def in_order(files: Mapping[str, Path], modalities: Mapping[str, ModalitySpec]) -> dict[str, Path]:
    """Return the files in the order of the modalities, whatever the order in which they were found."""
    return {name: files[name] for name in modalities if name in files}
