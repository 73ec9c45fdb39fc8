"""A user's own recordings: a folder per class, or a table of paths and labels (`folder_table`)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from mmtsa_cli.artifacts.directory import file_names
from mmtsa_cli.modalities import KNOWN_KINDS
from mmtsa_cli.recordings.datasets.adapter import Scan, ScanOptions, Skipped, add_file, in_order
from mmtsa_cli.recordings.datasets.folder_table import VIDEO_ENDINGS, find_table, is_root_table, scan_table
from mmtsa_cli.recordings.datasets.tree import FileTree
from mmtsa_cli.recordings.index import ModalitySpec, Recording

SERIES_ENDINGS = (".csv", ".tsv", ".txt", ".npy", ".mat")
_MODALITY = re.compile(
    rf"(?:(?P<clip>.+)[_.-])?(?P<modality>{'|'.join(sorted(KNOWN_KINDS, key=len, reverse=True))})", re.IGNORECASE
)
_ABOUT_THE_DATA = ("readme", "license", "licence", "notes", "labels", "classes", "metadata", "annotations")


class Folder:
    """The adapter of a user's own files. See `Adapter` for the attributes."""

    name = "folder"
    citation = "no publication: the user's own recordings"
    modalities: Mapping[str, ModalitySpec] = {}
    protocols: Mapping[str, Mapping[str, Any]] = {}
    default_protocol: str | None = None
    expected_layout = (
        "CLASS/clip.mp4 and CLASS/clip.csv, or CLASS/SUBJECT/clip.*; videos (.mp4 .avi .mov .mkv .webm .m4v) are rgb, "
        "series (.csv .tsv .txt .npy .mat) acc; a name that ends in a modality is that one (clip_gyro.csv, "
        "clip_depth.mp4). Or a CSV, or a directory with one at its top, whose columns hold paths and labels: label, "
        "rgb, acc, ..., or as --map says"
    )
    clips: int | None = None
    options: frozenset[str] = frozenset({"mapping"})

    def scan(self, tree: FileTree, options: ScanOptions) -> Scan:
        """Find a recording per clip below the classes, or per row of the table.

        Raises
        ------
        DataError, UsageError, ManyErrors
            Two files of one modality and clip; a table without labels or paths, or with wrong ones.
        """
        table = find_table(tree, options.mapping)
        return scan_table(table, tree.files[table], options.mapping) if table else _scan_classes(tree)


class _Clip(NamedTuple):
    label: str
    subject: str
    name: str

    @property
    def id(self) -> str:
        return "_".join(part for part in self if part)


def _scan_classes(tree: FileTree) -> Scan:
    found: dict[tuple[str, ...], tuple[_Clip, dict[str, Path]]] = {}
    skipped = []
    for name, path in tree.files.items():
        if PurePosixPath(name).suffix.lower() not in (*VIDEO_ENDINGS, *SERIES_ENDINGS):
            continue
        clip, modality = _clip(name)
        why = _why_not(name, modality)
        if why:
            skipped.append(Skipped(name, why))
            continue
        # Of one clip, the video may be CLIP1.MP4 and the series clip1.csv.
        clip, files = found.setdefault(tuple(part.casefold() for part in clip), (clip, {}))
        add_file(files, modality, path, clip.id)
    specs = {name: ModalitySpec(kind) for name, kind in KNOWN_KINDS.items()}
    specs = {name: spec for name, spec in specs.items() if any(name in files for _, files in found.values())}
    clips = sorted(found.values(), key=lambda its: its[0])
    ids = file_names([clip.id for clip, _ in clips])
    recordings = [
        Recording(identity, clip.label, _columns(identity, clip), in_order(files, specs))
        for identity, (clip, files) in zip(ids, clips, strict=True)
    ]
    notes = ["no subjects: CLASS/SUBJECT/clip.* would name them, for splits by subject"] if recordings else []
    if any(clip.subject for clip, _ in clips):
        notes = []
    return Scan(tuple(recordings), tuple(skipped), tuple(notes), modalities=specs)


def _clip(name: str) -> tuple[_Clip, str]:
    """Return what clip a file is of, and which modality."""
    *folders, _ = name.split("/")
    label, subject = (*folders, "", "")[:2]
    stem, video = PurePosixPath(name).stem, PurePosixPath(name).suffix.lower() in VIDEO_ENDINGS
    match = _MODALITY.fullmatch(stem)
    if match and (KNOWN_KINDS[match["modality"].lower()] == "video" or not video):
        return _Clip(label, subject, match["clip"] or ""), match["modality"].lower()
    return _Clip(label, subject, stem), "rgb" if video else "acc"


def _why_not(name: str, modality: str) -> str | None:
    """Return why a video or series is none of a recording."""
    depth = name.count("/")
    series = PurePosixPath(name).suffix.lower() in SERIES_ENDINGS
    if not depth:
        if is_root_table(name):
            return "a table without columns label and rgb, acc, ...: say which they are with --map"
        return "in no folder of a class"
    if depth > 2:
        return "deeper than CLASS/SUBJECT/clip"
    if series and KNOWN_KINDS[modality] == "video":
        return f"{modality} that is no video file: write its rate into an index.csv and dataset.yaml of your own"
    if series and PurePosixPath(name).stem.lower() in _ABOUT_THE_DATA:
        return "about the data, by its name"
    return None


def _columns(identity: str, clip: _Clip) -> dict[str, str]:
    return {"id": identity, "label": clip.label, "subject": clip.subject}
