"""The file systems of fsspec: found by a URL, asked again where a network fails, their errors as errors of ours."""

from __future__ import annotations

import errno
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from mmtsa_cli.errors import ArtifactError, MmtsaError, UsageError

T = TypeVar("T")
WEB = ("http", "https")
_WAITS_S = (0.5, 2.0)
"""Between the attempts at what a network may fail to do once."""


class UnreachableError(ArtifactError):
    """What lies elsewhere cannot be read or written now: nothing is known of its content (exit code 1)."""


@contextmanager
def faults(url: str, what: str = "cannot be read") -> Iterator[None]:
    """Turn whatever a file system raises into an error of ours, but for a file that is not there."""
    try:
        yield
    except (MmtsaError, KeyboardInterrupt):
        raise
    except FileNotFoundError:
        raise not_there(url) from None
    except NotImplementedError:
        raise UnreachableError(what, where=url, found="a file system that cannot do it") from None
    # Each has its own kinds of errors, not all of them OSError.
    except Exception as error:  # noqa: BLE001
        raise UnreachableError(what, where=url, found=told(error), remedy=_remedy(error)) from None


def not_there(url: str) -> FileNotFoundError:
    """Return the error for a file that is not there."""
    return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), url)


def again(call: Callable[[], T]) -> T:
    """Call, and call again where it fails as networks do."""
    for wait_s in _WAITS_S:
        try:
            return call()
        except (
            FileNotFoundError,
            FileExistsError,
            PermissionError,
            NotImplementedError,
            TypeError,
            ValueError,
            MmtsaError,
        ):
            raise
        # Each file system has its own kinds of a lost connection.
        except Exception:  # noqa: BLE001
            time.sleep(wait_s)
    return call()


def file_system(url: str) -> tuple[Any, str]:
    """Return the file system of a URL, and what it calls the place.

    Raises
    ------
    UsageError
        None is known by this scheme, or a package for it is missing.
    """
    scheme = url.partition("://")[0]
    try:
        import fsspec
        from fsspec.core import url_to_fs
    except ImportError:
        remedy = "install the extra: pip install 'mmtsa[cluster]'"
        raise UsageError("needs fsspec, which is not installed", where=url, remedy=remedy) from None
    try:
        return url_to_fs(url)
    except ImportError as error:
        remedy = "install the extra: pip install 'mmtsa[cluster]', or what it names"
        raise UsageError(f"{scheme}:// needs a package", where=url, found=str(error), remedy=remedy) from None
    except ValueError:
        known = ", ".join(name for name in ("s3", "gs", "https", "sftp") if name in fsspec.available_protocols())
        raise UsageError(f"no {scheme}:// is known", where=url, expected=f"{known} or another one of fsspec") from None


def refuse_secrets(url: str) -> None:
    """Refuse a URL with a password or a query in it.

    Raises
    ------
    UsageError
    """
    scheme, _, rest = url.partition("://")
    host = rest.partition("/")[0]
    port = host.rpartition(":")[2] if ":" in host else ""
    # A slash in a password ends what looks like the host; what looks like its port is no number then.
    cut = "@" in rest and "@" not in host and port != "" and not port.isdecimal()
    if cut or ":" in host.rpartition("@")[0] or (scheme.lower() in WEB and "?" in rest):
        host = "" if cut else host
        shown = f"{scheme}://{host.rpartition('@')[2]}/..."
        raise UsageError(
            "a URL must hold no password and no query, as it is kept in manifests",
            where=shown,
            remedy="give them in the environment, as fsspec has it (FSSPEC_..., AWS_..., netrc)",
        )


def told(error: Exception) -> str:
    """Return what an error says, on one line and without what a server was asked with."""
    text = " ".join(str(error).split()) or type(error).__name__
    # Servers repeat what they were asked, and some were asked with a signature.
    return re.sub(r"\?\S+", "?...", text)[:200]


def _remedy(error: Exception) -> str | None:
    name, text = type(error).__name__, str(error).lower()
    if isinstance(error, PermissionError) or "credential" in name.lower() or "forbidden" in text:
        return "give who you are in the environment, as for any program that reads it"
    if "connect" in name.lower() or "connect" in text or "name or service" in text:
        return "look at the address and the network"
    return None
