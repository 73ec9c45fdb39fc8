"""`recipes/tables.sh`: from recordings to all tables, and once more without training anything."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pipelines.conftest import SMALL

SCRIPT = Path(__file__).resolve().parents[2] / "recipes" / "tables.sh"
VENV = Path(sys.prefix)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (VENV / ".mmtsa-installed").is_file(), reason="not in an environment that the scripts have made"
    ),
]


def tables(*arguments: object, **wishes: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "MMTSA_VENV": str(VENV), "SAMPLE": "--frames 2 --window 0.5", **wishes}
    command = ["bash", str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def rows(path: Path) -> list[dict]:
    return json.loads((path / "table.json").read_text(encoding="utf-8"))["rows"]


def test_all_tables_of_a_directory_of_recordings(rec: Path, tmp_path: Path) -> None:
    out = tmp_path / "tables"
    wishes = {"METHODS": "decision-tree,mmtsa", "BEST": "1", "SUBSETS": "rgb,acc"}
    done = tables(rec, out, *SMALL, "--jobs", "2", **wishes)
    assert done.returncode == 0, done.stderr
    assert (out / "check.txt").is_file()
    assert {row["method"] for row in rows(out / "benchmark")} == {"mmtsa", "decision-tree"}
    for table in (1, 2, 3):
        assert (out / "benchmark" / f"table-{table}.md").is_file()
    accuracies = {row["method"]: row["accuracy"] for row in rows(out / "benchmark")}
    (best,) = rows(out / "every-subject")
    assert accuracies[best["method"]] == max(accuracies.values())
    assert best["subjects"] == 3
    assert [row["names"] for row in rows(out / "table-4")] == ["rgb", "acc", "rgb+acc"]
    assert [row["model.fusion"] for row in rows(out / "table-5")] == ["concat", "attention"]
    before = {path: path.stat().st_mtime_ns for path in out.rglob("predictions.npz")}
    again = tables(rec, out, *SMALL, "--jobs", "2", **wishes)
    assert again.returncode == 0, again.stderr
    assert {path: path.stat().st_mtime_ns for path in out.rglob("predictions.npz")} == before


def test_without_arguments_it_says_what_it_takes() -> None:
    done = tables()
    assert done.returncode == 2
    assert "bash recipes/tables.sh RECORDINGS OUTPUT" in done.stderr
    assert "set -euo" not in done.stderr
