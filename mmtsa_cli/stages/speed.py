"""How fast the package is beside the naive way, from a file to a prediction, where the time goes, and how it grows."""

from __future__ import annotations

import json
import os
import platform
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mmtsa_cli.artifacts.directory import check_output, new_directory
from mmtsa_cli.artifacts.manifest import Manifest
from mmtsa_cli.sampling.store import Store
from mmtsa_cli.stages.speeds.timing import SpeedRow, one_thread

Note = Callable[[str], None]
FACTS = "speed.json"


@dataclass(frozen=True)
class SpeedOptions:
    """What is measured, and how often.

    Attributes
    ----------
    repeats : int
        Rounds of ours and naive in turns; of training steps and whole processes half as many.
    batch : int
        Clips of a training step.
    explain : bool
        Also what each way to be faster gives on its own.
    compiled : bool
        With `explain` also torch.compile, whose warm-up takes minutes.
    growth : int
        The largest number of clips in the measurements of growth; 0: none of them.
    accuracy : str, optional
        A sample store on which the paper's recipe and the fast one are trained, to show F1 beside speed.
    whole_paper : bool
        The paper's recipe as it is, which takes days on a CPU, and not in small.
    """

    repeats: int = 5
    batch: int = 4
    explain: bool = False
    compiled: bool = False
    growth: int = 0
    accuracy: str | None = None
    whole_paper: bool = False


def run(
    output: Path | None, options: SpeedOptions, *, overwrite: bool = False, note: Note = lambda text: None
) -> dict[str, Any]:
    """Measure, and write `speed.json`, the tables as CSV and `growth.png` into a directory, where one is named.

    Returns
    -------
    dict
        `rows` (see `SpeedRow.facts`), `time` (where it goes), `ways` (with `explain`), `growth` and `exponents`
        (with `growth`), `accuracy` and `steps` (with `accuracy`), `machine`.

    Raises
    ------
    UsageError, DataError, ArtifactError
    """
    if options.accuracy:
        # Refused now if it is none, not after minutes of measuring.
        Store(Path(options.accuracy))
    if output is None:
        with tempfile.TemporaryDirectory() as folder:
            return _measure(Path(folder), Path(folder), options, note)
    manifest = Manifest("speed", asdict(options), 0)
    if check_output(output, manifest, overwrite=overwrite) == "done":
        note(f"{output} already holds this result; --overwrite measures anew")
        return json.loads((output / FACTS).read_text(encoding="utf-8"))
    results: dict[str, Any] = {}
    with new_directory(output, manifest, results=results) as directory, tempfile.TemporaryDirectory() as folder:
        facts = _measure(Path(folder), directory, options, note)
        _write(directory, facts)
        results.update({row["name"]: row["ratio"] for row in facts["rows"]})
    return facts


def _measure(work: Path, directory: Path, options: SpeedOptions, note: Note) -> dict[str, Any]:
    """Measure part after part; each figure is told at once, so that a log of what was interrupted holds it."""
    from mmtsa_cli.stages.speeds import material, processes

    facts: dict[str, Any] = {"machine": _machine(), "rows": [], "time": {}}
    if options.explain:
        facts["ways"] = []
    note("made for the measurements: 16 clips of a video and four sensors, 10 s each")
    shown = material.write_store(work / "store")
    note("whole processes")
    facts["rows"] += _told(note, processes.process_rows(work, repeats=_few(options)))
    _training(facts, work / "store", options, note)
    with one_thread():
        _on_one_core(facts, work, shown, options, note)
    _networks(facts, work / "store", options, note)
    facts["rows"] = [row.facts() for row in facts["rows"]]
    if options.growth:
        facts.update(_growth(work, directory, options, note))
    if options.accuracy:
        from mmtsa_cli.stages.speeds.accuracy import accuracy_rows, fast_run, steps_of

        store = Path(options.accuracy)
        facts["accuracy"] = accuracy_rows(store, work, whole_paper=options.whole_paper, note=note)
        facts["steps"] = steps_of(fast_run(work), store, work, note)
    return facts


def _on_one_core(facts: dict[str, Any], work: Path, shown: Any, options: SpeedOptions, note: Note) -> None:
    from mmtsa_cli.stages.speeds import fields, items

    repeats = options.repeats
    note("fields and items, on one core")
    facts["rows"] += _told(note, [fields.field_row(repeats=repeats)])
    facts["rows"] += _told(note, items.item_rows(work, shown, repeats=repeats))
    facts["time"]["item"] = items.time_by_part(work / "store")
    if options.explain:
        facts["ways"] += fields.field_ways(repeats=repeats)
        facts["ways"] += items.item_ways(work / "store", repeats=repeats)


def _training(facts: dict[str, Any], store: Path, options: SpeedOptions, note: Note) -> None:
    """Measure training; before this process holds networks, as the naive way of 16 clips needs 14 GB for itself."""
    from mmtsa_cli.stages.speeds import training

    note(f"training, on {_cores()} cores, in processes of its own")
    steps = min(3, _few(options))
    found = training.measure_steps(store, batch=options.batch, steps=steps, given_back=options.explain)
    facts["rows"] += _told(note, training.training_rows(found))
    if options.explain:
        facts["ways"] += training.process_ways(found)


def _networks(facts: dict[str, Any], store: Path, options: SpeedOptions, note: Note) -> None:
    from mmtsa_cli.stages.speeds import clip_parts, training
    from mmtsa_cli.stages.speeds import networks as speed_networks

    few, batch = _few(options), options.batch
    note(f"inference, on {_cores()} cores")
    networks = speed_networks.Networks(store)
    facts["rows"] += _told(note, speed_networks.inference_rows(networks, repeats=options.repeats))
    facts["time"]["training step"] = training.time_by_part(networks, batch=batch)
    facts["time"].update(clip_parts.time_by_part(networks))
    if options.explain:
        note("each way on its own")
        facts["ways"] += speed_networks.inference_ways(networks, repeats=few, compiled=options.compiled, note=note)
        facts["ways"] += training.training_ways(networks, batch=min(2, batch), repeats=few)
    del networks
    facts["rows"] += _told(note, training.device_rows(store, batch=batch, repeats=options.repeats))


def _few(options: SpeedOptions) -> int:
    return max(2, options.repeats // 2)


def _told(note: Note, rows: list[SpeedRow]) -> list[SpeedRow]:
    for row in rows:
        note(row.line())
    return rows


def _growth(work: Path, directory: Path, options: SpeedOptions, note: Note) -> dict[str, Any]:
    from mmtsa_cli.reporting.growth_plot import plot_growth
    from mmtsa_cli.stages.speeds.growth import exponents, growth

    rows = growth(work, most_clips=options.growth, repeats=options.repeats, note=note)
    slopes = exponents(rows)
    plot_growth(directory / "growth.png", rows, slopes)
    return {"growth": rows, "exponents": slopes}


def _write(directory: Path, facts: dict[str, Any]) -> None:
    from mmtsa_cli.reporting.tables import write_rows

    (directory / FACTS).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    for name in ("rows", "ways", "growth", "accuracy", "steps"):
        if facts.get(name):
            write_rows(directory / f"{name}.csv", facts[name])


def _machine() -> dict[str, Any]:
    import torch

    known = {"avx512_bf16": "_is_avx512_bf16_supported", "amx": "_is_amx_tile_supported"}
    found = {name: bool(getattr(torch.cpu, ask, lambda: False)()) for name, ask in known.items()}
    return {
        "processor": _processor(),
        "cores": _cores(),
        "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
        "torch": torch.__version__,
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        **found,
    }


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines: Sequence[str] = path.read_text().splitlines() if path.is_file() else ()
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
