"""Find every fault of recordings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmtsa_cli.errors import MmtsaError
from mmtsa_cli.modalities import select
from mmtsa_cli.recordings.faults import Fault, fault_of, in_order
from mmtsa_cli.recordings.index import INDEX_NAME, Dataset, Recording, read_index
from mmtsa_cli.recordings.relocation import missing_error
from mmtsa_cli.stages.checks import summary
from mmtsa_cli.stages.parallel import in_parallel

if TYPE_CHECKING:
    from mmtsa_cli.recordings.inspection import Finding, InspectionOptions
    from mmtsa_cli.stages.checks.journal import FileState

Progress = Callable[[int, int], None]

_TOLD_ONE_BY_ONE = 3
"""So many missing files are told with row and column each; more are counted."""
_TASK_RECORDINGS = 16
_TASK_BYTES = 4 << 20
"""A task is so many recordings, or fewer that are large: none takes long, and handing them out takes little."""


@dataclass(frozen=True)
class CheckResult:
    """What `check` found.

    Attributes
    ----------
    errors, warnings : tuple of str
        One line each, in the order of the index: file, row, what is wrong, what to do.
    groups : list of dict
        The same by kind, what to fix first first: severity, what, recordings, files, first, what_to_do.
    bad : mapping of str to str
        The id of each recording with an error, and what is wrong with it.
    labels : list of dict
        Per label its recordings, sound ones, subjects and seconds.
    stamps : list of dict
        Per sensor with timestamps: modality; files; hz, jitter_ms and drift_ppm of the median file; slowest_hz and
        fastest_hz; longest_step_s of all; repeated and backward, in how many files there are such stamps.
    facts : dict
        recordings, sound ones, subjects, files of each modality, minutes, repairs.
    taken : int
        How many recordings were found unchanged since an earlier check, and not read again.
    """

    errors: tuple[str, ...]
    warnings: tuple[str, ...]
    groups: list[dict[str, Any]]
    bad: dict[str, str]
    labels: list[dict[str, Any]]
    stamps: list[dict[str, Any]]
    facts: dict[str, Any]
    taken: int = 0


def run(
    recordings: Path,
    *,
    modalities: Sequence[str] | None = None,
    max_gap_s: float = 0.5,
    full: bool = False,
    afresh: bool = False,
    root: Path | None = None,
    jobs: int | None = None,
    cluster: str | None = None,
    progress: Progress = lambda done, total: None,
    note: Callable[[str], None] = lambda text: None,
) -> CheckResult:
    """Open every file of an index, read it, and list what is wrong.

    Writes nothing but a journal in the user's cache directory (`checks.journal`): a check that was interrupted, or that
    is repeated, reads only what has changed.

    Parameters
    ----------
    recordings : Path
        A directory with an index.
    modalities : sequence of str, optional
        Names or groups; None: all.
    max_gap_s : float
        The longest gap in a series, in seconds, that counts as filled.
    full : bool
        Decode every frame of the videos, not only the first, the middle and the last one.
    afresh : bool
        Read everything again, whatever an earlier check found.
    root : Path, optional
        Where the recordings lie now, if the index was made on another machine.
    jobs : int, optional
        Processes; None: one a core.
    cluster : str, optional
        Address of a Dask scheduler: its workers read the files, which must lie there under the same paths.
    progress : callable
        Takes the recordings that are done, and all.
    note : callable
        Takes what there is to say beside the result.

    Raises
    ------
    DataError, UsageError, ManyErrors
        The index itself cannot be read.
    """
    from mmtsa_cli.recordings.checks import check_dataset
    from mmtsa_cli.recordings.inspection import InspectionOptions
    from mmtsa_cli.stages.checks.journal import file_states

    # The workers of a cluster have a working directory of their own.
    dataset = read_index(recordings.absolute() if cluster else recordings, root=root)
    names = select(modalities, dataset.kinds()) if modalities else tuple(dataset.modalities)
    states = file_states(path for recording in dataset.recordings for path in recording.paths.values())
    many, missing = _missing(dataset, names, states, root)
    work = _work(dataset, names, InspectionOptions(max_gap_s, full), states)
    found, taken = _findings(work, afresh, Processes(jobs, cluster), progress, note)
    findings = [_with_faults(finding, its) for finding, its in zip(found, missing, strict=True)]
    faults = in_order([*(f for finding in findings for f in finding.faults), *check_dataset(dataset, names, findings)])
    # Of an index whose files lie elsewhere one line says all; which they are is in the groups, and in `bad`.
    told = set(map(id, (fault for its in missing for fault in its))) if many else set()
    lines = [*([many] if many else []), *(fault for fault in faults if id(fault) not in told)]
    bad = summary.bad(dataset, faults)
    return CheckResult(
        errors=_lines(lines, "error"),
        warnings=_lines(lines, "warning"),
        groups=summary.groups(dataset, faults),
        bad=bad,
        labels=summary.labels(dataset, findings, bad),
        stamps=summary.stamps(names, findings),
        facts=summary.facts(dataset, names, findings, bad),
        taken=taken,
    )


def _missing(
    dataset: Dataset, names: Sequence[str], states: Mapping[Path, FileState | None], root: Path | None
) -> tuple[Fault | None, list[list[Fault]]]:
    """Return the one error for all files that are not there, if they are many, and each recording's own errors."""
    from mmtsa_cli.recordings.inspection import missing_faults

    wanted = dict.fromkeys(r.paths[name] for r in dataset.recordings for name in names if name in r.paths)
    gone = [path for path in wanted if states[path] is None]
    many = len(gone) > _TOLD_ONE_BY_ONE
    error: MmtsaError = missing_error(gone, len(wanted), where=str(dataset.root / INDEX_NAME), root=root)
    absent = set(gone)
    each = (
        [
            missing_faults(
                recording,
                [name for name in names if name in recording.paths and recording.paths[name] in absent],
                remedy=error.remedy if many else None,
            )
            for recording in dataset.recordings
        ]
        if gone
        else [[] for _ in dataset.recordings]
    )
    return (fault_of(error, "error", 0, files=gone) if many else None), each


@dataclass(frozen=True)
class Processes:
    """Who does the work: so many processes here, or the workers of a cluster."""

    jobs: int | None
    cluster: str | None


@dataclass(frozen=True)
class _Work:
    """What is to be found out: of each recording, the modalities that can be read, and the key of what they hold."""

    dataset: Dataset
    readable: list[list[str]]
    keys: list[str]
    options: InspectionOptions
    states: Mapping[Path, FileState | None]

    def wanted(self) -> list[str]:
        """Return the keys of the recordings of which something can be read."""
        return [key for key, names in zip(self.keys, self.readable, strict=True) if names]


def _work(
    dataset: Dataset, names: Sequence[str], options: InspectionOptions, states: Mapping[Path, FileState | None]
) -> _Work:
    from mmtsa_cli.stages.checks.journal import key_of

    readable = [_readable(dataset, recording, names, states) for recording in dataset.recordings]
    each = zip(dataset.recordings, readable, strict=True)
    keys = [key_of(dataset, recording, its, options, states) for recording, its in each]
    return _Work(dataset, readable, keys, options, states)


def _findings(
    work: _Work, afresh: bool, processes: Processes, progress: Progress, note: Callable[[str], None]
) -> tuple[list[Finding], int]:
    """Return what each recording's files turned out to be, and of how many that was known already."""
    from mmtsa_cli.recordings.inspection import Finding
    from mmtsa_cli.stages.checks.journal import Journal

    wanted, total = work.wanted(), len(work.keys)
    with closing(Journal(work.dataset.root)) as journal:
        known = {} if afresh else journal.read(wanted)
        taken = len(known)
        if taken:
            note(f"{taken:,} of {total:,} taken from an earlier check of unchanged files; --afresh checks them again")
        left = [index for index, key in enumerate(work.keys) if work.readable[index] and key not in known]
        done = total - len(left)
        for fresh in _inspected(work, left, processes):
            journal.add(fresh)
            known.update(fresh)
            done += len(fresh)
            progress(done, total)
        journal.complete({key: known[key] for key in wanted})
    # Of what is not there nothing can be read.
    found = [known.get(key, Finding(())) for key in work.keys]
    return [_at_row(its, r.row) for its, r in zip(found, work.dataset.recordings, strict=True)], taken


def _inspected(work: _Work, left: Sequence[int], processes: Processes) -> Iterator[list[tuple[str, Finding]]]:
    """Yield keys and findings of some recordings at a time."""
    tasks = list(_tasks(work, left))
    with in_parallel(_check, [task for _, task in tasks], jobs=processes.jobs, cluster=processes.cluster) as results:
        for (indices, _), findings in zip(tasks, results, strict=True):
            yield [(work.keys[index], finding) for index, finding in zip(indices, findings, strict=True)]


def _readable(
    dataset: Dataset, recording: Recording, names: Sequence[str], states: Mapping[Path, FileState | None]
) -> list[str]:
    """Return the modalities whose file is there, and that of the modality whose time they span, if they need it."""
    there = {name for name, path in recording.paths.items() if states[path] is not None}
    specs = dataset.modalities

    def can_be_read(name: str) -> bool:
        spanned = specs[name].spans
        return name in there and (spanned is None or spanned not in recording.paths or spanned in there)

    return [name for name in names if can_be_read(name)]


def _tasks(work: _Work, left: Sequence[int]) -> Iterator[tuple[list[int], tuple[Any, ...]]]:
    """Yield the numbers of recordings that are checked in one go, with the arguments of `_check`."""
    # Each task carries the description of the dataset, but not its thousands of rows.
    described = replace(work.dataset, recordings=())
    recordings = work.dataset.recordings
    indices: list[int] = []
    room = _TASK_BYTES
    for index in left:
        indices.append(index)
        room -= sum((work.states[path] or (0, 0))[0] for path in recordings[index].paths.values())
        if len(indices) == _TASK_RECORDINGS or room <= 0 or index == left[-1]:
            yield indices, (described, [(recordings[i], work.readable[i]) for i in indices], work.options)
            indices, room = [], _TASK_BYTES


def _check(
    dataset: Dataset, recordings: Sequence[tuple[Recording, Sequence[str]]], options: InspectionOptions
) -> list[Finding]:
    from mmtsa_cli.recordings.inspection import inspect

    return [inspect(dataset, recording, names, options) for recording, names in recordings]


def _at_row(finding: Finding, row: int) -> Finding:
    if all(fault.row == row for fault in finding.faults):
        return finding
    # Known from an index whose rows stood elsewhere.
    return replace(finding, faults=tuple(replace(fault, row=row) for fault in finding.faults))


def _with_faults(finding: Finding, faults: Sequence[Fault]) -> Finding:
    return replace(finding, faults=(*faults, *finding.faults)) if faults else finding


def _lines(faults: Sequence[Fault], severity: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(fault.text for fault in faults if fault.severity == severity))
