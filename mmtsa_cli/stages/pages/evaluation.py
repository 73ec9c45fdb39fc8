"""The section of a report on an evaluation: counts and scores of its predictions, worst mistakes, trust, robustness."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmtsa_cli.evaluation.calibration import BINS, expected_calibration_error, with_temperature
from mmtsa_cli.evaluation.integers import told
from mmtsa_cli.evaluation.metrics import confusion_matrix
from mmtsa_cli.reporting.charts import Bin, Chart, Line, line_chart, reliability_chart
from mmtsa_cli.reporting.page import ClassScore, Confusion, Figure, Mistake, Sheet, Table
from mmtsa_cli.stages.pages.files import read_json, sound

STAGE = "eval"
WORST = 12
"""Wrong predictions that are shown."""


@dataclass(frozen=True)
class Predictions:
    """What `predictions.csv` says.

    Attributes
    ----------
    clips, folds, subjects : list of str
        n each.
    classes : tuple of str
    true, predicted : (n,) int64 arrays
        Positions in `classes`.
    probabilities : (n, classes) float64 array
    """

    clips: list[str]
    folds: list[str]
    subjects: list[str]
    classes: tuple[str, ...]
    true: NDArray[np.int64]
    predicted: NDArray[np.int64]
    probabilities: NDArray[np.float64]

    @property
    def confidence(self) -> NDArray[np.float64]:
        """Probability of each predicted class."""
        return self.probabilities[np.arange(len(self.predicted)), self.predicted]


def read_predictions(path: Path, classes: Sequence[str], *, count: int) -> Predictions:
    """Read `predictions.csv` of an evaluation of `count` clips.

    Raises
    ------
    ArtifactError
        Missing, cut short, or a row that does not fit, with its number.
    """
    numbers = {name: number for number, name in enumerate(classes)}
    with sound(path, STAGE), path.open(newline="", encoding="utf-8") as stream:
        rows = csv.reader(stream)
        heads = next(rows, [])
        at = [heads.index(name) for name in ("id", "fold", "subject", "label", "predicted")]
        columns = [heads.index(f"p_{name}") for name in classes]
        texts, labels, parts = [], [], []
        for number, row in enumerate(rows, start=2):
            if len(row) != len(heads):
                raise ValueError(f"row {number}: {len(row)} columns where the header has {len(heads)}")
            *text, true, said = (row[i] for i in at)
            if true not in numbers or said not in numbers:
                raise ValueError(f"row {number}: a label that is no class of metrics.json")
            texts.append(text)
            labels.append((numbers[true], numbers[said]))
            parts.append([row[i] for i in columns])
        if not texts or len(texts) != count:
            raise ValueError(f"{len(texts)} predictions where metrics.json has {count}")
        probabilities = np.array(parts).astype(np.float64)
        if not ((probabilities >= 0) & (probabilities <= 1)).all():
            raise ValueError("a probability that is none")
    clips, folds, subjects = (list(column) for column in zip(*texts, strict=True))
    true_labels, predicted = np.array(labels, np.int64).T
    return Predictions(clips, folds, subjects, tuple(classes), true_labels, predicted, probabilities)


def figures(metrics: Mapping[str, Any]) -> list[Figure]:
    """Return the headline figures."""
    return [
        Figure("accuracy = micro F1", float(metrics["accuracy"]), _pair(metrics["interval_95"])),
        Figure("macro F1", float(metrics["macro_f1"]), _pair(metrics["macro_f1_interval_95"])),
    ]


def lead(metrics: Mapping[str, Any]) -> str:
    """Return in a sentence what was tested."""
    subjects = metrics["subjects"]
    whose = f" of {subjects} subject{'' if subjects == 1 else 's'}" if subjects else ""
    modalities = f"; modalities {', '.join(metrics['modalities'])}" if metrics.get("modalities") else ""
    folds = len(metrics["folds"])
    return (
        f"Protocol {metrics['protocol']}: {metrics['n']} test clips{whose}, {len(metrics['classes'])} classes, "
        f"{folds} fold{'' if folds == 1 else 's'}{modalities}."
    )


def remarks(metrics: Mapping[str, Any]) -> list[str]:
    """Return what must be known to read the figures."""
    texts = [f"Intervals: bootstrap over {metrics['interval_over']}. Training seed {metrics['seed']}."]
    if "ceilings" in metrics:
        best = ", ".join(f"{name} {value:.3f}" for name, value in metrics["ceilings"].items())
        texts.append(f"Best possible accuracy on these recordings: {best}.")
    if "int8" in metrics:
        texts.append(f"{told(metrics['int8'])}.")
    return texts


def fold_table(metrics: Mapping[str, Any]) -> list[Table]:
    """Return the scores of each fold, where there are several."""
    if len(metrics["folds"]) < 2:
        return []
    rows = [[str(fold["name"]), *_scores(fold)] for fold in metrics["folds"]]
    return [Table("Folds", ["fold", *_SCORES], rows, [False, *_SCORES_RIGHT])]


def class_scores(metrics: Mapping[str, Any]) -> list[ClassScore]:
    """Return the scores of each class, in the order of their names."""
    return [
        ClassScore(
            name,
            float(one["f1"]),
            _pair(one["interval_95"]),
            float(one["precision"]),
            float(one["recall"]),
            int(one["n"]),
        )
        for name, one in sorted(metrics["per_class"].items())
    ]


def confusion(said: Predictions) -> Confusion:
    """Return the counts of clips by true and predicted class."""
    return Confusion(said.classes, confusion_matrix(said.true, said.predicted, len(said.classes)).tolist())


def worst(said: Predictions) -> list[Mistake]:
    """Return the wrong predictions that are surest of themselves, the surest first."""
    wrong = np.flatnonzero(said.true != said.predicted)
    chosen = wrong[np.argsort(-said.confidence[wrong], kind="stable")][:WORST]
    several = len(set(said.folds)) > 1
    return [
        Mistake(
            said.clips[i],
            said.subjects[i],
            said.folds[i] if several else "",
            said.classes[said.true[i]],
            said.classes[said.predicted[i]],
            float(said.confidence[i]),
            float(said.probabilities[i, said.true[i]]),
        )
        for i in chosen.tolist()
    ]


def mistakes_sentence(said: Predictions, shown: int, pictures: Mapping[str, Sheet], why_none: str) -> str:
    """Return how many mistakes there are, which are shown, and why without pictures, where it is so."""
    count = int((said.true != said.predicted).sum())
    if not count:
        return f"None: all {len(said.true)} predictions are right."
    text = f"{count} of {len(said.true)} predictions are wrong. " + (
        "All of them" if shown == count else f"The {shown} that are surest of themselves"
    )
    if why_none:
        return f"{text}, without pictures: {why_none}."
    missing = shown - len(pictures)
    rest = f" {missing} without a picture: not in the sample store." if missing else ""
    return (
        f"{text}, with the centre of each segment as a contact sheet: frames of videos, and of sensors the summation "
        f"field of a window on [-1, 1].{rest}"
    )


# Calibration


def bins_of(confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> list[Bin]:
    """Return the bins that are not empty, cut as `expected_calibration_error` cuts them."""
    number = np.clip(np.ceil(np.round(confidence * BINS, 9)).astype(int) - 1, 0, BINS - 1)
    return [
        Bin(i / BINS, (i + 1) / BINS, float(right[there].mean()), float(confidence[there].mean()), int(there.sum()))
        for i in np.unique(number).tolist()
        if (there := number == i).any()
    ]


def reliability(
    evaluation: Path, said: Predictions, metrics: Mapping[str, Any]
) -> tuple[list[Chart], str, Table | None]:
    """Return reliability diagrams, what they show, and errors before and after temperatures where they were fitted."""
    right = said.true == said.predicted
    before = reliability_chart("As predicted", bins_of(said.confidence, right))
    about = f"Predictions in {BINS} bins by their confidence; the stronger a bar, the more predictions it stands for."
    path = evaluation / "calibration.json"
    if not metrics.get("calibration") and not path.is_file():
        error = expected_calibration_error(said.confidence, right)
        text = f"Expected calibration error {error:.3f}. {about} No temperature was fitted (mmtsa eval --calibrate)."
        return [before], text, None
    found = read_json(path, STAGE)
    with sound(path, STAGE):
        temperatures = {str(name): float(fold["temperature"]) for name, fold in found["folds"].items()}
        if not all(0 < one < np.inf for one in temperatures.values()):
            raise ValueError("a temperature that is not above 0")
        by_clip = np.array([temperatures[fold] for fold in said.folds])
        table = _calibration_table(found)
    scaled = said.probabilities.copy()
    for temperature in np.unique(by_clip).tolist():
        rows = by_clip == temperature
        scaled[rows] = with_temperature(said.probabilities[rows], temperature)
    after = scaled[np.arange(len(right)), said.predicted]
    folds = ", ".join(f"{value:.3f} ({name})" for name, value in temperatures.items())
    text = f"Temperature fitted on validation clips: {folds}. {about}"
    return [before, reliability_chart("With the fitted temperature", bins_of(after, right))], text, table


def _calibration_table(found: Mapping[str, Any]) -> Table:
    keys = ("expected_calibration_error", "negative_log_likelihood", "mean_confidence", "accuracy")
    rows = [[when, *(f"{float(found[when][key]):.3f}" for key in keys)] for when in ("before", "after")]
    return Table("", ["", *(key.replace("_", " ") for key in keys)], rows, [False, *(True for _ in keys)])


# Other conditions


def conditions(metrics: Mapping[str, Any]) -> tuple[list[Chart], list[Table]]:
    """Return what `--all-subsets` and `--corrupt` found: curves by the strength of each fault, and tables."""
    charts, tables = [], []
    if metrics.get("robustness"):
        rows = metrics["robustness"]
        charts = [_fault_chart(metrics, list(of)) for _, of in groupby(rows, key=lambda row: row["fault"])]
        cells = [[str(row["fault"]), str(row["about"]), f"{row['strength']:g}", *_scores(row)] for row in rows]
        heads, right = ["fault", "strength is", "strength", *_SCORES], [False, False, True, *_SCORES_RIGHT]
        tables.append(Table("Faults of sensors and cameras", heads, cells, right))
    if metrics.get("subsets"):
        cells = [["+".join(row["modalities"]), *_scores(row)] for row in metrics["subsets"]]
        tables.append(Table("Subsets of the modalities", ["modalities", *_SCORES], cells, [False, *_SCORES_RIGHT]))
    return charts, tables


def _fault_chart(metrics: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> Chart:
    steps = [(0.0, metrics), *((float(row["strength"]), row) for row in rows)]
    lines = [
        Line(
            "accuracy", "first", [(x, row["accuracy"]) for x, row in steps], [_pair(r["interval_95"]) for _, r in steps]
        ),
        Line("macro F1", "third", [(x, row["macro_f1"]) for x, row in steps]),
    ]
    return line_chart(str(rows[0]["fault"]), lines, x_label=str(rows[0]["about"]), y_label="score", y_range=(0.0, 1.0))


_SCORES = ("accuracy = micro F1", "95 % interval", "macro F1", "95 % interval", "clips")
_SCORES_RIGHT = (True, False, True, False, True)


def _scores(row: Mapping[str, Any]) -> list[str]:
    return [
        f"{row['accuracy']:.3f}",
        "{:.3f} to {:.3f}".format(*_pair(row["interval_95"])),
        f"{row['macro_f1']:.3f}",
        "{:.3f} to {:.3f}".format(*_pair(row["macro_f1_interval_95"])),
        str(row["n"]),
    ]


def _pair(bounds: Sequence[float]) -> tuple[float, float]:
    low, high = (float(bound) for bound in bounds)
    return low, high
