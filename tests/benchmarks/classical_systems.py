"""Time, memory and cores of the systems of features and a classifier, each fitted and asked in a process of its own.

Run by hand: `python -m tests.benchmarks.classical_systems [--clips 10000] [--systems svm,fvs] [--at PLACE]`. The clips
are written straight into a sample store: 10 s, two accelerometers and a gyroscope at 50 Hz, 9 frames of 128 x 128
pixels, 20 classes, 20 people, of whom the last one is tested. A class is a motion of a textured square and a rhythm of
the sensors, both blurred by people and noise, so that the classifiers have something to weigh. What `--at` names stays
there, features that were computed included: a second run shows the systems without that time.

Memory is that of the unit's process by its own count (`GiB`), and the largest sum over it and the processes that it
starts, looked at every second (`with workers`; pages that they share count once each). CPU time over wall time is the
cores that were used, which means little where the machine has other work.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from joblib import parallel_config

from mmtsa_cli.artifacts.manifest import Manifest, write_manifest
from mmtsa_cli.methods import trajectories
from mmtsa_cli.methods.trajectories import TrackOptions, compute_tracks
from mmtsa_cli.sampling.feature_cache import clip_features
from mmtsa_cli.sampling.packing import PackedClip, PackedFrame, StoreWriter
from mmtsa_cli.sampling.store import Store, StoredModality, StoreHeader
from mmtsa_cli.stages.tables.plan import make_plan
from mmtsa_cli.stages.tables.units import run_units
from tests.benchmarks.measure import show

SYSTEMS = ("svm-hog", "svm", "decision-tree", "fvs", "tfvs", "fvv", "fvv+fvs", "mfv")
CLASSES = PEOPLE = 20
SECONDS, RATE, SIDE, FRAMES = 10.0, 50.0, 128, 9
SENSORS = {"acc_phone": "m/s^2", "acc_watch": "m/s^2", "gyro": "rad/s"}
_ODD = 0.1
"""Share of the clips that show any class, whatever their label: the machines have support vectors then."""
_LOOK_S = 1.0
_GIB = 2**30


def write_store(directory: Path, clips: int) -> Path:
    """Write a sample store of `clips` clips."""
    directory.mkdir(parents=True)
    sensors = {name: StoredModality("sensor", ("x", "y", "z"), RATE, unit) for name, unit in SENSORS.items()}
    modalities = {"rgb": StoredModality("video", ("r", "g", "b"), 0.0), **sensors}
    sides = {"train": [str(i) for i in range(PEOPLE - 1)], "test": [str(PEOPLE - 1)]}
    protocol = {side: {"subject": people} for side, people in sides.items()}
    header = StoreHeader("many", 3, FRAMES // 3, 1.0, modalities, {"last": protocol}, "last", {})
    with StoreWriter(directory, modalities, ("id", "label", "duration_s", "subject")) as writer:
        for number in range(clips):
            writer.append(_clip(number))
        writer.finish(header)
    write_manifest(directory, Manifest("sample", {"clips": clips}, 0))
    return directory


def _clip(number: int) -> PackedClip:
    label, person = number % CLASSES, number // CLASSES % PEOPLE
    rng = np.random.default_rng([7, number])
    shown = int(rng.integers(CLASSES)) if rng.random() < _ODD else label
    series = {name: _series(rng, shown, person, place) for place, name in enumerate(SENSORS)}
    extremes = {name: np.stack([rows.min(axis=0), rows.max(axis=0)], axis=1) for name, rows in series.items()}
    columns = {"id": str(number), "label": f"class{label:02}", "duration_s": f"{SECONDS}", "subject": str(person)}
    axes = {name: ("x", "y", "z") for name in SENSORS}
    return PackedClip(columns, {"rgb": _frames(rng, shown, person)}, series, extremes, axes, {"rgb": False}, ())


def _series(rng: np.random.Generator, label: int, person: int, place: int) -> np.ndarray:
    """Return a rhythm of the class and its overtone on three axes, as a person does it, and noise."""
    times = np.arange(round(SECONDS * RATE))[:, None] / RATE
    own = np.random.default_rng([label, place])
    rhythm = (0.5 + 0.1 * label) * (1 + 0.1 * np.random.default_rng([person]).normal() + 0.05 * rng.normal())
    size, phase = own.uniform(0.2, 1.5, (2, 3)), own.uniform(0, 6, (2, 3)) + rng.uniform(0, 6)
    waves = [size[i] * np.sin(2 * np.pi * (i + 1) * rhythm * times + phase[i]) for i in range(2)]
    return (sum(waves) + rng.normal(0, 0.7, (len(times), 3)) + rng.normal(0, 0.3, 3)).astype(np.float32)


def _frames(rng: np.random.Generator, label: int, person: int) -> tuple[PackedFrame, ...]:
    """Return frames in which a person's square goes the way of the class over the person's background."""
    looks = np.random.default_rng([person, 1])
    background, figure = _texture(looks, SIDE), _texture(looks, 64)
    angle, turn = 2 * np.pi * (label % 10) / 10 + 0.3 * rng.normal(), 0.35 * (label // 10)
    place, frames = 32 + rng.normal(0, 8, 2), []
    for i in range(FRAMES):
        x, y = np.clip(np.rint(place), 0, SIDE - 64).astype(int)
        shown = background.copy()
        shown[y : y + 64, x : x + 64] = figure
        noisy = cv2.add(shown, rng.integers(0, 12, shown.shape, dtype=np.uint8))
        jpeg = cv2.imencode(".jpg", noisy, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()
        frames.append(PackedFrame(jpeg, (i + 0.5) * SECONDS / FRAMES, SIDE, SIDE))
        place = place + 5 * np.array([np.cos(angle + turn * i), np.sin(angle + turn * i)]) + rng.normal(0, 1, 2)
    return tuple(frames)


def _texture(rng: np.random.Generator, side: int) -> np.ndarray:
    return cv2.resize(rng.integers(0, 240, (side // 8, side // 8, 3), dtype=np.uint8), (side, side))


class Looks:
    """What the processes that this one started hold and have spent, at their largest."""

    def __init__(self) -> None:
        self.bytes = 0
        self._seconds: dict[int, float] = {}

    @property
    def seconds(self) -> float:
        """CPU seconds of all of them."""
        return sum(self._seconds.values())

    def look(self) -> None:
        """Read /proc once."""
        found: dict[int, list[str]] = {}
        for place in Path("/proc").glob("[0-9]*"):
            # A process may have ended since it was listed.
            with suppress(OSError):
                found[int(place.name)] = (place / "stat").read_text().rpartition(")")[2].split()
        parents = {pid: int(fields[1]) for pid, fields in found.items()}
        own = {pid: found[pid] for pid in found if _descends(pid, parents, os.getpid())}
        for pid, fields in own.items():
            self._seconds[pid] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        held = sum(int(fields[21]) for fields in own.values()) * os.sysconf("SC_PAGE_SIZE")
        self.bytes = max(self.bytes, held)


def _descends(pid: int, parents: dict[int, int], ancestor: int) -> bool:
    while pid in parents:
        pid = parents[pid]
        if pid == ancestor:
            return True
    return False


@contextmanager
def looked_at() -> Iterator[Looks]:
    """Look at the processes that are started within the block."""
    looks, ended = Looks(), threading.Event()

    def watch() -> None:
        while not ended.wait(_LOOK_S):
            looks.look()

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield looks
    finally:
        ended.set()
        thread.join()


def premake_tracks(store: Path) -> None:
    """Put trajectories into the cache: of clips after the first 40, varied ones of a clip of the same class.

    Following points takes a core 0.1 to 0.2 s a clip, which says nothing about what the systems do with them.
    """
    opened, options = Store(store), TrackOptions()
    about = {"version": trajectories._VERSION, "modality": "rgb", **asdict(options)}
    known = [compute_tracks(opened, clip, about) for clip in range(2 * CLASSES)]

    def varied(_: Store, clip: int, parameters: Mapping[str, Any]) -> np.ndarray:
        rng = np.random.default_rng([9, clip])
        rows = known[clip % len(known)]
        kept = rng.integers(0, len(rows), max(1, round(len(rows) * rng.uniform(0.7, 1))))
        return np.maximum(rows[kept] + rng.normal(0, 0.05, (len(kept), rows.shape[1])), 0).astype(np.float32)

    with parallel_config(backend="threading"):
        clip_features(opened, "tracks", varied, about)


def measure(system: str, store: Path, output: Path, settings: list[str]) -> tuple[object, ...]:
    """Return what one system took, as `COLUMNS` says."""
    plan = make_plan(store, [system], None, settings, None, None, 1, None)
    begin = time.perf_counter()
    with looked_at() as looks:
        (result,) = run_units(Store(store), plan.units(system), output, protocol=None)
    wall = time.perf_counter() - begin
    if result.error is not None:
        return system, result.error
    said = result.predictions()
    right = float((said.probabilities.argmax(axis=1) == said.labels).mean())
    own = (result.peak_mb or 0) * 1e6 / _GIB
    memory = own, max(own, looks.bytes / _GIB)
    return system, result.seconds, wall, *memory, looks.seconds, looks.seconds / wall, result.bytes_per_clip, right


COLUMNS = ("system", "fit s", "wall s", "GiB", "with workers", "CPU s", "cores", "bytes a clip", "right")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=10_000)
    parser.add_argument("--systems", default=",".join(SYSTEMS), help="names, with commas between them")
    parser.add_argument("--at", type=Path, help="keep the store and what is cached here, and use what is there")
    parser.add_argument("--set", action="append", default=[], dest="settings", help="of the recipe, as KEY=VALUE")
    parser.add_argument("--premade", action="store_true", help="trajectories are made up, as of 40 clips")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = wanted.at or Path(folder)
        os.environ["MMTSA_CACHE"] = str(place.absolute() / "cache")
        store = place / f"store-{wanted.clips}"
        if not store.is_dir():
            begin = time.perf_counter()
            write_store(store, wanted.clips)
            sys.stderr.write(f"{wanted.clips} clips written in {time.perf_counter() - begin:.0f} s\n")
        if wanted.premade:
            premake_tracks(store)
        for system in wanted.systems.split(","):
            with tempfile.TemporaryDirectory() as output:
                show(COLUMNS, [measure(system, store, Path(output), wanted.settings)])


if __name__ == "__main__":
    main()
