"""DataEgo: 42 recordings of five minutes by a pair of smart glasses, several of 20 activities in each.

R. Possas, S. Pinto Caceres, F. Ramos: Egocentric activity recognition on a budget, CVPR 2018.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

from mmtsa_cli.errors import MmtsaError, UsageError
from mmtsa_cli.recordings.datasets.adapter import Scan, ScanOptions, Skipped, add_file, in_order
from mmtsa_cli.recordings.datasets.dataego_notes import measured_rates, notes, rate_warnings, stranger_warnings
from mmtsa_cli.recordings.datasets.dataego_rows import RATE, SENSORS, Part, Recorded, read_recorded
from mmtsa_cli.recordings.datasets.dataego_splits import FOLDS, PROTOCOLS, by_recording, official_side
from mmtsa_cli.recordings.datasets.tree import FileTree
from mmtsa_cli.recordings.index import ModalitySpec, Recording
from mmtsa_cli.recordings.video_files import open_video

_CLIP_S, _OVERLAP_S = 15.0, 5.0
_FILE = re.compile(
    r"(?:.*/)?(?P<folder>REC_\d+)/(?:(?P<sensor>ACC_|GYR_)?(?P<name>REC_\d+)\.(?P<ending>mp4|txt)|labels[^/]*\.txt)",
    re.IGNORECASE,
)
_MODALITIES = {".mp4": "rgb", "acc_.txt": "acc", "gyr_.txt": "gyro"}


@dataclass
class _Found:
    """The files of a tree by recording, and what is found out about them.

    Attributes
    ----------
    names : mapping of Path to str
        Of every file of the tree its name relative to the root.
    not_empty : set of str
        Names of the files that have any bytes.
    files : mapping of str to mapping of str to Path
        Per recording the file of each modality.
    labels, other_labels : mapping of str to mapping of str to Path
        Per recording its `labels.txt`; and, where there is none, what else begins with `labels`.
    """

    names: Mapping[Path, str]
    not_empty: set[str]
    files: dict[str, dict[str, Path]] = field(default_factory=dict)
    labels: dict[str, dict[str, Path]] = field(default_factory=dict)
    other_labels: dict[str, dict[str, Path]] = field(default_factory=dict)
    recorded: list[Recorded] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def has_bytes(self, path: Path) -> bool:
        return self.names[path] in self.not_empty


class DataEgo:
    """The adapter of DataEgo. See `Adapter` for the attributes."""

    name = "dataego"
    citation = (
        "R. Possas, S. Pinto Caceres, F. Ramos: Egocentric activity recognition on a budget. IEEE/CVF Conference on "
        "Computer Vision and Pattern Recognition, 2018."
    )
    modalities: Mapping[str, ModalitySpec] = {
        "rgb": ModalitySpec("video"),
        "acc": ModalitySpec("sensor", rate=RATE, unit="m/s^2", columns=(1, 2, 3), spans="rgb"),
        "gyro": ModalitySpec("sensor", rate=RATE, unit="rad/s", columns=(1, 2, 3), spans="rgb"),
    }
    protocols: Mapping[str, Mapping[str, Any]] = PROTOCOLS
    default_protocol: str | None = f"{FOLDS}-fold-recording"
    expected_layout = (
        "folders REC_MS/ (MS: milliseconds since 1970) that hold REC_MS.mp4, ACC_REC_MS.txt, GYR_REC_MS.txt and "
        "labels.txt"
    )
    clips: int | None = None
    options: frozenset[str] = frozenset({"clip_s", "overlap_s"})

    def scan(self, tree: FileTree, options: ScanOptions) -> Scan:
        """Cut the recordings into clips of one activity; reads the labels of all rows, and how long the videos are.

        Raises
        ------
        DataError, ManyErrors
            Rows or labels that cannot be read, or two files of one kind for one recording.
        UsageError
            Clips that overlap by their whole length.
        """
        clip_s, step_s = _clip_and_step(options)
        found = _found(tree)
        clips: list[Recording] = []
        for name, files in sorted(found.files.items()):
            recorded = _recorded(name, files, found)
            if recorded is None:
                continue
            found.recorded.append(recorded)
            paths = in_order(files, self.modalities)
            source = found.names[files[recorded.labelled_by]]
            for part in recorded.parts(clip_s, step_s):
                if part.label is None:
                    found.skipped.append(Skipped(f"{source}, {part.start_s:g} to {part.end_s:g} s", part.why))
                else:
                    clips.append(_clip(name, part, part.label, paths))
        dealt = by_recording([(clip.columns["recording"], clip.label) for clip in clips])
        return Scan(
            tuple(clips),
            tuple(found.skipped),
            notes=tuple(notes(found.recorded)),
            warnings=(*found.warnings, *rate_warnings(found.recorded), *stranger_warnings(found.recorded)),
            modalities=self._measured(found.recorded),
            protocols={**PROTOCOLS, str(self.default_protocol): dealt} if dealt else None,
        )

    def _measured(self, recorded: Sequence[Recorded]) -> dict[str, ModalitySpec]:
        """Return the modalities, each sensor with its rate as measured against the videos, where there are any."""
        rates = {sensor: measured_rates(recorded, sensor) for sensor in SENSORS}
        return {
            name: replace(spec, rate=round(median(rates[name]), 2)) if rates.get(name) else spec
            for name, spec in self.modalities.items()
        }


def _clip_and_step(options: ScanOptions) -> tuple[float, float]:
    clip_s = _CLIP_S if options.clip_s is None else options.clip_s
    overlap_s = _OVERLAP_S if options.overlap_s is None else options.overlap_s
    if overlap_s >= clip_s:
        raise UsageError(
            "clips that overlap by their whole length",
            where="--overlap",
            expected=f"less than --clip {clip_s:g}",
            found=f"{overlap_s:g}",
            remedy="give a smaller --overlap",
        )
    return clip_s, clip_s - overlap_s


def _found(tree: FileTree) -> _Found:
    """Sort the files of a tree by recording and modality."""
    found = _Found(
        {path: name for name, path in tree.files.items()}, {name for name, size in tree.sizes.items() if size}
    )
    for name, path in tree.files.items():
        match = _FILE.fullmatch(name)
        if match is None:
            continue
        recording = match["folder"].upper()
        if match["name"] is None:
            main = path.name.lower() == "labels.txt"
            add_file(
                (found.labels if main else found.other_labels).setdefault(recording, {}), "labels", path, recording
            )
        elif match["name"].upper() != recording:
            found.skipped.append(Skipped(name, "in the folder of another recording"))
        elif modality := _MODALITIES.get(f"{match['sensor'] or ''}.{match['ending']}".lower()):
            add_file(found.files.setdefault(recording, {}), modality, path, recording)
    return found


def _recorded(name: str, files: dict[str, Path], found: _Found) -> Recorded | None:
    """Read what the files of a recording say; None, and the reason among what is skipped, where that is nothing.

    A video that cannot be opened is taken out of `files`: the sensors, which would be spread over it, can be used.
    """
    first = found.names[next(iter(files.values()))]
    sensors = {sensor: files[sensor] for sensor in SENSORS if sensor in files and found.has_bytes(files[sensor])}
    labels = found.labels.get(name) or found.other_labels.get(name)
    if not sensors or labels is None:
        found.skipped.append(
            Skipped(first, "no labels file" if labels is None else "no sensor with rows, so no labels")
        )
        return None
    video_s = _video_s(files, found) if "rgb" in files else None
    return read_recorded(name, sensors, labels["labels"], video_s)


def _video_s(files: dict[str, Path], found: _Found) -> float | None:
    """Return the length of a recording's video; None, and the file is taken out, where it cannot be opened."""
    try:
        with open_video(files["rgb"], DataEgo.modalities["rgb"]) as video:
            return video.info.duration_s
    except MmtsaError as error:
        name = found.names[files.pop("rgb")]
        found.skipped.append(Skipped(name, "a video that cannot be opened"))
        found.warnings.append(f"{name}: {error.what}: left out, its sensors are taken to run at {RATE:g} Hz")
        return None


def _clip(name: str, part: Part, label: str, paths: Mapping[str, Path]) -> Recording:
    clip = f"{name}_{part.start_s:g}s"
    columns = {"id": clip, "label": label, "subject": "", "recording": name}
    columns["official_split"] = official_side(name, label)
    return Recording(clip, label, columns, paths, part.start_s, part.end_s)
