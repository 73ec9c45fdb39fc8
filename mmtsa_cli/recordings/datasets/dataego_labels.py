"""The activities of DataEgo: their names, the spellings that were used for them, and the files that list them."""

from __future__ import annotations

from pathlib import Path

from mmtsa_cli.errors import DataError

ACTIVITIES = (
    "cooking",
    "cycling",
    "riding elevator",
    "walking down/upstairs",
    "push ups",
    "reading",
    "washing dishes",
    "working on pc",
    "browsing mobile phone",
    "talking with people",
    "chopping",
    "sit ups",
    "running",
    "lying down",
    "eating",
    "riding escalator",
    "writing",
    "brushing teeth",
    "watching tv",
    "walking",
)
"""The 20 labels, in the order of the MMTSA code."""

SPELLINGS = {
    "cooking on stove": "cooking",
    "doing push ups": "push ups",
    "chopping food": "chopping",
    "doing sit ups": "sit ups",
    "eating and drinking": "eating",
    "writting": "writing",
    "climbing stairs": "walking down/upstairs",
    "talking to people": "talking with people",
}
"""Other names in the files, and the labels that they stand for."""


def label_of(name: str) -> str | None:
    """Return the label that a name stands for, whatever its case and spaces; None where it is none of DataEgo's."""
    plain = " ".join(name.lower().split())
    label = SPELLINGS.get(plain, plain)
    return label if label in ACTIVITIES else None


def read_labels(path: Path) -> dict[int, str]:
    """Return the names in a `labels.txt`, by the number before the colon, as they are written.

    The wearer pressed a button to begin the next activity; the rows of the sensors count the presses from 0, and the
    number before the colon is that count.

    Raises
    ------
    DataError
        A line that is no number, colon and name, or a number with two names; with file and row.
    """
    names: dict[int, str] = {}
    for row, line in enumerate(path.read_text(encoding="utf-8-sig", errors="replace").splitlines(), 1):
        if not line.strip():
            continue
        key, colon, name = (part.strip() for part in line.partition(":"))
        where = f"{path}, row {row}"
        if not (key.isdecimal() and colon and name):
            raise DataError("no label", where=where, expected="NUMBER:ACTIVITY, as in 0:walking", found=repr(line[:40]))
        if names.setdefault(int(key), name) != name:
            raise DataError(f"number {int(key)} has two activities", where=where, found=f"{names[int(key)]} and {name}")
    return names
