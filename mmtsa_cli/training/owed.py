"""What other processes have trained and this one uses: a system pays for its parts, whoever trained them."""

from __future__ import annotations

from pathlib import Path

_of_others: dict[Path, float] = {}


def owe_others(place: Path, seconds: float) -> None:
    """Note that this process found a part at `place` that took another one so long."""
    _of_others[place] = seconds


def seconds_of_others() -> float:
    """Return what training those parts took, in seconds, that this process found trained, less what it waited."""
    return sum(_of_others.values())
