"""A series of 8 hours at 100 Hz through `mmtsa sample`: time and memory of the whole process, and of a draw from it.

Run by hand: `python -m tests.benchmarks.long_series [--csv]`. Asked for: under 1 s and 300 MB (.npy).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from tests.benchmarks.measure import child, show

HOURS, RATE = 8, 100


def write_recordings(root: Path, suffix: str) -> None:
    """Write one long recording and, so that a protocol has somebody to test, a short one of another subject."""
    times = np.arange(HOURS * 3600 * RATE) / RATE
    noise = np.random.default_rng(0).normal(0, 0.1, (len(times), 3))
    values = np.sin(times[:, None] * (1.0, 2.3, 5.1)) + noise
    for name, rows in (("long", len(times)), ("short", 1000)):
        if suffix == ".npy":
            np.save(root / f"{name}.npy", values[:rows])
        else:
            table = np.column_stack([times[:rows], values[:rows]])
            np.savetxt(root / f"{name}.csv", table, "%.6f", delimiter=",", header="time,x,y,z", comments="")
    rows = ["id,label,subject,acc", f"long,walk,1,long{suffix}", f"short,walk,2,short{suffix}"]
    (root / "index.csv").write_text("\n".join(rows) + "\n")
    (root / "dataset.yaml").write_text(f"modalities:\n  acc: {{kind: sensor, rate: {RATE}}}\n")


def draw_ms(store: Path, repeats: int = 200) -> float:
    """Return the median time, in milliseconds, of drawing 3 windows of 2 s from the long clip."""
    from mmtsa_cli.sampling.draw import DrawOptions, Samples
    from mmtsa_cli.sampling.store import Store

    opened = Store(store)
    samples = Samples(opened, [0], modalities=("acc",), classes=opened.labels, options=DrawOptions())
    spent = []
    for number in range(repeats):
        begin = time.perf_counter()
        samples.batch([0], generators=[np.random.default_rng(number)])
        spent.append(1000 * (time.perf_counter() - begin))
    return float(np.median(spent))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--csv", action="store_true", help="also as CSV (95 MB of text)")
    parser.add_argument("--repeats", type=int, default=5)
    wanted = parser.parse_args()
    rows, drawn = [], 0.0
    for suffix in (".npy", ".csv") if wanted.csv else (".npy",):
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            # In a process of its own: a child's peak memory counts what its parent had when it was started.
            writing = get_context("spawn").Process(target=write_recordings, args=(root, suffix))
            writing.start()
            writing.join()
            for number in range(wanted.repeats if suffix == ".npy" else 2):
                command = [sys.executable, "-m", "mmtsa_cli", "sample", str(root), "-o", str(root / f"out{number}")]
                rows.append((f"{HOURS} h at {RATE} Hz, {suffix}", *child(command)))
            drawn = draw_ms(root / "out0")
    show(("mmtsa sample", "wall s", "CPU s", "peak MB"), rows)
    show(("draw", "ms"), [("3 windows of 2 s", drawn)])


if __name__ == "__main__":
    main()
