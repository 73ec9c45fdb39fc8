"""Which clips each step gets and how they are drawn, in training and in evaluation, ahead of the network's work."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mmtsa_cli.sampling.draw import Augmentation, Batch, Samples
from mmtsa_cli.training.parts import Part, Split

T = TypeVar("T")


class BatchPlan:
    """Which clips each step of each epoch gets, and how they are drawn: all from the seed.

    A clip's draw follows from its own generator, so it is the same in whichever part of a batch and process.
    """

    def __init__(
        self,
        samples: Samples,
        size: int,
        augmentation: Augmentation,
        seed: int,
        *,
        workers: int = 1,
        split: Split | None = None,
    ) -> None:
        self._samples, self._augmentation, self._seed, self._workers = samples, augmentation, seed, workers
        self._split = split or Split()
        # A last batch of one clip has no variance for batch norm: it joins the one before.
        self.steps = max(1, len(samples) // size)

    def batches(self, epoch: int, first: int) -> Iterable[list[Part[Batch]]]:
        """Return the batches of an epoch from a step on, of each the parts that this process computes."""
        order = np.random.default_rng([self._seed, epoch]).permutation(len(self._samples))
        steps = np.array_split(order, self.steps)
        return prefetched((partial(self._draw, epoch, clips) for clips in steps[first:]), self._workers)

    def _draw(self, epoch: int, clips: NDArray[np.int64]) -> list[Part[Batch]]:
        parts = []
        for number, own, share in self._split.of(clips):
            generators = [_generator(self._seed, epoch, int(position)) for position in own]
            batch = self._samples.batch(own.tolist(), generators=generators, augmentation=self._augmentation)
            parts.append(Part(batch, number, share))
        return parts


def evaluation_batches(samples: Samples, own: Sequence[int], draw: int, seed: int) -> Iterator[Callable[[], Batch]]:
    """Yield what draws clips, at the positions `own`, for the `draw`-th time of an evaluation, batch by batch."""
    # Small enough for any machine; the result does not depend on it.
    size = 32
    for start in range(0, len(own), size):
        positions = list(own[start : start + size])
        yield partial(samples.batch, positions, generators=evaluation_generators(seed, draw, positions))


def evaluation_generators(seed: int, draw: int, positions: Sequence[int]) -> list[np.random.Generator] | None:
    """Return what draws some clips for the `draw`-th time of an evaluation; None, their centres, for draw 0."""
    return [_generator(seed, 2**31 + draw, position) for position in positions] if draw else None


def _generator(seed: int, epoch: int, position: int) -> np.random.Generator:
    return np.random.default_rng([seed, epoch, position])


def prefetched(draws: Iterable[Callable[[], T]], workers: int, ahead: int = 2) -> Iterator[T]:
    """Yield what `draws` return in their order, drawn by threads while the network works on those before.

    A draw depends on nothing but its own generators, so it is the same whoever makes it, and when.
    """
    pool = ThreadPoolExecutor(workers, thread_name_prefix="draw")
    waiting: deque[Future[T]] = deque()
    try:
        for draw in draws:
            waiting.append(pool.submit(draw))
            if len(waiting) >= workers + ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
