"""Who writes a directory: a process that lives, here or elsewhere, and none whose number another program has now."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest

from mmtsa_cli.artifacts.claims import claim, release
from mmtsa_cli.artifacts.directory import new_directory, partial_path
from mmtsa_cli.artifacts.manifest import Manifest
from mmtsa_cli.artifacts.unchanged import ChangedError, files_in, states_of, unchanged
from mmtsa_cli.errors import ArtifactError, DataError

PARENT = os.getppid()


def locked(directory: Path, **said: object) -> Path:
    directory.mkdir()
    (directory / ".writing").write_text(json.dumps({"pid": PARENT, "host": socket.gethostname(), **said}))
    return directory


def test_a_claim_says_who_and_since_when(tmp_path: Path) -> None:
    claim(tmp_path)
    said = json.loads((tmp_path / ".writing").read_text())
    assert (said["pid"], said["host"]) == (os.getpid(), socket.gethostname())
    claim(tmp_path)
    release(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("nameless", [True, False])
def test_a_claim_is_whole_as_soon_as_it_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nameless: bool
) -> None:
    """A process that is held up while it claims must not be taken for one that died, where the system allows."""
    if not nameless:
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    elif not hasattr(os, "O_TMPFILE"):
        pytest.skip("files without a name are not known here")
    seen, write = [], os.write

    def looked(file: int, data: bytes) -> int:
        seen.append([path.name for path in tmp_path.iterdir()])
        return write(file, data)

    monkeypatch.setattr(os, "write", looked)
    claim(tmp_path)
    assert seen == ([[]] if nameless else [])
    assert json.loads((tmp_path / ".writing").read_text())["pid"] == os.getpid()
    assert [path.name for path in tmp_path.iterdir()] == [".writing"]


def test_a_number_that_another_program_has_now_blocks_nothing(tmp_path: Path) -> None:
    if not Path("/proc/self/stat").is_file():
        pytest.skip("only /proc tells when a process began")
    directory = locked(tmp_path / "out", started="another-boot 17")
    claim(directory)
    assert json.loads((directory / ".writing").read_text())["pid"] == os.getpid()


@pytest.mark.parametrize("said", [{}, {"started": None}])
def test_where_its_beginning_is_not_known_a_living_process_counts(tmp_path: Path, said: dict) -> None:
    with pytest.raises(ArtifactError, match=f"being written by process {PARENT} on {socket.gethostname()}") as caught:
        claim(locked(tmp_path / "out", **said))
    assert caught.value.remedy == "wait for it, or name another directory"


def test_of_another_machine_nothing_is_known(tmp_path: Path) -> None:
    directory = locked(tmp_path / "out", host="elsewhere", pid=2**22 + 1)
    with pytest.raises(ArtifactError, match=r"process \d+ on elsewhere; .* if it has died, remove .*\.writing"):
        claim(directory)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": -1, "host": "x"}', '{"pid": "x", "host": "y"}', "null"])
def test_a_lock_that_was_never_written_whole_blocks_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / ".writing").write_text(text)
    claim(tmp_path)
    assert json.loads((tmp_path / ".writing").read_text())["pid"] == os.getpid()


def test_who_comes_second_takes_nothing_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the directory and its lock another process may come."""
    partial, mkdir = partial_path(tmp_path / "out"), Path.mkdir

    def quicker(self: Path, *arguments: object, **options: object) -> None:
        mkdir(self, *arguments, **options)  # type: ignore[arg-type]
        if self == partial:
            (partial / ".writing").write_text(json.dumps({"pid": PARENT, "host": socket.gethostname()}))

    monkeypatch.setattr(Path, "mkdir", quicker)
    with pytest.raises(ArtifactError, match="being written by process"), new_directory(tmp_path / "out", Manifest("x")):
        pass
    assert (partial / ".writing").is_file()


def test_files_that_change_while_they_are_read_are_told(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("1")
    with unchanged(states_of(files_in(tmp_path))):
        file.read_text()
    with pytest.raises(ChangedError, match=r"a.csv: changed while it was read"), unchanged(states_of([file])):
        file.write_text("22")
    gone = states_of([file])
    file.unlink()
    with pytest.raises(ChangedError), unchanged(gone):
        raise DataError("what was wrong with half of it")
    with pytest.raises(DataError, match="really"), unchanged(states_of([tmp_path / "b.csv"])):
        raise DataError("really")
