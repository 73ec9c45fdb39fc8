"""`mmtsa show`: the numbers of the table, the draw in the picture, and what is refused."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from mmtsa_cli.imaging.field import gramian, rescale, to_grey
from mmtsa_cli.recordings.video import Video
from mmtsa_cli.reporting import clips
from mmtsa_cli.reporting.clip_layout import ClipPicture, lay_out
from mmtsa_cli.sampling.draw import DrawOptions, Samples
from mmtsa_cli.sampling.store import Store
from tests.trees.own import content, sensor_text, write_recordings
from tests.trees.videos import level, write_video


@pytest.fixture
def rec(tmp_path: Path) -> Path:
    return write_recordings(tmp_path / "rec")


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[ClipPicture]:
    """What is handed over to be drawn, which is drawn all the same."""
    pictures = []
    write = clips.write_clip

    def note(path: Path, clip: ClipPicture) -> None:
        pictures.append(clip)
        write(path, clip)

    monkeypatch.setattr(clips, "write_clip", note)
    return pictures


# The table


def test_the_table_in_numbers(mmtsa, rec: Path) -> None:
    before = content(rec)
    found = json.loads(mmtsa("show", rec, "--json").stdout)
    assert content(rec) == before
    assert (found["recordings"], found["labels"], found["by"], found["values"]) == (4, 2, "subject", 2)
    assert (found["files"], found["files_not_there"], found["measured"]) == (8, 0, 4)
    assert found["seconds"] == [2, 2, 2]
    assert found["by_label"][0] == {"label": "walk", "recordings": 2, "counts": {"1": 1, "2": 1}}
    rgb, acc = found["modalities"]
    assert (rgb["modality"], rgb["kind"], rgb["files"], rgb["nominal_hz"]) == ("rgb", "video", 4, None)
    assert (rgb["hz"], rgb["seconds"], rgb["measured"], rgb["unusable"]) == ([10] * 3, [2] * 3, 4, 0)
    assert (acc["kind"], acc["hz"], acc["not_recorded"]) == ("sensor", [50] * 3, 0)
    assert found["protocols"] == [
        {"protocol": "cross-subject", "published": False, "folds": 1, "train": [2, 2], "test": [2, 2]}
    ]


def test_the_table_for_people(mmtsa, rec: Path) -> None:
    (rec / "dataset.yaml").write_text(
        "name: mine\nmodalities:\n  acc: {kind: sensor, rate: 50, unit: m/s^2}\n"
        "protocols:\n  split: {train: {subject: ['1']}, test: {subject: ['2']}}\n  loso: {leave_one_out: subject}\n"
        "  wrong: {train: {subject: ['1']}, test: {subject: ['9']}}\ndefault_protocol: split\n"
    )
    rows = cells(mmtsa("show", rec).stdout)
    assert ["walk", "1", "1", "2"] in rows
    assert ["all", "2", "2", "4"] in rows
    assert ["acc", "sensor", "m/s^2", "4", "0", "0", "50"] in rows
    assert ["acc", "4", "0", *["50.000"] * 3, *["2.000"] * 3] in rows
    assert ["split", "yes", "1", "2", "2", ""] in rows
    assert ["loso", "", "2", "2", "2", ""] in rows
    wrong = next(row for row in rows if row[0] == "wrong")
    assert wrong[5].startswith("protocol wrong: no clip in the test part")
    facts = json.loads(mmtsa("show", rec, "--json").stdout)
    assert facts["default_protocol"] == "split"
    assert "no clip in the test part of fold wrong" in facts["protocols"][2]["problem"]


def test_subjects_whose_names_are_those_of_columns(mmtsa, tmp_path: Path) -> None:
    rec = write_recordings(tmp_path / "rec", subjects=("all", "p_1"))
    index = rec / "index.csv"
    index.write_text(index.read_text().replace("sit_p_1,sit,p_1", "sit_p_1,sit,"))
    rows = cells(mmtsa("show", rec).stdout)
    assert ["label", "(none)", "all", "p_1", "all"] in rows
    assert ["sit", "1", "1", "0", "2"] in rows


def cells(text: str) -> list[list[str]]:
    lines = [line.strip("│┃") for line in text.splitlines() if line.startswith(("│", "┃"))]
    return [[cell.strip() for cell in line.replace("┃", "│").split("│")] for line in lines]


def write_many(root: Path, subjects: int) -> Path:
    rows = [f"{label}_{s},{label},{s},{1 + s % 2},a.csv" for label in ("walk", "sit") for s in range(1, subjects + 1)]
    rows.append("walk_again,walk,3,1,a.csv")
    root.mkdir()
    (root / "a.csv").write_text(sensor_text())
    (root / "index.csv").write_text("\n".join(["id,label,subject,session,acc", *rows]) + "\n")
    return root


def test_many_subjects_are_folded_and_another_column_counts(mmtsa, tmp_path: Path) -> None:
    rec = write_many(tmp_path / "rec", 13)
    rows = cells(mmtsa("show", rec).stdout)
    assert ["label", "recordings", "subjects with it", "fewest a subject", "most a subject"] in rows
    assert ["walk", "14", "13", "1", "2"] in rows
    assert ["sit", "13", "13", "1", "1"] in rows
    facts = json.loads(mmtsa("show", rec, "--json").stdout)
    assert list(facts["by_label"][0]["counts"]) == [str(number) for number in range(1, 14)]
    rows = cells(mmtsa("show", rec, "--by", "session").stdout)
    assert ["label", "1", "2", "all"] in rows
    assert ["walk", "7", "7", "14"] in rows
    outcome = mmtsa("show", rec, "--by", "sesion", expect=2)
    assert "--by: the index has no column 'sesion'; did you mean session?" in outcome.stderr


def test_a_part_is_measured_evenly_chosen(mmtsa, tmp_path: Path) -> None:
    rec = write_many(tmp_path / "rec", 10)
    # Lengths that tell which rows were opened.
    lines = (rec / "index.csv").read_text().splitlines()
    for number in range(1, len(lines)):
        (rec / f"{number}.csv").write_text(sensor_text(number))
        lines[number] = lines[number].replace("a.csv", f"{number}.csv")
    (rec / "index.csv").write_text("\n".join(lines))
    outcome = mmtsa("show", rec, "--limit", 3)
    assert "Measured on 3 of 21 recordings" in outcome.stdout
    acc = json.loads(mmtsa("show", rec, "--limit", 3, "--json").stdout)["modalities"][0]
    assert acc["seconds"] == [4, 11, 18]


def test_without_measuring_no_file_is_opened(mmtsa, rec: Path) -> None:
    for path in rec.glob("walk_*"):
        path.write_bytes(b"")
    outcome = mmtsa("show", rec, "--limit", 0)
    assert "Measured" not in outcome.stdout
    assert outcome.stderr == ""
    acc = json.loads(mmtsa("show", rec, "--limit", 0, "--json").stdout)["modalities"][1]
    assert (acc["measured"], acc["hz"], acc["seconds"]) == (0, None, None)


def test_parts_that_are_missing_are_counted(mmtsa, rec: Path) -> None:
    index = rec / "index.csv"
    index.write_text(index.read_text().replace("sit_2,sit,2,sit_2.mp4,", "sit_2,sit,2,,"))
    for name in ("walk_1.mp4", "walk_1.csv", "sit_1.csv"):
        (rec / name).unlink()
    outcome = mmtsa("show", rec)
    assert f"warning: {index}: 3 of 7 files are not there: {rec / 'walk_1.mp4'}, " in outcome.stderr
    assert "give --root" in outcome.stderr
    rgb, acc = json.loads(mmtsa("show", rec, "--json").stdout)["modalities"]
    assert (rgb["files"], rgb["not_recorded"], rgb["not_there"], rgb["measured"]) == (3, 1, 1, 2)
    assert (acc["files"], acc["not_recorded"], acc["not_there"], acc["measured"]) == (4, 0, 2, 2)
    outcome = mmtsa("show", rec, "walk_1", "-o", rec / "clip.png", expect=1)
    assert "index.csv, row 2, column rgb: no such file" in outcome.stderr
    assert not (rec / "clip.png").exists()


def test_files_that_were_moved(mmtsa, rec: Path, tmp_path: Path) -> None:
    index = tmp_path / "index"
    index.mkdir()
    text = (rec / "index.csv").read_text()
    for name in ("walk_", "sit_"):
        text = text.replace(f",{name}", f",/elsewhere/{name}")
    (index / "index.csv").write_text(text)
    facts = json.loads(mmtsa("show", index, "--json").stdout)
    assert (facts["files_not_there"], facts["measured"]) == (8, 0)
    facts = json.loads(mmtsa("show", index, "--root", rec, "--json").stdout)
    assert (facts["files_not_there"], facts["measured"]) == (0, 4)
    mmtsa("show", index, "walk_1", "-o", tmp_path / "clip.png", expect=1)
    mmtsa("show", index, "walk_1", "-o", tmp_path / "clip.png", "--root", rec)
    assert (tmp_path / "clip.png").is_file()


def test_a_file_that_cannot_be_used_keeps_nothing_else_from_being_measured(mmtsa, rec: Path) -> None:
    (rec / "walk_1.csv").write_text("time,x\n0,1\n1,abc\n")
    outcome = mmtsa("show", rec, "--json")
    rgb, acc = json.loads(outcome.stdout)["modalities"]
    assert (rgb["measured"], rgb["unusable"]) == (4, 0)
    assert (acc["measured"], acc["unusable"]) == (3, 1)
    assert "warning: 1 of 4 acc files cannot be used, the first: " in outcome.stderr
    assert "walk_1.csv, row 3, column x: not a number" in outcome.stderr


def test_recordings_cut_from_one_file_have_their_own_length(mmtsa, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(sensor_text(10))
    (tmp_path / "index.csv").write_text("id,label,subject,start,end,acc\na,walk,1,0,3,a.csv\nb,sit,1,3,8,a.csv\n")
    acc = json.loads(mmtsa("show", tmp_path, "--json").stdout)["modalities"][0]
    assert acc["seconds"] == [3, 4, 5]


def test_some_modalities(mmtsa, rec: Path) -> None:
    facts = json.loads(mmtsa("show", rec, "--modalities", "imu", "--json").stdout)
    assert [its["modality"] for its in facts["modalities"]] == ["acc"]
    assert "did you mean acc?" in mmtsa("show", rec, "--modalities", "ac", expect=2).stderr


# The picture


def test_the_picture_shows_the_frame_of_the_middle(mmtsa, rec: Path, drawn, tmp_path: Path) -> None:
    before = content(rec)
    out = tmp_path / "clip.png"
    facts = json.loads(mmtsa("show", rec, "walk_1", "-o", out, "--segments", 1, "--window", 1, "--json").stdout)
    assert content(rec) == before
    assert (facts["id"], facts["label"], facts["subject"], facts["seconds"]) == ("walk_1", "walk", "1", 2)
    assert facts["segments"] == [[0, 2]]
    assert facts["videos"] == {"rgb": {"frames_s": [1]}}
    acc = facts["sensors"]["acc"]
    assert (acc["axes"], acc["hz"], acc["windows_s"]) == (["x", "y", "z"], 50, [[0.5, 1.5]])
    assert acc["lowest"] == [0, 0, 1]
    assert acc["highest"] == pytest.approx([1.98, 3.96, 1])
    assert drawn[0].title == "walk_1"
    assert drawn[0].subtitle.startswith("label walk, subject 1, 2.00 s; drawn at the centres; fields: sum")
    image, box = cv2.imread(str(out)), lay_out(drawn[0]).boxes["frame", "rgb", 0]
    y, x = (box.top + box.height / 2) * clips.DPI, (box.left + box.width / 2) * clips.DPI
    assert image[round(y), round(x)].tolist() == pytest.approx([level(10)] * 3, abs=3)


@pytest.mark.parametrize("seed", [None, 5])
def test_the_picture_shows_what_a_store_gives(mmtsa, synthetic: Path, samples: Path, drawn, seed, tmp_path) -> None:
    store = Store(samples)
    names = tuple(store.header.modalities)
    position = 17
    arguments: list[Any] = ["--segments", 3, "--frames", 3, "--window", 1]
    arguments += ["--seed", seed] if seed is not None else []
    mmtsa("show", synthetic, store.clips[position]["id"], "-o", tmp_path / "clip.png", *arguments)
    options = DrawOptions(frame_size=64, crop=1.0)
    chosen = Samples(store, range(len(store)), modalities=names, classes=store.labels, options=options)
    rngs = None if seed is None else [np.random.default_rng([seed, position])]
    batch = chosen.batch([position], generators=rngs)
    assert len(drawn[0].sensors) == 4
    for row in drawn[0].sensors:
        windows = batch.inputs[row.name][0]
        for (start, _), window, field in zip(row.windows, windows, row.fields, strict=True):
            first = round(start * row.rate)
            assert np.allclose(row.values[first : first + window.shape[1]].T, window, atol=1e-5)
            low, high = batch.extremes[row.name][0].astype(float).T
            expected = to_grey(gramian(rescale(window.astype(float), low, high))).transpose(1, 2, 0)
            assert np.abs(field.astype(int) - expected).max() <= 1
    times = store.frames("rgb", position)["time_s"]
    for (time_s, picture), frame in zip(drawn[0].videos[0].frames, batch.inputs["rgb"][0], strict=True):
        assert np.abs(times - time_s).min() < 1e-5
        assert np.abs(picture.astype(int) - frame).mean() < 4


def test_a_random_draw_is_another_than_the_centres(mmtsa, rec: Path, tmp_path: Path) -> None:
    def windows(*more: Any) -> Any:
        line = ("show", rec, "walk_1", "-o", tmp_path / "a.png", "--window", "0.4", "--json", *more)
        facts = json.loads(mmtsa(*line).stdout)
        return facts["sensors"]["acc"]["windows_s"], facts["videos"]["rgb"]["frames_s"]

    assert windows("--seed", 1) == windows("--seed", 1)
    assert windows("--seed", 1) != windows("--seed", 2)
    for (start, end), (first, last) in zip(
        windows("--seed", 1)[0], [(0, 2 / 3), (2 / 3, 4 / 3), (4 / 3, 2)], strict=True
    ):
        # Equation 6: inside its segment, to half a sample.
        assert first - 0.01 <= start < end <= last + 0.01
    assert windows()[1] == pytest.approx([1 / 3, 1, 5 / 3])


def test_options_change_the_fields(mmtsa, rec: Path, drawn, tmp_path: Path) -> None:
    line = ("show", rec, "walk_1", "-o", tmp_path / "a.png", "--window", 1, "--segments", 1)
    for more in ((), ("--field", "difference"), ("--range", "unit"), ("--scale", "window")):
        mmtsa(*line, *more)
    # x runs from 0 to 1.98, the window from 0.5 to 1.48: by its own extremes its ends are -1 and 1.
    red = [picture.sensors[0].fields[0][:, :, 0] for picture in drawn]
    assert red[3][0, 0] == 255
    assert red[3][0, -1] == 0
    assert red[0][0, 0] == to_grey(gramian(np.array([2 * 0.5 / 1.98 - 1])))[0, 0]
    assert (np.diag(red[1]) == 128).all()
    assert red[2][0, 0] == to_grey(gramian(np.array([0.5 / 1.98])))[0, 0]
    # z is constant: mid-grey, whatever is asked for.
    assert all((picture.sensors[0].fields[0][:, :, 2] == 128).all() for picture in drawn)
    assert drawn[1].subtitle.endswith("fields: difference, range signed, scale clip")


def test_sensors_that_have_not_three_axes(mmtsa, rec: Path, drawn, tmp_path: Path) -> None:
    for axes, caption in ((1, "x0 as grey, 50 samples"), (2, "x0 as grey (first of 2 axes), 50 samples")):
        rows = "\n".join(",".join([f"{i / 50}", *[str(i % 7)] * axes]) for i in range(100))
        (rec / "walk_1.csv").write_text(",".join(["time", *(f"x{a}" for a in range(axes))]) + "\n" + rows + "\n")
        mmtsa("show", rec, "walk_1", "-o", tmp_path / "a.png", "--window", 1)
        assert drawn[-1].sensors[0].caption == caption
        assert drawn[-1].sensors[0].fields[0].shape == (50, 50)
    rows = "\n".join(",".join([f"{i / 50}", *[str(i % 7)] * 6]) for i in range(100))
    (rec / "walk_1.csv").write_text("time,a,b,c,d,e,f\n" + rows + "\n")
    mmtsa("show", rec, "walk_1", "-o", tmp_path / "a.png", "--window", 1)
    assert drawn[-1].sensors[0].caption == "a, b, c as red, green, blue (first 3 of 6 axes), 50 samples"
    assert drawn[-1].sensors[0].values.shape == (100, 6)


@pytest.mark.parametrize(("name", "videos", "sensors"), [("rgb", 1, 0), ("acc", 0, 1)])
def test_one_modality_and_svg(mmtsa, rec: Path, drawn, tmp_path: Path, name: str, videos: int, sensors: int) -> None:
    out = tmp_path / "clip.svg"
    outcome = mmtsa("show", rec, "sit_2", "-o", out, "--modalities", name, "--window", 1)
    assert (len(drawn[0].videos), len(drawn[0].sensors)) == (videos, sensors)
    assert "<svg" in out.read_text()
    assert "sit_2" in outcome.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.svg", "rec"]


def test_of_a_long_clip_only_what_is_shown_is_decoded(mmtsa, tmp_path: Path, drawn, monkeypatch) -> None:
    write_video(tmp_path / "a.mp4", frames=45, rate=1)
    (tmp_path / "a.csv").write_text(sensor_text(45, 100))
    (tmp_path / "index.csv").write_text("id,label,subject,rgb,acc\na,walk,1,a.mp4,a.csv\n")
    asked: list[float] = []
    frames_at = Video.frames_at
    monkeypatch.setattr(Video, "frames_at", lambda self, times: (asked.extend(times), frames_at(self, times))[1])
    mmtsa("show", tmp_path, "a", "-o", tmp_path / "clip.png", "--window", 20)
    assert len(asked) == len(drawn[0].videos[0].overview) + 3 <= 15
    assert asked == sorted(asked)
    # 2000 samples of a window would be 4 million pixels, and those of an hour more than there is memory.
    assert drawn[0].sensors[0].fields[0].shape == (400, 400, 3)
    assert "2000 samples, averaged to 400" in drawn[0].sensors[0].caption


# What is refused


REFUSED: dict[str, tuple[list[str], str]] = {
    "no output": (["walk_1"], "recording walk_1: a picture of one recording needs a file to write; give -o clip.png"),
    "no id": (
        ["-o", "a.png"],
        "--output a.png: a picture shows one recording, and none is named; name one: mmtsa show",
    ),
    "no such id": (["walk_3", "-o", "a.png"], "no recording 'walk_3', found 4 others; did you mean walk_2 or walk_1?"),
    "part of ids": (["sit", "-o", "a.png"], "no recording 'sit', found 4 others; did you mean sit_1 or sit_2?"),
    "another name": (["%%%", "-o", "a.png"], "its ids look like walk_1, walk_2, sit_1"),
    "ending": (["walk_1", "-o", "a.jpg"], "--output a.jpg: not a picture that can be written, expected .png or .svg"),
    "table option": (["walk_1", "-o", "a.png", "--by", "subject"], "--by: describes the table of all recordings"),
    "picture option": (["--segments", "3"], "--segments: describes the picture of one recording; add its ID"),
    "range option": (["--range", "unit"], "--range: describes the picture of one recording; add its ID"),
    "modality": (["walk_1", "-o", "a.png", "--modalities", "gyro"], "no modality 'gyro' in the data"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_wrong_use(mmtsa, rec: Path, case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    arguments, phrase = REFUSED[case]
    assert phrase in mmtsa("show", rec, *arguments, expect=2).stderr
    assert [path.name for path in tmp_path.iterdir()] == ["rec"]


def test_a_directory_is_no_picture(mmtsa, rec: Path, tmp_path: Path) -> None:
    (tmp_path / "a.png").mkdir()
    assert "is a directory" in mmtsa("show", rec, "walk_1", "-o", tmp_path / "a.png", expect=2).stderr


def test_an_index_of_thousands_is_not_listed_in_a_message(mmtsa, tmp_path: Path) -> None:
    rows = [f"s{n % 20}_t{n},walk,{n % 20},a.csv" for n in range(20_000)]
    (tmp_path / "index.csv").write_text("\n".join(["id,label,subject,acc", *rows]) + "\n")
    outcome = mmtsa("show", tmp_path, "s1_t20001", "-o", tmp_path / "a.png", expect=2)
    assert "did you mean s" in outcome.stderr
    assert len(outcome.stderr) < 300


def test_a_clip_shorter_than_the_window(mmtsa, rec: Path, tmp_path: Path) -> None:
    outcome = mmtsa("show", rec, "walk_1", "-o", tmp_path / "a.png", "--window", "2.5", expect=1)
    assert "recording walk_1: shorter than the window, expected at least 2.5 s, found 2 s (rgb 2 s" in outcome.stderr
    assert "give --window 2 or less" in outcome.stderr
    mmtsa("show", rec, "walk_1", "-o", tmp_path / "a.png", "--window", "2")


def test_a_window_of_no_samples(mmtsa, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("time,x\n0,1\n0.02,2\n0.04,3\n")
    (tmp_path / "index.csv").write_text("id,label,subject,start,end,acc\na,walk,1,0,0.01,a.csv\n")
    outcome = mmtsa("show", tmp_path, "a", "-o", tmp_path / "a.png", "--window", "0.005", expect=1)
    assert "fewer than two samples of acc, found 0 in 0.01 s at 50 Hz" in outcome.stderr


def test_a_gap(mmtsa, rec: Path, tmp_path: Path) -> None:
    text = sensor_text(0.5) + "".join(sensor_text(0.5, start=1.5).splitlines(keepends=True)[1:])
    (rec / "walk_1.csv").write_text(text)
    line = ("show", rec, "walk_1", "-o", tmp_path / "a.png", "--window", 1)
    assert "give --max-gap 1.1" in mmtsa(*line, expect=1).stderr
    assert not (tmp_path / "a.png").exists()
    mmtsa(*line, "--max-gap", "1.1")


def test_an_earlier_picture_is_replaced_whole_or_not_at_all(mmtsa, rec: Path, tmp_path: Path, monkeypatch) -> None:
    out = tmp_path / "a.png"
    out.write_bytes(b"before")

    def fail(path: Path, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(clips, "replace_file", fail)
        outcome = mmtsa("show", rec, "walk_1", "-o", out, "--window", 1, expect=1)
    assert f"{out}: cannot be written: No space left on device; nothing was kept; free some space" in outcome.stderr
    assert out.read_bytes() == b"before"
    mmtsa("show", rec, "walk_1", "-o", out, "--window", 1)
    assert cv2.imread(str(out)) is not None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "rec"]
    outcome = mmtsa("show", rec, "walk_1", "-o", tmp_path / "none" / "a.png", "--window", 1, expect=1)
    assert "cannot be written: No such file or directory; name another place" in outcome.stderr


@pytest.mark.parametrize("picture", [False, True])
def test_neither_way_imports_torch(rec: Path, tmp_path: Path, picture: bool) -> None:
    arguments = ["show", str(rec), *(["walk_1", "-o", str(tmp_path / "a.png"), "--window", "1"] if picture else [])]
    heavy = {"torch", "sklearn", "pandas"} | (set() if picture else {"matplotlib", "cv2"})
    program = (
        f"import sys\nfrom mmtsa_cli.cli import run\ncode = run({arguments!r})\n"
        f"assert not {heavy!r} & set(sys.modules), {heavy!r} & set(sys.modules)\nsys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.data
def test_utd_mhad(mmtsa, data_root: Path, drawn, tmp_path: Path) -> None:
    rec, out = tmp_path / "rec", tmp_path / "clip.png"
    mmtsa("prepare", "utd-mhad", data_root / "utd-mhad", "-o", rec)
    facts = json.loads(mmtsa("show", rec, "--limit", 6, "--json").stdout)
    counts = {label["label"]: label["counts"] for label in facts["by_label"]}
    assert counts["walk"] == {"1": 4, "2": 4, "3": 4, "4": 4, "5": 4, "6": 3}
    assert (facts["recordings"], facts["measured"]) == (646, 6)
    depth, acc, _ = facts["modalities"]
    assert acc["hz"] == [50, 50, 50]
    assert 14 < depth["hz"][0] <= depth["hz"][2] < 31
    assert facts["protocols"][0]["test"] == [323, 323]
    mmtsa("show", rec, "a1_s1_t1", "-o", out)
    assert [row.name for row in drawn[0].sensors] == ["acc", "gyro"]
    assert drawn[0].videos[0].frames[0][1].ndim == 2
    image = cv2.imread(str(out))
    assert image.shape[0] > 900
    assert image.shape[1] > 1200
    shutil.rmtree(rec)
