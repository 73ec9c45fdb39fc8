"""The recipe of a table: how clips are drawn, what all networks share, and what single systems set for themselves.

Sections: `sampling` and `validation` for every system; `imaging`, `model`, `augmentation`, `training` and `draws` for
every network; `distillation` for mmtsa; `methods: {hamlet: {training: {lr: 0.001}}}` for single ones, of which
`modalities: [acc, gyro]` says what it gets of what there is, and `sampling` how its clips are drawn. What is said later
counts: the defaults of a system, which are its publication's; the sections for all networks; the system's own section.

A section with `method: mmtsa` and a name of its own is a variant of a system: a row of its own.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mmtsa_cli.artifacts.options import Source, merged, to_mapping, to_options
from mmtsa_cli.errors import ManyErrors, UsageError, did_you_mean
from mmtsa_cli.methods.mmtsa import MmtsaOptions
from mmtsa_cli.methods.network_method import NetworkOptions
from mmtsa_cli.methods.registry import class_of, entries, entry_of
from mmtsa_cli.modalities import Kind, select
from mmtsa_cli.sampling.draw import DrawOptions
from mmtsa_cli.stages.recipe import (
    METHODS,
    ValidationOptions,
    check_stopping,
    own_places,
    read_source,
    sections_of_methods,
)

MODALITIES, METHOD, SAMPLING = "modalities", "method", "sampling"
_SHARED = (*(field.name for field in dataclasses.fields(NetworkOptions)), "distillation")
_EVERY_SYSTEM = {"sampling": DrawOptions, "validation": ValidationOptions}
_OPTIONS = {"method": "--methods", "seed": "--seeds", "modalities": "--modalities"}
"""What is an option of a table, and no part of its recipe."""


@dataclass(frozen=True)
class BenchRecipe:
    """What a table's systems are made and trained with.

    Attributes
    ----------
    sampling, validation : mapping
        Whole, for every system.
    networks : mapping
        What is set for all networks, and no more.
    methods : mapping of str to mapping
        What is set for single systems, and no more.
    """

    sampling: Mapping[str, Any]
    validation: Mapping[str, Any]
    networks: Mapping[str, Any]
    methods: Mapping[str, Mapping[str, Any]]
    source: Source

    @property
    def variants(self) -> tuple[str, ...]:
        """Names that the recipe gives to systems with other settings."""
        return tuple(name for name, section in self.methods.items() if METHOD in section)

    def system_of(self, method: str) -> str:
        """Return the name of the system that a variant, or the system itself, is."""
        return str(self.methods.get(method, {}).get(METHOD, method))

    def settings_of(self, method: str) -> dict[str, Any]:
        """Return all settings of a system: `sampling`, `validation` and those of its options class.

        Those of a variant say which system it is, under `method`.

        Raises
        ------
        UsageError, ManyErrors
            A key or value that its options class does not take, with its line; early stopping without validation clips.
        """
        options_class = class_of(entry_of(self.system_of(method))).options_class  # type: ignore[attr-defined]
        section = self.methods.get(method, {})
        own = {key: value for key, value in section.items() if key not in (MODALITIES, METHOD, SAMPLING)}
        data = merged(merged(to_mapping(options_class()), _shared(options_class, self.networks)), own)
        places = {**self.source.places, **own_places(self.source, method)}
        settings = to_mapping(to_options(options_class, Source(self.source.name, data, places)))
        if settings.get("training", {}).get("patience"):
            check_stopping(count=self.validation["count"], values=self.validation["values"], who=method)
        its = section.get(SAMPLING) or {}
        # What is no section is put there as it is, to be told with its place.
        sampling = merged(self.sampling, its) if isinstance(its, dict) else its
        drawn = Source(self.source.name, {SAMPLING: sampling}, places)
        about = {METHOD: self.system_of(method)} if METHOD in section else {}
        return {
            **about,
            SAMPLING: _whole(DrawOptions, SAMPLING, drawn),
            "validation": dict(self.validation),
            **settings,
        }

    def available_to(self, method: str, kinds: Mapping[str, Kind]) -> dict[str, Kind]:
        """Return which modalities a system gets, of those that there are.

        Raises
        ------
        UsageError
            Its section names one that is not there.
        """
        names = self.methods.get(method, {}).get(MODALITIES)
        if names is None:
            return dict(kinds)
        where = self.source.place((METHODS, method, MODALITIES))
        if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
            raise UsageError("not a list of modalities", where=where, expected="as in [acc, gyro]", found=str(names))
        try:
            return {name: kinds[name] for name in select(names, kinds)}
        except UsageError as error:
            raise UsageError(error.what, where=where, found=error.found, remedy=error.remedy) from None

    def configuration(self) -> dict[str, Any]:
        """Return the recipe as plain values, as a manifest keeps it."""
        return {
            "sampling": dict(self.sampling),
            "validation": dict(self.validation),
            **self.networks,
            METHODS: {name: dict(section) for name, section in sorted(self.methods.items())},
        }


def read_bench_recipe(name: str | None, settings: Sequence[str] = ()) -> BenchRecipe:
    """Read a recipe and put `--set` values over it.

    Parameters
    ----------
    name : str or None
        A path, or the name of a recipe of the package; None: the defaults.

    Raises
    ------
    UsageError, ManyErrors
        No such recipe; every unknown section, key or system, wrong type and value out of range, with its line.
    """
    source = read_source(name, settings)
    _check_names(source)
    parts = {key: value for key, value in source.data.items() if key != METHODS and value is not None}
    networks = {key: value for key, value in parts.items() if key not in _EVERY_SYSTEM}
    # Whatever is wrong in the parts for all is told once, and not for each system.
    to_options(MmtsaOptions, Source(source.name, networks, source.places))
    whole = {name: _whole(cls, name, source) for name, cls in _EVERY_SYSTEM.items()}
    return BenchRecipe(whole["sampling"], whole["validation"], networks, sections_of_methods(source), source)


def _check_names(source: Source) -> None:
    known = [*_EVERY_SYSTEM, *_SHARED, METHODS]
    wrong = [
        UsageError(
            f"unknown key {key}",
            where=source.place((key,)),
            remedy=_instead_of(key) or did_you_mean(str(key), known),
        )
        for key in source.data
        if key not in known
    ]
    for name, section in sections_of_methods(source).items():
        system = section.get(METHOD, name)
        place = source.place((METHODS, name, METHOD)) if METHOD in section else source.place((METHODS, name))
        if not isinstance(system, str) or system not in entries():
            wrong.append(UsageError(f"no method {system!r}", where=place, remedy=did_you_mean(str(system), entries())))
        elif name in entries() and system != name:
            remedy = "give the variant a name of its own"
            wrong.append(UsageError(f"{name} is another system than {system}", where=place, remedy=remedy))
    if wrong:
        raise ManyErrors(wrong)


def _instead_of(key: str) -> str:
    """Return where a table has what the recipe of a training says under a key; "" where it has it nowhere."""
    if key in _OPTIONS:
        return f"it is of a training: a table has {_OPTIONS[key]}"
    alone = {field.name for field in dataclasses.fields(MmtsaOptions)}
    return f"it is of mmtsa alone: set {METHODS}.mmtsa.{key}" if key in alone else ""


def _whole(cls: type, name: str, source: Source) -> dict[str, Any]:
    """Return a section with its defaults; errors name its keys as they are written, `sampling.window`."""
    section = source.data.get(name)
    holder = dataclasses.make_dataclass("Section", [(name, cls, dataclasses.field(default_factory=cls))], frozen=True)
    return to_mapping(to_options(holder, Source(source.name, {name: section or {}}, source.places)))[name]


def _shared(options_class: type, networks: Mapping[str, Any]) -> dict[str, Any]:
    """Return those parts for all networks that a system has as all networks, or mmtsa, have them."""
    hints, its = typing.get_type_hints(MmtsaOptions), typing.get_type_hints(options_class)
    return {name: value for name, value in networks.items() if its.get(name) == hints[name]}
