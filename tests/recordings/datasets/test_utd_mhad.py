"""The adapter of UTD-MHAD, on its own layout and on the real files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mmtsa_cli.errors import DataError
from mmtsa_cli.recordings.clip import open_clip
from mmtsa_cli.recordings.datasets.utd_mhad import ACTIONS, UtdMhad
from mmtsa_cli.recordings.index import Dataset
from tests.contracts.dataset import scanned
from tests.trees.utd_mhad import colour_frames, inertial, write_utd_mhad


@pytest.mark.parametrize("flat", [True, False])
def test_recordings_are_found_in_folders_and_in_one(tmp_path: Path, flat: bool) -> None:
    write_utd_mhad(tmp_path, actions=(1, 10, 2), subjects=(1, 8), trials=(1, 2), flat=flat, colour=True)
    found = scanned(UtdMhad(), tmp_path)
    assert len(found) == 12
    assert [r.id for r in found[:5]] == ["a1_s1_t1", "a1_s1_t2", "a1_s8_t1", "a1_s8_t2", "a2_s1_t1"]
    assert {r.label for r in found} == {"swipe_left", "swipe_right", "draw_circle_counter_clockwise"}
    assert found[2].columns == {"id": "a1_s8_t1", "label": "swipe_left", "subject": "8", "trial": "1"}
    assert set(found[0].paths) == {"rgb", "depth", "acc", "gyro"}
    assert found[0].paths["acc"] == found[0].paths["gyro"]


def test_both_sensors_and_videos_open_as_one_clip(tmp_path: Path) -> None:
    adapter = UtdMhad()
    recordings = tuple(scanned(adapter, write_utd_mhad(tmp_path, colour=True)))
    dataset = Dataset("utd-mhad", tmp_path, adapter.modalities, recordings)
    clip = open_clip(dataset, recordings[0], ["rgb", "depth", "acc", "gyro"])
    assert clip.end_s == pytest.approx(2.0, abs=0.01)
    assert clip.series["acc"].values.shape == clip.series["gyro"].values.shape == (100, 3)
    assert clip.videos["depth"].info.rate == pytest.approx(20)


def test_the_clip_holds_what_the_maker_put_in(tmp_path: Path) -> None:
    adapter = UtdMhad()
    recordings = tuple(scanned(adapter, write_utd_mhad(tmp_path, colour=True)))
    dataset = Dataset("utd-mhad", tmp_path, adapter.modalities, recordings)
    with open_clip(dataset, recordings[2], ["rgb", "acc", "gyro"]) as clip:
        np.testing.assert_array_equal(clip.series["acc"].values, inertial(2, 1, 1)[:, :3])
        np.testing.assert_array_equal(clip.series["gyro"].values, inertial(2, 1, 1)[:, 3:])
        (time, picture), (_, last) = clip.videos["rgb"].frames_at([0.0, 1.95])
    assert time == 0.0
    # MPEG-4 keeps little colour at this size: the greys are compared.
    for seen, number in ((picture, 0), (last, 29)):
        assert grey_difference(seen, colour_frames(2, 1, 1)[number]) < 4
        assert grey_difference(seen, colour_frames(2, 2, 1)[number]) > 8


def grey_difference(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one.mean(axis=2) - other.mean(axis=2)).mean())


def test_colour_is_read_where_it_is_and_depth_where_it_is_asked_for(mmtsa, tmp_path: Path) -> None:
    root = write_utd_mhad(tmp_path / "utd", colour=True)
    (root / "RGB" / "a1_s1_t1_color.avi").unlink()
    chosen = ("--modalities", "rgb,acc,gyro", "--json")
    facts = json.loads(mmtsa("prepare", "utd-mhad", root, "-o", tmp_path / "rec", *chosen).stdout)
    assert facts["files"] == {"rgb": 3, "acc": 4, "gyro": 4}
    chosen = ("--modalities", "depth,imu", "--json")
    facts = json.loads(mmtsa("prepare", "utd-mhad", root, "-o", tmp_path / "depth", *chosen).stdout)
    assert facts["files"] == {"depth": 4, "acc": 4, "gyro": 4}


def test_a_trial_without_a_file_of_one_kind(tmp_path: Path) -> None:
    write_utd_mhad(tmp_path)
    (tmp_path / "Depth" / "a1_s1_t1_depth.mat").unlink()
    first, *others = scanned(UtdMhad(), tmp_path)
    assert set(first.paths) == {"acc", "gyro"}
    assert all("depth" in other.paths for other in others)


def test_other_names_are_passed_over_and_doubles_refused(tmp_path: Path) -> None:
    write_utd_mhad(tmp_path)
    for name in ("a28_s1_t1_depth.mat", "a1_s1_t1_skeleton.mat", "notes.txt"):
        (tmp_path / name).touch()
    assert len(scanned(UtdMhad(), tmp_path)) == 4
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "a1_s1_t1_depth.mat").touch()
    with pytest.raises(DataError, match="two files of depth for one clip, a1_s1_t1"):
        scanned(UtdMhad(), tmp_path)


def test_protocols_are_the_published_ones() -> None:
    split = UtdMhad.protocols["cross-subject"]
    assert split["train"] == {"subject": ["1", "3", "5", "7"]}
    assert split["test"] == {"subject": ["2", "4", "6", "8"]}
    assert UtdMhad.protocols["leave-one-subject-out"]["leave_one_out"] == "subject"
    assert len(set(ACTIONS)) == 27


@pytest.mark.data
def test_the_real_files(data_root: Path) -> None:
    found = scanned(UtdMhad(), data_root / "utd-mhad")
    assert len(found) == 646
    assert {r.subject for r in found} == set("123456")
    assert {r.label for r in found} == set(ACTIONS)
    assert all(set(r.paths) == {"depth", "acc", "gyro"} for r in found)


@pytest.mark.data
@pytest.mark.parametrize("name", ["a1_s1_t1", "a22_s4_t2", "a27_s6_t4"])
def test_a_real_trial_is_one_clip_in_g_and_degrees(data_root: Path, name: str) -> None:
    adapter = UtdMhad()
    recordings = tuple(scanned(adapter, data_root / "utd-mhad"))
    dataset = Dataset("utd-mhad", data_root / "utd-mhad", adapter.modalities, recordings)
    recording = next(recording for recording in recordings if recording.id == name)
    with open_clip(dataset, recording, ["depth", "acc", "gyro"]) as clip:
        assert 107 / 50 <= clip.end_s <= 326 / 50
        assert 11 <= clip.videos["depth"].info.rate <= 21.5
        assert np.linalg.norm(clip.series["acc"].values, axis=1).mean() == pytest.approx(1.1, abs=0.3)
        assert np.abs(clip.series["gyro"].values).max() > 20
