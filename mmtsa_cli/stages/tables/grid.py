"""What an ablation trains: every subset of some modalities, times every combination of varied settings."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import combinations, product
from typing import Any

from mmtsa_cli.errors import ManyErrors, MmtsaError, UsageError
from mmtsa_cli.modalities import Kind, select
from mmtsa_cli.sampling.draw import Samples
from mmtsa_cli.sampling.store import Store
from mmtsa_cli.stages.recipe import Recipe, read_recipe

NAMED = {
    "fusion": "model.fusion",
    "segments": "sampling.segments",
    "window": "sampling.window",
    "scale": "imaging.scale",
    "backbone": "model.backbone",
    "image-size": "imaging.image_size",
}
"""The settings that have an option of their own: `--NAME` for a key of the recipe."""

ALIASES = {("model.fusion", "concat"): "average"}
"""The paper's names for values of the recipe (table 5: features of segments concatenated and averaged)."""

_NOT_VARIED = {"modalities": "--modalities", "seed": "--seeds", "method": "`mmtsa benchmark`"}


@dataclass(frozen=True)
class Axis:
    """A setting that is varied.

    Attributes
    ----------
    option : str
        Where it was asked for: "--fusion", "--vary".
    key : str
        Of the recipe: "model.fusion".
    values : tuple
        As they were given.
    """

    option: str
    key: str
    values: tuple[Any, ...]

    def place(self, value: Any) -> str:
        """Return where a value was asked for, for an error."""
        return f"--vary {self.key}={_text(value)}" if self.option == "--vary" else f"{self.option} {_text(value)}"


@dataclass(frozen=True)
class Point:
    """One row of the table.

    Attributes
    ----------
    names : tuple of str
        The subset as it was asked for: modalities and groups of them.
    modalities : tuple of str
        What the names stand for.
    varied : mapping
        Value by key of the recipe, as it was given.
    recipe : Recipe
        Whole.
    """

    names: tuple[str, ...]
    modalities: tuple[str, ...]
    varied: Mapping[str, Any]
    recipe: Recipe = field(repr=False)

    @property
    def label(self) -> str:
        """The row in words: "rgb+acc, fusion concat"."""
        return ", ".join(filter(None, ["+".join(self.names), self.changed]))

    @property
    def changed(self) -> str:
        """What is varied in words: "fusion concat", "training.lr 0.01"; "" where nothing is."""
        short = {key: name for name, key in NAMED.items()}
        return ", ".join(f"{short.get(key, key)} {_text(value)}" for key, value in self.varied.items())


def read_axes(named: Mapping[str, str | None], varied: Sequence[str]) -> tuple[Axis, ...]:
    """Return what is varied.

    Parameters
    ----------
    named : mapping of str to str or None
        By a name of `NAMED`, values separated by commas; None: not varied.
    varied : sequence of str
        `KEY=VALUE,VALUE,...`, values read as YAML.

    Raises
    ------
    UsageError
        No values, a setting that is varied twice, or one that is not a recipe's to vary.
    """
    axes = [Axis(f"--{name}", NAMED[name], _values(text, f"--{name}")) for name, text in named.items() if text]
    for text in varied:
        key, equals, values = text.partition("=")
        where = f"--vary {text}"
        if not equals or not key.strip():
            raise UsageError("names no values", where=where, expected="KEY=VALUE,VALUE, as in training.lr=0.001,0.01")
        axes.append(Axis("--vary", key.strip(), _values(values, where)))
    keys = [axis.key for axis in axes]
    for axis in axes:
        if axis.key in _NOT_VARIED:
            where = f"{axis.option} {axis.key}"
            raise UsageError("not varied so", where=where, remedy=f"use {_NOT_VARIED[axis.key]}")
        if keys.count(axis.key) > 1:
            raise UsageError(f"{axis.key} is varied twice", where=axis.option, remedy="give all its values at once")
    return tuple(_distinct(axis) for axis in axes)


def subsets(names: Sequence[str], kinds: Mapping[str, Kind]) -> dict[tuple[str, ...], tuple[str, ...]]:
    """Return every non-empty subset of `names`, the small ones first, with the modalities that it stands for.

    A group (`acc`) is one name and stays together. Of subsets that stand for the same modalities the first is kept.

    Raises
    ------
    UsageError
        A name that stands for nothing in the data.
    """
    for name in names:
        select([name], kinds)
    found: dict[tuple[str, ...], tuple[str, ...]] = {}
    for size in range(1, len(names) + 1):
        for chosen in combinations(names, size):
            modalities = select(chosen, kinds)
            if modalities not in found.values():
                found[chosen] = modalities
    return found


def points_of(
    store: Store,
    names: Sequence[str] | None,
    axes: Sequence[Axis],
    *,
    recipe: str,
    settings: Sequence[str] = (),
    one_at_a_time: bool = False,
) -> list[Point]:
    """Return the rows: subsets of `names` times the combinations of the axes' values.

    Without names: the subsets of all modalities of the recipe (or of the store, where the recipe names none); where
    something else is varied, these modalities together, and no subsets. One at a time: the recipe as it is, which comes
    first, and each value of each axis alone.

    Raises
    ------
    UsageError, ManyErrors
        A name, key or value that cannot be, with the option that it came from.
    """
    kinds = {name: stored.kind for name, stored in store.header.modalities.items()}
    base = read_recipe(recipe, settings)
    wanted = tuple(base.modalities) or tuple(kinds)
    chosen = {wanted: select(wanted, kinds)} if axes and not names else subsets(names or wanted, kinds)
    if one_at_a_time and (names or not axes):
        remedy = "use --vary KEY=VALUES for them, and --set 'modalities=[acc, gyro]' instead of --modalities"
        raise UsageError("needs settings to vary, and no subsets", where="--one-at-a-time", remedy=remedy)
    changes = _single_changes(axes) if one_at_a_time else _combinations(axes)
    variants = list(_variants(changes, axes, recipe, settings))
    if one_at_a_time:
        # A value that the recipe has anyway is no change.
        variants = variants[:1] + [variant for variant in variants[1:] if variant[1] != variants[0][1]]
    points = [
        Point(subset, modalities, varied, dataclasses.replace(whole, modalities=modalities))
        for subset, modalities in chosen.items()
        for varied, whole in variants
    ]
    for point in points:
        with _named_after(axes, point.varied):
            _check(point, store)
    return points


def ceiling_of(point: Point, store: Store) -> float | None:
    """Return the best possible accuracy on synthetic recordings: of video, of sensors, or of both; else None.

    That of sensors is of all of them together: a single sensor's may be lower.
    """
    ceilings = store.header.notes.get("ceilings")
    if not ceilings:
        return None
    kinds = {store.header.modalities[name].kind for name in point.modalities}
    observer = "both" if len(kinds) > 1 else {"video": "video", "sensor": "sensors"}[kinds.pop()]
    return float(ceilings[observer])


def _values(text: str, where: str) -> tuple[Any, ...]:
    import yaml

    try:
        values = yaml.safe_load(f"[{text}]")
    except yaml.YAMLError:
        raise UsageError("its values are not YAML", where=where) from None
    if not values:
        raise UsageError("names no values", where=where, expected="values separated by commas")
    return tuple(values)


def _distinct(axis: Axis) -> Axis:
    """Return the axis without values that mean the same as one before."""
    values: dict[str, Any] = {}
    for value in axis.values:
        values.setdefault(_text(_meant(axis.key, value)), value)
    return dataclasses.replace(axis, values=tuple(values.values()))


def _meant(key: str, value: Any) -> Any:
    return ALIASES.get((key, value), value) if isinstance(value, str) else value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _combinations(axes: Sequence[Axis]) -> Iterator[dict[str, Any]]:
    for values in product(*(axis.values for axis in axes)):
        yield {axis.key: value for axis, value in zip(axes, values, strict=True)}


def _single_changes(axes: Sequence[Axis]) -> Iterator[dict[str, Any]]:
    yield {}
    for axis in axes:
        yield from ({axis.key: value} for value in axis.values)


def _variants(
    changes: Iterable[dict[str, Any]], axes: Sequence[Axis], recipe: str, settings: Sequence[str]
) -> Iterator[tuple[dict[str, Any], Recipe]]:
    """Yield each change (value by key) with its recipe, or raise all that is wrong in any of them."""
    errors: dict[str, MmtsaError] = {}
    for varied in changes:
        over = [f"{key}={json.dumps(_meant(key, value))}" for key, value in varied.items()]
        try:
            with _named_after(axes, varied):
                whole = read_recipe(recipe, [*settings, *over])
        except ManyErrors as error:
            errors.update((inner.line(), inner) for inner in error.errors)
            continue
        yield varied, whole
    if errors:
        raise ManyErrors(list(errors.values()))


@contextmanager
def _named_after(axes: Sequence[Axis], varied: Mapping[str, Any]) -> Iterator[None]:
    """Let an error in a varied setting name the option that it came from."""
    places = {}
    for axis in axes:
        if axis.key not in varied:
            continue
        setting = f"--set {axis.key}={json.dumps(_meant(axis.key, varied[axis.key]))}"
        places.update({setting: axis.place(varied[axis.key]), axis.key: axis.place(varied[axis.key])})
    try:
        yield
    except MmtsaError as error:
        inner = error.errors if isinstance(error, ManyErrors) else [error]
        for one in inner:
            one.where = places.get(one.where or "", one.where)
        raise ManyErrors(inner) from None


def _check(point: Point, store: Store) -> None:
    """Refuse before anything is trained what cannot be drawn from the store, or no backbone takes."""
    import torch

    from mmtsa_cli.models.backbones import create_backbone

    recipe = point.recipe
    drawn = Samples(
        store, range(len(store)), modalities=point.modalities, classes=store.labels, options=recipe.sampling
    )
    sizes = {
        recipe.sampling.frame_size
        if drawn.kind(name) == "video"
        else recipe.imaging.image_size or drawn.window_samples(name)
        for name in point.modalities
    }
    with torch.device("meta"):
        for size in sizes:
            create_backbone(recipe.model.backbone, in_channels=3, width=recipe.model.width, image_size=size)
