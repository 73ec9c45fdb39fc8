"""Recipes: each can be read, says how it is run, and the scripts are shell."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from mmtsa_cli.artifacts.options import merged
from mmtsa_cli.errors import ManyErrors
from mmtsa_cli.stages.bench_recipe import MODALITIES, read_bench_recipe
from mmtsa_cli.stages.recipe import packaged, read_recipe

FOLDER = Path(__file__).resolve().parents[1] / "recipes"
RECIPES = sorted(FOLDER.rglob("*.yaml"))
SCRIPTS = sorted(FOLDER.rglob("*.sh"))


def test_all_are_looked_at() -> None:
    assert {path.stem for path in RECIPES} >= {"paper", "synthetic", "utd-mhad"}
    assert len(RECIPES) >= 3
    assert {path.name for path in SCRIPTS} >= {"demo.sh", "environment.sh", "tables.sh"}
    # Below the folder itself a recipe would neither be packed nor be found by its name.
    assert packaged().keys() == {path.stem for path in RECIPES}


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_can_be_read_and_changes_something(path: Path) -> None:
    assert read_recipe(str(path)) != read_recipe(None)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_opens_with_its_command_and_time(path: Path) -> None:
    head = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        head.append(line)
    text = "\n".join(head)
    assert "mmtsa train" in text
    assert path.stem in text.split("mmtsa train")[1].splitlines()[0]
    assert re.search(r"\b(seconds|minutes?|hours?|days?)\b", text), "the head says how long it takes"


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_script_is_shell(path: Path) -> None:
    done = subprocess.run(["bash", "-n", str(path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    text = path.read_text(encoding="utf-8")
    if not text.startswith("# Sourced by"):
        assert text.startswith("#!/usr/bin/env bash\n# ")
        assert "set -euo pipefail" in text


def test_training_takes_of_the_systems_sections_its_own_alone(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(
        "training: {epochs: 5, lr: 0.1}\n"
        "methods:\n  mmtsa: {training: {lr: 0.2}}\n  hamlet: {training: {lr: 0.3}, heads: 4}\n"
    )
    training = read_recipe(str(path)).training
    assert (training.epochs, training.lr) == (5, 0.2)
    path.write_text("methods:\n  mmtsa:\n    training: {pace: 3}\n")
    with pytest.raises(ManyErrors) as told:
        read_recipe(str(path))
    (error,) = told.value.errors
    assert error.line() == f"{path}, line 3: unknown key training.pace; did you mean patience?"


def test_what_single_systems_set_in_a_packaged_recipe_reaches_them() -> None:
    seen = 0
    for path in RECIPES:
        recipe = read_bench_recipe(str(path))
        for method, section in recipe.methods.items():
            settings = recipe.settings_of(method)
            own = {key: value for key, value in section.items() if key != MODALITIES}
            assert merged(settings, own) == settings, f"{path.name}: {method}"
            seen += 1
    assert seen >= 3, "utd-mhad.yaml sets something for HAMLET and Multi-GAT, egocentric.yaml for mmtsa"
