"""sp-sw-har: the sensors of a phone in the pocket and a watch, labelled row by row, five activities by 23 subjects.

M. Matey-Sanz, S. Casteleyn, C. Granell: Dataset of inertial measurements of smartphones and smartwatches for human
activity recognition, Data in Brief 2023.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from mmtsa_cli.errors import ManyErrors, MmtsaError
from mmtsa_cli.recordings.datasets.adapter import Scan, ScanOptions, Skipped, add_file
from mmtsa_cli.recordings.datasets.sp_sw_har_tracks import Run, Track, read_track, shared
from mmtsa_cli.recordings.datasets.tree import FileTree
from mmtsa_cli.recordings.index import ModalitySpec, Recording

_FILE = re.compile(r"(s\d+)_(\d+)_(sp|sw)\.csv", re.IGNORECASE)
_MODALITIES_OF = {"sp": ("acc_phone", "gyro_phone"), "sw": ("acc_watch", "gyro_watch")}
_EXECUTIONS = 223
_SHORTEST_S = 0.1
"""A label that lasts for less is a slip: in the real files mostly a single row between two activities."""


def _sensor(unit: str, *columns: str) -> ModalitySpec:
    return ModalitySpec("sensor", rate=100.0, unit=unit, columns=columns, time="timestamp")


class SpSwHar:
    """The adapter of sp-sw-har. See `Adapter` for the attributes."""

    name = "sp-sw-har"
    citation = (
        "M. Matey-Sanz, S. Casteleyn, C. Granell: Dataset of inertial measurements of smartphones and smartwatches for "
        "human activity recognition. Data in Brief 51, 109809, 2023."
    )
    modalities: Mapping[str, ModalitySpec] = {
        "acc_phone": _sensor("m/s^2", "x_acc", "y_acc", "z_acc"),
        "gyro_phone": _sensor("rad/s", "x_gyro", "y_gyro", "z_gyro"),
        "acc_watch": _sensor("m/s^2", "x_acc", "y_acc", "z_acc"),
        "gyro_watch": _sensor("rad/s", "x_gyro", "y_gyro", "z_gyro"),
    }
    protocols: Mapping[str, Mapping[str, Any]] = {
        "leave-one-subject-out": {
            "leave_one_out": "subject",
            "source": "the authors publish no split with the data; each subject in turn tests on people never seen",
        },
    }
    default_protocol: str | None = "leave-one-subject-out"
    expected_layout = (
        "sXX_YY_sp.csv (phone) and sXX_YY_sw.csv (watch) with the columns x_acc,y_acc,z_acc,x_gyro,y_gyro,z_gyro,"
        "timestamp,label (subject XX, execution YY), in DATA/sXX/, and DATA/executions_info.csv"
    )
    clips: int | None = None
    options: frozenset[str] = frozenset()

    def scan(self, tree: FileTree, options: ScanOptions) -> Scan:
        """Find a recording per run of one label, by the phone's labels; the watch's where the phone has none.

        A file that cannot be read is skipped, as is a run without label or of less than 0.1 s.

        Raises
        ------
        DataError
            Two files of one device for one execution.
        """
        skipped: list[Skipped] = []
        executions = _executions(tree, skipped)
        orientations = _orientations(tree)
        recordings: list[Recording] = []
        for name, tracks in executions.items():
            columns = {"phone_orientation": orientations.get(name, "")}
            recordings += _recordings(name, tracks, columns, skipped)
        return Scan(tuple(recordings), tuple(skipped), notes=tuple(_notes(executions.values())))


def _executions(tree: FileTree, skipped: list[Skipped]) -> dict[str, dict[str, Track]]:
    """Return per execution ("s01_03") the readable tracks of its devices, the phone first."""
    found: dict[str, dict[str, Path]] = {}
    names = {path: name for name, path in tree.files.items()}
    for path, name in names.items():
        if match := _FILE.fullmatch(PurePosixPath(name).name):
            execution = f"{match[1]}_{match[2]}".lower()
            add_file(found.setdefault(execution, {}), match[3].lower(), path, execution)
    executions = {}
    for execution in sorted(found):
        tracks = {}
        for device, path in sorted(found[execution].items()):
            try:
                tracks[device] = read_track(names[path], path)
            except MmtsaError as error:
                first = error.errors[0] if isinstance(error, ManyErrors) else error
                skipped.append(Skipped(names[path], first.what))
        if tracks:
            executions[execution] = tracks
    return executions


def _recordings(
    execution: str,
    tracks: Mapping[str, Track],
    columns: Mapping[str, str],
    skipped: list[Skipped],
) -> Iterator[Recording]:
    subject, number = execution.split("_")
    leading = next(iter(tracks.values()))
    counts: Counter[str] = Counter()
    for run in leading.runs:
        if why := _no_recording(run):
            times = f"{run.start - leading.start:.2f} to {run.end - leading.start:.2f} s"
            skipped.append(Skipped(f"{leading.name}, {times}", why))
            continue
        counts[run.label] += 1
        name = f"{execution}_{run.label}_{counts[run.label]}"
        its = {"id": name, "label": run.label, "subject": subject, "execution": number, **columns}
        covering = {device: track for device, track in tracks.items() if shared(run, track) >= _SHORTEST_S}
        paths = {modality: track.path for device, track in covering.items() for modality in _MODALITIES_OF[device]}
        # Second 0 of a recording is the earliest stamp of its own files.
        zero = min(track.start for track in covering.values())
        yield Recording(name, run.label, its, paths, round(run.start - zero, 6), round(run.end - zero, 6))


def _no_recording(run: Run) -> str | None:
    if not run.label:
        return "no label"
    return f"a label of less than {_SHORTEST_S:g} s" if run.end - run.start < _SHORTEST_S else None


def _orientations(tree: FileTree) -> dict[str, str]:
    """Return per execution how the phone lay in the pocket, as far as `executions_info.csv` says."""
    name = next((name for name in tree.files if PurePosixPath(name).name.lower() == "executions_info.csv"), None)
    if name is None:
        return {}
    text = tree.files[name].read_text(encoding="utf-8-sig", errors="replace")
    rows = [[cell.strip() for cell in line.split(",")] for line in text.splitlines()]
    if not rows or not {"execution_id", "orientation"} <= set(rows[0]):
        return {}
    execution, orientation = rows[0].index("execution_id"), rows[0].index("orientation")
    return {row[execution].lower(): row[orientation] for row in rows[1:] if len(row) == len(rows[0])}


def _notes(executions: Iterable[Mapping[str, Track]]) -> Iterator[str]:
    """Yield how much of the whole is here, and how far the two devices agree."""
    executions = list(executions)
    if executions:
        yield f"{len(executions)} of {_EXECUTIONS} executions; each run of one label is a recording"
    pairs = [(tracks["sp"], tracks["sw"]) for tracks in executions if len(tracks) == 2]
    common = sum(shared(phone, watch) for phone, watch in pairs)
    if not common:
        return
    agreed = sum(
        shared(one, other)
        for phone, watch in pairs
        for one in phone.runs
        for other in watch.runs
        if one.label == other.label
    )
    apart = max(abs(phone.start - watch.start) for phone, watch in pairs)
    yield f"phone and watch start up to {apart:.2f} s apart"
    yield f"phone and watch disagree about the label for {1 - agreed / common:.1%} of their time: the phone's are taken"
