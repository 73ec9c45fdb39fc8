"""What `check` found, in numbers: by kind of fault, by label, by sensor."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from statistics import median
from typing import TYPE_CHECKING, Any

from mmtsa_cli.recordings.faults import Fault, group
from mmtsa_cli.recordings.index import Dataset

if TYPE_CHECKING:
    from mmtsa_cli.recordings.inspection import Finding


def bad(dataset: Dataset, faults: Sequence[Fault]) -> dict[str, str]:
    """Return the id of each recording with an error, and the first of its errors."""
    what: dict[int, str] = {}
    for fault in faults:
        if fault.severity == "error":
            what.setdefault(fault.row, fault.text)
    return {recording.id: what[recording.row] for recording in dataset.recordings if recording.row in what}


def groups(dataset: Dataset, faults: Sequence[Fault]) -> list[dict[str, Any]]:
    """Return the faults by kind, what to fix first first; files without the directory of the index."""
    rows = []
    for its in group(faults):
        values = asdict(its)
        values["first"] = its.first.removeprefix(f"{dataset.root}/")
        values["what_to_do"] = values.pop("remedy") or "repair or replace the file"
        rows.append(values)
    return rows


def labels(dataset: Dataset, findings: Sequence[Finding], bad: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return per label its recordings, sound ones, subjects and seconds."""
    indices: dict[str, list[int]] = defaultdict(list)
    for index, recording in enumerate(dataset.recordings):
        indices[recording.label].append(index)
    return [
        {
            "label": label,
            "recordings": len(its),
            "sound": sum(dataset.recordings[index].id not in bad for index in its),
            "subjects": len({dataset.recordings[index].subject for index in its}),
            "seconds": round(sum(findings[index].duration_s or 0.0 for index in its), 1),
        }
        for label, its in indices.items()
    ]


def stamps(names: Sequence[str], findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """Return per sensor with timestamps how good they are over all its files."""
    rows = []
    for name in names:
        its = [finding.stamps[name] for finding in findings if name in finding.stamps]
        if not its:
            continue
        rates = [quality.rate_measured for quality in its]
        drifts = [quality.drift_ppm for quality in its if quality.drift_ppm is not None]
        rows.append(
            {
                "modality": name,
                "files": len(its),
                "hz": round(median(rates), 3),
                "slowest_hz": round(min(rates), 3),
                "fastest_hz": round(max(rates), 3),
                "jitter_ms": round(1000 * median(quality.jitter_s for quality in its), 3),
                "longest_step_s": round(max(quality.longest_step_s for quality in its), 3),
                "repeated": sum(quality.repeated > 0 for quality in its),
                "backward": sum(quality.backward > 0 for quality in its),
                "drift_ppm": round(median(drifts)) if drifts else None,
            }
        )
    return rows


def facts(
    dataset: Dataset, names: Sequence[str], findings: Sequence[Finding], bad: Mapping[str, str]
) -> dict[str, Any]:
    """Return what is worth knowing of all recordings together."""
    durations = [finding.duration_s for finding in findings if finding.duration_s is not None]
    repaired = sum(bool(finding.repairs) for finding in findings)
    return {
        "recordings": len(dataset.recordings),
        "sound": len(dataset.recordings) - len(bad),
        "subjects": len({recording.subject for recording in dataset.recordings}),
        "labels": len({recording.label for recording in dataset.recordings}),
        "files": {name: sum(name in recording.paths for recording in dataset.recordings) for name in names},
        "minutes": round(sum(durations) / 60, 2),
        "shortest_s": round(min(durations), 2) if durations else None,
        "longest_s": round(max(durations), 2) if durations else None,
        "put_in_order": repaired,
    }
