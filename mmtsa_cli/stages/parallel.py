"""Work on many recordings in several processes, of this machine or of a cluster.

Results come in order, errors as they were raised, and Ctrl-C is a clean end.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from typing import Any, TypeVar

from mmtsa_cli.artifacts.attempt import Outcome, attempt
from mmtsa_cli.errors import MmtsaError, interruption

T = TypeVar("T")
_WORTH_PROCESSES_S, _LOOK_S = 0.5, 0.5
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class _Halt:
    """Whether no more work is to be begun, and whether that is because somebody asked for it."""

    now = False
    signal: int | None = None

    def ask(self, number: int, frame: Any) -> None:
        """Handle Ctrl-C and SIGTERM: what is under way is finished, so that nothing is torn; a second one ends all."""
        if self.signal is not None:
            raise interruption(number)
        self.now, self.signal = True, number

    def raise_asked(self) -> None:
        """Raise what the signal means, if there was one."""
        if self.signal is not None:
            raise interruption(self.signal)


@contextmanager
def in_parallel(
    function: Callable[..., T],
    tasks: Sequence[tuple[Any, ...]],
    *,
    jobs: int | None = None,
    cluster: str | None = None,
) -> Iterator[Iterator[T]]:
    """Give what `function(*task)` returns, in the order of `tasks`, a few of them ahead of who takes it.

    When the block is left, nothing runs any more: neither after the first error of a task, nor after one in the block,
    nor after Ctrl-C or SIGTERM, which end it with KeyboardInterrupt as soon as the tasks under way are done.

    Parameters
    ----------
    function : callable
        Of a module, as other processes must find it; raises for its task what it would raise alone.
    tasks : sequence of tuple
    jobs : int, optional
        Processes; None: one a core. They are started for what is left after half a second of work in this one, as
        starting them takes as long.
    cluster : str, optional
        Address of a Dask scheduler, whose workers do all of it (`artifacts.cluster`); `jobs` says nothing then.

    Raises
    ------
    ClusterError, UsageError
        The cluster cannot be used.
    """
    workers = jobs or os.cpu_count() or 1
    with ExitStack() as pool:
        if cluster:
            yield pool.enter_context(_on_cluster(cluster, function, tasks))
        else:
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
    unfinished = (delayed(attempt)(function, task) for task in tasks if not halt.now)
    with _handled(halt.ask):
        # Processes that ignore both from their first moment on: a terminal and a batch system send them to all.
        with _handled(signal.SIG_IGN):
            pool = Parallel(
                n_jobs=workers,
                return_as="generator",
                pre_dispatch="2*n_jobs",
                initializer=_end_with_parent,
                initargs=(os.getpid(),),
            )
            outcomes = pool(unfinished)
        with _killed_told():
            try:
                yield _results(outcomes, halt)
            finally:
                halt.now = True
                for _ in outcomes:
                    pass
    halt.raise_asked()


def _end_with_parent(parent: int) -> None:
    """Have this process end soon after the one that began it: killed, that cannot end those that work for it."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_LOOK_S)
        os._exit(1)

    threading.Thread(target=watch, name="parent", daemon=True).start()


@contextmanager
def _killed_told() -> Iterator[None]:
    """Say in a line that a process was killed under its work."""
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    try:
        yield
    except TerminatedWorkerError:
        raise MmtsaError(
            "one of the processes at work was killed, as happens where memory is short",
            where="--jobs",
            remedy="give the same command again, with fewer --jobs",
        ) from None


@contextmanager
def _on_cluster(address: str, function: Callable[..., T], tasks: Sequence[tuple[Any, ...]]) -> Iterator[Iterator[T]]:
    from mmtsa_cli.artifacts.cluster import connected, on_cluster

    halt = _Halt()
    with (
        connected(address) as client,
        _handled(halt.ask),
        closing(on_cluster(client, function, tasks, should_stop=lambda: halt.now)) as outcomes,
    ):
        yield _results(outcomes, halt)
    halt.raise_asked()


def _results(outcomes: Iterable[Outcome[T]], halt: _Halt) -> Iterator[T]:
    for outcome in outcomes:
        halt.raise_asked()
        yield outcome.value()
    halt.raise_asked()


@contextmanager
def _handled(handler: Any) -> Iterator[None]:
    """Have the signals that ask to stop handled so within the block, where signals can be handled at all."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, its in before.items():
            signal.signal(number, its)
