"""Archives as datasets are shipped in, unpacked so that nothing can land outside of where it should."""

from __future__ import annotations

import errno
import lzma
import shutil
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, Any

from mmtsa_cli.errors import ArtifactError, DataError

Progress = Callable[[int, int], None]

_BLOCK = 1 << 20
_SPARE_BYTES = 256 << 20
"""What unpacking leaves free on the disk."""
_DAMAGE = (EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, tarfile.TarError, OSError, NotImplementedError,
           ValueError, IndexError, struct.error, OverflowError, MemoryError)  # fmt: skip
"""MemoryError: a few bytes of LZMA may ask for a dictionary of 4 GB."""


@dataclass(frozen=True)
class _Member:
    """A file in an archive: its name as it stands there, its size, and how it is read."""

    name: str
    size: int
    open: Callable[[], IO[bytes]]


def unpack(archive: Path, destination: Path, *, progress: Progress = lambda done, total: None) -> int:
    """Unpack the files of a `.zip` or `.tar.*` archive below `destination` and return how many there were.

    A member is looked at before anything of it is written: absolute names, `..`, drive letters, links and devices are
    refused, as are two members of one name. Permissions and owners are not restored. What was written before a refused
    member stays: give a directory that is thrown away on errors.

    Parameters
    ----------
    archive : Path
    destination : Path
        Made where it is missing.
    progress : callable
        Takes the bytes of the archive read so far, and all.

    Raises
    ------
    DataError
        No archive, a damaged or encrypted one, one that is cut off, or a member that is refused.
    ArtifactError
        Its files need more room than the disk has.
    """
    total = archive.stat().st_size
    count = 0
    target = destination.resolve()
    with archive.open("rb") as stream:
        try:
            for member in _members(stream, archive):
                path = _place(target, member.name, archive)
                _check_room(target, member, archive)
                path.parent.mkdir(parents=True, exist_ok=True)
                with member.open() as source:
                    _write(source, path, member, archive)
                count += 1
                progress(min(stream.tell(), total), total)
        except RuntimeError as error:
            # What the zipfile module raises where a password is needed.
            raise DataError("encrypted", where=str(archive), remedy="unpack it yourself") from error
        except _DAMAGE as error:
            # An invalid argument is a place before the archive's beginning, which a damaged one names.
            if (
                isinstance(error, OSError)
                and error.errno not in (None, errno.EINVAL)
                and error.filename != str(archive)
            ):
                raise
            raise _cut_off(archive, error) from None
    if not count:
        raise DataError("an archive without files", where=str(archive))
    return count


def _members(stream: IO[bytes], archive: Path) -> Iterator[_Member]:
    if zipfile.is_zipfile(stream):
        stream.seek(0)
        yield from _zip_members(zipfile.ZipFile(stream), archive)
        return
    stream.seek(0)
    try:
        tar = tarfile.open(fileobj=stream, mode="r:*")  # noqa: SIM115 - closed below
    except _DAMAGE as error:
        raise _cut_off(archive, error) from None
    with tar:
        yield from _tar_members(tar, archive)
        # What the members are checked by stands behind them, where no member is.
        while tar.fileobj.read(_BLOCK):
            pass


def _zip_members(container: zipfile.ZipFile, archive: Path) -> Iterator[_Member]:
    for info in container.infolist():
        if info.is_dir():
            continue
        kind = (info.external_attr >> 16) & 0o170000
        if kind not in (0, 0o100000):
            raise _refused(archive, info.filename, "a link" if kind == 0o120000 else "no plain file")
        yield _Member(info.filename, info.file_size, lambda info=info: container.open(info))  # type: ignore[misc]


def _tar_members(container: tarfile.TarFile, archive: Path) -> Iterator[_Member]:
    for info in container:
        if info.isdir():
            continue
        if not info.isreg():
            what = "a link" if info.issym() or info.islnk() else "no plain file"
            raise _refused(archive, info.name, what)
        yield _Member(info.name, info.size, lambda info=info: _extracted(container, info))  # type: ignore[misc]


def _extracted(container: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    stream = container.extractfile(info)
    if stream is None:
        raise tarfile.ReadError(f"{info.name} has no content")
    return stream


def _place(target: Path, name: str, archive: Path) -> Path:
    """Return where a member goes, below `target`."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if name.startswith(("/", "\\")) or PureWindowsPath(name).drive:
        raise _refused(archive, name, "an absolute path")
    if not parts or ".." in parts or "\0" in name:
        raise _refused(archive, name, "a path that leads out of the archive")
    path = target.joinpath(*parts)
    if path.exists():
        raise _refused(archive, name, "a name that is there already")
    return path


def _check_room(target: Path, member: _Member, archive: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(target).free
    if member.size > max(free - _SPARE_BYTES, 0):
        raise ArtifactError(
            f"no room for {member.name}",
            where=str(archive),
            expected=f"{member.size / 1e6:.0f} MB free",
            found=f"{free / 1e6:.0f} MB free",
            remedy="nothing was kept; free some space or name another place",
        )


def _write(source: IO[bytes], path: Path, member: _Member, archive: Path) -> None:
    """Write no more than the archive says that there is: a header that lies cannot fill the disk."""
    left = member.size
    with path.open("xb") as stream:
        while left > 0:
            block = source.read(min(_BLOCK, left))
            if not block:
                raise DataError(
                    f"{member.name} is cut off", where=str(archive), remedy="half a download: download it again"
                )
            stream.write(block)
            left -= len(block)
    if source.read(1):
        raise _refused(archive, member.name, "more than its header says")


def _refused(archive: Path, name: str, what: str) -> DataError:
    return DataError(
        f"holds {what}: {name!r}",
        where=str(archive),
        expected="plain files below one directory",
        remedy="nothing was unpacked; do not trust this archive, or unpack it yourself",
    )


def _cut_off(archive: Path, error: Any) -> DataError:
    return DataError(
        "not a whole archive",
        where=str(archive),
        found=str(error).splitlines()[0][:120] if str(error) else type(error).__name__,
        remedy="half a download: download it again",
    )
