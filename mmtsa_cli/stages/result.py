"""What a stage gives back to whoever ran it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class StageResult:
    """A directory that a stage made, or found made.

    Attributes
    ----------
    output : Path
    fresh : bool
        False where the directory already held this result.
    facts : dict
        What is worth telling of it, as JSON values; each stage says which.
    """

    output: Path
    fresh: bool
    facts: dict[str, Any]
