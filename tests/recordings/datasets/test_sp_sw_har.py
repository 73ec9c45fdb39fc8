"""The adapter of sp-sw-har, on its own layout and on the real files."""

from __future__ import annotations

import csv
import json
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from mmtsa_cli.errors import DataError
from mmtsa_cli.recordings.clip import open_clip
from mmtsa_cli.recordings.datasets.sp_sw_har import SpSwHar
from mmtsa_cli.recordings.index import Dataset, Recording, read_index
from tests.contracts.dataset import scan, scanned
from tests.trees.sp_sw_har import HEADER, LATE_MS, PHASES, WATCH_LATER_MS, file_text, stamps_ms, values, write_sp_sw_har

ALL = ("acc_phone", "gyro_phone", "acc_watch", "gyro_watch")


def dataset_of(root: Path) -> Dataset:
    return Dataset("sp-sw-har", root, SpSwHar.modalities, tuple(scanned(SpSwHar(), root)))


def of_execution(recordings: tuple[Recording, ...] | list[Recording], name: str) -> list[Recording]:
    return [recording for recording in recordings if recording.id.startswith(name)]


def test_a_recording_per_run_of_one_label(tmp_path: Path) -> None:
    found = scanned(SpSwHar(), write_sp_sw_har(tmp_path))
    assert len(found) == 4 * len(PHASES)
    runs = of_execution(found, "s02_02")
    assert [r.id for r in runs] == [
        "s02_02_seated_1",
        "s02_02_standing_up_1",
        "s02_02_walking_1",
        "s02_02_turning_1",
        "s02_02_walking_2",
        "s02_02_turning_2",
        "s02_02_sitting_down_1",
    ]
    assert [r.label for r in runs] == [phase.label.lower() for phase in PHASES]
    assert runs[0].columns == {
        "id": "s02_02_seated_1",
        "label": "seated",
        "subject": "s02",
        "execution": "02",
        "phone_orientation": "back_inv",
    }
    assert all(tuple(r.paths) == ALL for r in runs)
    # A stamp of the phone is at most two of its steps, repeated stamps included, after the time that was meant.
    for run, phase in zip(runs, PHASES, strict=True):
        assert run.start_s == pytest.approx(phase.start_ms / 1000, abs=0.04)
        assert run.end_s == pytest.approx(phase.end_ms / 1000, abs=0.04)


def test_a_row_of_another_label_between_two_runs_is_skipped(tmp_path: Path) -> None:
    found = scan(SpSwHar(), write_sp_sw_har(tmp_path, subjects=(1,), executions=(2,)))
    (slip,) = found.skipped
    assert slip.file.startswith("DATA/s01/s01_02_sp.csv, 5.20 to 5.2")
    assert slip.why == "a label of less than 0.1 s"
    turning, sitting = found.recordings[-2:]
    assert turning.end_s is not None
    assert sitting.start_s is not None
    assert 0 < sitting.start_s - turning.end_s < 0.02


def test_second_0_is_the_earliest_stamp_of_both_devices(tmp_path: Path) -> None:
    dataset = dataset_of(write_sp_sw_har(tmp_path))
    seated, standing = of_execution(dataset.recordings, "s01_01")[:2]
    assert seated.start_s == 0.0
    with open_clip(dataset, seated, ALL) as clip:
        late = LATE_MS / 1000
        assert clip.end_s == pytest.approx(seated.end_s - late, abs=0.01)
        assert any("the index asks for 0.000" in note for note in clip.notes)
    with open_clip(dataset, standing, ALL) as clip:
        assert clip.end_s == pytest.approx(standing.end_s - standing.start_s)
        for device, name in (("sp", "acc_phone"), ("sw", "acc_watch")):
            series, stamps = clip.series[name], stamps_ms(device, 1) / 1000
            inside = np.flatnonzero((stamps > standing.start_s + 0.03) & (stamps < standing.end_s - 0.03))
            alone = [i for i in inside if stamps[i - 1] < stamps[i] < stamps[i + 1]]
            nearest = [np.argmin(np.abs(series.times - (stamps[i] - standing.start_s))) for i in alone]
            np.testing.assert_allclose(series.values[nearest], values(device, 1, 1)[alone, :3], atol=1e-9)
            assert len(alone) > 50


def test_without_the_phone_the_labels_are_the_watch_s(tmp_path: Path) -> None:
    root = write_sp_sw_har(tmp_path, subjects=(1,), executions=(1, 2))
    (root / "DATA" / "s01" / "s01_01_sp.csv").unlink()
    dataset = dataset_of(root)
    runs = of_execution(dataset.recordings, "s01_01")
    assert [r.label for r in runs] == [phase.label.lower() for phase in PHASES]
    assert all(list(r.paths) == ["acc_watch", "gyro_watch"] for r in runs)
    change = (PHASES[0].end_ms + WATCH_LATER_MS - LATE_MS) / 1000
    assert runs[1].start_s == pytest.approx(change, abs=0.02)
    with open_clip(dataset, runs[1], ["acc_watch"]) as clip:
        assert clip.end_s == pytest.approx(0.7, abs=0.04)


def test_the_notes_say_how_far_the_devices_differ(tmp_path: Path) -> None:
    notes = scan(SpSwHar(), write_sp_sw_har(tmp_path, subjects=(1,), executions=(2,))).notes
    # Six changes, each 60 ms later on the watch, in 6 s; the slip takes one row more.
    share = float(notes[2].split(" for ")[1].split("%")[0])
    assert share == pytest.approx(100 * 6 * WATCH_LATER_MS / 6000, abs=0.7)
    assert notes[0].startswith("1 of 223 executions")
    assert notes[1] == "phone and watch start up to 0.00 s apart"
    assert "1.07 s apart" in scan(SpSwHar(), write_sp_sw_har(tmp_path)).notes[1]


def test_a_device_is_listed_only_where_it_recorded(tmp_path: Path) -> None:
    root = write_sp_sw_har(tmp_path, subjects=(1,), executions=(2,))
    path = root / "DATA" / "s01" / "s01_02_sw.csv"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:400]))
    dataset = dataset_of(root)
    listed = ["acc_watch" in r.paths for r in dataset.recordings]
    assert listed == [True, True, True, True, False, False, False]
    for recording in dataset.recordings:
        with open_clip(dataset, recording, tuple(recording.paths)) as clip:
            assert clip.end_s >= 0.1


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty"),
        ("x_acc,y_acc,timestamp\n" + "1,2,1657533977813\n" * 3, "no column label"),
        (f"{HEADER}\n" + "1,2,3,4,5,6,soon,SEATED\n" * 3, "not a number"),
        (f"{HEADER}\n" + "".join(f"1,2,3,4,5,6,{i},SEATED\n" for i in range(9)), "stamps that are no Unix time"),
        (f"{HEADER}\n1,2,3,4,5,6,1657533977813,SEATED\n", "fewer than two rows with a stamp"),
        (f"{HEADER}\n", "has a header and no rows"),
    ],
)
def test_a_file_that_cannot_be_read_is_skipped(tmp_path: Path, text: str, why: str) -> None:
    root = write_sp_sw_har(tmp_path, subjects=(1,), executions=(2,))
    (root / "DATA" / "s01" / "s01_02_sp.csv").write_text(text)
    found = scan(SpSwHar(), root)
    assert [(s.file, s.why) for s in found.skipped] == [("DATA/s01/s01_02_sp.csv", why)]
    assert len(found.recordings) == len(PHASES)
    assert all(list(r.paths) == ["acc_watch", "gyro_watch"] for r in found.recordings)


def test_rows_without_label_and_out_of_order(tmp_path: Path) -> None:
    root = write_sp_sw_har(tmp_path, subjects=(1,), executions=(2,))
    path = root / "DATA" / "s01" / "s01_02_sp.csv"
    header, *lines = file_text("sp", 1, 2).splitlines()
    lines[30], lines[31] = lines[31], lines[30]
    path.write_text("\n".join([header, *(line.replace("TURNING", "") for line in lines)]) + "\n")
    found = scan(SpSwHar(), root)
    assert Counter(s.why for s in found.skipped) == {"no label": 2, "a label of less than 0.1 s": 1}
    assert [r.label for r in found.recordings] == ["seated", "standing_up", "walking", "walking", "sitting_down"]


def test_doubles_are_refused_and_the_table_of_executions_is_optional(tmp_path: Path) -> None:
    root = write_sp_sw_har(tmp_path, subjects=(1,), executions=(2,))
    (root / "DATA" / "executions_info.csv").unlink()
    assert {r.columns["phone_orientation"] for r in scanned(SpSwHar(), root)} == {""}
    (root / "copy").mkdir()
    (root / "copy" / "s01_02_sw.csv").write_text(file_text("sw", 1, 2))
    with pytest.raises(DataError, match="two files of sw for one clip, s01_02"):
        scan(SpSwHar(), root)


def test_prepared_and_checked(mmtsa, tmp_path: Path) -> None:
    root = write_sp_sw_har(tmp_path / "data")
    facts = json.loads(mmtsa("prepare", "sp-sw-har", root, "-o", tmp_path / "rec", "--json").stdout)
    assert (facts["recordings"], facts["labels"], facts["subjects"]) == (28, 5, 2)
    assert facts["skipped"] == {"a label of less than 0.1 s": 4}
    assert [(row["protocol"], row["clips"]) for row in facts["protocols"]] == [("leave-one-subject-out", "2 folds")]
    read = read_index(tmp_path / "rec")
    assert read.modalities["acc_watch"].columns == ("x_acc", "y_acc", "z_acc")
    mmtsa("check", tmp_path / "rec", "--jobs", 1)


def counted(root: Path) -> dict[str, list[tuple[int, str]]]:
    """Return per file of the phones stamps (ms) and labels, read without any code of the package."""
    tables = {}
    for path in sorted(root.glob("DATA/s*/s*_sp.csv")):
        with path.open(newline="") as stream:
            tables[path.stem[:-3]] = [(int(row["timestamp"]), row["label"]) for row in csv.DictReader(stream)]
    return tables


@pytest.mark.data
def test_the_real_files_against_a_count_of_their_rows(data_root: Path) -> None:
    root = data_root / "sp-sw-har"
    found, tables = scan(SpSwHar(), root), counted(root)
    assert len(tables) == 45
    assert {r.subject for r in found.recordings} == {"s01", "s02", "s03", "s04", "s05"}
    assert len(found.recordings) + len(found.skipped) == sum(
        1 + sum(one != other for (_, one), (_, other) in pairwise(rows)) for rows in tables.values()
    )
    seconds: Counter[str] = Counter()
    for recording in found.recordings:
        assert recording.start_s is not None
        assert recording.end_s is not None
        seconds[recording.label] += recording.end_s - recording.start_s
    rows = Counter(label.lower() for table in tables.values() for _, label in table)
    for label, count in rows.items():
        assert seconds[label] / seconds.total() == pytest.approx(count / rows.total(), abs=0.005), label
    assert seconds["walking"] / seconds.total() == pytest.approx(0.45, abs=0.04)
    assert seconds["turning"] / seconds.total() == pytest.approx(0.20, abs=0.02)
    assert found.notes[0].startswith("45 of 223 executions")
    assert "1.07 s apart" in found.notes[1]


@pytest.mark.data
def test_the_real_runs_follow_each_other_inside_their_files(data_root: Path) -> None:
    root = data_root / "sp-sw-har"
    recordings, tables = scanned(SpSwHar(), root), counted(root)
    for execution, rows in tables.items():
        runs = of_execution(recordings, execution)
        times = [time for run in runs for time in (run.start_s, run.end_s)]
        assert times == sorted(times)
        length = (rows[-1][0] - rows[0][0]) / 1000
        assert 0 <= times[0] <= 1.1
        assert times[-1] - times[0] <= length + 0.1
        assert {run.label for run in runs} <= {label.lower() for _, label in rows}


@pytest.mark.data
@pytest.mark.parametrize("execution", ["s01_01", "s03_02", "s03_09", "s05_09"])
def test_real_executions_open_on_one_clock(data_root: Path, execution: str) -> None:
    dataset = dataset_of(data_root / "sp-sw-har")
    runs = of_execution(dataset.recordings, execution)
    assert len(runs) >= 7
    for run in runs:
        with open_clip(dataset, run, ALL) as clip:
            assert clip.end_s > 0.1
            for name in ("acc_phone", "acc_watch"):
                assert 7 < np.linalg.norm(clip.series[name].values, axis=1).mean() < 16
    if execution == "s03_02":
        with open_clip(dataset, runs[0], ALL) as clip:
            # The phone starts 1.07 s before the watch: only what both have is a clip.
            assert runs[0].end_s - clip.end_s == pytest.approx(1.07, abs=0.02)
