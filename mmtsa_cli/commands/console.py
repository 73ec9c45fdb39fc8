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


def warn_of(texts: Sequence[str], *, shown: int = 10, rest: str = "--json has all") -> None:
    """Warn of several things, a line each; of more than `shown` the rest is counted, and `rest` says where it is."""
    for text in texts[:shown]:
        warn(text)
    if len(texts) > shown:
        warn(f"and {len(texts) - shown} more; {rest}")


def print_json(value: Any) -> None:
    """Print a result for programs."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def print_table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], *, right: Sequence[bool] | None = None
) -> None:
    """Print a result for people; numbers stand on the right, and what `right` says of cells that are text already."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold")
    for index, column in enumerate(columns):
        numeric = right[index] if right else all(isinstance(row[index], (int, float)) for row in rows)
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    Console(width=None if sys.stdout.isatty() else 120).print(table)


def print_result(title: str, result: Any, *, as_json: bool) -> None:
    """Print what a stage gave back (`stages.result.StageResult`), and say so where nothing was to be done."""
    if not result.fresh:
        note(f"{result.output} already holds this result")
    if as_json:
        print_json(result.facts)
    else:
        print_facts(f"{title} {result.output}", result.facts)


def print_rows(title: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Print mappings that have the same keys as a table."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    print_table(title, [c.replace("_", " ") for c in columns], [[row.get(c) for c in columns] for row in rows])


def print_facts(title: str, facts: Mapping[str, Any]) -> None:
    """Print named facts for people, one a line; empty ones are left out."""
    click.echo(title)
    width = max((len(name) for name in facts), default=0)
    for name, value in facts.items():
        if value not in (None, [], {}, ""):
            click.echo(f"  {name.replace('_', ' '):<{width}}  {_fact(value)}")


def print_sentences(title: str, sentences: Sequence[str]) -> None:
    """Print sentences for people, one a line; no title where there are none."""
    for text in [title, *(f"  {sentence}" for sentence in sentences)] if sentences else ():
        click.echo(text)


@contextmanager
def progress(label: str) -> Iterator[Progress]:
    """Show how far a long work is: `report(done, total)` is called as often as the work likes."""
    if sys.stderr.isatty():
        with _bar(label) as report:
            yield report
    else:
        yield _plain_lines(label)


@contextmanager
def training_log() -> Iterator[Callable[[Any], None]]:
    """Show a training: a live table on a terminal, a line an epoch in a log. Takes `TrainingEvent`s of stages."""
    if not sys.stderr.isatty():
        yield _epoch_line
        return
    from rich.console import Console
    from rich.live import Live

    rows: list[Any] = []
    with Live(console=Console(stderr=True), refresh_per_second=4) as live:

        def show(event: Any) -> None:
            if event.row is not None:
                rows.append(event)
            live.update(_training_table(rows[-12:], event))

        yield show


def _epoch_line(event: Any) -> None:
    if event.row is not None:
        fold = f"fold {event.fold_number} of {event.folds} ({event.fold}), " if event.folds > 1 else ""
        cells = ", ".join(f"{name} {value}" for name, value in _epoch_cells(event).items())
        note(f"{fold}epoch {event.epoch} of {event.epochs}: {cells}")


def _epoch_cells(event: Any) -> dict[str, str]:
    row = event.row
    cells = {"loss": f"{row['loss']:.3f}", "accuracy": f"{row['accuracy']:.3f}"}
    if "validation_accuracy" in row:
        cells["validation accuracy"] = f"{row['validation_accuracy']:.3f}"
        cells["validation F1"] = f"{row['validation_macro_f1']:.3f}"
    cells["clips/s"] = f"{row['clips_per_s']:.1f}"
    cells["time left"] = _clock(event.seconds_left)
    return cells


def _training_table(rows: Sequence[Any], now: Any) -> Any:
    from rich.table import Table

    fold = f", fold {now.fold_number} of {now.folds} ({now.fold})" if now.folds > 1 else ""
    step = f"epoch {min(now.epoch + 1, now.epochs)} of {now.epochs}, step {now.step} of {now.steps}"
    table = Table(title=f"train{fold}: {step}, {_clock(now.seconds_left)} left", title_justify="left")
    table.add_column("epoch", justify="right")
    for name in _epoch_cells(rows[-1]) if rows else ():
        table.add_column(name, justify="right")
    for event in rows:
        table.add_row(str(event.row["epoch"]), *_epoch_cells(event).values())
    return table


def _clock(seconds: float | None) -> str:
    if seconds is None:
        return "?"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"


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
