"""How systems of a benchmark differ on the same test clips, and which differences are larger than chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmtsa_cli.evaluation.comparison import holm, mcnemar, paired_difference
from mmtsa_cli.reporting.result_tables import Column
from mmtsa_cli.stages.bench_table import Pooled

COLUMNS = (
    Column("method", "method"),
    Column("difference", "accuracy, difference", 2, 100),
    Column("interval_95", "95 % interval", 2, 100),
    Column("macro_f1_difference", "macro F1, difference", 2, 100),
    Column("macro_f1_interval_95", "macro F1, 95 % interval", 2, 100),
    Column("holm_p", "p (McNemar, Holm)", 4),
    Column("verdict", "beyond chance"),
)


def difference_of(one: Pooled, other: Pooled) -> dict[str, Any]:
    """Return by how much one differs from the other on the same clips.

    Returns
    -------
    dict
        `difference` and `macro_f1_difference` (one minus other) with the 95 % intervals of the paired bootstrap over
        subjects, `over` what it was drawn, `mcnemar_p` of the first seed with its counts, `verdict` ("yes" where the
        interval of the accuracy does not hold 0).
    """
    difference = paired_difference(one.true, one.predicted, other.predicted, one.subjects, len(one.classes))
    test = mcnemar(one.true, one.predicted[0], other.predicted[0])
    low, high = difference.accuracy_interval_95
    return {
        "difference": difference.accuracy,
        "interval_95": [low, high],
        "macro_f1_difference": difference.macro_f1,
        "macro_f1_interval_95": list(difference.macro_f1_interval_95),
        "mcnemar_p": test.p,
        "first_only": test.first_only,
        "second_only": test.second_only,
        "verdict": "yes" if low > 0 or high < 0 else "no",
        "over": difference.over,
    }


def differences_to_best(said: Mapping[str, Pooled]) -> tuple[str, list[dict[str, Any]]]:
    """Return the system with the highest accuracy, and by how much each other one differs from it.

    Parameters
    ----------
    said : mapping of str to Pooled
        By system, at least two, of the same clips and seeds.
    """
    accuracies = {name: float((own.predicted == own.true).mean()) for name, own in said.items()}
    best = max(accuracies, key=lambda name: accuracies[name])
    rows = [{"method": name, **difference_of(own, said[best])} for name, own in said.items() if name != best]
    for row, corrected in zip(rows, holm([row["mcnemar_p"] for row in rows]), strict=True):
        row["holm_p"] = corrected
    return best, rows


def notes_on(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return what must be known to read differences to the best."""
    return [
        f"Row minus best on the same clips; intervals: paired bootstrap over {rows[0]['over']}; beyond chance: the "
        "interval does not hold 0. The best row was chosen by these same clips, so differences come out somewhat too "
        "large. McNemar's test takes clips as independent, which promises too much with few subjects: trust the "
        "interval."
    ]
