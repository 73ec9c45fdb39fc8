"""`mmtsa prepare`: counts, the index that comes out, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

from mmtsa_cli.recordings.index import read_index
from tests.trees.own import content
from tests.trees.utd_mhad import write_utd_mhad


def test_an_index_over_the_files_where_they_lie(mmtsa, tmp_path: Path) -> None:
    root, out = write_utd_mhad(tmp_path / "utd"), tmp_path / "rec"
    (root / "Depth" / "a2_s2_t1_depth.mat").unlink()
    before = content(root)
    facts = json.loads(mmtsa("prepare", "utd-mhad", root, "-o", out, "--json").stdout)
    assert (facts["recordings"], facts["subjects"], facts["labels"]) == (4, 2, 2)
    assert facts["files"] == {"depth": 3, "acc": 4, "gyro": 4}
    assert facts["not_recorded"] == {"depth": 1}
    assert facts["not_found"] == ["rgb"]
    assert content(root) == before
    assert sorted(path.name for path in out.iterdir()) == ["dataset.yaml", "index.csv", "manifest.json"]
    dataset = read_index(out)
    assert dataset.default_protocol == "cross-subject"
    assert set(dataset.protocols) == {"cross-subject", "leave-one-subject-out"}
    assert "Image Processing, 2015" in dataset.notes["citation"]
    assert (out / "index.csv").read_text().splitlines()[0] == "id,label,subject,trial,depth,acc,gyro"
    assert all(path.is_absolute() and path.exists() for r in dataset.recordings for path in r.paths.values())
    assert f"{out} already holds this result" in mmtsa("prepare", "utd-mhad", root, "-o", out).stderr


def test_new_files_need_overwrite(mmtsa, tmp_path: Path) -> None:
    root, out = write_utd_mhad(tmp_path / "utd"), tmp_path / "rec"
    mmtsa("prepare", "utd-mhad", root, "-o", out)
    write_utd_mhad(root, subjects=(3,))
    before = content(out)
    assert "--overwrite" in mmtsa("prepare", "utd-mhad", root, "-o", out, expect=2).stderr
    assert content(out) == before
    mmtsa("prepare", "utd-mhad", root, "-o", out, "--overwrite")
    assert len(read_index(out).recordings) == 6


def test_another_dataset_is_told_by_what_is_there(mmtsa, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "walk.csv").touch()
    error = mmtsa("prepare", "utd-mhad", tmp_path / "data", "-o", tmp_path / "rec", expect=1).stderr
    assert "no recordings of utd-mhad" in error
    assert "expected aA_sS_tT_inertial.mat" in error
    assert "found walk.csv" in error
    assert "no such directory" in mmtsa("prepare", "utd-mhad", tmp_path / "x", "-o", tmp_path / "rec", expect=1).stderr
    assert "did you mean utd-mhad?" in mmtsa("prepare", "utd_mhad", tmp_path, "-o", tmp_path / "rec", expect=2).stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]


def test_something_in_the_way_is_left_as_it_is(mmtsa, tmp_path: Path) -> None:
    root, out = write_utd_mhad(tmp_path / "utd"), tmp_path / "rec"
    out.mkdir()
    (out / "precious.txt").write_text("mine")
    error = mmtsa("prepare", "utd-mhad", root, "-o", out, expect=2).stderr
    assert "was not made by mmtsa" in error
    assert content(out) == {"precious.txt": b"mine"}


def test_the_help_says_what_is_looked_for(mmtsa) -> None:
    text = " ".join(mmtsa("prepare", "--help").stdout.split())
    assert "utd-mhad: aA_sS_tT_inertial.mat" in text
    assert "mmtsa prepare utd-mhad UTD-MHAD -o rec" in text
