"""The units of a table: one system, fitted to one fold with one seed. Each runs in a process of its own and is kept.

So peak memory and threads are the unit's own, a crash is one row's, and an interrupted table goes on where it was: what
is finished stands in `units/NAME/`, whole or not at all, and a training under way in `work/NAME/`, with its checkpoint.
What several systems need (teachers, streams) is trained once, in `parts/`.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
import subprocess
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mmtsa_cli import __version__
from mmtsa_cli.artifacts.directory import replace_file
from mmtsa_cli.artifacts.manifest import fingerprint
from mmtsa_cli.artifacts.options import Source, to_options
from mmtsa_cli.errors import ArtifactError, MmtsaError
from mmtsa_cli.sampling.protocols import Fold, resolve
from mmtsa_cli.sampling.store import Store
from mmtsa_cli.stages.processes import cores, run_processes, start_module

Progress = Callable[[int, int], None]
Listener = Callable[["UnitResult"], None]
UNITS, WORK, PARTS = "units", "work", "parts"
RESULT, PREDICTIONS = "result.json", "predictions.npz"
JOB, LOG, FAULT = "job.json", "log.txt", "fault.json"


@dataclass(frozen=True)
class Unit:
    """One system on one fold with one seed.

    Attributes
    ----------
    name : str
        Usable as the name of a directory, of no other unit beside it.
    method : str
        A name of the registry.
    modalities : tuple of str
    settings : mapping
        Options as plain values: `sampling`, `validation`, and those of the system's options class.
    fold : str
    seed : int
    """

    name: str
    method: str
    modalities: tuple[str, ...]
    settings: dict[str, Any]
    fold: str
    seed: int


@dataclass(frozen=True)
class Predictions:
    """What a unit says of its test clips.

    Attributes
    ----------
    ids, subjects : tuple of str
        Of n clips.
    labels : (n,) int64 array
    probabilities : (n, classes) float64 array
    classes : tuple of str
    """

    ids: tuple[str, ...]
    subjects: tuple[str, ...]
    labels: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    classes: tuple[str, ...]


@dataclass(frozen=True)
class UnitResult:
    """What came of a unit; but for `unit`, `status` and `error` all is None where it failed or was not measured.

    Attributes
    ----------
    error : str or None
        Why it failed, in one line.
    directory : Path or None
        Holds `result.json` and `predictions.npz`.
    classes : tuple of str
    train_clips, test_clips : int
    seconds : float
        Of fitting, that before interruptions included, and what features and teachers had taken that were found there.
    epochs : int or None
        Done; None where the system has none.
    parameters, macs : int
        As the system's `cost` counts them; multiply-accumulates of all draws of a clip.
    latency_ms, latency_p95_ms : float
        Of the probabilities of one clip, drawing and features included: median and 95th percentile.
    threads : int
        Threads of the arithmetic.
    device : str
        "cpu" or "cuda", where the system chose it.
    peak_mb : float
        Largest resident memory of the unit's process, in 10^6 bytes: Python, fitting and predicting.
    bytes_per_clip : float
        Read from the sample store for the probabilities of one clip.
    """

    unit: Unit
    status: Literal["done", "failed"]
    error: str | None = None
    directory: Path | None = None
    classes: tuple[str, ...] = ()
    train_clips: int | None = None
    test_clips: int | None = None
    seconds: float | None = None
    epochs: int | None = None
    parameters: int | None = None
    macs: int | None = None
    latency_ms: float | None = None
    latency_p95_ms: float | None = None
    threads: int | None = None
    device: str | None = None
    peak_mb: float | None = None
    bytes_per_clip: float | None = None

    def predictions(self) -> Predictions:
        """Read what the unit says of its test clips.

        Raises
        ------
        ArtifactError
            The file is missing or damaged.
        """
        path = (self.directory or Path()) / PREDICTIONS
        try:
            with np.load(path, allow_pickle=False) as stored:
                said = _predictions(stored, self.classes)
            _check(said)
            return said
        except _DAMAGE as error:
            remedy = "remove its directory and run the benchmark again"
            raise ArtifactError("damaged", where=str(path), found=str(error), remedy=remedy) from None


_DAMAGE = (
    OSError,
    EOFError,
    ValueError,
    KeyError,
    TypeError,
    MemoryError,
    NotImplementedError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What NumPy, and the archive that its file is, raise where it is damaged."""


def _predictions(stored: Mapping[str, Any], classes: tuple[str, ...]) -> Predictions:
    ids, subjects = (tuple(str(text) for text in stored[name].tolist()) for name in ("ids", "subjects"))
    labels, probabilities = stored["labels"].astype(np.int64, casting="safe"), stored["probabilities"]
    return Predictions(ids, subjects, labels, probabilities.astype(np.float64, casting="safe"), classes)


def _check(said: Predictions) -> None:
    """Refuse predictions that are not of as many clips and classes throughout, with ValueError."""
    n = len(said.ids)
    shapes = (len(said.subjects), said.labels.shape, said.probabilities.shape)
    if not n or shapes != (n, (n,), (n, len(said.classes))):
        raise ValueError(f"predictions of {n} clips and {len(said.classes)} classes have shapes {shapes}")
    if not (said.labels.min() >= 0 and said.labels.max() < len(said.classes)):
        raise ValueError(f"labels beyond {len(said.classes)} classes")


def run_units(
    store: Store,
    units: Sequence[Unit],
    directory: Path,
    *,
    protocol: str | None,
    jobs: int = 1,
    cluster: str | None = None,
    measure: bool = True,
    progress: Progress = lambda done, total: None,
    should_stop: Callable[[], bool] = lambda: False,
    listen: Listener = lambda result: None,
) -> list[UnitResult]:
    """Run what is not finished yet and return the results of all, in the order of `units`.

    A unit that failed is tried again the next time.

    Parameters
    ----------
    store : Store
        Opened before anything else was begun: units whose samples are no longer as they were then are refused.
    directory : Path
        Where `units/` and `work/` are.
    protocol : str or None
        As `sampling.protocols.resolve` takes it.
    jobs : int
        Units at the same time; each gets its share of the cores as threads.
    cluster : str, optional
        Address of a Dask scheduler, whose workers compute the features of clips.
    measure : bool
        Measure latency and bytes read as well.
    progress : callable
        Takes the units that have ended, and all.
    should_stop : callable
        True: let the units under way come to their next step, then end.
    listen : callable
        Takes the result of each unit that was run now.

    Raises
    ------
    StoppedError
        It was asked to stop; what is finished, and checkpoints of what is not, are kept.
    """
    header = store.header
    folds = resolve(protocol, store.clips, published=header.protocols, default=header.protocol).folds
    by_name = {fold.name: fold for fold in folds}
    threads = max(1, cores() // jobs)
    tasks = [_Task(unit, store, by_name[unit.fold], directory, threads, measure, cluster) for unit in units]
    results = {task.unit.name: kept for task in tasks if (kept := task.kept())}
    waiting = [task for task in tasks if task.unit.name not in results]
    progress(len(results), len(tasks))
    for task, code in run_processes(waiting, jobs=jobs, should_stop=should_stop):
        results[task.unit.name] = result = task.result(code)
        listen(result)
        progress(len(results), len(tasks))
    if all(result.status == "done" for result in results.values()):
        shutil.rmtree(directory / WORK, ignore_errors=True)
    return [results[unit.name] for unit in units]


class _Task:
    """A unit with all that its process must know."""

    def __init__(
        self,
        unit: Unit,
        store: Store,
        fold: Fold,
        directory: Path,
        threads: int,
        measure: bool,
        cluster: str | None,
    ) -> None:
        self.unit = unit
        directory = directory.absolute()
        self.final, self.work = directory / UNITS / unit.name, directory / WORK / unit.name
        parts = {side: [store.clips[i]["id"] for i in getattr(fold, side)] for side in ("train", "test")}
        self._threads = threads
        taught_by = (unit.settings.get("distillation") or {}).get("teacher")
        read = [fingerprint(Path(taught_by))] if taught_by else []
        self._key = _hash([__version__, fingerprint(store.directory), asdict(unit), parts, measure, *read])
        self._job = {
            "unit": asdict(unit),
            "key": self._key,
            "states": {str(path): state for path, state in store.states.items()},
            "samples": str(store.directory.absolute()),
            "fold": asdict(fold),
            "final": str(self.final),
            "shared": str(directory / PARTS),
            "threads": threads,
            "measure": measure,
            "cluster": cluster,
        }

    def kept(self) -> UnitResult | None:
        """Return the result of this very unit, if it is there."""
        found = read_result(self.final)
        return found[0] if found and found[1] == self._key else None

    def start(self) -> subprocess.Popen:
        """Start the unit's process."""
        self.work.mkdir(parents=True, exist_ok=True)
        job = self.work / JOB
        if job.is_file() and _key_of(job) != self._key:
            # A checkpoint of other settings is none of this unit's.
            shutil.rmtree(self.work)
            self.work.mkdir()
        (self.work / FAULT).unlink(missing_ok=True)
        replace_file(job, json.dumps(self._job).encode())
        with (self.work / LOG).open("ab") as log:
            return start_module("mmtsa_cli.stages.tables.unit_process", job, log=log, threads=self._threads)

    def result(self, code: int) -> UnitResult:
        """Return what came of the process that ended with `code`."""
        kept = self.kept()
        if kept:
            shutil.rmtree(self.work, ignore_errors=True)
            return kept
        return UnitResult(self.unit, "failed", self._fault(code))

    def _fault(self, code: int) -> str:
        try:
            return str(json.loads((self.work / FAULT).read_text(encoding="utf-8"))["error"])
        except (OSError, ValueError, KeyError):
            pass
        if code < 0:
            name = signal.Signals(-code).name
            more = ", as happens where memory is short" if name == "SIGKILL" else ""
            return f"its process was ended by {name}{more}; see {self.work / LOG}"
        return f"its process ended with exit code {code}; see {self.work / LOG}"


def _key_of(job: Path) -> str | None:
    """Return what the job of a unit's directory was begun for; None where that cannot be read."""
    try:
        return str(json.loads(job.read_text(encoding="utf-8"))["key"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def read_result(directory: Path) -> tuple[UnitResult, str] | None:
    """Return the result that a unit's directory holds, and its key; None where there is none, or a damaged one."""
    path = directory / RESULT
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        about = {"unit": raw["unit"], "status": "done", "error": None, "classes": raw["classes"]}
        result = to_options(UnitResult, Source(str(path), {**raw["measured"], **about}, {}))
        key = str(raw["key"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError, MmtsaError):
        return None
    whole = result.unit.name == directory.name and (directory / PREDICTIONS).is_file()
    return (replace(result, directory=directory), key) if whole else None


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:24]
