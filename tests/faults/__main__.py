"""Print the matrix: `python -m tests.faults [--moments N] [--faults NAME,...] [--stages NAME,...]`."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.faults.faults import FAULTS
from tests.faults.stages import STAGES, write_inputs
from tests.faults.trial import Ground, Unavailable

SIGNALS = ("SIGINT", "SIGTERM", "SIGKILL")


def main() -> int:
    """Try every fault on every stage that it can meet, print what came of it, and return 1 if anything was lost."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--moments", type=int, default=20, help="random moments of each signal and stage (20)")
    parser.add_argument("--few", type=int, default=3, help="trials of a fault that is no signal (3)")
    parser.add_argument("--faults", default=",".join(FAULTS))
    parser.add_argument("--stages", default=",".join(STAGES))
    asked = parser.parse_args()
    faults, stages = asked.faults.split(","), asked.stages.split(",")
    begun, lost = time.monotonic(), list[str]()
    cells: dict[tuple[str, str], str] = {}
    with tempfile.TemporaryDirectory(prefix="mmtsa-faults-") as folder:
        ground = Ground(write_inputs(Path(folder) / "inputs"))
        for name in stages:
            ground.measure(name)
        for fault in faults:
            for name in stages:
                cells[fault, name] = _tried(ground, fault, name, asked.moments if fault in SIGNALS else asked.few, lost)
    _print(faults, stages, cells)
    for text in lost:
        print(f"lost: {text}")  # noqa: T201
    seconds = time.monotonic() - begun
    print(f"Seeds 0 to {asked.moments - 1} of signals, 0 to {asked.few - 1} of the others; {seconds:.0f} s")  # noqa: T201
    return 1 if lost else 0


def _tried(ground: Ground, fault: str, name: str, count: int, lost: list[str]) -> str:
    make, meets = FAULTS[fault]
    if name not in meets:
        return "-"
    survived = 0
    for seed in range(count):
        try:
            make(ground, name, seed)
            survived += 1
        except Unavailable as why:
            print(f"{fault}: {why}", file=sys.stderr)  # noqa: T201
            return "skipped"
        except Exception as error:  # noqa: BLE001 - whatever it is, the table has a place for it
            lost.append(f"{fault}, {name}, seed {seed}: {type(error).__name__}: {error}")
            print(lost[-1], file=sys.stderr)  # noqa: T201
        print(f"{fault}, {name}, seed {seed}: {survived} of {seed + 1}", file=sys.stderr)  # noqa: T201
    return f"{survived}/{count}"


def _print(faults: list[str], stages: list[str], cells: dict[tuple[str, str], str]) -> None:
    rows = [["survived/tried", *stages], *([fault, *(cells[fault, name] for name in stages)] for fault in faults)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
