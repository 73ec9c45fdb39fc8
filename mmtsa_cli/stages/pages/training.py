"""The sections of a report on a training run, and on tables of an ablation or a benchmark."""

from __future__ import annotations

import base64
import csv
from collections.abc import Mapping
from pathlib import Path

from mmtsa_cli.artifacts.directory import file_name
from mmtsa_cli.artifacts.manifest import Manifest
from mmtsa_cli.errors import ArtifactError
from mmtsa_cli.reporting.charts import Chart, Line, line_chart
from mmtsa_cli.reporting.page import Table
from mmtsa_cli.stages.pages.files import read_table, sound

_LARGEST_PICTURE = 600_000
_FOLD_COLUMNS = {
    "name": "fold",
    "train_clips": "clips to train and validate",
    "epochs": "epochs",
    "best_epoch": "epoch kept",
    "loss": "training loss",
    "validation_accuracy": "validation accuracy",
    "validation_macro_f1": "validation macro F1",
    "parameters": "parameters",
    "seconds": "training, s",
}


def fold_facts(manifest: Manifest) -> Table:
    """Return what came of each fold of a training."""
    folds = manifest.results["folds"]
    keys = [key for key in _FOLD_COLUMNS if any(key in fold for fold in folds)]
    rows = [[_cell(key, fold.get(key)) for key in keys] for fold in folds]
    return Table("", [_FOLD_COLUMNS[key] for key in keys], rows, [key != "name" for key in keys])


def _cell(key: str, value: object) -> str:
    if isinstance(value, float):
        return f"{value:.1f}" if key == "seconds" else f"{value:.3f}"
    return f"{value:,}" if key == "parameters" else str("" if value is None else value)


def curves_of(run: Path, manifest: Manifest) -> list[tuple[str, list[Chart]]]:
    """Return the curves of each fold: loss, and accuracy with validation where there was any.

    Raises
    ------
    ArtifactError
        A log is missing or damaged.
    """
    found = []
    for fold in manifest.results["folds"]:
        path = run / "folds" / file_name(fold["name"]) / "log.csv"
        with sound(path, "train"), path.open(newline="", encoding="utf-8") as stream:
            history = [{key: float(value) for key, value in row.items() if value} for row in csv.DictReader(stream)]
            found.append((str(fold["name"]), _curves(history, int(fold["best_epoch"]))))
    return found


def _curves(history: list[dict[str, float]], best: int) -> list[Chart]:
    if not history:
        raise ValueError("no epoch")
    mark = (float(best), f"kept: epoch {best}")
    loss = [_line("training loss", "first", history, "loss")]
    scores = [_line("training accuracy", "first", history, "accuracy")]
    if "validation_accuracy" in history[0]:
        scores.append(_line("validation accuracy", "second", history, "validation_accuracy"))
        scores.append(_line("validation macro F1", "third", history, "validation_macro_f1"))
    return [
        line_chart("Loss", loss, x_label="epoch", y_label="loss", whole_x=True, mark=mark),
        line_chart(
            "Accuracy", scores, x_label="epoch", y_label="part of clips", y_range=(0.0, 1.0), whole_x=True, mark=mark
        ),
    ]


def _line(name: str, look: str, history: list[dict[str, float]], key: str) -> Line:
    return Line(name, look, [(row["epoch"], row[key]) for row in history if key in row])


def tables_of(directory: Path, manifest: Manifest) -> list[Table]:
    """Return the tables of an ablation or a benchmark: those laid out as the paper's first.

    Raises
    ------
    ArtifactError
        Not finished, or a damaged file.
    """
    stage = manifest.stage
    if not (directory / "table.json").is_file():
        raise ArtifactError(
            f"the {stage} is not finished: no table.json", where=str(directory), remedy="run it to its end"
        )
    papers = sorted(path.stem for path in directory.glob("table-?.json"))
    further = [name for name in ("differences",) if (directory / f"{name}.json").is_file()]
    return [read_table(directory, name, stage) for name in (*papers, "table", *further)]


def accuracy_picture(directory: Path) -> str:
    """Return accuracy against latency, which a benchmark draws, as a `data:` address; empty where it is not there."""
    path = directory / "accuracy-latency.png"
    if not path.is_file() or path.stat().st_size > _LARGEST_PICTURE:
        return ""
    data = path.read_bytes()
    if not data.startswith(b"\x89PNG\r\n\x1a\n"):
        raise ArtifactError("damaged", where=str(path), expected="a PNG file", remedy="run `mmtsa benchmark` again")
    return "data:image/png;base64," + base64.b64encode(data).decode("ascii")


def lead_of(manifest: Manifest) -> str:
    """Return in a sentence what was trained."""
    configuration: Mapping = manifest.configuration
    folds = len(configuration["folds"])
    return f"Protocol {configuration['protocol']}, {folds} fold{'' if folds == 1 else 's'}."
