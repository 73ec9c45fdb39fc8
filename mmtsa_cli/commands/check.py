"""`mmtsa check`: every fault of recordings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from mmtsa_cli.commands import console, options

_SHOWN_LINES = 20
_SHOWN_LABELS = 40
_SHOWN_DRIFTS = 10


@click.command()
@click.argument("recordings", type=options.Place())
@options.modalities
@options.max_gap
@click.option("--full", is_flag=True, help="Decode every frame of the videos, not only first, middle and last.")
@click.option("--afresh", is_flag=True, help="Read every file again, also those unchanged since an earlier check.")
@click.option("--all", "every", is_flag=True, help="Print every fault and label, not only the first ones.")
@click.option(
    "--exclude-bad",
    type=options.LocalPath(),
    metavar="DIR",
    help="Write an index without the recordings that have an error into a new directory.",
)
@options.overwrite
@click.option("--sync", is_flag=True, help="Also estimate how far the clocks of the modalities are apart.")
@click.option(
    "--max-shift",
    type=click.FloatRange(min=0, min_open=True, max=60),
    default=3.0,
    show_default=True,
    help="With --sync: the largest shift, in seconds, that is looked for.",
)
@click.option("--write-offsets", is_flag=True, help="Write the reliable offsets that --sync finds into dataset.yaml.")
@options.root
@options.jobs
@options.cluster
@options.json_output
def command(
    recordings: Path,
    modalities: tuple[str, ...] | None,
    max_gap: float,
    full: bool,
    afresh: bool,
    every: bool,
    exclude_bad: Path | None,
    overwrite: bool,
    sync: bool,
    max_shift: float,
    write_offsets: bool,
    root: Path | None,
    jobs: int | None,
    cluster: str | None,
    as_json: bool,
) -> int:
    """Find every fault of recordings: file, row, what to do.

    Reads RECORDINGS (a directory with index.csv) and every file that it lists: series to their end, of videos the
    first, the middle and the last frame (--full: all). Writes nothing but what was found, into the user's cache
    directory: a check that was interrupted goes on, and one that is repeated reads only what has changed. Prints a
    table of labels, one of timestamps, one of what to fix first, then one line a fault: errors, which keep `sample`
    from using a recording, then warnings. The exit code is 1 where there is an error.

    \b
    Examples:
      mmtsa check rec
      mmtsa check rec --modalities imu --max-gap 1 --json
      mmtsa check rec --full --exclude-bad sound
      mmtsa check rec --sync --max-shift 5
    """  # noqa: D301 - click takes the real backspace
    from mmtsa_cli.stages import check, exclude

    if exclude_bad:
        exclude.check_place(exclude_bad)
    with console.progress("check") as progress:
        result = check.run(
            recordings,
            modalities=modalities,
            max_gap_s=max_gap,
            full=full,
            afresh=afresh,
            root=root,
            jobs=jobs,
            cluster=cluster,
            progress=progress,
            note=console.note,
        )
    clocks = None
    if sync or write_offsets:
        wishes = {"max_shift_s": max_shift, "max_gap_s": max_gap, "jobs": jobs, "root": root}
        clocks = _synchronise(recordings, modalities, **wishes)
    if as_json:
        console.print_json(_as_json(result, clocks))
    else:
        _print(recordings, result, every)
        _print_clocks(clocks)
    if write_offsets:
        _write_offsets(recordings, clocks)
    if exclude_bad:
        _say_excluded(exclude.run(recordings, result, exclude_bad, root=root, overwrite=overwrite))
    return 1 if result.errors else 0


def _as_json(result: Any, clocks: Any) -> dict[str, Any]:
    found = {
        **result.facts,
        "unchanged": result.taken,
        "by_label": result.labels,
        "stamps": result.stamps,
        "groups": result.groups,
        "errors": list(result.errors),
        "warnings": list(result.warnings),
        "bad": result.bad,
    }
    if clocks is not None:
        found["sync"] = {"rows": clocks.rows, "recordings": clocks.recordings, "drifts": clocks.drifts}
    return found


def _print(recordings: Path, result: Any, every: bool) -> None:
    console.print_facts(f"Recordings {recordings}", result.facts)
    _print_labels(result.labels, every)
    if result.stamps:
        console.print_rows("Timestamps", result.stamps)
    if result.groups:
        console.print_rows("What to fix first", result.groups)
    console.print_facts(f"{len(result.errors)} errors, {len(result.warnings)} warnings", {})
    for severity, texts in (("error", result.errors), ("warning", result.warnings)):
        shown = texts if every else texts[:_SHOWN_LINES]
        for text in shown:
            click.echo(f"{severity}: {text}")
        if len(shown) < len(texts):
            click.echo(f"... and {len(texts) - len(shown)} more {severity}s; --all prints them")


def _print_labels(labels: Sequence[Mapping[str, Any]], every: bool) -> None:
    """Print what there is of each label; of very many, those with the most unsound recordings."""
    if every or len(labels) <= _SHOWN_LABELS:
        console.print_rows("Labels", labels)
        return
    worst = sorted(labels, key=lambda row: row["sound"] - row["recordings"])
    console.print_rows("Labels", worst[:_SHOWN_LABELS])
    click.echo(f"... and {len(labels) - _SHOWN_LABELS} more labels; --all prints them")


def _synchronise(recordings: Path, modalities: tuple[str, ...] | None, **wishes: Any) -> Any:
    from mmtsa_cli.stages import sync

    with console.progress("sync") as progress:
        return sync.run(recordings, modalities=modalities, progress=progress, **wishes)


def _print_clocks(clocks: Any) -> None:
    if clocks is None:
        return
    console.print_rows("Clocks", clocks.rows)
    worst = sorted(clocks.drifts, key=lambda row: -abs(row["ms_per_minute"]))
    if worst:
        console.print_rows("Drifts", worst[:_SHOWN_DRIFTS])


def _write_offsets(recordings: Path, clocks: Any) -> None:
    from mmtsa_cli.stages import sync

    written = sync.write_offsets(recordings, clocks)
    if not written:
        console.note("the clocks agree as far as can be told: no offset written")
    for name, offset_s in written.items():
        console.note(f"{recordings / 'dataset.yaml'}: offset_s of {name} is now {offset_s:g}")


def _say_excluded(sound: Any) -> None:
    if not sound.fresh:
        console.note(f"{sound.output} already holds this result")
    left_out, kept = sound.facts["left_out"], sound.facts["recordings"]
    console.note(f"{sound.output}: {kept:,} recordings; {left_out:,} left out for the errors above")
