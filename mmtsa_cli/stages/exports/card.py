"""Everything there is to know of an exported model, gathered for its card."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmtsa_cli.artifacts.manifest import fingerprint
from mmtsa_cli.reporting.model_card import preprocessing
from mmtsa_cli.stages.exports.graph import OUTPUTS, GraphInput
from mmtsa_cli.stages.trainings.data import TrainingData, read_training_data
from mmtsa_cli.stages.trainings.trained import TrainedRun

_TRACED = ("mmtsa", "torch", "onnx", "onnxscript", "onnxruntime", "executorch")


def make_card(
    run: TrainedRun,
    model: Mapping[str, Any],
    inputs: Sequence[GraphInput],
    *,
    files: Mapping[str, Any],
    verification: Mapping[str, Any],
    figures: Mapping[str, Any],
    evaluation: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Return the card of an exported model, as JSON values.

    Parameters
    ----------
    run : TrainedRun
    model : mapping
        Of the fold that is exported, as `model.json` has it.
    inputs : sequence of GraphInput
    files : mapping
        By name what a file is, its bytes and its SHA-256.
    verification, figures, evaluation : mapping
        As `stages.export` measured or read them.

    Raises
    ------
    ArtifactError
        What the run notes of its training data is damaged.
    """
    data = read_training_data(model, where=str(run.directory))
    card: dict[str, Any] = {
        "name": run.directory.resolve().name,
        "files": dict(files),
        "modalities": list(model["inputs"]),
        "classes": list(model["classes"]),
        "segments": model["segments"],
        "window_s": model["window_s"],
        "inputs": [_input(one, run, model, data) for one in inputs],
        "outputs": _outputs(model),
        "imaging": dataclasses.asdict(run.recipe.imaging),
        "cutting": dataclasses.asdict(data.cutting),
        "data": _data(run, model),
        "training": {
            "mmtsa": run.manifest.versions.get("mmtsa", "of an unknown version"),
            "seed": run.manifest.seed,
            "run": fingerprint(run.directory),
            "recipe": dict(run.manifest.configuration["recipe"]),
        },
        "verification": dict(verification),
        "figures": dict(figures),
        "evaluation": dict(evaluation) if evaluation else None,
        "versions": _versions(),
        "licence": _licence(),
    }
    return {**card, "preprocessing": preprocessing(card)}


def _input(one: GraphInput, run: TrainedRun, model: Mapping[str, Any], data: TrainingData) -> dict[str, Any]:
    wanted = model["inputs"][one.modality]
    about: dict[str, Any] = {"name": one.name, "dtype": one.dtype, "shape": ["B", *one.shape]}
    if wanted["kind"] == "video":
        looks = {key: wanted[key] for key in ("channels", "frames", "size")}
        return {**about, "kind": "video", **looks, "crop": run.recipe.sampling.crop}
    facts = data.sensors[one.modality]
    # A run of an older version did not note the names of its axes.
    axes = facts.channels or tuple(f"c{number}" for number in range(1, wanted["channels"] + 1))
    kind = "sensor" if one.name == one.modality else "extremes"
    return {**about, "kind": kind, "unit": facts.unit, "axes": list(axes), "rate_hz": facts.rate}


def _outputs(model: Mapping[str, Any]) -> list[dict[str, Any]]:
    sizes = (len(model["classes"]), model["segments"])
    what = ("of each class, summing to 1", "weight of each segment, summing to 1")
    return [
        {"name": name, "dtype": "float32", "shape": ["B", size], "what": text}
        for name, size, text in zip(OUTPUTS, sizes, what, strict=True)
    ]


def _data(run: TrainedRun, model: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "samples": {Path(name).name: made_of for name, made_of in run.manifest.inputs.items()},
        "protocol": run.manifest.configuration["protocol"],
        "fold": model["fold"],
        "apart": list(model.get("apart", [])),
        "clips": {part: len(names) for part, names in model["clips"].items()},
    }


def _versions() -> dict[str, str]:
    from importlib import metadata

    found = {}
    for name in _TRACED:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _licence() -> str:
    from importlib import metadata

    about = metadata.metadata("mmtsa")
    return next((about[key] for key in ("License-Expression", "License") if key in about), "not stated")
