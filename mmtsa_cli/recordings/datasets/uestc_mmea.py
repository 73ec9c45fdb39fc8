"""UESTC-MMEA-CL: video and inertial recordings of smart glasses, 32 daily activities, about 200 clips of each.

L. Xu, Q. Wu, L. Pan, F. Meng, H. Li, C. He, H. Wang, S. Cheng, Y. Dai: Towards continual egocentric activity
recognition: a multi-modal egocentric activity dataset for continual learning, arXiv:2301.10931, 2023.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmtsa_cli.errors import DataError, MmtsaError
from mmtsa_cli.recordings.datasets.adapter import Scan, ScanOptions, Skipped, add_file, in_order
from mmtsa_cli.recordings.datasets.tree import FileTree
from mmtsa_cli.recordings.datasets.uestc_mmea_lists import Clip, splits_of
from mmtsa_cli.recordings.index import ModalitySpec, Recording
from mmtsa_cli.recordings.stamps import is_time_name

if TYPE_CHECKING:
    from mmtsa_cli.recordings.delimited import TextTable

_FILE = re.compile(r"(?:.*/)?(\d+)_([^/]+)/([^/]+)\.(mp4|csv)", re.IGNORECASE)
_MODALITIES_OF = {"mp4": ("rgb",), "csv": ("acc", "gyro")}
_ACTIVITIES = 32
_COLUMNS = "acc_x, acc_y, acc_z, gyro_x, gyro_y, gyro_z"


class UestcMmea:
    """The adapter of UESTC-MMEA-CL. See `Adapter` for the attributes."""

    name = "uestc-mmea"
    citation = (
        "L. Xu, Q. Wu, L. Pan, F. Meng, H. Li, C. He, H. Wang, S. Cheng, Y. Dai: Towards continual egocentric activity "
        "recognition: a multi-modal egocentric activity dataset for continual learning. arXiv:2301.10931, 2023."
    )
    modalities: Mapping[str, ModalitySpec] = {
        "rgb": ModalitySpec("video"),
        "acc": ModalitySpec("sensor", rate=25.0, unit="counts", columns=(1, 2, 3)),
        "gyro": ModalitySpec("sensor", rate=25.0, unit="counts", columns=(4, 5, 6)),
    }
    protocols: Mapping[str, Mapping[str, Any]] = {
        "published": {
            "train": {"split": ["train"]},
            "test": {"split": ["test"]},
            "source": "train.txt and test.txt of the dataset, as the authors' own code trains and tests; val.txt is "
            "left out",
        },
        "published-with-val": {
            "train": {"split": ["train", "val"]},
            "test": {"split": ["test"]},
            "source": "the dataset's three lists; validation.column=split validation.values=val validates on val.txt",
        },
    }
    default_protocol: str | None = "published"
    expected_layout = (
        "video/K_ACTIVITY/NAME.mp4 and sensor/K_ACTIVITY/NAME.csv (activity K in 1..32; columns "
        f"{_COLUMNS}), train.txt, val.txt and test.txt (a line a clip: its path or name, whatever follows)"
    )
    clips: int | None = None
    options: frozenset[str] = frozenset()

    def scan(self, tree: FileTree, options: ScanOptions) -> Scan:
        """Find a recording per clip of which there is any file, and the list that names it.

        Raises
        ------
        DataError
            Two files of one kind for one clip, or a sensor's file with other columns than six.
        """
        found: dict[Clip, dict[str, Path]] = {}
        labels: dict[int, str] = {}
        skipped = []
        for name, path in tree.files.items():
            match = _FILE.fullmatch(name)
            if match is None:
                continue
            clip = int(match[1]), match[3]
            if not 1 <= clip[0] <= _ACTIVITIES:
                skipped.append(Skipped(name, f"no activity of 1 to {_ACTIVITIES}"))
                continue
            labels.setdefault(clip[0], match[2].lower())
            for modality in _MODALITIES_OF[match[4].lower()]:
                add_file(found.setdefault(clip, {}), modality, path, clip[1])
        if not found:
            return Scan(skipped=tuple(skipped))
        splits, warnings = splits_of(tree, found)
        recordings = [
            _recording(clip, labels[clip[0]], splits.get(clip, ""), in_order(found[clip], self.modalities))
            for clip in sorted(found)
        ]
        specs, notes = _specs(self.modalities, (paths["acc"] for paths in found.values() if "acc" in paths))
        return Scan(tuple(recordings), tuple(skipped), notes, tuple(warnings), specs)


def _recording(clip: Clip, label: str, split: str, paths: Mapping[str, Path]) -> Recording:
    number, name = clip
    # The files of a clip bear its activity; where they are numbered only, the id must say it.
    name = name if name.lower().startswith(f"{number}_") else f"{number}_{label}_{name}"
    columns = {"id": name, "label": label, "subject": "", "split": split}
    return Recording(name, label, columns, paths)


def _specs(
    modalities: Mapping[str, ModalitySpec], files: Iterable[Path]
) -> tuple[Mapping[str, ModalitySpec] | None, tuple[str, ...]]:
    """Return the modalities with the columns that the first readable file has, None where they are as usual."""
    from mmtsa_cli.recordings.delimited import open_table

    for path in files:
        try:
            table = open_table(path)
        except MmtsaError:
            continue
        time, axes = _columns(table)
        note = "acc and gyro are counts of the chip: the authors' code divides by 8192 for g and by 16.4 for deg/s"
        if time is None and axes == [1, 2, 3, 4, 5, 6]:
            return None, (note,)
        named = {"acc": axes[:3], "gyro": axes[3:]}
        specs = {
            name: replace(spec, columns=tuple(named[name]), time=time) if name in named else spec
            for name, spec in modalities.items()
        }
        return specs, (note, f"sensors: time in column {time}, axes in {', '.join(map(str, axes))}")
    return None, ()


def _columns(table: TextTable) -> tuple[int | None, list[int]]:
    """Return the numbers (from 1) of the time column, None where there is none, and of the six axes.

    Raises
    ------
    DataError
        There are not six.
    """
    names = table.names or ("",) * table.width
    times = [number for number, name in enumerate(names, 1) if is_time_name(name)]
    if table.names is None and table.width == 7:
        times = [1]
    axes = [number for number in range(1, table.width + 1) if number not in times]
    if len(axes) != 6 or len(times) > 1:
        found = f"{table.width} columns" + (f": {', '.join(names)}" if table.names else " without header")
        expected = f"{_COLUMNS}, and a time column at most"
        raise DataError("not the columns of uestc-mmea", where=str(table.path), expected=expected, found=found)
    return (times[0] if times else None), axes
