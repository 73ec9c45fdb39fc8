"""Tables that lie elsewhere: the same as those made here, growing there, and kept where they cannot be put."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("fsspec", reason="the extra `cluster` is not installed")

from mmtsa_cli.artifacts.remote import RemotePath, UnreachableError
from mmtsa_cli.artifacts.uploading import bring
from mmtsa_cli.stages import ablate
from tests.trees.servers import content

ABLATE = (
    *("--recipe", "fast", "--protocol", "cross-subject", "--set", "modalities=[gyro]", "--vary", "model.dropout=0.5"),
    *("--set", "training.epochs=1", "--set", "training.threads=1"),
)
BENCHMARK = ("--recipe", "benchmark-small", "--protocol", "cross-subject", "--modalities", "acc_watch")


def scores(files: dict[str, bytes]) -> list[tuple]:
    """Return what does not depend on the clock."""
    rows = json.loads(files["table.json"])["rows"]
    return [(row.get("method"), row["accuracy"], row["macro_f1"]) for row in rows]


def failing_at(name: str):
    """Return an upload that fails at files of this name."""
    really = RemotePath.upload

    def upload(path: RemotePath, local: Path) -> None:
        if path.name == name:
            raise UnreachableError("cannot be written", where=str(path), found="no answer")
        really(path, local)

    return upload


def test_an_ablation_elsewhere_is_the_one_made_here(mmtsa, samples, s3, cache, tmp_path, monkeypatch):
    mmtsa("ablate", samples, "-o", tmp_path / "table", *ABLATE)
    shown = mmtsa("ablate", samples, "-o", f"{s3}/table", *ABLATE).stdout
    here, there = content(tmp_path / "table"), content(f"{s3}/table")
    assert there.keys() == here.keys()
    assert scores(there) == scores(here)
    assert there["table.md"].decode() in shown
    assert not list((cache / "unfinished").iterdir())
    monkeypatch.setattr(ablate, "run_units", None)
    assert mmtsa("ablate", samples, "-o", f"{s3}/table", *ABLATE).stdout == shown


def test_an_ablation_that_cannot_be_put_there_is_kept_and_put_there_later(mmtsa, samples, memory, cache, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(RemotePath, "upload", failing_at("table.md"))
        told = mmtsa("ablate", samples, "-o", f"{memory}/table", *ABLATE, expect=1).stderr
    (kept,) = (cache / "unfinished").glob("*/table")
    assert f"kept as {kept}: give the same command again to put it there" in told.splitlines()[-1]
    assert RemotePath(f"{memory}/table").files() == []
    whole = content(kept)
    monkeypatch.setattr(ablate, "run_units", None)
    mmtsa("ablate", samples, "-o", f"{memory}/table", *ABLATE)
    assert content(f"{memory}/table") == whole
    assert not kept.exists()


def test_a_benchmark_elsewhere_grows_on_another_machine(mmtsa, samples, s3, cache, tmp_path):
    mmtsa("benchmark", samples, "-o", f"{s3}/bench", *BENCHMARK, "--methods", "svm")
    first = content(f"{s3}/bench")
    assert not list((cache / "unfinished").iterdir())
    # Nothing of the first time is on this machine.
    told = mmtsa("benchmark", samples, "-o", f"{s3}/bench", *BENCHMARK, "--methods", "decision-tree")
    assert f"Benchmark {s3}/bench" in told.stdout
    both = content(f"{s3}/bench")
    units = {name: held for name, held in first.items() if name.startswith("units/")}
    assert units
    assert {name: both[name] for name in units} == units
    mmtsa("benchmark", samples, "-o", tmp_path / "bench", *BENCHMARK, "--methods", "svm,decision-tree")
    here = content(tmp_path / "bench")
    assert both.keys() == here.keys()
    assert scores(both) == scores(here)
    assert [row[0] for row in scores(both)] == ["svm", "decision-tree"]

    refused = mmtsa("benchmark", samples, "-o", f"{s3}/bench", *BENCHMARK, "--set", "training.epochs=3", expect=2)
    assert "made with other settings" in refused.stderr


def test_a_benchmark_that_cannot_be_put_there_is_kept_and_goes_on_here(mmtsa, samples, memory, cache, monkeypatch):
    arguments = ("benchmark", samples, "-o", f"{memory}/bench", *BENCHMARK)
    mmtsa(*arguments, "--methods", "svm")
    with monkeypatch.context() as patch:
        patch.setattr(RemotePath, "upload", failing_at("results.json"))
        told = mmtsa(*arguments, "--methods", "decision-tree", expect=1).stderr
    (kept,) = (cache / "unfinished").glob("*/bench")
    assert f"kept as {kept}" in told.splitlines()[-1]
    told = mmtsa(*arguments, "--methods", "svm,decision-tree").stderr
    assert " s\n" not in told, "trained again"
    assert [row[0] for row in scores(content(f"{memory}/bench"))] == ["svm", "decision-tree"]
    assert not kept.exists()


def test_what_is_here_is_kept_and_the_rest_is_brought_whole(memory, tmp_path, monkeypatch):
    there, here = RemotePath(f"{memory}/bench"), tmp_path / "work" / "bench"
    for name in ("table.md", "units/a/result.json", "units/a/deep/x.npz", "units/b/result.json", ".writing"):
        file = tmp_path / "file"
        file.write_text(f"there {name}")
        (there / name).upload(file)
    (here / "units" / "b").mkdir(parents=True)
    (here / "units" / "b" / "result.json").write_text("mine")
    really = RemotePath.copy_to

    def failing(path: RemotePath, local: Path) -> None:
        if path.name == "x.npz":
            raise UnreachableError("cannot be read", where=str(path), found="no answer")
        really(path, local)

    with monkeypatch.context() as patch:
        patch.setattr(RemotePath, "copy_to", failing)
        with pytest.raises(UnreachableError):
            bring(there, here)
    assert not (here / "units" / "a").exists()
    bring(there, here)
    assert {path.relative_to(here).as_posix(): path.read_text() for path in here.rglob("*") if path.is_file()} == {
        "table.md": "there table.md",
        "units/a/result.json": "there units/a/result.json",
        "units/a/deep/x.npz": "there units/a/deep/x.npz",
        "units/b/result.json": "mine",
    }
    assert [path.name for path in here.parent.iterdir()] == ["bench"]
