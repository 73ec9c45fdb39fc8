"""What torchrun, or a script in its place, tells a process by its environment of those that it started with it."""

from __future__ import annotations

import os

_SAID = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


def is_one_of_several() -> bool:
    """Whether this process was started as one of several that work together."""
    return all(name in os.environ for name in _SAID) and int(os.environ["WORLD_SIZE"]) > 1


def number() -> int:
    """Return which of them it is, from 0; 0 where it is alone."""
    return int(os.environ["RANK"]) if is_one_of_several() else 0


def restarts() -> int:
    """Return how often torchrun has started them again, as one of them had died."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))


def rendezvous() -> str:
    """Return what `torchrun --rdzv-id` said; nothing where each start has the same name."""
    name = os.environ.get("TORCHELASTIC_RUN_ID", "")
    return "" if name == "none" else name
