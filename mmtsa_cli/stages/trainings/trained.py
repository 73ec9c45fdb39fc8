"""A training run, opened for use: its recipe, its folds, their networks."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mmtsa_cli import __version__
from mmtsa_cli.artifacts.directory import file_name
from mmtsa_cli.artifacts.manifest import Manifest, read_manifest
from mmtsa_cli.artifacts.options import Source, option, to_options
from mmtsa_cli.artifacts.remote import local_file
from mmtsa_cli.errors import ArtifactError, MmtsaError, UsageError, did_you_mean
from mmtsa_cli.stages.recipe import Recipe
from mmtsa_cli.stages.trainings.data import MODEL_NAME

if TYPE_CHECKING:
    from mmtsa_cli.methods.mmtsa import Mmtsa
    from mmtsa_cli.sampling.draw import DrawOptions

_KEYS = ("method", "classes", "segments", "window_s", "inputs", "clips")
_PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class _Input:
    kind: Literal["video", "sensor"] = option("sensor", "What it is.")
    channels: int = option(1, "Axes, or colours.", low=1, high=1000)
    bounds: tuple[tuple[float, float], ...] | None = option(None, "Of each axis.")
    size: int | None = option(None, "Pixels, or samples of a window.", low=1, high=100_000)
    frames: int = option(1, "Frames side by side.", low=1, high=1000)


@dataclass(frozen=True)
class _Model:
    """What must stand in `model.json`, with types and ranges; what else stands there is read where it is used."""

    method: str = option("", "The system.")
    classes: tuple[str, ...] = option((), "At least one.", check=lambda value: None if value else "classes")
    segments: int = option(1, "Of a clip.", low=1, high=10_000)
    window_s: float = option(1.0, "Seconds of a window.", above=0, high=86_400)
    inputs: dict[str, _Input] = field(default_factory=dict)
    clips: dict[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class TrainedRun:
    """What a run's files say, read and checked; no weights yet.

    Attributes
    ----------
    directory : Path
    manifest : Manifest
    recipe : Recipe
    models : tuple of mapping
        Per fold its `model.json`, with `fold`, the name of its directory.
    """

    directory: Path
    manifest: Manifest
    recipe: Recipe
    models: tuple[Mapping[str, Any], ...]

    @property
    def takes_subsets(self) -> bool:
        """Whether its networks learned to do without some of their modalities."""
        return self.recipe.model.modality_dropout > 0 and len(self.models[0]["inputs"]) > 1

    def folds(self, name: str | None) -> tuple[Mapping[str, Any], ...]:
        """Return the model of one fold, or those of all.

        Raises
        ------
        UsageError
            No such fold.
        """
        if name is None:
            return self.models
        by_name = {model["fold"]: model for model in self.models}
        if name not in by_name:
            raise UsageError(f"no fold {name!r}", where="--fold", remedy=did_you_mean(name, by_name))
        return (by_name[name],)


def open_run(directory: Path) -> TrainedRun:
    """Read what makes a run's weights networks again.

    Raises
    ------
    ArtifactError
        No run, a damaged one, or one of another version of this package.
    """
    manifest = read_manifest(directory, stage="train")
    try:
        folds = [str(fold["name"]) for fold in manifest.configuration["folds"]]
        source = Source(str(directory), dict(manifest.configuration["recipe"]), {})
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError("damaged", where=str(directory), found=repr(error), remedy="train anew") from None
    try:
        recipe = to_options(Recipe, source)
    except MmtsaError as error:
        raise _other_version(directory, manifest, error.line()) from None
    models = tuple(_read_model(directory, manifest, name) for name in folds)
    return TrainedRun(directory, manifest, recipe, models)


def _read_model(directory: Path, manifest: Manifest, name: str) -> dict[str, Any]:
    path = directory / "folds" / file_name(name) / MODEL_NAME
    try:
        model = {**json.loads(path.read_text(encoding="utf-8")), "fold": file_name(name)}
        missing = [key for key in _KEYS if key not in model]
        if missing:
            raise ValueError(f"no {', '.join(missing)}")
        said = to_options(_Model, Source(MODEL_NAME, {key: model[key] for key in _KEYS}, {}))
        if not said.inputs or any(name != file_name(name) for name in said.inputs):
            raise ValueError("no inputs, or names that are none of modalities")
        if any(one.bounds is not None and len(one.bounds) != one.channels for one in said.inputs.values()):
            raise ValueError("bounds of other axes than there are")
        if not set(said.clips) >= set(_PARTS):
            raise ValueError(f"no clips of {', '.join(_PARTS)}")
    except (OSError, ValueError, TypeError, MmtsaError, RecursionError) as error:
        raise ArtifactError("damaged", where=str(path), found=str(error), remedy="train anew") from None
    if model["method"] != "mmtsa":
        raise _other_version(path, manifest, f"method {model['method']}")
    return model


def _other_version(where: Path, manifest: Manifest, found: str) -> ArtifactError:
    version = manifest.versions.get("mmtsa", "of an unknown version")
    return ArtifactError(
        "trained by another version",
        where=str(where),
        expected=f"a run that mmtsa {__version__} understands",
        found=f"mmtsa {version}: {found}",
        remedy="use that version, or train anew",
    )


def drawing(recipe: Recipe, model: Mapping[str, Any]) -> DrawOptions:
    """Return how clips are drawn: as trained, whatever a store's own default is."""
    return dataclasses.replace(recipe.sampling, segments=model["segments"], window=model["window_s"])


def restore(run: TrainedRun, model: Mapping[str, Any], *, recipe: Recipe | None = None) -> Mmtsa:
    """Return the trained network of a fold.

    Parameters
    ----------
    recipe : Recipe, optional
        In place of the run's own, where device, threads or draws are to be others.

    Raises
    ------
    ArtifactError
        The weights are missing, damaged, or of other classes or another network than `model.json` says.
    """
    import torch

    from mmtsa_cli.methods.mmtsa import Mmtsa
    from mmtsa_cli.training.checkpoint import BEST, load_tensors

    path = run.directory / "folds" / model["fold"] / BEST
    try:
        weights, _ = load_tensors(local_file(path))
        about = {f"_{key}": model[key] for key in ("inputs", "classes", "segments")}
        method = Mmtsa.restore(recipe or run.recipe, {**about, **weights})
    except ArtifactError as error:
        remedy = f"train anew, or copy the run again: {len(model['classes'])} classes by its {MODEL_NAME}"
        raise ArtifactError(
            error.what, where=str(path), expected=error.expected, found=error.found, remedy=remedy
        ) from None
    broken = [name for name, value in weights.items() if value.is_floating_point() and not torch.isfinite(value).all()]
    if broken:
        raise ArtifactError("weights that are no numbers", where=str(path), found=broken[0], remedy="train anew")
    return method
