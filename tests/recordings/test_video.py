"""Frames by time: made videos whose frames tell their number, real odd ones, damaged ones, depth."""

from __future__ import annotations

import re
from pathlib import Path

import av
import numpy as np
import pytest
from scipy.io import savemat

from mmtsa_cli.errors import DataError
from mmtsa_cli.recordings import decoding
from mmtsa_cli.recordings.depth import grey_of_depth
from mmtsa_cli.recordings.displayed import _on_one_thread, displayed
from mmtsa_cli.recordings.index import ModalitySpec
from mmtsa_cli.recordings.video_files import open_video
from tests.trees.damaged import blank, cut_off, trim
from tests.trees.utd_mhad import FRAMES, HEIGHT, WIDTH, depth_frames
from tests.trees.videos import level, write_audio, write_video

RGB = ModalitySpec("video")
DEPTH = ModalitySpec("video", depth_range_mm=(2000.0, 2500.0))


def numbers(frames: list[tuple[float, np.ndarray]]) -> list[int]:
    """Return which frame each picture shows."""
    return [round((float(picture.mean()) - level(0)) / 5) for _, picture in frames]


def refused(path: Path, spec: ModalitySpec = RGB) -> str:
    with pytest.raises(DataError) as caught:
        open_video(path, spec)
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi", ".mov"])
@pytest.mark.parametrize("b_frames", ["0", "3"])
@pytest.mark.parametrize("listed", [True, False])
def test_the_frame_shown_at_each_time(
    tmp_path: Path, suffix: str, b_frames: str, listed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not listed:
        monkeypatch.setattr(decoding, "_LISTED_BYTES", 0)
    path = write_video(tmp_path / f"a{suffix}", frames=40, rate=10, options={"g": "8", "bf": b_frames})
    times = [3.95, 0.0, 1.05, 1.0, 2.31, 2.39, 99.0, -1.0, 0.1]
    with open_video(path, RGB) as video:
        frames = video.frames_at(times)
        assert numbers(frames) == [39, 0, 10, 10, 23, 23, 39, 0, 1]
        np.testing.assert_allclose([time for time, _ in frames], [3.9, 0, 1, 1, 2.3, 2.3, 3.9, 0, 0.1], atol=2e-3)
        assert numbers(video.frames_at([0.35])) == [3]
        assert video.info.duration_s == pytest.approx(4.0, abs=0.05)
        assert (video.info.frames, video.info.width, video.info.height) == (40, 64, 48)
        assert video.frames_at([]) == []


def test_every_frame_one_by_one_as_decoded_in_sequence(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", frames=40, rate=25, options={"g": "12"})
    with av.open(str(path)) as container:
        expected = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    with open_video(path, RGB) as video:
        for index in np.random.default_rng(0).permutation(40):
            np.testing.assert_array_equal(video.frames_at([(index + 0.5) / 25])[0][1], expected[index])


def test_grey_video_has_one_channel(tmp_path: Path) -> None:
    with open_video(write_video(tmp_path / "a.mkv", codec="ffv1", grey=True), RGB) as video:
        assert video.info.grey
        (_, picture), *_ = video.frames_at([0.0])
        assert picture.shape == (48, 64)
        assert picture.dtype == np.uint8


@pytest.mark.parametrize("pixels", ["yuv420p", "yuvj420p", "yuv444p", "rgb24", "gray", "gray10le"])
def test_a_picture_is_what_pyav_makes_of_a_frame_by_itself(pixels: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (50, 72, 3), np.uint8)
    frame = av.VideoFrame.from_ndarray(noise, format="rgb24").reformat(format=pixels)
    np.testing.assert_array_equal(
        displayed(frame), frame.to_ndarray(format="gray" if pixels.startswith("gray") else "rgb24")
    )


def test_a_pyav_that_knows_no_threads_converts_too(monkeypatch: pytest.MonkeyPatch) -> None:
    class Older:
        def __init__(self, *size: object) -> None:
            pass

        def reformat(self, *, format: str) -> None:
            raise AssertionError("asked with threads only")

    frame = av.VideoFrame(16, 16, "yuv420p")
    with monkeypatch.context() as patch:
        patch.setattr(av, "VideoFrame", Older)
        _on_one_thread.cache_clear()
        assert _on_one_thread() == {}
        assert displayed(frame).shape == (16, 16, 3)
    _on_one_thread.cache_clear()


def test_an_offset_moves_the_clock(tmp_path: Path) -> None:
    with open_video(write_video(tmp_path / "a.mp4"), RGB) as video:
        video.offset_s = 2.0
        (time, picture), *_ = video.frames_at([2.55])
        assert time == pytest.approx(2.5)
        assert numbers([(time, picture)]) == [5]


def test_what_is_no_video_is_named(tmp_path: Path) -> None:
    (tmp_path / "zero.mp4").touch()
    assert "empty (0 bytes)" in refused(tmp_path / "zero.mp4")
    (tmp_path / "text.mp4").write_text("this is not a video\n" * 50)
    assert "not a readable video, found a text" in refused(tmp_path / "text.mp4")
    write_audio(tmp_path / "audio.mp4")
    assert "no video stream, expected a video, found audio (aac)" in refused(tmp_path / "audio.mp4")
    whole = write_video(tmp_path / "whole.mp4", frames=40).read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    assert "an MP4 without its index, cut off before its end; copy or record it again" in refused(tmp_path / "cut.mp4")
    assert "no such file" in refused(tmp_path / "nothing.mp4")
    assert "a directory" in refused(tmp_path)


@pytest.mark.parametrize("look", ["probe", "scan"])
def test_a_file_cut_off_gives_what_is_there_and_says_what_is_missing(tmp_path: Path, look: str) -> None:
    path = cut_off(write_video(tmp_path / "a.mp4", frames=40), tmp_path / "cut.mp4", 0.7)
    with open_video(path, RGB) as video:
        info = getattr(video, look)()
        assert info.fault is not None
        assert f"{info.frames} of the 40 frames of its header are there" in info.fault
        assert 5 < info.frames < 40
        assert numbers(video.frames_at([0.0, 0.5])) == [0, 5]


def test_a_large_file_cut_off_is_met_at_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "_LISTED_BYTES", 0)
    whole = write_video(tmp_path / "a.mp4", frames=40, options={"g": "4", "bf": "0"})
    with open_video(whole, RGB) as video:
        assert video.probe().fault is None
    with open_video(cut_off(whole, tmp_path / "cut.mp4", 0.6), RGB) as video:
        assert video.info.fault is None
        fault = video.probe().fault
        assert re.match(r"ends at [12]\.\d\d s of the 4\.00 s of its header", fault or "")
        assert video.probe().fault == fault
        assert numbers(video.frames_at([0.0, 0.5])) == [0, 5]


@pytest.mark.parametrize(
    ("first", "last", "probed"),
    [(36, 40, True), (20, 24, True), (0, 0, False), (24, 36, False), (4, 20, False), (39, 40, True)],
)  # fmt: skip
def test_a_probe_meets_what_lies_on_the_way_to_three_frames(
    tmp_path: Path, first: int, last: int, probed: bool
) -> None:
    path = blank(write_video(tmp_path / "a.mp4", frames=40, options={"g": "4", "bf": "0"}), first, last)
    expected = f"{last - first} of 40 frames cannot be decoded, the first at {first / 10:.2f} s" if last else None
    with open_video(path, RGB) as video:
        assert video.probe().fault == (expected if probed else None)
        assert video.probe().fault == (expected if probed else None)
        assert video.scan().fault == expected
        sound = [index for index in range(40) if not first <= index < last]
        assert numbers(video.frames_at([index / 10 for index in sound])) == sound


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi", ".mov"])
@pytest.mark.parametrize("b_frames", ["0", "3"])
@pytest.mark.parametrize("listed", [True, False])
def test_nothing_is_found_in_sound_videos(
    tmp_path: Path, suffix: str, b_frames: str, listed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not listed:
        monkeypatch.setattr(decoding, "_LISTED_BYTES", 0)
    for frames, keys in ((40, "8"), (40, "250"), (1, "8"), (2, "8"), (3, "1")):
        path = write_video(tmp_path / f"a{suffix}", frames=frames, options={"g": keys, "bf": b_frames})
        with open_video(path, RGB) as video:
            assert video.probe().fault is None
            assert numbers(video.frames_at([0.0])) == [0]
            assert video.scan().fault is None


def test_frames_that_were_trimmed_away_are_not_shown(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "a.mp4", frames=40, options={"g": "20", "bf": "0"})
    with open_video(trim(whole, tmp_path / "b.mp4", 1.0), RGB) as video:
        assert (video.info.frames, video.info.duration_s) == (30, pytest.approx(3.0))
        assert (video.probe().fault, video.scan().fault) == (None, None)
        assert numbers(video.frames_at([0.0, 0.45, 2.95])) == [10, 14, 39]


@pytest.mark.data
@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_display_rotation_is_applied(data_root: Path, degrees: int) -> None:
    path = data_root / "video-odd" / f"video_{degrees}.mov"
    with av.open(str(path)) as container:
        stored = next(container.decode(video=0)).to_ndarray(format="rgb24")
    with open_video(path, RGB) as video:
        (_, shown), *_ = video.frames_at([0.0])
        assert (video.info.height, video.info.width) == shown.shape[:2]
    clockwise = {0: 0, 90: 1, 180: 2, 270: 3}[degrees]
    np.testing.assert_array_equal(shown, np.rot90(stored, -clockwise))
    assert shown.shape[:2] == ((568, 320) if degrees in (90, 270) else (320, 568))


@pytest.mark.data
def test_a_damaged_file_gives_its_frames(data_root: Path) -> None:
    with open_video(data_root / "video-odd" / "corrupted.mp4", RGB) as video:
        assert video.info.fault is None
        frames = video.frames_at([i / 10 for i in range(50)])
        assert len(frames) == 50
        assert len({time for time, _ in frames}) == 49
        assert video.info.fault == "1 of 50 frames cannot be decoded, the first at 3.00 s"
        assert video.scan().fault == video.info.fault
        # One key frame: to get to the middle and the last frame, all must be decoded.
        assert video.probe().fault == "1 of 50 frames cannot be decoded, the first at 3.00 s"


@pytest.mark.data
def test_real_videos(data_root: Path) -> None:
    for name, frames, seconds in (("arm-wrestling.mp4", 280, 10.0), ("part_0.mp4", 32, 1.1), ("test.avi", 164, 6.56)):
        with open_video(data_root / "video" / name, RGB) as video:
            assert (video.info.frames, video.info.duration_s) == (frames, pytest.approx(seconds, rel=0.04))
            assert video.probe().fault is None
            assert video.scan().fault is None
            half = video.frames_at([seconds / 2, 0.0])
            assert abs(half[0][0] - seconds / 2) <= 1 / video.info.rate
            assert half[1][0] == 0.0


def test_depth_is_grey_by_distance(tmp_path: Path) -> None:
    savemat(tmp_path / "d.mat", {"d_depth": depth_frames(0)})
    with open_video(tmp_path / "d.mat", DEPTH, duration_s=2.0) as video:
        assert (video.info.frames, video.info.rate, video.info.duration_s) == (FRAMES, FRAMES / 2, 2.0)
        (time, picture), (last_time, last) = video.frames_at([0.5, 9.0])
    assert picture.shape == (HEIGHT, WIDTH)
    assert time == pytest.approx(0.5)
    assert last_time == pytest.approx(1.95)
    assert picture[0, 0] == 0
    assert picture[5, 5] == round(255 - 100 / 500 * 254)
    assert last[5, 5] < picture[5, 5]


def test_depths_at_and_beyond_the_range() -> None:
    depth = np.array([[0, 1, 2000, 2250, 2500, 9000]], dtype=np.uint16)
    assert grey_of_depth(depth, (2000.0, 2500.0)).tolist() == [[0, 255, 255, 128, 1, 1]]


def test_bad_depth_files(tmp_path: Path) -> None:
    savemat(tmp_path / "d.mat", {"d_depth": depth_frames(0)})
    assert "frames without times" in refused(tmp_path / "d.mat", DEPTH)
    assert "spans" in refused(tmp_path / "d.mat", DEPTH)
    savemat(tmp_path / "flat.mat", {"d_iner": np.ones((5, 6))})
    assert "expected one 3-D array: height x width x frames, found d_iner (5x6)" in refused(
        tmp_path / "flat.mat", DEPTH
    )
    savemat(tmp_path / "none.mat", {"d_depth": np.empty((5, 6, 0))})
    assert "found d_depth (5x6x0)" in refused(tmp_path / "none.mat", ModalitySpec("video", rate=10))
    named = ModalitySpec("video", rate=10, variable="depth")
    assert "no variable depth" in refused(tmp_path / "d.mat", named)


@pytest.mark.data
def test_real_depth(data_root: Path) -> None:
    spec = ModalitySpec("video", variable="d_depth", depth_range_mm=(2000.0, 3600.0))
    with open_video(data_root / "utd-mhad" / "Depth" / "a22_s1_t1_depth.mat", spec, duration_s=3.48) as video:
        assert (video.info.width, video.info.height, video.info.frames) == (320, 240, 66)
        (_, picture), *_ = video.frames_at([1.7])
    person = picture[picture > 0]
    assert 0.02 < person.size / picture.size < 0.2
    assert 60 < np.median(person) < 200
