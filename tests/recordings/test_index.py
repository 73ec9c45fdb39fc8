"""The index: what a user may write, every fault at once, and back again."""

from __future__ import annotations

import time
import tracemalloc
from pathlib import Path

import pytest

from mmtsa_cli.errors import ManyErrors, MmtsaError
from mmtsa_cli.recordings.index import Dataset, ModalitySpec, Recording, fingerprint_index, read_index, write_index
from tests.trees.own import write_rows

SPECS = {
    "rgb": ModalitySpec("video", offset_s=0.25),
    "left_wrist": ModalitySpec("sensor", rate=50.0, unit="m/s^2", columns=("x", 2, "3"), time=1, origin="first"),
    "depth": ModalitySpec("video", spans="left_wrist", depth_range_mm=(500.0, 3000.0), variable="d"),
}


def errors_of(root: Path) -> list[str]:
    with pytest.raises(MmtsaError) as caught:
        read_index(root)
    error = caught.value
    return [each.line() for each in error.errors] if isinstance(error, ManyErrors) else [error.line()]


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    root = tmp_path / "rec"
    root.mkdir()
    columns = {"id": "a", "label": "walk, slowly", "subject": "1", "scene": 'the "hall"'}
    recordings = (
        Recording(
            "a", "walk, slowly", columns, {"rgb": root / "v" / "a.mp4", "left_wrist": Path("/data/a.csv")}, 1.5, 4
        ),
        Recording("b", "sit", {**columns, "id": "b", "label": "sit"}, {"depth": root / "b.mat"}),
    )
    protocols = {"own": {"train": {"subject": ["1"]}, "test": {"subject": ["2"]}}, "loo": {"leave_one_out": "subject"}}
    dataset = Dataset(
        "mine", root, SPECS, recordings, protocols, "own", {"citation": "A: B. 2020", "ceilings": {"rgb": 0.5}}
    )
    write_index(dataset, root)
    back = read_index(root)
    assert (back.name, back.modalities, back.protocols) == ("mine", SPECS, protocols)
    assert (back.default_protocol, back.notes) == ("own", dataset.notes)
    for wrote, read, row in zip(recordings, back.recordings, (2, 3), strict=True):
        assert dict(read.paths) == dict(wrote.paths)
        assert (read.id, read.label, dict(read.columns)) == (wrote.id, wrote.label, dict(wrote.columns))
        assert (read.start_s, read.end_s, read.row) == (wrote.start_s, wrote.end_s, row)
    assert "v/a.mp4" in (root / "index.csv").read_text()


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_hand_written_index_needs_no_description(tmp_path: Path, delimiter: str, encoding: str) -> None:
    rows = [
        "id,label,subject,session,start,end,acc_watch,rgb",
        "",
        "a,gehen,1,x,0.5,2,a.csv,/v/a.mp4",
        "b,sitzen,2,,,,,b.mp4",
    ]
    text = "\r\n".join(rows).replace(",", delimiter)
    (tmp_path / "index.csv").write_bytes(text.encode(encoding))
    dataset = read_index(tmp_path)
    assert dataset.kinds() == {"acc_watch": "sensor", "rgb": "video"}
    first, second = dataset.recordings
    assert first.paths["acc_watch"] == tmp_path / "a.csv"
    assert first.paths["rgb"] == Path("/v/a.mp4")
    assert (first.start_s, first.end_s, first.row, first.subject) == (0.5, 2.0, 3, "1")
    assert dict(second.paths) == {"rgb": tmp_path / "b.mp4"}
    assert "acc_watch" not in second.paths
    assert first.columns == {"id": "a", "label": "gehen", "subject": "1", "session": "x"}


def test_every_fault_of_the_rows_at_once(tmp_path: Path) -> None:
    rows = [
        "id,label,subject,start,end,acc",
        "a,walk,1,0,5,a.csv",
        "a,walk,1,0,5,a.csv",
        "b,,1,0,5,a.csv",
        "c,walk,1,5,5,a.csv",
        "d,walk,1,x,,a.csv",
        "e,walk,1,0",
        "f,walk,1,0,5,",
        "../g,walk,1,0,5,a.csv",
    ]
    found = errors_of(write_rows(tmp_path, "\n".join(rows)))
    for row, phrase in enumerate(
        (
            "id a stands twice; it also stands in row 2",
            "no label",
            "start is not before end, found start 5, end 5",
            "start is wrong, expected seconds from the beginning of the files, found 'x'",
            "too few cells, expected 6, found 4",
            "no file of any modality",
            "must not hold /",
        ),
        start=3,
    ):
        assert any(f"index.csv, row {row}: " in line and phrase in line for line in found), (row, phrase, found)
    assert len(found) == 7


def test_many_faults_are_counted(tmp_path: Path) -> None:
    found = errors_of(write_rows(tmp_path, "id,label,subject,acc\n" + "a,,1,a.csv\n" * 30))
    assert len(found) == 11
    assert found[-1].endswith("and 49 more errors")


@pytest.mark.parametrize(
    ("text", "phrases"),
    [
        ("id,lable,subject,acc\n", ["row 1: no column label", "did you mean label by lable?"]),
        ("Id,label,subject,acc\n", ["no column id", "did you mean id by Id?"]),
        ("id,label,subject,acc,acc\n", ["column acc stands twice"]),
        ("id,label,subject,film\n", ["no column of a modality", "give its kind in dataset.yaml"]),
        ("id,label,subject,acc\n", ["lists no recordings"]),
        ("", ["index.csv: empty"]),
    ],
)
def test_faults_of_the_header(tmp_path: Path, text: str, phrases: list[str]) -> None:
    found = " ".join(errors_of(write_rows(tmp_path, text)))
    for phrase in phrases:
        assert phrase in found


def test_faults_of_the_description_with_line_and_nearest_key(tmp_path: Path) -> None:
    description = """name: mine
modalities:
  acc:
    rat: 50
  wrist:
    rate: 50
  depth:
    rate: -1
    depth_range_mm: [3000, 500]
    origin: second
protocol:
  a: {}
citation: anybody
"""
    rows = "id,label,subject,acc,wrist,depth\na,walk,1,a.csv,b.csv,c.mat\n"
    found = " ".join(errors_of(write_rows(tmp_path, rows, description=description)))
    for phrase in (
        "dataset.yaml, line 4: unknown key modalities.acc.rat; did you mean rate?",
        "line 8: modalities.depth.rate is wrong, expected a number above 0",
        "line 9: modalities.depth.depth_range_mm is wrong, expected two distances [near, far], near below far",
        "line 10: modalities.depth.origin is wrong, expected one of auto, first, stamps",
        "line 11: unknown key protocol; did you mean protocols?",
    ):
        assert phrase in found
    assert "citation" not in found


def test_an_unknown_modality_needs_its_kind_and_a_column(tmp_path: Path) -> None:
    rows = "id,label,subject,acc\na,walk,1,a.csv\n"
    found = errors_of(write_rows(tmp_path, rows, description="modalities:\n  film: {spans: wrist}\n"))
    assert "line 2: modality film needs its kind" in found[0]
    found = errors_of(write_rows(tmp_path, rows, description="modalities:\n  film: {kind: video, spans: wrist}\n"))
    assert "spans names no sensor" in found[0]
    found = errors_of(write_rows(tmp_path, rows, description="modalities:\n  film: {kind: video}\n"))
    assert "no column for modality film" in found[0]


def test_a_place_without_an_index(tmp_path: Path) -> None:
    assert "no such directory" in errors_of(tmp_path / "rec")[0]
    (tmp_path / "a.csv").touch()
    assert errors_of(tmp_path) == [f"{tmp_path}: no index.csv, expected a directory of recordings, found a.csv"]
    (tmp_path / "index.csv").write_bytes("id,label,subject,acc\na,gähnen,1,a.csv\n".encode("latin-1"))
    assert "index.csv, row 2: not a text in UTF-8" in errors_of(tmp_path)[0]


def test_a_large_index_opens_no_file_and_is_quick(tmp_path: Path) -> None:
    rows = "".join(f"r{i},l{i % 35},{i % 20},r{i}.mp4,r{i}.csv,r{i}.csv,r{i}.csv\n" for i in range(36_000))
    write_rows(tmp_path, "id,label,subject,rgb,acc_phone,acc_watch,gyro\n" + rows)
    before = time.process_time()
    assert len(read_index(tmp_path).recordings) == 36_000
    # A second where nothing else runs; to look at every file, or at every row again for each, would take minutes.
    assert time.process_time() - before < 10


def test_a_large_index_takes_little_memory_a_row(tmp_path: Path) -> None:
    cells = (f"clip-{n:05d},walk,person-{n % 20},depth/clip-{n:05d}.mp4,acc/clip-{n:05d}.csv" for n in range(10_000))
    (tmp_path / "index.csv").write_text("id,label,subject,rgb,acc\n" + "\n".join(cells) + "\n")
    read_index(tmp_path)
    tracemalloc.start()
    try:
        dataset = read_index(tmp_path)
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(dataset.recordings) == 10_000
    # With dictionaries and the whole table as texts it had been 900 and 1,100.
    assert kept < 650 * 10_000
    assert peak < 800 * 10_000


def test_the_fingerprint_is_of_what_the_files_say(tmp_path: Path) -> None:
    write_rows(tmp_path, "id,label,subject,acc\na,walk,1,a.csv\n")
    before = fingerprint_index(tmp_path)
    assert before == fingerprint_index(tmp_path)
    (tmp_path / "dataset.yaml").write_text("modalities: {acc: {rate: 50}}\n")
    assert fingerprint_index(tmp_path) != before
