"""UTD-MHAD: depth, colour and inertial recordings of 27 actions by 8 subjects.

C. Chen, R. Jafari, N. Kehtarnavaz: UTD-MHAD: a multimodal dataset for human action recognition utilizing a depth camera
and a wearable inertial sensor, ICIP 2015.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from mmtsa_cli.recordings.datasets.adapter import Scan, ScanOptions, Skipped, add_file, in_order
from mmtsa_cli.recordings.datasets.tree import FileTree
from mmtsa_cli.recordings.index import ModalitySpec, Recording

ACTIONS = (
    "swipe_left",
    "swipe_right",
    "wave",
    "clap",
    "throw",
    "cross_arms",
    "basketball_shoot",
    "draw_x",
    "draw_circle_clockwise",
    "draw_circle_counter_clockwise",
    "draw_triangle",
    "bowling",
    "boxing",
    "baseball_swing",
    "tennis_swing",
    "arm_curl",
    "tennis_serve",
    "push",
    "knock",
    "catch",
    "pick_up_and_throw",
    "jog",
    "walk",
    "sit_to_stand",
    "stand_to_sit",
    "lunge",
    "squat",
)
"""Labels of actions 1 to 27."""

_FILE = re.compile(r"a(\d+)_s(\d+)_t(\d+)_(inertial\.mat|depth\.mat|color\.avi)", re.IGNORECASE)
_MODALITIES_OF = {"inertial.mat": ("acc", "gyro"), "depth.mat": ("depth",), "color.avi": ("rgb",)}
_DEPTH_RANGE_MM = (2000.0, 3600.0)
"""People stand 2.4 to 3.4 m from the camera (1 % to 99 % of all readings); the nearest hand reaches 2.06 m."""


class UtdMhad:
    """The adapter of UTD-MHAD. See `Adapter` for the attributes."""

    name = "utd-mhad"
    citation = (
        "C. Chen, R. Jafari, N. Kehtarnavaz: UTD-MHAD: a multimodal dataset for human action recognition utilizing a "
        "depth camera and a wearable inertial sensor. IEEE International Conference on Image Processing, 2015."
    )
    modalities: Mapping[str, ModalitySpec] = {
        "rgb": ModalitySpec("video"),
        "depth": ModalitySpec("video", variable="d_depth", spans="acc", depth_range_mm=_DEPTH_RANGE_MM),
        "acc": ModalitySpec("sensor", rate=50.0, unit="g", columns=(1, 2, 3), variable="d_iner"),
        "gyro": ModalitySpec("sensor", rate=50.0, unit="deg/s", columns=(4, 5, 6), variable="d_iner"),
    }
    protocols: Mapping[str, Mapping[str, Any]] = {
        "cross-subject": {
            "train": {"subject": ["1", "3", "5", "7"]},
            "test": {"subject": ["2", "4", "6", "8"]},
            "source": "Chen, Jafari, Kehtarnavaz, ICIP 2015: odd subjects train, even ones test",
        },
        "leave-one-subject-out": {
            "leave_one_out": "subject",
            "source": "Islam, Iqbal, HAMLET, IROS 2020: each of the eight subjects in turn",
        },
    }
    default_protocol: str | None = "cross-subject"
    expected_layout = (
        "aA_sS_tT_inertial.mat, aA_sS_tT_depth.mat and aA_sS_tT_color.avi (action A in 1..27, subject S, trial T), in "
        "Inertial/, Depth/ and RGB/ or in one folder"
    )
    clips: int | None = 861
    options: frozenset[str] = frozenset()

    def scan(self, tree: FileTree, options: ScanOptions) -> Scan:
        """Find a recording per action, subject and trial of which there is any file.

        Raises
        ------
        DataError
            Two files of one modality and trial.
        """
        found: dict[tuple[int, int, int], dict[str, Path]] = {}
        skipped = []
        for name, trial, kind in _files(tree):
            if not 1 <= trial[0] <= len(ACTIONS):
                skipped.append(Skipped(name, f"no action of 1 to {len(ACTIONS)}"))
                continue
            paths = found.setdefault(trial, {})
            for modality in _MODALITIES_OF[kind]:
                add_file(paths, modality, tree.files[name], _id(trial))
        recordings = [_recording(trial, in_order(found[trial], self.modalities)) for trial in sorted(found)]
        return Scan(tuple(recordings), tuple(skipped))


def _files(tree: FileTree) -> Iterator[tuple[str, tuple[int, int, int], str]]:
    for name in tree.files:
        match = _FILE.fullmatch(PurePosixPath(name).name)
        if match:
            yield name, (int(match[1]), int(match[2]), int(match[3])), match[4].lower()


def _id(trial: tuple[int, int, int]) -> str:
    return "a{}_s{}_t{}".format(*trial)


def _recording(trial: tuple[int, int, int], paths: Mapping[str, Path]) -> Recording:
    action, subject, repetition = trial
    name, label = _id(trial), ACTIONS[action - 1]
    columns = {"id": name, "label": label, "subject": str(subject), "trial": str(repetition)}
    return Recording(name, label, columns, paths)
