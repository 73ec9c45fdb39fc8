"""`mmtsa prepare`: an index over a dataset as it was downloaded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from mmtsa_cli.commands import console, options
from mmtsa_cli.stages import prepare

_LAYOUTS = "\n\n".join(f"{name}: {layout}." for name, layout in prepare.layouts().items())
_TABLES = ("by_label", "by_subject", "by_session", "protocols", "notes", "skipped", "skipped_files", "warnings")


def _pairs(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> dict[str, str]:
    pairs = {}
    for part in (part for text in value for part in text.split(",") if part.strip()):
        name, equals, column = (word.strip() for word in part.partition("="))
        if not (name and equals and column):
            raise click.BadParameter(f"{part!r}: expected NAME=COLUMN, as in label=activity,rgb=video_path")
        if name in pairs:
            raise click.BadParameter(f"{name} stands twice")
        pairs[name] = column
    return pairs


@click.command(epilog=f"Datasets and the files that are looked for below DIRECTORY:\n\n{_LAYOUTS}")
@click.argument("dataset")
@click.argument("directory", type=options.LocalPath())
@options.output_directory
@options.modalities
@click.option("--unpack", is_flag=True, help="Unpack the archives in DIRECTORY into the output directory.")
@click.option(
    "--map",
    "mapping",
    multiple=True,
    callback=_pairs,
    help="Columns of a table, as in label=activity,rgb=video_path (folder).",
)
@click.option(
    "--time",
    type=click.Choice(["stamps", "rate"]),
    default="stamps",
    show_default=True,
    help="Believe the stamps in a sensor's file, or the first one and the rate (mmact).",
)
@click.option(
    "--test-scenes", callback=options.names, help="Scenes that protocol cross-scene tests on, as in 2,4 (mmact)."
)
@click.option(
    "--clip", "clip_s", type=options.positive(), help="Length of a clip in seconds (dataego).  [default: as published]"
)
@click.option(
    "--overlap",
    "overlap_s",
    type=click.FloatRange(min=0),
    help="Seconds that neighbouring clips share (dataego).  [default: as published]",
)
@options.overwrite
@options.json_output
def command(
    dataset: str,
    directory: Path,
    output: Path,
    modalities: tuple[str, ...] | None,
    unpack: bool,
    mapping: dict[str, str],
    time: str,
    test_scenes: tuple[str, ...] | None,
    clip_s: float | None,
    overlap_s: float | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Make an index over a dataset as it was downloaded.

    Reads the names of the files below DIRECTORY, and those files that hold labels. Writes a directory with index.csv
    (one row a recording, absolute paths) and dataset.yaml (modalities, published protocols, citation); copies nothing,
    but with --unpack the content of archives. A recording that lacks a modality has an empty cell. Prints what was
    found: clips of each label, missing modalities, files that were skipped and why, protocols that can be followed.

    \b
    Examples:
      mmtsa prepare utd-mhad UTD-MHAD -o rec
      mmtsa prepare mmact ~/data/MMAct --unpack -o rec --json
      mmtsa prepare folder study/clips.csv --map label=activity,rgb=video_path -o rec
    """  # noqa: D301
    wanted = prepare.ScanOptions(
        time=time,  # type: ignore[arg-type]
        test_scenes=test_scenes or (),
        clip_s=clip_s,
        overlap_s=overlap_s,
        mapping=mapping,
    )
    with console.progress("unpack") as progress:
        result = prepare.run(
            dataset,
            directory,
            output,
            options=wanted,
            modalities=modalities,
            unpack=unpack,
            overwrite=overwrite,
            progress=progress,
        )
    _show(result, as_json=as_json)


def _show(result: Any, *, as_json: bool) -> None:
    facts = result.facts
    if not as_json:
        for title, name in (("Labels", "by_label"), ("Subjects", "by_subject"), ("Sessions", "by_session")):
            if facts[name]:
                console.print_rows(title, facts[name])
        if facts["protocols"]:
            console.print_rows("Protocols", facts["protocols"])
        if facts["skipped_files"]:
            console.print_table("Skipped", ("why", "files", "the first"), _skipped(facts))
        short = {name: value for name, value in facts.items() if name not in _TABLES}
        result = replace(result, facts=short)
    console.print_result("Index", result, as_json=as_json)
    if not as_json:
        console.print_sentences("Notes", facts["notes"])
    console.warn_of(facts["warnings"])


def _skipped(facts: dict[str, Any]) -> list[tuple[str, int, str]]:
    first: dict[str, str] = {}
    for skipped in facts["skipped_files"]:
        first.setdefault(skipped["why"], skipped["file"])
    return [(why, count, first.get(why, "")) for why, count in facts["skipped"].items()]
