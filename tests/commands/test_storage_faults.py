"""Places that cannot be reached, hold no recordings, or lead elsewhere: one line, no password, nothing remembered."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fsspec", reason="the extra `cluster` is not installed")

from mmtsa_cli.artifacts import fetching, file_systems, remote
from mmtsa_cli.artifacts.directory import replace_file
from mmtsa_cli.artifacts.remote import RemotePath, UnreachableError, local_file, place_of
from mmtsa_cli.recordings.index import ModalitySpec
from mmtsa_cli.recordings.reading import read_series
from mmtsa_cli.recordings.video_files import open_video
from tests.trees.servers import content, put

SMALL = ("--segments", 2, "--frames", 2, "--window", 1, "--short-side", 32, "--jobs", 1)


def test_a_network_that_fails_leaves_no_recording_out(mmtsa, ten, memory, tmp_path, monkeypatch):
    put(ten, f"{memory}/rec")
    really = RemotePath.copy_to

    def failing(path: RemotePath, local: Path) -> None:
        if path.suffix != ".csv":
            raise UnreachableError("cannot be read", where=str(path), found="no answer")
        really(path, local)

    monkeypatch.setattr(RemotePath, "copy_to", failing)
    told = mmtsa("sample", f"{memory}/rec", "-o", tmp_path / "out", *SMALL, expect=1).stderr
    assert "cannot be read, found no answer" in told
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", [".csv", ".npy", ".mat", ".mp4"])
def test_no_reader_takes_a_lost_connection_for_a_damaged_file(memory, tmp_path, monkeypatch, suffix):
    def failing(path: RemotePath, local: Path) -> None:
        raise UnreachableError("cannot be read", where=str(path), found="no answer")

    (tmp_path / "x").write_bytes(b"0,1,2\n" * 99)
    RemotePath(f"{memory}/x{suffix}").upload(tmp_path / "x")
    monkeypatch.setattr(RemotePath, "copy_to", failing)
    for read in (read_series, open_video):
        if suffix != ".csv" or read is read_series:
            with pytest.raises(UnreachableError, match=f"memory://data/x{suffix}: cannot be read, found no answer"):
                read(place_of(f"{memory}/x{suffix}"), ModalitySpec("sensor", rate=50.0))


def test_a_check_remembers_nothing_of_a_network_that_failed(mmtsa, ten, memory, monkeypatch):
    put(ten, f"{memory}/rec")
    with monkeypatch.context() as patch:

        def failing(path: RemotePath, local: Path) -> None:
            raise UnreachableError("cannot be read", where=str(path), found="no answer")

        patch.setattr(RemotePath, "copy_to", failing)
        told = mmtsa("check", f"{memory}/rec", "--jobs", 1, expect=1).stderr
        assert "cannot be read, found no answer" in told.splitlines()[-1]
    mmtsa("check", f"{memory}/rec", "--jobs", 1)


def test_what_fails_once_is_asked_again(memory, tmp_path, monkeypatch):
    (tmp_path / "x").write_bytes(b"0123456789")
    path = RemotePath(f"{memory}/x")
    path.upload(tmp_path / "x")
    monkeypatch.setattr(file_systems, "_WAITS_S", (0.0, 0.0))
    import fsspec

    failures = iter([TimeoutError(), ConnectionResetError()])
    really = type(fsspec.filesystem("memory")).cat_file

    def cat(files: Any, *arguments: Any, **wishes: Any) -> bytes:
        for failure in failures:
            raise failure
        return really(files, *arguments, **wishes)

    monkeypatch.setattr(type(fsspec.filesystem("memory")), "cat_file", cat)
    assert path.read_range(2, 5) == b"234"


def test_an_index_here_of_files_elsewhere(mmtsa, ten, elsewhere, tmp_path):
    put(ten, f"{elsewhere}/rec")
    rec = tmp_path / "rec"
    rec.mkdir()
    shutil.copy(ten / "dataset.yaml", rec)
    header, *rows = (ten / "index.csv").read_text().splitlines()
    named = [",".join(f"{elsewhere}/rec/{c}" if (ten / c).is_file() else c for c in row.split(",")) for row in rows]
    (rec / "index.csv").write_text("\n".join([header, *named]) + "\n")
    mmtsa("sample", rec, "-o", tmp_path / "there", *SMALL)
    mmtsa("sample", ten, "-o", tmp_path / "here", *SMALL)
    assert content(tmp_path / "there") == content(tmp_path / "here")


@pytest.mark.parametrize("cell", ["/etc/passwd", "../other/a.csv", "file:///etc/passwd", "s3://other/a.csv"])
def test_an_index_elsewhere_names_no_file_but_those_below_it(mmtsa, ten, memory, tmp_path, cell):
    rec = tmp_path / "rec"
    shutil.copytree(ten, rec)
    header, first, *rows = (rec / "index.csv").read_text().splitlines()
    cells = first.split(",")
    cells[header.split(",").index("gyro")] = cell
    (rec / "index.csv").write_text("\n".join([header, ",".join(cells), *rows]) + "\n")
    told = mmtsa("check", put(rec, f"{memory}/rec"), expect=1).stderr
    assert f"index.csv, row 2: gyro leads out of {memory}/rec, found {cell}" in told


def test_an_index_elsewhere_of_files_here(mmtsa, ten, memory, tmp_path):
    rec = tmp_path / "rec"
    rec.mkdir()
    shutil.copy(ten / "dataset.yaml", rec)
    header, *rows = (ten / "index.csv").read_text().splitlines()
    named = [",".join(f"/old/{cell}" if (ten / cell).is_file() else cell for cell in row.split(",")) for row in rows]
    (rec / "index.csv").write_text("\n".join([header, *named]) + "\n")
    mmtsa("sample", put(rec, f"{memory}/rec"), "-o", tmp_path / "there", *SMALL, "--root", ten)
    mmtsa("sample", ten, "-o", tmp_path / "here", *SMALL)
    assert content(tmp_path / "there") == content(tmp_path / "here")


def test_a_file_elsewhere_is_not_changed_in_its_place(ten, memory):
    put(ten, f"{memory}/rec")
    with pytest.raises(UnreachableError, match=r"dataset\.yaml\.partial: cannot be changed where it is; change a copy"):
        replace_file(place_of(f"{memory}/rec/dataset.yaml"), b"other")
    assert RemotePath(f"{memory}/rec/dataset.yaml").read_bytes() == (ten / "dataset.yaml").read_bytes()


def test_copies_are_bounded_and_made_anew_when_the_file_changes(memory, cache, tmp_path, monkeypatch):
    monkeypatch.setattr(fetching, "_IN_USE_S", 0.0)
    monkeypatch.setenv("MMTSA_FETCHED_GB", "0.000001")
    for name in "abcd":
        (tmp_path / name).write_bytes(name.encode() * 400)
        RemotePath(f"{memory}/{name}").upload(tmp_path / name)
        assert local_file(place_of(f"{memory}/{name}")).read_bytes() == name.encode() * 400
    assert sum(path.stat().st_size for path in (cache / "fetched").iterdir()) <= 1000
    (tmp_path / "d").write_bytes(b"new")
    RemotePath(f"{memory}/d").upload(tmp_path / "d")
    assert local_file(place_of(f"{memory}/d")).read_bytes() == b"new"


def test_nothing_answers(mmtsa, s3, tmp_path, monkeypatch):
    import s3fs

    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setattr(file_systems, "_WAITS_S", ())
    monkeypatch.setattr(s3fs.S3FileSystem, "retries", 1)
    s3fs.S3FileSystem.clear_instance_cache()
    remote._known.clear()
    told = mmtsa("check", "s3://data/rec", expect=1).stderr
    s3fs.S3FileSystem.clear_instance_cache()
    assert told.startswith("mmtsa: error: s3://data/rec/index.csv: cannot be read, found ")
    assert told.endswith("; look at the address and the network\n")
    assert len(told.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("check", "s3://nobody/rec"), 1, "s3://nobody/rec: no index.csv, expected a directory of recordings"),
        (("check", "s3://data/nothing"), 1, "s3://data/nothing: no index.csv, expected a directory of recordings"),
        (("methods", "s3://data/nothing"), 1, "s3://data/nothing: no such directory, expected a directory made by"),
        (("sample", "REC", "-o", "s3://nobody/x", *SMALL), 1, "s3://nobody/x: cannot be written, found"),
        (
            ("train", "s3://data/x", "-o", "s3://data/run"),
            1,
            "s3://data/x: no such directory, expected a directory made",
        ),
        (("report", "s3://data/x", "-o", "report.html"), 2, "expected a path of this machine, found a URL"),
        (("check", "strange://data/x"), 2, "no strange:// is known, expected s3, gs, https"),
        (("check", "zip://rec::s3://data/x.zip"), 2, "a URL in another one; unpack the archive"),
    ],
    ids=lambda value: "" if isinstance(value, int) else " ".join(map(str, value))[:40],
)
def test_places_that_are_none(mmtsa, ten, s3, words, code, told):
    ended = mmtsa(*(ten if word == "REC" else word for word in words), expect=code)
    assert told in ended.stderr
    assert len([line for line in ended.stderr.splitlines() if "error" in line]) == 1


@pytest.mark.parametrize(
    "url",
    [
        "sftp://me:geheim@host/rec",
        "s3://key:geheim@bucket/rec",
        "https://host/rec?token=geheim",
        "ftp://me:ge/heim@host/rec",
    ],
)
def test_a_password_is_refused_and_never_printed(mmtsa, ten, url, tmp_path):
    for words in (("check", url), ("sample", ten, "-o", url)):
        ended = mmtsa(*words, expect=2)
        assert "a URL must hold no password and no query" in ended.stderr
        assert "heim" not in ended.stdout + ended.stderr
    rec = tmp_path / "rec"
    rec.mkdir()
    (rec / "index.csv").write_text(f"id,label,subject,rgb\na,x,1,{url}\n")
    ended = mmtsa("check", rec, expect=1)
    assert "row 2: rgb: a URL must hold no password" in ended.stderr
    assert "heim" not in ended.stdout + ended.stderr


def test_without_the_extra(mmtsa, monkeypatch):
    monkeypatch.setitem(sys.modules, "fsspec", None)
    told = mmtsa("check", "s3://data/rec", expect=2).stderr
    assert "needs fsspec, which is not installed; install the extra: pip install 'mmtsa[cluster]'" in told


def test_work_on_files_of_this_machine_imports_nothing_for_others(ten, tmp_path):
    words = ["sample", str(ten), "-o", str(tmp_path / "s"), *map(str, SMALL)]
    program = (
        f"import sys\nfrom mmtsa_cli.cli import run\ncode = run({words!r})\n"
        "strange = {'fsspec', 'aiohttp', 's3fs', 'distributed', 'dask', 'torch'} & set(sys.modules)\n"
        "assert not strange, strange\nsys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
