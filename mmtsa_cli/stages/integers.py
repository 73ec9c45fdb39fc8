"""A run's networks in 8-bit integers: what their bytes stand for, kept with an evaluation, used by `predict`.

The scales of what passes between layers come from clips that the fold was trained on, so that test clips shape nothing
that is tested on them. They are kept in the evaluation's directory, as temperatures are (see `calibrate`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mmtsa_cli.errors import DataError, UsageError
from mmtsa_cli.sampling.draw import Samples
from mmtsa_cli.sampling.store import Store
from mmtsa_cli.stages import kept
from mmtsa_cli.stages.trainings.trained import TrainedRun, drawing

if TYPE_CHECKING:
    from mmtsa_cli.methods.mmtsa import Mmtsa
    from mmtsa_cli.models.integers import Range

FILE_NAME = "integers.json"
CLIPS = 64
"""Training clips, evenly spread, whose extremes the scales come from."""

_FURTHEST = 1e30
"""No network has values beyond; their differences are still numbers of 32 bits."""

FoldRanges = Mapping[str, Mapping[str, "Range"]]


def check_machine(method: Mmtsa, where: str) -> None:
    """Refuse integers where they cannot be computed.

    Raises
    ------
    UsageError
    """
    from mmtsa_cli.models.integers import computes_integers

    if method.device.type != "cpu" or not computes_integers():
        raise UsageError(
            "8-bit integers are for processors that multiply bytes (x86 with AVX512-VNNI, AVX-VNNI or AMX)",
            where=where,
            found="a GPU" if method.device.type != "cpu" else "a processor, or a PyTorch, that does not",
            remedy=f"leave {where.split()[0]} out",
        )


def fit(run: TrainedRun, model: Mapping[str, Any], method: Mmtsa, store: Store) -> FoldRanges:
    """Return the least and the largest values in a fold's backbones, over some of the clips it was trained on.

    Raises
    ------
    UsageError
        A backbone without a fixed graph.
    DataError
        The samples lack these clips.
    """
    positions = {clip["id"]: number for number, clip in enumerate(store.clips)}
    trained_on = [positions[clip] for clip in model["clips"]["train"] if clip in positions]
    if not trained_on:
        raise DataError(
            "none of the run's training clips is in the samples, and the scales of 8-bit integers come from them",
            where=str(store.directory),
            remedy="give the samples that the run was trained on",
        )
    chosen = sorted({trained_on[i] for i in np.linspace(0, len(trained_on) - 1, CLIPS).round().astype(int)})
    options = drawing(run.recipe, model)
    samples = Samples(store, chosen, modalities=tuple(model["inputs"]), classes=model["classes"], options=options)
    ranges = method.activation_ranges(samples)
    if ranges is None:
        raise UsageError("a backbone that has no fixed graph is not computed in integers", where=str(run.directory))
    return ranges


def read_ranges(evaluation: Path, run: TrainedRun) -> dict[str, FoldRanges]:
    """Return the ranges of each fold of a run.

    Parameters
    ----------
    evaluation : Path
        Made by `mmtsa eval --int8`.

    Raises
    ------
    ArtifactError, UsageError
        As `kept.read`.
    """
    return kept.read(evaluation / FILE_NAME, run, _ranges, where=f"--int8 {evaluation}", made_with="--int8")


def _ranges(found: Mapping[str, Any]) -> FoldRanges:
    ranges = {
        str(backbone): {str(node): (float(low), float(high)) for node, (low, high) in nodes.items()}
        for backbone, nodes in found.items()
    }
    for nodes in ranges.values():
        for node, (low, high) in nodes.items():
            if not -_FURTHEST < low <= high < _FURTHEST:
                raise ValueError(f"{node}: {low} to {high} is no range")
    return ranges
