"""The adapter of UESTC-MMEA-CL, on its own layout."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from mmtsa_cli.errors import DataError
from mmtsa_cli.recordings.clip import open_clip
from mmtsa_cli.recordings.datasets.uestc_mmea import UestcMmea
from mmtsa_cli.recordings.index import Dataset, read_index
from tests.contracts.dataset import scan, scanned
from tests.trees.uestc_mmea import ABSENT, clip_name, raw, write_lists, write_uestc_mmea


def splits(root: Path) -> dict[str, str]:
    return {recording.id: recording.columns["split"] for recording in scanned(UestcMmea(), root)}


def test_clips_their_activities_and_their_lists(tmp_path: Path) -> None:
    found = scanned(UestcMmea(), write_uestc_mmea(tmp_path, activities=(27, 1, 32)))
    assert len(found) == 12
    assert list(dict.fromkeys(r.label for r in found)) == ["upstairs", "open_close_door", "watch_tv"]
    assert found[0].columns == {"id": clip_name(1, 0), "label": "upstairs", "subject": "", "split": "train"}
    assert [r.columns["split"] for r in found[4:8]] == ["train", "train", "val", "test"]
    assert [list(r.paths) for r in found[6:8]] == [["rgb", "acc", "gyro"], ["acc", "gyro"]]
    assert found[4].paths["rgb"] == tmp_path / "video" / "27_open_close_door" / f"{clip_name(27, 0)}.mp4"


def test_six_columns_are_two_sensors_at_25_hz(tmp_path: Path) -> None:
    found = scan(UestcMmea(), write_uestc_mmea(tmp_path))
    assert found.modalities is None
    dataset = Dataset("uestc-mmea", tmp_path, UestcMmea.modalities, found.recordings)
    with open_clip(dataset, dataset.recordings[1], ["rgb", "acc", "gyro"]) as clip:
        counts = raw(1, 1)
        assert clip.end_s == pytest.approx(len(counts) / 25, abs=0.05)
        np.testing.assert_array_equal(clip.series["acc"].values, counts[: len(clip.series["acc"].values), :3])
        np.testing.assert_array_equal(clip.series["gyro"].values, counts[: len(clip.series["gyro"].values), 3:])
    assert "counts of the chip" in found.notes[0]


@pytest.mark.parametrize(
    ("header", "acc", "gyro"),
    [
        ("acc_x,acc_y,acc_z,gyro_x,gyro_y,gyro_z", (1, 2, 3), (4, 5, 6)),
        ("time_ms,acc_x,acc_y,acc_z,gyro_x,gyro_y,gyro_z", (2, 3, 4), (5, 6, 7)),
    ],
)
def test_a_header_and_a_time_column_are_seen(tmp_path: Path, header: str, acc: tuple, gyro: tuple) -> None:
    found = scan(UestcMmea(), write_uestc_mmea(tmp_path, header=header))
    specs = found.modalities or UestcMmea.modalities
    assert (specs["acc"].columns, specs["gyro"].columns) == (acc, gyro)
    dataset = Dataset("uestc-mmea", tmp_path, specs, found.recordings)
    with open_clip(dataset, dataset.recordings[0], ["acc", "gyro"]) as clip:
        np.testing.assert_array_equal(clip.series["acc"].values, raw(1, 0)[:, :3])
        np.testing.assert_array_equal(clip.series["gyro"].values, raw(1, 0)[:, 3:])
        np.testing.assert_allclose(np.diff(clip.series["gyro"].times), 0.04)


def test_other_columns_are_refused_with_what_was_expected(mmtsa, tmp_path: Path) -> None:
    root = write_uestc_mmea(tmp_path / "data")
    for path in (root / "sensor").rglob("*.csv"):
        path.write_text("x,y,z\n" + "1,2,3\n" * 50)
    error = mmtsa("prepare", "uestc-mmea", root, "-o", tmp_path / "rec", expect=1).stderr
    assert f"{clip_name(1, 0)}.csv: not the columns of uestc-mmea" in error
    assert "expected acc_x, acc_y, acc_z, gyro_x, gyro_y, gyro_z, and a time column at most" in error
    assert "found 3 columns: x, y, z" in error
    with pytest.raises(DataError, match="found 8 columns without header"):
        scan(UestcMmea(), with_rows(root, "1,2,3,4,5,6,7,8\n"))


def with_rows(root: Path, row: str) -> Path:
    for path in (root / "sensor").rglob("*.csv"):
        path.write_text(row * 50)
    return root


def test_an_unreadable_first_file_does_not_decide_the_columns(tmp_path: Path) -> None:
    header = "time_ms,acc_x,acc_y,acc_z,gyro_x,gyro_y,gyro_z"
    root = write_uestc_mmea(tmp_path, header=header)
    (root / "sensor" / "1_upstairs" / f"{clip_name(1, 0)}.csv").write_bytes(b"")
    specs = scan(UestcMmea(), root).modalities
    assert specs is not None
    assert specs["acc"].columns == (2, 3, 4)


@pytest.mark.parametrize(
    "line",
    [
        "/home/amax/Downloads/dataset/data/{folder}/{name} 333 333 0",
        "/home/a user/my data/{folder}/{name} 333 333 0",
        "video/{folder}/{name}.mp4",
        "{folder}/{name}.mp4 sensor/{folder}/{name}.csv 0",
        "sensor\\{folder}\\{name}.csv,0",
        "{folder}/{name}\t0",
        "{name}",
        "{name}.mp4;upstairs",
    ],
)
def test_a_line_names_a_clip_by_path_or_name(tmp_path: Path, line: str) -> None:
    write_uestc_mmea(tmp_path, activities=(1,))
    lines = [line.format(folder="1_upstairs", name=clip_name(1, number)) for number in range(4)]
    write_lists(tmp_path, {"train": lines[:2], "val": lines[2:3], "test": lines[3:]})
    found = scan(UestcMmea(), tmp_path)
    assert [r.columns["split"] for r in found.recordings] == ["train", "train", "val", "test"]
    assert found.warnings == ()


def test_numbered_clips_are_told_apart_by_their_folder(tmp_path: Path) -> None:
    for folder in ("1_upstairs", "2_downstairs"):
        (tmp_path / "sensor" / folder).mkdir(parents=True)
        (tmp_path / "sensor" / folder / "0001.csv").write_text("1,2,3,4,5,6\n" * 50)
    write_lists(
        tmp_path, {"train": ["1_upstairs/0001 50 50 0"], "val": ["0001 50 50 0"], "test": ["2_downstairs/0001"]}
    )
    found = scan(UestcMmea(), tmp_path)
    assert splits(tmp_path) == {"1_upstairs_0001": "train", "2_downstairs_0001": "test"}
    assert len(found.warnings) == 1
    assert "val.txt: none of its 1 lines names a clip that is here" in found.warnings[0]


def test_half_a_download_is_told(tmp_path: Path) -> None:
    root = write_uestc_mmea(tmp_path)
    assert scan(UestcMmea(), root).warnings == (
        "train.txt: 1 of its 5 lines name clips that are not here (half a download?): "
        f"yourdataset_path/data/1_upstairs/{ABSENT} 400 401 0",
    )
    for path in root.rglob("27_*_03.*"):
        path.unlink()
    for path in root.rglob("1_*_03.*"):
        path.unlink()
    text = "; ".join(scan(UestcMmea(), root).warnings)
    assert "test.txt: none of its 2 lines names a clip that is here; expected 1_upstairs/1_upstairs_" in text
    assert f"found 'yourdataset_path/data/1_upstairs/{clip_name(1, 3)} " in text


def test_clips_in_no_list_and_in_two(tmp_path: Path) -> None:
    root = write_uestc_mmea(tmp_path, activities=(1,))
    write_lists(root, {"train": [clip_name(1, 0), clip_name(1, 1)], "val": [], "test": [clip_name(1, 1)]})
    assert list(splits(root).values()) == ["train", "test", "", ""]
    one, other = scan(UestcMmea(), root).warnings
    assert one == f"1 clips stand in two lists: {clip_name(1, 1)}; test counts before val before train"
    assert other.startswith(f"2 clips stand in no list: {clip_name(1, 2)}, {clip_name(1, 3)}")


def test_without_lists_there_is_no_published_split(mmtsa, tmp_path: Path) -> None:
    root = write_uestc_mmea(tmp_path / "data")
    for split in ("train", "val", "test"):
        (root / f"{split}.txt").unlink()
    facts = json.loads(mmtsa("prepare", "uestc-mmea", root, "-o", tmp_path / "rec", "--json").stdout)
    assert any("no train.txt, val.txt or test.txt" in warning for warning in facts["warnings"])
    assert all(row["clips"].startswith("cannot be used") for row in facts["protocols"])
    assert facts["default_protocol"] is None
    assert set(splits(root).values()) == {""}


def test_the_lists_under_the_names_of_the_authors_code(tmp_path: Path) -> None:
    root = write_uestc_mmea(tmp_path)
    for split in ("train", "val", "test"):
        (root / f"{split}.txt").rename(root / f"mydataset_{split}.txt")
    assert Counter(splits(root).values()) == {"train": 4, "val": 2, "test": 2}


def test_protocols_are_the_lists(mmtsa, tmp_path: Path) -> None:
    root = write_uestc_mmea(tmp_path / "data")
    facts = json.loads(mmtsa("prepare", "uestc-mmea", root, "-o", tmp_path / "rec", "--json").stdout)
    said = {row["protocol"]: row["clips"] for row in facts["protocols"]}
    assert said == {"published": "4 train, 2 test", "published-with-val": "6 train, 2 test"}
    assert facts["not_recorded"] == {"rgb": 1}
    read = read_index(tmp_path / "rec")
    assert read.default_protocol == "published"
    assert "val.txt is left out" in read.protocols["published"]["source"]
    mmtsa("check", tmp_path / "rec", "--jobs", 1)


def test_a_folder_that_is_no_activity_and_doubles(tmp_path: Path) -> None:
    root = write_uestc_mmea(tmp_path)
    (root / "video" / "33_flying").mkdir()
    (root / "video" / "33_flying" / "33_flying_2022.mp4").write_bytes(b"")
    found = scan(UestcMmea(), root)
    assert [(s.file, s.why) for s in found.skipped] == [
        ("video/33_flying/33_flying_2022.mp4", "no activity of 1 to 32")
    ]
    assert len(found.recordings) == 8
    copy = root / "copy" / "1_upstairs"
    copy.mkdir(parents=True)
    (copy / f"{clip_name(1, 0)}.csv").write_text("1,2,3,4,5,6\n")
    with pytest.raises(DataError, match=f"two files of acc for one clip, {clip_name(1, 0)}"):
        scan(UestcMmea(), root)
