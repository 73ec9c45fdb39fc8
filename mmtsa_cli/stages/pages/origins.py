"""How the directories of a report were made: settings, inputs, versions, and the commands that make them again."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmtsa_cli.artifacts.manifest import Manifest
from mmtsa_cli.reporting.page import Origin

RECIPE = "recipe.yaml"


def origin_of(directory: Path, manifest: Manifest, *, trained: Manifest | None = None) -> Origin:
    """Return how a directory was made.

    Parameters
    ----------
    directory : Path
        As the report was given it; the command makes one beside it, called NAME-again.
    manifest : Manifest
        Of a stage that a report is made of.
    trained : Manifest, optional
        Of the run that an evaluation is of, where it is still there.

    Raises
    ------
    KeyError, TypeError, ValueError, AttributeError
        The manifest does not hold what its stage writes.
    """
    words, recipe, remarks = _COMMANDS[manifest.stage](manifest, trained)
    words = ["mmtsa", manifest.stage, *manifest.inputs, "-o", f"{directory}-again", *words]
    facts = [("stage", manifest.stage), ("directory", str(directory))]
    if manifest.seed is not None:
        facts.append(("seed", str(manifest.seed)))
    simple = {k: v for k, v in manifest.configuration.items() if k not in ("recipe", "rows", "folds", "version")}
    facts += [(key.replace("_", " "), _text(value)) for key, value in simple.items() if value not in (None, [], ())]
    folds = [fold if isinstance(fold, str) else fold["name"] for fold in manifest.configuration.get("folds", ())]
    if folds:
        facts.append(("folds", ", ".join(folds)))
    return Origin(
        facts,
        [(name, str(version)) for name, version in manifest.versions.items()],
        [(path, str(mark)) for path, mark in manifest.inputs.items()],
        shlex.join(words),
        remarks,
        _yaml(recipe) if recipe else "",
    )


_Made = tuple[list[str], Mapping[str, Any], list[str]]


def _training(manifest: Manifest, trained: Manifest | None) -> _Made:
    words = ["--recipe", RECIPE, "--protocol", manifest.configuration["protocol"]]
    return words, manifest.configuration["recipe"], [_saved("configuration")]


def _evaluation(manifest: Manifest, trained: Manifest | None) -> _Made:
    asked = manifest.configuration
    words: list[str] = []
    if trained is None or trained.configuration.get("protocol") != asked["protocol"]:
        words += ["--protocol", asked["protocol"]]
    for key in ("modalities", "corrupt"):
        if asked.get(key):
            words += [f"--{key}", ",".join(asked[key])]
    words += [f"--{key.replace('_', '-')}" for key in ("all_subsets", "calibrate") if asked.get(key)]
    return words + _seed(manifest), {}, []


def _ablation(manifest: Manifest, trained: Manifest | None) -> _Made:
    """Return the options that span the grid again: what differs between its rows is what was varied."""
    rows = manifest.configuration["rows"]
    flat = [_flat({key: value for key, value in row.items() if key != "modalities"}) for row in rows.values()]
    varied = {key: _distinct(row[key] for row in flat) for key in flat[0]}
    names = _distinct(name for row in manifest.results["rows"] for name in row["names"].split("+"))
    words = ["--recipe", RECIPE, "--protocol", manifest.configuration["protocol"]]
    if len(_distinct(tuple(row["modalities"]) for row in rows.values())) > 1 or len(rows) == 1:
        words += ["--modalities", ",".join(names)]
    else:
        words += ["--set", f"modalities={_text(names)}"]
    for key, values in varied.items():
        if len(values) > 1:
            words += ["--vary", f"{key}={','.join(map(_text, values))}"]
    words += ["--seeds", str(manifest.configuration["seeds"])]
    recipe = {key: value for key, value in next(iter(rows.values())).items() if key != "modalities"}
    return words + _seed(manifest), recipe, [_saved("configuration of the first row")]


def _benchmark(manifest: Manifest, trained: Manifest | None) -> _Made:
    asked, found = manifest.configuration, manifest.results
    words = ["--methods", ",".join([*found["done"], *found["failed"]])]
    words += ["--recipe", RECIPE, "--protocol", asked["protocol"], "--seeds", str(len(found["seeds"]))]
    if asked.get("modalities"):
        words += ["--modalities", ",".join(asked["modalities"])]
    remarks = [_saved("configuration"), "With --table N it lays out a table of the paper beside its own."]
    return words, asked["recipe"], remarks


_COMMANDS = {"train": _training, "eval": _evaluation, "ablate": _ablation, "benchmark": _benchmark}


def _saved(what: str) -> str:
    return f"{RECIPE} is the {what} below, saved."


def _seed(manifest: Manifest) -> list[str]:
    return [] if manifest.seed is None else ["--seed", str(manifest.seed)]


def _distinct(values: Any) -> list[Any]:
    found: list[Any] = []
    for value in values:
        if value not in found:
            found.append(value)
    return found


def _flat(mapping: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in mapping.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _text(value: Any) -> str:
    """Return a value as a command line and a person have it."""
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_text, value))}]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return "null" if value is None else str(value)


def _yaml(recipe: Mapping[str, Any]) -> str:
    import yaml

    return yaml.safe_dump(dict(recipe), sort_keys=False, allow_unicode=True)
