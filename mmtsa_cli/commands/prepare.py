"""`mmtsa prepare`: an index over a published dataset."""

from __future__ import annotations

from pathlib import Path

import click

from mmtsa_cli.commands import console, options
from mmtsa_cli.stages import prepare

_LAYOUTS = "\n\n".join(f"{name}: {layout}." for name, layout in prepare.layouts().items())


@click.command(epilog=f"Datasets and the files that are looked for below DIRECTORY:\n\n{_LAYOUTS}")
@click.argument("dataset")
@click.argument("directory", type=click.Path(path_type=Path))
@options.output_directory
@options.overwrite
@options.json_output
def command(dataset: str, directory: Path, output: Path, overwrite: bool, as_json: bool) -> None:
    """Make an index over a dataset as its authors ship it.

    Reads the names of the files below DIRECTORY. Writes a directory with index.csv (one row a recording, absolute
    paths) and dataset.yaml (modalities, published protocols, citation); copies nothing. A recording that lacks a
    modality has an empty cell. For your own recordings write the two files yourself: id,label,subject, then one
    column a modality.

    \b
    Examples:
      mmtsa prepare utd-mhad UTD-MHAD -o rec
      mmtsa prepare utd-mhad ~/data/utd --json -o rec
    """  # noqa: D301
    result = prepare.run(dataset, directory, output, overwrite=overwrite)
    console.print_result("Index", result, as_json=as_json)
