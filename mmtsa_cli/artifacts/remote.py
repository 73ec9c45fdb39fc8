"""Files that lie elsewhere: `s3://`, `gs://`, `https://` and whatever else fsspec knows, read as paths are.

A `RemotePath` answers to what this package asks of a path, so that one code reads both. Nothing of fsspec is imported
before the first of them is touched. Who may read comes from the environment, as each of fsspec's file systems has it
(`AWS_ACCESS_KEY_ID`, `GOOGLE_APPLICATION_CREDENTIALS`, `FSSPEC_...`); a URL that holds a password is refused, so that
none is ever printed or kept.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

from mmtsa_cli.artifacts.fetching import cached_copy
from mmtsa_cli.artifacts.file_systems import (
    WEB,
    UnreachableError,
    again,
    faults,
    file_system,
    not_there,
    refuse_secrets,
    told,
)
from mmtsa_cli.errors import ArtifactError, UsageError

__all__ = ["RemotePath", "RemoteStatus", "UnreachableError", "is_url", "joined", "local_file", "place_of"]

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
_LOCAL = ("file", "local")
_INDEXES = ("manifest.json", "index.csv")
_KNOWN_S = 10.0
"""For so long what was learned of a file is believed: each is asked about several times while it is opened."""
_MOST_KNOWN = 4096
_known: dict[str, tuple[float, dict[str, Any]]] = {}


@dataclass(frozen=True)
class RemoteStatus:
    """Bytes of a file, and a number that is another one when the file has changed."""

    st_size: int
    st_mtime_ns: int


def is_url(text: str) -> bool:
    """Whether a text is a URL (`C://` is none: a scheme has two letters or more)."""
    return bool(_URL.match(text))


def place_of(text: str | os.PathLike[str]) -> Path:
    """Return the path that a text names: of this machine, or a `RemotePath`, which answers as one does.

    Raises
    ------
    UsageError
        A URL with a password or a query in it.
    """
    text = text if isinstance(text, str) else str(text)
    found = _URL.match(text)
    if not found:
        return Path(text)
    if found[1].lower() in _LOCAL:
        return Path(text[found.end() :])
    return cast(Path, RemotePath(text))


def local_file(path: Path) -> Path:
    """Return a file of this machine with the content of `path`: itself, or a copy of what lies elsewhere.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ArtifactError
        It cannot be fetched.
    """
    return path.fetched() if isinstance(path, RemotePath) else path


def joined(root: Path, text: str) -> Path:
    """Return what a text in a file below `root` names: a path below it, an absolute path, or a URL.

    Raises
    ------
    ValueError
        `root` lies elsewhere and the text leads out of it: who wrote it decides about no file of this machine, nor
        about another server's.
    """
    if isinstance(root, RemotePath):
        if text.startswith(("/", "\\")) or is_url(text) or ".." in PurePosixPath(text).parts:
            raise ValueError(f"leads out of {root}")
        return cast(Path, root / text)
    return place_of(text) if "://" in text and is_url(text) else root / text


class RemotePath:
    """A path of a file system that is no part of this machine.

    Parameters
    ----------
    url : str

    Raises
    ------
    UsageError
        It holds a password or a query, or is chained to another one.
    """

    def __init__(self, url: str) -> None:
        refuse_secrets(url)
        if "::" in url:
            raise UsageError("a URL in another one", where=url, remedy="unpack the archive, or name it alone")
        scheme, _, rest = url.partition("://")
        self._url = f"{scheme}://{rest.rstrip('/') if rest.strip('/') else rest}"

    def __str__(self) -> str:
        return self._url

    def __repr__(self) -> str:
        return f"RemotePath({self._url!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RemotePath) and other._url == self._url

    def __hash__(self) -> int:
        return hash(self._url)

    def __truediv__(self, other: str | os.PathLike[str]) -> RemotePath:
        return RemotePath(f"{self._url.rstrip('/')}/{other}")

    # What a path is called

    @property
    def name(self) -> str:
        """The last part."""
        return posixpath.basename(self._url.partition("://")[2])

    @property
    def suffix(self) -> str:
        """The ending of the name."""
        return PurePosixPath(self.name).suffix

    @property
    def stem(self) -> str:
        """The name without its ending."""
        return PurePosixPath(self.name).stem

    @property
    def parent(self) -> RemotePath:
        """The directory above; of the topmost, itself."""
        scheme, _, rest = self._url.partition("://")
        above = posixpath.dirname(rest)
        return RemotePath(f"{scheme}://{above}") if above else self

    def with_name(self, name: str) -> RemotePath:
        """Return another file beside it."""
        return self.parent / name

    def absolute(self) -> RemotePath:
        """Return itself: a URL depends on no working directory."""
        return self

    resolve = absolute

    def is_absolute(self) -> bool:
        """Return True."""
        return True

    def is_relative_to(self, other: object) -> bool:
        """Return False: an index names it in full."""
        return False

    # What there is

    def is_file(self) -> bool:
        """Whether a file is there."""
        info = self._info()
        return info is not None and info.get("type") != "directory"

    def is_dir(self) -> bool:
        """Whether files lie below it; of a web server, which lists none, whether there is a manifest or an index."""
        if self._url.startswith(tuple(f"{scheme}://" for scheme in WEB)):
            return any((self / name).is_file() for name in _INDEXES)
        info = self._info()
        return info is not None and info.get("type") == "directory"

    def is_symlink(self) -> bool:
        """Return False: no such thing is followed elsewhere."""
        return False

    def exists(self) -> bool:
        """Whether there is a file, or files below it."""
        return self._info() is not None

    def iterdir(self) -> Iterator[RemotePath]:
        """Yield what lies directly below it."""
        with faults(self._url):
            listed = self._fs.ls(self._path, detail=False)
        for one in listed:
            name = posixpath.basename(str(one).rstrip("/"))
            if name and name != self.name:
                yield self / name

    def stat(self) -> RemoteStatus:
        """Return size and state of a file.

        Raises
        ------
        FileNotFoundError
        """
        info = self._info()
        if info is None or info.get("type") == "directory" or info.get("size") is None:
            raise not_there(self._url)
        marks = [str(info.get(key)) for key in ("ETag", "etag", "mtime", "LastModified", "updated", "created")]
        state = hashlib.sha256("|".join([*marks, str(info["size"])]).encode()).digest()
        return RemoteStatus(int(info["size"]), int.from_bytes(state[:7], "big"))

    # What it holds

    def read_bytes(self) -> bytes:
        """Return the whole content.

        Raises
        ------
        FileNotFoundError
        """
        with faults(self._url):
            return bytes(again(lambda: self._fs.cat_file(self._path)))

    def read_range(self, begin: int, after: int) -> bytes:
        """Return the bytes from `begin` to before `after`, and fetch no others.

        Raises
        ------
        ArtifactError
            It cannot be read, or is shorter.
        """
        with faults(self._url):
            content = bytes(again(lambda: self._fs.cat_file(self._path, start=begin, end=after)))
        if len(content) != after - begin:
            expected = f"{after - begin} bytes from {begin}"
            remedy = "the server must answer requests for a range"
            raise ArtifactError(
                "not the range asked for", where=self._url, expected=expected, found=f"{len(content)}", remedy=remedy
            )
        return content

    def read_text(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Return the whole content as text."""
        return self.read_bytes().decode(encoding, errors)

    def open(
        self, mode: str = "r", *, encoding: str | None = None, errors: str | None = None, newline: str | None = None
    ) -> IO[Any]:
        """Open the file for reading: its copy in the cache, where many small readings are cheap."""
        if mode not in ("r", "rb"):
            remedy = "change a copy of this machine, and put that there"
            raise UnreachableError("cannot be changed where it is", where=self._url, remedy=remedy)
        return self.fetched().open(mode, encoding=encoding, errors=errors, newline=newline)

    def copy_to(self, local: Path) -> None:
        """Fetch the whole file."""
        with faults(self._url):
            again(lambda: self._fs.get_file(self._path, str(local)))

    def fetched(self) -> Path:
        """Return a copy of this machine, made once as long as the file does not change (`fetching.cached_copy`).

        Raises
        ------
        FileNotFoundError
        ArtifactError
            It cannot be fetched.
        """
        status = self.stat()
        version = f"{self._url} {status.st_size} {status.st_mtime_ns}"
        return cached_copy(self._url, version, self.suffix, status.st_size, self.copy_to)

    # What is written

    def upload(self, local: Path) -> None:
        """Put a local file here, whole or not at all."""
        with faults(self._url, "cannot be written"):
            try:
                again(lambda: self._fs.put_file(str(local), self._path))
            except FileNotFoundError as error:
                # No place above it, as a bucket that does not exist.
                raise UnreachableError("cannot be written", where=self._url, found=told(error)) from None
        self._forget()

    def write_bytes(self, content: bytes) -> None:
        """Put some bytes here, whole or not at all."""
        with faults(self._url, "cannot be written"):
            again(lambda: self._fs.pipe_file(self._path, content))
        self._forget()

    def create(self, content: bytes) -> bool:
        """Put some bytes here where nothing is; return whether nothing was.

        Of two that do it at once one has been first, where the file system can tell (S3, Google's); of others, who
        looks a moment too early believes to be first, too.
        """
        self._forget()
        with faults(self._url, "cannot be written"):
            try:
                again(lambda: self._fs.pipe_file(self._path, content, mode="create"))
            except FileExistsError:
                return False
            except FileNotFoundError as error:
                raise UnreachableError("cannot be written", where=self._url, found=told(error)) from None
            # File systems, and servers, that know no such thing.
            except (NotImplementedError, TypeError, ValueError):
                if self.is_file():
                    return False
                self.write_bytes(content)
        self._forget()
        return True

    def unlink(self, missing_ok: bool = False) -> None:
        """Remove a file; one that is not there is none to be removed, whatever `missing_ok` says."""
        self._forget()
        if self.is_file():
            with faults(self._url, "cannot be written"):
                self._fs.rm_file(self._path)
            self._forget()

    def files(self) -> list[RemotePath]:
        """Return all files below it."""
        self._forget()
        with faults(self._url):
            below = self._path.rstrip("/") + "/"
            found = self._fs.find(self._path)
        return [self / str(one).split(below, 1)[1] for one in found if below in str(one)]

    def _info(self) -> dict[str, Any] | None:
        """Return what the file system knows of it; None where nothing is there."""
        known = _known.get(self._url)
        if known and time.monotonic() - known[0] < _KNOWN_S:
            return known[1]
        try:
            with faults(self._url):
                info = again(lambda: self._fs.info(self._path))
        except FileNotFoundError:
            return None
        if len(_known) >= _MOST_KNOWN:
            _known.clear()
        _known[self._url] = (time.monotonic(), info)
        return info

    def _forget(self) -> None:
        _known.clear()
        with faults(self._url):
            self._fs.invalidate_cache()

    @property
    def _fs(self) -> Any:
        # fsspec keeps one for each process and place; one from before a fork must not be used after it.
        return file_system(self._url)[0]

    @property
    def _path(self) -> str:
        return file_system(self._url)[1]
