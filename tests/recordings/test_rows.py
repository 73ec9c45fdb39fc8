"""Recordings of an index: made from columns, and the same as if each were kept."""

from __future__ import annotations

import csv
import pickle
import tempfile
import tracemalloc
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from mmtsa_cli.recordings.index import read_index
from mmtsa_cli.recordings.rows import Each, Paths, Recordings, columns_of, file_text, those_at

NAMES = st.text("abc é", min_size=1, max_size=4).map(str.strip).filter(bool)
ROWS = st.lists(
    st.tuples(NAMES, NAMES, st.sampled_from(["", "a.mp4", "sub/b.mp4"]), st.sampled_from(["", "0.5"])),
    min_size=1,
    max_size=6,
)


def write(directory: Path, rows: list[tuple[str, str, str, str]]) -> None:
    with (directory / "index.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["id", "label", "subject", "start", "rgb", "acc"])
        for number, (label, subject, video, start) in enumerate(rows):
            writer.writerow([f"clip{number}", label, subject, start, video, f"acc{number}.csv"])


@given(ROWS, st.data())
@settings(deadline=None, max_examples=50)
def test_they_are_what_the_rows_say_in_any_choice_of_them(rows, data):
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        write(directory, rows)
        recordings = read_index(directory).recordings
    assert isinstance(recordings, Recordings)
    assert len(recordings) == len(rows)
    for number, (recording, (label, subject, video, start)) in enumerate(zip(recordings, rows, strict=True)):
        assert (recording.id, recording.label, recording.subject) == (f"clip{number}", label, subject)
        assert recording.columns == {"id": f"clip{number}", "label": label, "subject": subject}
        files = {"rgb": video, "acc": f"acc{number}.csv"} if video else {"acc": f"acc{number}.csv"}
        assert recording.paths == {name: directory / text for name, text in files.items()}
        assert {name: file_text(recording, name) for name in files} == files
        assert (recording.start_s, recording.end_s) == (float(start) if start else None, None)
        assert recording.row == number + 2
    places = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=5))
    chosen = those_at(recordings, places)
    assert list(chosen) == [recordings[place] for place in places] == list(those_at(tuple(recordings), places))
    assert those_at(chosen, range(len(places)))[::-1] == list(chosen)[::-1]
    assert recordings == tuple(recordings)
    assert recordings != tuple(recordings)[1:]
    for columns, recording in zip(columns_of(chosen), chosen, strict=True):
        assert dict(columns) == dict(recording.columns)
        assert columns.get("subject", "") == recording.subject
        assert columns.get("session", "none") == "none"
    assert [dict(one) for one in columns_of(tuple(chosen))] == [dict(one) for one in columns_of(chosen)]


def test_one_of_many_travels_alone_and_the_many_take_little_memory(tmp_path):
    count = 5000
    write(tmp_path, [(f"activity {number % 20}", f"{number % 9}", "v.mp4", "") for number in range(count)])
    read_index(tmp_path)  # what is loaded the first time is not counted
    tracemalloc.start()
    dataset = read_index(tmp_path)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held / count < 300, "as a recording each they took 510 bytes"
    assert len(pickle.dumps(dataset.recordings[count - 1])) < 2000


def test_each_is_made_when_it_is_asked_for():
    made = []
    each = Each(range(5), lambda item: made.append(item) or 10 * item)
    assert len(each) == 5
    assert not made
    assert (each[-1], list(each[1:3])) == (40, [10, 20])
    assert made == [4, 1, 2]
    assert list(each) == [0, 10, 20, 30, 40]


def test_paths_of_an_index_are_a_mapping(tmp_path):
    paths = Paths(tmp_path, {"rgb": "a.mp4"})
    assert "rgb" in paths
    assert "acc" not in paths
    assert dict(paths) == {"rgb": tmp_path / "a.mp4"}
