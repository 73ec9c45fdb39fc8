"""`mmtsa check`: every fault with its file and row, the exit code, and nothing changed on disk."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmtsa_cli.recordings.index import read_index
from tests.trees.damaged import blank, cut_off
from tests.trees.own import content, sensor_text, write_recordings
from tests.trees.utd_mhad import write_utd_mhad
from tests.trees.videos import write_audio, write_video


@pytest.fixture
def rec(tmp_path: Path) -> Path:
    return write_recordings(tmp_path / "rec")


@pytest.mark.usefixtures("eager_processes")
def test_sound_recordings(mmtsa, rec: Path) -> None:
    before = content(rec)
    outcome = mmtsa("check", rec)
    assert "0 errors, 0 warnings" in outcome.stdout
    assert content(rec) == before
    facts = json.loads(mmtsa("check", rec, "--json", "--jobs", 2).stdout)
    assert (facts["recordings"], facts["sound"], facts["subjects"], facts["labels"]) == (4, 4, 2, 2)
    assert facts["files"] == {"rgb": 4, "acc": 4}
    assert facts["by_label"][0] == {"label": "walk", "recordings": 2, "sound": 2, "subjects": 2, "seconds": 4.0}
    assert (facts["errors"], facts["warnings"]) == ([], [])


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def _replaced(old: str, new: str) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    return spoil


BAD_SERIES: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (Path.unlink, "index.csv, row 2, column acc: no such file"),
    "empty": (lambda path: path.write_text(""), "walk_1.csv: empty"),
    "header only": (lambda path: path.write_text("time,x,y,z\n"), "walk_1.csv: has a header and no rows"),
    "one row": (lambda path: path.write_text("time,x,y,z\n0,1,1,1\n"), "walk_1.csv: one row"),
    "text": (_replaced("0.0400,0.0400,", "0.0400,abc,"), "walk_1.csv, row 4, column x: not a number, found 'abc'"),
    "infinite": (_replaced("0.0400,0.0400,", "0.0400,inf,"), "walk_1.csv, row 4, x: infinite value"),
    "backwards": (_replaced("\n1.5000,", "\n0.2000,"), "walk_1.csv, row 77: timestamps run backwards by 1.28 s"),
    "jump": (
        lambda path: path.write_text(sensor_text(0.5) + "".join(_lines(sensor_text(0.5, start=1.5))[1:])),
        "walk_1.csv, row 27: timestamps jump for 1.020 s, expected gaps of at most 0.5 s; give --max-gap 1.1",
    ),
    "ragged": (_replaced("1.0000,1.0000,2.0000,1\n", "1.0000,1.0000\n"), "row 52: wrong number of cells, expected 4"),
    "binary": (lambda path: path.write_bytes(bytes(range(256)) * 4), "walk_1.csv: not a text file"),
    "no overlap": (
        lambda path: path.write_text(sensor_text(start=30)),
        "recording walk_1: its modalities do not overlap",
    ),
}
BAD_VIDEOS: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (Path.unlink, "index.csv, row 2, column rgb: no such file"),
    "zero-length": (lambda path: path.write_bytes(b""), "walk_1.mp4: empty (0 bytes)"),
    "truncated": (lambda path: path.write_bytes(path.read_bytes()[:700]), "walk_1.mp4: not a readable video"),
    "audio only": (write_audio, "walk_1.mp4: no video stream, expected a video, found audio (aac)"),
    "no video": (lambda path: path.write_text("hello\n" * 99), "walk_1.mp4: not a readable video, found a text"),
}


@pytest.mark.parametrize("case", BAD_SERIES)
def test_a_bad_series(mmtsa, rec: Path, case: str) -> None:
    spoil, phrase = BAD_SERIES[case]
    _check_one_error(mmtsa, rec, rec / "walk_1.csv", spoil, phrase)


@pytest.mark.parametrize("case", BAD_VIDEOS)
def test_a_bad_video(mmtsa, rec: Path, case: str) -> None:
    spoil, phrase = BAD_VIDEOS[case]
    _check_one_error(mmtsa, rec, rec / "walk_1.mp4", spoil, phrase)


def _check_one_error(mmtsa, rec: Path, path: Path, spoil: Callable[[Path], object], phrase: str) -> None:
    spoil(path)
    before = content(rec)
    outcome = mmtsa("check", rec, "--jobs", 1, expect=1)
    errors = [line for line in outcome.stdout.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, outcome.stdout
    assert phrase in errors[0]
    assert "Traceback" not in outcome.stderr
    assert content(rec) == before


def test_what_can_be_put_in_order_is_no_fault(mmtsa, rec: Path) -> None:
    text = sensor_text().replace("0.5000,0.5000,1.0000,1\n", "0.5000,,,\n").replace("\n0.7200,", "\n0.7000,")
    (rec / "walk_1.csv").write_bytes(text.replace("\n", "\r\n", 20).encode("utf-16"))
    comma = sensor_text().replace(",", ";").replace(".", ",")
    (rec / "walk_2.csv").write_bytes(b"\xef\xbb\xbf" + comma.encode())
    facts = json.loads(mmtsa("check", rec, "--json").stdout)
    assert (facts["sound"], facts["put_in_order"]) == (4, 1)


def test_a_longer_gap_on_request(mmtsa, rec: Path) -> None:
    (rec / "walk_1.csv").write_text(sensor_text(0.5) + "".join(_lines(sensor_text(0.5, start=1.5))[1:]))
    mmtsa("check", rec, "--jobs", 1, "--max-gap", 1.1)


def test_warnings_alone_leave_exit_code_0(mmtsa, rec: Path) -> None:
    (rec / "sit_1.csv").write_text(sensor_text(seconds=1))
    rows = (rec / "index.csv").read_text().replace("sit_2,sit,2", "sit_2,Sit,2")
    rows += "walk_3,walk,3,walk_1.mp4,walk_1.csv\n"
    (rec / "index.csv").write_text(rows)
    (rec / "dataset.yaml").write_text("modalities:\n  acc: {rate: 25}\n")
    outcome = mmtsa("check", rec, "--jobs", 1)
    for phrase in (
        "warning: label sit: one recording only; no split can both train and test it",
        "labels 'sit' and 'Sit': one activity in two spellings?",
        "walk_1.mp4: the whole file is rgb of rows 2, 6",
        "recording sit_1: acc 1.02 s, rgb 2.00 s overlap for 1.02 s only",
        "walk_1.csv: 50.0 Hz by its timestamps, dataset.yaml says 25; correct the rate",
    ):
        assert phrase in outcome.stdout
    assert "0 errors" in outcome.stdout


def test_other_numbers_of_columns_than_asked_for(mmtsa, rec: Path) -> None:
    (rec / "walk_1.csv").write_text("time,x\n" + "".join(f"{i / 50},1\n" for i in range(100)))
    assert "walk_1.csv: 1 axes, expected 3 as in 3 other files" in mmtsa("check", rec, "--jobs", 1, expect=1).stdout
    (rec / "dataset.yaml").write_text("modalities:\n  acc: {columns: [x, y, z]}\n")
    outcome = mmtsa("check", rec, "--jobs", 1, expect=1)
    assert "walk_1.csv: no column y, found 2 columns: time, x" in outcome.stdout


def test_a_file_of_two_sensors_is_told_once_and_errors_come_first(mmtsa, tmp_path: Path) -> None:
    root, out = write_utd_mhad(tmp_path / "utd"), tmp_path / "rec"
    mmtsa("prepare", "utd-mhad", root, "-o", out)
    (root / "Inertial" / "a2_s1_t1_inertial.mat").write_bytes(b"")
    (root / "Depth" / "a1_s2_t1_depth.mat").write_bytes(b"MATLAB 5.0 MAT-file" + bytes(200))
    outcome = mmtsa("check", out, "--jobs", 1, expect=1)
    errors = [line for line in outcome.stdout.splitlines() if line.startswith("error: ")]
    assert len(errors) == 2
    assert "a1_s2_t1_depth.mat: not a readable MATLAB file" in errors[0]
    assert "a2_s1_t1_inertial.mat: empty (0 bytes)" in errors[1]
    warnings = outcome.stdout.split(errors[1])[1]
    assert "error: " not in warnings
    assert "warning: " not in outcome.stdout.split(errors[0])[0]


def test_modalities_can_be_chosen(mmtsa, rec: Path) -> None:
    (rec / "walk_1.csv").write_text("")
    mmtsa("check", rec, "--modalities", "rgb", "--jobs", 1)
    assert "did you mean rgb?" in mmtsa("check", rec, "--modalities", "rgbs", expect=2).stderr


def test_an_index_that_cannot_be_read(mmtsa, tmp_path: Path) -> None:
    assert "no index.csv" in mmtsa("check", tmp_path, expect=1).stderr
    (tmp_path / "index.csv").write_text("id,label,subject,acc\na,,1,a.csv\nb,sit,1\n")
    outcome = mmtsa("check", tmp_path, expect=1)
    assert "index.csv, row 2: no label" in outcome.stderr
    assert "index.csv, row 3: too few cells" in outcome.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["index.csv"]


@pytest.mark.parametrize(
    ("first", "last", "probed"), [(16, 20, True), (8, 12, True), (12, 16, False), (17, 18, True)]
)  # fmt: skip
def test_damage_inside_a_video_is_a_warning(mmtsa, rec: Path, first: int, last: int, probed: bool) -> None:
    path = write_video(rec / "walk_1.mp4", frames=20, rate=10, size=(128, 96), options={"g": "4", "bf": "0"})
    blank(path, first, last)
    before = content(rec)
    phrase = f"walk_1.mp4: {last - first} of 20 frames cannot be decoded, the first at {first / 10:.2f} s"
    outcome = mmtsa("check", rec, "--jobs", 1)
    assert (phrase in outcome.stdout) is probed
    outcome = mmtsa("check", rec, "--jobs", 1, "--full")
    assert f"{phrase}; the frame before stands in for a damaged one" in outcome.stdout
    assert "0 errors, 1 warnings" in outcome.stdout
    assert content(rec) == before


def test_a_video_without_its_last_third_is_counted(mmtsa, rec: Path, tmp_path: Path) -> None:
    for name in ("walk_1", "sit_2"):
        write_video(tmp_path / "whole.mp4", frames=20, rate=10)
        cut_off(tmp_path / "whole.mp4", rec / f"{name}.mp4", 2 / 3)
    found = json.loads(mmtsa("check", rec, "--jobs", 1, "--json").stdout)
    (group,) = [row for row in found["groups"] if "frames of its header" in row["what"]]
    assert group["what"] == "N of the N frames of its header are there"
    assert (group["severity"], group["recordings"], group["files"], group["first"]) == ("warning", 2, 2, "walk_1.mp4")
    assert found["errors"] == []


@pytest.mark.data
@pytest.mark.parametrize("arguments", [(), ("--full",)])
def test_the_real_damaged_video(mmtsa, rec: Path, data_root: Path, arguments: tuple[str, ...]) -> None:
    # Its only key frame is its first: to get to the last frame, all of them must be decoded in any case.
    damaged = data_root / "video-odd" / "corrupted.mp4"
    (rec / "index.csv").write_text(f"id,label,subject,rgb\na,walk,1,{damaged}\n")
    outcome = mmtsa("check", rec, "--jobs", 1, *arguments)
    assert f"warning: {damaged}: 1 of 50 frames cannot be decoded, the first at 3.00 s" in outcome.stdout


def test_what_to_fix_first(mmtsa, tmp_path: Path) -> None:
    rec = write_recordings(tmp_path / "rec", labels=("walk", "sit", "run"))
    jump = sensor_text(0.5) + "".join(_lines(sensor_text(0.5, start=1.5))[1:])
    for name, text in (("walk_1", jump), ("walk_2", jump.replace("\n1.5", "\n1.4")), ("sit_1", "")):
        (rec / f"{name}.csv").write_text(text)
    (rec / "sit_2.csv").write_text(jump.replace("\n0.4800,", "\n0.4900,"))
    (rec / "dataset.yaml").write_text("modalities:\n  acc: {rate: 20}\n")
    found = json.loads(mmtsa("check", rec, "--jobs", 1, "--json", expect=1).stdout)
    first = {key: found["groups"][0][key] for key in ("severity", "what", "recordings", "files", "first")}
    assert first == {
        "severity": "error",
        "what": "timestamps jump for N s",
        "recordings": 3,
        "files": 3,
        "first": "walk_1.csv, row 27",
    }
    assert found["groups"][0]["what_to_do"].startswith("give --max-gap 1.1 to fill it")
    kinds = [(row["severity"], row["what"], row["recordings"]) for row in found["groups"][1:]]
    assert kinds == [("error", "empty", 1), ("warning", "N Hz by its timestamps, dataset.yaml says N", 2)]
    shown = mmtsa("check", rec, "--jobs", 1, expect=1).stdout
    assert shown.index("What to fix first") < shown.index("timestamps jump for N s") < shown.index("4 errors, 2 warn")
    assert shown.index("empty") < shown.index("N Hz by its")


def test_only_the_first_lines_are_printed(mmtsa, tmp_path: Path) -> None:
    rec = write_recordings(tmp_path / "rec", subjects=("1",))
    rows = [f"r{i},label {i % 50},{i % 4},walk_{1}.mp4,bad_{i % 25}.csv" for i in range(100)]
    for i in range(25):
        (rec / f"bad_{i}.csv").write_text("time,x,y,z\n")
    (rec / "index.csv").write_text("\n".join(["id,label,subject,rgb,acc", *rows, "sound,ok,1,sit_1.mp4,sit_1.csv"]))
    shown = mmtsa("check", rec, "--jobs", 1, expect=1).stdout
    assert sum(line.startswith("error: ") for line in shown.splitlines()) == 20
    assert "... and 5 more errors; --all prints them" in shown
    assert "... and 11 more labels; --all prints them" in shown
    assert "label 0 " in shown.partition("What to fix first")[0]
    assert " ok " not in shown.partition("What to fix first")[0]
    shown = mmtsa("check", rec, "--jobs", 1, "--all", expect=1).stdout
    assert sum(line.startswith("error: ") for line in shown.splitlines()) == 25
    assert "--all prints them" not in shown
    assert " ok " in shown.partition("What to fix first")[0]
    assert len(json.loads(mmtsa("check", rec, "--jobs", 1, "--json", expect=1).stdout)["errors"]) == 25


def test_how_good_the_timestamps_are(mmtsa, rec: Path) -> None:
    (rec / "dataset.yaml").write_text("modalities:\n  acc: {rate: 49}\n")
    text = sensor_text().replace("\n0.7200,", "\n0.7000,").replace("\n1.5000,", "\n1.4700,")
    (rec / "walk_1.csv").write_text(text)
    (rec / "sit_1.csv").write_text("".join(line for line in _lines(sensor_text()) if not line.startswith("1.2")))
    (rec / "sit_2.csv").write_text("time,x,y,z\n" + "".join(f"{i / 49:.6f},1,2,{i}\n" for i in range(98)))
    (row,) = json.loads(mmtsa("check", rec, "--jobs", 1, "--json").stdout)["stamps"]
    counts = {key: row[key] for key in ("modality", "files", "repeated", "backward", "longest_step_s", "jitter_ms")}
    expected = {"modality": "acc", "files": 4, "repeated": 1, "backward": 1, "longest_step_s": 0.12, "jitter_ms": 0.0}
    assert counts == expected
    # Files of 50, 50, 49 and, where a tenth of a second is missing, less.
    assert row["hz"] == pytest.approx(49.5, abs=0.1)
    assert row["drift_ppm"] == pytest.approx(10_200, abs=2000)
    assert row["slowest_hz"] < 48 < 49.9 < row["fastest_hz"]
    shown = mmtsa("check", rec, "--jobs", 1).stdout
    assert shown.index("Labels") < shown.index("Timestamps") < shown.index("slowest hz")
    again = json.loads(mmtsa("check", rec, "--jobs", 1, "--json").stdout)
    assert (again["unchanged"], again["stamps"]) == (4, [row])


def test_stamps_that_scatter_are_told_with_what_to_do(mmtsa, rec: Path) -> None:
    times = np.sort(np.arange(100) / 50 + np.random.default_rng(0).uniform(0, 0.8, 100))
    rows = "".join(f"{time:.4f},1,2,3\n" for time in times)
    (rec / "walk_1.csv").write_text("time,x,y,z\n" + rows)
    outcome = mmtsa("check", rec, "--jobs", 1)
    assert "walk_1.csv: timestamps scatter by 0." in outcome.stdout
    assert "if the sensor is regular, give its rate and `timing: rate` in dataset.yaml" in outcome.stdout
    (rec / "dataset.yaml").write_text("modalities:\n  acc: {rate: 50, timing: rate}\n")
    assert "timestamps scatter" not in mmtsa("check", rec, "--jobs", 1).stdout


@pytest.mark.parametrize(
    ("ahead_s", "hours", "offset"), [(7200.4, "2 h ahead of", "-7200"), (20_700, "5.75 h ahead of", "-20700")]
)
def test_timestamps_of_another_time_zone(mmtsa, rec: Path, ahead_s: float, hours: str, offset: str) -> None:
    (rec / "index.csv").write_text(
        "id,label,subject,acc,watch\n" + "".join(f"{n},walk,{n},walk_{n}.csv,sit_{n}.csv\n" for n in (1, 2))
    )
    (rec / "dataset.yaml").write_text("modalities:\n  watch: {kind: sensor}\n")
    for n in (1, 2):
        (rec / f"walk_{n}.csv").write_text(sensor_text(start=1.7e9 + n))
        (rec / f"sit_{n}.csv").write_text(sensor_text(start=1.7e9 + n + ahead_s))
    found = json.loads(mmtsa("check", rec, "--jobs", 1, "--json", expect=1).stdout)
    (group,) = [row for row in found["groups"] if row["severity"] == "error"]
    assert (group["what"], group["recordings"]) == ("its modalities do not overlap in time", 2)
    remedy = f"watch looks like another time zone, {hours} acc: set offset_s of watch to {offset} in dataset.yaml"
    assert group["what_to_do"] == f"{remedy} if all recordings are so, else correct the file's stamps"
    assert [row["files"] for row in found["stamps"]] == [2, 2]
    (rec / "dataset.yaml").write_text(f"modalities:\n  watch: {{kind: sensor, offset_s: {offset}}}\n")
    mmtsa("check", rec, "--jobs", 1)


@pytest.mark.parametrize("apart_s", [30, 990, 7700, 40 * 3600])
def test_what_is_apart_by_anything_else_is_no_time_zone(mmtsa, rec: Path, apart_s: float) -> None:
    (rec / "walk_1.csv").write_text(sensor_text(start=apart_s))
    shown = mmtsa("check", rec, "--jobs", 1, expect=1).stdout
    assert "time zone" not in shown
    assert "set origin or offset_s of a modality in dataset.yaml" in shown


def test_one_person_in_two_spellings_and_a_class_of_one_clip(mmtsa, rec: Path) -> None:
    rows = (rec / "index.csv").read_text().replace("walk,2,", "walk,Subject_01,").replace("sit,1,", "sit,subject 1,")
    (rec / "index.csv").write_text(rows + "run_1,run,2,sit_1.mp4,sit_1.csv\n")
    found = json.loads(mmtsa("check", rec, "--jobs", 1, "--json").stdout)
    assert "subjects 'Subject_01' and 'subject 1': one person in two spellings?; write them alike" in found["warnings"]
    assert any(line.startswith("label run: one recording only; no split can both") for line in found["warnings"])
    counts = {row["what"]: row["recordings"] for row in found["groups"]}
    assert (counts["one person in two spellings?"], counts["one recording only"]) == (2, 1)


def test_a_path_that_is_none_and_a_file_that_may_not_be_read(mmtsa, rec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (rec / "index.csv").read_text().replace("walk_2.csv", "w" * 300 + ".csv")
    (rec / "index.csv").write_text(text)
    original = Path.open

    def refusing(path: Path, *arguments: Any, **options: Any) -> Any:
        if path.name == "sit_1.csv":
            raise PermissionError(13, "Permission denied", str(path))
        return original(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", refusing)
    errors = json.loads(mmtsa("check", rec, "--jobs", 1, "--json", expect=1).stdout)["errors"]
    assert "index.csv, row 3, column acc: no such file" in errors[0]
    assert errors[1].startswith(f"{rec / 'sit_1.csv'}: cannot be read: Permission denied")
    assert len(errors) == 2


def _row(modality: str, offset_s: float, verdict: str) -> dict[str, Any]:
    return {
        "modality": modality,
        "reference": "rgb",
        "offset_s": offset_s,
        "low_s": offset_s - 0.1,
        "high_s": offset_s + 0.1,
        "verdict": verdict,
    }


@pytest.fixture
def estimated(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What `stages.sync` was asked for; it answers at once."""
    from mmtsa_cli.stages import sync

    asked: list[dict[str, Any]] = []
    drifts = [{"id": f"r{i}", "modality": "acc", "ms_per_minute": i - 5.0, "confidence": 1.0} for i in range(15)]

    def run(recordings: Path, **wishes: Any) -> sync.SyncResult:
        asked.append(wishes)
        return sync.SyncResult([_row("acc", 0.25, "reliable")], [{"id": "a"}], drifts)

    monkeypatch.setattr(sync, "run", run)
    return asked


def test_sync_follows_the_check(mmtsa, rec: Path, estimated: list[dict[str, Any]]) -> None:
    (rec / "sit_1.csv").write_text("")
    before = content(rec)
    shown = mmtsa("check", rec, "--jobs", 1, "--sync", "--max-shift", 5, "--max-gap", 1, expect=1).stdout
    assert shown.index("sit_1.csv: empty") < shown.index("Clocks") < shown.index("reliable") < shown.index("Drifts")
    assert "r14" in shown
    assert "r5 " not in shown
    assert {key: estimated[0][key] for key in ("max_shift_s", "max_gap_s", "jobs", "root", "modalities")} == {
        "max_shift_s": 5.0,
        "max_gap_s": 1.0,
        "jobs": 1,
        "root": None,
        "modalities": None,
    }
    found = json.loads(mmtsa("check", rec, "--jobs", 1, "--sync", "--json", expect=1).stdout)
    assert found["sync"]["rows"][0]["offset_s"] == 0.25
    assert len(found["sync"]["drifts"]) == 15
    assert content(rec) == before
    assert "--max-shift" in mmtsa("check", rec, "--sync", "--max-shift", 61, expect=2).stderr


def test_offsets_are_written_on_request(mmtsa, rec: Path, estimated: list[dict[str, Any]]) -> None:
    (rec / "dataset.yaml").write_text("modalities:\n  acc: {offset_s: 0.5}\n")
    outcome = mmtsa("check", rec, "--jobs", 1, "--write-offsets", "--json")
    assert f"{rec / 'dataset.yaml'}: offset_s of acc is now 0.75" in outcome.stderr
    assert len(estimated) == 1
    assert json.loads(outcome.stdout)["sync"]["rows"][0]["modality"] == "acc"
    assert read_index(rec).modalities["acc"].offset_s == 0.75
