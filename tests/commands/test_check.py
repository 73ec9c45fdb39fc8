"""`mmtsa check`: every fault with its file and row, the exit code, and nothing changed on disk."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

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


def test_damage_inside_a_video_is_a_warning(mmtsa, rec: Path) -> None:
    path = write_video(rec / "walk_1.mp4", frames=20, size=(128, 96), options={"g": "20", "bf": "0"})
    data = bytearray(path.read_bytes())
    middle = data.find(b"mdat") + 1200
    data[middle : middle + 200] = np.random.default_rng(0).bytes(200)
    path.write_bytes(data)
    outcome = mmtsa("check", rec, "--jobs", 1, expect=None)
    assert outcome.code in (0, 1)
    assert "walk_1.mp4" in outcome.stdout
    assert "Traceback" not in outcome.stderr


@pytest.mark.data
def test_the_real_damaged_video(mmtsa, rec: Path, data_root: Path) -> None:
    damaged = data_root / "video-odd" / "corrupted.mp4"
    (rec / "index.csv").write_text(f"id,label,subject,rgb\na,walk,1,{damaged}\n")
    outcome = mmtsa("check", rec, "--jobs", 1)
    assert f"warning: {damaged}: 1 of 50 frames cannot be decoded, the first at 3.00 s" in outcome.stdout
