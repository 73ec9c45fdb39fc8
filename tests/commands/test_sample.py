"""`mmtsa sample`: what stands in the store, and what is refused."""

import csv
import errno
import json
import os
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest

from mmtsa_cli.recordings.clip import open_clip
from mmtsa_cli.recordings.index import read_index
from mmtsa_cli.sampling.draw import DrawOptions, Samples
from mmtsa_cli.sampling.segments import cut
from mmtsa_cli.sampling.store import Store
from mmtsa_cli.stages import sample


@pytest.fixture
def few(synthetic, tmp_path):
    """An index of six of the synthetic recordings, which a test may change."""
    rec = tmp_path / "rec"
    rec.mkdir()
    shutil.copy(synthetic / "dataset.yaml", rec)
    with (synthetic / "index.csv").open(newline="") as stream:
        rows = list(csv.reader(stream))
    paths = slice(rows[0].index("rgb"), None)
    chosen = [row for row in rows[1:] if row[1] in ("sitting", "jumping_jacks")][::3]
    for row in chosen:
        row[paths] = [str(synthetic / cell) for cell in row[paths]]
    write_index(rec, rows[0], chosen)
    return rec, rows[0], chosen


def write_index(rec, header, rows):
    with (rec / "index.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([header, *rows])


PROTOCOL = "train: {subject: ['1', '2', '3']}\ntest: {subject: ['4']}\n"


@pytest.fixture
def split(tmp_path):
    path = tmp_path / "split.yaml"
    path.write_text(PROTOCOL)
    return path


def test_the_store_holds_what_the_recordings_hold(synthetic, samples):
    store, dataset = Store(samples), read_index(synthetic)
    assert len(store) == len(dataset.recordings) == 14 * 4 * 2
    number = 17
    recording = next(r for r in dataset.recordings if r.id == store.clips[number]["id"])
    clip = open_clip(dataset, recording, list(store.header.modalities))
    duration = clip.end_s - clip.start_s
    assert store.duration_s(number) == pytest.approx(duration, abs=1e-5)
    series = store.series("acc_watch", number)
    times = np.arange(len(series)) / 100
    for axis in range(3):
        known = np.interp(
            times, clip.series["acc_watch"].times - clip.start_s, clip.series["acc_watch"].values[:, axis]
        )
        assert np.allclose(series[:, axis], known, atol=1e-3)
    frames = store.frames("rgb", number)
    wanted = [s.time_at(f) for s in cut(duration, 3) for f in (1 / 6, 3 / 6, 5 / 6)]
    assert frames["time_s"] == pytest.approx(wanted, abs=1e-4)
    decoded = cv2.imdecode(np.frombuffer(store.jpeg("rgb", frames[4]), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    _, shown = clip.videos["rgb"].frames_at([clip.start_s + wanted[4]])[0]
    assert np.abs(decoded.astype(int) - shown).mean() < 4


def test_a_draw_is_synchronous_and_repeats_with_its_generator(samples):
    store = Store(samples)
    names = tuple(store.header.modalities)
    drawn = Samples(
        store, range(len(store)), modalities=names, classes=store.labels, options=DrawOptions(frame_size=48)
    )
    batch = drawn.batch([3, 5], generators=[np.random.default_rng([0, p]) for p in (3, 5)])
    alone = drawn.batch([5], generators=[np.random.default_rng([0, 5])])
    assert batch.inputs["rgb"].shape == (2, 3, 48, 48, 3)
    assert batch.inputs["acc_watch"].shape == (2, 3, 3, 100)
    assert batch.inputs["gyro"].shape == (2, 3, 3, 50)
    for name in names:
        assert np.array_equal(batch.inputs[name][1], alone.inputs[name][0])
    centre = drawn.batch([5])
    rows, length = store.series("gyro", 5), store.duration_s(5) / 3
    first = [round((length * (i + 0.5) - 0.5) * 50) for i in range(3)]
    assert np.array_equal(centre.inputs["gyro"][0], np.stack([rows[f : f + 50].T for f in first]))
    assert np.array_equal(centre.extremes["gyro"][0], np.stack([rows.min(0), rows.max(0)], axis=1))


def test_a_second_run_finds_it_done_and_other_settings_are_refused(mmtsa, few, split, tmp_path):
    rec, _, _ = few
    arguments = ("sample", rec, "-o", tmp_path / "out", "--window", "1", "--protocol", split)
    first = mmtsa(*arguments, "--json")
    facts = json.loads(first.stdout)
    assert (facts["clips"], facts["segments"], facts["protocol"]) == (6, 3, "split")
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["results"]["clips"] == 6
    again = mmtsa(*arguments, "--json")
    assert "already holds this result" in again.stderr
    assert json.loads(again.stdout) == facts
    other = mmtsa(*arguments, "--segments", "4", expect=2)
    assert "configuration.segments: 3 -> 4" in other.stderr
    assert "--overwrite" in other.stderr
    assert Store(tmp_path / "out").header.segments == 3
    mmtsa(*arguments, "--segments", "4", "--overwrite")
    assert Store(tmp_path / "out").header.segments == 4


def test_contact_sheets_show_every_modality(mmtsa, few, split, tmp_path):
    rec, _, rows = few
    mmtsa(
        "sample",
        rec,
        "-o",
        tmp_path / "out",
        "--window",
        "1",
        "--protocol",
        split,
        "--images",
        "--modalities",
        "rgb,imu",
    )
    sheets = sorted((tmp_path / "out" / "sheets").iterdir())
    assert [sheet.stem for sheet in sheets] == sorted(row[0] for row in rows)
    image = cv2.imread(str(sheets[0]))
    assert image.shape[0] > 5 * 168
    tiles = image[46 + 4 : 46 + 164, 110 + 10 : 110 + 160]
    assert tiles.std() > 5


def test_clips_that_lack_a_modality_are_left_out_and_counted(mmtsa, few, split, tmp_path):
    rec, header, rows = few
    rows[0][header.index("gyro")] = ""
    write_index(rec, header, rows)
    done = mmtsa("sample", rec, "-o", tmp_path / "a", "--window", "1", "--protocol", split, "--json")
    assert json.loads(done.stdout)["left_out"] == {"no gyro": 1}
    done = mmtsa(
        "sample", rec, "-o", tmp_path / "b", "--window", "1", "--protocol", split, "--modalities", "rgb,acc", "--json"
    )
    facts = json.loads(done.stdout)
    assert (facts["left_out"], facts["modalities"]) == ({}, ["rgb", "acc_phone", "acc_watch"])


@pytest.mark.parametrize(
    ("options", "phrase", "code"),
    [
        (("--window", "9"), "shorter than the window, expected at least 9 s, found 3.9", 1),
        (("--modalities", "rgb,gyros"), "--modalities: no modality 'gyros' in the data", 2),
        (("--modalities", ","), "expected names separated by commas", 2),
        (("--segments", "0"), "0 is not in the range x>=1", 2),
        (("--window", "-1"), "-1.0 is not in the range x>0", 2),
        (("--exclude-labels", "siting"), "did you mean sitting?", 2),
        (("--exclude-labels", "sitting,jumping_jacks"), "no recording has all of", 1),
        (("--protocol", "cros-subject"), "did you mean cross-subject?", 2),
        (("--protocol", "missing.yaml"), "missing.yaml: cannot be read: No such file", 2),
    ],
)
def test_what_cannot_be_is_refused_and_leaves_nothing(mmtsa, few, split, tmp_path, options, phrase, code):
    rec, _, _ = few
    before = sorted(p.name for p in tmp_path.iterdir())
    arguments = ("--window", "1", "--protocol", split)
    done = mmtsa("sample", rec, "-o", tmp_path / "out", *arguments, *options, "--jobs", "1", expect=code)
    assert phrase in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == before


def test_short_clips_may_be_left_out(mmtsa, few, split, tmp_path):
    rec, header, rows = few
    header, rows = [*header, "end"], [[*row, "2.0" if i == 1 else ""] for i, row in enumerate(rows)]
    write_index(rec, header, rows)
    arguments = ("sample", rec, "-o", tmp_path / "out", "--window", "3", "--protocol", split)
    refused = mmtsa(*arguments, expect=1)
    assert f"{rows[1][0]}" in refused.stderr
    assert "give --window 1.99 or less, or --skip-short" in refused.stderr
    done = mmtsa(*arguments, "--skip-short", "--json")
    assert json.loads(done.stdout)["left_out"] == {"shorter than the window": 1}
    assert len(Store(tmp_path / "out")) == 5


def test_a_full_disk_leaves_nothing(mmtsa, few, split, tmp_path, monkeypatch):
    rec, _, _ = few

    def full(writer, clip):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(sample.StoreWriter, "append", full)
    before = sorted(p.name for p in tmp_path.iterdir())
    done = mmtsa("sample", rec, "-o", tmp_path / "out", "--window", "1", "--protocol", split, "--jobs", "1", expect=1)
    assert "No space left on device; nothing was kept" in done.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == before


@pytest.mark.parametrize("damage", ["frames-rgb.bin", "series-gyro.bin", "store.json", "clips.csv", "frames-rgb.npy"])
def test_a_damaged_store_is_named(samples, tmp_path, damage):
    from mmtsa_cli.errors import ArtifactError

    store = tmp_path / "store"
    shutil.copytree(samples, store)
    data = (store / damage).read_bytes()
    (store / damage).write_bytes(data[: len(data) // 2])
    with pytest.raises(ArtifactError, match=r"damaged.* make the store anew with `mmtsa sample`"):
        Store(store)


@pytest.mark.usefixtures("eager_processes")
def test_jobs_do_not_change_the_result(mmtsa, few, split, tmp_path):
    rec, _, _ = few
    for jobs in (1, 2):
        mmtsa("sample", rec, "-o", tmp_path / f"jobs{jobs}", "--window", "1", "--protocol", split, "--jobs", jobs)
    for file in sorted((tmp_path / "jobs1").iterdir()):
        assert file.read_bytes() == (tmp_path / "jobs2" / file.name).read_bytes(), file.name


def test_sampling_imports_no_torch(few, split, tmp_path):
    rec, _, _ = few
    program = (
        "import sys\nfrom mmtsa_cli.cli import run\n"
        f"code = run(['sample', {str(rec)!r}, '-o', {str(tmp_path / 'out')!r}, '--window', '1', '--jobs', '1',"
        f" '--protocol', {str(split)!r}])\nassert 'torch' not in sys.modules\nsys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_snippet_is_the_neighbouring_frames_side_by_side(samples):
    store = Store(samples)

    def draw(snippet):
        options = DrawOptions(frame_size=32, snippet=snippet, segments=9)
        return (
            Samples(store, [4], modalities=("rgb",), classes=store.labels, options=options).batch([0]).inputs["rgb"][0]
        )

    single, triple = draw(1), draw(3)
    assert triple.shape == (9, 32, 32, 9)
    for place in range(9):
        before, after = max(place - 1, 0), min(place + 1, 8)
        assert np.array_equal(triple[place], np.concatenate([single[before], single[place], single[after]], axis=-1))


def test_data_that_cannot_be_split_can_still_be_sampled(mmtsa, few, tmp_path):
    rec, header, rows = few
    (rec / "dataset.yaml").unlink()
    place = header.index("subject")
    write_index(rec, header, [[*row[:place], "1", *row[place + 1 :]] for row in rows])
    done = mmtsa("sample", rec, "-o", tmp_path / "out", "--window", "1", "--json")
    assert json.loads(done.stdout)["protocol"] is None
    refused = mmtsa("train", tmp_path / "out", "-o", tmp_path / "run", expect=1)
    assert "no clip in the train part of fold cross-subject" in refused.stderr


def test_cameras_that_share_a_sensor_are_told_where_the_camera_is_what_is_new(mmtsa, few, tmp_path):
    rec, header, rows = few
    views = [[*row, view] for row in rows for view in ("1", "2")]
    for row in views:
        row[0] = f"{row[0]}_c{row[-1]}"
    write_index(rec, [*header, "view"], views)
    arguments = ("sample", rec, "-o", tmp_path / "out", "--window", "1", "--modalities", "rgb,gyro")
    said = mmtsa(*arguments, "--protocol", "cross-view")
    assert "warning: 6 files of gyro are both in the train and the test part of cross-view" in said.stderr
    assert "what gyro reaches there says nothing" in said.stderr
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["results"]["warnings"]
    assert "both in the train" not in mmtsa(*arguments[:3], tmp_path / "b", *arguments[4:]).stderr


def test_a_table_of_records_grows_by_appending(tmp_path):
    from mmtsa_cli.sampling.store import FRAME_RECORD, RowsWriter

    rows = [(i // 3, i / 10, 100 * i, 100, 48, 64) for i in range(1000)]
    with RowsWriter(tmp_path / "frames.npy", FRAME_RECORD) as table:
        for start in range(0, 1000, 7):
            table.append(rows[start : start + 7])
        table.append([])
        table.finish()
    assert np.array_equal(np.load(tmp_path / "frames.npy"), np.array(rows, FRAME_RECORD))
    assert [path.name for path in tmp_path.iterdir()] == ["frames.npy"]


def test_notes_that_differ_in_numbers_alone_are_one(mmtsa, few, split, tmp_path):
    rec, header, rows = few
    place = header.index("gyro")
    for number, row in enumerate(rows[:3], 1):
        lines = (rec / row[place]).read_text().splitlines()
        for line in range(20, 20 + number):
            lines[line] = ",".join([lines[line - 1].split(",")[0], *lines[line].split(",")[1:]])
        row[place] = str(tmp_path / f"{number}.csv")
        (tmp_path / f"{number}.csv").write_text("\n".join(lines) + "\n")
    write_index(rec, header, rows)
    arguments = ("sample", rec, "-o", tmp_path / "out", "--window", "1", "--protocol", split, "--modalities", "gyro")
    facts = json.loads(mmtsa(*arguments, "--json").stdout)
    assert facts["notes"] == ["3 x gyro: N repeated timestamps spread evenly"]


def test_a_row_that_cuts_a_clip_too_short_is_told_by_its_own_length(mmtsa, few, split, tmp_path):
    rec, header, rows = few
    write_index(rec, [*header, "start", "end"], [[*row, "1.0", "1.5"] for row in rows])
    refused = mmtsa("sample", rec, "-o", tmp_path / "out", "--window", "1", "--protocol", split, expect=1)
    assert "expected at least 1 s, found 0.5 s; give --window 0.5 or less" in refused.stderr
