"""36,000 recordings over four small real files through `mmtsa check`: time and memory, read and read again.

Run by hand: `python -m tests.benchmarks.check [--recordings 36000] [--jobs 2]`. Each recording has a video (2 s) and a
series (100 rows) of its own row, but four files hold them all, so that the disk is not what is measured.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from multiprocessing import get_context
from pathlib import Path

from tests.benchmarks.measure import child, show
from tests.trees.own import write_recordings


def write_many(root: Path, count: int) -> None:
    """Write an index of `count` rows over the files of four recordings, each a part of them."""
    write_recordings(root)
    _, *rows = (root / "index.csv").read_text().splitlines()
    cells = [row.split(",") for row in rows]
    lines = ["id,label,subject,start,end,rgb,acc"]
    for number in range(count):
        name, label, _, rgb, acc = cells[number % len(cells)]
        start = (number % 10) / 100
        lines.append(f"{name}_{number},{label},{number // 1000},{start},{start + 1.5},{rgb},{acc}")
    (root / "index.csv").write_text("\n".join(lines) + "\n")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recordings", type=int, default=36_000)
    parser.add_argument("--jobs", type=int, default=None)
    wanted = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        root, cache = Path(folder) / "rec", Path(folder) / "cache"
        os.environ["MMTSA_CACHE"] = str(cache)
        # In a process of its own: a child's peak memory counts what its parent had when it was started.
        writing = get_context("spawn").Process(target=write_many, args=(root, wanted.recordings))
        writing.start()
        writing.join()
        command = [sys.executable, "-m", "mmtsa_cli", "check", str(root), "--json"]
        command += ["--jobs", str(wanted.jobs)] if wanted.jobs else []
        for case in ("first", "again", "again, unchanged"):
            rows.append((case, *child([*command, "--afresh"] if case == "again" else command)))
        journal = sum(path.stat().st_size for path in (cache / "check").iterdir()) / 1e6
    show((f"mmtsa check, {wanted.recordings} recordings", "wall s", "CPU s", "peak MB"), rows)
    show(("journal", "MB"), [("", journal)])


if __name__ == "__main__":
    main()
