"""Work on many recordings in several processes: results in order, errors as they were raised, a clean end on Ctrl-C."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Generic, TypeVar

T = TypeVar("T")
_WORTH_PROCESSES_S = 0.5


class _Halt:
    """Whether no more work is to be begun, and whether that is because somebody asked for it."""

    now = False
    interrupted = False

    def ask(self, number: int, frame: Any) -> None:
        """Handle Ctrl-C: what is under way is finished, so that nothing is torn; a second one ends everything."""
        if self.interrupted:
            raise KeyboardInterrupt
        self.now = self.interrupted = True


@contextmanager
def in_parallel(
    function: Callable[..., T], tasks: Sequence[tuple[Any, ...]], *, jobs: int | None = None
) -> Iterator[Iterator[T]]:
    """Give what `function(*task)` returns, in the order of `tasks`, a few of them ahead of who takes it.

    When the block is left, nothing runs any more: neither after the first error of a task, nor after one in the block,
    nor after Ctrl-C, which ends it with KeyboardInterrupt as soon as the tasks under way are done.

    Parameters
    ----------
    function : callable
        Of a module, as other processes must find it; raises for its task what it would raise alone.
    tasks : sequence of tuple
    jobs : int, optional
        Processes; None: one a core. They are started for what is left after half a second of work in this one, as
        starting them takes as long.
    """
    workers = jobs or os.cpu_count() or 1
    with ExitStack() as pool:
        yield _all_results(function, tasks, workers, pool)


def _all_results(
    function: Callable[..., T], tasks: Sequence[tuple[Any, ...]], workers: int, pool: ExitStack
) -> Iterator[T]:
    started = time.monotonic()
    for done, task in enumerate(tasks):
        if workers > 1 and len(tasks) - done > 1 and time.monotonic() - started > _WORTH_PROCESSES_S:
            yield from pool.enter_context(_in_processes(function, tasks[done:], min(workers, len(tasks) - done)))
            return
        yield function(*task)


@contextmanager
def _in_processes(function: Callable[..., T], tasks: Sequence[tuple[Any, ...]], workers: int) -> Iterator[Iterator[T]]:
    from joblib import Parallel, delayed

    halt = _Halt()
    unfinished = (delayed(_attempt)(function, task) for task in tasks if not halt.now)
    with _interrupts(halt):
        # Processes that ignore Ctrl-C from their first moment on: the terminal sends it to all of them.
        with _ignored_interrupts():
            outcomes = Parallel(n_jobs=workers, return_as="generator", pre_dispatch="2*n_jobs")(unfinished)
        try:
            yield _results(outcomes, halt)
        finally:
            halt.now = True
            for _ in outcomes:
                pass
    if halt.interrupted:
        raise KeyboardInterrupt


class _Outcome(Generic[T]):
    """What came of a task: its result, or its error. An error that is raised in a process would kill the others."""

    def __init__(self, result: T | None = None, error: Exception | None = None) -> None:
        self.result, self.error = result, error


def _attempt(function: Callable[..., T], task: tuple[Any, ...]) -> _Outcome[T]:
    try:
        return _Outcome(function(*task))
    except Exception as error:  # noqa: BLE001 - raised again in the process that asked
        return _Outcome(error=error)


def _results(outcomes: Iterable[_Outcome[T]], halt: _Halt) -> Iterator[T]:
    for outcome in outcomes:
        if halt.interrupted:
            raise KeyboardInterrupt
        if outcome.error is not None:
            raise outcome.error
        yield outcome.result  # type: ignore[misc]
    if halt.interrupted:
        raise KeyboardInterrupt


@contextmanager
def _interrupts(halt: _Halt) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, halt.ask)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _ignored_interrupts() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
