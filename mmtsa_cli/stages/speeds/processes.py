"""How long whole processes take to start and to work."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mmtsa_cli.errors import MmtsaError
from mmtsa_cli.stages.speeds import material
from mmtsa_cli.stages.speeds.timing import SpeedRow, in_turns, timed_row

_NAIVE_START = "import torch, mmtsa_cli.cli as cli; cli.run(['--help'])"
_NAIVE_IMAGE = """
import sys, os
os.environ.setdefault("NUMBA_DISABLE_JIT", "1")
import numpy, torch
from PIL import Image
from mmtsa_cli.stages.speeds.fields import naive_fields, naive_grey
rows = numpy.loadtxt(sys.argv[1], delimiter=",", skiprows=1)[:, 1:]
Image.fromarray(naive_grey(naive_fields()[0](rows.T)).transpose(1, 2, 0)).save(sys.argv[2])
"""


def process_rows(work: Path, *, repeats: int) -> list[SpeedRow]:
    """Return the rows of whole processes: the start of the program, and the image of one CSV file."""
    table = work / "series.csv"
    _write_csv(table)
    ours = [sys.executable, "-m", "mmtsa_cli"]
    ways = {
        "help": lambda: run_measured([*ours, "--help"]),
        "naive help": lambda: run_measured([sys.executable, "-c", _NAIVE_START]),
        "image": lambda: run_measured([*ours, "imagify", str(table), "-o", str(work / "ours.png")]),
        "naive image": lambda: run_measured([sys.executable, "-c", _NAIVE_IMAGE, str(table), str(work / "naive.png")]),
    }
    times = in_turns(ways, repeats=repeats + 1, warmup=0, budget_s=60)
    return [
        timed_row(
            "start: mmtsa --help, whole process",
            times["help"],
            times["naive help"],
            bar=0.25,
            naive_way="a start that imports torch",
            unit="s",
            absolute=True,
        ),
        timed_row(
            "start: imagify of one CSV, whole process",
            times["image"],
            times["naive image"],
            bar=0.4,
            naive_way="a script with torch and pyts, where it is installed",
            unit="s",
            absolute=True,
        ),
    ]


def run_measured(command: Sequence[str]) -> str:
    """Run a command and return what it printed.

    Raises
    ------
    MmtsaError
        It failed.
    """
    done = subprocess.run(list(command), capture_output=True, text=True, env=os.environ, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["nothing said"])[-1]
        killed = " (killed: too little memory?)" if done.returncode < 0 else ""
        raise MmtsaError(
            "a process that was to be measured failed",
            where=" ".join(command[1:4])[:60],
            found=f"exit code {done.returncode}{killed}: {last[:200]}",
        )
    return done.stdout


def _write_csv(path: Path) -> None:
    times = np.arange(400) / 100
    rows = np.column_stack([times, material.series(len(times), seed=0)])
    np.savetxt(path, rows, "%.6f", delimiter=",", header="time,x,y,z", comments="")
