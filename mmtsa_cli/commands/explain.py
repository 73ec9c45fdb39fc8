"""`mmtsa explain`: why a training run names the class of a recording."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from mmtsa_cli.commands import console, options, recording_files


@click.command(cls=recording_files.FilesByModality, options_metavar="[--MODALITY FILE]... [OPTIONS]")
@click.argument("run", type=options.Place())
@click.argument("recordings", type=options.Place(), required=False)
@click.option(
    "-o",
    "--output",
    type=options.LocalPath(),
    required=True,
    help="Picture to write, .png; the numbers go into the .json file beside it.",
)
@click.option("--id", "name", metavar="ID", help="Which of the recordings.  [default: the only one]")
@click.option("--class", "label", metavar="LABEL", help="Class to be explained.  [default: the one that is named]")
@recording_files.files
@recording_files.fold
@click.option("--draws", type=options.positive(int), help="Draws that are averaged.  [default: as the recipe]")
@recording_files.max_gap
@options.seed
@options.root
@options.json_output
def command(
    run: Path,
    recordings: Path | None,
    output: Path,
    name: str | None,
    label: str | None,
    given: recording_files.Given,
    fold: str | None,
    draws: int | None,
    max_gap: float | None,
    seed: int,
    root: Path | None,
    as_json: bool,
) -> None:
    """Show why a training RUN names the class of a recording.

    Reads RECORDINGS, a directory with an index, of which --id names one, or the files of one recording, as `mmtsa
    predict` does. Writes a picture: attention over the segments, Grad-CAM over frames and fields, and under each axis
    of each sensor which second of it spoke for the class; the probability without each modality, and with each axis
    at rest. Beside it, as JSON, the numbers. Grad-CAM shows where a network looked, not what it would have said of
    another recording; leaving out says that.

    \b
    Examples:
      mmtsa explain run --rgb clip.mp4 --acc-watch acc.csv -o why.png
      mmtsa explain run rec --id a1_s1_t1 -o why.png --class wave
    """  # noqa: D301 - click takes the real backspace
    from mmtsa_cli.stages import explain, predict

    wishes = predict.PredictOptions(fold=fold, draws=draws, max_gap_s=max_gap, seed=seed)
    with console.progress("explain") as progress:
        result = explain.run(
            run,
            recordings,
            given.files,
            output,
            name=name,
            label=label,
            options=wishes,
            about=predict.FileOptions(**given.about),
            root=root,
            own_options=given.own_names,
            progress=progress,
        )
    for text in result.notes:
        console.note(text)
    console.warn_of(result.warnings, rest="see `mmtsa check`")
    if as_json:
        console.print_json(result.facts)
        return
    console.print_facts(f"Picture {output}", _summary(result.facts))


def _summary(facts: Mapping[str, Any]) -> dict[str, Any]:
    modalities = facts["modalities"]
    peaks = [peak for name, its in modalities.items() for peak in _peaks(name, its.get("axes", {}))]
    without = [
        f"{name} {its['probability_without']:.3f}" for name, its in modalities.items() if "probability_without" in its
    ]
    return {
        "recording": facts["recording"],
        "class": f"{facts['class']}, probability {facts['probability']:.3f}",
        "attention_to_segments": [f"{weight:.3f}" for weight in facts["attention"]],
        "probability_without": without,
        "most_important": [text for peak, text in sorted(peaks, reverse=True)[:3] if peak],
    }


def _peaks(name: str, axes: Mapping[str, Any]) -> list[tuple[float, str]]:
    """Return importance and text of each axis' peak; of the sensor's, where resting did not tell its axes apart."""
    if len(axes) > 1 and len({axis["share"] for axis in axes.values()}) == 1:
        first = next(iter(axes.values()))
        return [(first["peak"], f"{name} at {first['peak_s']:.2f} s")]
    return [(axis["peak"], f"{name} {label} at {axis['peak_s']:.2f} s") for label, axis in axes.items()]
