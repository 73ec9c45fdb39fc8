"""Clips: several clocks brought onto one, and the part that all cover."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from mmtsa_cli.errors import DataError
from mmtsa_cli.recordings.clip import Clip, open_clip
from mmtsa_cli.recordings.index import Dataset, ModalitySpec, Recording
from mmtsa_cli.recordings.series import resample
from tests.trees.own import sensor_text
from tests.trees.utd_mhad import depth_frames
from tests.trees.videos import level, write_video

EPOCH = 1657534605.0
SENSOR = ModalitySpec("sensor")


def clip_of(specs: dict[str, ModalitySpec], paths: dict[str, Path], *names: str, **row: float) -> Clip:
    recording = Recording("r", "walk", {"subject": "1"}, paths, **row)
    return open_clip(Dataset("d", Path(), specs, (recording,)), recording, names or tuple(paths))


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return write_video(tmp_path / "a.mp4", frames=20, rate=10)


def sensor(path: Path, **settings: float) -> Path:
    path.write_text(sensor_text(**settings))
    return path


def test_the_overlap_is_the_clip_and_the_rest_is_told(tmp_path: Path, video: Path) -> None:
    paths = {"rgb": video, "acc": sensor(tmp_path / "a.csv", seconds=1.2, start=0.5)}
    with clip_of({"rgb": ModalitySpec("video"), "acc": SENSOR}, paths) as clip:
        assert (clip.start_s, clip.end_s) == (0.0, pytest.approx(1.2))
        assert clip.series["acc"].times[0] == pytest.approx(0.0)
        # Second 0 of the clip is second 0.5 of the video.
        (time, picture), *_ = clip.videos["rgb"].frames_at([0.05])
        assert time == pytest.approx(0.0, abs=1e-6)
        assert round(float(picture.mean())) == pytest.approx(level(5), abs=1)
        assert clip.notes == ["rgb 2.00 s, acc 1.20 s: 0.80 s of rgb unused"]
        assert clip.spans["rgb"] == (pytest.approx(-0.5), pytest.approx(1.5))


def test_absolute_clocks_keep_their_distance_whichever_are_read(tmp_path: Path) -> None:
    phone = sensor(tmp_path / "phone.csv", seconds=3, start=EPOCH)
    watch = sensor(tmp_path / "watch.csv", seconds=3, start=EPOCH + 0.4)
    specs = {"acc_phone": SENSOR, "acc_watch": SENSOR}
    paths = {"acc_phone": phone, "acc_watch": watch}
    clip = clip_of(specs, paths)
    assert clip.end_s == pytest.approx(2.6, abs=1e-3)
    # Column x counts from the start of each file: at one moment the watch is 0.4 s behind.
    both = [resample(clip.series[name], 50, start_s=0.5, end_s=1.5)[:, 0] for name in specs]
    np.testing.assert_allclose(both[0] - both[1], 0.4, atol=1e-3)
    # The row's seconds count from the earliest stamp of the recording, also where the phone is not asked for.
    alone = clip_of(specs, paths, "acc_watch", start_s=1.0, end_s=2.0)
    assert alone.end_s == pytest.approx(1.0)
    assert resample(alone.series["acc_watch"], 50, start_s=0, end_s=0.02)[0, 0] == pytest.approx(0.6, abs=1e-3)


def test_offset_and_origin(tmp_path: Path, video: Path) -> None:
    late = sensor(tmp_path / "late.csv", start=1000.0)
    specs = {"rgb": ModalitySpec("video"), "acc": SENSOR}
    with pytest.raises(DataError) as caught:
        clip_of(specs, {"rgb": video, "acc": late})
    message = str(caught.value)
    assert "recording r: its modalities do not overlap in time" in message
    assert "rgb 0.000 to 2.000 s, acc 1000.000 to 1002.000 s" in message
    assert "origin" in message
    first = {**specs, "acc": ModalitySpec("sensor", origin="first")}
    assert clip_of(first, {"rgb": video, "acc": late}).end_s == pytest.approx(2.0, abs=0.01)
    moved = {**specs, "acc": ModalitySpec("sensor", offset_s=-999.5)}
    assert clip_of(moved, {"rgb": video, "acc": late}).end_s == pytest.approx(1.5, abs=0.01)


def test_the_row_cuts_and_gaps_outside_do_not_matter(tmp_path: Path) -> None:
    text = sensor_text(seconds=2) + "".join(sensor_text(seconds=1, start=60).splitlines(keepends=True)[1:])
    (tmp_path / "a.csv").write_text(text)
    specs, paths = {"acc": SENSOR}, {"acc": tmp_path / "a.csv"}
    with pytest.raises(DataError, match=r"row 102: timestamps jump for 58\.02"):
        clip_of(specs, paths)
    clip = clip_of(specs, paths, start_s=0.5, end_s=1.5)
    assert clip.end_s == pytest.approx(1.0)
    np.testing.assert_allclose(resample(clip.series["acc"], 50, start_s=0, end_s=1)[:, 0], 0.5 + np.arange(50) / 50)
    with pytest.raises(DataError, match=r"do not cover 90\.000 to 99\.000 s"):
        clip_of(specs, paths, start_s=90, end_s=99)
    (tmp_path / "b.csv").write_text(sensor_text(seconds=2))
    longer = clip_of(specs, {"acc": tmp_path / "b.csv"}, start_s=1, end_s=5)
    assert longer.notes == ["the index asks for 1.000 to 5.000 s, the files cover 0.000 to 2.000 s"]


def test_depth_spans_its_sensor(tmp_path: Path) -> None:
    savemat(tmp_path / "d.mat", {"d_depth": depth_frames(1)})
    specs = {"depth": ModalitySpec("video", spans="acc", depth_range_mm=(2000.0, 2500.0)), "acc": SENSOR}
    paths = {"depth": tmp_path / "d.mat", "acc": sensor(tmp_path / "a.csv", seconds=2, start=3)}
    clip = clip_of(specs, paths)
    assert clip.end_s == pytest.approx(2.0)
    assert clip.videos["depth"].info.rate == pytest.approx(20.0)
    assert clip_of(specs, paths, "depth").end_s == pytest.approx(2.0)


def test_a_modality_that_was_not_recorded(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="recording r: gyro not recorded, expected a file of each modality, found acc"):
        clip_of({"acc": SENSOR, "gyro": SENSOR}, {"acc": tmp_path / "a.csv"}, "acc", "gyro")


@pytest.mark.data
def test_phone_and_watch_of_a_real_execution(data_root: Path) -> None:
    spec = ModalitySpec("sensor", columns=("x_acc", "y_acc", "z_acc"))
    folder = data_root / "sp-sw-har" / "DATA" / "s02"
    paths = {"acc_phone": folder / "s02_02_sp.csv", "acc_watch": folder / "s02_02_sw.csv"}
    clip = clip_of({"acc_phone": spec, "acc_watch": spec}, paths)
    phone, watch = (resample(clip.series[name], 50, start_s=0, end_s=clip.end_s) for name in paths)
    assert phone.shape == watch.shape
    # Turning and walking shake both at the same moments.
    energy = [np.abs(np.diff(np.linalg.norm(each, axis=1))) for each in (phone, watch)]
    smooth = [np.convolve(each, np.ones(50) / 50, "same") for each in energy]
    assert np.corrcoef(smooth)[0, 1] > 0.5
