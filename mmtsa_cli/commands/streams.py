"""How a stream is asked for on the command line: options of `predict` beside those of recordings."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from mmtsa_cli.commands import console
from mmtsa_cli.commands.options import positive

_STREAM = click.option(
    "--stream", is_flag=True, help="Read sensor rows from standard input until it ends; write a JSON line a hop."
)
_CAMERA = click.option(
    "--camera",
    "cameras",
    multiple=True,
    metavar="[NAME=]SOURCE",
    help="With --stream: where frames come from, a camera's number, a URL, or a file, also one that still grows. "
    "Frames of a camera or URL count when they arrive.",
)
_CAMERA_START = click.option(
    "--camera-start",
    type=float,
    metavar="SECONDS",
    help="With --stream: time of a file's first frame on the clock of the rows.  [default: that of the first row]",
)
_CLOCK = click.option(
    "--clock",
    type=click.Choice(["stamps", "arrival"]),
    default="stamps",
    help="With --stream: time of a row, as it says or as it comes.  [default: stamps]",
)
_LATE = click.option(
    "--late",
    type=positive(),
    default=1.0,
    help="With --stream: seconds that a hop waits for rows or frames that are late.  [default: 1]",
)
_OF_STREAMS = ("cameras", "camera_start", "clock", "late")
_OF_RECORDINGS = ("recordings", "window", "draws", "seed", "root", "output", "rates", "dataset")


def or_stream(command: Any) -> Any:
    """Add `--stream` and its options to a command, which is called only without it."""

    @functools.wraps(command)
    def chosen(
        *arguments: Any,
        stream: bool,
        cameras: tuple[str, ...],
        camera_start: float | None,
        clock: str,
        late: float,
        **others: Any,
    ) -> Any:
        ctx = click.get_current_context()
        _refuse(ctx, _OF_RECORDINGS if stream else _OF_STREAMS, stream=stream)
        if not stream:
            return command(*arguments, **others)
        live = {"cameras": cameras, "camera_start_s": camera_start, "by_arrival": clock == "arrival", "late_s": late}
        return _run(others, live)

    for add in (_LATE, _CLOCK, _CAMERA_START, _CAMERA, _STREAM):
        chosen = add(chosen)
    return chosen


def _refuse(ctx: click.Context, names: Sequence[str], *, stream: bool) -> None:
    """Refuse options that were given and have no meaning here."""
    for parameter in ctx.command.params:
        said = ctx.get_parameter_source(str(parameter.name)) is ParameterSource.COMMANDLINE
        if parameter.name in names and said and ctx.params.get(str(parameter.name)) is not None:
            what = parameter.opts[0] if parameter.opts[0].startswith("-") else "RECORDINGS"
            raise click.UsageError(f"{what} has no meaning {'with' if stream else 'without'} --stream")


def _run(others: dict[str, Any], live: dict[str, Any]) -> int:
    from mmtsa_cli.stages import stream

    given, form = others["given"], others["file_format"]
    if given.files:
        name, path = given.files[0]
        raise click.UsageError(f"--{name} {path}: with --stream rows come from standard input, frames by --camera")
    if form not in (None, "jsonl"):
        raise click.UsageError(f"--format {form}: a stream is written as JSON lines")
    wishes = stream.StreamOptions(
        fold=others["fold"],
        hop_s=others["hop"],
        threshold=others["threshold"],
        top=others["top"],
        max_gap_s=others["max_gap"],
        calibration=others["calibration"],
        int8=others["int8"],
        **live,
    )
    run: Path = others["run"]
    about = stream.FileOptions(**given.about)
    result = stream.run(
        run, sys.stdin.buffer, _write, options=wishes, about=about, note=console.note, warn=console.warn
    )
    dropped = "".join(f", {count} x {reason}" for reason, count in result.dropped.items())
    console.note(f"{result.hops} hops, {result.unanswered} of them without a class; rows dropped: {dropped[2:] or 0}")
    return 0 if result.signal is None else 128 + result.signal


def _write(line: dict[str, Any]) -> None:
    # Flushed by echo: who reads the pipe waits for this hop.
    click.echo(json.dumps(line, ensure_ascii=False))
