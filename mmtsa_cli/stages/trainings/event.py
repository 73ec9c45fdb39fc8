"""What is told of a training while it is under way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class TrainingEvent:
    """How far a training is, after a step.

    Attributes
    ----------
    fold : str
    fold_number, folds : int
        From 1.
    epoch, epochs : int
        Epochs done and in all.
    step, steps : int
        Steps done of the epoch under way and in all.
    row : dict or None
        Where this step ended an epoch, its line of the log.
    seconds_left : float or None
        Of this fold, by the speed until now.
    """

    fold: str
    fold_number: int
    folds: int
    epoch: int
    epochs: int
    step: int
    steps: int
    row: dict[str, Any] | None
    seconds_left: float | None


Listener = Callable[[TrainingEvent], None]
"""Called after every step."""
