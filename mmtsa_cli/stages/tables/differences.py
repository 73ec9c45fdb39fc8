"""How the rows of a table differ on the same test clips, and which differences are larger than chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmtsa_cli.evaluation.comparison import holm, mcnemar, paired_difference
from mmtsa_cli.reporting.result_tables import Column, write_tables
from mmtsa_cli.stages.tables.pooled import Pooled

_COLUMNS = (
    Column("difference", "accuracy, difference", 2, 100),
    Column("interval_95", "95 % interval", 2, 100),
    Column("macro_f1_difference", "macro F1, difference", 2, 100),
    Column("macro_f1_interval_95", "macro F1, 95 % interval", 2, 100),
    Column("holm_p", "p (McNemar, Holm)", 4),
    Column("verdict", "beyond chance"),
)


def difference_of(one: Pooled, other: Pooled, *, seed: int = 0) -> dict[str, Any]:
    """Return by how much one differs from the other on the same clips.

    Returns
    -------
    dict
        `difference` and `macro_f1_difference` (one minus other) with the 95 % intervals of the paired bootstrap over
        subjects, `over` what it was drawn, `mcnemar_p` of the first seed with its counts, `verdict` ("yes" where the
        interval of the accuracy does not hold 0).
    """
    difference = paired_difference(one.true, one.predicted, other.predicted, one.subjects, len(one.classes), seed=seed)
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


def write_differences(
    directory: Path, name: str, said: Mapping[str, Pooled], *, what: str, reference: str | None = None, seed: int = 0
) -> list[dict[str, Any]]:
    """Write by how much each row differs from a reference, or from the one with the highest accuracy, and return it.

    Parameters
    ----------
    directory, name
        Of the tables, as of `write_tables`.
    said : mapping of str to Pooled
        By row, of the same clips and seeds; of fewer than two rows nothing is written.
    what : str
        What a row is ("method"): the column of the rows' names.
    reference : str, optional
        The row that all others are compared with; None, or where it failed: the best.
    seed : int
        Of the bootstrap.

    Returns
    -------
    list of dict
        `what`, the row; `best`, or `reference`, the one it is compared with; what `difference_of` returns; `holm_p`.
    """
    if len(said) < 2:
        return []
    given = reference if reference in said else None
    best = given or max(said, key=lambda row: float((said[row].predicted == said[row].true).mean()))
    key = "reference" if given else "best"
    others = [row for row in said if row != best]
    rows = [{what: row, key: best, **difference_of(said[row], said[best], seed=seed)} for row in others]
    for row, corrected in zip(rows, holm([row["mcnemar_p"] for row in rows]), strict=True):
        row["holm_p"] = corrected
    title = f"Differences to {best}" + ("" if given else f", the {what} with the highest accuracy")
    write_tables(directory, name, title, [Column(what, what), *_COLUMNS], rows, _notes(rows, said[best], key))
    return rows


def _notes(rows: Sequence[Mapping[str, Any]], best: Pooled, key: str) -> list[str]:
    seeds = " of the first seed" if len(best.predicted) > 1 else ""
    chosen = "The best row was chosen by these same clips, so differences come out somewhat too large."
    many = f"Of {len(rows)} comparisons one in twenty lies beyond its interval by chance."
    return [
        f"Row minus {key} on the same clips; intervals: paired bootstrap over {rows[0]['over']}; beyond chance: the "
        f"interval does not hold 0. {chosen if key == 'best' else many} McNemar's test{seeds} takes clips as "
        "independent, which promises too much with few subjects: trust the interval."
    ]
