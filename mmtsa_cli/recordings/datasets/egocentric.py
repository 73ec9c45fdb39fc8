"""Multimodal Egocentric Activity: video and sensors of smart glasses, 20 activities in 10 sequences of 15 s.

S. Song, V. Chandrasekhar, B. Mandal, L. Li, J.-H. Lim, G. S. Babu, P. P. San, N.-M. Cheung: Multimodal multi-stream
deep learning for egocentric activity recognition, CVPR workshops 2016.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from mmtsa_cli.recordings.datasets.adapter import Scan, ScanOptions, Skipped, add_file, in_order
from mmtsa_cli.recordings.datasets.tree import FileTree
from mmtsa_cli.recordings.index import ModalitySpec, Recording

ACTIVITIES = (
    "walking",
    "walking_upstairs",
    "walking_downstairs",
    "riding_elevator_up",
    "riding_elevator_down",
    "riding_escalator_up",
    "riding_escalator_down",
    "sitting",
    "eating",
    "drinking",
    "texting",
    "making_phone_calls",
    "working_at_pc",
    "reading",
    "writing_sentences",
    "organizing_files",
    "running",
    "doing_push_ups",
    "doing_sit_ups",
    "cycling",
)
"""Labels of activities 1 to 20."""

_FILE = re.compile(r"act(\d+)seq(\d+)\.(csv|mp4)", re.IGNORECASE)
_RATE = 10.0


def _sensor(unit: str, *columns: int) -> ModalitySpec:
    return ModalitySpec("sensor", rate=_RATE, unit=unit, columns=columns)


class Egocentric:
    """The adapter of Multimodal Egocentric Activity. See `Adapter` for the attributes."""

    name = "egocentric"
    citation = (
        "S. Song, V. Chandrasekhar, B. Mandal, L. Li, J.-H. Lim, G. S. Babu, P. P. San, N.-M. Cheung: Multimodal "
        "multi-stream deep learning for egocentric activity recognition. IEEE Conference on Computer Vision and "
        "Pattern Recognition Workshops, 2016."
    )
    modalities: Mapping[str, ModalitySpec] = {
        "rgb": ModalitySpec("video"),
        "acc": _sensor("m/s^2", 1, 2, 3),
        "gravity": _sensor("m/s^2", 4, 5, 6),
        "gyro": _sensor("rad/s", 7, 8, 9),
        "linear_acc": _sensor("m/s^2", 10, 11, 12),
        "magnetic": _sensor("uT", 13, 14, 15),
        "rotation": _sensor("quaternion", 16, 17, 18, 19),
    }
    protocols: Mapping[str, Mapping[str, Any]] = {
        "leave-one-sequence-out": {
            "leave_one_out": "sequence",
            "source": "Song et al., CVPR workshops 2016: each of the ten sequences of all activities in turn, the mean",
        },
    }
    default_protocol: str | None = "leave-one-sequence-out"
    expected_layout = (
        "actAAseqSS.csv and actAAseqSS.mp4 (activity AA in 01..20, sequence SS in 01..10), in sensor/ and video/ or in "
        "any other folders; the sensors alone are enough"
    )
    clips: int | None = 200
    options: frozenset[str] = frozenset()

    def scan(self, tree: FileTree, options: ScanOptions) -> Scan:
        """Find a recording per activity and sequence of which there is any file. Who wears the glasses is not known.

        Raises
        ------
        DataError
            Two files of one kind for one clip.
        """
        found: dict[tuple[int, int], dict[str, Path]] = {}
        skipped = []
        for name, path in tree.files.items():
            match = _FILE.fullmatch(PurePosixPath(name).name)
            if match is None:
                continue
            clip = int(match[1]), int(match[2])
            if not 1 <= clip[0] <= len(ACTIVITIES):
                skipped.append(Skipped(name, f"no activity of 1 to {len(ACTIVITIES)}"))
                continue
            for modality in self._modalities_of(match[3].lower()):
                add_file(found.setdefault(clip, {}), modality, path, _id(clip))
        recordings = [_recording(clip, in_order(found[clip], self.modalities)) for clip in sorted(found)]
        return Scan(tuple(recordings), tuple(skipped))

    def _modalities_of(self, ending: str) -> list[str]:
        kind = "video" if ending == "mp4" else "sensor"
        return [name for name, spec in self.modalities.items() if spec.kind == kind]


def _id(clip: tuple[int, int]) -> str:
    return "act{:02d}seq{:02d}".format(*clip)


def _recording(clip: tuple[int, int], paths: Mapping[str, Path]) -> Recording:
    name, label = _id(clip), ACTIVITIES[clip[0] - 1]
    columns = {"id": name, "label": label, "subject": "", "sequence": str(clip[1])}
    return Recording(name, label, columns, paths)
