"""`mmtsa prepare folder`: from a user's own files to samples, and what is refused with nothing left on disk."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mmtsa_cli.recordings.index import read_index
from mmtsa_cli.sampling.store import Store
from tests.trees.folder import write_classes, write_table
from tests.trees.own import content
from tests.trees.videos import write_video


def test_classes_from_prepare_to_samples(mmtsa, tmp_path: Path) -> None:
    root, rec, samples = write_classes(tmp_path / "own"), tmp_path / "rec", tmp_path / "samples"
    before = content(root)
    facts = json.loads(mmtsa("prepare", "folder", root, "-o", rec, "--json").stdout)
    assert (facts["recordings"], facts["subjects"], facts["labels"]) == (3, 2, 2)
    assert facts["files"] == {"rgb": 3, "acc": 3, "gyro": 3}
    assert not facts["protocols"]
    assert (facts["default_protocol"], facts["not_found"]) == (None, [])
    assert content(root) == before
    dataset = read_index(rec)
    assert dataset.name == "folder"
    assert list(dataset.modalities) == ["rgb", "acc", "gyro"]
    assert json.loads(mmtsa("check", rec, "--json").stdout)["errors"] == []
    mmtsa("sample", rec, "-o", samples, "--segments", 2, "--window", 0.5)
    store = Store(samples)
    assert store.labels == ("sit", "walk")
    # x is the time, y twice it.
    series = store.series("acc", 0)
    assert series[:, 1] == pytest.approx(2 * series[:, 0])


def test_a_table_with_a_map(mmtsa, tmp_path: Path) -> None:
    rows = ["video_path;activity;imu", "media/v1.mp4;walk;media/v1.csv", "media/v2.mp4;;", "gone.mp4;sit;media/v2.csv"]
    table, rec = write_table(tmp_path / "own", rows), tmp_path / "rec"
    chosen = ("--map", "label=activity,rgb=video_path", "--map", "acc=imu")
    outcome = mmtsa("prepare", "folder", table, *chosen, "-o", rec, "--json")
    facts = json.loads(outcome.stdout)
    assert facts["files"] == {"rgb": 1, "acc": 2}
    assert facts["skipped"] == {"no label": 1, "no such file (rgb)": 1}
    assert facts["skipped_files"][0] == {"file": "clips.csv, row 3", "why": "no label"}
    assert "1 files of clips.csv are not there: gone.mp4; their cells are empty" in outcome.stderr
    first, second = read_index(rec).recordings
    assert (first.id, first.label, first.paths["acc"].name) == ("v1", "walk", "v1.csv")
    assert (second.id, set(second.paths)) == ("v2", {"acc"})


def test_a_label_that_keeps_its_length_is_another_index(mmtsa, tmp_path: Path) -> None:
    table, rec = write_table(tmp_path / "own", ["rgb,label", "media/v1.mp4,walk"]), tmp_path / "rec"
    mmtsa("prepare", "folder", table, "-o", rec)
    assert "already holds this result" in mmtsa("prepare", "folder", table, "-o", rec).stderr
    table.write_text(table.read_text().replace("walk", "jump"))
    assert "--overwrite" in mmtsa("prepare", "folder", table, "-o", rec, expect=2).stderr
    mmtsa("prepare", "folder", table, "-o", rec, "--overwrite")
    assert read_index(rec).recordings[0].label == "jump"


def test_two_videos_of_one_clip(mmtsa, tmp_path: Path) -> None:
    root = write_classes(tmp_path / "own")
    write_video(root / "sit" / "anna" / "clip1.avi", codec="mpeg4")
    before = content(tmp_path)
    error = mmtsa("prepare", "folder", root, "-o", tmp_path / "rec", expect=1).stderr
    assert "clip1.mp4: two files of rgb for one clip, sit_anna_clip1" in error
    assert "clip1.avi; take one of them away" in error
    assert content(tmp_path) == before
    assert not (tmp_path / "rec").exists()


def test_what_is_no_folder_of_recordings(mmtsa, tmp_path: Path) -> None:
    root = tmp_path / "own"
    (root / "papers").mkdir(parents=True)
    (root / "papers" / "thesis.pdf").touch()
    (root / "clips.csv").write_text("file,what\na.mp4,walk\n")
    before = content(tmp_path)
    error = mmtsa("prepare", "folder", root, "-o", tmp_path / "rec", expect=1).stderr
    assert "no recordings of folder, expected CLASS/clip.mp4 and CLASS/clip.csv" in error
    assert "found 1 x a table without columns label and rgb" in error
    assert content(tmp_path) == before
    error = mmtsa("prepare", "folder", root / "clips.csv", "-o", tmp_path / "rec", expect=1).stderr
    assert "clips.csv, row 1: no column of labels, found columns file, what; name it: --map label=COLUMN" in error
    assert content(tmp_path) == before


def test_a_map_that_does_not_fit_is_wrong_usage(mmtsa, tmp_path: Path) -> None:
    table = write_table(tmp_path / "own", ["file,what", "media/v1.mp4,walk"])
    before = content(tmp_path)
    error = mmtsa("prepare", "folder", table, "--map", "label=what,rgb=files", "-o", tmp_path / "rec", expect=2).stderr
    assert "--map: no column files in" in error
    assert "did you mean file?" in error
    error = mmtsa("prepare", "utd-mhad", table, "--map", "label=what", "-o", tmp_path / "rec", expect=2).stderr
    assert "--map: utd-mhad takes no --map, expected one of folder" in error
    assert content(tmp_path) == before
