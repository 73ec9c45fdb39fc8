"""Find every fault of recordings."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmtsa_cli.modalities import select
from mmtsa_cli.recordings.index import Dataset, Recording, read_index
from mmtsa_cli.stages.parallel import in_parallel

if TYPE_CHECKING:
    from mmtsa_cli.recordings.checks import Fault, Finding

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class CheckResult:
    """What `check` found.

    Attributes
    ----------
    errors, warnings : tuple of str
        One line each, in the order of the index: file, row, what is wrong, what to do.
    labels : list of dict
        Per label its recordings, sound ones, subjects and seconds.
    facts : dict
        recordings, sound ones, subjects, files of each modality, hours, repairs.
    """

    errors: tuple[str, ...]
    warnings: tuple[str, ...]
    labels: list[dict[str, Any]]
    facts: dict[str, Any]


def run(
    recordings: Path,
    *,
    modalities: Sequence[str] | None = None,
    max_gap_s: float = 0.5,
    jobs: int | None = None,
    progress: Progress = lambda done, total: None,
) -> CheckResult:
    """Open every file of an index, read it to its end, and list what is wrong; write nothing.

    Parameters
    ----------
    recordings : Path
        A directory with an index.
    modalities : sequence of str, optional
        Names or groups; None: all.
    max_gap_s : float
        The longest gap in a series, in seconds, that counts as filled.
    jobs : int, optional
        Processes; None: one a core.

    Raises
    ------
    DataError, UsageError, ManyErrors
        The index itself cannot be read.
    """
    from mmtsa_cli.recordings.checks import check_dataset, in_order

    dataset = read_index(recordings)
    names = select(modalities, dataset.kinds()) if modalities else tuple(dataset.modalities)
    findings = []
    # Each task carries the description of the dataset, but not its thousands of rows.
    described = dataclasses.replace(dataset, recordings=())
    tasks = [(described, recording, names, max_gap_s) for recording in dataset.recordings]
    with in_parallel(_check, tasks, jobs=jobs) as found:
        for finding in found:
            findings.append(finding)
            progress(len(findings), len(tasks))
    faults = in_order([*(f for finding in findings for f in finding.faults), *check_dataset(dataset, names, findings)])
    return CheckResult(
        errors=_lines(faults, "error"),
        warnings=_lines(faults, "warning"),
        labels=_labels(dataset, findings),
        facts=_facts(dataset, names, findings),
    )


def _check(dataset: Dataset, recording: Recording, names: Sequence[str], max_gap_s: float) -> Finding:
    from mmtsa_cli.recordings.checks import check_recording

    return check_recording(dataset, recording, names, max_gap_s=max_gap_s)


def _lines(faults: Sequence[Fault], severity: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(fault.text for fault in faults if fault.severity == severity))


def _is_sound(finding: Finding) -> bool:
    return not any(fault.severity == "error" for fault in finding.faults)


def _labels(dataset: Dataset, findings: Sequence[Finding]) -> list[dict[str, Any]]:
    groups: dict[str, list[int]] = defaultdict(list)
    for index, recording in enumerate(dataset.recordings):
        groups[recording.label].append(index)
    return [
        {
            "label": label,
            "recordings": len(its),
            "sound": sum(_is_sound(findings[index]) for index in its),
            "subjects": len({dataset.recordings[index].subject for index in its}),
            "seconds": round(sum(findings[index].duration_s or 0.0 for index in its), 1),
        }
        for label, its in groups.items()
    ]


def _facts(dataset: Dataset, names: Sequence[str], findings: Sequence[Finding]) -> dict[str, Any]:
    durations = [finding.duration_s for finding in findings if finding.duration_s is not None]
    repaired = sum(bool(finding.repairs) for finding in findings)
    return {
        "recordings": len(dataset.recordings),
        "sound": sum(_is_sound(finding) for finding in findings),
        "subjects": len({recording.subject for recording in dataset.recordings}),
        "labels": len({recording.label for recording in dataset.recordings}),
        "files": {name: sum(name in recording.paths for recording in dataset.recordings) for name in names},
        "minutes": round(sum(durations) / 60, 2),
        "shortest_s": round(min(durations), 2) if durations else None,
        "longest_s": round(max(durations), 2) if durations else None,
        "put_in_order": repaired,
    }
