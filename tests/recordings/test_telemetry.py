"""GoPro's telemetry: its bytes, which axis is which, when each sample was taken, and whole files."""

from __future__ import annotations

import contextlib
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmtsa_cli.errors import DataError
from mmtsa_cli.recordings.gpmf import Block, Item, blocks, items, numbers, values
from mmtsa_cli.recordings.gpmf_axes import oriented
from mmtsa_cli.recordings.index import ModalitySpec
from mmtsa_cli.recordings.packet_clock import Packets, sample_times
from mmtsa_cli.recordings.reading import read_raw, read_series
from mmtsa_cli.recordings.telemetry import open_telemetry, sensors_of
from mmtsa_cli.recordings.video_files import open_video
from tests.trees.gopro import acc, device, gyro, klv, nest, packets, text, write_camera_video
from tests.trees.videos import write_video

ACC, GYRO = ModalitySpec("sensor", variable="ACCL"), ModalitySpec("sensor", variable="GYRO")


def stream(*parts: bytes) -> bytes:
    return device(nest("STRM", b"".join(parts)))


def the_block(*parts: bytes) -> Block:
    (found,) = blocks(stream(*parts), where="f")
    return found


SHORTS = klv("ACCL", "s", 6, struct.pack(">6h", 1, 2, 3, 4, 5, -6))


# The bytes


@pytest.mark.parametrize(
    ("kind", "code", "sent"),
    [
        ("b", ">3b", (-128, 0, 127)),
        ("B", ">3B", (0, 1, 255)),
        ("s", ">3h", (-32768, 0, 32767)),
        ("S", ">3H", (0, 1, 65535)),
        ("l", ">3l", (-(2**31), 0, 2**31 - 1)),
        ("L", ">3L", (0, 1, 2**32 - 1)),
        ("f", ">3f", (-1.5, 0.25, 8.0)),
        ("d", ">3d", (-1.1, 0.0, 1e300)),
        ("J", ">3Q", (0, 1, 2**40)),
    ],
)
def test_numbers_of_every_type(kind: str, code: str, sent: tuple[float, ...]) -> None:
    (item,) = items(klv("DATA", kind, struct.calcsize(code), struct.pack(code, *sent)), where="f")
    assert numbers(item, where="f").tolist() == [list(sent)]


def test_items_are_padded_to_four_bytes_and_zeros_end_them() -> None:
    data = klv("AAAA", "B", 1, b"\1") + klv("BBBB", "c", 3, b"xyz") + klv("CCCC", "L", 4, b"") + bytes(8)
    found = list(items(data, where="f"))
    assert [(item.key, item.type, item.size, item.count, item.data) for item in found] == [
        ("AAAA", "B", 1, 1, b"\1"),
        ("BBBB", "c", 3, 1, b"xyz"),
        ("CCCC", "L", 4, 0, b""),
    ]


def test_one_scale_for_all_axes_and_one_for_each() -> None:
    one = the_block(klv("SCAL", "s", 2, struct.pack(">h", 2)), SHORTS)
    assert values(one, where="f").tolist() == [[0.5, 1, 1.5], [2, 2.5, -3]]
    each = the_block(klv("SCAL", "l", 4, struct.pack(">3l", 1, 2, 3)), SHORTS)
    assert values(each, where="f").tolist() == [[1, 1, 1], [4, 2.5, -2]]
    assert values(the_block(SHORTS), where="f").tolist() == [[1, 2, 3], [4, 5, -6]]


def test_samples_in_several_items_are_one_series() -> None:
    assert values(the_block(SHORTS, SHORTS), where="f").shape == (4, 3)
    with pytest.raises(DataError, match="ACCL changes its number of axes"):
        values(the_block(SHORTS, klv("ACCL", "s", 4, bytes(4))), where="f")


@pytest.mark.parametrize(
    ("scale", "shown"),
    [((0,), r"\[0.0\]"), ((1, 2), r"\[1.0, 2.0\]"), ((1, 0, 1), r"\[1.0, 0.0, 1.0\]")],
)
def test_a_scale_that_fits_nothing(scale: tuple[int, ...], shown: str) -> None:
    block = the_block(klv("SCAL", "s", 2, struct.pack(f">{len(scale)}h", *scale)), SHORTS)
    with pytest.raises(DataError, match=f"clip.mp4: ACCL has no usable scale.*one for each of 3 axes.*{shown}"):
        values(block, where="clip.mp4")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"ACCLs\x06\xff\xff" + bytes(12), "ACCL of 393210 bytes where 12 are left"),
        (b"\x01\x02\x03\x04s\x02\x00\x00", "expected a key of four letters"),
        (b"ACCL", "expected a key of four letters"),
    ],
)
def test_bytes_that_are_no_items(data: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        list(items(data, where="f"))


@pytest.mark.parametrize(("kind", "size"), [("?", 6), ("#", 6), ("c", 6), ("s", 3), ("s", 0)])
def test_samples_that_are_no_numbers(kind: str, size: int) -> None:
    with pytest.raises(DataError, match=f"DATA of type '[{kind}]' with {size} bytes a sample"):
        numbers(Item("DATA", kind, size, 1, bytes(size)), where="f")


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_damage_of_any_kind_is_an_error_of_ours(data: st.DataObject) -> None:
    (sound,) = packets([acc(0.02, extra=orientation("YxZ"), stamped=True)], seconds=1.0)
    spoilt = bytearray(sound)
    for _ in range(data.draw(st.integers(1, 4))):
        spoilt[data.draw(st.integers(0, len(sound) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(DataError):
        for block in blocks(bytes(spoilt), where="f"):
            names, found = oriented(block, values(block, where="f"), where="f")
            assert found.shape[1] == len(names)
            assert found.size <= len(sound)


# The axes

ROW = np.array([[1.0, 2.0, 3.0]])


def axes(*properties: bytes, model: str = "Camera") -> tuple[tuple[str, ...], list[float]]:
    (block,) = blocks(device(nest("STRM", b"".join((*properties, SHORTS))), model=model), where="f")
    names, found = oriented(block, ROW, where="f")
    return names, found[0].tolist()


def orientation(order: str) -> bytes:
    return klv("ORIN", "c", 1, order.encode())


@pytest.mark.parametrize(
    ("properties", "model", "xyz"),
    [
        ([orientation("YxZ")], "HERO9 Black", [-2, 1, 3]),
        ([orientation("zXY")], "HERO9 Black", [2, 3, -1]),
        ([orientation("XYZ"), text("STNM", "Gyroscope (z,x,y)")], "Hero6 Black", [1, 2, 3]),
        ([text("STNM", "Accelerometer (up/down, right/left, forward/back)")], "Hero6 Black", [-2, 1, 3]),
        ([], "Fusion", [2, -1, 3]),
        ([], "HERO5 Black", [2, 3, 1]),
        ([text("STNM", "Accelerometer (up/down, right/left, forward/back)")], "Camera", [2, 3, 1]),
        ([text("STNM", "Gyroscope (z,x,y)")], "Camera", [2, 3, 1]),
        ([text("STNM", "Gyroscope (-y, x, z)")], "Camera", [2, -1, 3]),
    ],
)
def test_axes_as_the_camera_says_them(properties: list[bytes], model: str, xyz: list[float]) -> None:
    assert axes(*properties, model=model) == (("x", "y", "z"), xyz)


def test_a_matrix_of_calibration_gives_the_order_that_goes_out() -> None:
    out = klv("ORIO", "c", 1, b"ZXY")
    matrix = klv("MTRX", "f", 36, struct.pack(">9f", 0.5, 0, 0, 0, 0, 2, 0, 1, 0))
    assert axes(orientation("XYZ"), out, matrix) == (("x", "y", "z"), [6, 2, 0.5])
    turn = klv("MTRX", "f", 36, struct.pack(">9f", 0, 0, 1, -1, 0, 0, 0, 1, 0))
    assert axes(orientation("YxZ"), out, turn) == (("x", "y", "z"), [-2, 1, 3])


@pytest.mark.parametrize("said", [[], [text("STNM", "Accelerometer")], [orientation("XYY")], [orientation("ABC")]])
def test_axes_that_nothing_tells_stay_in_order(said: list[bytes]) -> None:
    assert axes(*said) == (("axis1", "axis2", "axis3"), [1, 2, 3])


# The clock


def clock(
    counts: list[int],
    *,
    starts: list[float] | None = None,
    before: list[float] | None = None,
    stamps: list[float] | None = None,
    end: float | None = None,
) -> np.ndarray:
    begin = np.arange(len(counts), dtype=float) if starts is None else np.asarray(starts)
    unknown = np.full(len(counts), np.nan)
    return sample_times(
        Packets(
            begin,
            np.asarray(counts),
            begin[-1] + 1 if end is None else end,
            unknown if before is None else np.asarray(before, dtype=float),
            unknown if stamps is None else np.asarray(stamps),
        )
    )


def test_the_rate_is_that_of_all_packets_and_even() -> None:
    times = clock([196, 201, 199, 202, 198, 200, 200, 5])
    assert np.ptp(np.diff(times)) < 1e-9
    assert 1 / np.diff(times).mean() == pytest.approx(199.5, rel=5e-3)
    assert times[0] == pytest.approx(0, abs=0.02)


def test_the_length_of_the_last_packet_is_not_believed() -> None:
    assert clock([200, 200, 14], end=3.0)[-1] == pytest.approx(2 + 13 / 200)
    assert clock([100], end=0.5).tolist() == pytest.approx((np.arange(100) / 200).tolist())


def test_a_later_chapter_goes_on_counting() -> None:
    assert clock([200] * 3, before=[7000, 7200, 7400]) == pytest.approx(np.arange(600) / 200)


def test_lost_samples_leave_a_gap() -> None:
    times = clock([200, 200, 200], starts=[0, 1, 4], before=[0, 200, 800])
    assert times[400] == pytest.approx(4.0)
    assert np.diff(times).max() == pytest.approx(2.0 + 1 / 200)


def test_a_count_that_contradicts_the_packets_is_not_believed() -> None:
    assert clock([200] * 3, before=[500, 0, 200]) == pytest.approx(np.arange(600) / 200)


def test_packets_on_no_line_are_spread_each_over_its_own_time() -> None:
    times = clock([200, 200, 200, 200], starts=[0, 1, 9, 10])
    assert times[200] == pytest.approx(1)
    assert times[400] == pytest.approx(9)
    assert times[399] < 3.0
    assert np.all(np.diff(times) > 0)


def test_stamps_of_the_camera_are_finer_than_the_packets_but_not_above_them() -> None:
    true = np.array([0.03, 1.03, 2.03])
    assert clock([200] * 3, starts=[0, 1.02, 1.99], stamps=true.tolist())[0] == pytest.approx(0.03)
    assert clock([200] * 3, stamps=[0, 100, 200])[-1] == pytest.approx(3 - 1 / 200)


# Whole files


def test_content_times_and_axes_come_back(tmp_path: Path) -> None:
    path = write_camera_video(tmp_path / "GX010001.MP4")
    found = read_series(path, ACC)
    assert found.channels == ("x", "y", "z")
    assert found.rate == pytest.approx(200)
    assert found.clock == "relative"
    assert found.times == pytest.approx(np.arange(600) / 200)
    assert found.values[:, 0] == pytest.approx(found.times, abs=2e-3)
    assert found.values[:, 1] == pytest.approx(2 * found.times, abs=2e-3)
    assert found.values[:, 2] == pytest.approx(9.81, abs=2e-3)
    turning = read_series(path, GYRO)
    assert turning.rate == pytest.approx(400)
    assert turning.values[:, 2] == pytest.approx(turning.times, abs=2e-4)
    assert sensors_of(path)["GYRO"].unit == "rad/s"


def test_columns_may_be_chosen(tmp_path: Path) -> None:
    path = write_camera_video(tmp_path / "a.mov")
    spec = ModalitySpec("sensor", variable="ACCL", columns=("z",))
    assert read_raw(path, spec).values.ravel() == pytest.approx(9.81, abs=2e-3)


@pytest.mark.parametrize(("late", "first_frame", "start"), [(0.25, 0.0, 0.25), (0.0, 0.5, -0.5), (0.5, 0.5, 0.0)])
def test_second_zero_is_the_first_frame(tmp_path: Path, late: float, first_frame: float, start: float) -> None:
    path = write_camera_video(tmp_path / "a.mp4", late_s=late, first_frame_s=first_frame)
    assert read_raw(path, ACC).times[0] == pytest.approx(start, abs=1e-3)
    with open_video(path, ModalitySpec("video")) as video:
        assert video.info.frames == 30


def test_a_video_shorter_than_a_packet(tmp_path: Path) -> None:
    path = write_camera_video(tmp_path / "a.mp4", packets([acc(0.5)], seconds=0.5), seconds=0.5)
    found = read_series(path, ACC)
    assert (len(found.times), found.rate) == (100, pytest.approx(200))


def test_stamps_of_the_camera_in_a_file(tmp_path: Path) -> None:
    path = write_camera_video(tmp_path / "a.mp4", packets([acc(stamped=True), gyro(stamped=True)]), packet_s=1.001)
    assert read_series(path, ACC).rate == pytest.approx(200)
    assert write_camera_video(tmp_path / "b.mp4", packet_s=1.001)
    assert read_series(tmp_path / "b.mp4", ACC).rate == pytest.approx(200 / 1.001)


def test_a_lost_packet_is_a_gap(tmp_path: Path) -> None:
    first, _, third = packets([acc()])
    # Two packets of 2 s by the index, of which the second holds what was counted from 400 on.
    path = write_camera_video(tmp_path / "a.mp4", [first, third], packet_s=2.0)
    assert np.diff(read_raw(path, ACC).times).max() == pytest.approx(1.0, abs=0.01)
    with pytest.raises(DataError, match=r"a.mp4, ACCL at 2\.000 s.*gap"):
        read_series(path, ACC)


def test_only_the_first_device_with_a_sensor_is_read(tmp_path: Path) -> None:
    other = acc().__class__("ACCL", 4.0, np.full((12, 3), 50.0))
    payloads = [
        packet + device(other.block(second, second + 1), model="Drone", number=2)
        for second, packet in enumerate(packets([acc()]))
    ]
    found = read_series(write_camera_video(tmp_path / "a.mp4", payloads), ACC)
    assert len(found.times) == 600
    assert found.values.max() < 10


def test_a_damaged_packet_is_told_with_its_time(tmp_path: Path) -> None:
    first, second, third = packets([acc(), gyro()])
    at = second.index(b"ACCL") + 6
    path = write_camera_video(tmp_path / "a.mp4", [first, second[:at] + b"\xff\xff" + second[at + 2 :], third])
    message = r"a\.mp4, telemetry at 1\.00 s: damaged telemetry.*found ACCL of 393210 bytes where 1200 are left"
    with pytest.raises(DataError, match=message):
        read_raw(path, ACC)


@pytest.mark.parametrize(
    ("left", "samples", "message"),
    [
        (2.0, 400, None),
        (1.5, None, r"a\.mp4, telemetry at 1\.00 s: damaged telemetry, expected items inside each other, found DEVC"),
        (0.0, None, r"a\.mp4: no telemetry track"),
    ],
)
def test_a_copy_that_was_cut_off(tmp_path: Path, left: float, samples: int | None, message: str | None) -> None:
    payloads = packets([acc()])
    path = write_camera_video(tmp_path / "a.mp4", payloads, index_first=True)
    assert len(read_raw(path, ACC).times) == 600
    kept = int(left * len(payloads[0]))
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - sum(map(len, payloads)) + kept)
    if message is None:
        assert len(read_raw(path, ACC).times) == samples
    else:
        with pytest.raises(DataError, match=message):
            read_raw(path, ACC)


def test_a_camera_that_changes_its_axes_is_refused(tmp_path: Path) -> None:
    first, second = packets([acc(2.0)], seconds=2.0)
    path = write_camera_video(tmp_path / "a.mp4", [first, second.replace(b"up/down", b"sideway")], seconds=2.0)
    with pytest.raises(DataError, match=r"telemetry at 1\.00 s: ACCL changes its axes, expected x, y, z"):
        read_raw(path, ACC)


def test_what_is_no_telemetry(tmp_path: Path) -> None:
    plain = write_video(tmp_path / "plain.mp4")
    for spec in (ACC, ModalitySpec("sensor")):
        with pytest.raises(DataError, match=r"plain\.mp4: no telemetry track, expected a GoPro's own MP4"):
            read_raw(plain, spec)
    both = write_camera_video(tmp_path / "both.mp4")
    with pytest.raises(
        DataError, match=r"both\.mp4: several sensors in its telemetry, expected one, found ACCL, GYRO; say which"
    ):
        read_raw(both, ModalitySpec("sensor"))
    with pytest.raises(DataError, match=r"both\.mp4: no ACCEL in its telemetry; did you mean ACCL\?"):
        read_raw(both, ModalitySpec("sensor", variable="ACCEL"))
    single = write_camera_video(tmp_path / "single.mp4", packets([gyro()]))
    assert open_telemetry(single, None).key == "GYRO"
    # As a camera leaves it whose battery ran out: all the data, and no index.
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(both.read_bytes()[:-4000])
    with pytest.raises(DataError, match=r"cut\.mp4: not a readable video, expected a GoPro's MP4, found Invalid data"):
        read_raw(cut, ACC)
    (tmp_path / "empty.mp4").touch()
    with pytest.raises(DataError, match="empty"):
        read_raw(tmp_path / "empty.mp4", ACC)


# The real file


@pytest.fixture
def karma(data_root: Path) -> Path:
    return data_root / "gopro" / "karma.mp4"


@pytest.mark.data
@pytest.mark.parametrize(("spec", "count", "rate"), [(ACC, 2397, 198.6), (GYRO, 4795, 397.2)])
def test_the_real_file(karma: Path, spec: ModalitySpec, count: int, rate: float) -> None:
    found = read_series(karma, spec)
    assert found.values.shape == (count, 3)
    assert found.channels == ("x", "y", "z")
    assert found.rate == pytest.approx(rate, rel=5e-3)
    with open_video(karma, ModalitySpec("video")) as video:
        assert found.start_s == pytest.approx(0, abs=0.05)
        assert found.end_s == pytest.approx(video.info.duration_s, abs=0.05)


@pytest.mark.data
def test_gravity_in_the_real_file(karma: Path) -> None:
    found = read_series(karma, ACC)
    assert np.linalg.norm(found.values, axis=1).mean() == pytest.approx(9.81, abs=0.1)
    # A camera below a drone hangs upright.
    assert found.values.mean(axis=0)[2] == pytest.approx(9.81, abs=1.0)


@pytest.mark.data
def test_a_copy_without_its_end_is_refused(karma: Path, tmp_path: Path) -> None:
    copy = shutil.copy(karma, tmp_path / "half.mp4")
    with Path(copy).open("r+b") as file:
        file.truncate(2_000_000)
    with pytest.raises(DataError, match=r"half\.mp4: not a readable video"):
        read_raw(Path(copy), ACC)
