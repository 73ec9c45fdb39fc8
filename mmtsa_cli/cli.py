"""The command `mmtsa`: subcommands loaded when they are called, and the one place where errors become exit codes."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click

from mmtsa_cli import __version__
from mmtsa_cli.errors import ManyErrors, MmtsaError, Terminated, interruption

COMMANDS: dict[str, str] = {
    "synth": "Make synthetic recordings whose best possible scores are known.",
    "prepare": "Make an index over a dataset as its authors ship it.",
    "check": "Find every fault of recordings: file, row, what to do.",
    "show": "Look at recordings: a table of all, or a picture of one.",
    "imagify": "Turn sensor series into Gramian angular field images.",
    "sample": "Cut recordings into synchronous segments and pack them into a sample store.",
    "merge": "Make one sample store of shards that machines made apart.",
    "train": "Train MMTSA on a sample store.",
    "eval": "Evaluate a training run: metrics with intervals, predictions, confusion matrix.",
    "predict": "Predict new recordings with a training run: classes, or a time line of long ones.",
    "export": "Export a trained network as ONNX: verified, with int8, a model card and an example.",
    "explain": "Show why a run names a class: which segment, second, axis and modality decided.",
    "ablate": "Train on every subset of modalities, or with settings varied, and compare.",
    "benchmark": "Train, test and measure systems under one protocol, in one table.",
    "report": "Make one HTML page of trainings, evaluations, benchmarks and ablations.",
    "methods": "List the systems that `benchmark` compares, and what they cost.",
}
"""Name and help line of each subcommand; its code is `commands/NAME.py`, its function `command`."""


class LazyGroup(click.Group):
    """A group that imports a subcommand when it is called, so that `--help` stays quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the pipeline."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return the subcommand `cmd_name`."""
        if cmd_name not in COMMANDS:
            return None
        return importlib.import_module(f"mmtsa_cli.commands.{cmd_name}").command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """Find the subcommand; where there is none, offer the nearest."""
        from mmtsa_cli.errors import did_you_mean

        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            raise click.UsageError(f"no command {args[0]!r}; {did_you_mean(args[0], COMMANDS)}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the subcommands from the table, importing none."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="mmtsa")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def cli(debug: bool) -> None:
    """Recognise what people are doing, from video and wearable sensors together.

    Each command is one stage: it reads directories and writes one. From nothing at hand to an evaluated model:

    \b
      mmtsa synth -o rec
      mmtsa sample rec -o samples
      mmtsa train samples -o run
      mmtsa eval run samples -o eval
    """  # noqa: D301 - click takes the real backspace


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave the process: 0 done, 1 failed work, 2 wrong use, 130 Ctrl-C, 143 SIGTERM."""
    code = run(list(sys.argv[1:] if arguments is None else arguments))
    # All is said and done: a signal that comes while the interpreter leaves would print a traceback of it.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    sys.exit(code)


def run(arguments: list[str]) -> int:  # noqa: C901 - one branch for each way in which a command ends
    """Run the command line and return its exit code; the only place that catches errors."""
    debug = "--debug" in arguments or os.environ.get("MMTSA_DEBUG") == "1"
    # Accepted anywhere on the line: whoever repeats a failed command adds it at the end.
    arguments = [argument for argument in arguments if argument != "--debug"]
    try:
        with _sigterm_raises():
            result = cli.main(args=arguments, prog_name="mmtsa", standalone_mode=False)
    except (click.exceptions.Abort, KeyboardInterrupt) as stop:
        return _interrupted(stop)
    except click.ClickException as error:
        _say(error.format_message())
        return error.exit_code
    except BrokenPipeError:
        # The reader of our output (`head`) has gone: nothing is left to say, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except ManyErrors as error:
        if debug:
            raise
        for inner in error.errors:
            _say(inner.line())
        return error.exit_code
    except MmtsaError as error:
        if debug:
            raise
        _say(error.line())
        return error.exit_code
    # The boundary: a bug of ours ends in one line as well.
    except Exception as error:
        if debug:
            raise
        _say(_unforeseen(error))
        return 1
    return result if isinstance(result, int) else 0


@contextmanager
def _sigterm_raises() -> Iterator[None]:
    """Let SIGTERM, which would end the process where it stands, clear up as Ctrl-C does; ignored, it stays so."""
    mine = threading.current_thread() is threading.main_thread()
    if not mine or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return

    def end(number: int, frame: Any) -> None:
        raise interruption(number)

    signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _interrupted(stop: BaseException) -> int:
    # Click makes an Abort of KeyboardInterrupt, which it names as its cause.
    terminated = isinstance(stop, Terminated) or isinstance(stop.__cause__, Terminated)
    click.echo(f"mmtsa: {'terminated' if terminated else 'interrupted'}", err=True)
    return 143 if terminated else 130


def _unforeseen(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename:
        # What was there when it was looked for, and is no more: a disk that was unplugged, a folder that was moved.
        return MmtsaError(f"cannot be read or written: {error.strerror or error}", where=str(error.filename)).line()
    what = MmtsaError(f"internal error: {type(error).__name__}: {error}")
    return f"{what.line()}; add --debug for the traceback and report it"


def _say(text: str) -> None:
    click.echo(f"mmtsa: error: {text}", err=True)
