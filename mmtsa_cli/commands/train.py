"""`mmtsa train`: a sample store and a recipe to a training run."""

from __future__ import annotations

from pathlib import Path

import click

from mmtsa_cli.commands import console, options


@click.command()
@click.argument("samples", type=click.Path(path_type=Path), required=False)
@options.output_directory
@click.option(
    "--recipe", help="A YAML file, or a recipe of the package: utd-mhad, paper, synthetic.  [default: recommended]"
)
@options.settings
@options.protocol
@options.modalities
@click.option("--backbone", help="bn_inception, resnet10 or a classification model of torchvision, over the recipe.")
@click.option(
    "--modality-dropout",
    type=click.FloatRange(0, 0.9),
    help="Chance that a training clip lacks a modality, over the recipe: afterwards any may be missing.",
)
@click.option(
    "--deterministic",
    is_flag=True,
    help="Bitwise equal runs on one machine; what that costs is measured and told.",
)
@options.recipe_seed
@click.option("--resume", is_flag=True, help="Go on with a training that was interrupted.")
@click.option("--show-recipe", is_flag=True, help="Print the whole recipe as YAML, defaults included, and stop.")
@options.overwrite
@options.json_output
def command(
    samples: Path | None,
    output: Path,
    recipe: str | None,
    settings: tuple[str, ...],
    protocol: str | None,
    modalities: tuple[str, ...] | None,
    backbone: str | None,
    modality_dropout: float | None,
    deterministic: bool,
    seed: int | None,
    resume: bool,
    show_recipe: bool,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Train MMTSA on SAMPLES, one network a fold of the protocol.

    Reads a sample store (from `mmtsa sample`); without one, synthetic recordings, made once in the user's cache. Writes
    per fold the best and the last weights (safetensors), the log, the curves and what makes the weights a model again.
    An interrupted training stays as OUTPUT.partial, and --resume goes on with it to the same result.

    \b
    Examples:
      mmtsa train samples -o run --recipe utd-mhad
      mmtsa train samples -o run --protocol leave-one-subject-out --set training.epochs=20
    """  # noqa: D301 - click takes the real backspace
    from mmtsa_cli.stages import defaults, train

    if backbone:
        settings = (*settings, f"model.backbone={backbone}")
    if modality_dropout is not None:
        settings = (*settings, f"model.modality_dropout={modality_dropout}")
    if deterministic:
        settings = (*settings, "training.deterministic=true")
    if show_recipe:
        click.echo(train.show_recipe(recipe, settings), nl=False)
        return
    if samples is None:
        samples = defaults.synthetic_samples(note=console.note)
    with console.training_log() as log:
        result = train.run(
            samples,
            output,
            recipe=recipe,
            settings=settings,
            protocol=protocol,
            modalities=modalities,
            seed=seed,
            resume=resume,
            overwrite=overwrite,
            listen=log,
        )
    if not result.fresh:
        console.note(f"{output} already holds this result")
    if as_json:
        console.print_json(result.facts)
    else:
        console.print_rows(f"Training run {output}, {result.facts['protocol']}", result.facts["folds"])
