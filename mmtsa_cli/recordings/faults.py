"""Faults of recordings as data: one line each, and grouped by what is to be fixed first."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from mmtsa_cli.errors import DataError, MmtsaError

Severity = Literal["error", "warning"]

_QUOTED = re.compile(r"'[^']*'")
_NUMBER = re.compile(r"(?<![\w.])[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?(?![\w.]*\d)")
_LIST = re.compile(r"N(?:, N)+")


@dataclass(frozen=True)
class Fault:
    """Something wrong with recordings.

    Attributes
    ----------
    severity : "error" or "warning"
        An error keeps `sample` from using the recording.
    row : int
        Row of index.csv; 0: of the dataset as a whole.
    text : str
        File, row, what is wrong and what to do, in one line.
    what, where, remedy : str
        The parts of `text` that groups are made of.
    files : tuple of str
        The files that are meant.
    recordings : int
        How many recordings it concerns.
    """

    severity: Severity
    row: int
    text: str
    what: str = ""
    where: str = ""
    remedy: str = ""
    files: tuple[str, ...] = ()
    recordings: int = 1


@dataclass(frozen=True)
class Group:
    """Faults of one kind.

    Attributes
    ----------
    severity : "error" or "warning"
    what : str
        What they have in common: numbers are N in it, quoted names '...'.
    recordings, files : int
        How many are concerned, each counted once.
    first : str
        Where the first one stands.
    remedy : str
        What to do about the first one.
    """

    severity: Severity
    what: str
    recordings: int
    files: int
    first: str
    remedy: str


def fault_of(
    error: MmtsaError, severity: Severity, row: int, *, files: Sequence[object] = (), recordings: int = 1
) -> Fault:
    """Return an error that was met, or made for its parts, as a fault."""
    names = tuple(str(path) for path in files)
    where, remedy = error.where or "", error.remedy or ""
    return Fault(severity, row, error.line(), error.what, where, remedy, names, recordings)


def warning(
    row: int, what: str, where: str, remedy: str, *, files: Sequence[object] = (), recordings: int = 1
) -> Fault:
    """Return a warning of its parts."""
    return fault_of(DataError(what, where=where, remedy=remedy), "warning", row, files=files, recordings=recordings)


def in_order(faults: Iterable[Fault]) -> list[Fault]:
    """Return faults with the most important first: errors, then warnings, each by row of the index."""
    return sorted(faults, key=lambda fault: (fault.severity != "error", fault.row))


def group(faults: Iterable[Fault]) -> list[Group]:
    """Return faults by kind, in the order in which to fix them: errors first, then what concerns most recordings."""
    kinds: dict[tuple[Severity, str], list[Fault]] = defaultdict(list)
    for fault in faults:
        kinds[fault.severity, kind(fault.what)].append(fault)
    groups = [_group(severity, what, its) for (severity, what), its in kinds.items()]
    return sorted(groups, key=lambda one: (one.severity != "error", -one.recordings))


def kind(what: str) -> str:
    """Return what is wrong without what differs from file to file.

    >>> kind("timestamps jump for 1.610 s")
    'timestamps jump for N s'
    >>> kind("no such file: /data/a.csv")
    'no such file'
    """
    # Damage is told with all that was met of it; what was met first tells the kind.
    first = what.partition("; ")[0]
    head, colon, rest = first.partition(": ")
    common = head if colon and ("/" in rest or "\\" in rest) else first
    return _LIST.sub("N", _NUMBER.sub("N", _QUOTED.sub("'...'", common)))


def _group(severity: Severity, what: str, faults: Sequence[Fault]) -> Group:
    rows: dict[int, int] = {}
    of_the_whole = 0
    for fault in faults:
        if fault.row:
            rows[fault.row] = max(rows.get(fault.row, 0), fault.recordings)
        else:
            of_the_whole += fault.recordings
    files = {name for fault in faults for name in fault.files}
    first = faults[0]
    return Group(severity, what, sum(rows.values()) + of_the_whole, len(files), first.where, first.remedy)
