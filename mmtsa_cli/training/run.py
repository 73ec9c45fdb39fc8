"""Where a training writes, how it talks and how it stops. Without torch: who fits a tree needs it, too."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mmtsa_cli.errors import MmtsaError

if TYPE_CHECKING:
    from mmtsa_cli.training.checkpoint import TrainingState

Report = Callable[["TrainingState", int, int], None]
"""Called after every step with the state, the step of the epoch and the steps of an epoch."""


class TrainingStoppedError(MmtsaError):
    """Training was asked to stop and has written its checkpoint (exit code 130, as for any interrupted program)."""

    exit_code = 130


@dataclass(frozen=True)
class Run:
    """Where a training writes, and how it talks.

    Attributes
    ----------
    directory : Path
        Holds `last.safetensors` and `best.safetensors`; a `last.safetensors` that is there is gone on from.
    report : callable
    should_stop : callable () -> bool
        Asked after every step; true: write a checkpoint and stop.
    shared : Path, optional
        A place for what several trainings on the same clips with the same seed can use: teachers that one of them has
        trained already.
    warn : callable
        Told in one line that a checkpoint is damaged and the one before it was taken.
    """

    directory: Path
    report: Report = lambda state, step, steps: None
    should_stop: Callable[[], bool] = lambda: False
    shared: Path | None = None
    warn: Callable[[str], None] = lambda text: None
