"""Accuracy beside speed: the paper's recipe and the fast one, trained on the same clips and tested on others."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmtsa_cli.models.inference import Precision
from mmtsa_cli.models.integers import computes_integers
from mmtsa_cli.sampling.draw import Samples
from mmtsa_cli.sampling.store import Store
from mmtsa_cli.stages import eval as evaluation
from mmtsa_cli.stages import integers, train
from mmtsa_cli.stages.recipe import Recipe
from mmtsa_cli.stages.trainings.trained import TrainedRun, drawing, open_run, restore
from mmtsa_cli.training.optimisation import choose_device

Note = Callable[[str], None]

PAPER_IN_SMALL = (
    "model.width=0.25",
    "imaging.image_size=64",
    "sampling.frame_size=64",
    "training.epochs=10",
)
"""Over the paper's recipe, for a machine without a GPU: narrower, on smaller images, and not trained to the end."""

_INTEGERS = "8-bit integers, scaled by training clips"
_SHARED = ("model.shared_sensors=true",)


def accuracy_rows(samples: Path, work: Path, *, whole_paper: bool, note: Note) -> list[dict[str, Any]]:
    """Train recipes on a store, by its own protocol, and return what each reached and took.

    The fast one, the same with one backbone for all sensors of a shape, and the paper's.

    Parameters
    ----------
    samples : Path
    work : Path
        Where the runs are written.
    whole_paper : bool
        The paper's recipe as it is.
    note : callable

    Returns
    -------
    list of dict
        `recipe`, `settings` (over it), `accuracy`, `interval_95`, `macro_f1`, `train_s`, `clips_per_s`, `eval_s`.

    Raises
    ------
    UsageError, DataError, ArtifactError
    """
    small = () if whole_paper else PAPER_IN_SMALL
    wanted = (("fast", "fast", ()), ("fast-shared", "fast", _SHARED), ("paper", "paper", small))
    return [_row(samples, work / name, recipe, settings, note) for name, recipe, settings in wanted]


def _row(samples: Path, work: Path, recipe: str, settings: tuple[str, ...], note: Note) -> dict[str, Any]:
    note(f"accuracy: recipe {recipe} {' '.join(settings)}".rstrip())
    run, result = work / "run", work / "eval"
    begun = time.perf_counter()
    folds = train.run(samples, run, recipe=recipe, settings=settings).facts["folds"]
    trained = time.perf_counter()
    facts = evaluation.run(run, samples, result).metrics
    clips = sum(fold["train_clips"] * fold["epochs"] for fold in folds)
    note(f"accuracy {facts['accuracy']:.3f}, macro F1 {facts['macro_f1']:.3f}, trained in {trained - begun:.0f} s")
    return {
        "recipe": recipe,
        "settings": " ".join(settings),
        "accuracy": facts["accuracy"],
        "interval_95": facts.get("interval_95"),
        "macro_f1": facts["macro_f1"],
        "train_s": trained - begun,
        "clips_per_s": clips / max(sum(fold["seconds"] for fold in folds), 1e-9),
        "eval_s": time.perf_counter() - trained,
    }


def fast_run(work: Path) -> Path:
    """Return where `accuracy_rows` has left the run of the fast recipe."""
    return work / "fast" / "run"


def steps_of(run: Path, samples: Path, work: Path, note: Note) -> list[dict[str, Any]]:
    """Return what each step towards speed costs a trained run in accuracy, with the same weights.

    Parameters
    ----------
    run : Path
        Of `train`; the first fold's network is asked about its test clips.
    samples : Path
    work : Path
        Where an exported model is written.
    note : callable

    Returns
    -------
    list of dict
        `step`, `accuracy`, `changed` (part of the clips whose class is another than in float32; None for exported
        models, which tell of one draw), `ms_per_clip`.

    Raises
    ------
    ArtifactError
    """
    trained, store = open_run(run), Store(samples)
    model = trained.models[0]
    recipe = trained.recipe
    size = recipe.imaging.image_size
    half = None if size is None else max(32, size // 2)
    steps = {
        "float32": _with(recipe, precision="float32"),
        "bfloat16": _with(recipe, precision="bfloat16"),
        f"bfloat16, frames of {max(32, recipe.sampling.frame_size // 2)}": replace(
            _with(recipe, precision="bfloat16"),
            sampling=replace(recipe.sampling, frame_size=max(32, recipe.sampling.frame_size // 2)),
        ),
        "bfloat16, sensors at native size": _with(recipe, precision="bfloat16", size=None),
    }
    if half and half != size:
        steps[f"bfloat16, sensors of {half}"] = _with(recipe, precision="bfloat16", size=half)
    if computes_integers() and choose_device(recipe.training.device).type == "cpu":
        steps[_INTEGERS] = _with(recipe, precision="float32")
    rows: list[dict[str, Any]] = []
    exact = None
    for name, plan in steps.items():
        said, right, seconds = _asked(trained, model, plan, store, int8=name == _INTEGERS)
        exact = said if exact is None else exact
        rows.append(
            {
                "step": name,
                "accuracy": right,
                "changed": float((said != exact).mean()),
                "ms_per_clip": 1000 * seconds / len(said),
            }
        )
    return rows + _exported(trained, model, store, work, note)


def _exported(
    trained: TrainedRun, model: Mapping[str, Any], store: Store, work: Path, note: Note
) -> list[dict[str, Any]]:
    """Return the rows of the network as ONNX Runtime computes it, in float32 and in 8-bit integers; none without it."""
    if find_spec("onnx") is None or find_spec("onnxruntime") is None:
        note("8-bit integers are not measured: they need the extra `export`")
        return []
    from mmtsa_cli.stages import export

    options = export.ExportOptions(fold=model["fold"], int8=True, samples=store.directory)
    found = export.run(trained.directory, work / "exported", options=options).facts
    return [
        {
            "step": f"{row['what']}, one draw, one thread",
            "accuracy": row["accuracy"],
            "changed": None,
            "ms_per_clip": row["latency_ms"],
        }
        for row in found["figures"]["rows"]
    ]


def _with(recipe: Recipe, *, precision: Precision, size: int | None = -1) -> Recipe:
    imaging = recipe.imaging if size == -1 else replace(recipe.imaging, image_size=size)
    return replace(recipe, imaging=imaging, training=replace(recipe.training, precision=precision))


def _asked(
    trained: TrainedRun, model: Mapping[str, Any], plan: Recipe, store: Store, *, int8: bool
) -> tuple[NDArray[np.int64], float, float]:
    """Return the classes that a network names, its accuracy, and the seconds that took."""
    wanted = set(model["clips"]["test"])
    clips = [number for number, clip in enumerate(store.clips) if clip["id"] in wanted]
    names, draws = tuple(model["inputs"]), drawing(plan, model)
    test = Samples(store, clips, modalities=names, classes=model["classes"], options=draws)
    method = restore(trained, model, recipe=plan)
    if int8:
        method.compute_in_integers(integers.fit(trained, model, method, store))
    method.network_for_inference()
    begun = time.perf_counter()
    said = method.predict_proba(test).argmax(axis=1)
    return said, float((said == test.labels).mean()), time.perf_counter() - begun
