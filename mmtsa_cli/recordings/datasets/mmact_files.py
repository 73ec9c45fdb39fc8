"""The names of MMAct's files: which performance, camera and sensor a file is of."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from mmtsa_cli.errors import nearest
from mmtsa_cli.recordings.datasets.adapter import add_file
from mmtsa_cli.recordings.datasets.tree import FileTree

ACTIVITIES = (
    "carrying",
    "carrying_heavy",
    "carrying_light",
    "checking_time",
    "closing",
    "crouching",
    "drinking",
    "entering",
    "exiting",
    "fall",
    "jumping",
    "kicking",
    "loitering",
    "looking_around",
    "opening",
    "picking_up",
    "pocket_in",
    "pocket_out",
    "pointing",
    "pulling",
    "pushing",
    "running",
    "setting_down",
    "sitting",
    "sitting_down",
    "standing",
    "standing_up",
    "talking",
    "talking_on_phone",
    "talking_on_phone_desk",
    "throwing",
    "transferring_object",
    "using_pc",
    "using_phone",
    "using_phone_desk",
    "walking",
    "waving_hand",
)
"""The 37 labels."""
DESK_SCENE = 3
AT_THE_DESK = ("using_phone", "talking_on_phone")
"""Files of these names are of two classes: in the scene of the desk their labels end in `_desk`."""

_PLACE = r"scene(?P<scene>\d+)/session(?P<session>\d+)/(?P<activity>[^/]+)"
_VIDEO = re.compile(rf"(?:.*/)?subject(?P<subject>\d+)/cam(?P<view>\d+)/{_PLACE}\.mp4", re.IGNORECASE)
_SENSOR = re.compile(
    rf"(?:.*/)?(?P<sensor>acc_phone|acc_watch|gyro|orientation)_clip/subject(?P<subject>\d+)/{_PLACE}\.csv",
    re.IGNORECASE,
)


class Performance(NamedTuple):
    """What was performed once; sorts by subject, scene, session and label."""

    subject: int
    scene: int
    session: int
    label: str

    def clip(self, view: int | None) -> str:
        """Return the id of the clip that a camera made of it; None: no camera."""
        camera = "" if view is None else f"_c{view}"
        return f"s{self.subject}{camera}_sc{self.scene}_se{self.session}_{self.label}"


@dataclass
class Found:
    """The files of a tree by what they are of.

    Attributes
    ----------
    sensors : mapping of Performance to mapping of str to Path
        Per performance the file of each sensor.
    videos : mapping of Performance to mapping of int to mapping of str to Path
        Per performance and camera its video, as `rgb`.
    with_rows : mapping of str to list of Path
        Per sensor its files that are not empty.
    strangers : mapping of str to list of str
        Per name that is no class of MMAct the files that have it.
    """

    sensors: dict[Performance, dict[str, Path]] = field(default_factory=dict)
    videos: dict[Performance, dict[int, dict[str, Path]]] = field(default_factory=dict)
    with_rows: dict[str, list[Path]] = field(default_factory=dict)
    strangers: dict[str, list[str]] = field(default_factory=dict)


def label_of(activity: str, scene: int) -> str | None:
    """Return the label of a file by its name, whatever its case; None where it is no class of MMAct."""
    name = activity.strip().lower()
    if scene == DESK_SCENE and name in AT_THE_DESK:
        name += "_desk"
    return name if name in ACTIVITIES else None


def find(tree: FileTree) -> Found:
    """Sort the files of a tree by what they are of.

    Raises
    ------
    DataError
        Two files of one sensor, or of one camera, for one performance.
    """
    found = Found()
    for name, path in tree.files.items():
        match = _VIDEO.fullmatch(name) or _SENSOR.fullmatch(name)
        if match is None:
            continue
        label = label_of(match["activity"], int(match["scene"]))
        if label is None:
            found.strangers.setdefault(match["activity"].lower(), []).append(name)
            continue
        performance = Performance(int(match["subject"]), int(match["scene"]), int(match["session"]), label)
        if match.re is _VIDEO:
            view = int(match["view"])
            files = found.videos.setdefault(performance, {}).setdefault(view, {})
            add_file(files, "rgb", path, performance.clip(view))
            continue
        sensor = match["sensor"].lower()
        add_file(found.sensors.setdefault(performance, {}), sensor, path, performance.clip(None))
        if tree.sizes[name]:
            found.with_rows.setdefault(sensor, []).append(path)
    return found


def stranger_warnings(strangers: Mapping[str, list[str]]) -> tuple[str, ...]:
    """Return a sentence per name that is no class, with the class that it looks like."""
    warnings = []
    for name, files in sorted(strangers.items()):
        close = nearest(name, ACTIVITIES, likeness=0.8)
        remedy = f"; did you mean {close}?" if close else ""
        warnings.append(f"{name} is no class of MMAct: files left out: {len(files)}, as {files[0]}{remedy}")
    return tuple(warnings)
