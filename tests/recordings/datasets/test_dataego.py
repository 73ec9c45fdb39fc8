"""The adapter of DataEgo: what the maker put into a tree is what is found in it."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mmtsa_cli.errors import DataError, ManyErrors, UsageError
from mmtsa_cli.recordings.clip import open_clip
from mmtsa_cli.recordings.datasets.adapter import Scan, ScanOptions
from mmtsa_cli.recordings.datasets.dataego import DataEgo
from mmtsa_cli.recordings.datasets.dataego_labels import ACTIVITIES, SPELLINGS, label_of, read_labels
from mmtsa_cli.recordings.datasets.dataego_splits import TRAINING, by_recording, official_side
from mmtsa_cli.recordings.datasets.tree import list_files
from mmtsa_cli.recordings.index import Dataset, read_index
from mmtsa_cli.sampling.protocols import resolve
from tests.trees.dataego import RECORDINGS, Rec, write_dataego
from tests.trees.own import content

PLAIN = Rec(1507000000001, [("walking", 25), ("reading", 30)])


def scan(root: Path, **options: object) -> Scan:
    return DataEgo().scan(list_files(root), ScanOptions(**options))  # type: ignore[arg-type]


def of(root: Path, recording: Rec, **options: object) -> Scan:
    return scan(write_dataego(root, recordings=[recording]), **options)


def clips(found: Scan) -> list[tuple[str, str, float | None, float | None]]:
    return [(r.columns["recording"], r.label, r.start_s, r.end_s) for r in found.recordings]


def left_out(found: Scan) -> dict[str, str]:
    """Return per part of a file, without its folders, why it is left out."""
    return {skipped.file.rpartition("/")[2]: skipped.why for skipped in found.skipped}


@pytest.mark.parametrize("below", ["", "DataEgo/data"])
def test_what_was_put_in_is_found(tmp_path: Path, below: str) -> None:
    found = scan(write_dataego(tmp_path, below=below))
    assert clips(found) == [
        ("REC_1507193252270", "walking down/upstairs", 0, 15),
        ("REC_1507193252270", "eating", 20, 35),
        ("REC_1507193252270", "eating", 30, 45),
        ("REC_1507292576905", "cooking", 0, 15),
        ("REC_1507292576905", "cooking", 10, 25),
        ("REC_1507292576905", "walking", 50, 65),
        ("REC_1507451974266", "walking", 0, 15),
        ("REC_1507451974266", "talking with people", 20, 35),
        ("REC_1507538351866", "reading", 0, 15),
        ("REC_1507538351866", "reading", 10, 25),
    ]
    assert left_out(found) == {
        "ACC_REC_1507193252270.txt, 10 to 25 s": "the activity changes",
        "ACC_REC_1507193252270.txt, 45 to 50 s": "shorter than a clip",
        "ACC_REC_1507292576905.txt, 20 to 35 s": "the activity changes",
        "ACC_REC_1507292576905.txt, 30 to 45 s": "the activity changes",
        "ACC_REC_1507292576905.txt, 40 to 55 s": "the activity changes",
        "ACC_REC_1507451974266.txt, 10 to 25 s": "the activity changes",
        "GYR_REC_1507538351866.txt, 25 to 26 s": "shorter than a clip",
    }
    assert found.warnings == ()
    root = tmp_path / below
    for recording in found.recordings:
        put_in = next(each for each in RECORDINGS if each.name == recording.columns["recording"])
        kinds = {"rgb": "video"} if put_in.video else {}
        kinds |= {{"ACC": "acc", "GYR": "gyro"}[kind]: kind for kind in put_in.sensors}
        assert dict(recording.paths) == {name: put_in.path(root, kind) for name, kind in kinds.items()}


def test_columns_of_a_clip(tmp_path: Path) -> None:
    first = scan(write_dataego(tmp_path)).recordings[3]
    assert first.columns == {
        "id": "REC_1507292576905_0s",
        "label": "cooking",
        "subject": "",
        "recording": "REC_1507292576905",
        "official_split": "train",
    }


def test_five_minutes_make_29_clips_as_published(tmp_path: Path) -> None:
    whole = replace(PLAIN, activities=[("walking", 300)], video=False)
    found = of(tmp_path, whole)
    assert [r.start_s for r in found.recordings] == [10 * i for i in range(29)]
    assert left_out(found) == {"ACC_REC_1507000000001.txt, 295 to 300 s": "shorter than a clip"}


def test_other_clips_and_overlaps(tmp_path: Path) -> None:
    write_dataego(tmp_path, recordings=[PLAIN])
    found = scan(tmp_path, clip_s=10.0, overlap_s=2.5)
    assert [(r.start_s, r.end_s) for r in found.recordings] == [
        (0, 10),
        (7.5, 17.5),
        (15, 25),
        (30, 40),
        (37.5, 47.5),
        (45, 55),
    ]
    assert [r.id for r in found.recordings][1] == "REC_1507000000001_7.5s"
    assert scan(tmp_path, overlap_s=0.0).recordings[-1].start_s == 30
    with pytest.raises(UsageError) as caught:
        scan(tmp_path, clip_s=5.0)
    assert str(caught.value) == (
        "--overlap: clips that overlap by their whole length, expected less than --clip 5, found 5; "
        "give a smaller --overlap"
    )


def test_a_clip_of_which_start_middle_and_end_agree_is_kept(tmp_path: Path) -> None:
    """Two seconds of another activity between them do not count, as in the code of the paper."""
    between = replace(PLAIN, activities=[("walking", 3), ("reading", 2), ("walking", 10)])
    assert [label for _, label, *_ in clips(of(tmp_path / "a", between))] == ["walking"]
    middle = replace(PLAIN, activities=[("walking", 7), ("reading", 2), ("walking", 6)])
    assert clips(of(tmp_path / "b", middle)) == []


def test_the_last_row_of_a_clip_is_the_one_before_its_end(tmp_path: Path) -> None:
    """An activity that ends with row 225 fills a clip of 225 rows; one that ends a row earlier does not."""
    for seconds, kept in ((15, 1), (15 - 1 / 15, 0)):
        recording = replace(PLAIN, activities=[("walking", seconds), ("reading", 16 - seconds)], video=False)
        assert len(of(tmp_path / str(kept), recording).recordings) == kept


def test_rates_are_measured_against_the_video(tmp_path: Path) -> None:
    pairs = ((15.0, 14.0), (14.8, 14.0), (14.2, 14.5))
    recordings = [Rec(1507000000000 + i, [("walking", 20)], rates=pair) for i, pair in enumerate(pairs)]
    found = scan(write_dataego(tmp_path, recordings=recordings))
    assert found.modalities is not None
    assert {name: found.modalities[name].rate for name in ("acc", "gyro")} == {"acc": 14.8, "gyro": 14.0}
    told = "acc: 14.80 Hz measured against the video (14.20 to 15.00 Hz in 3 recordings), over which rows are spread"
    assert told in found.notes


def test_rows_are_spread_over_the_video_whatever_their_rate(tmp_path: Path) -> None:
    recording = replace(PLAIN, activities=[("walking", 40)], rates=(14.0, 15.0))
    found = of(tmp_path, recording)
    assert found.modalities is not None
    dataset = Dataset("dataego", tmp_path, found.modalities, found.recordings)
    third = found.recordings[2]
    with open_clip(dataset, third, ["rgb", "acc", "gyro"]) as clip:
        assert clip.end_s == pytest.approx(15.0, abs=0.1)
        values = recording.values("ACC")
        series = clip.series["acc"]
        assert series.rate == pytest.approx(14.0, abs=0.02)
        # The clip begins at 20 s: at row 280 of 560.
        first = int(np.argmin(np.abs(series.times)))
        np.testing.assert_allclose(series.values[first : first + 200], values[280:480])


def test_a_rate_that_is_far_off_is_told(tmp_path: Path) -> None:
    write_dataego(tmp_path, recordings=[PLAIN, replace(PLAIN, ms=1507000000002)])
    path = PLAIN.path(tmp_path, "GYR")
    path.write_text("".join(path.read_text().splitlines(keepends=True)[: 44 * 15]))
    assert scan(tmp_path).warnings == (
        f"{PLAIN.name}: gyro has 12.00 rows a second of video, not about 15: is half of a file missing?",
    )


def test_without_video_the_documented_rate_is_taken_and_said(tmp_path: Path) -> None:
    found = of(tmp_path, replace(PLAIN, video=False))
    assert found.modalities is not None
    assert found.modalities["acc"].rate == 15.0
    assert "acc: 15 Hz, as documented, in 1 recording without video" in found.notes
    assert not any("measured" in note for note in found.notes)


@pytest.mark.parametrize("damage", [b"", b"no video at all"])
def test_a_video_that_cannot_be_opened_is_left_out_and_its_sensors_kept(tmp_path: Path, damage: bytes) -> None:
    write_dataego(tmp_path, recordings=[PLAIN])
    PLAIN.path(tmp_path, "video").write_bytes(damage)
    found = scan(tmp_path)
    assert [set(r.paths) for r in found.recordings] == [{"acc", "gyro"}] * 4
    assert left_out(found)["REC_1507000000001.mp4"] == "a video that cannot be opened"
    (warning,) = found.warnings
    assert warning.startswith("REC_1507000000001/REC_1507000000001.mp4: ")
    assert warning.endswith("left out, its sensors are taken to run at 15 Hz")


def test_files_of_different_length_end_with_the_shorter_where_no_video_tells(tmp_path: Path) -> None:
    write_dataego(tmp_path, recordings=[replace(PLAIN, video=False)])
    path = PLAIN.path(tmp_path, "GYR")
    path.write_text("".join(path.read_text().splitlines(keepends=True)[: 44 * 15]))
    found = scan(tmp_path)
    assert [r.start_s for r in found.recordings] == [0, 10]
    assert "acc and gyro differ in length in 1 recording, by up to 165 rows" in found.notes


def test_labels_that_differ_at_a_change_are_told_and_the_accelerometer_counts(tmp_path: Path) -> None:
    """At 25 s walking ends: by the gyroscope, 6 rows later, reading would not yet fill the clip from 25 s."""
    recording = replace(PLAIN, activities=[("walking", 25), ("reading", 15)], late=6)
    found = of(tmp_path, recording, clip_s=5.0, overlap_s=0.0)
    assert [label for _, label, *_ in clips(found)] == ["walking"] * 5 + ["reading"] * 3
    (told,) = [note for note in found.notes if note.startswith("acc and gyro change the activity")]
    assert told.endswith("at different rows in 1 recording, up to 6 rows apart in one: those of acc count")
    (tmp_path / recording.name / f"ACC_{recording.name}.txt").unlink()
    alone = scan(tmp_path, clip_s=5.0, overlap_s=0.0)
    assert left_out(alone) == {f"GYR_{recording.name}.txt, 25 to 30 s": "the activity changes"}


@pytest.mark.parametrize(("empty", "left"), [("ACC", "gyro"), ("GYR", "acc")])
def test_an_empty_sensor_file_is_no_sensor(tmp_path: Path, empty: str, left: str) -> None:
    write_dataego(tmp_path, recordings=[PLAIN])
    PLAIN.path(tmp_path, empty).write_bytes(b"")
    found = scan(tmp_path)
    assert len(found.recordings) == 4
    assert any(note.startswith(f"{left}: 15.00 Hz measured") for note in found.notes)


def test_recordings_without_labels_or_rows_are_left_out(tmp_path: Path) -> None:
    bare = replace(PLAIN, ms=1507000000002, sensors=())
    unlabelled = replace(PLAIN, ms=1507000000003, labels="")
    found = scan(write_dataego(tmp_path, recordings=[PLAIN, bare, unlabelled]))
    assert {r.columns["recording"] for r in found.recordings} == {PLAIN.name}
    assert left_out(found)[f"{bare.name}.mp4"] == "no sensor with rows, so no labels"
    assert left_out(found)[f"ACC_{unlabelled.name}.txt"] == "no labels file"


def test_labels_txt_goes_before_others_of_its_kind(tmp_path: Path) -> None:
    write_dataego(tmp_path, recordings=[PLAIN])
    (tmp_path / PLAIN.name / "labels_old.txt").write_text("0:running\n1:running\n")
    assert {r.label for r in scan(tmp_path).recordings} == {"walking", "reading"}
    PLAIN.path(tmp_path, "labels").rename(tmp_path / PLAIN.name / "labels_new.txt")
    with pytest.raises(DataError, match=f"two files of labels for one clip, {PLAIN.name}"):
        scan(tmp_path)


def test_numbers_and_names_that_are_unknown(tmp_path: Path) -> None:
    recording = replace(
        PLAIN, activities=[("walking", 20), ("raeding", 20), ("reading", 20)], labels="0:walking\n1:raeding"
    )
    found = of(tmp_path, recording, clip_s=10.0, overlap_s=0.0)
    assert [label for _, label, *_ in clips(found)] == ["walking", "walking"]
    assert set(left_out(found).values()) == {"no class of DataEgo", "an activity that the labels file does not name"}
    assert left_out(found)[f"ACC_{PLAIN.name}.txt, 20 to 30 s"] == "no class of DataEgo"
    told = f"raeding is no class of DataEgo: left out of {PLAIN.name}; did you mean reading?"
    assert found.warnings == (told,)


@pytest.mark.parametrize(
    ("text", "row", "what"),
    [
        ("0:walking\nreading\n", 2, "no label, expected NUMBER:ACTIVITY, as in 0:walking, found 'reading'"),
        ("\none:walking\n", 2, "no label, expected NUMBER:ACTIVITY, as in 0:walking, found 'one:walking'"),
        ("0:  \n", 1, "no label, expected NUMBER:ACTIVITY, as in 0:walking, found '0: '"),
        ("0:walking\n1:reading\n1:running\n", 3, "number 1 has two activities, found reading and running"),
    ],
)
def test_a_broken_labels_file_is_told_with_its_row(tmp_path: Path, text: str, row: int, what: str) -> None:
    with pytest.raises(DataError) as caught:
        of(tmp_path, replace(PLAIN, labels=text))
    assert str(caught.value) == f"{PLAIN.path(tmp_path, 'labels')}, row {row}: {what}"


def test_labels_are_read_as_they_stand(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_bytes(b"\xef\xbb\xbf0:cooking on stove  \r\n\r\n2 : walking down/upstairs\r\n")
    assert read_labels(path) == {0: "cooking on stove", 2: "walking down/upstairs"}


@pytest.mark.parametrize(
    ("row", "text", "what"),
    [
        (3, "1.0\t2.0\t3.0\twalking", "not a number, found 'walking'"),
        (3, "1.0\t2.0\t3.0\t0.5", "not the number of an activity, expected 0, 1, 2, ..., found 0.5"),
        (3, "1.0\t2.0\t3.0\t-1", "not the number of an activity, expected 0, 1, 2, ..., found -1"),
        (3, "1.0\t2.0", "wrong number of cells, expected 4, found 2"),
    ],
)
def test_a_broken_row_is_told_with_its_place(tmp_path: Path, row: int, text: str, what: str) -> None:
    write_dataego(tmp_path, recordings=[PLAIN])
    path = PLAIN.path(tmp_path, "ACC")
    lines = path.read_text().splitlines()
    lines[row - 1] = text
    path.write_text("\n".join(lines))
    with pytest.raises((DataError, ManyErrors)) as caught:
        scan(tmp_path)
    assert f"{path}, row {row}" in str(caught.value)
    assert what in str(caught.value)


def test_a_sensor_file_without_activities_is_refused(tmp_path: Path) -> None:
    write_dataego(tmp_path, recordings=[PLAIN])
    PLAIN.path(tmp_path, "GYR").write_text("1.0\t2.0\t3.0\n" * 20)
    with pytest.raises(DataError, match=r"GYR_.*: not four columns, expected x, y, z, activity, found 3"):
        scan(tmp_path)


def test_files_in_the_wrong_place(tmp_path: Path) -> None:
    write_dataego(tmp_path, recordings=[PLAIN])
    (tmp_path / PLAIN.name / "ACC_REC_1507000000009.txt").write_text("1\t2\t3\t0\n")
    for name in (
        "labels.txt",
        "REC_1507000000001.mp4",
        f"{PLAIN.name}/notes.txt",
        f"{PLAIN.name}/ACC_{PLAIN.name}.npy",
    ):
        (tmp_path / name).touch()
    found = scan(tmp_path)
    assert len(found.recordings) == 4
    assert left_out(found)["ACC_REC_1507000000009.txt"] == "in the folder of another recording"
    write_dataego(tmp_path / "copy", recordings=[PLAIN])
    with pytest.raises(DataError, match=r"two files of .* for one clip, REC_1507000000001"):
        scan(tmp_path)


def test_spellings_are_merged_and_told(tmp_path: Path) -> None:
    assert len(set(ACTIVITIES)) == 20
    assert set(SPELLINGS.values()) < set(ACTIVITIES)
    assert not set(SPELLINGS) & set(ACTIVITIES)
    assert [label_of(name) for name in ("Writting ", "doing  push ups", "walking", "flying")] == [
        "writing",
        "push ups",
        "walking",
        None,
    ]
    told = next(note for note in scan(write_dataego(tmp_path)).notes if note.startswith("spellings merged"))
    assert "climbing stairs to walking down/upstairs (1 x)" in told
    assert "writting to writing (1 x)" in told


def test_the_official_list_covers_all_classes() -> None:
    assert set(TRAINING) == set(ACTIVITIES)
    listed = {ms for text in TRAINING.values() for ms in text.split()}
    assert len(listed) == 37
    assert all(len(ms) == 13 and ms.startswith("150") for ms in listed)
    assert official_side("REC_1507292576905", "cooking") == "train"
    assert official_side("REC_1507292576905", "walking") == "test"


def many(seed: int, recordings: int = 42) -> list[tuple[str, str]]:
    """Return clips of recordings with two to five activities each, every activity in at least two of them."""
    rng = np.random.default_rng(seed)
    pairs = [(f"REC_{i}", ACTIVITIES[(i + j) % 20]) for i, j in itertools.product(range(recordings), (0, 7))]
    extra = [(f"REC_{rng.integers(recordings)}", ACTIVITIES[rng.integers(20) // 2]) for _ in range(60)]
    return [pair for pair in pairs + extra for _ in range(rng.integers(1, 12))]


@pytest.mark.parametrize("seed", range(20))
def test_folds_by_recording_can_be_followed(seed: int) -> None:
    pairs = many(seed)
    protocol = by_recording(pairs)
    assert protocol is not None
    columns = [{"id": str(i), "label": label, "subject": "", "recording": rec} for i, (rec, label) in enumerate(pairs)]
    folds = resolve("p", columns, published={"p": protocol}).folds
    assert [fold.apart for fold in folds] == [("recording",)] * 5
    assert sorted(i for fold in folds for i in fold.test) == list(range(len(pairs)))
    sizes = [len(fold.test) for fold in folds]
    assert max(sizes) < 1.5 * min(sizes)
    assert by_recording(list(reversed(pairs))) == protocol


def test_two_recordings_of_a_class_are_in_two_folds() -> None:
    """Dealt out in turn, recordings 0 and 5, the two of the first class, would come into one fold."""
    pairs = [(f"REC_{i}", ACTIVITIES[i % 5]) for i in range(10)]
    protocol = by_recording(pairs)
    assert protocol is not None
    parts = [fold["test"]["recording"] for fold in protocol["folds"].values()]
    assert not any({f"REC_{i}", f"REC_{i + 5}"} <= set(part) for part in parts for i in range(5))
    assert sorted(name for part in parts for name in part) == sorted(f"REC_{i}" for i in range(10))
    assert by_recording(pairs[:4]) is None


def test_the_command(mmtsa, tmp_path: Path) -> None:
    root, out = write_dataego(tmp_path / "ego"), tmp_path / "rec"
    two = Rec(1507193971595, [("washing dishes", 20), ("reading", 15), ("walking", 15), ("chopping food", 15)])
    write_dataego(root, recordings=[two, replace(two, ms=1507000000007)])
    RECORDINGS[1].path(root, "GYR").write_bytes(b"")
    before = content(root)
    facts = json.loads(mmtsa("prepare", "dataego", root, "-o", out, "--json").stdout)
    assert content(root) == before
    assert facts["recordings"] == 16
    assert facts["skipped"]["empty (0 bytes)"] == 1
    assert facts["files"] == {"rgb": 14, "acc": 14, "gyro": 13}
    dataset = read_index(out)
    assert [r.start_s for r in dataset.recordings if r.columns["recording"] == two.name] == [0, 20, 50]
    assert set(dataset.protocols) == {"5-fold-recording", "leave-one-recording-out", "official"}
    assert "folds" in dataset.protocols["5-fold-recording"]
    assert "people and places are on both sides" in dataset.protocols["official"]["source"]


def test_the_command_refuses_clips_that_overlap_wholly(mmtsa, tmp_path: Path) -> None:
    root = write_dataego(tmp_path / "ego", recordings=[PLAIN])
    error = mmtsa("prepare", "dataego", root, "-o", tmp_path / "rec", "--clip", "4", expect=2).stderr
    assert "--overlap: clips that overlap by their whole length, expected less than --clip 4, found 5" in error
    assert not (tmp_path / "rec").exists()


def test_the_command_tells_the_row_of_a_broken_labels_file(mmtsa, tmp_path: Path) -> None:
    root = write_dataego(tmp_path / "ego", recordings=[replace(PLAIN, labels="walking\n")])
    error = mmtsa("prepare", "dataego", root, "-o", tmp_path / "rec", expect=1).stderr
    assert "labels.txt, row 1: no label, expected NUMBER:ACTIVITY" in " ".join(error.split())
    assert not (tmp_path / "rec").exists()
