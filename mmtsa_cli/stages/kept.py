"""Files that an evaluation keeps of a run's networks, for `predict` to use; each belongs to that run alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from mmtsa_cli.artifacts.manifest import fingerprint, read_manifest
from mmtsa_cli.errors import ArtifactError, UsageError
from mmtsa_cli.stages.trainings.trained import TrainedRun

T = TypeVar("T")


def write(path: Path, run: TrainedRun, found: Mapping[str, Any]) -> None:
    """Write a file into an evaluation."""
    content = {"run": fingerprint(run.directory), **found}
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read(path: Path, run: TrainedRun, of_fold: Callable[[Any], T], *, where: str, made_with: str) -> dict[str, T]:
    """Return what a file in an evaluation says of each fold of a run.

    Parameters
    ----------
    path : Path
    run : TrainedRun
    of_fold : callable
        Makes what is returned of what stands under a fold's name, and raises ValueError, KeyError, TypeError,
        AttributeError or OverflowError where that is not sound.
    where : str
        The option that named the evaluation, with its value.
    made_with : str
        The option of `mmtsa eval` that writes the file.

    Raises
    ------
    ArtifactError
        No evaluation, or a damaged file.
    UsageError
        It was made without that option, or of another run.
    """
    read_manifest(path.parent, stage="eval")
    remedy = f"make it with `mmtsa eval {run.directory} SAMPLES -o EVAL {made_with}`"
    if not path.is_file():
        raise UsageError(f"no {path.name}", where=where, remedy=remedy)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        made_of = str(content["run"])
        folds = {str(name): of_fold(found) for name, found in content["folds"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise ArtifactError("damaged", where=str(path), found=str(error), remedy="evaluate anew") from None
    if made_of != fingerprint(run.directory):
        raise UsageError(
            "of another run",
            where=where,
            expected=f"an evaluation of {run.directory}",
            remedy=f"what it keeps belongs to the networks it was made of: evaluate this run with {made_with}",
        )
    return folds
