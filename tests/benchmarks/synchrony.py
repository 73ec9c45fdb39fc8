"""How exactly offsets are found, and in what time: one offset for all recordings, and one of its own for each.

Synthetic recordings of 6, 20 and 60 s; the sensors' stamps are moved by up to 2 s either way. For each modality: the
error of the common offset (2 s put in), then the median error of the recordings' own offsets (each drawn at random),
the part of them within 0.1 s, the part called sure (confidence 0.8), and of those the part within 0.1 s.

Run by hand: `python -m tests.benchmarks.synchrony [--seconds 6 20 60] [--subjects 4] [--size 128]`.
Asked for: a median error under 0.1 s, and under 0.3 s of work for a clip of 6 s.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from mmtsa_cli.recordings.consensus import consensus
from mmtsa_cli.recordings.index import read_index
from mmtsa_cli.recordings.motion import GRID_HZ, Motion
from mmtsa_cli.stages import sync, synth
from tests.benchmarks.measure import show

COMMON_S, FURTHEST_S, SURE = 2.0, 2.0, 0.8


def moved(motion: Motion, seconds: float) -> Motion:
    """Return a motion whose stamps are that much early, so that `seconds` is what is to be found."""
    return Motion(motion.first - round(seconds * GRID_HZ), motion.values)


def rows_of(recordings: Path, seconds: float) -> list[list[object]]:
    """Return a row a modality."""
    dataset = read_index(recordings)
    names = list(dataset.modalities)
    motions = [sync._motions(dataset, recording, names, 0.5) for recording in dataset.recordings]
    labels = [recording.label for recording in dataset.recordings]
    offsets = np.round(np.random.default_rng(1).uniform(-FURTHEST_S, FURTHEST_S, len(motions)) * GRID_HZ) / GRID_HZ
    rows: list[list[object]] = []
    for name in names[1:]:
        pairs = [(its["rgb"], its[name]) for its in motions if its is not None]
        common = consensus([(one, moved(other, COMMON_S)) for one, other in pairs], labels, max_shift_s=3.0)
        each = [(one, moved(other, offset)) for (one, other), offset in zip(pairs, offsets, strict=True)]
        alone = consensus(each, labels, max_shift_s=3.0)
        assert common is not None
        assert alone is not None
        errors = np.abs([own.offset_s - offset for own, offset in zip(alone.recordings, offsets, strict=True)])
        sure = np.asarray([own.confidence for own in alone.recordings]) >= SURE
        right = float(np.mean(errors[sure] < 0.1)) if sure.any() else float("nan")
        figures = [abs(common.offset_s - COMMON_S), float(np.median(errors)), float(np.mean(errors < 0.1))]
        rows.append([f"{seconds:g} s", name, len(pairs), *figures, float(sure.mean()), right])
    return rows


def main() -> None:
    """Print two tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, nargs="+", default=[6.0, 20.0, 60.0])
    parser.add_argument("--subjects", type=int, default=4)
    parser.add_argument("--size", type=int, default=128)
    arguments = parser.parse_args()
    rows, times = [], []
    with tempfile.TemporaryDirectory() as directory:
        for seconds in arguments.seconds:
            target = Path(directory) / f"{seconds:g}"
            synth.run(target, subjects=arguments.subjects, repeats=1, size=arguments.size, seconds=seconds, seed=3)
            rows += rows_of(target, seconds)
            begin = time.perf_counter()
            result = sync.run(target, jobs=1)
            spent = time.perf_counter() - begin
            used = result.rows[0]["recordings"]
            times.append([f"{seconds:g} s", used, len(result.rows), spent, spent / used])
    show(
        ["clip", "modality", "clips", "common error s", "own error s", "within 0.1 s", "called sure", "sure and right"],
        rows,
    )
    show(["clip", "clips", "modalities", "seconds", "seconds a clip"], times)


if __name__ == "__main__":
    main()
