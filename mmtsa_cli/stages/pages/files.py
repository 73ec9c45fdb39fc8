"""Files of the directories that a report is made of: read whole, or told as damaged."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmtsa_cli.errors import ArtifactError, MmtsaError
from mmtsa_cli.reporting.page import Table


@contextmanager
def sound(path: Path, stage: str) -> Iterator[None]:
    """Turn whatever does not fit in the content of a file into one error that names the file.

    Raises
    ------
    ArtifactError
    """
    try:
        yield
    except MmtsaError:
        raise
    except FileNotFoundError:
        raise ArtifactError(
            f"no {path.name}",
            where=str(path.parent),
            remedy=f"it is damaged or not finished: run `mmtsa {stage}` again",
        ) from None
    except (OSError, ValueError, TypeError, LookupError, AttributeError, csv.Error) as error:
        found = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise ArtifactError("damaged", where=str(path), found=found, remedy=f"run `mmtsa {stage}` again") from None


def read_json(path: Path, stage: str) -> Any:
    """Read a JSON file that `stage` wrote.

    Raises
    ------
    ArtifactError
        Missing or damaged.
    """
    with sound(path, stage):
        return json.loads(path.read_text(encoding="utf-8"))


def read_table(directory: Path, name: str, stage: str) -> Table:
    """Read a table of `reporting.result_tables`: cells from CSV, lest a digit be rounded anew, the rest from JSON.

    Raises
    ------
    ArtifactError
    """
    path = directory / f"{name}.json"
    about = read_json(path, stage)
    with sound(path, stage):
        keys, rows = list(about["columns"]), list(about["rows"])
        heads = [str(about["columns"][key]) for key in keys]
        right = [_are_numbers([row.get(key) for row in rows]) for key in keys]
        published = [key in about["published"] for key in keys]
        title, notes = str(about["title"]), [str(note) for note in about["notes"]]
    path = directory / f"{name}.csv"
    with sound(path, stage), path.open(newline="", encoding="utf-8") as stream:
        lines = list(csv.reader(stream))
        if len(lines) != len(rows) + 1 or any(len(line) != len(heads) for line in lines):
            raise ValueError(f"other rows or columns than {name}.json")
        return Table(title, heads, lines[1:], right, published, notes)


def _are_numbers(values: list[Any]) -> bool:
    known = [value for value in values if value is not None]
    return bool(known) and all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in known)
