"""The process whose memory is measured: `python -m mmtsa_cli.stages.speeds.step WAY STORE BATCH` trains by one step.

WAY is `naive` or `native` (see `networks`); it prints its peak memory as JSON.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch

from mmtsa_cli.stages.speeds.networks import LARGE, NATIVE, Networks
from mmtsa_cli.stages.speeds.training import step_of
from mmtsa_cli.stages.tables.footprint import peak_mb


def main(way: str, store: str, batch: str) -> None:
    """Train by one step and print the peak memory."""
    networks = Networks(Path(store))
    sizes = LARGE if way == "naive" else NATIVE
    method = networks.at(sizes)
    if way == "naive":
        # In place: a copy of the weights would be counted.
        network, precision = method.network.to(memory_format=torch.contiguous_format), "float32"
    else:
        network, precision = method.network, "auto"
    step_of(method, network, networks.tensors(sizes, int(batch)), precision)()
    sys.stdout.write(json.dumps({"peak_mb": peak_mb()}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
