"""`mmtsa ablate`: the network without some of its modalities, or with other settings, in one table."""

from __future__ import annotations

from pathlib import Path

import click

from mmtsa_cli.commands import console, options

_DEFAULT_OUTPUT = Path("ablate")


@click.command()
@click.argument("samples", type=options.Place(), required=False)
@click.option(
    "-o",
    "--output",
    type=options.Place(),
    help="Directory to write, or a URL; it appears when it is whole.  [default: ablate]",
)
@click.option(
    "--modalities",
    callback=options.names,
    help="Every subset of these is trained; acc stands for every accelerometer, imu for every sensor, and a group "
    "stays together.  [default: all; where settings are varied, all together and no subsets]",
)
@click.option("--fusion", help="Vary the fusion over segments: concat (also called average), attention.")
@click.option("--segments", help="Vary the number of segments, as in 1,3,5,8.")
@click.option("--window", help="Vary the length of sensor windows in seconds, as in 1,2.")
@click.option("--scale", help="Vary how series are rescaled: window, clip, dataset.")
@click.option("--backbone", help="Vary the backbone: bn_inception, resnet10 or one of torchvision.")
@click.option("--image-size", help="Vary the size of sensor images in pixels, as in 32,64.")
@click.option(
    "--vary", "varied", multiple=True, metavar="KEY=VALUES", help="Vary any key of the recipe; may be repeated."
)
@click.option(
    "--one-at-a-time",
    is_flag=True,
    help="Train the recipe as it is, and each varied value alone, instead of every combination; differences are to "
    "the recipe.",
)
@click.option(
    "--recipe", help="A YAML file, or a recipe of the package.  [default: recommended; without SAMPLES ablate-small]"
)
@options.settings
@click.option(
    "--warm-start",
    is_flag=True,
    help="Start the encoders of several modalities from trainings of each alone.",
)
@options.protocol
@options.seeds
@options.recipe_seed
@options.trainings_at_once
@options.overwrite
@options.json_output
def command(
    samples: Path | None,
    output: Path | None,
    modalities: tuple[str, ...] | None,
    varied: tuple[str, ...],
    one_at_a_time: bool,
    recipe: str | None,
    settings: tuple[str, ...],
    warm_start: bool,
    protocol: str | None,
    seeds: int,
    seed: int | None,
    jobs: int,
    overwrite: bool,
    as_json: bool,
    **named: str | None,
) -> None:
    """Train MMTSA on every subset of its modalities, or with settings varied, and compare.

    Reads a sample store (from `mmtsa sample`); without one, synthetic recordings, made once in the user's cache, whose
    best possible accuracy stands beside the measured one. Where several things are varied, every combination is
    trained. Writes table.md, .csv, .tex and .json (scores with intervals, size, work, the paper's own figures where
    there are any), differences.* (each row against the best), and the predictions of every training. An interrupted
    ablation stays as OUTPUT.partial, and the same command goes on with it.

    \b
    Examples:
      mmtsa ablate --modalities rgb,acc
      mmtsa ablate samples -o table5 --fusion concat,attention --seeds 3
      mmtsa ablate samples -o lr --set 'modalities=[rgb, gyro]' --vary training.lr=0.001,0.002 --segments 3,5
      mmtsa ablate samples -o levers --one-at-a-time --vary model.dropout=0,0.5 --vary training.mixup=0.2 --seeds 3
    """  # noqa: D301 - click takes the real backspace
    from mmtsa_cli.stages import ablate, defaults

    if warm_start:
        settings = (*settings, "warm_start=true")
    if output is None:
        output = _DEFAULT_OUTPUT
        console.note(f"no output named: writing {output}")
    recipe = recipe or ("ablate-small" if samples is None else "recommended")
    if samples is None:
        samples = defaults.synthetic_samples(note=console.note)
    with console.progress("train") as progress:
        result = ablate.run(
            samples,
            output,
            modalities=modalities,
            named={name.replace("_", "-"): text for name, text in named.items()},
            varied=varied,
            recipe=recipe,
            settings=settings,
            protocol=protocol,
            seeds=seeds,
            seed=seed,
            jobs=jobs,
            one_at_a_time=one_at_a_time,
            overwrite=overwrite,
            progress=progress,
            note=console.note,
        )
    if not result.fresh:
        console.note(f"{output} already holds this result")
    console.warn_of([f"{failure['row']} failed: {failure['reason']}" for failure in result.facts["failures"]])
    if as_json:
        console.print_json(result.facts)
    else:
        click.echo(result.text, nl=False)
