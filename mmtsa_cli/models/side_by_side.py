"""Several networks at a time, each on its share of the threads.

The threads of one network wait for one another between any two of its layers; those of several networks wait once.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache

import torch
from torch import Tensor

Said = dict[str, Tensor]


@cache
def _helpers() -> ThreadPoolExecutor:
    """Return threads that stay: what oneDNN has prepared for a layer is each thread's own, and ends with it."""
    return ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="encoder")


if hasattr(os, "register_at_fork"):
    # A process that is forked gets none of them.
    os.register_at_fork(after_in_child=_helpers.cache_clear)


def side_by_side(calls: Sequence[Callable[[], Said]], work: Sequence[int]) -> list[Said]:
    """Return what calls say, in inference mode, in their order; those with the most work are begun first.

    Parameters
    ----------
    calls : sequence of callables
        That take nothing from one another.
    work : sequence of int
        Of each, in a unit that they share.
    """
    threads = torch.get_num_threads()
    at_once = _at_once(work, threads)
    if at_once == 1:
        return [call() for call in calls]
    waiting = deque(sorted(range(len(calls)), key=lambda number: -work[number]))
    said: dict[int, Said] = {}

    def take_turns() -> None:
        # Both are the thread's own.
        torch.set_num_threads(threads // at_once)
        with torch.inference_mode():
            while True:
                try:
                    number = waiting.popleft()
                except IndexError:
                    return
                said[number] = calls[number]()

    others = [_helpers().submit(take_turns) for _ in range(at_once - 1)]
    try:
        take_turns()
    finally:
        # What is left is not begun where this one failed.
        waiting.clear()
        torch.set_num_threads(threads)
        # One that found no thread free, as other calls have them all, is not needed any more.
        begun = [other for other in others if not other.cancel()]
        wait(begun)
    for other in begun:
        other.result()
    return [said[number] for number in range(len(calls))]


def _at_once(work: Sequence[int], threads: int) -> int:
    """Return how many run at a time: threads are shared out evenly, and the longest call ends with the others."""
    most = sum(work) // max(*work, 1)
    return max(count for count in range(1, threads + 1) if count == 1 or (threads % count == 0 and count <= most))
