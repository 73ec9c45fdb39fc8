"""`mmtsa train`: a sample store and a recipe to a training run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mmtsa_cli.commands import console, options


@click.command()
@click.argument("samples", type=options.Place(), required=False)
@options.output_unless_shown
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
@click.option(
    "--nproc",
    type=options.positive(int),
    help="Train by so many processes of this machine (torchrun): each takes its part of every batch.",
)
@click.option(
    "--max-restarts",
    type=click.IntRange(min=0),
    default=3,
    show_default=True,
    help="With --nproc: how often all go on from the last checkpoint as one of them has died.",
)
@click.option("--resume", is_flag=True, help="Go on with a training that was interrupted.")
@click.option("--show-recipe", is_flag=True, help="Print the whole recipe as YAML, defaults included; train nothing.")
@options.overwrite
@options.json_output
def command(
    samples: Path | None,
    output: Path | None,
    recipe: str | None,
    settings: tuple[str, ...],
    protocol: str | None,
    modalities: tuple[str, ...] | None,
    backbone: str | None,
    modality_dropout: float | None,
    deterministic: bool,
    seed: int | None,
    nproc: int | None,
    max_restarts: int,
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
      mmtsa train samples -o run --nproc 2 --set training.sync_norm=true
      torchrun --nnodes 2 --nproc-per-node 8 --rdzv-endpoint HOST:29400 -m mmtsa_cli train samples -o run --resume
    """  # noqa: D301 - click takes the real backspace
    from mmtsa_cli.stages.trainings import group

    if backbone:
        settings = (*settings, f"model.backbone={backbone}")
    if modality_dropout is not None:
        settings = (*settings, f"model.modality_dropout={modality_dropout}")
    if deterministic:
        settings = (*settings, "training.deterministic=true")
    if show_recipe:
        from mmtsa_cli.stages import train

        click.echo(train.show_recipe(recipe, settings, modalities, seed), nl=False)
        return
    if output is None:
        raise click.UsageError("missing option -o / --output")
    wishes = {"recipe": recipe, "settings": settings, "protocol": protocol, "modalities": modalities, "seed": seed}
    with console.training_log() as log:
        told = {"listen": log, "warn": console.warn}
        result = _run(
            samples or _synthetic(), output, nproc, max_restarts, resume=resume, overwrite=overwrite, **wishes, **told
        )
    if not group.speaks():
        return
    if not result.fresh:
        console.note(f"{output} already holds this result")
    if as_json:
        console.print_json(result.facts)
    else:
        console.print_rows(f"Training run {output}, {result.facts['protocol']}", result.facts["folds"])


def _synthetic() -> Path:
    from mmtsa_cli.stages import defaults
    from mmtsa_cli.stages.trainings import group

    if not group.is_alone():
        raise click.UsageError("name SAMPLES: several processes cannot make synthetic ones in one place")
    return defaults.synthetic_samples(note=console.note)


def _run(samples: Path, output: Path, nproc: int | None, max_restarts: int, **wishes: Any) -> Any:
    """Train in this process, or let others; only the one that trains needs torch."""
    if nproc:
        from mmtsa_cli.stages.trainings import group

        return group.run(samples, output, processes=nproc, restarts=max_restarts, **wishes)
    from mmtsa_cli.stages import train

    return train.run(samples, output, **wishes)
