"""What a fitted system costs when it is asked about one clip: time, bytes read, work, and the process's memory."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmtsa_cli.evaluation.latency import measure_latency
from mmtsa_cli.sampling.draw import Augmentation, Batch, Samples
from mmtsa_cli.sampling.feature_cache import computed_anew
from mmtsa_cli.sampling.store import Store

_CLIPS = 16


def measure(method: Any, options: Any, test: Samples) -> dict[str, Any]:
    """Return parameters, multiply-accumulates, latency and bytes read of one clip, under the names of `UnitResult`.

    What `predict_proba` does of a clip is what is timed: drawing from the store, features, the system itself. Features
    that are kept in the cache otherwise are computed anew.
    """
    cost = method.cost()
    places = np.linspace(0, len(test) - 1, min(_CLIPS, len(test))).round().astype(int)
    single = [_one(test.store, test, int(place)) for place in places]
    with computed_anew():
        latency = measure_latency(lambda number: method.predict_proba(single[number % len(single)]))
        counted = bytes_read(method, test, places[:4].tolist())
    return {
        "parameters": cost.parameters,
        # The cost is that of one draw.
        "macs": None if cost.macs is None else cost.macs * getattr(options, "draws", 1),
        "latency_ms": latency.median_ms,
        "latency_p95_ms": latency.p95_ms,
        "bytes_per_clip": counted,
    }


def bytes_read(method: Any, test: Samples, places: Sequence[int]) -> float:
    """Return the bytes of the store that a system reads for one clip, the mean of some clips.

    Frames count as their JPEG files. Of a series that is drawn as a batch the windows count (no more than the whole
    series, where they overlap), of one that is asked for as such the whole.
    """
    store = CountingStore(test.store.directory)
    for place in places:
        method.predict_proba(_one(store, test, place))
    return store.bytes / len(places)


class CountingStore(Store):
    """A store that counts the bytes that it gives out, in `bytes`."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.bytes = 0
        self.drawing = False

    def series(self, modality: str, clip: int) -> NDArray[np.float32]:
        """Return the series of a clip, counted unless it is drawn from."""
        rows = super().series(modality, clip)
        self.bytes += 0 if self.drawing else rows.nbytes
        return rows

    def jpeg(self, modality: str, record: NDArray[Any]) -> NDArray[np.uint8]:
        """Return a frame, counted."""
        self.bytes += int(record["length"])
        return super().jpeg(modality, record)


class CountedSamples(Samples):
    """Samples of a counting store: of a series, a batch counts the windows."""

    store: CountingStore

    def narrowed(self, modalities: Sequence[str]) -> CountedSamples:
        """Return the same clips with some of the modalities."""
        return CountedSamples(self.store, self.clips, modalities=modalities, classes=self.classes, options=self.options)

    def batch(
        self,
        positions: Sequence[int],
        *,
        generators: Sequence[np.random.Generator] | None = None,
        augmentation: Augmentation | None = None,
    ) -> Batch:
        """Draw some of the clips, and count."""
        self.store.drawing = True
        batch = super().batch(positions, generators=generators, augmentation=augmentation)
        self.store.drawing = False
        for name in self.modalities:
            if self.kind(name) == "sensor":
                windows = batch.inputs[name].nbytes // len(positions)
                self.store.bytes += sum(
                    min(windows, Store.series(self.store, name, self.clips[position]).nbytes) for position in positions
                )
        return batch


def _one(store: Store, samples: Samples, place: int) -> Samples:
    """Return one of the clips, drawn from `store`."""
    kind = CountedSamples if isinstance(store, CountingStore) else Samples
    clip = [samples.clips[place]]
    return kind(store, clip, modalities=samples.modalities, classes=samples.classes, options=samples.options)


def peak_mb() -> float | None:
    """Return the largest resident memory of this process until now, in 10^6 bytes; None where no system tells."""
    status = Path("/proc/self/status")
    if status.is_file():
        # Not getrusage: there a process begins with the peak of the one that started it.
        peak = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(peak.split()[1]) * 1024 / 1e6
    try:
        import resource
    except ImportError:
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6
