"""`mmtsa synth`: synthetic recordings with known answers."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from mmtsa_cli.commands import console, options


@click.command()
@options.output_directory
@click.option("--subjects", type=int, default=8, show_default=True, help="People; the last quarter is for testing.")
@click.option("--repeats", type=int, default=3, show_default=True, help="Sessions a person; all activities in each.")
@click.option("--size", type=int, default=128, show_default=True, help="Width and height of the video, even.")
@click.option("--seconds", type=float, default=6.0, show_default=True, help="Length of a clip, at most.")
@click.option("--gestures", type=int, default=0, show_default=True, help="Invented gestures, each one more activity.")
@click.option(
    "--wear",
    type=click.Choice(["usual", "anywhere"]),
    default="usual",
    show_default=True,
    help="Phone in the pocket and watch on the wrist; or each anywhere on the body, in any orientation.",
)
@click.option("--video/--no-video", default=True, help="Sensors alone take a fraction of the time.")
@options.seed
@options.jobs
@options.overwrite
@options.json_output
def command(
    output: Path,
    subjects: int,
    repeats: int,
    size: int,
    seconds: float,
    gestures: int,
    wear: Literal["usual", "anywhere"],
    video: bool,
    seed: int,
    jobs: int | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Make synthetic recordings whose best possible scores are known.

    Reads nothing. Writes a directory with an index: video (MP4) of a jointed body in 14 activities, and what a phone in
    its pocket and a watch on its wrist read (CSV; sensors and rates of MMAct). Some activities look alike and move
    differently, some move alike and look different: the best accuracy of video alone and of sensors alone is 9/14
    each, that of both together 1; dataset.yaml says why. The same seed gives the same files. With invented gestures, or
    devices worn anywhere, the recordings are for pre-training, and no best score is known.

    \b
    Examples:
      mmtsa synth -o rec
      mmtsa synth -o rec --subjects 12 --repeats 4 --size 224 --seed 7
      mmtsa synth -o motions --gestures 86 --wear anywhere --no-video --subjects 24
    """  # noqa: D301
    from mmtsa_cli.stages import synth

    with console.progress("synth") as progress:
        result = synth.run(
            output,
            subjects=subjects,
            repeats=repeats,
            size=size,
            seconds=seconds,
            gestures=gestures,
            wear=wear,
            video=video,
            seed=seed,
            jobs=jobs,
            overwrite=overwrite,
            progress=progress,
        )
    console.print_result("Synthetic recordings", result, as_json=as_json)
