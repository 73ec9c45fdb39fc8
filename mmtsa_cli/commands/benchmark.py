"""`mmtsa benchmark`: systems trained, tested and measured under one protocol, in one table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mmtsa_cli.commands import console, options

_OF_SPEED = ("explain", "compiled", "growth", "accuracy", "whole_paper", "repeats", "batch")


@click.command()
@click.argument("samples", type=options.Place(), required=False)
@click.option("-o", "--output", type=options.Place(), help="Directory to write, or to go on with, or its URL.")
@click.option(
    "--methods",
    callback=options.names,
    help="Systems or variants of the recipe, separated by commas, or all; see `mmtsa methods`.  "
    "[default: those of --table, else the recipe's variants, else all]",
)
@click.option(
    "--recipe",
    help="A YAML file, or a recipe of the package.  [default: recommended; without SAMPLES benchmark-small]",
)
@options.settings
@options.protocol
@options.modalities
@options.seeds
@options.trainings_at_once
@click.option(
    "--cluster",
    metavar="ADDRESS",
    help="Compute the features of classical systems on the Dask cluster with this scheduler; its workers must see "
    "SAMPLES under the same path or URL (extra `cluster`).",
)
@click.option(
    "--table", type=click.Choice(["1", "2", "3"]), help="Lay out this table of the paper too, published figures beside."
)
@click.option(
    "--compare",
    type=options.LocalPath(),
    nargs=2,
    default=None,
    help="Tell which differences between two benchmarks are larger than chance; trains and writes nothing.",
)
@click.option(
    "--speed",
    is_flag=True,
    help="Measure how fast this machine does the work, beside the naive way, and train nothing.",
)
@click.option("--explain", is_flag=True, help="With --speed: also what each way to be faster gives on its own.")
@click.option("--compile", "compiled", is_flag=True, help="With --explain: torch.compile too; warms up for minutes.")
@click.option(
    "--growth",
    type=click.IntRange(min=300),
    help="With --speed: also how the cost grows, with up to so many clips (1000 to 100000); growth.png in -o.",
)
@click.option(
    "--accuracy",
    type=options.LocalPath(),
    help="With --speed: train recipes fast and paper (the latter in small) on this store, F1 beside speed.",
)
@click.option("--whole-paper", is_flag=True, help="With --accuracy: the paper's recipe as it is; days on a CPU.")
@click.option("--repeats", type=click.IntRange(min=2), default=5, show_default=True, help="With --speed: rounds.")
@click.option(
    "--batch", type=click.IntRange(min=2, max=16), default=4, show_default=True, help="With --speed: clips of a step."
)
@options.overwrite
@options.json_output
def command(
    samples: Path | None,
    output: Path | None,
    compare: tuple[Path, Path] | None,
    speed: bool,
    overwrite: bool,
    as_json: bool,
    **wanted: Any,
) -> None:
    """Train, test and measure systems under one protocol, and rank them in a table.

    Reads a sample store (from `mmtsa sample`); without one, synthetic recordings, made once in the user's cache. Writes
    table.md, .csv, .tex and .json (accuracy, which is micro F1, with a 95 % interval over subjects, macro F1,
    parameters, multiply-accumulates, training time, latency, memory, bytes read), differences.* (each system against
    the best one, and what is beyond chance), accuracy-latency.png, results.json, and the predictions of each system,
    fold and seed under units/. A system whose modality is missing is left out by name; one that fails is a row
    `failed`. Interrupted, or asked for more systems or seeds, it goes on where it was.

    With --speed nothing of that: the time of fields, items, training steps, inference and whole processes, and the
    memory of training, each beside the naive way measured in turns with it in the same run, as a ratio (above 1:
    ours takes less), for the paper's network with five modalities and three segments. Needs no data; -o keeps it.

    --set reaches into single systems too: methods.hamlet.training.lr=0.001.

    \b
    Examples:
      mmtsa benchmark samples -o bench --methods mmtsa,keyless,svm --seeds 3
      mmtsa benchmark samples -o bench --table 1 --protocol cross-session --jobs 2
      mmtsa benchmark --compare bench other-bench
      mmtsa benchmark --speed --explain --growth 1000 -o speed
    """  # noqa: D301 - click takes the real backspace
    of_speed = {name: wanted.pop(name) for name in _OF_SPEED}
    if compare:
        _compare(*compare, as_json=as_json)
    elif speed:
        if samples or wanted["methods"] or wanted["table"] or wanted["recipe"]:
            raise click.UsageError(
                "--speed measures the paper's network on clips of its own: only -o goes with it, and --accuracy SAMPLES"
            )
        _speed(output, overwrite=overwrite, as_json=as_json, **of_speed)
    else:
        if any(of_speed[name] for name in ("explain", "compiled", "growth", "accuracy", "whole_paper")):
            raise click.UsageError("--explain, --compile, --growth, --accuracy and --whole-paper go with --speed")
        if output is None:
            raise click.UsageError("missing option -o / --output")
        _ranked(samples, output, overwrite=overwrite, as_json=as_json, **wanted)


def _ranked(samples: Path | None, output: Path, *, as_json: bool, **wanted: Any) -> None:
    from mmtsa_cli.stages import benchmark, defaults

    if samples is None:
        samples = defaults.synthetic_samples(note=console.note)
        wanted["recipe"] = wanted["recipe"] or "benchmark-small"
    wanted["table"] = int(wanted["table"]) if wanted["table"] else None
    with console.progress("benchmark") as progress:
        result = benchmark.run(samples, output, progress=progress, note=console.note, **wanted)
    if not result.fresh:
        console.note(f"{output} already holds this result")
    if as_json:
        console.print_json(result.facts)
        return
    for shown in result.tables:
        _print(shown)


def _compare(first: Path, second: Path, *, as_json: bool) -> None:
    from mmtsa_cli.stages.tables import compare as bench_compare

    facts = bench_compare.compare(first, second)
    if as_json:
        console.print_json(facts)
    else:
        _print(bench_compare.table_of(facts))


def _speed(output: Path | None, *, overwrite: bool, as_json: bool, **wanted: Any) -> None:
    from mmtsa_cli.stages import speed
    from mmtsa_cli.stages.speeds import table

    wanted["growth"] = wanted["growth"] or 0
    wanted["accuracy"] = str(wanted["accuracy"]) if wanted["accuracy"] else None
    facts = speed.run(output, speed.SpeedOptions(**wanted), overwrite=overwrite, note=console.note)
    if as_json:
        console.print_json(facts)
        return
    for shown in table.tables(facts):
        _print(shown)


def _print(table: Any) -> None:
    """Print a table to stdout and what must be known to read it to stderr."""
    console.print_table(table.title, table.heads, table.cells, right=table.right)
    for text in table.notes:
        console.note(text)
