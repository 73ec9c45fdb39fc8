"""The adapter of MMAct: what the maker put into a tree is what is found in it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mmtsa_cli.errors import DataError, UsageError
from mmtsa_cli.recordings.clip import open_clip
from mmtsa_cli.recordings.datasets.adapter import Scan, ScanOptions
from mmtsa_cli.recordings.datasets.mmact import MMAct
from mmtsa_cli.recordings.datasets.mmact_clocks import drift_s
from mmtsa_cli.recordings.datasets.mmact_files import ACTIVITIES, label_of
from mmtsa_cli.recordings.datasets.tree import list_files
from mmtsa_cli.recordings.index import Dataset, Recording, read_index
from mmtsa_cli.recordings.reading import read_series
from tests.trees.archives import pack_tar
from tests.trees.mmact import CLIPS, RATES, Clip, sensor_text, write, write_mmact
from tests.trees.own import content

GOOD = Clip("walking", 1, 1, 1, views=(1, 2))


def scan(root: Path, **options: object) -> Scan:
    return MMAct().scan(list_files(root), ScanOptions(**options))  # type: ignore[arg-type]


def put_in(clips: Sequence[Clip], root: Path) -> dict[str, tuple[str, dict[str, str], dict[str, Path]]]:
    """Return per id what there must be: label, columns, files."""
    wanted = {}
    for clip in clips:
        desk = clip.scene == 3 and clip.activity in ("using_phone", "talking_on_phone")
        label = clip.activity + "_desk" * desk
        sensors = {name: clip.sensor(root, name) for name in clip.sensors}
        for view in clip.views or (None,):
            name = f"s{clip.subject}{f'_c{view}' if view else ''}_sc{clip.scene}_se{clip.session}_{label}"
            columns = {"subject": str(clip.subject), "session": str(clip.session), "scene": str(clip.scene)}
            video = {"rgb": clip.video(root, view)} if view else {}
            wanted[name] = (label, {**columns, "view": str(view or "")}, {**video, **sensors})
    return wanted


def got(recordings: Sequence[Recording]) -> dict[str, tuple[str, dict[str, str], dict[str, Path]]]:
    return {r.id: (r.label, {k: r.columns[k] for k in list(r.columns)[2:]}, dict(r.paths)) for r in recordings}


def series(path: Path, name: str = "acc_phone", time: str = "stamps"):
    return read_series(path, replace(MMAct.modalities[name], timing=time))


@pytest.mark.parametrize("below", ["", "cross_view/trainval"])
def test_what_was_put_in_is_found(tmp_path: Path, below: str) -> None:
    found = scan(write_mmact(tmp_path, videos=below, sensors=below))
    assert got(found.recordings) == put_in(CLIPS, tmp_path / below)
    assert len(found.recordings) == 17
    assert found.skipped == ()
    assert found.warnings == ()


def test_a_performance_is_a_row_a_view_and_its_sensors_are_shared(tmp_path: Path) -> None:
    first, second = scan(write_mmact(tmp_path, clips=[GOOD])).recordings
    assert (first.columns["view"], second.columns["view"]) == ("1", "2")
    assert first.paths["rgb"] != second.paths["rgb"]
    assert all(first.paths[name] == second.paths[name] for name in RATES)
    assert list(first.paths) == ["rgb", "acc_phone", "acc_watch", "gyro", "orientation"]


def test_rows_are_in_the_order_of_numbers(tmp_path: Path) -> None:
    write_mmact(tmp_path, clips=[Clip(subject=subject, views=(1,), sensors=()) for subject in (10, 9, 1)])
    assert [r.subject for r in scan(tmp_path).recordings] == ["1", "9", "10"]


@pytest.mark.parametrize("clip", [clip for clip in CLIPS if clip.views and clip.sensors and not clip.empty])
def test_video_and_sensors_open_as_one_clip(tmp_path: Path, clip: Clip) -> None:
    found = scan(write_mmact(tmp_path, clips=[clip]))
    assert found.modalities is not None
    dataset = Dataset("mmact", tmp_path, found.modalities, found.recordings)
    with open_clip(dataset, found.recordings[0], ["rgb", *clip.sensors]) as opened:
        assert opened.end_s == pytest.approx(clip.performed.duration, abs=0.05)
        assert opened.series["acc_phone"].start_s == pytest.approx(0.0)
        assert opened.series["gyro"].start_s == pytest.approx(0.0)


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("name", list(RATES))
def test_a_sensor_reads_back_with_and_without_header(tmp_path: Path, header: bool, name: str) -> None:
    clip = replace(GOOD, header=header)
    write(tmp_path / "a.csv", sensor_text(clip, name).encode())
    found = series(tmp_path / "a.csv", name)
    np.testing.assert_array_equal(found.values, clip.values(name))
    np.testing.assert_allclose(found.times - found.times[0], np.arange(len(found.times)) / RATES[name], atol=1e-6)
    assert found.rate == RATES[name]


def test_stamps_without_a_fraction_among_others_are_whole_seconds(tmp_path: Path) -> None:
    text = sensor_text(GOOD, "acc_phone")
    lines = text.splitlines()
    assert [line.split(",")[0] for line in lines[49:52]] == [
        "20181016_13:33:45.990",
        "20181016_13:33:46",
        "20181016_13:33:46.010",
    ]
    write(tmp_path / "a.csv", text.encode())
    assert np.diff(series(tmp_path / "a.csv").times) == pytest.approx(0.01, abs=1e-6)
    # A file may begin with one.
    write(tmp_path / "b.csv", "\n".join(lines[50:]).encode())
    assert np.diff(series(tmp_path / "b.csv").times) == pytest.approx(0.01, abs=1e-6)


def test_rows_out_of_order_are_sorted_and_repeated_ones_do_not_shift_the_rest(tmp_path: Path) -> None:
    clip = replace(GOOD, disorder=True)
    write(tmp_path / "a.csv", sensor_text(clip, "acc_phone").encode())
    found, values = series(tmp_path / "a.csv"), clip.values("acc_phone")
    assert np.all(np.diff(found.times) > 0)
    at = found.times - found.times[0]
    for index in (9, 10, 20, 40):
        nearest = int(np.argmin(np.abs(at - index / 100)))
        assert at[nearest] == pytest.approx(index / 100, abs=1e-6)
        np.testing.assert_array_equal(found.values[nearest], values[index])


def test_time_by_stamps_or_by_rate(tmp_path: Path) -> None:
    write_mmact(tmp_path, clips=[replace(GOOD, slow=0.5)])
    path = GOOD.sensor(tmp_path, "acc_watch")
    specs = {time: scan(tmp_path, time=time).modalities for time in ("stamps", "rate")}
    lengths = {time: np.ptp(read_series(path, specs[time]["acc_watch"]).times) for time in specs}  # type: ignore[index]
    rows = len(GOOD.values("acc_watch"))
    assert lengths["stamps"] == pytest.approx((rows - 1) * 0.015, abs=1e-3)
    assert lengths["rate"] == pytest.approx((rows - 1) * 0.010, abs=1e-6)


def test_it_says_how_far_stamps_and_rate_differ(tmp_path: Path) -> None:
    rows = len(GOOD.values("gyro"))
    clips = [replace(GOOD, session=session, slow=0.0 if session < 4 else 0.2) for session in (1, 2, 3, 4)]
    write_mmact(tmp_path, clips=clips)
    worst = f"{0.2 * (rows - 1) / 50:+.3f} s at worst (gyro_clip/subject1/scene1/session4/walking.csv)"
    told = next(note for note in scan(tmp_path).notes if note.startswith("gyro:"))
    assert told.startswith("gyro: the last stamp lies +0.000 s from start + (n - 1) / 50 Hz in the median of 4 files")
    assert worst in told
    assert told.endswith("--time rate believes the rate instead of the stamps")
    assert sum("the last stamp lies" in note for note in scan(tmp_path).notes) == 4


def test_no_more_than_20_files_of_a_sensor_are_opened_for_that(tmp_path: Path) -> None:
    for session in range(30):
        text = sensor_text(GOOD, "gyro") if session % 2 else ""
        write(tmp_path / f"gyro_clip/subject1/scene1/session{session}/walking.csv", text.encode())
    (told,) = [note for note in scan(tmp_path).notes if note.startswith("gyro:")]
    assert "median of 15 files" in told
    for session in range(30):
        write(tmp_path / f"gyro_clip/subject1/scene1/session{session}/walking.csv", sensor_text(GOOD, "gyro").encode())
    (told,) = [note for note in scan(tmp_path).notes if note.startswith("gyro:")]
    assert "median of 20 files" in told


@pytest.mark.parametrize("text", ["", "time,x,y,z\n", "a,b,c,d\n1,2,3,4\n", "20181016_13:33:46,1,2,3\n"])
def test_a_file_that_tells_no_drift(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    assert drift_s(tmp_path / "a.csv", 100.0) is None


def test_names_of_classes(tmp_path: Path) -> None:
    assert len(set(ACTIVITIES)) == 37
    assert label_of("Carrying_light", 1) == "carrying_light"
    assert [label_of("using_phone", scene) for scene in (2, 3)] == ["using_phone", "using_phone_desk"]
    assert [label_of("TALKING_on_phone", scene) for scene in (3, 4)] == ["talking_on_phone_desk", "talking_on_phone"]
    assert label_of("flying", 1) is None


def test_unknown_classes_are_left_out_and_told(tmp_path: Path) -> None:
    strangers = ["subject1/cam1/scene1/session1/wlking.mp4", "gyro_clip/subject1/scene1/session1/Flying.csv"]
    found = scan(write_mmact(tmp_path, clips=[GOOD], strangers=strangers))
    assert len(found.recordings) == 2
    assert sorted((s.file, s.why) for s in found.skipped) == [(name, "no class of MMAct") for name in strangers[::-1]]
    assert found.warnings == (
        f"flying is no class of MMAct: files left out: 1, as {strangers[1]}",
        f"wlking is no class of MMAct: files left out: 1, as {strangers[0]}; did you mean walking?",
    )


def test_other_files_are_passed_over(tmp_path: Path) -> None:
    strangers = [
        "readme.txt",
        "subject1/cam1/scene1/session1/walking.json",
        "pose/subject1/scene1/session1/walking.csv",
    ]
    found = scan(write_mmact(tmp_path, clips=[GOOD], strangers=strangers))
    assert (len(found.recordings), found.skipped) == (2, ())


@pytest.mark.parametrize(
    ("where", "what"),
    [
        ("gyro_clip/subject1/scene1/session1/walking.csv", "two files of gyro for one clip, s1_sc1_se1_walking"),
        ("subject1/cam2/scene1/session1/Walking.mp4", "two files of rgb for one clip, s1_c2_sc1_se1_walking"),
    ],
)
def test_two_files_for_one_clip_are_refused(tmp_path: Path, where: str, what: str) -> None:
    write_mmact(tmp_path, clips=[GOOD], strangers=[f"copy/{where}"])
    with pytest.raises(DataError, match=what) as caught:
        scan(tmp_path)
    assert "copy" in str(caught.value)
    assert str(tmp_path / "gyro_clip" if "gyro" in what else tmp_path / "subject1") in str(caught.value)


def test_the_published_protocols() -> None:
    sides = {name: (split["train"], split["test"]) for name, split in MMAct.protocols.items()}
    assert sides == {
        "cross-subject": ({"subject": [str(i) for i in range(1, 17)]}, {"subject": ["17", "18", "19", "20"]}),
        "cross-session": ({"session": ["1", "2", "3", "4"]}, {"session": ["5"]}),
        "cross-view": ({"view": ["1", "2", "3"]}, {"view": ["4"]}),
        "cross-scene": ({"scene": ["1", "3", "4"]}, {"scene": ["2"]}),
    }


@pytest.mark.parametrize("wanted", ["1", "scene1"])
def test_other_scenes_to_test_on(tmp_path: Path, wanted: str) -> None:
    found = scan(write_mmact(tmp_path), test_scenes=(wanted, "4"))
    assert found.protocols is not None
    split = found.protocols["cross-scene"]
    assert (split["train"], split["test"]) == ({"scene": ["2", "3"]}, {"scene": ["1", "4"]})
    assert list(found.protocols) == list(MMAct.protocols)
    assert scan(tmp_path).protocols is None


@pytest.mark.parametrize(
    ("scenes", "error"),
    [
        (("9",), "--test-scenes: no clip of scene 9, found scenes 1, 2, 3, 4"),
        (("kitchen",), "--test-scenes: not a scene, expected a number, as in 2, found 'kitchen'"),
        (("1", "2", "3", "4"), "--test-scenes: no scene is left to train on, found scenes 1, 2, 3, 4"),
    ],
)
def test_scenes_that_cannot_be_tested_on(tmp_path: Path, scenes: tuple[str, ...], error: str) -> None:
    with pytest.raises(UsageError) as caught:
        scan(write_mmact(tmp_path), test_scenes=scenes)
    assert str(caught.value) == error


def test_the_command_drops_empty_files_and_counts(mmtsa, tmp_path: Path) -> None:
    root, out = write_mmact(tmp_path / "mmact"), tmp_path / "rec"
    write(root / "subject3/cam1/scene1/session1/fall.mp4", b"")
    before = content(root)
    facts = json.loads(mmtsa("prepare", "mmact", root, "-o", out, "--json").stdout)
    assert content(root) == before
    assert facts["recordings"] == 18
    assert facts["files"] == {"rgb": 17, "acc_phone": 16, "acc_watch": 14, "gyro": 16, "orientation": 15}
    assert facts["skipped"] == {"empty (0 bytes)": 1}
    assert facts["skipped_files"][0]["file"] == "acc_watch_clip/subject17/scene2/session5/walking.csv"
    assert any("1 empty videos (0 bytes): subject3/cam1/scene1/session1/fall.mp4" in text for text in facts["warnings"])
    dataset = read_index(out)
    assert "acc_watch" not in {r.id: r for r in dataset.recordings}["s17_c2_sc2_se5_walking"].paths
    assert dataset.modalities["acc_watch"].timing == "stamps"


def test_the_command_with_its_options(mmtsa, tmp_path: Path) -> None:
    root, out = write_mmact(tmp_path / "mmact"), tmp_path / "rec"
    mmtsa("prepare", "mmact", root, "-o", out, "--time", "rate", "--test-scenes", "1,4")
    dataset = read_index(out)
    assert {spec.timing for name, spec in dataset.modalities.items() if name != "rgb"} == {"rate"}
    assert dataset.protocols["cross-scene"]["test"] == {"scene": ["1", "4"]}
    error = mmtsa("prepare", "mmact", root, "-o", tmp_path / "b", "--test-scenes", "9", expect=2).stderr
    assert "--test-scenes: no clip of scene 9" in error
    assert not (tmp_path / "b").exists()


def test_the_sensors_archives_are_unpacked(mmtsa, tmp_path: Path) -> None:
    whole, root, out = write_mmact(tmp_path / "whole", clips=[GOOD]), tmp_path / "mmact", tmp_path / "rec"
    shutil.copytree(whole / "subject1", root / "subject1")
    for name in RATES:
        pack_tar(root / f"{name}_clip.tar.gz", whole, f"{name}_clip")
    facts = json.loads(mmtsa("prepare", "mmact", root, "-o", out, "--unpack", "--json").stdout)
    assert facts["files"] == {"rgb": 2, "acc_phone": 2, "acc_watch": 2, "gyro": 2, "orientation": 2}
    paths = read_index(out).recordings[0].paths
    assert paths["gyro"] == out / "files/gyro_clip/subject1/scene1/session1/walking.csv"
    assert paths["gyro"].read_bytes() == GOOD.sensor(whole, "gyro").read_bytes()
    assert paths["rgb"] == GOOD.video(root, 1)


def test_cameras_that_share_a_sensor_are_no_fault_and_rows_that_repeat_are_left_out(mmtsa, tmp_path: Path) -> None:
    write_mmact(tmp_path / "data")
    mmtsa("prepare", "mmact", tmp_path / "data", "-o", tmp_path / "rec")
    facts = json.loads(mmtsa("check", tmp_path / "rec", "--json", "--jobs", 1, expect=None).stdout)
    assert not [text for text in facts["warnings"] if "the whole file is" in text]
    rows = (tmp_path / "rec" / "index.csv").read_text().splitlines()
    place = rows[0].split(",").index("view")
    same = [",".join("1" if i == place else cell for i, cell in enumerate(row.split(","))) for row in rows[1:]]
    (tmp_path / "rec" / "index.csv").write_text("\n".join([rows[0], *same]) + "\n")
    facts = json.loads(mmtsa("check", tmp_path / "rec", "--json", "--jobs", 1, expect=None).stdout)
    assert [text for text in facts["warnings"] if "the whole file is acc_watch of rows" in text]
