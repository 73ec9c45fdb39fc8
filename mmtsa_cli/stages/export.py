"""A training run to a model that needs none of this package: a graph, held against the run, its card and an example."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
import json
import platform
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from mmtsa_cli.artifacts.directory import check_output, new_directory
from mmtsa_cli.artifacts.manifest import FILE_NAME, Manifest, fingerprint, read_manifest
from mmtsa_cli.errors import ArtifactError, DataError, UsageError
from mmtsa_cli.methods.mmtsa import Mmtsa
from mmtsa_cli.reporting.model_card import to_markdown
from mmtsa_cli.reporting.onnx_example import example
from mmtsa_cli.sampling.store import Store
from mmtsa_cli.stages.exports.card import make_card
from mmtsa_cli.stages.exports.check import BOUND, Agreement, Said, agree, latencies, scores
from mmtsa_cli.stages.exports.graph import (
    OUTPUTS,
    Answer,
    GraphInput,
    graph_inputs,
    of_executorch,
    of_network,
    of_onnx,
    of_program,
    write_executorch,
    write_onnx,
    write_program,
)
from mmtsa_cli.stages.exports.inputs import Clips, find_store, stored_clips, synthetic_clips
from mmtsa_cli.stages.exports.quantise import quantise, remarks, time_shares
from mmtsa_cli.stages.result import StageResult
from mmtsa_cli.stages.tables.units import RESULT
from mmtsa_cli.stages.trainings.trained import TrainedRun, open_run, restore

Progress = Callable[[int, int], None]
_MODEL = {"onnx": "model.onnx", "torch": "model.pt2", "executorch": "model.pte"}
_INT8 = "model-int8.onnx"
_NEEDS = {"onnx": ("onnx", "onnxscript", "onnxruntime"), "torch": (), "executorch": ("executorch",)}
_EXTRA = {"onnx": "export", "executorch": "executorch"}
_RUNTIME = {"onnx": "onnxruntime", "torch": "torch", "executorch": "executorch"}
_CALIBRATING = 512
"""Training clips by which the ranges of activations are found."""
_TIMED = 20


@dataclass(frozen=True)
class ExportOptions:
    """What is exported, and how.

    Attributes
    ----------
    form : "onnx", "torch" or "executorch"
    fold : str, optional
        Network of one fold; needed where the run has several.
    int8 : bool
        Beside the float32 graph also one of 8-bit integers (ONNX).
    samples : Path, optional
        The sample store that the graph is checked and calibrated on; None: the run's own, if it is still there, else
        synthetic inputs.
    evaluation : Path, optional
        An evaluation of the run whose figures go into the card.
    """

    form: str = "onnx"
    fold: str | None = None
    int8: bool = False
    samples: Path | None = None
    evaluation: Path | None = None


@dataclass(frozen=True)
class _Work:
    """One network, and the clips on which its graph is checked, and calibrated if it is."""

    run: TrainedRun
    model: Mapping[str, Any]
    method: Mmtsa
    inputs: tuple[GraphInput, ...]
    store: Store | None
    test: Clips
    calibration: Clips | None
    form: str

    @property
    def file(self) -> str:
        return _MODEL[self.form]

    @property
    def checked_on(self) -> str:
        if self.store is None:
            return "synthetic inputs within the ranges of training"
        return f"test clips of {self.store.directory.name}"


@dataclass
class _Figures:
    """What was measured: rows of a table, how, what there is to say of them, and what to warn of."""

    rows: list[dict[str, Any]]
    how: str
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def run(
    training: Path,
    output: Path,
    *,
    options: ExportOptions | None = None,
    overwrite: bool = False,
    progress: Progress = lambda done, total: None,
) -> StageResult:
    """Export one network of a training run.

    Parameters
    ----------
    training, output : Path
    options : ExportOptions, optional
    progress : callable
        Told how many of the clips, on which the graph is held against the network, are done.

    Returns
    -------
    StageResult
        Facts: format, fold, the files with their bytes, the verification, the figures, notes and warnings.

    Raises
    ------
    UsageError, DataError, ArtifactError
        Also where the graph does not say what the run says; nothing is written then.
    """
    options = options or ExportOptions()
    _check(options)
    _refuse_without_graph(training)
    trained = open_run(training)
    model = _one_of(trained, options)
    store = find_store(trained, options.samples)
    if options.int8 and store is None:
        raise UsageError(
            "no samples to calibrate on: those that the run was trained on are not there",
            where="--int8",
            remedy="give them with --samples STORE",
        )
    evaluated = _evaluation(options.evaluation, trained, model) if options.evaluation else None
    manifest = _manifest(trained, model, store, options)
    if check_output(output, manifest, overwrite=overwrite) == "done":
        return StageResult(output, False, dict(read_manifest(output).results))
    work = _prepared(trained, model, store, options)
    facts: dict[str, Any] = {}
    with new_directory(output, manifest, results=facts) as directory:
        facts.update(_write(directory, work, evaluated, progress))
    return StageResult(output, True, facts)


# What is asked for


def _check(options: ExportOptions) -> None:
    if options.int8 and options.form != "onnx":
        raise UsageError("integers are of format onnx only", where="--int8", found=f"--format {options.form}")
    missing = [name for name in _NEEDS[options.form] if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(
            f"needs {', '.join(missing)}",
            where=f"--format {options.form}",
            remedy=f"pip install 'mmtsa[{_EXTRA[options.form]}]'",
        )


def _refuse_without_graph(directory: Path) -> None:
    """Refuse what is of mmtsa and no training run: it says what has a graph.

    Raises
    ------
    ArtifactError
    """
    found = None
    if (directory / FILE_NAME).is_file():
        stage = read_manifest(directory).stage
        found = f"the result of {stage}" if stage != "train" else None
    elif (directory / RESULT).is_file():
        found = f"a unit of a table, system {_system(directory / RESULT)}"
    if found:
        raise ArtifactError(
            "no graph to export",
            where=str(directory),
            expected="a run of `mmtsa train`, of any backbone, fusion and modalities: these alone keep a network; "
            "`benchmark` and `ablate` keep predictions, and classical systems have no network at all",
            found=found,
            remedy="train one with `mmtsa train SAMPLES -o RUN` and export RUN",
        )


def _system(result: Path) -> str:
    try:
        return str(json.loads(result.read_text(encoding="utf-8"))["unit"]["method"])
    except (OSError, ValueError, KeyError, TypeError):
        return "unknown"


def _one_of(trained: TrainedRun, options: ExportOptions) -> Mapping[str, Any]:
    models = trained.folds(options.fold)
    if len(models) > 1:
        raise UsageError(
            f"the run has {len(models)} networks, a graph is of one",
            where=str(trained.directory),
            remedy=f"choose one with --fold {', '.join(model['fold'] for model in models[:5])}",
        )
    return models[0]


def _evaluation(directory: Path, trained: TrainedRun, model: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an evaluation says of a fold."""
    manifest = read_manifest(directory, stage="eval")
    if fingerprint(trained.directory) not in manifest.inputs.values():
        raise UsageError(
            "of another run", where=f"--evaluation {directory}", expected=f"an evaluation of {trained.directory}"
        )
    path = directory / "metrics.json"
    try:
        metrics = json.loads(path.read_text(encoding="utf-8"))
        its = next(fold for fold in metrics["folds"] if fold["name"] == model["fold"])
        kept = ("accuracy", "interval_95", "macro_f1", "macro_f1_interval_95", "n")
        figures = {key: its[key] for key in kept}
    except (OSError, ValueError, KeyError, TypeError, StopIteration) as error:
        raise ArtifactError("damaged", where=str(path), found=repr(error), remedy="evaluate anew") from None
    return {"directory": directory.name, "protocol": metrics["protocol"], "draws": trained.recipe.draws, **figures}


def _manifest(trained: TrainedRun, model: Mapping[str, Any], store: Store | None, options: ExportOptions) -> Manifest:
    read = [trained.directory, *([store.directory] if store else []), options.evaluation]
    inputs = {str(directory): fingerprint(directory) for directory in read if directory is not None}
    configuration = {"format": options.form, "fold": model["fold"], "int8": options.int8}
    return Manifest("export", configuration, None, inputs)


def _network(trained: TrainedRun, model: Mapping[str, Any]) -> tuple[Mmtsa, tuple[GraphInput, ...]]:
    """Return the trained network on the CPU, and the inputs of its graph."""
    training = dataclasses.replace(trained.recipe.training, device="cpu", threads=0)
    method = restore(trained, model, recipe=dataclasses.replace(trained.recipe, training=training))
    unknown = [name for name, wanted in method.inputs.items() if wanted.size is None]
    if unknown:
        raise DataError(
            f"the run does not say the size of its {unknown[0]}",
            where=str(trained.directory),
            remedy="it is of an older mmtsa: train anew",
        )
    inputs = graph_inputs(method)
    taken = sorted({one.name for one in inputs} & set(OUTPUTS))
    if taken:
        raise DataError(f"a modality called {taken[0]}, as an output of the graph is", where=str(trained.directory))
    return method, inputs


def _prepared(trained: TrainedRun, model: Mapping[str, Any], store: Store | None, options: ExportOptions) -> _Work:
    method, inputs = _network(trained, model)
    if store is None:
        return _Work(trained, model, method, inputs, None, synthetic_clips(model, inputs), None, options.form)
    test = stored_clips(store, trained, model, inputs, part="test")
    calibration = stored_clips(store, trained, model, inputs, part="train") if options.int8 else None
    return _Work(trained, model, method, inputs, store, test, calibration, options.form)


# The work


def _write(directory: Path, work: _Work, evaluated: Mapping[str, Any] | None, progress: Progress) -> dict[str, Any]:
    """Write all files of an export and return its facts."""
    threads = torch.get_num_threads()
    path = directory / work.file
    write = {"onnx": write_onnx, "torch": write_program, "executorch": write_executorch}[work.form]
    write(work.method, work.inputs, path)
    graphs = {work.file: path}
    if work.calibration is not None:
        quantise(path, directory / _INT8, work.calibration.ones(_CALIBRATING))
        graphs[_INT8] = directory / _INT8
    answers = {name: _answer(graph, threads) for name, graph in graphs.items()}
    agreement, said = agree(of_network(work.method), answers, work.test, exported=work.file, progress=progress)
    figures = _figures(work, graphs, said)
    card = make_card(
        work.run,
        work.model,
        work.inputs,
        files={name: _about(graph) for name, graph in graphs.items()},
        verification={"on": work.checked_on, **_agreement(agreement), "bound": BOUND},
        figures={"rows": figures.rows, "how": figures.how, "remarks": [*figures.notes, *figures.warnings]},
        evaluation=evaluated,
    )
    (directory / "card.json").write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    (directory / "CARD.md").write_text(to_markdown(card), encoding="utf-8")
    (directory / "example.py").write_text(example(work.file, _RUNTIME[work.form]), encoding="utf-8")
    notes = [] if work.store else ["the run's samples are not there: held against it on synthetic inputs"]
    return {
        "format": work.form,
        "fold": work.model["fold"],
        "files": {name: about["bytes"] for name, about in card["files"].items()},
        "verification": card["verification"],
        "figures": card["figures"],
        "notes": [*notes, *figures.notes],
        "warnings": figures.warnings,
    }


def _agreement(found: Agreement) -> dict[str, Any]:
    # Keys are texts in JSON: as told now, so when it is read again.
    return {**asdict(found), "clips": {str(size): count for size, count in found.clips.items()}}


def _answer(path: Path, threads: int) -> Answer:
    if path.suffix == ".onnx":
        return of_onnx(path, threads=threads)
    return of_program(path) if path.suffix == ".pt2" else of_executorch(path)


def _about(path: Path) -> dict[str, Any]:
    content = path.read_bytes()
    what = {
        _INT8: "8-bit integers, ONNX",
        "model.onnx": "float32, ONNX",
        "model.pt2": "float32, torch.export",
        "model.pte": "float32, ExecuTorch",
    }
    return {"what": what[path.name], "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def _figures(work: _Work, graphs: Mapping[str, Path], said: Mapping[str, Said]) -> _Figures:
    """Return accuracy and time of the network and the graphs, on the same clips."""
    timed: dict[str, Answer] = {"network": of_network(work.method)}
    timed.update({name: _answer(path, 1) for name, path in graphs.items()})
    times = latencies(timed, work.test)
    runtime = {"onnx": "ONNX Runtime", "torch": "torch.export", "executorch": "ExecuTorch"}[work.form]
    what = {"network": "PyTorch, float32", work.file: f"{runtime}, float32", _INT8: f"{runtime}, int8"}
    rows = [
        {
            "what": what[name],
            "file": None if name == "network" else name,
            **({"bytes": graphs[name].stat().st_size} if name in graphs else {}),
            **scores(said[name], work.test),
            **time,
        }
        for name, time in times.items()
    ]
    how = (
        f"Times are of one clip on one thread of {platform.machine()} ({platform.system()}), of "
        f"{times['network']['repeats']} calls in turns, without reading and cutting recordings. Accuracy is that of "
        "one draw, the centre of every segment."
    )
    figures = _Figures(rows, how)
    if work.calibration is not None:
        feeds = list(work.test.ones(_TIMED))
        before, after = (
            {**row, "shares": time_shares(graphs[row["file"]], feeds, graphs[row["file"]].parent)} for row in rows[1:]
        )
        figures.notes, figures.warnings = remarks(before, after)
    return figures
