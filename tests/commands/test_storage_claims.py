"""Two processes that write one place elsewhere: the second is refused, and what a dead one left is taken over."""

from __future__ import annotations

import json
import os
import socket

import pytest

pytest.importorskip("fsspec", reason="the extra `cluster` is not installed")

from mmtsa_cli.artifacts.claims import LOCK, claim, release
from mmtsa_cli.artifacts.remote import RemotePath, UnreachableError
from mmtsa_cli.errors import ArtifactError
from tests.trees.servers import content

SMALL = ("--segments", 2, "--frames", 2, "--window", 1, "--short-side", 32, "--jobs", 1, "--modalities", "gyro")


def says(place: RemotePath, pid: int, host: str) -> None:
    (place / LOCK).write_bytes(json.dumps({"pid": pid, "host": host, "started": None}).encode())


@pytest.mark.parametrize("host", ["elsewhere", socket.gethostname()])
def test_the_second_of_two_is_refused_with_who_the_first_is(mmtsa, ten, elsewhere, host):
    out = RemotePath(f"{elsewhere}/samples")
    says(out, os.getppid(), host)
    before = content(str(out))
    told = mmtsa("sample", ten, "-o", out, *SMALL, expect=1).stderr
    assert f"{out}: being written by process {os.getppid()} on {host}" in told
    assert (f"if it has died, remove {out}/{LOCK}" in told) == (host == "elsewhere")
    assert content(str(out)) == before
    (out / LOCK).unlink()
    mmtsa("sample", ten, "-o", out, *SMALL)
    assert "manifest.json" in {path.name for path in out.files()}


def test_a_result_that_another_process_replaces_is_left_to_it(mmtsa, ten, elsewhere):
    out = RemotePath(f"{elsewhere}/samples")
    mmtsa("sample", ten, "-o", out, *SMALL)
    whole = content(str(out))
    says(out, 1, "elsewhere")
    told = mmtsa("sample", ten, "-o", out, *SMALL[:-1], "acc_phone", "--overwrite", expect=1).stderr
    assert "being written by process 1 on elsewhere" in told
    assert {name: data for name, data in content(str(out)).items() if name != LOCK} == whole


def test_what_a_dead_process_of_this_machine_left_is_taken_over(mmtsa, ten, elsewhere):
    out = RemotePath(f"{elsewhere}/samples")
    says(out, 2**22 + 1, socket.gethostname())
    mmtsa("sample", ten, "-o", out, *SMALL)
    assert LOCK not in content(str(out))


def test_another_machine_may_go_on_where_putting_failed(mmtsa, ten, elsewhere, monkeypatch):
    out = RemotePath(f"{elsewhere}/samples")
    mmtsa("sample", ten, "-o", out, *SMALL)

    def failing(path: RemotePath, local: object) -> None:
        raise UnreachableError("cannot be written", where=str(path), found="no answer")

    other = (*SMALL[:-1], "acc_phone", "--overwrite")
    with monkeypatch.context() as patch:
        patch.setattr(RemotePath, "upload", failing)
        mmtsa("sample", ten, "-o", out, *other, expect=1)
    assert "manifest.json" not in {path.name for path in out.files()}
    monkeypatch.setattr(socket, "gethostname", lambda: "another")
    mmtsa("sample", ten, "-o", out, *other)
    assert LOCK not in content(str(out))


def test_the_server_says_who_was_first(s3):
    lock = RemotePath(f"{s3}/first") / LOCK
    assert [lock.create(text) for text in (b"one", b"two", b"three")] == [True, False, False]
    assert lock.read_bytes() == b"one"


@pytest.mark.parametrize("unknown", [NotImplementedError, TypeError])
def test_a_file_system_that_knows_no_first_is_asked_before(elsewhere, monkeypatch, unknown):
    place = RemotePath(f"{elsewhere}/plain")
    file_system = type(place._fs)
    really = file_system.pipe_file

    def plain(self, path, value, mode="overwrite", **more):
        if mode == "create":
            raise unknown
        return really(self, path, value, **more)

    monkeypatch.setattr(file_system, "pipe_file", plain)
    claim(place)
    claim(place)
    says(place, 7, "elsewhere")
    with pytest.raises(ArtifactError, match="process 7 on elsewhere"):
        claim(place)
    release(place)
    claim(place)
    assert json.loads((place / LOCK).read_text())["pid"] == os.getpid()
