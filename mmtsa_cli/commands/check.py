"""`mmtsa check`: every fault of recordings."""

from __future__ import annotations

from pathlib import Path

import click

from mmtsa_cli.commands import console, options


@click.command()
@click.argument("recordings", type=click.Path(path_type=Path))
@options.modalities
@click.option(
    "--max-gap",
    type=options.positive(),
    default=0.5,
    show_default=True,
    help="Longest gap in a series, in seconds, that is filled by interpolation.",
)
@options.jobs
@options.json_output
def command(
    recordings: Path, modalities: tuple[str, ...] | None, max_gap: float, jobs: int | None, as_json: bool
) -> int:
    """Find every fault of recordings: file, row, what to do.

    Reads RECORDINGS (a directory with index.csv) and every file that it lists, to its end. Writes nothing. Prints a
    table of labels, then one line a fault: errors, which keep `sample` from using a recording, then warnings. The exit
    code is 1 where there is an error.

    \b
    Examples:
      mmtsa check rec
      mmtsa check rec --modalities imu --max-gap 1 --json
    """  # noqa: D301
    from mmtsa_cli.stages import check

    with console.progress("check") as progress:
        result = check.run(recordings, modalities=modalities, max_gap_s=max_gap, jobs=jobs, progress=progress)
    if as_json:
        found = {"errors": list(result.errors), "warnings": list(result.warnings)}
        console.print_json({**result.facts, "by_label": result.labels, **found})
    else:
        console.print_facts(f"Recordings {recordings}", result.facts)
        console.print_rows("Labels", result.labels)
        console.print_facts(f"{len(result.errors)} errors, {len(result.warnings)} warnings", {})
        for severity, texts in (("error", result.errors), ("warning", result.warnings)):
            for text in texts:
                click.echo(f"{severity}: {text}")
    return 1 if result.errors else 0
