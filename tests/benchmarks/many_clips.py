"""Time and peak memory of `mmtsa sample` against the number of clips.

Run by hand: `python -m tests.benchmarks.many_clips [COUNT ...]`. The clips are rows over four small recordings (20
frames, 2 s at 50 Hz), so that what is measured is what comes with their number, not what their files hold. The memory
is that of the process that writes; its workers hold one clip each.
"""

from __future__ import annotations

import csv
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.measure import child, show
from tests.trees.own import write_recordings

COUNTS = (100, 1000, 10_000, 36_000)


def multiply(rec: Path, count: int) -> None:
    """Make the index of `rec` list each of its recordings until there are `count` rows."""
    with (rec / "index.csv").open(newline="") as stream:
        header, *rows = csv.reader(stream)
    chosen = [[f"{rows[i % len(rows)][0]}_{i}", *rows[i % len(rows)][1:]] for i in range(count)]
    with (rec / "index.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([header, *chosen])


def measure(count: int) -> tuple[int, float, float, float, float]:
    """Return clips, wall and CPU seconds, milliseconds a clip and peak MB."""
    with tempfile.TemporaryDirectory() as folder:
        rec = write_recordings(Path(folder) / "rec")
        multiply(rec, count)
        command = [sys.executable, "-m", "mmtsa_cli", "sample", str(rec), "-o", f"{folder}/samples", "--window", "0.5"]
        wall, cpu, peak = child(command)
    return count, wall, cpu, 1000 * wall / count, peak


if __name__ == "__main__":
    counts = tuple(int(argument) for argument in sys.argv[1:]) or COUNTS
    show(("clips", "seconds", "CPU s", "ms a clip", "peak MB"), [measure(count) for count in counts])
