"""The process of one unit: `python -m mmtsa_cli.stages.tables.unit_process JOB` fits, measures, and keeps the result.

Exit code 0: the result stands in its place; 1: `fault.json` says why not; 130: it was asked to stop.
"""

from __future__ import annotations

import _thread
import json
import os
import shutil
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from mmtsa_cli.artifacts.directory import replace_file
from mmtsa_cli.artifacts.options import Source, to_options
from mmtsa_cli.artifacts.remote import place_of
from mmtsa_cli.artifacts.unchanged import unchanged
from mmtsa_cli.errors import MmtsaError
from mmtsa_cli.methods.registry import class_of, entry_of
from mmtsa_cli.sampling.draw import DrawOptions, Samples
from mmtsa_cli.sampling.feature_cache import computed_on, seconds_saved
from mmtsa_cli.sampling.protocols import Fold, hold_out
from mmtsa_cli.sampling.store import Store
from mmtsa_cli.stages.tables.footprint import measure, peak_mb
from mmtsa_cli.stages.tables.units import FAULT, PREDICTIONS, RESULT, Unit
from mmtsa_cli.training.owed import seconds_of_others
from mmtsa_cli.training.run import Run

SPENT = "seconds.json"
_NOTE_S, _GRACE_S = 5.0, 3.0


class _Stop:
    """The wish to stop, which comes through stdin: the next step of a training grants it, all else ends at once."""

    def __init__(self) -> None:
        self.asked = self.stepping = False

    def answer(self) -> bool:
        return self.asked

    def listen(self) -> None:
        """Wait for a byte, the wish, or for the end of the pipe: who holds the other side is no more."""
        if not os.read(sys.stdin.fileno(), 1):
            _end_all()
        self.asked = True
        if not self.stepping:
            _thread.interrupt_main()
            # What is not written in Python may hear nothing of it for long, and has nothing to keep.
            time.sleep(_GRACE_S)
            _end_all()


def main(job_file: Path) -> int:
    """Run the unit that a file describes and return the exit code."""
    # A process that is started in the background would ignore it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # A batch system sends it to every process; who started this one passes the wish on through the pipe.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    stop = _Stop()
    threading.Thread(target=stop.listen, daemon=True).start()
    job = json.loads(job_file.read_text(encoding="utf-8"))
    try:
        with computed_on(job["cluster"]):
            _run(job, job_file.parent, stop)
    except KeyboardInterrupt:
        return 130
    except MmtsaError as error:
        return 130 if stop.asked else _failed(job_file.parent, error.line())
    except Exception as error:  # noqa: BLE001 - the boundary: a bug in one system is one row's
        traceback.print_exc()
        return _failed(job_file.parent, f"{type(error).__name__}: {error}")
    return 0


def _warn(text: str) -> None:
    sys.stderr.write(f"warning: {text}\n")


def _end_all() -> None:
    """End this process and those that it started (they compute features)."""
    if os.name == "posix":
        os.killpg(os.getpgrp(), signal.SIGKILL)
    os._exit(1)


def _failed(work: Path, text: str) -> int:
    replace_file(work / FAULT, json.dumps({"error": text}).encode())
    return 1


def _run(job: Mapping[str, Any], work: Path, stop: _Stop) -> None:
    unit = Unit(**{**job["unit"], "modalities": tuple(job["unit"]["modalities"])})
    store = Store(place_of(job["samples"]))
    # As they were when the table was begun, which is before this process was.
    store.states = {Path(path): tuple(state) if state else None for path, state in job["states"].items()}
    with unchanged(store.states, checkpoints=work):
        kept = _measured(job, unit, store, work, stop)
    _keep(Path(job["final"]), job, *kept)


def _measured(
    job: Mapping[str, Any], unit: Unit, store: Store, work: Path, stop: _Stop
) -> tuple[tuple[str, ...], dict[str, Any], Samples, Any]:
    """Fit and predict; return classes, what was measured, the test clips and their probabilities."""
    fold = Fold(**job["fold"])
    train, validation, test = _parts(unit, store, fold)
    system = class_of(entry_of(unit.settings.get("method", unit.method)))
    own = {key: value for key, value in unit.settings.items() if key not in ("method", "sampling", "validation")}
    options = to_options(system.options_class, Source(unit.name, own, {}))  # type: ignore[attr-defined]
    method = system.for_samples(options, train, seed=unit.seed)  # type: ignore[attr-defined]
    if getattr(options, "distillation", None):
        _teach(method, options, fold)
    with _Clock(work, stop, shared=Path(job["shared"])) as clock:
        state = method.fit(train, validation, seed=unit.seed, run=clock.run())
    probabilities = method.predict_proba(test, seed=unit.seed)
    if not np.isfinite(probabilities).all():
        raise MmtsaError(f"{unit.method} predicts what is no number", where=unit.name)
    measured = {
        "train_clips": len(train),
        "test_clips": len(test),
        # A system pays for its features and teachers, whoever computed and trained them.
        "seconds": clock.seconds + seconds_saved() + seconds_of_others(),
        "epochs": getattr(state, "epoch", None),
        **(measure(method, options, test) if job["measure"] else {}),
        "threads": _threads(job),
        "device": getattr(getattr(method, "device", None), "type", "cpu"),
        "peak_mb": peak_mb(),
    }
    return method.classes, measured, test, probabilities


def _teach(method: Any, options: Any, fold: Fold) -> None:
    # Here alone: with no network to train, torch is not imported, which takes longer than to fit a tree.
    from mmtsa_cli.stages.tables.teaching import open_teacher, teacher_of

    if teacher := open_teacher(options):
        method.teacher = teacher_of(teacher, fold, [fold], options)


def _threads(job: Mapping[str, Any]) -> int:
    """Return the threads of the arithmetic: those of a recipe, or what the environment of this process says."""
    torch = sys.modules.get("torch")
    return torch.get_num_threads() if torch else job["threads"]


def _parts(unit: Unit, store: Store, fold: Fold) -> tuple[Samples, Samples | None, Samples]:
    """Return training, validation (or None) and test clips as the system draws them."""
    wanted = unit.settings["validation"]
    train, validation = hold_out(
        fold,
        store.clips,
        column=wanted["column"],
        values=wanted["values"],
        count=wanted["count"],
        seed=unit.seed,
    )
    options = to_options(DrawOptions, Source("sampling", dict(unit.settings["sampling"]), {}))
    classes = sorted({store.clips[i]["label"] for i in fold.train})
    parts = [
        Samples(store, part, modalities=unit.modalities, classes=classes, options=options)
        for part in (train, validation, fold.test)
    ]
    return parts[0], parts[1] if validation else None, parts[2]


class _Clock:
    """The time of a fit, that of runs before which were interrupted included."""

    def __init__(self, work: Path, stop: _Stop, *, shared: Path) -> None:
        self._work, self._stop, self._shared = work, stop, shared
        self._before = _seconds_in(work / SPENT)
        self._started = self._noted = time.monotonic()
        self.seconds = self._before

    def __enter__(self) -> _Clock:
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.stepping = False
        self._note()

    def run(self) -> Any:
        """Return what a training is told."""
        return Run(self._work, self._report, self._stop.answer, self._shared, warn=_warn)

    def _report(self, state: Any, step: int, steps: int) -> None:
        self._stop.stepping = True
        if time.monotonic() - self._noted > _NOTE_S:
            self._note()

    def _note(self) -> None:
        self._noted = time.monotonic()
        self.seconds = self._before + self._noted - self._started
        replace_file(self._work / SPENT, json.dumps(self.seconds).encode())


def _seconds_in(file: Path) -> float:
    """Return what an earlier run noted; 0 where it noted nothing, or a full disk has left nothing of it."""
    try:
        return float(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return 0.0


def _keep(
    final: Path,
    job: Mapping[str, Any],
    classes: tuple[str, ...],
    measured: Mapping[str, Any],
    test: Samples,
    probabilities: Any,
) -> None:
    """Write the result whole or not at all."""
    with _appearing(final) as directory:
        ids = np.array(test.column("id"))
        subjects = np.array(test.column("subject"))
        np.savez(directory / PREDICTIONS, ids=ids, subjects=subjects, labels=test.labels, probabilities=probabilities)
        result = {"unit": job["unit"], "key": job["key"], "classes": list(classes), "measured": dict(measured)}
        (directory / RESULT).write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


@contextmanager
def _appearing(final: Path) -> Iterator[Path]:
    partial = final.with_name(final.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
        shutil.rmtree(final, ignore_errors=True)
        partial.rename(final)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
