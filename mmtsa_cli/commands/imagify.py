"""`mmtsa imagify`: sensor series to Gramian angular field images."""

from __future__ import annotations

from pathlib import Path

import click
from click.core import ParameterSource

from mmtsa_cli.commands import console, options
from mmtsa_cli.errors import UsageError

_OF_AN_INVERSION = ("source", "output", "invert", "field", "scaled_range", "scale", "rate", "as_json")


@click.command()
@click.argument("source", type=options.Place(allow_dash=True))
@click.option(
    "-o",
    "--output",
    type=options.Place(),
    required=True,
    help="Image to write, .png or .npy (the exact field); for recordings a directory; with --invert a .csv or .npy.",
)
@click.option(
    "--invert",
    is_flag=True,
    help="The other way: SOURCE is an image of a summation field, whose series is written; give --range, and "
    "--scale LOW,HIGH, as it was made with.",
)
@click.option(
    "--columns",
    multiple=True,
    help="Columns of a sensor, by number from 1 or by name: 1,2,3 or acc=x,y,z. Repeat it for several sensors.  "
    "[default: all but time]",
)
@click.option("--channels", is_flag=True, help="One grey image an axis, named after it.")
@click.option("--start", type=click.FloatRange(min=0), default=0.0, help="Skip so many seconds of the series.")
@click.option("--duration", type=options.positive(), help="Show so many seconds.  [default: to the end]")
@click.option(
    "--size",
    type=click.IntRange(min=2),
    help="Pixels at most: a longer series is averaged piecewise.  [default: one a sample]",
)
@options.field
@options.scaled_range
@click.option(
    "--scale",
    default="clip",
    show_default=True,
    help="Rescale by the extremes of the whole series (clip), of the part shown (window), or by LOW,HIGH.",
)
@click.option("--rate", type=options.positive(), help="Samples a second of a file without timestamps.  [default: 1]")
@options.max_gap
@click.option("--max-memory", default="1GiB", show_default=True, help="What the fields of one image may take.")
@click.option(
    "--format",
    "file_format",
    type=click.Choice(["png", "npy"]),
    help="Format of the images.  [default: as the output's name says, or png]",
)
@options.modalities
@options.root
@options.jobs
@options.cluster
@options.overwrite
@options.json_output
@click.pass_context
def command(
    ctx: click.Context,
    source: Path,
    output: Path,
    invert: bool,
    columns: tuple[str, ...],
    channels: bool,
    start: float,
    duration: float | None,
    size: int | None,
    field: str,
    scaled_range: str,
    scale: str,
    rate: float | None,
    max_gap: float,
    max_memory: str,
    file_format: str | None,
    modalities: tuple[str, ...] | None,
    root: Path | None,
    jobs: int | None,
    cluster: str | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Turn sensor series into Gramian angular field images.

    Reads SOURCE: a file of series (CSV, TSV, .mat, .npy; - is standard input), or recordings with an index. Writes one
    image a sensor: three axes are the red, green and blue of a PNG, one axis is a grey one; .npy holds the exact field,
    (axes, n, n). Of a file with 6, 9, ... axes the first three become the image that was named, the next three the one
    beside it, gaf-2.png. A file that exists is replaced. Of recordings, one image a sensor and clip. With --invert the
    series comes back from the diagonal: exactly on [0, 1], up to its sign on [-1, 1], and to 0.05 from 8 bits.

    \b
    Examples:
      mmtsa imagify imu.csv -o gaf.png
      mmtsa imagify imu.csv -o gaf.png --columns acc=2,3,4 --columns gyro=5,6,7 --size 512
      mmtsa imagify gaf.png --invert -o series.csv --rate 50
    """  # noqa: D301 - click takes the real backspace
    if invert:
        _invert(ctx, source, output, field, scaled_range, scale, rate, as_json)
        return
    from mmtsa_cli.stages import imagify
    from mmtsa_cli.stages.amounts import parse_bytes

    wanted = imagify.ImagifyOptions(
        columns=columns,
        start_s=start,
        duration_s=duration,
        size=size,
        field=field,  # type: ignore[arg-type]
        range=scaled_range,  # type: ignore[arg-type]
        scale=scale,
        rate=rate,
        max_gap_s=max_gap,
        channels=channels,
        max_memory=parse_bytes(max_memory, where="--max-memory"),
        format=file_format,
    )
    with console.progress("imagify") as progress:
        result = imagify.run(
            source,
            output,
            options=wanted,
            modalities=modalities,
            root=root,
            jobs=jobs,
            cluster=cluster,
            overwrite=overwrite,
            progress=progress,
        )
    if not result.fresh:
        console.note(f"{output} already holds this result")
    for warning in result.warnings:
        console.warn(warning)
    for note in result.notes:
        console.note(note)
    if as_json:
        console.print_json(result.facts)
    elif source.is_dir():
        console.print_facts(f"Images {output}", result.facts)
    else:
        for image in result.images:
            console.print_facts(image.path, {"pixels": f"{image.pixels} x {image.pixels}", "axes": image.axes})


def _invert(
    ctx: click.Context,
    source: Path,
    output: Path,
    field: str,
    scaled_range: str,
    scale: str,
    rate: float | None,
    as_json: bool,
) -> None:
    for parameter in ctx.command.params:
        given = ctx.get_parameter_source(parameter.name or "") is ParameterSource.COMMANDLINE
        if given and parameter.name not in _OF_AN_INVERSION:
            raise UsageError("says nothing of an inversion", where=parameter.opts[0], remedy="leave it out")
    from mmtsa_cli.stages import invert

    result = invert.run(source, output, field=field, range=scaled_range, scale=scale, rate=rate)  # type: ignore[arg-type]
    for note in result.notes:
        console.note(note)
    if as_json:
        console.print_json(result.facts)
    else:
        console.print_facts(f"Series {output}", result.facts)
