"""What a reader may do with any bytes: return, or say in one line what is wrong, in memory bounded by their number."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmtsa_cli.errors import ManyErrors, MmtsaError

SPARE_BYTES = 512 << 20
"""What a reader may take whatever the file's size: libraries that are loaded on use, decoders, one large picture."""
LONGEST_LINE = 20_400


class WrongLineError(Exception):
    """An error of ours that is not fit for a terminal."""


@contextmanager
def bounded(size: int, factor: int) -> Iterator[None]:
    """Let memory grow by no more than `SPARE_BYTES` + `factor` x `size`; beyond, an allocation raises MemoryError."""
    status = Path("/proc/self/statm")
    if not status.is_file():
        yield
        return
    taken = int(status.read_text().split()[0]) * resource.getpagesize()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (taken + SPARE_BYTES + factor * size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def check_lines(error: MmtsaError) -> None:
    """Refuse an error that is not one line of printable text of some length.

    Raises
    ------
    WrongLineError
    """
    for inner in error.errors if isinstance(error, ManyErrors) else (error,):
        line = inner.line()
        if not line.isprintable():
            raise WrongLineError(f"holds what is not printable: {line[:200]!r}")
        if len(line) > LONGEST_LINE:
            raise WrongLineError(f"a line of {len(line)} characters")
