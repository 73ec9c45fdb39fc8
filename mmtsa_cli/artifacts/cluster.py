"""Work on the machines of a Dask cluster: results in order, whichever worker dies, its faults as errors of ours.

The workers need this package in the same version, and the recordings under the same paths or URLs.
"""

from __future__ import annotations

import gc
import logging
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from importlib import metadata
from itertools import islice
from typing import Any, TypeVar

from mmtsa_cli import __version__
from mmtsa_cli.artifacts.attempt import Outcome, attempt
from mmtsa_cli.errors import MmtsaError, UsageError

T = TypeVar("T")
_CONNECT_S = 10.0
_WORKERS_S = 30.0
"""How long a cluster may be without workers: those that a batch system ends are started anew."""
_LOOK_S = 0.5
_AHEAD = 2
"""Tasks given out for each thread of the cluster: one is worked on, one waits."""
_OPTION = "--cluster"


class ClusterError(MmtsaError):
    """A cluster that cannot be reached, or cannot do the work (exit code 1)."""


@contextmanager
def connected(address: str) -> Iterator[Any]:
    """Give a client of the cluster whose scheduler has this address.

    Parameters
    ----------
    address : str
        As in `tcp://10.0.0.1:8786`.

    Raises
    ------
    UsageError
        Dask is not installed, or this is no address.
    ClusterError
        Nothing answers there, it has no workers, or they cannot run this package.
    """
    distributed = _distributed()
    # Its own lines on stderr would stand beside our one.
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    failed: MmtsaError | None = None
    try:
        client = distributed.Client(address, timeout=_CONNECT_S, set_as_default=False, name="mmtsa")
    except (ValueError, TypeError, ImportError) as error:
        example = "an address as in tcp://10.0.0.1:8786"
        failed = UsageError("no scheduler", where=f"{_OPTION} {address}", expected=example, found=str(error))
    except (OSError, TimeoutError, distributed.TimeoutError):
        remedy = "start one with `dask scheduler`, and `dask worker` on each machine"
        failed = ClusterError(
            f"no scheduler answers within {_CONNECT_S:g} s", where=f"{_OPTION} {address}", remedy=remedy
        )
    if failed:
        # The client that could not be made closes itself when it is collected, which must not be while the next one is
        # being made: both would wait for one lock.
        gc.collect()
        raise failed
    try:
        _check_workers(client)
        yield client
    finally:
        client.close(timeout=_CONNECT_S)


def on_cluster(
    client: Any,
    function: Callable[..., T],
    tasks: Sequence[tuple[Any, ...]],
    *,
    should_stop: Callable[[], bool] = lambda: False,
) -> Generator[Outcome[T], None, None]:
    """Yield what comes of `function(*task)`, in the order of `tasks`, a few of them ahead of who takes it.

    A task whose worker dies is done again by another one. When the iteration is left, what was given out has ended.

    Parameters
    ----------
    client : distributed.Client
    function : callable
        Of a module that the workers can import.
    tasks : sequence of tuple
    should_stop : callable
        True: no more is given out, and what is under way is waited for.

    Raises
    ------
    ClusterError
        The scheduler or all workers are gone, or one task has ended several of them.
    """
    left, given = iter(tasks), deque[Any]()
    try:
        while True:
            room = 0 if should_stop() else _AHEAD * _threads(client) - len(given)
            given.extend(client.submit(attempt, function, task, pure=False) for task in islice(left, max(0, room)))
            if not given:
                return
            yield _result(client, given.popleft())
    except ClusterError:
        # Nobody is left who might still write something.
        given.clear()
        raise
    finally:
        # What a worker still does might write where the caller is about to clear up.
        with suppress(ClusterError):
            while given and client.status == "running":
                _result(client, given.popleft())


def _distributed() -> Any:
    try:
        import distributed
    except ImportError:
        remedy = "install the extra: pip install 'mmtsa[cluster]'"
        raise UsageError("needs Dask, which is not installed", where=_OPTION, remedy=remedy) from None
    return distributed


def _check_workers(client: Any) -> None:
    """Refuse a cluster without workers, and workers of another version: they would compute something else."""
    _threads(client)
    try:
        found = client.run(metadata.version, "mmtsa")
    except metadata.PackageNotFoundError:
        remedy = "install mmtsa in the environment of every `dask worker`"
        raise ClusterError("a worker lacks this package", where=_where(client), remedy=remedy) from None
    for worker, version in found.items():
        if version != __version__:
            what, expected = f"worker {worker} has another version", f"mmtsa {__version__}"
            raise ClusterError(what, where=_where(client), expected=expected, found=str(version))


def _threads(client: Any) -> int:
    """Return the threads of all workers; wait for one where there is none."""
    until = time.monotonic() + _WORKERS_S
    while client.status == "running":
        with suppress(OSError):
            if threads := sum(client.nthreads().values()):
                return threads
        if time.monotonic() > until:
            remedy = "start some with `dask worker`"
            raise ClusterError(f"no worker for {_WORKERS_S:g} s", where=_where(client), remedy=remedy)
        time.sleep(_LOOK_S)
    raise _gone(client)


def _result(client: Any, future: Any) -> Any:
    """Return what a future gives, however long it takes, as long as there are workers."""
    import distributed

    while True:
        try:
            return future.result(timeout=_LOOK_S)
        except distributed.KilledWorker as error:
            what = f"one task ended {error.allowed_failures + 1} workers, one after the other"
            remedy = "look whether they are short of memory"
            raise ClusterError(what, where=_where(client), remedy=remedy) from None
        except CancelledError:
            raise _gone(client) from None
        except (TimeoutError, distributed.TimeoutError):
            _threads(client)


def _gone(client: Any) -> ClusterError:
    remedy = "start the cluster and give the same command again"
    return ClusterError("the scheduler is gone", where=_where(client), remedy=remedy)


def _where(client: Any) -> str:
    return f"{_OPTION} {client.scheduler.address}"
