"""Bad input through every command that meets it: the message, the exit code, and what is left on disk.

Each case spoils one file of sound recordings. `check` must tell it, `imagify` and `sample` must tell it in one line
with the file and leave nothing behind; what can be put in order must be put in order by all three.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmtsa_cli.sampling.store import Store
from tests.pipelines.conftest import SMALL
from tests.trees.own import content, sensor_text
from tests.trees.videos import write_audio, write_video

TEXT = sensor_text()
LINES = TEXT.splitlines(keepends=True)


def replaced(old: str, new: str) -> str:
    assert TEXT.count(old) == 1
    return TEXT.replace(old, new)


def without_values(first: int, last: int) -> str:
    return "".join(f"{line.split(',')[0]},,,\n" if first < i < last else line for i, line in enumerate(LINES))


JUMP = sensor_text(0.5) + "".join(sensor_text(0.5, start=1.5).splitlines(keepends=True)[1:])

REFUSED_SERIES: dict[str, tuple[str | bytes, str]] = {
    "empty": ("", "walk_1.csv: empty, expected a table of numbers"),
    "blank": (" \n\r\n", "walk_1.csv: empty, expected a table of numbers"),
    "header only": (LINES[0], "walk_1.csv: has a header and no rows, expected rows of numbers below"),
    "one row": (LINES[0] + LINES[1], "walk_1.csv: one row, expected a series of at least two samples"),
    "text for a number": (
        replaced("0.0400,0.0400,", "0.0400,abc,"),
        "walk_1.csv, row 4, column x: not a number, found 'abc'",
    ),
    "text for a time": (replaced("\n0.7200,", "\nnoon,"), "row 38, column time: not a number, found 'noon'"),
    "infinite value": (replaced("0.0400,0.0400,", "0.0400,-inf,"), "walk_1.csv, row 4, x: infinite value"),
    "infinite time": (replaced("\n0.7200,", "\ninf,"), "walk_1.csv, row 38: infinite timestamp"),
    "no value in a column": (
        "".join([LINES[0], *(f"{line.split(',')[0]},,1,1\n" for line in LINES[1:])]),
        "walk_1.csv, row 2, x: no value at all",
    ),
    "values missing for long": (
        without_values(20, 70),
        "walk_1.csv, row 22, x: values are missing for 1.000 s, expected gaps of at most 0.5 s; give --max-gap 1",
    ),
    "times that jump": (
        JUMP,
        "walk_1.csv, row 27: timestamps jump for 1.020 s, expected gaps of at most 0.5 s; give --max-gap 1.1",
    ),
    "times that run backwards": (
        replaced("\n1.5000,", "\n0.2000,"),
        "walk_1.csv, row 77: timestamps run backwards by 1.28 s, expected time to go on",
    ),
    "times that stand still": (
        "".join([LINES[0], *("5," + line.split(",", 1)[1] for line in LINES[1:])]),
        "walk_1.csv, row 2: timestamps do not advance; give the rate",
    ),
    "a row cut short": (replaced("1.0000,1.0000,2.0000,1\n", "1.0000,1.0\n"), "row 52: wrong number of cells"),
    "a file cut off": (TEXT[:-9], "walk_1.csv, row 101: wrong number of cells, expected 4, found 3"),
    "a byte for a text": (bytes(range(256)) * 4, "walk_1.csv: not a text file, expected a table of numbers"),
}  # fmt: skip


@pytest.mark.usefixtures("eager_processes")
@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("case", REFUSED_SERIES)
def test_a_series_that_cannot_be_used(mmtsa, rec: Path, tmp_path: Path, case: str, jobs: int) -> None:
    damage, phrase = REFUSED_SERIES[case]
    (rec / "walk_1.csv").write_bytes(damage if isinstance(damage, bytes) else damage.encode())
    before = content(tmp_path)
    checked = mmtsa("check", rec, "--jobs", jobs, expect=1)
    assert [phrase in line for line in checked.stdout.splitlines() if line.startswith("error: ")] == [True]
    for arguments in (
        ("imagify", rec / "walk_1.csv", "-o", tmp_path / "gaf.png"),
        ("imagify", rec, "-o", tmp_path / "images", "--modalities", "acc", "--jobs", jobs),
        ("sample", rec, "-o", tmp_path / "samples", "--window", 0.5, "--jobs", jobs, "--strict"),
    ):
        assert_one_line(mmtsa(*arguments, expect=1), phrase)
    assert content(tmp_path) == before
    assert [path.name for path in tmp_path.iterdir()] == ["rec"]
    assert_it_survives(mmtsa, rec, tmp_path, phrase, jobs)


def assert_it_survives(mmtsa, rec: Path, tmp_path: Path, phrase: str, jobs: int = 1, lost: str = "walk_1") -> None:
    """Sampling leaves the one damaged recording out, says which and why, and counts it."""
    outcome = mmtsa("sample", rec, "-o", tmp_path / "samples", "--window", 0.5, "--jobs", jobs, "--json")
    facts = json.loads(outcome.stdout)
    assert (facts["clips"], facts["left_out"]) == (5, {"cannot be read": 1})
    assert [one["id"] for one in facts["damaged"]] == [lost]
    assert phrase in facts["damaged"][0]["error"]
    (line,) = outcome.stderr.strip().splitlines()
    assert line.startswith(f"mmtsa: warning: {lost} left out: ")
    assert phrase in line
    ids = [clip["id"] for clip in Store(tmp_path / "samples").clips]
    assert sorted([*ids, lost]) == ["sit_1", "sit_2", "sit_3", "walk_1", "walk_2", "walk_3"]


def assert_one_line(outcome, phrase: str) -> None:
    (line,) = outcome.stderr.strip().splitlines()
    assert line.startswith("mmtsa: error: ")
    assert phrase in line
    assert outcome.stdout == ""


ACCEPTED_SERIES: dict[str, tuple[bytes, str | None]] = {
    "missing values": (
        replaced("0.5000,0.5000,1.0000,1\n", "0.5000,nan,,NULL\n").encode(),
        "3 missing values filled",
    ),
    "a missing time": (replaced("\n0.7200,", "\n,").encode(), "1 rows without timestamp left out"),
    "a repeated time": (replaced("\n0.7200,", "\n0.7000,").encode(), "1 repeated timestamps spread evenly"),
    "two times in the wrong order": (
        replaced("\n0.7200,", "\n0.7x,").replace("\n0.7400,", "\n0.7200,").replace("\n0.7x,", "\n0.7400,").encode(),
        "1 timestamps out of order, sorted",
    ),
    "mixed line ends": (TEXT.replace("\n", "\r\n", 40).replace("\r\n", "\r", 20).encode(), None),
    "a byte order mark": (b"\xef\xbb\xbf" + TEXT.encode(), None),
    "UTF-16": (TEXT.encode("utf-16"), None),
    "decimal commas": (TEXT.replace(",", ";").replace(".", ",").encode(), None),
    "tabs and a remark": ("# from a phone\n" + TEXT.replace(",", "\t"), None),
}  # fmt: skip


@pytest.mark.parametrize("case", ACCEPTED_SERIES)
def test_a_series_that_is_put_in_order(mmtsa, rec: Path, tmp_path: Path, case: str) -> None:
    data, note = ACCEPTED_SERIES[case]
    (rec / "walk_1.csv").write_bytes(data if isinstance(data, bytes) else data.encode())
    before = content(rec)
    facts = json.loads(mmtsa("check", rec, "--jobs", 1, "--json").stdout)
    assert (facts["errors"], facts["put_in_order"]) == ([], 1 if note else 0)
    shown = mmtsa("imagify", rec / "walk_1.csv", "-o", tmp_path / "gaf.npy")
    assert (note or "") in shown.stderr
    facts = json.loads(mmtsa("sample", rec, "-o", tmp_path / "s", "--window", 0.5, "--jobs", 1, "--json").stdout)
    assert not note or f"acc: {note}" in facts["notes"]
    series = Store(tmp_path / "s").series("acc", 0)
    # x is the time, y twice it: so it is after every repair but that of times themselves.
    expected = np.arange(len(series))[:, None] / 50 * (1, 2)
    np.testing.assert_allclose(series[:, :2], expected, atol=0.05)
    assert content(rec) == before


def test_longer_gaps_are_filled_on_request(mmtsa, rec: Path, tmp_path: Path) -> None:
    (rec / "walk_1.csv").write_text(JUMP)
    mmtsa("check", rec, "--jobs", 1, "--max-gap", 1.1)
    mmtsa("imagify", rec / "walk_1.csv", "-o", tmp_path / "gaf.png", "--max-gap", 1.1)
    mmtsa("sample", rec, "-o", tmp_path / "s", "--window", 0.5, "--jobs", 1, "--max-gap", 1.1)


def test_a_constant_axis_is_mid_grey_and_told_once(mmtsa, rec: Path, store: Path, tmp_path: Path) -> None:
    outcome = mmtsa("imagify", rec / "walk_1.csv", "-o", tmp_path / "gaf.png")
    (line,) = [line for line in outcome.stderr.splitlines() if "warning" in line]
    assert line == f"mmtsa: warning: {rec / 'walk_1.csv'}: z constant, mid-grey"
    blue = cv2.imread(str(tmp_path / "gaf.png"))[:, :, 0]
    assert set(np.unique(blue)) <= {127, 128}
    facts = json.loads((store / "manifest.json").read_text())["results"]
    assert facts["notes"] == ["6 x acc: z constant, mid-grey as an image"]


def test_a_series_shorter_than_the_window(mmtsa, rec: Path, tmp_path: Path) -> None:
    (rec / "walk_1.csv").write_text(sensor_text(0.3))
    outcome = mmtsa("sample", rec, "-o", tmp_path / "s", "--window", 0.5, expect=1)
    assert_one_line(
        outcome,
        "recording walk_1: shorter than the window, expected at least 0.5 s, found 0.3 s (rgb 2 s, acc 0.3 s); "
        "give --window 0.3 or less, or --skip-short to leave such clips out",
    )
    assert not (tmp_path / "s").exists()
    mmtsa("sample", rec, "-o", tmp_path / "s", "--window", 0.3)


COLUMNS: dict[str, tuple[str, str, str]] = {
    "fewer": ("time,x\n", "1: x", "1 axes, expected 3 as in 5 other files"),
    "more": ("time,x,y,z,w\n", "4: x, y, z, w", "4 axes, expected 3 as in 5 other files"),
}


@pytest.mark.parametrize("case", COLUMNS)
def test_other_columns_than_the_other_recordings(mmtsa, rec: Path, tmp_path: Path, case: str) -> None:
    header, axes, phrase = COLUMNS[case]
    row = ",1" * (header.count(",") - 1) + f",{2}\n"
    (rec / "walk_2.csv").write_text(header + "".join(f"{i / 50}{row}" for i in range(100)))
    assert phrase in mmtsa("check", rec, "--jobs", 1, expect=1).stdout
    outcome = mmtsa("sample", rec, "-o", tmp_path / "s", "--window", 0.5, "--strict", expect=1)
    assert_one_line(outcome, f"walk_2: other axes of acc than the recordings before, expected 3: x, y, z, found {axes}")
    assert [path.name for path in tmp_path.iterdir()] == ["rec"]
    (rec / "dataset.yaml").write_text("modalities:\n  acc: {columns: [x, y, z]}\n")
    if case == "more":
        mmtsa("check", rec, "--jobs", 1)
        mmtsa("sample", rec, "-o", tmp_path / "s", "--window", 0.5)
    else:
        outcome = mmtsa("sample", rec, "-o", tmp_path / "s", "--window", 0.5, "--strict", expect=1)
        assert_one_line(outcome, "walk_2.csv: no column y, found 2 columns: time, x")


def test_the_same_columns_in_another_order_are_not_mixed(mmtsa, rec: Path, tmp_path: Path) -> None:
    (rec / "walk_2.csv").write_text(TEXT.replace("time,x,y,z", "time,z,y,x"))
    outcome = mmtsa("sample", rec, "-o", tmp_path / "s", "--window", 0.5, "--strict", expect=1)
    assert_one_line(outcome, "expected 3: x, y, z, found 3: z, y, x")
    assert not (tmp_path / "s").exists()
    assert_it_survives(mmtsa, rec, tmp_path, "expected 3: x, y, z, found 3: z, y, x", lost="walk_2")


REFUSED_VIDEOS: dict[str, tuple[Callable[[Path], object], str]] = {
    "truncated": (
        lambda path: path.write_bytes(path.read_bytes()[:700]),
        "walk_1.mp4: not a readable video, found an MP4 without its index, cut off before its end; copy",
    ),
    "zero-length": (lambda path: path.write_bytes(b""), "walk_1.mp4: empty (0 bytes)"),
    "audio only": (write_audio, "walk_1.mp4: no video stream, expected a video, found audio (aac)"),
    "a text": (lambda path: path.write_text("hello\n" * 99), "walk_1.mp4: not a readable video, found a text"),
    "a directory": (lambda path: (path.unlink(), path.mkdir()), "walk_1.mp4: a directory, expected a file"),
    "missing": (Path.unlink, "index.csv, row 2, column rgb: no such file: "),
}  # fmt: skip


@pytest.mark.usefixtures("eager_processes")
@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("case", REFUSED_VIDEOS)
def test_a_video_that_cannot_be_used(mmtsa, rec: Path, tmp_path: Path, case: str, jobs: int) -> None:
    spoil, phrase = REFUSED_VIDEOS[case]
    spoil(rec / "walk_1.mp4")
    before = content(tmp_path)
    checked = mmtsa("check", rec, "--jobs", jobs, expect=1)
    assert [phrase in line for line in checked.stdout.splitlines() if line.startswith("error: ")] == [True]
    arguments = ("sample", rec, "-o", tmp_path / "s", "--window", 0.5, "--jobs", jobs, "--strict")
    assert_one_line(mmtsa(*arguments, expect=1), phrase)
    assert content(tmp_path) == before
    assert [path.name for path in tmp_path.iterdir()] == ["rec"]
    assert_it_survives(mmtsa, rec, tmp_path, phrase, jobs)


def test_a_missing_series_is_named_by_its_row_before_any_work(mmtsa, rec: Path, tmp_path: Path) -> None:
    (rec / "sit_3.csv").unlink()
    outcome = mmtsa("sample", rec, "-o", tmp_path / "s", "--window", 0.5, "--strict", expect=1)
    assert_one_line(
        outcome, f"index.csv, row 7, column acc: no such file: {rec / 'sit_3.csv'}; correct the path or empty"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["rec"]


def test_a_name_too_long_to_be_one_is_named_by_its_row(mmtsa, rec: Path, tmp_path: Path) -> None:
    index, long = rec / "index.csv", f"{'x' * 300}.csv"
    index.write_text(index.read_text().replace("sit_3.csv", long))
    outcome = mmtsa("sample", rec, "-o", tmp_path / "s", "--window", 0.5, "--strict", expect=1)
    said = f"index.csv, row 7, column acc: no such file: {rec / long}"
    assert_one_line(outcome, f"{said}, found File name too long; correct the path or empty the cell")
    assert f"{said}; correct the path or empty the cell" in mmtsa("check", rec, expect=1).stdout


def test_most_recordings_damaged_is_no_store(mmtsa, rec: Path, tmp_path: Path) -> None:
    for name in ("walk_1", "walk_3", "sit_2"):
        (rec / f"{name}.csv").write_text("time,x,y,z\n0,1,1,1\n")
    outcome = mmtsa("sample", rec, "-o", tmp_path / "s", "--window", 0.5, expect=1)
    assert_one_line(outcome, "3 of 6 recordings cannot be read, found ")
    assert "walk_1.csv: one row" in outcome.stderr
    assert "see `mmtsa check`" in outcome.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["rec"]


@pytest.mark.parametrize("command", ["sample", "imagify"])
def test_an_index_made_on_another_machine(mmtsa, rec: Path, tmp_path: Path, command: str) -> None:
    lines = (rec / "index.csv").read_text().splitlines()
    there = [re.sub(r",(\w+\.(?:mp4|csv))", r",D:\\study\\raw\\\1", line) for line in lines[1:]]
    away = tmp_path / "away"
    away.mkdir()
    (away / "index.csv").write_text("\n".join([lines[0], *there]) + "\n")
    arguments = (command, away, "-o", tmp_path / "out", *(("--window", 0.5) if command == "sample" else ()))
    before = content(tmp_path)
    outcome = mmtsa(*arguments, "--modalities", "acc", expect=1)
    assert_one_line(outcome, "away/index.csv: 6 of 6 files are not there: ")
    assert outcome.stderr.count(".csv,") + outcome.stderr.count(".csv and 3 more") == 3
    assert "give --root" in outcome.stderr
    outcome = mmtsa(*arguments, "--modalities", "acc", "--root", tmp_path / "nowhere", expect=1)
    assert_one_line(outcome, "--root: no such directory")
    (tmp_path / "empty").mkdir()
    outcome = mmtsa(*arguments, "--modalities", "acc", "--root", tmp_path / "empty", expect=1)
    assert_one_line(outcome, "none of the index's files lies below it, expected a directory that holds an ending of D:")
    assert content(tmp_path) == before
    mmtsa(*arguments, "--root", rec, *(() if command == "sample" else ("--modalities", "acc")))


@pytest.mark.parametrize(
    ("seconds", "frames", "warned", "noted"),
    [
        (30.0, 20, "rgb 2.00 s, acc 30.00 s overlap for 2.00 s only", "rgb 2.00 s, acc 30.00 s: 28.00 s of acc unused"),
        (2.0, 8, "rgb 0.80 s, acc 2.00 s overlap for 0.80 s only", "rgb 0.80 s, acc 2.00 s: 1.20 s of acc unused"),
    ],
)
def test_video_and_series_of_different_lengths(
    mmtsa, rec: Path, tmp_path: Path, seconds: float, frames: int, warned: str, noted: str
) -> None:
    (rec / "walk_1.csv").write_text(sensor_text(seconds))
    write_video(rec / "walk_1.mp4", frames=frames, rate=10)
    assert f"warning: recording walk_1: {warned}; the rest is not used" in mmtsa("check", rec, "--jobs", 1).stdout
    facts = json.loads(mmtsa("sample", rec, "-o", tmp_path / "s", "--window", 0.5, "--jobs", 1, "--json").stdout)
    assert noted in facts["notes"]
    assert Store(tmp_path / "s").duration_s(0) == pytest.approx(min(seconds, frames / 10))


def test_a_class_of_one_subject(mmtsa, rec: Path, tmp_path: Path) -> None:
    rows = [row for row in (rec / "index.csv").read_text().splitlines() if not row.startswith(("sit_1", "sit_2"))]
    (rec / "index.csv").write_text("\n".join(rows))
    assert (
        "warning: label sit: one recording only; no split can both train and test it"
        in mmtsa("check", rec, "--jobs", 1).stdout
    )
    for protocol in ("cross-subject", "leave-one-subject-out"):
        outcome = mmtsa("sample", rec, "-o", tmp_path / "s", "--window", 0.5, "--protocol", protocol, expect=1)
        assert_one_line(outcome, f"--protocol {protocol}: label sit in the test part of fold ")
        assert "leave it out with `mmtsa sample --exclude-labels sit`" in outcome.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["rec"]


def relabelled(store: Path, directory: Path) -> Path:
    """Copy a store, the test clip of one activity now of one that nobody else has."""
    shutil.copytree(store, directory)
    text = (directory / "clips.csv").read_text()
    assert "walk_3,walk," in text
    (directory / "clips.csv").write_text(text.replace("walk_3,walk,", "walk_3,run,"))
    return directory


def test_a_label_that_training_never_saw(mmtsa, run: Path, store: Path, tmp_path: Path) -> None:
    other = relabelled(store, tmp_path / "other")
    split = tmp_path / "split.yaml"
    split.write_text("train: {subject: ['1', '2']}\ntest: {subject: ['3']}\n")
    outcome = mmtsa("train", other, "-o", tmp_path / "run", *SMALL, expect=1)
    assert_one_line(outcome, "label run in the test part of fold cross-subject that training never saw")
    outcome = mmtsa("eval", run, other, "-o", tmp_path / "eval", expect=1)
    assert_one_line(outcome, f"{other}: label run in the test part that training never saw, expected sit, walk")
    outcome = mmtsa("eval", run, other, "-o", tmp_path / "eval", "--protocol", split, expect=1)
    assert_one_line(outcome, "split.yaml: label run in the test part of fold split that training never saw")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other", "split.yaml"]


WRITING = ("synth", "prepare", "imagify", "sample", "train", "eval")


@pytest.mark.parametrize("name", WRITING)
def test_an_output_that_is_not_ours(mmtsa, commands: dict, run: Path, store: Path, tmp_path: Path, name: str) -> None:
    mine, file = tmp_path / "mine", tmp_path / "thesis.txt"
    mine.mkdir()
    (mine / "notes.txt").write_text("mine")
    file.write_text("mine as well")
    result = Path(shutil.copytree(run if name != "train" else store, tmp_path / "result"))
    before = content(tmp_path)
    for output, phrase in (
        (mine, "exists and was not made by mmtsa, left as it is; name a directory that does not exist"),
        (file, "exists and was not made by mmtsa, left as it is"),
        (result, f"holds the result of `{'sample' if name == 'train' else 'train'}`, left as it is"),
    ):
        outcome = mmtsa(*commands[name], "-o", output, "--overwrite", expect=2)
        assert_one_line(outcome, f"--output {output}: {phrase}")
    assert content(tmp_path) == before


@pytest.mark.parametrize("suffix", [".partial", ".replaced"])
@pytest.mark.parametrize("name", WRITING)
def test_what_stands_where_a_result_is_written_is_left_alone(
    mmtsa, commands: dict, tmp_path: Path, name: str, suffix: str
) -> None:
    beside = tmp_path / f"out{suffix}"
    beside.mkdir()
    (beside / "notes.txt").write_text("mine")
    before = content(tmp_path)
    outcome = mmtsa(*commands[name], "-o", tmp_path / "out", "--overwrite", expect=2)
    assert_one_line(outcome, f"{beside}: exists and was not made by mmtsa, left as it is")
    assert content(tmp_path) == before


def test_recipes_with_unknown_keys_and_values_out_of_range(mmtsa, store: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "mine.yaml"
    recipe.write_text("training:\n  epochs: 0\n  learnrate: 0.1\n  optimizer: adam\nmodell: {dropout: 2}\nseed: soon\n")
    outcome = mmtsa("train", store, "-o", tmp_path / "run", "--recipe", recipe, expect=2)
    for line, phrase in zip(
        outcome.stderr.strip().splitlines(),
        (
            "mine.yaml, line 2: training.epochs is wrong, expected a number of at least 1, found 0",
            "mine.yaml, line 3: unknown key training.learnrate; ",
            "mine.yaml, line 4: training.optimizer is wrong, expected one of sgd, adamw, found 'adam'",
            "mine.yaml, line 5: unknown key modell; did you mean model?",
            "mine.yaml, line 6: seed is wrong, expected a whole number, found 'soon'",
        ),
        strict=True,
    ):
        assert phrase in line
    outcome = mmtsa("train", store, "-o", tmp_path / "run", "--show-recipe", "--set", "training.lr=-1", expect=2)
    assert_one_line(outcome, "--set training.lr=-1: training.lr is wrong, expected a number above 0, found -1")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.yaml"]


@pytest.mark.parametrize(
    ("methods", "told"),
    [
        ("text", "methods is wrong, expected names, each with a section of keys and values, found str"),
        ("{mmtsa: text}", "methods.mmtsa is no section, expected keys and values, as in "),
        ("{svm: {sampling: text}}", "sampling is wrong, expected a section of keys and values, found 'text'"),
        ("{svm: {method: [1]}}", "no method [1]; choose from "),
    ],
)
def test_sections_of_systems_that_are_none(mmtsa, store: Path, tmp_path: Path, methods: str, told: str) -> None:
    recipe = tmp_path / "mine.yaml"
    recipe.write_text(f"model: {{}}\nmethods: {methods}\n")
    table = mmtsa("benchmark", store, "-o", tmp_path / "table", "--recipe", recipe, "--methods", "svm", expect=2)
    assert_one_line(table, f"mine.yaml, line 2: {told}")
    if "svm" not in methods:
        run = mmtsa("train", store, "-o", tmp_path / "run", "--recipe", recipe, expect=2)
        assert_one_line(run, f"mine.yaml, line 2: {told}")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.yaml"]


def test_a_modality_cannot_lead_out_of_the_output(mmtsa, tmp_path):
    rec = tmp_path / "rec"
    rec.mkdir()
    (rec / "a.csv").write_text("time,x,y,z\n" + "".join(f"{i / 10},1,2,{i}\n" for i in range(30)))
    (rec / "index.csv").write_text("id,label,subject,../../m\na,walk,1,a.csv\nb,walk,2,a.csv\n")
    (rec / "dataset.yaml").write_text('modalities:\n  "../../m": {kind: sensor}\n')
    before = sorted(tmp_path.rglob("*"))
    for command in (("sample", rec, "-o", tmp_path / "out"), ("imagify", rec, "-o", tmp_path / "out")):
        said = mmtsa(*command, expect=2).stderr
        assert "dataset.yaml, line 2: a modality names files of results, expected letters, digits, - and _" in said
        assert "found '../../m'" in said
    assert sorted(tmp_path.rglob("*")) == before
