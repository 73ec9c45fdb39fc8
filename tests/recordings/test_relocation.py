"""Files of an index that was made elsewhere, found again below a new root."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmtsa_cli.errors import DataError
from mmtsa_cli.recordings.index import read_index
from mmtsa_cli.recordings.relocation import missing_error, refuse_elsewhere, relocation
from tests.trees.own import write_rows


def put(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


@pytest.mark.parametrize(
    "written",
    [
        "/home/ann/MMAct/acc/s1/walk.csv",
        "D:\\data\\MMAct\\acc\\s1\\walk.csv",
        "\\\\server\\share\\acc\\s1\\walk.csv",
        "../MMAct/acc/s1/walk.csv",
        "acc/s1/walk.csv",
    ],
)
def test_the_longest_ending_that_is_there(tmp_path: Path, written: str) -> None:
    put(tmp_path, "acc/s1/walk.csv", "s1/walk.csv", "walk.csv")
    assert relocation([written], tmp_path, where="index.csv") == {written: str(tmp_path / "acc/s1/walk.csv")}


def test_all_paths_lose_the_same_beginning(tmp_path: Path) -> None:
    # The second file is not there: it is told where it should be, and nothing else is taken for it.
    put(tmp_path, "acc/s1.csv", "s2.csv")
    moved = relocation(["/old/set/acc/s1.csv", "/old/set/acc/s2.csv"], tmp_path, where="index.csv")
    assert moved["/old/set/acc/s2.csv"] == str(tmp_path / "acc/s2.csv")
    other = relocation(["/old/set/acc/s1.csv", "/elsewhere/s2.csv"], tmp_path, where="index.csv")
    assert other["/elsewhere/s2.csv"] == "/elsewhere/s2.csv"


def test_a_path_cannot_lead_out_of_the_root(tmp_path: Path) -> None:
    put(tmp_path, "in/a.csv", "secret.csv")
    moved = relocation(["/old/a.csv", "/old/../../secret.csv"], tmp_path / "in", where="index.csv")
    assert moved == {"/old/a.csv": str(tmp_path / "in/a.csv"), "/old/../../secret.csv": "/old/../../secret.csv"}


def test_a_root_without_any_of_the_files(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"none of the index's files lies below it, expected .* an ending of /old/a.csv"
    ):
        relocation(["/old/a.csv"], tmp_path, where="rec/index.csv")
    with pytest.raises(DataError, match="no such directory"):
        relocation(["/old/a.csv"], tmp_path / "nowhere", where="rec/index.csv")


def test_an_index_is_read_with_its_files_moved(tmp_path: Path) -> None:
    rec = write_rows(tmp_path / "rec", "id,label,subject,rgb,acc\na,walk,1,C:\\x\\v\\a.mp4,C:\\x\\s\\a.csv\n")
    put(tmp_path / "new", "v/a.mp4", "s/a.csv")
    (recording,) = read_index(rec, root=tmp_path / "new").recordings
    assert dict(recording.paths) == {"rgb": tmp_path / "new/v/a.mp4", "acc": tmp_path / "new/s/a.csv"}


def test_missing_files_are_counted_three_are_shown(tmp_path: Path) -> None:
    put(tmp_path, "0.csv")
    paths = [tmp_path / f"{i}.csv" for i in range(6)]
    with pytest.raises(DataError) as caught:
        refuse_elsewhere([*paths, *paths], where="rec/index.csv")
    line = caught.value.line()
    assert line.startswith("rec/index.csv: 5 of 6 files are not there: ")
    assert line.count(".csv") == 4
    assert "3.csv and 2 more; give --root with the directory that holds them now" in line
    again = missing_error(paths[1:], 6, where="rec/index.csv", root=tmp_path)
    assert f"not below --root {tmp_path} either" in again.line()


def test_a_few_missing_files_are_no_other_machine(tmp_path: Path) -> None:
    put(tmp_path, "0.csv", "1.csv", "2.csv")
    paths = [tmp_path / f"{i}.csv" for i in range(4)]
    assert refuse_elsewhere(paths, where="index.csv") == [tmp_path / "3.csv"]
    assert refuse_elsewhere([tmp_path / "3.csv"], where="index.csv") == [tmp_path / "3.csv"]
