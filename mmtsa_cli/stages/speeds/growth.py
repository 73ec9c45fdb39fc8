"""How the cost grows with the work: clips of `sample` and of a training, length of a series, modalities, segments."""

from __future__ import annotations

import csv
import json
import math
import sys
import time
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmtsa_cli.sampling.draw import DrawOptions, Samples
from mmtsa_cli.sampling.store import Store
from mmtsa_cli.stages import synth
from mmtsa_cli.stages.speeds import material
from mmtsa_cli.stages.speeds.timing import in_turns, one_thread

Note = Callable[[str], None]
_FEWEST = 100
_LENGTHS_S = (10.0, 600.0, 3600.0, 86_400.0)
_STEPS = 6
_SEGMENTS = (1, 2, 4, 8)
_SAMPLE = """
import json, sys, time
from pathlib import Path
from mmtsa_cli.stages import sample
from mmtsa_cli.stages.tables.footprint import peak_mb
begun = time.perf_counter()
options = sample.CuttingOptions(window_s=1.0, short_side=64)
sample.run(Path(sys.argv[1]), Path(sys.argv[2]), modalities=("rgb", "gyro"), options=options)
print(json.dumps({"seconds": time.perf_counter() - begun, "peak_mb": peak_mb()}))
"""


def growth(work: Path, *, most_clips: int, repeats: int, note: Note) -> list[dict[str, Any]]:
    """Return the measured points.

    Parameters
    ----------
    work : Path
        A directory for recordings and stores: 104 MB for the longest series, 10 kB a clip.
    most_clips : int
        The largest number of clips; from 100 on about three a decade.
    repeats : int
    note : callable
        Told what is measured.

    Returns
    -------
    list of dict
        `what`, `of` (its unit), `size`, `value`, `unit`.
    """
    rows = _sampling(work, clip_counts(most_clips), note)
    note("growth: a window of a long series")
    rows += _windows(work, repeats)
    note("growth: inference by modalities and segments")
    return rows + _inference(work, repeats)


def exponents(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return, for each thing that was measured, the slope of its logarithm: 1 linear, 0 independent.

    Returns
    -------
    list of dict
        `what`, `from`, `to`, `of`, `first`, `last`, `unit`, `exponent`.
    """
    found = []
    for what in dict.fromkeys(row["what"] for row in rows):
        own = [row for row in rows if row["what"] == what]
        sizes, values = [row["size"] for row in own], [max(row["value"], 1e-9) for row in own]
        slope = float(np.polyfit(np.log(sizes), np.log(values), 1)[0]) if len(own) > 1 else math.nan
        found.append(
            {
                "what": what,
                "of": own[0]["of"],
                "from": sizes[0],
                "to": sizes[-1],
                "first": values[0],
                "last": values[-1],
                "unit": own[0]["unit"],
                "exponent": slope,
            }
        )
    return found


def clip_counts(most: int) -> list[int]:
    """Return 100, 300, 1000, ... up to `most`, which is the last."""
    steps = [_FEWEST * 10 ** (number // 2) * (1, 3)[number % 2] for number in range(8)]
    return [*[count for count in steps if count < most], most]


def _sampling(work: Path, counts: Sequence[int], note: Note) -> list[dict[str, Any]]:
    """Measure `sample` in a process of its own, and training steps on what it made."""
    synth.run(work / "rec", subjects=2, repeats=1, size=64, seconds=2.0, jobs=1)
    rows = []
    for count in counts:
        note(f"growth: sample and train of {count} clips")
        _multiply(work / "rec", count)
        found = _sampled(work / "rec", work / f"store-{count}")
        own = [
            _row("sample: time", "clips", count, found["seconds"], "s"),
            _row("sample: peak memory", "clips", count, found["peak_mb"], "MB"),
            _row("train: time of a clip", "clips", count, _training_ms(work / f"store-{count}"), "ms"),
        ]
        note("; ".join(f"{row['what']} {row['value']:.4g} {row['unit']}" for row in own))
        rows += own
    return rows


def _sampled(recordings: Path, store: Path) -> dict[str, float]:
    from mmtsa_cli.stages.speeds.processes import run_measured

    return json.loads(run_measured([sys.executable, "-c", _SAMPLE, str(recordings), str(store)]))


def _multiply(recordings: Path, count: int) -> None:
    """Let the index list its recordings again and again until there are `count` rows; files are re-used."""
    path = recordings / "index.csv"
    with path.open(newline="", encoding="utf-8") as stream:
        header, *rows = csv.reader(stream)
    real = [row for row in rows if "+" not in row[0]]
    chosen = [[f"{row[0]}+{i}" if i >= len(real) else row[0], *row[1:]] for i in range(count)
              for row in [real[i % len(real)]]]  # fmt: skip
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([header, *chosen])


def _training_ms(store: Path) -> float:
    """Return the milliseconds a clip of some steps of training, drawing included."""
    from mmtsa_cli.methods.batches import BatchPlan
    from mmtsa_cli.methods.mmtsa import Mmtsa
    from mmtsa_cli.stages.recipe import read_recipe
    from mmtsa_cli.stages.speeds.training import step_of

    opened, plan = Store(store), read_recipe("fast")
    names = tuple(opened.header.modalities)
    samples = Samples(opened, range(len(opened)), modalities=names, classes=opened.labels, options=plan.sampling)
    method = Mmtsa.for_samples(plan, samples, seed=0)
    size = min(plan.training.batch_size, _FEWEST // (_STEPS + 1))
    spent: list[float] = []
    begun = time.perf_counter()
    for number, (part,) in enumerate(BatchPlan(samples, size, plan.augmentation, 0).batches(0, 0)):
        step_of(method, method.network, method._tensors(part.batch), "auto")()
        spent.append(time.perf_counter() - begun)
        begun = time.perf_counter()
        if number == _STEPS:
            break
    return 1000 * float(np.median(spent[1:])) / size


def _windows(work: Path, repeats: int) -> list[dict[str, Any]]:
    """Measure the draw of one item from series of several lengths, and what it allocates."""
    material.write_series_store(work / "long", _LENGTHS_S)
    store = Store(work / "long")
    draws = {length: _drawing(store, number) for number, length in enumerate(_LENGTHS_S)}
    times = in_turns({str(length): draw for length, draw in draws.items()}, repeats=20 * repeats, budget_s=10)
    rows = []
    for length, draw in draws.items():
        tracemalloc.start()
        draw()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        rows.append(
            _row("draw of 3 windows: time", "seconds of series", length, 1000 * times[str(length)].median_s, "ms")
        )
        rows.append(_row("draw of 3 windows: allocated", "seconds of series", length, peak / 1000, "kB"))
    return sorted(rows, key=lambda row: row["what"], reverse=True)


def _drawing(store: Store, clip: int) -> Callable[[], object]:
    samples = Samples(store, [clip], modalities=("acc",), classes=store.labels, options=DrawOptions())
    count = iter(range(10**9))
    return lambda: samples.batch([0], generators=[np.random.default_rng(next(count))])


def _inference(work: Path, repeats: int) -> list[dict[str, Any]]:
    """Measure inference of a clip by the number of sensors, and by that of segments, with the paper's backbone.

    On one core, and the fastest of several: what else the machine does would be taken for growth.
    """
    import torch

    from mmtsa_cli.imaging.field import FieldOptions
    from mmtsa_cli.models.inference import ready_for_inference
    from mmtsa_cli.models.network import Input, ModelOptions, build_network
    from mmtsa_cli.stages.speeds.networks import asked

    bounds = ((-3.0, 3.0),) * 3
    networks = {}
    for count in (1, 2, 3, 4, 5):
        inputs = {f"sensor{number}": Input("sensor", 3, bounds, size=100) for number in range(count)}
        network = build_network(inputs, ModelOptions(), FieldOptions(scale="dataset"), segments=3, classes=37)
        networks[count] = ready_for_inference(network)

    def ask(count: int, segments: int) -> Callable[[], object]:
        windows = torch.from_numpy(material.series(100 * segments, seed=1)).reshape(1, segments, 100, 3)
        shown = windows.transpose(2, 3).contiguous()
        return asked(networks[count], {f"sensor{number}": shown for number in range(count)})

    with one_thread():
        by_count = in_turns({str(count): ask(count, 3) for count in networks}, repeats=2 * repeats, budget_s=30)
        # Weights are packed anew for another number of segments; that is no part of an answer.
        by_segments = in_turns(
            {str(number): ask(2, number) for number in _SEGMENTS},
            repeats=2 * repeats,
            budget_s=30,
            call_before=True,
        )
    return [
        *(
            _row("infer: by modalities", "modalities", int(n), 1000 * times.median_s, "ms")
            for n, times in by_count.items()
        ),
        *(
            _row("infer: by segments", "segments", int(n), 1000 * times.median_s, "ms")
            for n, times in by_segments.items()
        ),
    ]


def _row(what: str, of: str, size: float, value: float, unit: str) -> dict[str, Any]:
    return {"what": what, "of": of, "size": size, "value": value, "unit": unit}
