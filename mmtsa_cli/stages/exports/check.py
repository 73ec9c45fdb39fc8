"""An exported graph held against its run: the same answers, how many are right, how long each takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmtsa_cli.errors import ArtifactError
from mmtsa_cli.evaluation.scored import scored
from mmtsa_cli.models.inference import one_thread
from mmtsa_cli.stages.exports.graph import Answer
from mmtsa_cli.stages.exports.inputs import Clips

BOUND = 1e-4
"""Largest difference, of any probability or weight of attention, that rounding may explain."""
SINGLE, TOGETHER = 1, 8
"""The two batch sizes."""
_ALONE = 16
"""Clips that are asked about one by one; all are asked about in batches."""
_WARMUP, _REPEATS, _BUDGET_S, _LEAST = 5, 100, 30.0, 3
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Said:
    """What one answerer says of n clips: probabilities, (n, classes), and attention, (n, N)."""

    probabilities: NDArray[Any]
    attention: NDArray[Any]


def ask(
    answers: Mapping[str, Answer],
    clips: Clips,
    positions: Sequence[int],
    *,
    size: int,
    progress: Progress = lambda done, total: None,
) -> dict[str, Said]:
    """Return what each answerer says of the same clips, `size` of them at a time."""
    parts: dict[str, list[tuple[NDArray[Any], NDArray[Any]]]] = {name: [] for name in answers}
    for start in range(0, len(positions), size):
        feed = clips.draw(positions[start : start + size])
        for name, answer in answers.items():
            parts[name].append(answer(feed))
        progress(min(start + size, len(positions)), len(positions))
    return {name: Said(*map(np.concatenate, zip(*rows, strict=True))) for name, rows in parts.items()}


@dataclass(frozen=True)
class Agreement:
    """How far a graph's answers are from the run's.

    Attributes
    ----------
    probabilities, attention : float
        Largest differences.
    clips : mapping of int to int
        By batch size, how many clips were asked about.
    """

    probabilities: float
    attention: float
    clips: Mapping[int, int]


def agree(
    own: Answer, others: Mapping[str, Answer], clips: Clips, *, exported: str, progress: Progress
) -> tuple[Agreement, dict[str, Said]]:
    """Ask the run's own network and graphs about the same clips, at two batch sizes.

    Parameters
    ----------
    own : Answer
    others : mapping of str to Answer
    exported : str
        The one of `others` that must say the same as the network.

    Returns
    -------
    Agreement
    dict of str to Said
        Of all clips, in batches; the network's own as "network".

    Raises
    ------
    ArtifactError
        They differ by more than rounding.
    """
    some, everyone = clips.spread(_ALONE), list(range(len(clips)))
    alone = ask({"network": own, exported: others[exported]}, clips, some, size=SINGLE)
    batched = ask({"network": own, **others}, clips, everyone, size=TOGETHER, progress=progress)
    pairs = [(said["network"], said[exported]) for said in (alone, batched)]
    found = Agreement(
        max(_difference(a.probabilities, b.probabilities) for a, b in pairs),
        max(_difference(a.attention, b.attention) for a, b in pairs),
        {SINGLE: len(some), TOGETHER: len(everyone)},
    )
    worst = max(found.probabilities, found.attention)
    if worst > BOUND:
        raise ArtifactError(
            "the exported graph does not say what the run says; nothing was written",
            where=exported,
            expected=f"a difference of at most {BOUND:g}",
            found=f"{worst:.3g}",
            remedy="report it, with the versions of torch and onnxruntime",
        )
    return found, batched


def _difference(one: NDArray[Any], other: NDArray[Any]) -> float:
    largest = float(np.abs(one.astype(np.float64) - other).max())
    return largest if np.isfinite(largest) else float("inf")


def scores(said: Said, clips: Clips) -> dict[str, Any]:
    """Return accuracy and macro F1 with 95 % intervals over the clips whose class the run knows; {} of none."""
    known = np.flatnonzero(clips.labels >= 0)
    if not len(known):
        return {}
    classes = said.probabilities.shape[1]
    true, predicted = clips.labels[known], said.probabilities[known].argmax(axis=1)
    return scored(true, predicted, [clips.subjects[i] for i in known], classes)


def latencies(answers: Mapping[str, Answer], clips: Clips) -> dict[str, dict[str, Any]]:
    """Return how long each answerer takes for one clip, on one thread; drawing from the store is not counted.

    They take turns, so that whatever else the machine does meets all of them alike. Sessions of ONNX Runtime have their
    own number of threads: they are to be made with one.

    Returns
    -------
    dict
        By answerer `latency_ms` and `latency_p95_ms`, median and 95th percentile, `least_ms`, by which speeds are
        compared since other processes can only add to a time, and `repeats`.
    """
    feeds = list(clips.ones(_ALONE))
    times: dict[str, list[float]] = {name: [] for name in answers}
    started = time.perf_counter()
    with one_thread():
        for number in range(-_WARMUP, _REPEATS):
            if number >= _LEAST and time.perf_counter() - started > _BUDGET_S:
                break
            for name, answer in answers.items():
                before = time.perf_counter()
                answer(feeds[number % len(feeds)])
                if number >= 0:
                    times[name].append(1000 * (time.perf_counter() - before))
    return {name: _summary(values) for name, values in times.items()}


def _summary(times: Sequence[float]) -> dict[str, Any]:
    median, p95 = (float(value) for value in np.percentile(times, [50, 95]))
    return {"latency_ms": median, "latency_p95_ms": p95, "least_ms": min(times), "repeats": len(times)}
