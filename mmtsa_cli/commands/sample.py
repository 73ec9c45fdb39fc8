"""`mmtsa sample`: recordings to a sample store."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from mmtsa_cli.commands import console, options

_NOT_SHOWN = ("damaged", "warnings", "all_notes", "left_out_here")


@click.command()
@click.argument("recordings", type=options.Place())
@options.output_directory
@options.modalities
@options.segments
@options.window
@options.frames
@click.option(
    "--short-side",
    type=click.IntRange(min=32),
    default=256,
    show_default=True,
    help="Height of stored frames, at most.",
)
@click.option("--quality", type=click.IntRange(1, 100), default=90, show_default=True, help="JPEG quality of frames.")
@options.max_gap
@click.option("--skip-short", is_flag=True, help="Leave out clips shorter than the window instead of refusing.")
@click.option("--strict", is_flag=True, help="Stop at a recording that cannot be read instead of leaving it out.")
@click.option("--exclude-labels", default="", help="Labels to leave out, separated by commas.")
@click.option("--images", is_flag=True, help="Also write a contact sheet a clip: the frames and fields of one draw.")
@click.option(
    "--part-size",
    metavar="SIZE",
    default="4GiB",
    show_default=True,
    help="Largest file of frames or series, as in 500MB; what is more goes on in another one.",
)
@click.option(
    "--shard", metavar="I/N", help="Take the I-th of N parts of the recordings; `mmtsa merge` makes a store of all."
)
@options.root
@options.protocol
@options.seed
@options.jobs
@options.cluster
@options.overwrite
@options.json_output
def command(
    recordings: Path,
    output: Path,
    modalities: tuple[str, ...] | None,
    segments: int,
    window: float,
    frames: int,
    short_side: int,
    quality: int,
    max_gap: float,
    skip_short: bool,
    strict: bool,
    exclude_labels: str,
    images: bool,
    part_size: str,
    shard: str | None,
    root: Path | None,
    protocol: str | None,
    seed: int,
    jobs: int | None,
    cluster: str | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Cut RECORDINGS into synchronous segments and pack them into a sample store.

    Reads a directory with an index (from `mmtsa prepare`, `mmtsa synth`, or written by hand). Writes, per clip, a few
    candidate frames of each segment and every sensor's series whole, so that training draws anew in every epoch without
    touching a video again. Clips that lack one of the modalities, and those with a file that cannot be read, are left
    out and counted.

    \b
    Examples:
      mmtsa sample rec -o samples --modalities depth,acc,gyro
      mmtsa sample rec -o samples --segments 8 --window 1 --images
      mmtsa sample rec -o shards/2 --shard 2/8
    """  # noqa: D301 - click takes the real backspace
    from mmtsa_cli.stages import sample
    from mmtsa_cli.stages.amounts import parse_bytes
    from mmtsa_cli.stages.shards import read_shard

    cutting = sample.CuttingOptions(segments, frames, window, short_side, quality, max_gap)
    with console.progress("sample") as progress:
        result = sample.run(
            recordings,
            output,
            modalities=modalities,
            options=cutting,
            protocol=protocol,
            seed=seed,
            skip_short=skip_short,
            strict=strict,
            exclude_labels=tuple(label.strip() for label in exclude_labels.split(",") if label.strip()),
            images=images,
            part_bytes=parse_bytes(part_size, where="--part-size", what="an amount of bytes"),
            shard=read_shard(shard) if shard else None,
            root=root,
            jobs=jobs,
            cluster=cluster,
            overwrite=overwrite,
            progress=progress,
        )
    told = {name: value for name, value in result.facts.items() if name not in _NOT_SHOWN}
    shown = result if as_json else replace(result, facts=told)
    console.print_result("Sample store", shown, as_json=as_json)
    lost = result.facts["damaged"]
    console.warn_of([*result.facts["warnings"], *(f"{one['id']} left out: {one['error']}" for one in lost)])
