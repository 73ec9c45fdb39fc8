"""The adapter of GoPro cameras: labels by folder, chapters, what is left out, and the real file."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from mmtsa_cli.errors import DataError
from mmtsa_cli.recordings.clip import open_clip
from mmtsa_cli.recordings.datasets.gopro import GoPro
from mmtsa_cli.recordings.index import Dataset, read_index
from mmtsa_cli.sampling.store import Store
from tests.contracts.dataset import scan, scanned
from tests.trees.gopro import acc, gyro, packets, write_camera_video, write_gopro
from tests.trees.own import content
from tests.trees.videos import write_video


def test_one_file_is_a_recording_of_three_modalities(tmp_path: Path) -> None:
    found = scanned(GoPro(), write_gopro(tmp_path))
    assert [(r.id, r.label) for r in found] == [
        ("sit_GX010002", "sit"),
        ("walk_GX010001", "walk"),
        ("walk_GX020001", "walk"),
    ]
    assert {name: path.name for name, path in found[0].paths.items()} == {
        "rgb": "GX010002.MP4",
        "acc": "GX010002.MP4",
        "gyro": "GX010002.MP4",
    }
    dataset = Dataset("gopro", tmp_path, GoPro.modalities, tuple(found))
    with open_clip(dataset, found[0], ["rgb", "acc", "gyro"]) as clip:
        assert clip.end_s == pytest.approx(3.0, abs=0.02)
        assert clip.series["acc"].values[:, 2] == pytest.approx(9.81, abs=2e-3)
        assert clip.series["gyro"].values[:, 0] == pytest.approx(1.0, abs=1e-3)


def test_chapters_share_their_session(tmp_path: Path) -> None:
    for name in ("GOPR0007.MP4", "GP010007.MP4", "GH010008.MP4", "renamed.MP4"):
        write_camera_video(tmp_path / "walk" / name)
    found = scan(GoPro(), tmp_path)
    assert {r.id: r.columns["session"] for r in found.recordings} == {
        "walk_GH010008": "walk/0008",
        "walk_GOPR0007": "walk/0007",
        "walk_GP010007": "walk/0007",
        "walk_renamed": "",
    }
    assert "chapters of one recording are a row each and share their session" in found.notes


def test_folders_of_the_camera_are_no_activity(tmp_path: Path) -> None:
    write_camera_video(tmp_path / "DCIM" / "100GOPRO" / "GX010001.MP4")
    write_camera_video(tmp_path / "GX010001.MP4")
    write_camera_video(tmp_path / "day1" / "run" / "GX010001.MP4")
    found = scan(GoPro(), tmp_path)
    assert {r.id: r.label for r in found.recordings} == {
        "DCIM_100GOPRO_GX010001": "unlabelled",
        "GX010001": "unlabelled",
        "day1_run_GX010001": "run",
    }
    (warning,) = found.warnings
    assert warning.startswith("2 videos are unlabelled")
    assert "index.csv" in warning
    assert "`folder` with a table" in warning


def test_what_is_left_out_and_why(tmp_path: Path) -> None:
    write_camera_video(tmp_path / "walk" / "GX010001.MP4", packets([acc()]))
    write_camera_video(tmp_path / "walk" / "map.mp4", packets([acc().__class__("GPS9", 10.0, gyro().values)]))
    write_video(tmp_path / "walk" / "phone.mp4")
    (tmp_path / "walk" / "text.mp4").write_text("no video")
    (tmp_path / "walk" / "empty.mp4").touch()
    first, *others = packets([acc()])
    write_camera_video(tmp_path / "walk" / "torn.mp4", [first.replace(b"SCALs\2", b"SCALs\xff"), *others])
    for name in ("GL010001.LRV", "GX010001.THM", "GS010001.360", "photo.JPG"):
        (tmp_path / "walk" / name).touch()
    found = scan(GoPro(), tmp_path)
    assert [(r.id, tuple(r.paths)) for r in found.recordings] == [("walk_GX010001", ("rgb", "acc"))]
    assert {skipped.file.removeprefix("walk/"): skipped.why for skipped in found.skipped} == {
        "GL010001.LRV": "preview of a video",
        "GX010001.THM": "thumbnail of a video",
        "GS010001.360": "two pictures of half a sphere: export it as MP4 with its telemetry",
        "empty.mp4": "empty (0 bytes)",
        "map.mp4": "no accelerometer or gyroscope in its telemetry",
        "phone.mp4": "no telemetry track",
        "text.mp4": "not a readable video",
        "torn.mp4": "damaged telemetry",
    }


def test_axes_that_the_camera_does_not_tell_are_told(tmp_path: Path) -> None:
    write_camera_video(tmp_path / "walk" / "a.mp4", packets([acc(name="")], model="Dashcam"))
    found = scan(GoPro(), tmp_path)
    assert found.warnings[0].startswith("1 videos, the first walk/a.mp4: the camera does not say which axis is which")
    assert found.notes == ("cameras: Dashcam",)


def test_a_unit_of_its_own_is_kept(tmp_path: Path) -> None:
    write_camera_video(tmp_path / "walk" / "a.mp4", packets([acc(unit=b"g"), gyro()]))
    modalities = scan(GoPro(), tmp_path).modalities or {}
    assert (modalities["acc"].unit, modalities["gyro"].unit) == ("g", "rad/s")


def test_two_files_of_one_clip(mmtsa, tmp_path: Path) -> None:
    root = tmp_path / "data"
    write_camera_video(root / "walk" / "GX010001.MP4")
    shutil.copy(root / "walk" / "GX010001.MP4", root / "walk" / "GX010001.mov")
    with pytest.raises(DataError, match="two files of rgb for one clip, walk/GX010001"):
        scanned(GoPro(), root)
    before = content(tmp_path)
    error = mmtsa("prepare", "gopro", root, "-o", tmp_path / "rec", expect=1).stderr
    assert "GX010001.mov: two files of rgb for one clip, walk/GX010001" in error
    assert "GX010001.MP4; take one of them away" in error
    assert content(tmp_path) == before
    # A copy that an editor made without the telemetry is no second recording.
    write_video(root / "walk" / "GX010001.mov")
    assert len(scanned(GoPro(), root)) == 1


def test_another_dataset_is_told_by_what_is_there(mmtsa, tmp_path: Path) -> None:
    (tmp_path / "data" / "walk").mkdir(parents=True)
    write_video(tmp_path / "data" / "walk" / "phone.mp4")
    before = content(tmp_path)
    error = mmtsa("prepare", "gopro", tmp_path / "data", "-o", tmp_path / "rec", expect=1).stderr
    assert "no recordings of gopro" in error
    assert "expected *.MP4 or *.MOV as the camera wrote them" in error
    assert "found 1 x no telemetry track" in error
    assert content(tmp_path) == before


def test_prepared_checked_and_sampled(mmtsa, tmp_path: Path) -> None:
    rec, samples = tmp_path / "rec", tmp_path / "samples"
    facts = json.loads(mmtsa("prepare", "gopro", write_gopro(tmp_path / "cards"), "-o", rec, "--json").stdout)
    assert facts["files"] == {"rgb": 3, "acc": 3, "gyro": 3}
    assert facts["sessions"] == 2
    assert facts["skipped"] == {"preview of a video": 1}
    assert read_index(rec).modalities["gyro"].variable == "GYRO"
    assert json.loads(mmtsa("check", rec, "--json").stdout)["errors"] == []
    mmtsa("sample", rec, "-o", samples, "--segments", 2, "--window", 1.0)
    store = Store(samples)
    assert len(store) == 3
    assert store.header.modalities["acc"].channels == ("x", "y", "z")
    assert store.header.modalities["gyro"].unit == "rad/s"
    assert store.series("acc", 0)[:, 2] == pytest.approx(9.81, abs=2e-3)
    assert len(store.series("gyro", 0)) == pytest.approx(1200, abs=2)


def test_a_packet_that_is_damaged_later_is_told_by_check(mmtsa, tmp_path: Path) -> None:
    first, second, third = packets([acc(), gyro()])
    at = second.index(b"GYRO") + 6
    torn = second[:at] + b"\xff\xff" + second[at + 2 :]
    write_camera_video(tmp_path / "cards" / "walk" / "GX010001.MP4", [first, torn, third])
    write_camera_video(tmp_path / "cards" / "walk" / "GX010002.MP4")
    mmtsa("prepare", "gopro", tmp_path / "cards", "-o", tmp_path / "rec")
    outcome = mmtsa("check", tmp_path / "rec", expect=1)
    assert "GX010001.MP4, telemetry at 1.00 s: damaged telemetry" in outcome.stdout + outcome.stderr
    facts = json.loads(mmtsa("check", tmp_path / "rec", "--json", expect=1).stdout)
    assert facts["sound"] == 1


@pytest.mark.data
def test_the_real_file_from_prepare_to_samples(mmtsa, data_root: Path, tmp_path: Path) -> None:
    rec = tmp_path / "rec"
    outcome = mmtsa("prepare", "gopro", data_root / "gopro", "-o", rec, "--json")
    facts = json.loads(outcome.stdout)
    assert facts["files"] == {"rgb": 1, "acc": 1, "gyro": 1}
    assert [row["label"] for row in facts["by_label"]] == ["unlabelled"]
    assert "1 videos are unlabelled" in outcome.stderr
    checked = json.loads(mmtsa("check", rec, "--json").stdout)
    assert checked["errors"] == []
    assert checked["sound"] == 1
    mmtsa("sample", rec, "-o", tmp_path / "samples", "--segments", 4, "--window", 2.0)
    store = Store(tmp_path / "samples")
    assert store.header.modalities["acc"].rate == pytest.approx(198.6, rel=5e-3)
    assert store.duration_s(0) == pytest.approx(12.07, abs=0.03)
    assert np.linalg.norm(store.series("acc", 0), axis=1).mean() == pytest.approx(9.81, abs=0.1)
