"""Groups of activities: given by name, or found by clustering what the sensors measured.

MuMu (AAAI 2022) groups a data set's activities by hand (simple, complex and desk activities of MMAct). Where no such
grouping is given, classes that are easily confused belong together: here those whose clips are alike in the mean and
the deviation of every sensor axis.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mmtsa_cli.errors import DataError, UsageError, nearest
from mmtsa_cli.sampling.draw import Samples


def read_groups(path: Path) -> dict[str, str]:
    """Read the group of each class from a CSV file with the columns `label` and `group`; further ones are passed over.

    Raises
    ------
    UsageError
        The file cannot be read, lacks a column or a cell, or names a label twice.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = csv.DictReader(stream, skipinitialspace=True)
            columns = list(rows.fieldnames or ())
            found = [(rows.line_num, row.get("label") or "", row.get("group") or "") for row in rows]
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", where=str(path)) from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError("not a CSV file in UTF-8", where=str(path), found=str(error)) from None
    if not {"label", "group"} <= set(columns):
        there = ", ".join(columns) or "no columns"
        raise UsageError("lacks a column", where=str(path), expected="label, group", found=there)
    groups: dict[str, str] = {}
    for row, label, group in found:
        if not label or not group:
            raise UsageError("an empty cell", where=f"{path}, row {row}", expected="a label and its group")
        if label in groups:
            raise UsageError(f"a second row for {label}", where=f"{path}, row {row}")
        groups[label] = group
    return groups


def given_groups(groups: Mapping[str, str], samples: Samples) -> dict[str, str]:
    """Return the group of every class of `samples`, as `groups` says it.

    A class that no clip has may lack a group; it gets the first one. Further names in `groups` are passed over.

    Raises
    ------
    UsageError
        A clip's class without a group, or a single group.
    """
    trained = [samples.classes[number] for number in _present(samples)]
    missing = [label for label in trained if label not in groups]
    if missing:
        raise UsageError(
            f"no group for {', '.join(missing)}",
            where="groups",
            expected="a group for every class of the training clips",
            remedy=_misspelt(missing, [name for name in groups if name not in samples.classes]),
        )
    if len({groups[label] for label in trained}) < 2:
        raise UsageError("one group has all classes", where="groups", expected="at least 2 groups")
    return _for_all_classes({label: groups[label] for label in samples.classes if label in groups}, samples.classes)


def clustered_groups(samples: Samples, count: int) -> dict[str, str]:
    """Return the group of every class of `samples`, classes of like sensor data together.

    A clip's statistics are the mean and the deviation of every sensor axis, each in units of its deviation within a
    class, so that what does not tell classes apart counts little. The classes' means of them are clustered by Ward's
    criterion, which has no random part.

    Parameters
    ----------
    samples : Samples
        At least one sensor.
    count : int
        Groups; fewer where there are fewer classes.

    Raises
    ------
    DataError
        No sensor.
    """
    from sklearn.cluster import AgglomerativeClustering

    sensors = [name for name in samples.modalities if samples.kind(name) == "sensor"]
    if not sensors:
        found = ", ".join(samples.modalities)
        raise DataError("activities are grouped by what sensors say", expected="at least one sensor", found=found)
    present = _present(samples)
    statistics = np.stack([_statistics(samples, clip, sensors) for clip in samples.clips])
    centres = _centres(statistics, samples.labels, present)
    numbers: list[int] = list(range(len(present)))
    if len(present) > count:
        numbers = AgglomerativeClustering(n_clusters=count, linkage="ward").fit_predict(centres).tolist()
    # Numbered in the order in which the classes come.
    order = list(dict.fromkeys(numbers))
    groups = {samples.classes[n]: f"group {order.index(group) + 1}" for n, group in zip(present, numbers, strict=True)}
    return _for_all_classes(groups, samples.classes)


def _present(samples: Samples) -> list[int]:
    return np.unique(samples.labels[samples.labels >= 0]).tolist()


def _statistics(samples: Samples, clip: int, sensors: Sequence[str]) -> NDArray[np.float64]:
    series = [samples.store.series(name, clip).astype(np.float64) for name in sensors]
    return np.concatenate([part for rows in series for part in (rows.mean(axis=0), rows.std(axis=0))])


def _centres(statistics: NDArray[np.float64], labels: NDArray[np.int64], present: Sequence[int]) -> NDArray[np.float64]:
    """Return the mean of each class, in units of the deviation within classes (of the whole where that is 0)."""
    parts = [statistics[labels == number] for number in present]
    within = np.concatenate([part - part.mean(axis=0) for part in parts]).std(axis=0)
    unit = np.where(within > 0, within, statistics.std(axis=0))
    return np.stack([part.mean(axis=0) for part in parts]) / np.where(unit > 0, unit, 1)


def _for_all_classes(groups: Mapping[str, str], classes: Sequence[str]) -> dict[str, str]:
    first = next(iter(groups.values()))
    return {label: groups.get(label, first) for label in classes}


def _misspelt(missing: Sequence[str], strange: Sequence[str]) -> str | None:
    meant = [f"{label} by {near}" for label in missing if (near := nearest(label, strange))]
    return f"did you mean {', '.join(meant)}?" if meant else None
