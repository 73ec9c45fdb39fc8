"""MMAct: 37 activities of 20 people, seen by four cameras and felt by a phone and a watch.

Q. Kong, Z. Wu, Z. Deng, M. Klinkigt, B. Tong, T. Murakami: MMAct: a large-scale dataset for cross modal human action
understanding, ICCV 2019.

A performance is one subject, scene, session and activity. Each camera that saw it makes a clip, and all of them share
the files of its sensors. Video and sensors were trimmed to the performance, so both begin at its second 0.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mmtsa_cli.errors import UsageError
from mmtsa_cli.recordings.datasets.adapter import Scan, ScanOptions, Skipped, in_order
from mmtsa_cli.recordings.datasets.mmact_clocks import drift_notes
from mmtsa_cli.recordings.datasets.mmact_files import (
    AT_THE_DESK,
    DESK_SCENE,
    Found,
    Performance,
    find,
    stranger_warnings,
)
from mmtsa_cli.recordings.datasets.tree import FileTree
from mmtsa_cli.recordings.index import ModalitySpec, Recording

_SCENES = (1, 2, 3, 4)
_OCCLUDED_SCENE = 2


def _sensor(rate: float, unit: str) -> ModalitySpec:
    return ModalitySpec("sensor", rate=rate, unit=unit, columns=(2, 3, 4), time=1)


def _split(column: str, train: tuple[int, ...], test: tuple[int, ...], source: str) -> Mapping[str, Any]:
    return {
        "train": {column: [str(value) for value in train]},
        "test": {column: [str(value) for value in test]},
        "source": source,
    }


def _cross_scene(test: tuple[int, ...], train: tuple[int, ...], why: str) -> Mapping[str, Any]:
    return _split("scene", train, test, f"Kong et al., ICCV 2019: the occluded scene tests; {why}")


class MMAct:
    """The adapter of MMAct. See `Adapter` for the attributes."""

    name = "mmact"
    citation = (
        "Q. Kong, Z. Wu, Z. Deng, M. Klinkigt, B. Tong, T. Murakami: MMAct: a large-scale dataset for cross modal "
        "human action understanding. IEEE/CVF International Conference on Computer Vision, 2019."
    )
    modalities: Mapping[str, ModalitySpec] = {
        "rgb": ModalitySpec("video"),
        "acc_phone": _sensor(100.0, "m/s^2"),
        "acc_watch": _sensor(100.0, "m/s^2"),
        "gyro": _sensor(50.0, "rad/s"),
        "orientation": _sensor(50.0, "degree"),
    }
    protocols: Mapping[str, Mapping[str, Any]] = {
        "cross-subject": _split(
            "subject",
            tuple(range(1, 17)),
            (17, 18, 19, 20),
            "Kong et al., ICCV 2019, with the lists of the MMTSA code: subjects 1 to 16 train, 17 to 20 test",
        ),
        "cross-session": _split(
            "session",
            (1, 2, 3, 4),
            (5,),
            "Kong et al., ICCV 2019, with the lists of the MMTSA code: sessions 1 to 4 train, 5 tests",
        ),
        "cross-view": _split(
            "view",
            (1, 2, 3),
            (4,),
            "Kong et al., ICCV 2019: three cameras train, the fourth tests. All cameras see one performance, so its "
            "sensor files are on both sides: this tests video alone",
        ),
        "cross-scene": _cross_scene(
            (_OCCLUDED_SCENE,), (1, 3, 4), "taken to be scene 2, --test-scenes of `mmtsa prepare` names another"
        ),
    }
    default_protocol: str | None = "cross-subject"
    expected_layout = (
        "subjectS/camC/sceneN/sessionM/ACTIVITY.mp4 and {acc_phone,acc_watch,gyro,orientation}_clip/subjectS/sceneN/"
        "sessionM/ACTIVITY.csv, below any folders (cross_view/trainval/, ...), or the sensors' .tar.gz with --unpack"
    )
    clips: int | None = None
    options: frozenset[str] = frozenset({"time", "test_scenes"})

    def scan(self, tree: FileTree, options: ScanOptions) -> Scan:
        """Find a clip per performance and camera; where no camera saw a performance, one without view.

        Stamps in the files are Tokyo's local time. They are read as if they were UTC, all alike: only their differences
        matter, within a file and between the sensors of a clip.

        Raises
        ------
        DataError
            Two files of one sensor, or of one camera, for one performance.
        UsageError
            Scenes to test on of which there is no clip, or that leave none to train on.
        """
        found = find(tree)
        recordings = tuple(self._recordings(found))
        skipped = [Skipped(file, "no class of MMAct") for files in found.strangers.values() for file in files]
        return Scan(
            recordings,
            tuple(skipped),
            notes=(*_counts(recordings, found), *drift_notes(found.with_rows, self.modalities)),
            warnings=stranger_warnings(found.strangers),
            modalities=self._timed(options),
            protocols=self._with_scenes(options.test_scenes, recordings) if options.test_scenes else None,
        )

    def _recordings(self, found: Found) -> Iterator[Recording]:
        for performance in sorted(found.sensors.keys() | found.videos.keys()):
            sensors = found.sensors.get(performance, {})
            views = found.videos.get(performance)
            if views is None:
                yield _recording(performance, None, in_order(sensors, self.modalities))
                continue
            for view in sorted(views):
                yield _recording(performance, view, in_order({**views[view], **sensors}, self.modalities))

    def _timed(self, options: ScanOptions) -> dict[str, ModalitySpec]:
        return {
            name: replace(spec, timing=options.time) if spec.kind == "sensor" else spec
            for name, spec in self.modalities.items()
        }

    def _with_scenes(self, wanted: tuple[str, ...], recordings: tuple[Recording, ...]) -> dict[str, Mapping[str, Any]]:
        """Return the protocols, cross-scene testing on `wanted`."""
        there = {int(recording.columns["scene"]) for recording in recordings}
        test = tuple(_scene(text) for text in wanted)
        train = tuple(scene for scene in sorted({*_SCENES, *there}) if scene not in test)
        listed = ", ".join(map(str, sorted(there)))
        if there and not there >= set(test):
            missing = ", ".join(str(scene) for scene in test if scene not in there)
            raise UsageError(f"no clip of scene {missing}", where="--test-scenes", found=f"scenes {listed}")
        if there and not there & set(train):
            raise UsageError("no scene is left to train on", where="--test-scenes", found=f"scenes {listed}")
        return {**self.protocols, "cross-scene": _cross_scene(test, train, "which one that is, --test-scenes said")}


def _recording(performance: Performance, view: int | None, paths: Mapping[str, Path]) -> Recording:
    name = performance.clip(view)
    columns = {
        "id": name,
        "label": performance.label,
        "subject": str(performance.subject),
        "session": str(performance.session),
        "scene": str(performance.scene),
        "view": "" if view is None else str(view),
    }
    return Recording(name, performance.label, columns, paths)


def _counts(recordings: tuple[Recording, ...], found: Found) -> list[str]:
    """Return what there is to say of the clips as a whole."""
    if not recordings:
        return []
    views = Counter(recording.columns["view"] for recording in recordings)
    by_view = ", ".join(
        f"{count} of view {view}" if view else f"{count} without video" for view, count in sorted(views.items())
    )
    performances = len(found.sensors.keys() | found.videos.keys())
    notes = [
        f"{len(recordings)} clips of {performances} performances ({by_view}; over 36,000 clips in the whole dataset): "
        "the views of a performance share its sensor files"
    ]
    desk = sum(recording.label.endswith("_desk") for recording in recordings)
    if desk:
        notes.append(f"{desk} clips of {' and '.join(AT_THE_DESK)} in scene {DESK_SCENE} are the desk classes")
    return notes


def _scene(text: str) -> int:
    match = re.fullmatch(r"(?:scene)?\s*(\d+)", text.strip(), re.IGNORECASE)
    if match is None:
        raise UsageError("not a scene", where="--test-scenes", expected="a number, as in 2", found=repr(text))
    return int(match[1])
