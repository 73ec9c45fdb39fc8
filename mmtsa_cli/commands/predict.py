"""`mmtsa predict`: a training run and new recordings to classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mmtsa_cli.commands import console, options

_FILES = "mmtsa_cli.predict.files"


class _FilesByModality(click.Command):
    """A command with one option a modality, whatever modalities the run has: `--acc-watch acc.csv`.

    Options that are not its own are taken out of the line, each with its value, and left in the context; whether a
    run has such a modality only the run says.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take out the files of modalities, and parse the rest."""
        own = {name for parameter in self.get_params(ctx) for name in (*parameter.opts, *parameter.secondary_opts)}
        files, rest, words = [], [], list(args)
        while words:
            word = words.pop(0)
            option, equals, value = word.partition("=")
            if word == "--":
                rest += [word, *words]
                break
            if not word.startswith("--") or option in own:
                rest.append(word)
                continue
            if not equals:
                if not words or words[0].startswith("--"):
                    raise click.BadOptionUsage(option, f"{option}: no such option, and as a modality it needs a file")
                value = words.pop(0)
            files.append((option[2:], Path(value)))
        ctx.meta[_FILES] = files
        return super().parse_args(ctx, rest)


def _named_files(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> list[tuple[str, Path]]:
    """Turn `NAME=PATH` into pairs."""
    pairs = [value.partition("=") for value in values]
    for value, (name, _, path) in zip(values, pairs, strict=True):
        if not name or not path:
            raise click.BadParameter(f"expected NAME=PATH, found {value}")
    return [(name, Path(path)) for name, _, path in pairs]


@click.command(cls=_FilesByModality, options_metavar="[--MODALITY FILE]... [OPTIONS]")
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("recordings", type=click.Path(path_type=Path), required=False)
@click.option(
    "--input",
    "inputs",
    multiple=True,
    metavar="NAME=PATH",
    callback=_named_files,
    help="File of a modality of the run; --NAME PATH is the same. May be repeated.",
)
@click.option(
    "--columns",
    multiple=True,
    metavar="NAME=COLUMNS",
    help="Columns of a file's axes, by number from 1 or by name: acc=2,3,4.  [default: all but time]",
)
@click.option(
    "--unit", "units", multiple=True, metavar="NAME=UNIT", help="Unit of a file, to be converted to the run's: acc=g."
)
@click.option(
    "--rate", "rates", multiple=True, metavar="NAME=HZ", help="Samples a second of a file without timestamps: acc=50."
)
@click.option(
    "--dataset",
    type=click.Path(path_type=Path),
    help="A dataset.yaml that says all else of the files: offsets, time columns, streams of a camera.",
)
@click.option("--fold", help="Network of one fold of the run.  [default: the mean of all]")
@click.option(
    "--window",
    type=options.positive(),
    help="Slide a window of so many seconds: a time line.  [default: a recording is one clip]",
)
@click.option("--hop", type=options.positive(), help="Seconds between windows.  [default: a third of the window]")
@click.option("--top", type=options.positive(int), help="Name the K likeliest classes.  [default: table 1, files all]")
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1),
    default=0.0,
    help='Below this probability the class is "unknown".  [default: 0, never]',
)
@click.option(
    "--calibration",
    type=click.Path(path_type=Path),
    help="Evaluation made by `mmtsa eval --calibrate`, whose temperature is applied.",
)
@click.option(
    "--draws", type=options.positive(int), help="Draws that are averaged.  [default: as the recipe, 1 with --window]"
)
@click.option(
    "--max-gap",
    type=options.positive(),
    help="Longest gap in a series, in seconds, that is filled by interpolation.  [default: as in training]",
)
@options.seed
@options.root
@click.option(
    "--format",
    "file_format",
    type=click.Choice(["table", "jsonl", "csv", "srt", "vtt"]),
    help="Format of the result.  [default: as the output's name says, or a table]",
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="File to write, whole or not at all.")
@click.pass_context
def command(
    ctx: click.Context,
    run: Path,
    recordings: Path | None,
    inputs: list[tuple[str, Path]],
    columns: tuple[str, ...],
    units: tuple[str, ...],
    rates: tuple[str, ...],
    dataset: Path | None,
    fold: str | None,
    window: float | None,
    hop: float | None,
    top: int | None,
    threshold: float,
    calibration: Path | None,
    draws: int | None,
    max_gap: float | None,
    seed: int,
    root: Path | None,
    file_format: str | None,
    output: Path | None,
) -> None:
    """Predict what is done in new recordings with a training RUN.

    Reads RECORDINGS, a directory with an index (labels may be missing), or the files of one recording, one for each
    modality of the run: --rgb clip.mp4 --acc-watch acc.csv. Writes to stdout, or to a file, the class of each
    recording with its probabilities and the attention to its segments; with --window a time line of each recording,
    its probabilities smoothed over the windows that cover a moment. Times are seconds from the first frame of the
    video, without one from the first sample of the first sensor.

    \b
    Examples:
      mmtsa predict run --rgb clip.mp4 --acc-watch acc.csv --top 3
      mmtsa predict run rec -o predictions.csv --calibration eval
      mmtsa predict run --rgb long.mp4 --acc-watch acc.csv --window 15 --hop 5 -o long.srt
    """  # noqa: D301 - click takes the real backspace
    from mmtsa_cli.stages import predict

    form = predict.format_of(output, file_format)
    files = [*inputs, *ctx.meta[_FILES]]
    wishes = predict.PredictOptions(fold, window, hop, threshold, draws, max_gap, calibration, seed)
    about = predict.FileOptions(columns, units, rates, dataset)
    own = [name.lstrip("-") for parameter in ctx.command.params for name in parameter.opts if name.startswith("--")]
    with console.progress("predict") as progress:
        result = predict.run(
            run, recordings, files, options=wishes, about=about, root=root, own_options=own, progress=progress
        )
    for text in result.notes:
        console.note(text)
    left_out = [f"{name} left out: {error}" for name, error in result.left_out.items()]
    console.warn_of([*result.warnings, *left_out], rest="see `mmtsa check`")
    if form == "table":
        _print(result, top or 1)
        return
    text = predict.as_text(result, form, top=top)
    if output is None:
        click.echo(text, nl=False)
        return
    predict.write(output, text)
    console.note(f"{output}: {len(result.predictions)} predictions")


def _print(result: Any, top: int) -> None:
    several = len({one.recording for one in result.predictions}) > 1
    attended = any(one.attention for one in result.predictions)
    columns = [*(["recording"] if several else []), "start s", "end s", "class", "confidence"]
    columns += [*(["then"] if top > 1 else []), *(["attention to segments"] if attended else [])]
    title = "Predictions" if several else f"Prediction of {result.predictions[0].recording}"
    console.print_table(title, columns, [_row(one, top, several) for one in result.predictions])


def _row(one: Any, top: int, several: bool) -> list[Any]:
    row = [*([one.recording] if several else []), one.start_s, one.end_s, one.name, one.confidence]
    if top > 1:
        row.append(", ".join(f"{name} {p:.3f}" for name, p in one.likeliest(top) if name != one.name))
    if one.attention:
        row.append(" ".join(f"{weight:.3f}" for weight in one.attention))
    return row
