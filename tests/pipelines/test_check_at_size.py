"""`mmtsa check` over many recordings: nothing read twice, one line where one thing is wrong, an end that can go on.

Thousands of recordings are rows over a few files, or parts of them.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mmtsa_cli.recordings import inspection
from mmtsa_cli.stages import check
from mmtsa_cli.stages.checks import journal as check_journal
from tests.benchmarks.check import write_many
from tests.trees.own import content, sensor_text, write_recordings, write_rows


@pytest.fixture
def rec(tmp_path: Path) -> Path:
    return write_recordings(tmp_path / "rec", labels=("walk", "sit"), subjects=("1", "2", "3"))


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of recordings whose files were opened, in this process."""
    ids: list[str] = []
    original = inspection.inspect

    def spy(dataset, recording, names, options):
        ids.append(recording.id)
        return original(dataset, recording, names, options)

    monkeypatch.setattr(inspection, "inspect", spy)
    return ids


def checked(mmtsa, rec: Path, *arguments: object) -> dict:
    """Check in this process and return what was found, with `said`."""
    outcome = mmtsa("check", rec, "--jobs", 1, "--json", *arguments, expect=None)
    return {**json.loads(outcome.stdout), "code": outcome.code, "said": outcome.stderr}


def same(found: dict) -> dict:
    """Return what must not depend on how a result was come by."""
    return {key: value for key, value in found.items() if key not in ("unchanged", "said")}


def journals(cache: Path) -> list[Path]:
    return sorted((cache / "check").iterdir())


def later(path: Path, seconds: int = 5) -> None:
    """Make a file look changed, whatever the resolution of the disk's clock."""
    stamp = path.stat().st_mtime_ns + seconds * 10**9
    os.utime(path, ns=(stamp, stamp))


def test_what_has_not_changed_is_not_read_again(mmtsa, rec: Path, read: list[str]) -> None:
    (rec / "sit_2.csv").write_text(sensor_text().replace("\n1.5000,", "\n0.2000,"))
    first = checked(mmtsa, rec)
    assert (len(read), first["unchanged"], first["code"], first["said"]) == (6, 0, 1, "")
    again = checked(mmtsa, rec)
    assert len(read) == 6
    assert again["said"].startswith("6 of 6 taken from an earlier check of unchanged files; --afresh checks them")
    assert (same(again), again["unchanged"]) == (same(first), 6)
    assert "row 77: timestamps run backwards" in again["errors"][0]


def test_only_what_has_changed_is_read(mmtsa, rec: Path, read: list[str]) -> None:
    checked(mmtsa, rec)
    del read[:]
    (rec / "walk_2.csv").write_text("")
    later(rec / "sit_3.mp4")
    found = checked(mmtsa, rec)
    assert read == ["walk_2", "sit_3"]
    assert [f"{rec / 'walk_2.csv'}: empty" in line for line in found["errors"]] == [True]
    assert found["unchanged"] == 4


def test_a_file_repaired_is_read_and_its_error_gone(mmtsa, rec: Path, read: list[str]) -> None:
    sound = (rec / "walk_2.csv").read_text()
    (rec / "walk_2.csv").write_text(sound.replace("1.0000,2.0000,1\n", "1.0000,abc,1\n"))
    assert checked(mmtsa, rec)["code"] == 1
    (rec / "walk_2.csv").write_text(sound)
    later(rec / "walk_2.csv")
    assert (checked(mmtsa, rec)["errors"], read[6:]) == ([], ["walk_2"])


def test_rows_that_move_are_known_and_told_where_they_now_stand(mmtsa, rec: Path, read: list[str]) -> None:
    for name in ("walk_3", "sit_3"):
        (rec / f"{name}.csv").write_text("")
    checked(mmtsa, rec)
    header, *rows = (rec / "index.csv").read_text().splitlines()
    (rec / "index.csv").write_text("\n".join([header, *reversed(rows)]))
    found = checked(mmtsa, rec)
    assert len(read) == 6
    assert ["sit_3.csv" in line for line in found["errors"]] == [True, False]


@pytest.mark.parametrize("change", ["max-gap", "full", "modalities", "description", "end", "another file"])
def test_other_wishes_are_other_work(mmtsa, rec: Path, read: list[str], change: str) -> None:
    checked(mmtsa, rec)
    arguments = {"max-gap": ["--max-gap", 1], "full": ["--full"], "modalities": ["--modalities", "rgb"]}
    if change == "description":
        (rec / "dataset.yaml").write_text("modalities:\n  acc: {rate: 49}\n")
    text = (rec / "index.csv").read_text()
    if change == "end":
        rows = [line.replace(",rgb", ",end,rgb").replace(",walk_1.mp4", ",1.5,walk_1.mp4") for line in text.split()]
        rows = [row.replace(f",{row.split(',')[0]}.mp4", f",,{row.split(',')[0]}.mp4") for row in rows]
        (rec / "index.csv").write_text("\n".join(row.replace(",1.5,,", ",1.5,") for row in rows))
    if change == "another file":
        (rec / "index.csv").write_text(text.replace("1,walk_1.mp4,walk_1.csv", "1,walk_1.mp4,sit_1.csv"))
    checked(mmtsa, rec, *arguments.get(change, []))
    assert len(read) == (7 if change in ("end", "another file") else 12)


def test_afresh_reads_everything(mmtsa, rec: Path, read: list[str]) -> None:
    checked(mmtsa, rec)
    found = checked(mmtsa, rec, "--afresh")
    assert (len(read), found["unchanged"], found["said"]) == (12, 0, "")


def test_damaged_lines_are_passed_over(mmtsa, rec: Path, cache: Path, read: list[str]) -> None:
    first = checked(mmtsa, rec)
    (journal,) = journals(cache)
    lines = journal.read_bytes().splitlines(keepends=True)
    assert len(lines) == 6
    # Cut off, one digit another, not of ours, not even text.
    lines[0] = lines[0][:40] + b"\n"
    lines[2] = lines[2].replace(b'"duration_s":2.0', b'"duration_s":3.0')
    lines += [b'{"key": 1}\n', b"\xff\xfe\x00\n", lines[3][:60]]
    journal.write_bytes(b"".join(lines))
    found = checked(mmtsa, rec)
    assert (len(read), found["unchanged"]) == (8, 4)
    assert same(found) == same(first)
    assert len(journal.read_bytes().splitlines()) == 6


def test_a_line_cut_off_at_the_end_does_not_swallow_the_next(rec: Path, cache: Path) -> None:
    finding = inspection.Finding((), 2.0, {"acc": 3}, ("acc: 1 missing values filled",))
    journal = check_journal.Journal(rec)
    journal.add([("a" * 32, finding)])
    journal.close()
    (path,) = journals(cache)
    path.write_bytes(path.read_bytes() * 2)
    path.write_bytes(path.read_bytes()[:-20])
    other = check_journal.Journal(rec)
    other.add([("b" * 32, finding)])
    other.close()
    assert check_journal.Journal(rec).read(["a" * 32, "b" * 32]) == {"a" * 32: finding, "b" * 32: finding}


def test_two_at_once_add_whole_lines(rec: Path) -> None:
    one, other = check_journal.Journal(rec), check_journal.Journal(rec)
    keys = [f"{number:032x}" for number in range(200)]
    for number, key in enumerate(keys):
        (one, other)[number % 2].add([(key, inspection.Finding((), float(number)))])
    known = check_journal.Journal(rec).read(keys)
    assert [known[key].duration_s for key in keys] == [float(number) for number in range(200)]
    # The first one done puts its own file there; the second still writes, and neither fails.
    one.complete({keys[0]: known[keys[0]]})
    other.add([(keys[1], known[keys[1]])])
    other.complete(known)
    assert len(check_journal.Journal(rec).read(keys)) == 200


def test_few_journals_are_kept(mmtsa, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_journal, "_KEPT_JOURNALS", 2)
    (tmp_path / "a.csv").write_text(sensor_text())
    for number in range(4):
        rec = write_rows(tmp_path / str(number), "id,label,subject,acc\na,walk,1,../a.csv\nb,walk,2,../a.csv\n")
        checked(mmtsa, rec)
        later(journals(cache)[0], 0)
    assert len(journals(cache)) == 2
    assert checked(mmtsa, rec)["unchanged"] == 2


@pytest.mark.parametrize("place", ["a file", "below a file"])
def test_a_cache_that_cannot_be_written_is_no_fault(
    mmtsa, rec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    monkeypatch.setenv("MMTSA_CACHE", str(file if place == "a file" else file / "deep"))
    for _ in range(2):
        found = checked(mmtsa, rec)
        assert (found["code"], found["said"], found["unchanged"]) == (0, "", 0)
    assert file.read_text() == "mine"


def test_nothing_is_written_beside_the_recordings(mmtsa, rec: Path, cache: Path) -> None:
    before = content(rec)
    checked(mmtsa, rec)
    assert content(rec) == before
    assert [path.suffix for path in journals(cache)] == [".jsonl"]


def test_three_are_told_one_by_one(mmtsa, rec: Path) -> None:
    for name in ("walk_1.csv", "walk_1.mp4", "sit_3.csv"):
        (rec / name).unlink()
    errors = checked(mmtsa, rec)["errors"]
    assert [line.partition(": ")[0] for line in errors] == [
        "index.csv, row 2, column rgb",
        "index.csv, row 2, column acc",
        "index.csv, row 7, column acc",
    ]
    assert all("correct the path or empty the cell" in line for line in errors)


def test_more_are_counted_in_one_line(mmtsa, rec: Path, read: list[str]) -> None:
    for path in [*rec.glob("*.csv"), rec / "walk_1.mp4"]:
        if path.name != "index.csv":
            path.unlink()
    found = checked(mmtsa, rec)
    assert found["errors"] == [
        f"{rec / 'index.csv'}: 7 of 12 files are not there: {rec / 'walk_1.mp4'}, {rec / 'walk_1.csv'}, "
        f"{rec / 'walk_2.csv'} and 4 more; give --root with the directory that holds them now, if the index was "
        "made on another machine"
    ]
    (group,) = [row for row in found["groups"] if row["severity"] == "error"]
    assert (group["what"], group["recordings"], group["files"]) == ("no such file", 6, 7)
    assert "--root" in group["what_to_do"]
    assert found["sound"] == 0
    # What is there is read: five videos.
    assert read == ["walk_2", "walk_3", "sit_1", "sit_2", "sit_3"]


def test_what_is_there_is_still_checked(mmtsa, rec: Path) -> None:
    for path in rec.glob("*.csv"):
        if path.name != "index.csv":
            path.unlink()
    (rec / "sit_1.mp4").write_bytes(b"")
    errors = checked(mmtsa, rec)["errors"]
    assert len(errors) == 2
    assert "6 of 12 files are not there" in errors[0]
    assert "sit_1.mp4: empty (0 bytes)" in errors[1]


@pytest.mark.parametrize("prefix", ["/home/anna/study/", "D:\\\\study\\\\"])
def test_an_index_of_another_machine(mmtsa, rec: Path, tmp_path: Path, prefix: str, read: list[str]) -> None:
    prefix = prefix.replace("\\\\", "\\")
    moved = tmp_path / "moved"
    rows = (rec / "index.csv").read_text().replace(",walk_", f",{prefix}walk_").replace(",sit_", f",{prefix}sit_")
    write_rows(moved, rows)
    found = checked(mmtsa, moved)
    (error,) = found["errors"]
    assert "12 of 12 files are not there" in error
    assert error.count("walk_") == 3
    assert "give --root" in error
    assert (found["code"], read) == (1, [])
    found = checked(mmtsa, moved, "--root", rec)
    assert (found["code"], found["errors"], found["sound"], len(read)) == (0, [], 6, 6)


def test_a_root_that_does_not_hold_them_all(mmtsa, rec: Path, tmp_path: Path) -> None:
    rows = (rec / "index.csv").read_text().replace(",walk_", ",/a/walk_").replace(",sit_", ",/a/sit_")
    moved = write_rows(tmp_path / "moved", rows)
    for path in rec.glob("sit_*"):
        path.unlink()
    (error,) = checked(mmtsa, moved, "--root", rec)["errors"]
    assert "6 of 12 files are not there" in error
    assert f"they are not below --root {rec} either: correct it" in error


def test_thirty_thousand_take_seconds(mmtsa, tmp_path: Path) -> None:
    rows = [f"r{i},walk,{i % 20},video/{i}.mp4,imu/{i}.csv" for i in range(30_000)]
    rec = write_rows(tmp_path / "rec", "id,label,subject,rgb,acc\n" + "\n".join(rows))
    begin = time.monotonic()
    outcome = mmtsa("check", rec, expect=1)
    # Ten where nothing else runs.
    assert time.monotonic() - begin < 120
    assert "60000 of 60000 files are not there" in outcome.stdout
    assert len(outcome.stdout.splitlines()) < 40


def test_an_index_of_what_is_sound(mmtsa, rec: Path, tmp_path: Path) -> None:
    (rec / "dataset.yaml").write_text("name: study\nmodalities:\n  acc: {rate: 50}\nplace: at home\n")
    (rec / "walk_2.csv").write_text("")
    (rec / "sit_1.mp4").unlink()
    before = content(rec)
    outcome = mmtsa("check", rec, "--jobs", 1, "--exclude-bad", tmp_path / "deep" / "sound", expect=1)
    assert f"{tmp_path / 'deep' / 'sound'}: 4 recordings; 2 left out for the errors above" in outcome.stderr
    sound = tmp_path / "deep" / "sound"
    rows = (sound / "index.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["id", "walk_1", "walk_3", "sit_2", "sit_3"]
    assert rows[0].endswith(",acc,rgb")
    assert rows[1] == f"walk_1,walk,1,{rec / 'walk_1.csv'},{rec / 'walk_1.mp4'}"
    text = (sound / "dataset.yaml").read_text()
    assert "rate: 50" in text
    assert "place: at home" in text
    manifest = json.loads((sound / "manifest.json").read_text())
    assert (manifest["stage"], list(manifest["results"]["why"])) == ("check", ["walk_2", "sit_1"])
    assert "walk_2.csv: empty" in manifest["results"]["why"]["walk_2"]
    assert content(rec) == before
    assert "0 errors" in mmtsa("check", sound, "--jobs", 1).stdout
    mmtsa("sample", sound, "-o", tmp_path / "samples", "--window", 0.5, "--jobs", 1)


def test_with_a_root_the_new_index_needs_none(mmtsa, rec: Path, tmp_path: Path) -> None:
    moved = write_rows(tmp_path / "moved", (rec / "index.csv").read_text().replace(",walk_", ",/a/walk_"))
    for path in rec.glob("sit_*"):
        shutil.copy(path, moved)
    (rec / "walk_2.csv").write_text("")
    text = (moved / "index.csv").read_text().replace(",sit_", ",/a/sit_")
    (moved / "index.csv").write_text(text)
    checked(mmtsa, moved, "--root", rec, "--exclude-bad", tmp_path / "sound")
    assert checked(mmtsa, tmp_path / "sound")["sound"] == 5


def test_a_series_of_other_axes_is_left_out_too(mmtsa, rec: Path, tmp_path: Path) -> None:
    (rec / "walk_1.csv").write_text("time,x\n" + "".join(f"{i / 50},1\n" for i in range(100)))
    found = checked(mmtsa, rec, "--exclude-bad", tmp_path / "sound")
    assert (found["sound"], list(found["bad"])) == (5, ["walk_1"])
    assert "1 axes, expected 3" in found["bad"]["walk_1"]
    assert "5 recordings; 1 left out" in found["said"]
    assert "walk_1," not in (tmp_path / "sound" / "index.csv").read_text()


def test_where_nothing_is_wrong_all_are_kept(mmtsa, rec: Path, tmp_path: Path) -> None:
    outcome = mmtsa("check", rec, "--jobs", 1, "--exclude-bad", tmp_path / "sound")
    assert "6 recordings; 0 left out" in outcome.stderr
    again = mmtsa("check", rec, "--jobs", 1, "--exclude-bad", tmp_path / "sound")
    assert "already holds this result" in again.stderr


def test_where_all_is_wrong_nothing_is_written(mmtsa, rec: Path, tmp_path: Path) -> None:
    for path in rec.glob("*_*.csv"):
        path.write_text("")
    outcome = mmtsa("check", rec, "--jobs", 1, "--exclude-bad", tmp_path / "sound", expect=1)
    assert "every recording has an error, so there is no index to write" in outcome.stderr
    assert "6 errors" in outcome.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["rec"]


def test_an_older_result_is_replaced_on_request_only(mmtsa, rec: Path, tmp_path: Path) -> None:
    checked(mmtsa, rec, "--exclude-bad", tmp_path / "sound")
    (rec / "sit_1.csv").write_text("")
    outcome = mmtsa("check", rec, "--exclude-bad", tmp_path / "sound", expect=2)
    assert f"--exclude-bad {tmp_path / 'sound'}: made with other settings" in outcome.stderr
    assert "sit_1," in (tmp_path / "sound" / "index.csv").read_text()
    mmtsa("check", rec, "--exclude-bad", tmp_path / "sound", "--overwrite", expect=1)
    assert "sit_1," not in (tmp_path / "sound" / "index.csv").read_text()


def test_a_place_that_is_not_ours_is_refused_before_the_work(mmtsa, rec: Path, tmp_path: Path, read: list[str]) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "notes.txt").write_text("mine")
    for arguments in ((), ("--overwrite",)):
        outcome = mmtsa("check", rec, "--exclude-bad", mine, *arguments, expect=2)
        assert f"--exclude-bad {mine}: exists and was not made by mmtsa, left as it is" in outcome.stderr
    mmtsa("check", rec, "--exclude-bad", rec, expect=2)
    assert read == []
    assert [path.name for path in mine.iterdir()] == ["notes.txt"]


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("many") / "rec"
    write_many(root, 3000)
    return root


def test_tasks_hold_many_small_recordings_or_one_large(rec: Path) -> None:
    from mmtsa_cli.recordings.index import read_index

    dataset = read_index(rec)
    options, names = inspection.InspectionOptions(), [["rgb", "acc"]] * 6
    for size, expected in ((10, [[0, 1, 2, 3, 4, 5]]), (1 << 20, [[0, 1], [2, 3], [4, 5]]), (1 << 30, 6)):
        states = dict.fromkeys((path for r in dataset.recordings for path in r.paths.values()), (size, 0))
        found = [indices for indices, _ in check._tasks(check._Work(dataset, names, [], options, states), range(6))]
        assert found == (expected if isinstance(expected, list) else [[i] for i in range(expected)])


@pytest.mark.usefixtures("eager_processes")
def test_progress_counts_recordings_and_processes_give_what_one_gives(
    rec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (rec / "walk_2.csv").write_text("")
    monkeypatch.setattr(check, "_TASK_RECORDINGS", 2)
    seen: list[tuple[int, int]] = []
    several = check.run(rec, jobs=2, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(2, 6), (4, 6), (6, 6)]
    (rec / "walk_1.csv").write_text("")
    seen.clear()
    check.run(rec, jobs=1, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(6, 6)]
    (rec / "walk_1.csv").write_text(sensor_text())
    assert check.run(rec, jobs=1, afresh=True).errors == several.errors


@pytest.mark.skipif(os.name != "posix", reason="signals of a terminal")
@pytest.mark.parametrize(
    ("how", "jobs"),
    [
        (signal.SIGINT, 1),
        (signal.SIGKILL, 2),
        pytest.param(signal.SIGINT, 2, marks=pytest.mark.slow),
        pytest.param(signal.SIGKILL, 1, marks=pytest.mark.slow),
    ],
)
def test_one_that_was_ended_goes_on(mmtsa, many: Path, cache: Path, jobs: int, how: signal.Signals) -> None:
    before = content(many)
    process = subprocess.Popen(
        [sys.executable, "-m", "mmtsa_cli", "check", str(many), "--jobs", str(jobs), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    while not ((cache / "check").is_dir() and journals(cache) and _lines(journals(cache)[0]) > 200):
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    os.killpg(process.pid, how)
    printed, said = process.communicate(timeout=60)
    assert process.returncode == (130 if how == signal.SIGINT else -signal.SIGKILL), said
    assert (printed, said.strip()) == ("", "mmtsa: interrupted" if how == signal.SIGINT else "")
    assert content(many) == before
    assert len(journals(cache)) == 1
    found = checked(mmtsa, many)
    assert 200 < found["unchanged"] < 3000
    assert f"{found['unchanged']:,} of 3,000 taken from an earlier check" in found["said"]
    assert (found["recordings"], found["sound"], found["minutes"]) == (3000, 3000, 75.0)
    assert _lines(journals(cache)[0]) == 3000


def _lines(path: Path) -> int:
    return path.read_bytes().strip().count(b"\n") + 1
