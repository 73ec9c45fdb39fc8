"""Faults in groups: what they have in common, and which is to be fixed first."""

from __future__ import annotations

import pytest

from mmtsa_cli.errors import DataError
from mmtsa_cli.recordings.faults import Fault, fault_of, group, in_order, kind


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        ("timestamps jump for 1.610 s", "timestamps jump for N s"),
        ("timestamps run backwards by 1e-05 s", "timestamps run backwards by N s"),
        ("no such file: /data/a b.csv", "no such file"),
        ("no such file: C:\\data\\a.csv", "no such file"),
        ("cannot be read: Permission denied", "cannot be read: Permission denied"),
        ("the whole file is rgb of rows 2, 6, 9", "the whole file is rgb of rows N"),
        ("id 'a_1' stands twice", "id '...' stands twice"),
        ("41.0 Hz by its timestamps, dataset.yaml says 50", "N Hz by its timestamps, dataset.yaml says N"),
        ("1 of 50 frames cannot be decoded, at 3.00 s; x", "N of N frames cannot be decoded, at N s"),
        ("not a readable MP4 of H264 in acc2", "not a readable MP4 of H264 in acc2"),
        ("no column y", "no column y"),
    ],
)  # fmt: skip
def test_the_kind_is_what_does_not_differ_from_file_to_file(what: str, expected: str) -> None:
    assert kind(what) == expected


def _fault(what: str, row: int, path: str, severity: str = "error", recordings: int = 1) -> Fault:
    error = DataError(what, where=f"{path}, row 3", remedy=f"do {what}")
    return fault_of(error, severity, row, files=[path], recordings=recordings)  # type: ignore[arg-type]


def test_errors_come_first_then_what_concerns_most_recordings() -> None:
    faults = [
        _fault("41 Hz", 2, "a.csv", "warning"),
        _fault("41 Hz", 3, "b.csv", "warning"),
        _fault("42 Hz", 4, "b.csv", "warning"),
        _fault("empty", 5, "c.csv"),
        _fault("jump for 1 s", 7, "d.csv"),
        _fault("jump for 2 s", 6, "e.csv"),
        _fault("jump for 3 s", 6, "f.csv"),
        _fault("alone", 0, "g.csv", "warning", recordings=10),
    ]
    found = [(one.severity, one.what, one.recordings, one.files) for one in group(faults)]
    assert found == [
        ("error", "jump for N s", 2, 3),
        ("error", "empty", 1, 1),
        ("warning", "alone", 10, 1),
        ("warning", "N Hz", 3, 2),
    ]
    first = group(faults)[0]
    assert (first.first, first.remedy) == ("d.csv, row 3", "do jump for 1 s")
    assert [fault.row for fault in in_order(faults)] == [5, 6, 6, 7, 0, 2, 3, 4]
    assert group([]) == []


def test_one_fault_of_several_recordings_counts_them() -> None:
    shared = _fault("the whole file is rgb of rows 2, 3", 2, "a.mp4", "warning", recordings=2)
    assert [one.recordings for one in group([shared, _fault("of rows 2, 3", 2, "a.csv", "warning")])] == [2, 1]
    assert shared.text == "a.mp4, row 3: the whole file is rgb of rows 2, 3; do the whole file is rgb of rows 2, 3"
