"""The offsets of recordings' clocks: put in, found, written, and taken for what they are where nothing is known."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from mmtsa_cli.errors import UsageError
from mmtsa_cli.recordings.clip import open_whole
from mmtsa_cli.recordings.index import read_index
from mmtsa_cli.stages import prepare
from mmtsa_cli.stages.sync import SyncResult, run, write_offsets
from tests.trees.own import content, sensor_text, write_rows
from tests.trees.utd_mhad import write_utd_mhad
from tests.trees.videos import write_video

LATE = {"acc_phone": 2.0, "acc_watch": -2.0, "gyro": 0.7, "orientation": 0.0}


def row_of(result: SyncResult, modality: str) -> dict[str, Any]:
    (row,) = [row for row in result.rows if row["modality"] == modality]
    return row


def shifted(source: Path, target: Path, late: dict[str, float], *, mix: int = 0) -> Path:
    """Copy the index of recordings, stamps of sensors late; `mix`: sensors of the recording that many rows on."""
    dataset = read_index(source)
    lines = [",".join(["id", "label", "subject", *dataset.modalities])]
    for number, recording in enumerate(dataset.recordings):
        other = dataset.recordings[(number + mix) % len(dataset.recordings)]
        files = [str(recording.paths["rgb"].absolute())]
        for name, seconds in late.items():
            path = target / name / f"{recording.id}.csv"
            path.parent.mkdir(parents=True, exist_ok=True)
            with other.paths[name].open() as stream:
                rows = list(csv.reader(stream))
            rows[1:] = [[f"{float(row[0]) + seconds:.4f}", *row[1:]] for row in rows[1:]]
            path.write_text("\n".join(",".join(row) for row in rows) + "\n")
            files.append(str(path.relative_to(target)))
        lines.append(",".join([recording.id, recording.label, recording.subject, *files]))
    described = (source / "dataset.yaml").read_text()
    return write_rows(target, "\n".join(lines) + "\n", description=described)


@pytest.fixture(scope="module")
def late(synthetic: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips of 4 s whose sensors are up to 2 s late or early."""
    return shifted(synthetic, tmp_path_factory.mktemp("late") / "rec", LATE)


@pytest.fixture(scope="module")
def estimated(late: Path) -> SyncResult:
    return run(late, limit=56, jobs=1)


@pytest.mark.parametrize("modality", list(LATE))
def test_offsets_of_up_to_two_seconds_are_found(estimated: SyncResult, modality: str) -> None:
    row = row_of(estimated, modality)
    assert row["verdict"] == "reliable"
    assert row["offset_s"] == pytest.approx(-LATE[modality], abs=0.03)
    assert row["low_s"] <= row["offset_s"] <= row["high_s"] <= row["low_s"] + 0.1
    assert (row["reference"], row["recordings"], row["left_out"]) == ("rgb", 56, 0)
    assert row["confidence"] > 0.9
    assert 0 <= row["spread_s"] < 0.1
    own = [one for one in estimated.recordings if one["modality"] == modality]
    assert len({one["id"] for one in own}) == 56
    assert np.median([abs(one["offset_s"] + LATE[modality]) for one in own]) < 0.03
    assert estimated.drifts == []


def test_the_limit_takes_recordings_evenly_and_progress_is_told(late: Path) -> None:
    told: list[tuple[int, int]] = []
    result = run(late, modalities=["gyro"], limit=8, progress=lambda done, total: told.append((done, total)))
    assert told == [(done, 8) for done in range(1, 9)]
    assert [row["modality"] for row in result.rows] == ["gyro"]
    assert len({one["id"].partition("_")[0] for one in result.recordings}) == 4


def test_several_processes_find_the_same(late: Path, eager_processes: None) -> None:
    assert run(late, modalities=["acc"], limit=6, jobs=2) == run(late, modalities=["acc"], limit=6, jobs=1)


def test_offsets_are_written_and_nothing_else_changes(late: Path, estimated: SyncResult) -> None:
    before = yaml.safe_load((late / "dataset.yaml").read_text())
    written = write_offsets(late, estimated)
    after = yaml.safe_load((late / "dataset.yaml").read_text())
    # What agrees already, as far as the interval tells, is left alone.
    assert written.keys() == LATE.keys() - {"orientation"}
    assert written["acc_phone"] == pytest.approx(-2.0, abs=0.03)
    for name in written:
        assert after["modalities"][name].pop("offset_s") == pytest.approx(written[name])
    assert after == before
    assert "ceilings" in after
    assert not list(late.glob(".*"))
    again = run(late, limit=28, jobs=1)
    assert all(abs(row["offset_s"]) < 0.03 for row in again.rows)
    # What is there is added to.
    twice = write_offsets(late, estimated)
    assert twice["acc_phone"] == pytest.approx(2 * written["acc_phone"], abs=1e-3)
    (late / "dataset.yaml").write_text(yaml.safe_dump(before))


def test_video_with_the_sensors_of_others_is_not_believed(synthetic: Path, tmp_path: Path) -> None:
    mixed = shifted(synthetic, tmp_path / "rec", {name: 0.0 for name in LATE}, mix=5)
    result = run(mixed, limit=56, jobs=1)
    for row in result.rows:
        assert row["verdict"] == "uncertain: recordings that do not belong together agree equally well"
        assert row["confidence"] < 0.7
    before = (mixed / "dataset.yaml").read_bytes()
    with pytest.raises(
        UsageError, match=r"dataset\.yaml: no offset is reliable, nothing written, found acc_phone uncert"
    ):
        write_offsets(mixed, result)
    assert (mixed / "dataset.yaml").read_bytes() == before


def test_what_does_not_move_gives_no_offset(tmp_path: Path) -> None:
    # Frames of one grey, getting lighter: no motion.
    write_video(tmp_path / "a.mp4", frames=40)
    (tmp_path / "a.csv").write_text(sensor_text(4))
    write_rows(tmp_path, "id,label,subject,rgb,acc\na,rest,1,a.mp4,a.csv\n")
    row = row_of(run(tmp_path), "acc")
    assert row["verdict"] == "uncertain: nothing moves, or the times do not overlap"
    assert (row["offset_s"], row["low_s"], row["high_s"], row["confidence"]) == (0.0, -3.0, 3.0, 0.0)


def test_a_damaged_recording_is_left_out_and_counted(synthetic: Path, tmp_path: Path) -> None:
    target = shifted(synthetic, tmp_path / "rec", {name: 0.0 for name in LATE})
    dataset = read_index(target)
    dataset.recordings[0].paths["gyro"].write_text("time,x,y,z\n0,1,2,nonsense\n")
    dataset.recordings[1].paths["acc_watch"].unlink()
    row = row_of(run(target, limit=None, modalities=["gyro", "acc_watch"], jobs=1), "gyro")
    assert (row["recordings"], row["left_out"], row["verdict"]) == (110, 2, "reliable")
    for recording in dataset.recordings:
        recording.paths["gyro"].write_text("nothing")
    row = row_of(run(target, limit=4, modalities=["gyro"], jobs=1), "gyro")
    assert (row["recordings"], row["left_out"], row["verdict"]) == (0, 4, "uncertain: no recording can be read")


def swinging(seconds: float, seed: int, *, late_s: float = 0.0) -> str:
    """Return the CSV of a sensor that swings irregularly; every sensor of one seed is on one limb."""
    times = np.arange(round(seconds * 50)) / 50
    pace = np.interp(times, np.arange(0, seconds + 2), np.random.default_rng(seed).uniform(0.4, 1.4, int(seconds) + 2))
    angle = np.sin(2 * np.pi * np.cumsum(pace) / 50)
    values = np.gradient(angle, times) + np.random.default_rng(seed + 1000).normal(0, 0.05, len(times))
    return "time,x\n" + "".join(f"{time + late_s:.3f},{value:.4f}\n" for time, value in zip(times, values, strict=True))


def write_long(root: Path, *, count: int = 3, cuts: int = 1, late_s: float = 0.5) -> Path:
    """Write recordings of 70 s with two gyroscopes, each cut into rows of the index."""
    root.mkdir(parents=True, exist_ok=True)
    rows = ["id,label,subject,start,end,one,two"]
    for number in range(count):
        (root / f"one{number}.csv").write_text(swinging(70, number))
        (root / f"two{number}.csv").write_text(swinging(70, number, late_s=late_s))
        for cut in range(cuts):
            rows.append(f"r{number}_{cut},walk,1,{5 * cut},{5 * cut + 5},one{number}.csv,two{number}.csv")
    spec = "{kind: sensor, unit: rad/s}"
    return write_rows(root, "\n".join(rows) + "\n", description=f"modalities:\n  one: {spec}\n  two: {spec}\n")


def test_recordings_cut_out_of_one_file_count_once_and_whole(tmp_path: Path) -> None:
    result = run(write_long(tmp_path, cuts=9))
    row = row_of(result, "two")
    assert (row["reference"], row["recordings"], row["verdict"]) == ("one", 3, "reliable")
    assert row["offset_s"] == pytest.approx(-0.5, abs=0.01)
    assert [one["id"] for one in result.recordings] == ["r0_0", "r1_0", "r2_0"]
    # Only files of a minute and more say something of drift: the cuts are 5 s.
    assert [drift["id"] for drift in result.drifts] == ["r0_0", "r1_0", "r2_0"]
    assert all(abs(drift["ms_per_minute"]) < 2 and drift["confidence"] > 0.8 for drift in result.drifts)


def test_a_dataset_without_description_gets_one(tmp_path: Path) -> None:
    rows = ["id,label,subject,gyro,acc"]
    for number in range(8):
        (tmp_path / f"g{number}.csv").write_text(swinging(10, number))
        (tmp_path / f"a{number}.csv").write_text(swinging(10, number, late_s=1.0))
        rows.append(f"r{number},walk,1,g{number}.csv,a{number}.csv")
    write_rows(tmp_path, "\n".join(rows) + "\n")
    result = SyncResult([reliable("acc", -1.0)], [], [])
    assert write_offsets(tmp_path, result) == {"acc": -1.0}
    assert yaml.safe_load((tmp_path / "dataset.yaml").read_text())["modalities"] == {
        "gyro": {"kind": "sensor"},
        "acc": {"kind": "sensor", "offset_s": -1.0},
    }
    assert read_index(tmp_path).modalities["acc"].offset_s == -1.0


def reliable(modality: str, offset_s: float, half_s: float = 0.02) -> dict[str, Any]:
    bounds = {"low_s": offset_s - half_s, "high_s": offset_s + half_s}
    return {"modality": modality, "offset_s": offset_s, **bounds, "verdict": "reliable"}


def test_clocks_that_agree_leave_the_description_as_it_is(tmp_path: Path) -> None:
    tree = write_utd_mhad(tmp_path / "utd", subjects=(1,))
    target = prepare.run("utd-mhad", tree, tmp_path / "rec").output
    before = content(target)
    assert write_offsets(target, SyncResult([reliable("acc", 0.01), reliable("gyro", -0.02)], [], [])) == {}
    assert content(target) == before


def test_frames_that_are_spread_over_a_sensor_do_not_move_with_it(tmp_path: Path) -> None:
    tree = write_utd_mhad(tmp_path / "utd", subjects=(1,))
    target = prepare.run("utd-mhad", tree, tmp_path / "rec").output
    names = ("depth", "acc", "gyro")

    def starts() -> dict[str, float]:
        dataset = read_index(target)
        with open_whole(dataset, dataset.recordings[0], names) as clip:
            return {name: clip.spans[name][0] - clip.spans["depth"][0] for name in names}

    before = starts()
    found = [reliable("acc", 0.08), reliable("gyro", 0.1)]
    assert write_offsets(target, SyncResult(found, [], [])) == {"depth": -0.08, "acc": 0.08, "gyro": 0.1}
    after = starts()
    assert after["acc"] - before["acc"] == pytest.approx(0.08)
    assert after["gyro"] - before["gyro"] == pytest.approx(0.1)


def test_the_files_may_lie_elsewhere_now(tmp_path: Path) -> None:
    write_long(tmp_path / "old", count=1)
    moved = write_rows(tmp_path / "index", (tmp_path / "old" / "index.csv").read_text())
    (moved / "dataset.yaml").write_text((tmp_path / "old" / "dataset.yaml").read_text())
    assert row_of(run(moved), "two")["left_out"] == 1
    assert row_of(run(moved, root=tmp_path / "old"), "two")["recordings"] == 1


def test_one_modality_alone_cannot_be_compared(tmp_path: Path) -> None:
    root = write_rows(tmp_path, "id,label,subject,acc,gyro\na,walk,1,a.csv,\nb,walk,1,,b.csv\n")
    with pytest.raises(UsageError, match="no recording has two modalities to compare, expected acc together with gyro"):
        run(root)
    with pytest.raises(UsageError, match="--max-shift: out of range, expected above 0, up to 60 s, found 0"):
        run(root, max_shift_s=0)


def write_phone_and_watch(root: Path, data: Path, *, watch_offset_s: float = 0.0) -> Path:
    """Write an index over the real files of sp-sw-har, the watch's stamps moved."""
    rows = ["id,label,subject,acc_phone,acc_watch"]
    for phone in sorted(data.glob("sp-sw-har/DATA/s*/*_sp.csv")):
        watch = phone.with_name(phone.name.replace("_sp", "_sw"))
        rows.append(f"{phone.stem},tug,{phone.parent.name},{phone},{watch}")
    axes = "kind: sensor, unit: m/s^2, columns: [x_acc, y_acc, z_acc], time: timestamp"
    described = f"  acc_phone: {{{axes}}}\n  acc_watch: {{{axes}, offset_s: {watch_offset_s}}}\n"
    return write_rows(root, "\n".join(rows) + "\n", description=f"modalities:\n{described}")


@pytest.mark.data
def test_real_phone_and_watch_are_found_to_50_ms(data_root: Path, tmp_path: Path) -> None:
    as_they_are = row_of(run(write_phone_and_watch(tmp_path / "0", data_root)), "acc_watch")
    assert (as_they_are["recordings"], as_they_are["verdict"]) == (45, "reliable")
    assert abs(as_they_are["offset_s"]) < 0.05
    for put_in in (-1.5, 0.37, 1.5):
        root = write_phone_and_watch(tmp_path / str(put_in), data_root, watch_offset_s=put_in)
        row = row_of(run(root), "acc_watch")
        assert row["verdict"] == "reliable"
        assert row["offset_s"] == pytest.approx(as_they_are["offset_s"] - put_in, abs=0.05)


@pytest.mark.data
def test_real_depth_and_inertial_are_nearly_in_step(data_root: Path, tmp_path: Path) -> None:
    target = prepare.run("utd-mhad", data_root / "utd-mhad", tmp_path / "rec").output
    for row in run(target, limit=108).rows:
        assert (row["reference"], row["recordings"], row["verdict"]) == ("depth", 108, "reliable")
        assert row["offset_s"] == pytest.approx(0.09, abs=0.03)
