"""What the C library does with memory that tensors gave back."""

from __future__ import annotations

import ctypes

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
"""Of glibc's `mallopt`."""


def keep_freed_memory() -> bool:
    """Let this process keep memory that was given back, for the tensors to come; return whether it can be told to.

    A step asks for the same large blocks as the one before. glibc returns those above 32 MB to the system at once,
    which clears each of their pages when they are asked for again (`mmtsa benchmark --speed --explain` measures what
    that takes). The most that is held at a time grows by little, and stays until the process ends.
    """
    try:
        tell = ctypes.CDLL(None).mallopt
    # No such function, or no such library: musl, macOS, Windows.
    except (AttributeError, OSError, TypeError):
        return False
    return bool(tell(_MMAP_MAX, 0) and tell(_TRIM_THRESHOLD, -1))
