"""What a hop of a stream costs, with one thread and with all, beside encoding all N segments anew; memory over a day.

The network is that of the recipe `fast`: a video of 64 pixels, accelerometer and gyroscope of 50 Hz, untrained,
which costs what a trained one does. Latencies are from when all rows of a hop are there to the answer. CPU time is
shown too: it tells more than wall time where the machine has other work. The day is 24 hours of 50 Hz rows of both
sensors, as CSV, fed as fast as they are taken, with a hop of `--day-hop` seconds.

Run by hand: `python -m tests.benchmarks.stream_hop [--hops 300] [--hours 24] [--day-hop 5]`.
Asked for: under 20 ms a hop on two cores; memory that does not grow.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from mmtsa_cli.artifacts.options import Source, to_options
from mmtsa_cli.methods.mmtsa import Mmtsa
from mmtsa_cli.models.network import Input
from mmtsa_cli.recordings.live_rows import LiveRows, LiveSensor
from mmtsa_cli.recordings.live_series import LiveSeries
from mmtsa_cli.sampling.packing import CuttingOptions, pack_frame, shrink
from mmtsa_cli.stages.predictions.hops import Hops, Layout
from mmtsa_cli.stages.predictions.live_networks import LiveNetworks
from mmtsa_cli.stages.recipe import Recipe
from tests.benchmarks.measure import show

RATE, WINDOW_S, SEGMENTS, HOP_S = 50.0, 2.0, 3, 2.0
AXES = ("x", "y", "z")
INPUTS: dict[str, dict[str, Any]] = {
    "rgb": {"kind": "video", "channels": 3, "size": 64, "frames": 1, "bounds": None},
    "acc": {"kind": "sensor", "channels": 3, "size": 100, "frames": 1, "bounds": [[-20, 20]] * 3},
    "gyro": {"kind": "sensor", "channels": 3, "size": 100, "frames": 1, "bounds": [[-5, 5]] * 3},
}


class StillCamera:
    """A camera whose newest frame is always there: decoding goes on in a thread of its own and is not measured."""

    live, source, held = True, "0", 1

    def __init__(self) -> None:
        picture = np.random.default_rng(0).integers(0, 255, (480, 640, 3), dtype=np.uint8)
        self._picture = shrink(picture, 256)

    def check(self) -> None:
        """Nothing is wrong with it."""

    def at(self, times_s: list[float], *, limit_s: float) -> list[Any]:
        """Return the frame."""
        return [self._picture] * len(times_s)


def networks(names: tuple[str, ...], *, recipe: str) -> Any:
    """Return an untrained network of a recipe, as `predict` holds those of a run."""
    import yaml

    path = Path(__file__).parents[2] / "recipes" / f"{recipe}.yaml"
    options = to_options(Recipe, Source(recipe, yaml.safe_load(path.read_text()), {}))
    inputs = {name: Input(**INPUTS[name]) for name in names}
    method = Mmtsa(options, inputs=inputs, classes=[f"c{n}" for n in range(12)], segments=SEGMENTS)
    model = {"segments": SEGMENTS, "inputs": {name: INPUTS[name] for name in names}, "classes": list(method.classes)}
    return SimpleNamespace(methods=[method], temperatures=[1.0], model=model, recipe=options, method=method)


def hops_of(held: Any, names: tuple[str, ...], hop_s: float) -> Hops:
    """Return a stream of these modalities."""
    layout = Layout(hop_s, WINDOW_S, SEGMENTS, 1.0, 0.5, CuttingOptions(short_side=256), held.recipe.sampling)
    series = {
        name: LiveSeries(AXES, RATE, keep_s=layout.reach_s + hop_s + 3.0, max_gap_s=0.5, slack_s=1.0)
        for name in names
        if INPUTS[name]["kind"] == "sensor"
    }
    videos: Any = {"rgb": StillCamera()} if "rgb" in names else {}
    live = LiveNetworks(held)
    live.warm_up()
    return Hops(layout, live, held.model["inputs"], series, videos, starts={}, takes_subsets=False)


def lines(first: int, count: int, names: list[str]) -> bytes:
    """Return rows of CSV."""
    cells = ",".join(["0.12345", "9.81234", "-0.54321"] * len(names))
    return "".join(f"{n / RATE:.3f},{cells}\n" for n in range(first, first + count)).encode()


def reader(names: list[str]) -> LiveRows:
    """Return what reads these rows."""
    rows = LiveRows({name: LiveSensor(AXES, True, RATE) for name in names}, tell=lambda text: None)
    header = ",".join(["time", *(f"{name}_{axis}" for name in names for axis in AXES)])
    list(rows.feed(f"{header}\n".encode(), 0.0))
    return rows


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Let torch compute with so many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def spent(work: Callable[[], Any], repeats: int) -> tuple[float, float, float]:
    """Return median and 95 % quantile of wall time, and mean CPU time, in milliseconds."""
    taken, cpu = [], time.process_time()
    for _ in range(repeats):
        begun = time.perf_counter()
        work()
        taken.append(1000 * (time.perf_counter() - begun))
    cpu = 1000 * (time.process_time() - cpu) / repeats
    return float(np.median(taken)), float(np.quantile(taken, 0.95)), cpu


def one_hop(names: tuple[str, ...], recipe: str, repeats: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return what a hop costs, and what the whole network costs on the same N segments."""
    held = networks(names, recipe=recipe)
    hops = hops_of(held, names, HOP_S)
    sensors = [name for name in names if INPUTS[name]["kind"] == "sensor"]
    rows, per_hop, found, cpu = reader(sensors), round(HOP_S * RATE), [], 0.0
    for number in range(repeats):
        made = list(rows.feed(lines(number * per_hop, per_hop, sensors), time.monotonic()))
        begun = time.process_time()
        found += [hop.latency_s for row in made for hop in hops.take(row)]
        cpu += time.process_time() - begun
    found = found[SEGMENTS:]
    ours = (1000 * float(np.median(found)), 1000 * float(np.quantile(found, 0.95)), 1000 * cpu / repeats)
    return ours, spent(lambda: whole(held, names), max(20, repeats // 5))


def whole(held: Any, names: tuple[str, ...]) -> None:
    """Predict N segments at once, as without a stream."""
    network, _ = held.method.network_for_inference()
    frame = StillCamera()._picture
    for _ in range(SEGMENTS if "rgb" in names else 0):
        pack_frame(frame, 0.0, CuttingOptions())
    shapes = {"rgb": (64, 64, 3), "acc": (3, 100), "gyro": (3, 100)}
    tensors = {
        name: torch.zeros(1, SEGMENTS, *shapes[name], dtype=torch.uint8 if name == "rgb" else torch.float32)
        for name in names
    }
    with torch.inference_mode():
        network(tensors)


def day(hours: float, hop_s: float) -> None:
    """Feed a day of rows, and print memory by the hour."""
    held = networks(("acc", "gyro"), recipe="fast")
    hops, rows = hops_of(held, ("acc", "gyro"), hop_s), reader(["acc", "gyro"])
    table, count, begun, block = [], 0, time.perf_counter(), 3000
    for hour in range(int(hours)):
        for first in range(int(hour * 3600 * RATE), int((hour + 1) * 3600 * RATE), block):
            for row in rows.feed(lines(first, block, ["acc", "gyro"]), first / RATE):
                count += sum(1 for _ in hops.take(row))
        table.append((hour + 1, count, hops.held, memory_mb(), time.perf_counter() - begun))
    shown = [row for row in table if row[0] in (1, 2, 6, 12, 18, int(hours))]
    show(("hours", "hops", "samples held", "RSS MB", "seconds"), shown)
    sys.stdout.write(f"growth from hour 1 to {int(hours)}: {table[-1][3] - table[0][3]:.2f} MB\n\n")


def memory_mb() -> float:
    """Return what is resident now; where that is not told, the peak."""
    status = Path("/proc/self/status")
    if status.is_file():
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hops", type=int, default=300)
    parser.add_argument("--hours", type=float, default=24)
    parser.add_argument("--day-hop", type=float, default=5.0)
    parser.add_argument("--recipe", default="fast")
    wanted = parser.parse_args()
    table: list[tuple[Any, ...]] = []
    for count in dict.fromkeys((1, torch.get_num_threads())) if wanted.hops else ():
        with threads(count):
            for names in (("rgb", "acc", "gyro"), ("acc", "gyro")):
                ours, theirs = one_hop(names, wanted.recipe, wanted.hops)
                table.append((" + ".join(names), count, "a hop", *ours))
                table.append((" + ".join(names), count, f"all {SEGMENTS} segments", *theirs))
    if table:
        show((wanted.recipe, "threads", "what", "median ms", "95 % ms", "CPU ms"), table)
    if wanted.hours:
        with threads(1):
            day(wanted.hours, wanted.day_hop)


if __name__ == "__main__":
    main()
