"""Printing: results to stdout, everything else to stderr; a progress bar on a terminal, plain lines in a log."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import click

Progress = Callable[[int, int], None]
_LOG_SECONDS = 15.0


def note(text: str) -> None:
    """Say something beside the result: one line on stderr."""
    click.echo(text, err=True)


def warn(text: str) -> None:
    """Warn: one line on stderr."""
    click.echo(f"mmtsa: warning: {text}", err=True)


def print_json(value: Any) -> None:
    """Print a result for programs."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print a result for people; numbers stand on the right."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold")
    for index, column in enumerate(columns):
        numeric = all(isinstance(row[index], (int, float)) for row in rows)
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    Console(width=None if sys.stdout.isatty() else 120).print(table)


def print_facts(title: str, facts: Mapping[str, Any]) -> None:
    """Print named facts for people, one a line; empty ones are left out."""
    click.echo(title)
    width = max((len(name) for name in facts), default=0)
    for name, value in facts.items():
        if value not in (None, [], {}, ""):
            click.echo(f"  {name.replace('_', ' '):<{width}}  {_fact(value)}")


@contextmanager
def progress(label: str) -> Iterator[Progress]:
    """Show how far a long work is: `report(done, total)` is called as often as the work likes."""
    if sys.stderr.isatty():
        with _bar(label) as report:
            yield report
    else:
        yield _plain_lines(label)


@contextmanager
def _bar(label: str) -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _plain_lines(label: str) -> Progress:
    last = time.monotonic()

    def report(done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last >= _LOG_SECONDS:
            last = time.monotonic()
            note(f"{label}: {done} of {total}")

    return report


def _fact(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{count} {name}" for name, count in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(str(item) for item in value)
    return _cell(value) if isinstance(value, float) else str(value)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    return "" if value is None else str(value)
