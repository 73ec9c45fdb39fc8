"""Ctrl-C and SIGTERM as a wish: what is under way comes to a point at which nothing is lost."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mmtsa_cli.errors import interruption
from mmtsa_cli.stages.processes import StoppedError


class Asked:
    """Whether a signal has asked to stop, and which."""

    signal: int | None = None

    def answer(self) -> bool:
        """Return whether one has."""
        return self.signal is not None


@contextmanager
def stop_on_signals(*, patient: bool = False) -> Iterator[Asked]:
    """Let Ctrl-C and SIGTERM be asked for instead of ending the block; a second one ends it as it would have.

    A `StoppedError` of the block gets the exit code that belongs to the signal: 130 or 143.

    Parameters
    ----------
    patient : bool
        A second one changes nothing: a process of several is told to stop by whoever started it and by the batch
        system, too.
    """
    asked = Asked()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def ask(number: int, frame: Any) -> None:
        if asked.signal is not None and not patient:
            raise interruption(number)
        asked.signal = number

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    except StoppedError as stopped:
        stopped.exit_code = 128 + (asked.signal or signal.SIGINT)
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
