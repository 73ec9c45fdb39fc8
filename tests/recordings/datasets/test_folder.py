"""A user's own recordings: a folder per class, and tables of paths and labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from mmtsa_cli.errors import DataError, ManyErrors, MmtsaError, UsageError
from mmtsa_cli.recordings.datasets.adapter import Scan, ScanOptions
from mmtsa_cli.recordings.datasets.folder import Folder
from mmtsa_cli.recordings.datasets.tree import list_files
from mmtsa_cli.recordings.index import ModalitySpec
from mmtsa_cli.recordings.reading import read_series
from tests.contracts.dataset import scan, scanned
from tests.trees.folder import write_classes, write_table
from tests.trees.gopro import write_camera_video


def touched(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def files(found: Scan) -> dict[str, dict[str, str]]:
    return {r.id: {name: path.name for name, path in r.paths.items()} for r in found.recordings}


# A folder per class


def test_classes_subjects_and_modalities(tmp_path: Path) -> None:
    found = scan(Folder(), write_classes(tmp_path))
    assert [(r.id, r.label, r.subject) for r in found.recordings] == [
        ("sit_anna_clip1", "sit", "anna"),
        ("walk_anna_clip1", "walk", "anna"),
        ("walk_bert_clip1", "walk", "bert"),
    ]
    assert files(found)["walk_bert_clip1"] == {"rgb": "clip1.mp4", "acc": "clip1.csv", "gyro": "clip1_gyro.csv"}
    assert found.modalities == {
        "rgb": ModalitySpec("video"),
        "acc": ModalitySpec("sensor"),
        "gyro": ModalitySpec("sensor"),
    }
    assert found.notes == ()


@pytest.mark.parametrize(
    ("name", "modality"),
    [
        ("c.mp4", "rgb"),
        ("c.AVI", "rgb"),
        ("c.webm", "rgb"),
        ("c_depth.mp4", "depth"),
        ("c_rgb.mkv", "rgb"),
        ("c.csv", "acc"),
        ("c.npy", "acc"),
        ("c_acc.txt", "acc"),
        ("c.acc_phone.csv", "acc_phone"),
        ("c-ACC_WATCH.csv", "acc_watch"),
        ("c_orientation.mat", "orientation"),
    ],
)
def test_what_a_name_says(tmp_path: Path, name: str, modality: str) -> None:
    assert files(scan(Folder(), touched(tmp_path, f"walk/{name}"))) == {"walk_c": {modality: name}}


def test_a_folder_of_its_own_for_each_recording(tmp_path: Path) -> None:
    found = scan(Folder(), touched(tmp_path, "walk/r1/rgb.mp4", "walk/r1/acc.csv", "walk/r2/rgb.mp4"))
    assert files(found) == {"walk_r1": {"rgb": "rgb.mp4", "acc": "acc.csv"}, "walk_r2": {"rgb": "rgb.mp4"}}


def test_video_and_series_of_one_clip_may_differ_in_case(tmp_path: Path) -> None:
    found = scan(Folder(), touched(tmp_path, "walk/CLIP1.MP4", "walk/clip1.csv"))
    assert files(found) == {"walk_CLIP1": {"rgb": "CLIP1.MP4", "acc": "clip1.csv"}}


def test_ids_name_files_and_are_unique(tmp_path: Path) -> None:
    found = scan(Folder(), touched(tmp_path, "brush teeth/a b.mp4", "brush-teeth/a b.mp4", "x_y/z.mp4", "x/y_z.mp4"))
    assert sorted(r.id for r in found.recordings) == ["brush-teeth_a-b", "brush-teeth_a-b-2", "x_y_z", "x_y_z-2"]
    assert {r.label for r in found.recordings} == {"brush teeth", "brush-teeth", "x_y", "x"}
    assert "no subjects" in found.notes[0]


def test_what_is_left_out_of_classes_and_why(tmp_path: Path) -> None:
    names = ("walk/a.mp4", "walk/README.txt", "walk/1/2/3.csv", "top.mp4", "walk/a_depth.mat", "walk/a.jpg")
    touched(tmp_path, *names)
    (tmp_path / "clips.csv").write_text("file,what\na.mp4,walk\n")
    found = scan(Folder(), tmp_path)
    assert files(found) == {"walk_a": {"rgb": "a.mp4"}}
    why = {skipped.file: skipped.why for skipped in found.skipped}
    assert set(why) == {"walk/README.txt", "walk/1/2/3.csv", "top.mp4", "walk/a_depth.mat", "clips.csv"}
    assert why["clips.csv"] == "a table without columns label and rgb, acc, ...: say which they are with --map"
    assert why["walk/1/2/3.csv"] == "deeper than CLASS/SUBJECT/clip"
    assert why["top.mp4"] == "in no folder of a class"
    assert why["walk/a_depth.mat"].startswith("depth that is no video file")


@pytest.mark.parametrize(("one", "other"), [("clip1.mp4", "clip1.avi"), ("clip1.csv", "clip1_acc.csv")])
def test_two_files_of_one_clip(tmp_path: Path, one: str, other: str) -> None:
    touched(tmp_path, f"walk/{one}", f"walk/{other}")
    modality = "rgb" if one.endswith("mp4") else "acc"
    with pytest.raises(DataError, match=f"two files of {modality} for one clip, walk_clip1") as caught:
        scanned(Folder(), tmp_path)
    assert {one, other} == {Path(caught.value.where or "").name, Path(caught.value.found or "").name}


# A table


def scan_table(table: Path, **mapping: str) -> Scan:
    return Folder().scan(list_files(table), ScanOptions(mapping=mapping))


def refused(root: Path, rows: Sequence[str], kind: type[MmtsaError] = DataError, **mapping: str) -> str:
    with pytest.raises((kind, ManyErrors)) as caught:
        scan_table(write_table(root, rows), **mapping)
    return str(caught.value)


MAPPED = {"label": "activity", "rgb": "video_path", "acc": "imu"}
ROWS = [
    "video_path,imu,activity,who,from,to",
    "media/v1.mp4,media/v1.csv,walk,anna,0.5,1.5",
    "media/v2.mp4,,sit,bert,,",
]


def test_a_table_by_its_map(tmp_path: Path) -> None:
    found = scan_table(write_table(tmp_path, ROWS), **MAPPED, subject="who", start="from", end="to")
    first, second = found.recordings
    assert (first.id, first.label, first.subject, first.start_s, first.end_s) == ("v1", "walk", "anna", 0.5, 1.5)
    assert first.columns == {"id": "v1", "label": "walk", "subject": "anna"}
    assert first.paths == {"rgb": tmp_path / "media" / "v1.mp4", "acc": tmp_path / "media" / "v1.csv"}
    assert (second.id, second.start_s, second.end_s, set(second.paths)) == ("v2", None, None, {"rgb"})
    assert found.modalities == {"rgb": ModalitySpec("video"), "acc": ModalitySpec("sensor")}
    assert (found.notes, found.warnings, found.skipped) == ((), (), ())


def test_columns_that_are_not_mapped_are_told(tmp_path: Path) -> None:
    (note,) = scan_table(write_table(tmp_path, ROWS), **MAPPED).notes
    assert note == "columns that are not used: who, from, to; --map takes them"


@pytest.mark.parametrize("name", ["clips.csv", "clips.tsv", "clips.txt"])
@pytest.mark.parametrize(("separator", "encoding"), [(",", "utf-8"), (";", "utf-8-sig"), ("\t", "utf-16")])
def test_a_table_by_its_own_names_in_any_dialect(tmp_path: Path, name: str, separator: str, encoding: str) -> None:
    path = write_table(tmp_path, [], name=name)
    rows = [["id", "rgb", "label", "subject", "session"], ["ä", "media/v1.mp4", "gehen", "1", "2"]]
    path.write_text("\r\n".join(separator.join(row) for row in rows), encoding=encoding)
    (found,) = scan_table(path).recordings
    assert found.columns == {"id": "ä", "label": "gehen", "subject": "1", "session": "2"}


def test_a_directory_with_a_table_at_its_top(tmp_path: Path) -> None:
    write_table(tmp_path, ["rgb,label", "media/v1.mp4,walk"])
    assert [r.id for r in scanned(Folder(), tmp_path)] == ["v1"]
    found = Folder().scan(list_files(tmp_path), ScanOptions(mapping={"label": "label", "acc": "rgb"}))
    assert files(found) == {"v1": {"acc": "v1.mp4"}}


def test_kinds_of_names_that_are_not_usual(tmp_path: Path) -> None:
    rows = ["front,wrist,label", "media/v1.mp4,media/v1.csv,walk"]
    found = scan_table(write_table(tmp_path, rows), label="label", front="front", wrist="wrist")
    assert found.modalities == {"front": ModalitySpec("video"), "wrist": ModalitySpec("sensor")}


def test_a_sensor_in_a_camera_s_video_is_its_telemetry(tmp_path: Path) -> None:
    write_camera_video(tmp_path / "media" / "GX010001.MP4")
    table = write_table(tmp_path, ["file,label", "media/GX010001.MP4,run"], clips=())
    found = scan_table(table, label="label", rgb="file", acc="file", gyro="file")
    specs = found.modalities or {}
    assert {name: spec.variable for name, spec in specs.items()} == {"rgb": None, "acc": "ACCL", "gyro": "GYRO"}
    assert len(read_series(found.recordings[0].paths["gyro"], specs["gyro"]).times) == 1200


def test_paths_lead_where_the_user_says(tmp_path: Path) -> None:
    write_table(tmp_path / "data", [])
    rows = [
        "rgb,label",
        f"{tmp_path / 'data' / 'media' / 'v1.mp4'},a",
        "../data/media/v2.mp4,b",
        r"..\data\media\v1.mp4,c",
    ]
    found = scan_table(write_table(tmp_path / "tables", rows, clips=()))
    assert [(r.id, r.paths["rgb"].parent) for r in found.recordings] == [
        ("v1", tmp_path / "data" / "media"),
        ("v2", tmp_path / "data" / "media"),
        ("v1-2", tmp_path / "data" / "media"),
    ]


def test_ids_are_made_beside_those_that_are_given(tmp_path: Path) -> None:
    rows = ["id,rgb,label", ",media/v1.mp4,a", "V1-2,media/v1.mp4,b", ",media/v1.mp4,c", ",media/v2.mp4,d"]
    assert [r.id for r in scan_table(write_table(tmp_path, rows)).recordings] == ["v1", "V1-2", "v1-3", "v2"]


def test_rows_and_files_that_are_left_out(tmp_path: Path) -> None:
    rows = [
        "rgb,acc,label",
        "media/v1.mp4,gone.csv,walk",
        "media/v2.mp4,,",
        "",
        "lost.mp4,,sit",
        ",,stand",
        f"{'x' * 5000}.mp4,media/v2.csv,sit",
    ]
    found = scan_table(write_table(tmp_path, rows))
    assert files(found) == {"v1": {"rgb": "v1.mp4"}, "v2": {"acc": "v2.csv"}}
    assert [(skipped.file, skipped.why) for skipped in found.skipped] == [
        ("clips.csv, row 2", "no such file (acc)"),
        ("clips.csv, row 3", "no label"),
        ("clips.csv, row 5", "no such file (rgb)"),
        ("clips.csv, row 6", "no file"),
        ("clips.csv, row 7", "no such file (rgb)"),
    ]
    (warning,) = found.warnings
    assert warning.startswith("3 files of clips.csv are not there: gone.csv, lost.mp4, xxx")


def test_no_file_at_all(tmp_path: Path) -> None:
    rows = ["rgb,label", *(f"videos/{number}.mp4,walk" for number in range(5))]
    error = refused(tmp_path / "t", rows)
    assert "clips.csv: none of its 5 files is there" in error
    assert "found videos/0.mp4, videos/1.mp4, videos/2.mp4 and 2 more" in error
    assert f"relative to {tmp_path / 't'}" in error


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a,media/v2.mp4,sit,,", "row 3: id a stands twice; it also stands in row 2"),
        ("b/c,media/v2.mp4,sit,,", "row 3: an id names files of results"),
        (
            "b,media/v2.mp4,sit,soon,",
            "row 3: start is wrong, expected seconds from the beginning of the files, found 'soon'",
        ),
        ("b,media/v2.mp4,sit,-1,", "row 3: start is wrong"),
        ("b,media/v2.mp4,sit,,inf", "row 3: end is wrong"),
        ("b,media/v2.mp4,sit,2,1", "row 3: start is not before end, found start 2, end 1"),
        ("b,media/v2.mp4,sit,,,more", "row 3: too many cells, expected 5, found 6"),
    ],
)
def test_cells_that_are_wrong(tmp_path: Path, row: str, message: str) -> None:
    assert message in refused(tmp_path, ["id,rgb,label,start,end", "a,media/v1.mp4,walk,,", row])


def test_every_wrong_row_is_told_at_once(tmp_path: Path) -> None:
    rows = ["rgb,label,start", *("media/v1.mp4,walk,x" for _ in range(12))]
    error = refused(tmp_path, rows)
    assert "row 2: start is wrong" in error
    assert "row 11: start is wrong" in error
    assert "row 12" not in error
    assert "and 2 more errors" in error


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("rgb,activity", "row 1: no column of labels, found columns rgb, activity; name it: --map label=COLUMN"),
        ("label,video", "row 1: no column of paths, found columns label, video; name it: --map rgb=COLUMN"),
        ("label,rgb,rgb", "rgb stands twice"),
    ],
)
def test_a_table_that_does_not_say_what_it_is(tmp_path: Path, header: str, message: str) -> None:
    table = tmp_path / "t.csv"
    table.write_text(f"{header}\nx,y,z\n")
    with pytest.raises(DataError, match=r"t\.csv") as caught:
        scan_table(table)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"label": "activty", "rgb": "video_path"}, "no column activty in"),
        ({"label": "activty", "rgb": "video_path"}, "did you mean activity?"),
        ({"rgb": "video_path"}, "--map: no column of labels"),
        ({"label": "activity", "subject": "who"}, "--map: no column of paths"),
        ({"label": "activity", "my/cam": "video_path"}, "--map: a modality names files"),
    ],
)
def test_a_map_that_does_not_fit(tmp_path: Path, mapping: dict[str, str], message: str) -> None:
    assert message in refused(tmp_path, ROWS, UsageError, **mapping)


def test_a_map_needs_one_table(tmp_path: Path) -> None:
    touched(tmp_path, "walk/a.mp4")
    with pytest.raises(UsageError, match="--map: no table to map, expected a CSV file"):
        Folder().scan(list_files(tmp_path), ScanOptions(mapping=MAPPED))
    touched(tmp_path, "a.csv", "b.csv")
    with pytest.raises(UsageError, match=r"--map: several tables to map.*found a\.csv, b\.csv"):
        Folder().scan(list_files(tmp_path), ScanOptions(mapping=MAPPED))
