"""`mmtsa predict`: a training run and new recordings to classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mmtsa_cli.commands import console, options, recording_files, streams


@click.command(cls=recording_files.FilesByModality, options_metavar="[--MODALITY FILE]... [OPTIONS]")
@click.argument("run", type=options.Place())
@click.argument("recordings", type=options.Place(), required=False)
@recording_files.files
@recording_files.fold
@click.option(
    "--window",
    type=options.positive(),
    help="Slide a window of so many seconds: a time line.  [default: a recording is one clip]",
)
@click.option(
    "--hop",
    type=options.positive(),
    help="Seconds between windows.  [default: a third of the window; of a stream a segment of the training clips]",
)
@click.option("--top", type=options.positive(int), help="Name the K likeliest classes.  [default: table 1, files all]")
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1),
    default=0.0,
    help='Below this probability the class is "unknown".  [default: 0, never]',
)
@click.option(
    "--calibration",
    type=options.LocalPath(),
    help="Evaluation made by `mmtsa eval --calibrate`, whose temperature is applied.",
)
@click.option(
    "--int8",
    type=options.LocalPath(),
    metavar="EVAL",
    help="Evaluation made by `mmtsa eval --int8`: compute in 8-bit integers, with its scales.",
)
@click.option(
    "--draws", type=options.positive(int), help="Draws that are averaged.  [default: as the recipe, 1 with --window]"
)
@recording_files.max_gap
@options.seed
@options.root
@click.option(
    "--format",
    "file_format",
    type=click.Choice(["table", "jsonl", "csv", "srt", "vtt"]),
    help="Format of the result.  [default: as the output's name says, or a table]",
)
@click.option("-o", "--output", type=options.LocalPath(), help="File to write, whole or not at all.")
@streams.or_stream
def command(
    run: Path,
    recordings: Path | None,
    given: recording_files.Given,
    fold: str | None,
    window: float | None,
    hop: float | None,
    top: int | None,
    threshold: float,
    calibration: Path | None,
    int8: Path | None,
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

    With --stream, reads rows from standard input and writes a JSON line to stdout at the end of each hop. Rows are JSON
    lines, {"t": 12.34, "modality": "acc", "values": [x, y, z]} or {"t": 12.34, "acc": [x, y, z], "gyro": [...]}, or CSV
    below a header, time,acc_x,acc_y,acc_z,gyro_x,... or time,modality,x,y,z, or bare numbers: time, then the axes of
    the run's sensors. Times are those of the rows. A line without class has the reason.

    \b
    Examples:
      mmtsa predict run --rgb clip.mp4 --acc-watch acc.csv --top 3
      mmtsa predict run rec -o predictions.csv --calibration eval
      mmtsa predict run --rgb long.mp4 --acc-watch acc.csv --window 15 --hop 5 -o long.srt
      cat /dev/ttyACM0 | mmtsa predict run --stream --camera 0 --top 3
    """  # noqa: D301 - click takes the real backspace
    from mmtsa_cli.stages import predict

    form = predict.format_of(output, file_format)
    wishes = predict.PredictOptions(fold, window, hop, threshold, draws, max_gap, calibration, int8, seed)
    about, own = predict.FileOptions(**given.about), given.own_names
    with console.progress("predict") as progress:
        result = predict.run(
            run, recordings, given.files, options=wishes, about=about, root=root, own_options=own, progress=progress
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
