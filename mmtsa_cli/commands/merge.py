"""`mmtsa merge`: shards of a sample store to the store."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from mmtsa_cli.commands import console, options


@click.command()
@click.argument("shards", nargs=-1, required=True, type=options.Place())
@options.output_directory
@options.overwrite
@options.json_output
def command(shards: tuple[Path, ...], output: Path, overwrite: bool, as_json: bool) -> None:
    """Make one sample store of SHARDS, which `mmtsa sample --shard I/N` wrote on one machine or on many.

    Reads all shards of one store, in any order; refuses where one is missing, twice there, or was made with other
    settings or another index. Writes the store, bit by bit as `mmtsa sample` alone had written it.

    \b
    Examples:
      mmtsa merge shards/1 shards/2 -o samples
      mmtsa merge shards/1 shards/2 shards/3 -o samples --json
    """  # noqa: D301 - click takes the real backspace
    from mmtsa_cli.stages import merge

    with console.progress("merge") as progress:
        result = merge.run(shards, output, overwrite=overwrite, progress=progress)
    told = {name: value for name, value in result.facts.items() if name not in ("damaged", "warnings")}
    console.print_result("Sample store", result if as_json else replace(result, facts=told), as_json=as_json)
    console.warn_of(result.facts["warnings"])
