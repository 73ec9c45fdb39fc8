"""Recipes: YAML over the defaults of the options dataclasses, found by path or, for those of the package, by name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from mmtsa_cli.artifacts.options import Source, merged, option, override, read_yaml, to_options
from mmtsa_cli.errors import UsageError, did_you_mean
from mmtsa_cli.methods.mmtsa import MmtsaOptions
from mmtsa_cli.sampling.draw import DrawOptions

METHODS = "methods"
"""The section of a recipe in which single systems of a benchmark set something for themselves."""
FOR_OTHERS = frozenset({"kubernetes.yaml"})
"""What lies among the recipes for another program to read."""


@dataclass(frozen=True)
class ValidationOptions:
    """Which part of the training clips chooses the epoch, and when to stop. Test clips never do."""

    column: str = option("subject", "column of the index by whose values the part is cut")
    values: tuple[str, ...] = option((), "the values that validate; none: `count` of them, drawn by the seed")
    count: int = option(0, "how many values validate; 0: none, training goes on for all epochs", low=0)


@dataclass(frozen=True)
class Recipe(MmtsaOptions):
    """All that a training depends on besides the samples."""

    method: Literal["mmtsa"] = option("mmtsa", "the system that is trained")
    seed: int = option(0, "seed of weights, draws and order", low=0, high=2**31 - 1)
    modalities: tuple[str, ...] = option((), "modalities or groups of them; none: all that the store has")
    sampling: DrawOptions = field(default_factory=DrawOptions)
    validation: ValidationOptions = field(default_factory=ValidationOptions)


def packaged() -> dict[str, Path]:
    """Return the recipes that come with the package, by name."""
    directory = Path(str(resources.files("mmtsa_cli.recipes")))
    return {path.stem: path for path in sorted(directory.glob("*.yaml")) if path.name not in FOR_OTHERS}


def read_recipe(name: str | None, settings: Sequence[str] = ()) -> Recipe:
    """Read a recipe and put `--set` values over it; of the section `methods` that of `mmtsa` alone is looked at.

    Parameters
    ----------
    name : str or None
        A path, or the name of a recipe of the package; None: the defaults.

    Raises
    ------
    UsageError, ManyErrors
        No such recipe; every unknown key, wrong type and value out of range, with its line; no section where a system's
        own should stand.
    """
    recipe = to_options(Recipe, _of_mmtsa(read_source(name, settings)))
    if recipe.training.patience:
        check_stopping(count=recipe.validation.count, values=recipe.validation.values)
    return recipe


def read_source(name: str | None, settings: Sequence[str] = ()) -> Source:
    """Return what a recipe (a path, a name, None: nothing) and the `--set` values over it say, with where it stands.

    Who sets a number of epochs gets that number: the least number of steps that the recipe asks for then falls away.

    Raises
    ------
    UsageError
        No such recipe, or no mapping in it; a setting that is none.
    """
    source = Source("the defaults", {}, {}) if name is None else read_yaml(_find(name))
    return override(source, [*settings, *_as_many_epochs_as_named(source, settings)])


def _as_many_epochs_as_named(source: Source, settings: Sequence[str]) -> list[str]:
    """Return the settings that take a recipe's least number of steps away where a number of epochs is set over it."""
    training = source.data.get("training")
    if not (isinstance(training, dict) and "least_steps" in training):
        return []
    named = [setting.partition("=")[0].strip() for setting in settings]
    sections = [
        name.removesuffix("epochs") for name in named if re.fullmatch(rf"({METHODS}\.[^.]+\.)?training\.epochs", name)
    ]
    return [f"{section}least_steps=0" for section in sections if f"{section}least_steps" not in named]


def _of_mmtsa(source: Source) -> Source:
    """Return the recipe as `mmtsa` has it: its own section over what stands for all, and no other system's."""
    own = sections_of_methods(source).get("mmtsa", {})
    common = {key: value for key, value in source.data.items() if key != METHODS}
    return Source(source.name, merged(common, own), {**source.places, **own_places(source, "mmtsa")})


def sections_of_methods(source: Source) -> dict[str, dict[str, Any]]:
    """Return what a recipe sets for single systems, by their names.

    Raises
    ------
    UsageError
        Something else than keys and values stands there.
    """
    methods = source.data.get(METHODS) or {}
    if not isinstance(methods, dict):
        raise UsageError(
            f"{METHODS} is wrong",
            where=source.place((METHODS,)),
            expected="names, each with a section of keys and values",
            found=type(methods).__name__,
        )
    for name, section in methods.items():
        if not isinstance(section or {}, dict):
            raise UsageError(
                f"{METHODS}.{name} is no section",
                where=source.place((METHODS, str(name))),
                expected="keys and values, as in mmtsa: {training: {lr: 0.01}}",
                found=type(section).__name__,
            )
    return {name: section or {} for name, section in methods.items()}


def own_places(source: Source, method: str) -> dict[tuple[str, ...], str]:
    """Return where the keys of a system's own section stand, named as they are for all systems."""
    return {key[2:]: place for key, place in source.places.items() if key[:2] == (METHODS, method) and key[2:]}


def check_stopping(*, count: int, values: Sequence[str], who: str = "") -> None:
    """Refuse early stopping where nothing validates.

    Raises
    ------
    UsageError
    """
    if not (count or values):
        raise UsageError(
            f"early stopping{f' of {who}' if who else ''} without validation clips",
            where="training.patience",
            remedy="set validation.count=1, or training.patience=0",
        )


def _find(name: str) -> Path:
    """Return the file of a recipe: a path, or the name of one of the package."""
    path = Path(name)
    if path.suffix in (".yaml", ".yml") or path.exists():
        return path
    known = packaged()
    if name not in known:
        raise UsageError(
            f"no recipe {name!r}", where="--recipe", expected="a name or a file", remedy=did_you_mean(name, known)
        )
    return known[name]
