"""Options that several commands share, each defined once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click


def names(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[str, ...] | None:
    """Turn names separated by commas into a tuple; None stays None."""
    if value is None:
        return None
    found = tuple(name.strip() for name in value.split(",") if name.strip())
    if not found:
        raise click.BadParameter("expected names separated by commas, as in rgb,acc")
    return found


def counts(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[int, ...]:
    """Turn whole numbers separated by commas into a tuple; None is none."""
    found = [part.strip() for part in (value or "").split(",") if part.strip()]
    if not all(part.isdecimal() and int(part) for part in found) or (value is not None and not found):
        raise click.BadParameter("expected whole numbers above 0, separated by commas, as in 1,2,3")
    return tuple(int(part) for part in found)


class Place(click.Path):
    """A path of this machine, or a URL: `s3://`, `gs://`, `https://` and what else fsspec knows."""

    def __init__(self, **wishes: Any) -> None:
        super().__init__(path_type=Path, **wishes)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return a Path, or what answers as one."""
        if isinstance(value, str) and "://" in value:
            from mmtsa_cli.stages.places import place_of

            return place_of(value)
        return super().convert(value, param, ctx)


class LocalPath(click.Path):
    """A path of this machine; a URL is refused by name."""

    def __init__(self, **wishes: Any) -> None:
        super().__init__(path_type=Path, **wishes)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return a Path."""
        if isinstance(value, str) and "://" in value:
            self.fail("expected a path of this machine, found a URL", param, ctx)
        return super().convert(value, param, ctx)


def positive(value_type: Any = float) -> Any:
    """Return a parameter type for numbers above zero."""
    return click.IntRange(min=1) if value_type is int else click.FloatRange(min=0, min_open=True)


_WRITTEN = "Directory to write, or a URL as in s3://bucket/name; it appears when it is whole."
output_directory = click.option("-o", "--output", type=Place(), required=True, help=_WRITTEN)
output_unless_shown = click.option("-o", "--output", type=Place(), help=_WRITTEN)
"""Of a command that can also show what it would do, which writes nothing."""
overwrite = click.option(
    "--overwrite", is_flag=True, help="Replace an earlier result of this command in the output directory."
)
seed = click.option(
    "--seed", type=click.IntRange(0, 2**31 - 1), default=0, show_default=True, help="Seed of every random choice."
)
json_output = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON on stdout.")
modalities = click.option(
    "--modalities",
    callback=names,
    help="Modalities, separated by commas; acc stands for every accelerometer, imu for every sensor.  [default: all]",
)
protocol = click.option(
    "--protocol",
    help="cross-subject, cross-session, ..., leave-one-subject-out, 5-fold-subject, or a YAML file.  "
    "[default: the data's own]",
)
jobs = click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=None,
    help="Processes at the same time.  [default: one a core]",
)
cluster = click.option(
    "--cluster",
    metavar="ADDRESS",
    help="Do the work on the Dask cluster with this scheduler, as in tcp://10.0.0.1:8786, instead of --jobs here; its "
    "workers need mmtsa and must find the recordings under the same paths or URLs (extra `cluster`).",
)
root = click.option(
    "--root",
    type=LocalPath(),
    help="Directory that holds the recordings now, if the index was made on another machine.",
)
max_gap = click.option(
    "--max-gap",
    type=positive(),
    default=0.5,
    show_default=True,
    help="Longest gap in a series, in seconds, that is filled by interpolation.",
)
segments = click.option(
    "--segments", type=positive(int), default=3, show_default=True, help="Segments that a clip is cut into (N)."
)
window = click.option(
    "--window", type=positive(), default=2.0, show_default=True, help="Length of a sensor window in seconds."
)
frames = click.option(
    "--frames",
    type=positive(int),
    default=5,
    show_default=True,
    help="Candidate frames kept of each segment; the one nearest to the drawn time is taken.",
)
field = click.option(
    "--field",
    type=click.Choice(["sum", "difference"]),
    default="sum",
    show_default=True,
    help="Field of a window: cos(phi_i + phi_j), or sin(phi_i - phi_j).",
)
scaled_range = click.option(
    "--range",
    "scaled_range",
    type=click.Choice(["signed", "unit"]),
    default="signed",
    show_default=True,
    help="Rescale to [-1, 1], which hides a series' sign, or to [0, 1].",
)
settings = click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="One value over the recipe, as in training.epochs=9; may be repeated.",
)
seeds = click.option(
    "--seeds", type=positive(int), default=1, show_default=True, help="Trainings of each row, by so many seeds."
)
recipe_seed = click.option(
    "--seed",
    type=click.IntRange(0, 2**31 - 1),
    help="Seed of all that is random; the first of several.  [default: the recipe's]",
)
trainings_at_once = click.option(
    "--jobs",
    type=positive(int),
    default=1,
    show_default=True,
    help="Trainings at the same time, each with its share of the cores; times are only comparable with 1.",
)
