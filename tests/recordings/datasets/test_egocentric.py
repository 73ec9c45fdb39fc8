"""The adapter of Multimodal Egocentric Activity, on its own layout and on the real sensors."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mmtsa_cli.errors import DataError
from mmtsa_cli.recordings.clip import open_clip
from mmtsa_cli.recordings.datasets.egocentric import ACTIVITIES, Egocentric
from mmtsa_cli.recordings.index import Dataset, read_index
from mmtsa_cli.sampling.protocols import resolve
from tests.contracts.dataset import scan, scanned
from tests.trees.egocentric import rows, write_egocentric

SENSORS = {
    "acc": (0, 3),
    "gravity": (3, 6),
    "gyro": (6, 9),
    "linear_acc": (9, 12),
    "magnetic": (12, 15),
    "rotation": (15, 19),
}


def dataset_of(root: Path) -> Dataset:
    return Dataset("egocentric", root, Egocentric.modalities, tuple(scanned(Egocentric(), root)))


@pytest.mark.parametrize("folders", [("sensor", "video"), (".", "."), ("download/txt", "clips/batch 2")])
def test_clips_are_found_in_any_folders(tmp_path: Path, folders: tuple[str, str]) -> None:
    write_egocentric(tmp_path, activities=(20, 1), sequences=(2, 10), folders=folders)
    found = scanned(Egocentric(), tmp_path)
    assert [r.id for r in found] == ["act01seq02", "act01seq10", "act20seq02", "act20seq10"]
    assert [r.label for r in found] == ["walking", "walking", "cycling", "cycling"]
    assert found[1].columns == {"id": "act01seq10", "label": "walking", "subject": "", "sequence": "10"}
    assert list(found[0].paths) == ["rgb", *SENSORS]
    assert len(set(found[0].paths.values())) == 2


def test_the_nineteen_columns_are_six_sensors(tmp_path: Path) -> None:
    dataset = dataset_of(write_egocentric(tmp_path, videos=False))
    for recording, key in zip(dataset.recordings, [(1, 1), (1, 2), (2, 1), (2, 2)], strict=True):
        with open_clip(dataset, recording, tuple(SENSORS)) as clip:
            assert clip.end_s == pytest.approx(len(rows(*key)) / 10)
            for name, (first, last) in SENSORS.items():
                np.testing.assert_allclose(clip.series[name].values, rows(*key)[:, first:last], atol=1e-6)


def test_a_row_that_repeats_is_a_sample_like_the_others(tmp_path: Path) -> None:
    dataset = dataset_of(write_egocentric(tmp_path, videos=False))
    with open_clip(dataset, dataset.recordings[0], ["acc"]) as clip:
        same = np.all(np.diff(clip.series["acc"].values, axis=0) == 0, axis=1)
        assert np.flatnonzero(same).tolist() == [6]
        np.testing.assert_allclose(np.diff(clip.series["acc"].times), 0.1)


def test_video_and_sensors_open_as_one_clip(tmp_path: Path) -> None:
    dataset = dataset_of(write_egocentric(tmp_path))
    with open_clip(dataset, dataset.recordings[0], ["rgb", *SENSORS]) as clip:
        # 19 rows at 10 Hz and 29 frames at 15 Hz.
        assert clip.end_s == pytest.approx(1.9)
        assert clip.spans["rgb"] == pytest.approx((0.0, 29 / 15), abs=1e-3)


def test_without_videos_it_is_an_index_of_sensors(mmtsa, tmp_path: Path) -> None:
    root = write_egocentric(tmp_path / "data", videos=False)
    facts = json.loads(mmtsa("prepare", "egocentric", root, "-o", tmp_path / "rec", "--json").stdout)
    assert (facts["recordings"], facts["of_the_whole"], facts["labels"]) == (4, "4 of 200", 2)
    assert facts["files"] == dict.fromkeys(SENSORS, 4)
    assert facts["not_found"] == ["rgb"]
    assert [(row["protocol"], row["clips"]) for row in facts["protocols"]] == [("leave-one-sequence-out", "2 folds")]
    read = read_index(tmp_path / "rec")
    assert list(read.modalities) == list(SENSORS)
    assert read.modalities["rotation"].columns == (16, 17, 18, 19)
    assert read.default_protocol == "leave-one-sequence-out"
    mmtsa("check", tmp_path / "rec", "--jobs", 1)


def test_a_video_without_sensors_is_a_recording(tmp_path: Path) -> None:
    write_egocentric(tmp_path)
    (tmp_path / "sensor" / "act02seq01.csv").unlink()
    assert {r.id: len(r.paths) for r in scanned(Egocentric(), tmp_path)} == {
        "act01seq01": 7,
        "act01seq02": 7,
        "act02seq01": 1,
        "act02seq02": 7,
    }


def test_other_names_are_passed_over_and_doubles_refused(tmp_path: Path) -> None:
    write_egocentric(tmp_path)
    (tmp_path / "sensor" / "act21seq01.csv").write_text("1,2\n")
    (tmp_path / "sensor" / "act01seq01.txt").write_text("1,2\n")
    found = scan(Egocentric(), tmp_path)
    assert len(found.recordings) == 4
    assert [(s.file, s.why) for s in found.skipped] == [("sensor/act21seq01.csv", "no activity of 1 to 20")]
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "act1seq1.mp4").write_bytes(b"")
    with pytest.raises(DataError, match="two files of rgb for one clip, act01seq01"):
        scan(Egocentric(), tmp_path)


def test_labels_are_the_twenty_in_their_order() -> None:
    assert len(set(ACTIVITIES)) == 20
    assert ACTIVITIES[11:14] == ("making_phone_calls", "working_at_pc", "reading")


@pytest.mark.data
def test_the_real_sensors(data_root: Path) -> None:
    dataset = dataset_of(data_root / "mm-egocentric")
    found = dataset.recordings
    assert len(found) == 140
    assert {r.label for r in found} == set(ACTIVITIES)
    assert {r.columns["sequence"] for r in found} == set("1234567")
    assert all(list(r.paths) == list(SENSORS) for r in found)
    default = Egocentric.default_protocol
    folds = resolve(None, [r.columns for r in found], published=Egocentric.protocols, default=default).folds
    assert [fold.name for fold in folds] == [f"sequence-{number}" for number in range(1, 8)]
    assert all((len(fold.train), len(fold.test)) == (120, 20) for fold in folds)


@pytest.mark.data
@pytest.mark.parametrize("name", ["act01seq01", "act12seq07", "act17seq03", "act20seq07"])
def test_a_real_clip_has_the_units_that_are_said(data_root: Path, name: str) -> None:
    dataset = dataset_of(data_root / "mm-egocentric")
    recording = next(r for r in dataset.recordings if r.id == name)
    with open_clip(dataset, recording, tuple(SENSORS)) as clip:
        assert 14.6 <= clip.end_s <= 15.3
        values = {sensor: clip.series[sensor].values for sensor in SENSORS}
    norms = {sensor: np.linalg.norm(its, axis=1) for sensor, its in values.items()}
    assert norms["acc"].mean() == pytest.approx(9.8, abs=2.0)
    np.testing.assert_allclose(norms["gravity"], 9.807, atol=0.02)
    np.testing.assert_allclose(norms["rotation"], 1.0, atol=0.01)
    felt, moved = (values["acc"] - values["gravity"]).ravel(), values["linear_acc"].ravel()
    assert np.corrcoef(felt, moved)[0, 1] > 0.9
    assert 20 < np.median(norms["magnetic"]) < 120
