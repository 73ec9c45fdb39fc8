"""The scores of an ablation's rows over folds and seeds, and how each row differs from the best one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmtsa_cli.evaluation.comparison import holm, mcnemar, paired_difference
from mmtsa_cli.evaluation.intervals import bootstrap
from mmtsa_cli.evaluation.metrics import score
from mmtsa_cli.sampling.store import Store
from mmtsa_cli.stages.units import UnitResult


@dataclass(frozen=True)
class Pooled:
    """What a row's networks say of all test clips, fold after fold, seed after seed.

    Attributes
    ----------
    true, predicted : (S n,) int64 array
        Numbers of `classes`.
    seeds : (S n,) int64 array
    groups : tuple of str
        What the bootstrap draws first: subjects; where there are not several, and there are several seeds, clips.
    classes : tuple of str
        All labels of the store.
    """

    true: NDArray[np.int64]
    predicted: NDArray[np.int64]
    seeds: NDArray[np.int64]
    groups: tuple[str, ...]
    classes: tuple[str, ...]


def pool(results: Sequence[UnitResult], store: Store) -> Pooled:
    """Put the predictions of a row's units together.

    Raises
    ------
    ArtifactError
        A unit's file is missing or damaged.
    """
    numbers = {name: number for number, name in enumerate(store.labels)}
    label = {clip["id"]: numbers[clip["label"]] for clip in store.clips}
    parts = [(result, result.predictions()) for result in results]
    true = np.array([label[clip] for _, said in parts for clip in said.ids], np.int64)
    own = [np.array([numbers[name] for name in said.classes], np.int64) for _, said in parts]
    predicted = [names[said.probabilities.argmax(axis=1)] for names, (_, said) in zip(own, parts, strict=True)]
    seeds = np.concatenate([np.full(len(said.ids), result.unit.seed, np.int64) for result, said in parts])
    groups = tuple(name for _, said in parts for name in said.subjects)
    if len(set(groups)) < 2 and len(set(seeds.tolist())) > 1:
        groups = tuple(name for _, said in parts for name in said.ids)
    return Pooled(true, np.concatenate(predicted), seeds, groups, store.labels)


def scores(pooled: Pooled, *, seed: int) -> dict[str, Any]:
    """Return accuracy and macro F1, means over seeds, with intervals, and the accuracy's `deviation` over seeds."""
    each = [score(pooled.true[own], pooled.predicted[own], len(pooled.classes)) for own in _by_seed(pooled)]
    intervals = bootstrap(pooled.true, pooled.predicted, pooled.groups, len(pooled.classes), seed=seed)
    accuracies = [one.accuracy for one in each]
    return {
        "accuracy": float(np.mean(accuracies)),
        "interval_95": list(intervals.accuracy),
        "deviation": float(np.std(accuracies, ddof=1)) if len(each) > 1 else None,
        "macro_f1": float(np.mean([one.macro_f1 for one in each])),
        "macro_f1_interval_95": list(intervals.macro_f1),
        "n": each[0].n,
    }


def differences(pooled: Mapping[str, Pooled], *, seed: int) -> list[dict[str, Any]]:
    """Return by how much each row differs from the one with the highest accuracy, which stands under `best`.

    McNemar's test, corrected for the number of rows, is there where there is one seed: several networks' answers about
    one clip are not independent.

    Parameters
    ----------
    pooled : mapping of str to Pooled
        By row, all of the same units: the same clips in the same order.
    """
    if len(pooled) < 2:
        return []
    best = max(pooled, key=lambda label: float((pooled[label].true == pooled[label].predicted).mean()))
    others = [label for label in pooled if label != best]
    p = [_p(pooled[label], pooled[best]) for label in others]
    corrected: Sequence[float | None] = p if None in p else holm([value for value in p if value is not None])
    return [
        {"row": label, "best": best, **_difference(pooled[label], pooled[best], seed), "p_holm": value}
        for label, value in zip(others, corrected, strict=True)
    ]


def _by_seed(pooled: Pooled) -> list[NDArray[np.bool_]]:
    return [pooled.seeds == seed for seed in sorted(set(pooled.seeds.tolist()))]


def _p(one: Pooled, best: Pooled) -> float | None:
    return mcnemar(one.true, one.predicted, best.predicted).p if len(_by_seed(one)) == 1 else None


def _difference(one: Pooled, best: Pooled, seed: int) -> dict[str, Any]:
    found = paired_difference(one.true, one.predicted, best.predicted, one.groups, len(one.classes), seed=seed)
    return {
        "accuracy": found.accuracy,
        "interval_95": list(found.accuracy_interval_95),
        "macro_f1": found.macro_f1,
        "macro_f1_interval_95": list(found.macro_f1_interval_95),
    }
