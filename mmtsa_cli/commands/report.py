"""`mmtsa report`: what other commands made, as one HTML page."""

from __future__ import annotations

from pathlib import Path

import click

from mmtsa_cli.commands import console, options


@click.command()
@click.argument("directories", metavar="DIR...", type=options.LocalPath(), nargs=-1, required=True)
@click.option(
    "-o",
    "--output",
    type=options.LocalPath(),
    required=True,
    help="The page to write, an .html file.",
)
@click.option("--overwrite", is_flag=True, help="Replace an earlier report in this file.")
@options.json_output
def command(directories: tuple[Path, ...], output: Path, overwrite: bool, as_json: bool) -> None:
    """Make one self-contained HTML page of what other commands wrote.

    Reads directories of `mmtsa train`, `eval`, `benchmark` and `ablate`, in any number and order. Writes one page that
    works offline and asks nobody for anything: headline figures with 95 % intervals, training curves, a confusion
    matrix to point at and to sort, scores of each class, the worst mistakes (with their contact sheets, if the sample
    store is still there), robustness and calibration, the tables with the paper's published figures beside, the
    configuration, and the commands that make it all again.

    \b
    Examples:
      mmtsa report eval -o report.html
      mmtsa report run eval ablate bench -o report.html --overwrite
    """  # noqa: D301 - click takes the real backspace
    from mmtsa_cli.stages import report

    with console.progress("report") as progress:
        result = report.run(directories, output, overwrite=overwrite, progress=progress)
    facts = {**result.facts, "directories": [f"{d['path']} ({d['stage']})" for d in result.facts["directories"]]}
    for text in facts.pop("notes"):
        console.note(text)
    if as_json:
        console.print_json(result.facts)
        return
    if not result.fresh:
        console.note(f"{output} already holds this result")
    console.print_facts(f"Report {output}", facts)
