"""The stages that are disturbed: their inputs, their commands, and what of their result is the same every time."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tests.trees.archives import pack_tar
from tests.trees.own import write_recordings
from tests.trees.utd_mhad import write_utd_mhad

SMALL = ("--set", "training.epochs=4", "--set", "model.width=0.125", "--set", "model.hidden=16", "--set",
         "sampling.frame_size=32", "--set", "imaging.image_size=16", "--set", "training.threads=1")  # fmt: skip
_TIMES = ("seconds", "clips_per_s")


@dataclass(frozen=True)
class Stage:
    """A command that works on a directory `inputs` and writes an output.

    Attributes
    ----------
    command : tuple of str
        With INPUTS in place of the directory of inputs, without the output.
    again : tuple of str
        What is added when it is given again.
    result : callable
        Takes the output, returns what must be the same: a text by name.
    reads : str
        What it reads, below the inputs.
    """

    command: tuple[str, ...]
    result: Callable[[Path], Mapping[str, str]]
    reads: str
    again: tuple[str, ...] = ()

    def arguments(self, inputs: Path, output: Path) -> list[str]:
        """Return the command line after `mmtsa`."""
        return [part.replace("INPUTS", str(inputs)) for part in self.command] + ["-o", str(output)]


def write_inputs(root: Path) -> Path:
    """Write what all stages read: recordings, a dataset's archive, and a sample store of the recordings."""
    from mmtsa_cli.stages import sample

    write_recordings(root / "rec", subjects=tuple("123456"))
    header, *rows = (root / "rec" / "index.csv").read_text().splitlines()
    few = [header, *rows]
    many = [header, *(f"r{i}_{row}" for i in range(10) for row in rows)]
    options = sample.CuttingOptions(frames=2, window_s=0.5)
    (root / "rec" / "index.csv").write_text("\n".join(few) + "\n")
    sample.run(root / "rec", root / "samples", options=options, jobs=1)
    (root / "rec" / "index.csv").write_text("\n".join(many) + "\n")
    tree = write_utd_mhad(root / "tree", actions=range(1, 5), subjects=range(1, 5))
    (root / "utd").mkdir()
    pack_tar(root / "utd" / "utd.tar.gz", tree, "Inertial", "Depth")
    shutil.rmtree(tree)
    return root


def every_byte(output: Path) -> dict[str, str]:
    """Return the hash of every file, hidden ones too."""
    return {
        str(file.relative_to(output)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(output.rglob("*"))
        if file.is_file()
    }


def of_training(output: Path) -> dict[str, str]:
    """Return names of all files, the hash of weights and optimiser, and the log without its times."""
    from mmtsa_cli.training.checkpoint import load_tensors

    found = dict.fromkeys((str(file.relative_to(output)) for file in output.rglob("*")), "")
    for file in sorted(output.rglob("*.safetensors")):
        digest = hashlib.sha256()
        tensors, _ = load_tensors(file)
        for name in sorted(tensors):
            digest.update(name.encode() + tensors[name].contiguous().reshape(-1).numpy().tobytes())
        found[str(file.relative_to(output))] = digest.hexdigest()
    for file in sorted(output.rglob("log.csv")):
        rows = csv.DictReader(io.StringIO(file.read_text()))
        found["log"] = json.dumps([{k: v for k, v in row.items() if k not in _TIMES} for row in rows])
    return found


def of_benchmark(output: Path) -> dict[str, str]:
    """Return names of all files, every probability, and the table without what was measured."""
    found = dict.fromkeys((str(file.relative_to(output)) for file in output.rglob("*")), "")
    for file in sorted(output.rglob("predictions.npz")):
        with np.load(file) as stored:
            found[str(file.relative_to(output))] = stored["probabilities"].tobytes().hex()
    rows: list[dict[str, Any]] = json.loads((output / "table.json").read_text())["rows"]
    found["table"] = json.dumps([[row["method"], row["accuracy"], row["macro_f1"]] for row in rows])
    return found


STAGES: dict[str, Stage] = {
    "prepare": Stage(("prepare", "utd-mhad", "INPUTS/utd", "--unpack"), every_byte, "utd"),
    "sample": Stage(("sample", "INPUTS/rec", "--window", "0.5", "--jobs", "2"), every_byte, "rec"),
    "train": Stage(("train", "INPUTS/samples", *SMALL), of_training, "samples", again=("--resume",)),
    "benchmark": Stage(
        ("benchmark", "INPUTS/samples", "--methods", "mmtsa,svm", "--jobs", "2", *SMALL), of_benchmark, "samples"
    ),
}
