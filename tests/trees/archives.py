"""Archives of trees, sound and hostile."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path


def pack_tar(path: Path, root: Path, *folders: str) -> Path:
    """Pack folders of `root` as a `.tar.gz`, under their own names."""
    with tarfile.open(path, "w:gz") as archive:
        for folder in folders:
            archive.add(root / folder, folder)
    return path


def pack_zip(path: Path, root: Path) -> Path:
    """Pack all files below `root` as a `.zip`."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(root.rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(root).as_posix())
    return path


def tar_of(path: Path, *members: tuple[str, bytes] | tarfile.TarInfo) -> Path:
    """Write a `.tar.gz` of members, whatever their names."""
    with tarfile.open(path, "w:gz") as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
                continue
            info = tarfile.TarInfo(member[0])
            info.size = len(member[1])
            archive.addfile(info, io.BytesIO(member[1]))
    return path


def zip_of(path: Path, *members: tuple[str | zipfile.ZipInfo, bytes]) -> Path:
    """Write a `.zip` of members, whatever their names."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members:
            archive.writestr(name, data)
    return path


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    """Return a member that is a link."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info
