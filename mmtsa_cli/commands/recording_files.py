"""How the files of one recording are given on the command line: an option a modality, and what is said of each."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from mmtsa_cli.commands.options import LocalPath, positive

_FILES = "mmtsa_cli.recording_files"


class FilesByModality(click.Command):
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


@dataclass(frozen=True)
class Given:
    """The files of one recording as they stood on the command line, and what is said of them.

    Attributes
    ----------
    files : list of (modality, path)
        Those of `--input`, then those of `--MODALITY`.
    about : mapping
        What `FileOptions` takes, by its names.
    own_names : list of str
        The command's own options, which a misspelt modality may have been meant to be.
    """

    files: list[tuple[str, Path]]
    about: Mapping[str, Any]
    own_names: list[str]


def _own_names(ctx: click.Context) -> list[str]:
    return [name.lstrip("-") for parameter in ctx.command.params for name in parameter.opts if name.startswith("--")]


def _named_files(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> list[tuple[str, Path]]:
    """Turn `NAME=PATH` into pairs."""
    pairs = [value.partition("=") for value in values]
    for value, (name, _, path) in zip(values, pairs, strict=True):
        if not name or not path:
            raise click.BadParameter(f"expected NAME=PATH, found {value}")
    return [(name, Path(path)) for name, _, path in pairs]


_INPUT = click.option(
    "--input",
    "inputs",
    multiple=True,
    metavar="NAME=PATH",
    callback=_named_files,
    help="File of a modality of the run; --NAME PATH is the same. May be repeated.",
)
_COLUMNS = click.option(
    "--columns",
    multiple=True,
    metavar="NAME=COLUMNS",
    help="Columns of a file's axes, by number from 1 or by name: acc=2,3,4.  [default: all but time]",
)
_UNIT = click.option(
    "--unit", "units", multiple=True, metavar="NAME=UNIT", help="Unit of a file, to be converted to the run's: acc=g."
)
_RATE = click.option(
    "--rate", "rates", multiple=True, metavar="NAME=HZ", help="Samples a second of a file without timestamps: acc=50."
)
_DATASET = click.option(
    "--dataset",
    type=LocalPath(),
    help="A dataset.yaml that says all else of the files: offsets, time columns, streams of a camera.",
)


def files(command: Any) -> Any:
    """Add `--input` and the options that say what a file holds; the command gets them as one argument, `given`."""

    @functools.wraps(command)
    def gathered(
        *arguments: Any,
        inputs: list[tuple[str, Path]],
        columns: tuple[str, ...],
        units: tuple[str, ...],
        rates: tuple[str, ...],
        dataset: Path | None,
        **others: Any,
    ) -> Any:
        ctx = click.get_current_context()
        about = {"columns": columns, "units": units, "rates": rates, "description": dataset}
        given = Given([*inputs, *ctx.meta[_FILES]], about, _own_names(ctx))
        return command(*arguments, given=given, **others)

    for add in (_DATASET, _RATE, _UNIT, _COLUMNS, _INPUT):
        gathered = add(gathered)
    return gathered


fold = click.option("--fold", help="Network of one fold of the run.  [default: the mean of all]")
max_gap = click.option(
    "--max-gap",
    type=positive(),
    help="Longest gap in a series, in seconds, that is filled by interpolation.  [default: as in training]",
)
