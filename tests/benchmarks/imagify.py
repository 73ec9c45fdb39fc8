"""`mmtsa imagify imu.csv -o gaf.png` as a whole process, for a clip of 3 s at 50 Hz and one of a minute at 100 Hz.

Run by hand: `python -m tests.benchmarks.imagify`.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

from tests.benchmarks.measure import child, show


def main() -> None:
    """Measure and print."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, seconds, rate in (("3 s at 50 Hz", 3, 50), ("60 s at 100 Hz, --size 500", 60, 100)):
            times = np.arange(seconds * rate) / rate
            values = np.random.default_rng(0).normal(size=(len(times), 3)).cumsum(axis=0)
            path = Path(folder) / "imu.csv"
            table = np.column_stack([times, values])
            np.savetxt(path, table, "%.4f", delimiter=",", header="time,x,y,z", comments="")
            command = [sys.executable, "-m", "mmtsa_cli", "imagify", str(path), "-o", str(path.with_suffix(".png"))]
            runs = [child([*command, "--size", "500"]) for _ in range(7)]
            rows.append((name, *(float(np.median(column)) for column in zip(*runs, strict=True))))
    show(("mmtsa imagify (median of 7)", "wall s", "CPU s", "peak MB"), rows)


if __name__ == "__main__":
    main()
