"""What 8-bit integers change on test clips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmtsa_cli.evaluation.comparison import paired_difference


def summary(
    true: Sequence[NDArray[np.int64]],
    integers: Sequence[NDArray[np.int64]],
    before: Sequence[NDArray[np.int64]],
    subjects: Sequence[str],
    classes: int,
    *,
    seed: int,
) -> dict[str, Any]:
    """Return what integers change on the test clips, as JSON values.

    Parameters
    ----------
    true, integers, before : sequences of (n,) int arrays
        Of each fold: true classes, those named in integers, and those named in the run's own precision.
    subjects : sequence of str
        Of all clips.
    classes : int
    seed : int
        Of the bootstrap.
    """
    labels, now, then = (np.concatenate(one) for one in (true, integers, before))
    difference = paired_difference(labels, now, then, subjects, classes, seed=seed)
    return {
        "accuracy_before": float((then == labels).mean()),
        "accuracy": float((now == labels).mean()),
        "difference": difference.accuracy,
        "difference_interval_95": list(difference.accuracy_interval_95),
        "changed": float((now != then).mean()),
        "n": len(labels),
    }


def told(found: Mapping[str, Any]) -> str:
    """Return a summary in a line."""
    low, high = found["difference_interval_95"]
    return (
        f"8-bit integers: accuracy {found['accuracy']:.3f}, {found['accuracy_before']:.3f} in the run's own precision, "
        f"difference {found['difference']:+.3f} ({low:.3f} to {high:.3f}); "
        f"{found['changed']:.1%} of {found['n']} clips are given another class"
    )
