"""Recordings that are left out of the work: which, why, and how many are too many."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mmtsa_cli.errors import DataError, MmtsaError, UsageError, did_you_mean
from mmtsa_cli.recordings.clip import check_files
from mmtsa_cli.recordings.index import INDEX_NAME, Dataset, Recording
from mmtsa_cli.recordings.relocation import refuse_elsewhere
from mmtsa_cli.recordings.rows import those_at

TOO_SHORT = "shorter than the window"
DAMAGED = "cannot be read"
_KEPT_ERRORS = 1000


@dataclass(frozen=True)
class LeftOut:
    """A recording that is not used: counted under `why`, its error told where there is one."""

    id: str
    why: str
    error: MmtsaError | None = None


@dataclass
class Losses:
    """What was left out so far: counts by reason, and the first errors by id."""

    counts: Counter[str]
    errors: dict[str, MmtsaError]

    def add(self, lost: LeftOut) -> None:
        """Count one recording."""
        self.counts[lost.why] += 1
        if lost.error is not None and len(self.errors) < _KEPT_ERRORS:
            self.errors[lost.id] = lost.error


def choose(
    dataset: Dataset, names: Sequence[str], exclude_labels: Sequence[str], *, strict: bool, root: Path | None
) -> tuple[Sequence[Recording], Losses]:
    """Return the recordings to work on, looking at the index and at which files there are, and what was left out.

    Raises
    ------
    UsageError
        A label to exclude that there is not.
    DataError
        Nothing is left; half of the files are not there; or, where `strict`, one is not.
    """
    labels = {recording.label for recording in dataset.recordings}
    for label in exclude_labels:
        if label not in labels:
            raise UsageError(f"no label {label!r}", where="--exclude-labels", remedy=did_you_mean(label, labels))
    places, losses = array("Q"), Losses(Counter(), {})
    for place, recording in enumerate(dataset.recordings):
        missing = [name for name in names if name not in recording.paths]
        if recording.label in exclude_labels:
            losses.add(LeftOut(recording.id, "label excluded"))
        elif missing:
            losses.add(LeftOut(recording.id, f"no {', '.join(missing)}"))
        else:
            places.append(place)
    if not places:
        raise DataError(
            f"no recording has all of {', '.join(names)}",
            where=str(dataset.root),
            found=", ".join(f"{count} x {why}" for why, count in losses.counts.items()) or "an empty index",
            remedy="name fewer --modalities",
        )
    chosen = those_at(dataset.recordings, places)
    return _those_that_are_there(dataset, chosen, names, losses, strict=strict, root=root), losses


def _those_that_are_there(
    dataset: Dataset,
    chosen: Sequence[Recording],
    names: Sequence[str],
    losses: Losses,
    *,
    strict: bool,
    root: Path | None,
) -> Sequence[Recording]:
    """Leave out recordings of which a file is not there; an index of another machine lacks most of them."""
    paths = (recording.paths[name] for recording in chosen for name in names)
    if not refuse_elsewhere(paths, where=str(dataset.root / INDEX_NAME), root=root):
        return chosen
    there = array("Q")
    for place, recording in enumerate(chosen):
        try:
            check_files(recording, names)
        except DataError as error:
            if strict:
                raise
            losses.add(LeftOut(recording.id, DAMAGED, error))
        else:
            there.append(place)
    if not there:
        raise next(iter(losses.errors.values()))
    return those_at(chosen, there)


def nothing_left(losses: Losses, window_s: float) -> MmtsaError:
    """Return the error of a store that would hold no clip."""
    if len(losses.errors) == 1:
        return next(iter(losses.errors.values()))
    if losses.errors:
        return too_many(losses, losses.counts[DAMAGED])
    return DataError("every clip is shorter than the window", where="--window", found=f"{window_s:g} s")


def too_many(losses: Losses, total: int) -> DataError:
    """Return the error of work of which so much was lost that its result would mislead."""
    errors = list(losses.errors.values())
    more = f" | and {losses.counts[DAMAGED] - 3} more" if losses.counts[DAMAGED] > 3 else ""
    return DataError(
        f"{losses.counts[DAMAGED]} of {total} recordings cannot be read",
        found=" | ".join(error.line() for error in errors[:3]) + more,
        remedy="see `mmtsa check`",
    )
