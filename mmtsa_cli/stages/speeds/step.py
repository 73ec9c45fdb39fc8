"""The process whose steps and memory are measured: `python -m mmtsa_cli.stages.speeds.step WAY STORE BATCH STEPS`.

It trains by that many steps and one before, and prints wall and processor time of each, in seconds, and its peak memory
as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from mmtsa_cli.stages.speeds.networks import LARGE, NATIVE, SMALL, Networks, contiguous
from mmtsa_cli.stages.speeds.training import GIVEN_BACK, step_of
from mmtsa_cli.stages.tables.footprint import peak_mb
from mmtsa_cli.training.memory import keep_freed_memory

_SIZES = {"naive": LARGE, "native": NATIVE, GIVEN_BACK: NATIVE, "equal": LARGE, "small": SMALL}


def main(way: str, store: str, batch: str, steps: str) -> None:
    """Train, and print what it took."""
    networks = Networks(Path(store))
    method = networks.at(_SIZES[way])
    if way == "naive":
        # In place: a copy of the weights would be counted.
        network, precision = contiguous(method.network), "float32"
    else:
        network, precision = method.network, "auto"
        if way != GIVEN_BACK:
            keep_freed_memory()
    step, spent = step_of(method, network, networks.tensors(_SIZES[way], int(batch)), precision), []
    for _ in range(1 + int(steps)):
        wall, cpu = time.perf_counter(), time.process_time()
        step()
        spent.append((time.perf_counter() - wall, time.process_time() - cpu))
    sys.stdout.write(json.dumps({"spent": spent[1:], "peak_mb": peak_mb()}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
