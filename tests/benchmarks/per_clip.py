"""Processor time and bytes that a clip costs, of `sample` and of an epoch of `train`, beyond what any number costs.

Run by hand on an idle machine: `python -m tests.benchmarks.per_clip`. The plan of the README multiplies these. Clips
are real videos, listed again and again; the network trains on UTD-MHAD.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.measure import child, show

VIDEOS = ("video/arm-wrestling.mp4", "gopro/karma.mp4")
_FEW, _MANY = 20, 100
_FEW_EPOCHS, _MANY_EPOCHS = 2, 8


def run(*arguments: object) -> float:
    """Return the seconds of processors that a command of mmtsa took, those of its workers with them."""
    return child([sys.executable, "-m", "mmtsa_cli", *map(str, arguments)])[1]


def size_of(directory: Path) -> int:
    """Return the bytes of all files."""
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())


def sampled(video: Path, work: Path) -> tuple[float, float]:
    """Return seconds of a processor and MB of store that another clip of a video costs `sample`."""
    costs = []
    for count in (_FEW, _MANY):
        recordings = work / f"{video.stem}-{count}"
        recordings.mkdir()
        with (recordings / "index.csv").open("w", newline="", encoding="utf-8") as stream:
            rows = [[f"{number}", "any", str(number % 2), str(video.resolve())] for number in range(count)]
            csv.writer(stream).writerows([["id", "label", "subject", "rgb"], *rows])
        store = work / f"{video.stem}-{count}-samples"
        costs.append((run("sample", recordings, "-o", store, "--protocol", "leave-one-subject-out"), size_of(store)))
    (few, few_bytes), (many, many_bytes) = costs
    return (many - few) / (_MANY - _FEW), (many_bytes - few_bytes) / (_MANY - _FEW) / 1e6


def trained(data: Path, work: Path) -> float:
    """Return seconds of a processor that a clip costs in an epoch of recipe `utd-mhad`, on one thread."""
    run("prepare", "utd-mhad", data / "utd-mhad", "-o", work / "utd")
    run("sample", work / "utd", "-o", work / "utd-samples", "--window", "2.1", "--short-side", "128")
    costs = []
    for epochs in (_FEW_EPOCHS, _MANY_EPOCHS):
        settings = ("--set", f"training.epochs={epochs}", "--set", "training.threads=1")
        output = work / f"run-{epochs}"
        costs.append(run("train", work / "utd-samples", "-o", output, "--recipe", "utd-mhad", *settings))
    (model,) = output.rglob("model.json")
    clips = len(json.loads(model.read_text(encoding="utf-8"))["clips"]["train"])
    return (costs[1] - costs[0]) / (_MANY_EPOCHS - _FEW_EPOCHS) / clips


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("MMTSA_DATA", "../shared/data"))
    data = Path(parser.parse_args().data)
    with tempfile.TemporaryDirectory() as folder:
        show(
            ("sample, a clip of", "processor s", "MB of store"),
            [(name, *sampled(data / name, Path(folder))) for name in VIDEOS],
        )
        show(("an epoch of recipe utd-mhad, a clip", "processor s"), [("UTD-MHAD", trained(data, Path(folder)))])
