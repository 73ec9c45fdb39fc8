"""A directory is there whole or not at all."""

import errno
import json
import os
import socket

import pytest

from mmtsa_cli.artifacts.claims import LOCK, claim
from mmtsa_cli.artifacts.directory import check_output, file_names, new_directory, partial_path, replace_file
from mmtsa_cli.artifacts.manifest import Manifest, fingerprint, read_manifest
from mmtsa_cli.errors import ArtifactError, UsageError

MANIFEST = Manifest("sample", {"segments": 3, "names": ("a", "b")}, 5, {"rec": "sha256:1"})


def make(path, manifest=MANIFEST, text="x"):
    with new_directory(path, manifest) as directory:
        (directory / "data.txt").write_text(text)


def entries(path):
    return sorted(p.name for p in path.iterdir())


def test_a_directory_appears_with_its_manifest(tmp_path):
    make(tmp_path / "out")
    assert entries(tmp_path) == ["out"]
    assert entries(tmp_path / "out") == ["data.txt", "manifest.json"]
    manifest = read_manifest(tmp_path / "out", stage="sample")
    assert manifest.same_work(MANIFEST)
    assert manifest.versions["mmtsa"]
    assert fingerprint(tmp_path / "out").startswith("sha256:")


@pytest.mark.parametrize("error", [ValueError("broken"), KeyboardInterrupt()])
def test_nothing_stays_of_a_stage_that_fails(tmp_path, error):
    def fail():
        with new_directory(tmp_path / "out", MANIFEST) as directory:
            (directory / "half.txt").write_text("half")
            raise error

    with pytest.raises(type(error)):
        fail()
    assert entries(tmp_path) == []


def test_a_full_disk_is_an_error_of_ours_and_leaves_nothing(tmp_path):
    with pytest.raises(ArtifactError, match="No space left"), new_directory(tmp_path / "out", MANIFEST):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert entries(tmp_path) == []


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ArtifactError, match=r"out: cannot be written: (Not a directory|File exists)"):
        make(tmp_path / "file" / "out")


def test_an_output_that_is_not_ours_is_left_as_it_is(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match="was not made by mmtsa") as caught:
        check_output(tmp_path / "out", MANIFEST, overwrite=True)
    assert caught.value.exit_code == 2
    assert (tmp_path / "out" / "thesis.txt").read_text() == "mine"
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="was not made by mmtsa"):
        check_output(tmp_path / "file", MANIFEST)


def test_the_same_work_is_done_once_and_other_work_says_what_differs(tmp_path):
    make(tmp_path / "out")
    assert check_output(tmp_path / "new", MANIFEST) == "new"
    assert check_output(tmp_path / "out", MANIFEST) == "done"
    other = Manifest("sample", {"segments": 5, "names": ("a", "b")}, 5, {"rec": "sha256:1"})
    with pytest.raises(UsageError, match=r"configuration.segments: 3 -> 5"):
        check_output(tmp_path / "out", other)
    assert check_output(tmp_path / "out", other, overwrite=True) == "new"
    with pytest.raises(UsageError, match="holds the result of `sample`"):
        check_output(tmp_path / "out", Manifest("train"), overwrite=True)


def test_replacing_keeps_the_old_one_until_the_new_one_is_whole(tmp_path):
    make(tmp_path / "out", text="old")
    with pytest.raises(ValueError, match="broken"), new_directory(tmp_path / "out", MANIFEST):
        raise ValueError("broken")
    assert (tmp_path / "out" / "data.txt").read_text() == "old"
    make(tmp_path / "out", text="new")
    assert (tmp_path / "out" / "data.txt").read_text() == "new"
    assert entries(tmp_path) == ["out"]


def test_two_processes_do_not_write_the_same_directory(tmp_path):
    partial = partial_path(tmp_path / "out")
    partial.mkdir()
    (partial / ".writing").write_text(json.dumps({"pid": os.getppid(), "host": socket.gethostname()}))
    with pytest.raises(ArtifactError, match=f"being written by process {os.getppid()}"):
        make(tmp_path / "out")
    assert partial.is_dir()


def test_what_a_dead_process_left_is_cleared_away(tmp_path):
    partial = partial_path(tmp_path / "out")
    partial.mkdir()
    (partial / "half.txt").write_text("half")
    (partial / ".writing").write_text(json.dumps({"pid": 2**22 + 1, "host": socket.gethostname()}))
    make(tmp_path / "out")
    assert entries(tmp_path) == ["out"]
    assert entries(tmp_path / "out") == ["data.txt", "manifest.json"]


@pytest.mark.parametrize(
    ("prepare", "phrase"),
    [
        (lambda path: None, "no such directory"),
        (lambda path: path.mkdir(), "no manifest.json"),
        (lambda path: (path.mkdir(), (path / "manifest.json").write_text("{")), "damaged"),
        (
            lambda path: (path.mkdir(), (path / "manifest.json").write_text('{"stage": "x", "schema": 99}')),
            "newer mmtsa",
        ),
        (lambda path: make(path, Manifest("train")), "the result of train"),
    ],
)
def test_what_is_no_result_of_the_stage_is_refused(tmp_path, prepare, phrase):
    prepare(tmp_path / "out")
    with pytest.raises(ArtifactError, match=phrase):
        read_manifest(tmp_path / "out", stage="sample")


def test_a_file_is_replaced_whole(tmp_path, monkeypatch):
    path = tmp_path / "file"
    replace_file(path, b"old")

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        replace_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert entries(tmp_path) == ["file"]


def test_names_of_files_are_safe_and_all_different():
    assert file_names(["a b", "a-b", "A-B", "../../x", "..", "", "straße"]) == [
        "a-b", "a-b-2", "A-B-3", "-..-x", "unnamed", "unnamed-2", "straße"
    ]  # fmt: skip
    assert all(not set(name) & set("/\\") for name in file_names(["a/b", "a\\b"]))


def test_a_directory_that_was_just_begun_is_nobodys_work_unless_its_writer_lives(tmp_path):
    place = tmp_path / "result"
    place.mkdir()
    claim(place)
    assert check_output(place, Manifest("benchmark", {}, 0)) == "new"
    said = json.loads((place / LOCK).read_text())
    # What was killed between its claim and its manifest left both behind.
    (place / LOCK).write_text(json.dumps({**said, "pid": 2**22 + 1}))
    (place / ".manifest.json.partial").write_text("{")
    assert check_output(place, Manifest("benchmark", {}, 0)) == "new"
    (place / LOCK).write_text(json.dumps({"pid": os.getppid(), "host": said["host"]}))
    with pytest.raises(ArtifactError, match=f"being written by process {os.getppid()} on"):
        check_output(place, Manifest("benchmark", {}, 0))
    (place / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="not made by mmtsa"):
        check_output(place, Manifest("benchmark", {}, 0))
