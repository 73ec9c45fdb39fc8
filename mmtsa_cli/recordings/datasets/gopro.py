"""Videos of GoPro cameras: the picture, and accelerometer and gyroscope from the telemetry in the same file.

The camera writes long recordings in chapters (GX010001.MP4, GX020001.MP4, ...): each is a row of its own, and the rows
of one recording share their session, so that a split by session keeps them together.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from mmtsa_cli.artifacts.directory import file_names
from mmtsa_cli.errors import DataError
from mmtsa_cli.recordings.datasets.adapter import Scan, ScanOptions, Skipped, add_file
from mmtsa_cli.recordings.datasets.tree import FileTree
from mmtsa_cli.recordings.index import ModalitySpec, Recording

if TYPE_CHECKING:
    from mmtsa_cli.recordings.telemetry import Sensor

UNLABELLED = "unlabelled"
_VIDEOS = (".mp4", ".mov")
_PASSED_OVER = {
    ".lrv": "preview of a video",
    ".thm": "thumbnail of a video",
    ".360": "two pictures of half a sphere: export it as MP4 with its telemetry",
}
_OWN_FOLDER = re.compile(r"dcim|\d{3}gopro", re.IGNORECASE)
"""Folders that the camera makes: their names are no activity."""
_CHAPTER = re.compile(r"g[hxlp](?P<chapter>\d\d)(?P<number>\d{4})|gopr(?P<first>\d{4})", re.IGNORECASE)


class GoPro:
    """The adapter of GoPro cameras' own files. See `Adapter` for the attributes."""

    name = "gopro"
    citation = (
        "GoPro, Inc.: GPMF, the format of the cameras' telemetry, 2017 to 2020, https://github.com/gopro/gpmf-parser"
    )
    modalities: Mapping[str, ModalitySpec] = {
        "rgb": ModalitySpec("video"),
        "acc": ModalitySpec("sensor", unit="m/s^2", variable="ACCL"),
        "gyro": ModalitySpec("sensor", unit="rad/s", variable="GYRO"),
    }
    protocols: Mapping[str, Mapping[str, Any]] = {}
    default_protocol: str | None = None
    expected_layout = (
        "*.MP4 or *.MOV as the camera wrote them, with their telemetry, in a folder per activity (walk/GX010001.MP4); "
        "in no folder they are unlabelled"
    )
    clips: int | None = None
    options: frozenset[str] = frozenset()

    def scan(self, tree: FileTree, options: ScanOptions) -> Scan:
        """Find a recording per video with telemetry; its label is the folder that it lies in.

        Opens every video and reads the first packet of its telemetry.

        Raises
        ------
        DataError
            Two videos of one name in a folder.
        """
        sensors, skipped = _found(tree)
        ids = file_names(["_".join(PurePosixPath(name).with_suffix("").parts) for name in sensors])
        recordings = []
        for identity, (name, its) in zip(ids, sensors.items(), strict=True):
            present = [key for key, spec in self.modalities.items() if _has(spec, its)]
            recordings.append(_recording(identity, name, tree.files[name], present))
        notes, warnings = _remarks(sensors, recordings)
        specs = {key: _with_unit(spec, sensors.values()) for key, spec in self.modalities.items()}
        return Scan(tuple(recordings), tuple(skipped), tuple(notes), tuple(warnings), modalities=specs)


def _found(tree: FileTree) -> tuple[dict[str, Mapping[str, Sensor]], list[Skipped]]:
    """Return the sensors of each video that is a recording, and what is none."""
    sensors: dict[str, Mapping[str, Sensor]] = {}
    skipped: list[Skipped] = []
    clips: dict[str, dict[str, Path]] = {}
    for name, path in tree.files.items():
        ending = PurePosixPath(name).suffix.lower()
        its, why = _sensors(path) if ending in _VIDEOS else ({}, _PASSED_OVER.get(ending))
        if its:
            clip = str(PurePosixPath(name).with_suffix(""))
            add_file(clips.setdefault(clip.casefold(), {}), "rgb", path, clip)
            sensors[name] = its
        elif why:
            skipped.append(Skipped(name, why))
    return sensors, skipped


def _sensors(path: Path) -> tuple[Mapping[str, Sensor], str | None]:
    """Return the sensors of a video, or why it is no recording."""
    from mmtsa_cli.recordings.telemetry import sensors_of

    try:
        found = sensors_of(path)
    except DataError as error:
        return {}, error.what
    if not any(_has(spec, found) for spec in GoPro.modalities.values() if spec.variable):
        return {}, "no accelerometer or gyroscope in its telemetry"
    return found, None


def _has(spec: ModalitySpec, sensors: Mapping[str, Sensor]) -> bool:
    return spec.variable is None or spec.variable in sensors


def _recording(identity: str, name: str, path: Path, modalities: Sequence[str]) -> Recording:
    label, session = _label(name), _session(name)
    columns = {"id": identity, "label": label, "subject": "", "session": session}
    return Recording(identity, label, columns, dict.fromkeys(modalities, path))


def _label(name: str) -> str:
    folder = PurePosixPath(name).parent.name
    return UNLABELLED if not folder or _OWN_FOLDER.fullmatch(folder) else folder


def _session(name: str) -> str:
    """Return what all chapters of one recording have in common, "" for a file that was renamed."""
    match = _CHAPTER.fullmatch(PurePosixPath(name).stem)
    folder = PurePosixPath(name).parent.as_posix()
    return f"{folder}/{match['number'] or match['first']}".removeprefix("./") if match else ""


def _with_unit(spec: ModalitySpec, found: Iterable[Mapping[str, Sensor]]) -> ModalitySpec:
    """Return the modality with the unit that the files say, if they say another one."""
    units = {its[spec.variable].unit for its in found if spec.variable and spec.variable in its} - {""}
    return replace(spec, unit=units.pop()) if len(units) == 1 else spec


def _remarks(
    sensors: Mapping[str, Mapping[str, Sensor]], recordings: Sequence[Recording]
) -> tuple[list[str], list[str]]:
    notes, warnings = [], []
    models = sorted({sensor.model for its in sensors.values() for sensor in its.values() if sensor.model})
    if models:
        notes.append(f"cameras: {', '.join(models)}")
    sessions = [recording.columns["session"] for recording in recordings if recording.columns["session"]]
    if len(set(sessions)) < len(sessions):
        notes.append("chapters of one recording are a row each and share their session")
    unknown = [name for name, its in sensors.items() if not all(sensor.axes_known for sensor in its.values())]
    if unknown:
        said = f"{len(unknown)} videos, the first {unknown[0]}: the camera does not say which axis is which"
        warnings.append(f"{said}; they stay in its own order, as axis1, axis2, axis3")
    bare = sum(recording.label == UNLABELLED for recording in recordings)
    if bare:
        remedy = "write the activity into index.csv, put them into a folder per activity, or use `folder` with a table"
        warnings.append(f"{bare} videos are {UNLABELLED}: they lie in no folder that names an activity; {remedy}")
    return notes, warnings
