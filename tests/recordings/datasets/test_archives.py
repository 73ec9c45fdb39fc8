"""Archives: what they hold comes out where it should, and what could land elsewhere is refused."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from mmtsa_cli.errors import ArtifactError, DataError
from mmtsa_cli.recordings.datasets import archives
from mmtsa_cli.recordings.datasets.archives import unpack
from tests.trees.archives import link, pack_tar, pack_zip, tar_of, zip_of
from tests.trees.own import content


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    for name in ("acc/s1/walk.csv", "acc/s2/sit.csv", "acc/empty.csv"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("" if "empty" in name else f"{name}\n" * 1000)
    return root


@pytest.mark.parametrize("form", ["zip", "tar.gz"])
def test_everything_comes_out(tmp_path: Path, tree: Path, form: str) -> None:
    path = tmp_path / f"acc.{form}"
    pack_zip(path, tree) if form == "zip" else pack_tar(path, tree, "acc")
    said: list[tuple[int, int]] = []
    assert unpack(path, tmp_path / "out", progress=lambda done, total: said.append((done, total))) == 3
    assert content(tmp_path / "out") == content(tree)
    assert len(said) == 3
    assert {total for _, total in said} == {path.stat().st_size}


@pytest.mark.parametrize("mode", ["w", "w:bz2", "w:xz"])
def test_other_compressions(tmp_path: Path, tree: Path, mode: str) -> None:
    with tarfile.open(tmp_path / "acc.tar", mode) as archive:
        archive.add(tree / "acc", "acc")
    assert unpack(tmp_path / "acc.tar", tmp_path / "out") == 3
    assert content(tmp_path / "out") == content(tree)


HOSTILE = {
    "up": ("../evil.csv", "a path that leads out of the archive: '../evil.csv'"),
    "up inside": ("acc/../../evil.csv", "a path that leads out of the archive"),
    "up with backslashes": ("acc\\..\\..\\evil.csv", "a path that leads out of the archive"),
    "absolute": ("/tmp/evil.csv", "an absolute path: '/tmp/evil.csv'"),
    "a drive": ("C:/evil.csv", "an absolute path: 'C:/evil.csv'"),
    "a share": ("\\\\server\\evil.csv", "an absolute path"),
}


@pytest.mark.parametrize("form", ["zip", "tar.gz"])
@pytest.mark.parametrize("case", HOSTILE)
def test_a_member_that_would_land_elsewhere(tmp_path: Path, case: str, form: str) -> None:
    name, phrase = HOSTILE[case]
    path = tmp_path / f"bad.{form}"
    (zip_of if form == "zip" else tar_of)(path, (name, b"1,2,3\n"))
    before = sorted(tmp_path.iterdir())
    with pytest.raises(DataError) as caught:
        unpack(path, tmp_path / "out")
    assert f"{path}: holds {phrase}" in caught.value.line()
    assert "do not trust this archive" in caught.value.line()
    assert [p for p in sorted(tmp_path.iterdir()) if p.name != "out"] == before
    assert not any(p.is_file() for p in (tmp_path / "out").rglob("*"))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_a_link_and_a_device(tmp_path: Path, kind: bytes) -> None:
    tar_of(tmp_path / "bad.tar.gz", link("acc", "/etc", kind), ("acc/passwd", b"x"))
    with pytest.raises(DataError, match="holds a link: 'acc'"):
        unpack(tmp_path / "bad.tar.gz", tmp_path / "out")
    device = tarfile.TarInfo("null")
    device.type = tarfile.CHRTYPE
    tar_of(tmp_path / "device.tar.gz", device)
    with pytest.raises(DataError, match="holds no plain file: 'null'"):
        unpack(tmp_path / "device.tar.gz", tmp_path / "out")


def test_a_link_in_a_zip(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("acc")
    info.external_attr = 0o120777 << 16
    zip_of(tmp_path / "bad.zip", (info, b"/etc"))
    with pytest.raises(DataError, match="holds a link: 'acc'"):
        unpack(tmp_path / "bad.zip", tmp_path / "out")


def test_a_name_twice(tmp_path: Path) -> None:
    tar_of(tmp_path / "bad.tar.gz", ("a.csv", b"1"), ("a.csv", b"2"))
    with pytest.raises(DataError, match=r"a name that is there already: 'a\.csv'"):
        unpack(tmp_path / "bad.tar.gz", tmp_path / "out")


@pytest.mark.parametrize("form", ["zip", "tar.gz", "tar"])
def test_half_a_download(tmp_path: Path, tree: Path, form: str) -> None:
    path = tmp_path / f"acc.{form}"
    (tree / "acc" / "noise.csv").write_bytes(np.random.default_rng(0).bytes(50_000))
    if form == "zip":
        pack_zip(path, tree)
    else:
        with tarfile.open(path, "w:gz" if form == "tar.gz" else "w") as archive:
            archive.add(tree / "acc", "acc")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataError) as caught:
        unpack(path, tmp_path / "out")
    assert str(path) in caught.value.line()
    assert "half a download: download it again" in caught.value.line()


@pytest.mark.parametrize("data", [b"", b"hello", b"PK\x03\x04" + bytes(100), b"\x1f\x8b\x08" + bytes(50)])
def test_something_else_by_that_name(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(DataError, match=r"a\.zip: (not a whole archive|an archive without files)"):
        unpack(tmp_path / "a.zip", tmp_path / "out")


def test_a_password(tmp_path: Path) -> None:
    path = zip_of(tmp_path / "a.zip", ("a.csv", b"1,2,3"))
    data = bytearray(path.read_bytes())
    # The flag that says so, in both headers of the member.
    data[6] |= 1
    data[data.find(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match="encrypted"):
        unpack(path, tmp_path / "out")


def test_more_than_the_disk_holds(tmp_path: Path, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = pack_tar(tmp_path / "acc.tar.gz", tree, "acc")
    usage = type(archives.shutil.disk_usage(tmp_path))
    monkeypatch.setattr(archives.shutil, "disk_usage", lambda where: usage(10**9, 10**9 - 1000, 1000))
    with pytest.raises(ArtifactError, match=r"no room for acc/.*expected 0 MB free"):
        unpack(path, tmp_path / "out")


def test_a_byte_that_changed_on_the_way_is_found_by_the_sum_behind_the_last_member(tmp_path: Path) -> None:
    archive = tmp_path / "utd.tar.gz"
    content = bytes(range(256)) * 40
    with tarfile.open(archive, "w:gz", compresslevel=0) as tar:
        info = tarfile.TarInfo("Inertial/a1.mat")
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))
    assert unpack(archive, tmp_path / "sound") == 1
    data = archive.read_bytes()
    place = data.index(content[:200]) + 100
    archive.write_bytes(data[:place] + bytes([data[place] ^ 0x55]) + data[place + 1 :])
    with pytest.raises(DataError, match="not a whole archive"):
        unpack(archive, tmp_path / "changed")
