"""The manual says what is true: every command line in README.md and in the help parses, every link leads somewhere."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from mmtsa_cli.cli import COMMANDS, cli

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
_VALUES = re.compile(r"[$<>|;&]|\.\.\.")


def readme() -> str:
    assert README.is_file(), "there is no README.md"
    return README.read_text(encoding="utf-8")


def blocks() -> list[str]:
    """Return the code blocks of README.md."""
    return re.findall(r"^```[a-z]*\n(.*?)^```", readme(), re.MULTILINE | re.DOTALL)


def command_lines(text: str) -> list[str]:
    """Return the lines that begin with mmtsa, a prompt before them or not; those that go on with a backslash joined."""
    lines = [line.strip().removeprefix("$ ") for line in text.replace("\\\n", " ").splitlines()]
    return [line.split("  #")[0].strip() for line in lines if line.startswith(("mmtsa ", "$ mmtsa "))]


def help_of(name: str) -> str:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    return command.get_help(click.Context(command, info_name=f"mmtsa {name}"))


def parse(line: str) -> None:
    """Parse a command line without running it; raise what click says of options, types and arguments."""
    # What a reader pipes, or puts the output into, is the shell's.
    words = shlex.split(re.split(r"\s(?:\||>|2>|&&)", line)[0])[1:]
    context = click.Context(cli, info_name="mmtsa")
    if words[0].startswith("-"):
        cli.make_context("mmtsa", words, resilient_parsing=False)
        return
    name, command, arguments = cli.resolve_command(context, words)
    assert command is not None
    if {"--help", "-h"} & set(arguments):
        return
    with command.make_context(name, arguments, parent=context):
        pass


EXAMPLES = {name: command_lines(help_of(name)) for name in COMMANDS}


def test_the_parser_of_this_test_rejects_what_is_wrong() -> None:
    parse("mmtsa sample rec -o samples --segments 8")
    for line, error in (
        ("mmtsa sample rec -o samples --segmants 8", click.NoSuchOption),
        ("mmtsa sample rec -o samples --segments x", click.BadParameter),
        ("mmtsa sample rec", click.MissingParameter),
        ("mmtsa sample rec too many -o samples", click.UsageError),
        ("mmtsa sampel rec -o samples", click.UsageError),
    ):
        with pytest.raises(error):
            parse(line)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_has_two_examples_that_parse(name: str) -> None:
    assert len(EXAMPLES[name]) >= 2, help_of(name)
    for line in EXAMPLES[name]:
        assert line.startswith(f"mmtsa {name} ")
        parse(line)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_says_what_is_read_and_written_and_of_every_option_what_it_does(name: str) -> None:
    text = " ".join(help_of(name).split())
    assert re.search(r"\b[Rr]eads\b", text), text
    assert re.search(r"\b[Ww]rites\b|nothing is written|writes nothing|changes nothing", text), text
    command = cli.get_command(click.Context(cli), name)
    for parameter in command.params:
        if isinstance(parameter, click.Option) and parameter.name != "help":
            assert parameter.help, parameter.name
            assert parameter.help[0].isupper() or not parameter.help[0].isalpha() or "," in parameter.help


def test_the_examples_of_the_group_parse() -> None:
    lines = command_lines(cli.get_help(click.Context(cli, info_name="mmtsa")))
    assert len(lines) >= 4
    for line in lines:
        parse(line)


def test_every_command_is_in_the_readme_with_an_example() -> None:
    shown = {line.split()[1] for block in blocks() for line in command_lines(block)}
    assert set(COMMANDS) <= shown, f"without example: {set(COMMANDS) - shown}"
    for name in COMMANDS:
        assert f"`{name}`" in readme() or f"`mmtsa {name}" in readme(), f"{name} is not described"


def test_every_example_of_the_readme_parses() -> None:
    lines = [line for block in blocks() for line in command_lines(block)]
    wrong = [f"{line}: {problem}" for line in lines if (problem := _problem(line))]
    assert not wrong, "\n".join(wrong)
    assert len(lines) >= len(COMMANDS)


def test_what_the_sentences_of_the_readme_name_exists() -> None:
    named = [text for text in re.findall(r"(?<!`)`(mmtsa [^`\n]+)`(?!`)", readme()) if not _VALUES.search(text)]
    # A sentence names a command, or an option of it, without what else it needs.
    lines = [text for text in named if text.split()[1] != "COMMAND"]
    wrong = [f"{line}: {problem}" for line in lines if (problem := _problem(line, whole=False))]
    assert lines
    assert not wrong, "\n".join(wrong)


def _problem(line: str, *, whole: bool = True) -> str | None:
    try:
        parse(line)
    except click.MissingParameter as error:
        return error.format_message() if whole else None
    except click.ClickException as error:
        return error.format_message()
    return None


def test_the_readme_opens_with_the_two_commands() -> None:
    first = [line.split("#")[0].strip() for line in blocks()[0].splitlines() if line.strip()]
    assert [line for line in first if line] == ["bash recipes/demo.sh", "bash tests/run.sh"]


def test_links_and_pictures_of_the_readme_are_there() -> None:
    text = re.sub(r"^```.*?^```", "", readme(), flags=re.MULTILINE | re.DOTALL)
    targets = re.findall(r"\]\(([^)\s]+)[^)]*\)", text) + re.findall(r"(?:src|href)=\"([^\"]+)\"", text)
    headings = {_anchor(title) for title in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}
    missing = []
    for target in targets:
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        if (path and not (ROOT / path).exists()) or (not path and anchor not in headings):
            missing.append(target)
    assert not missing, f"lead nowhere: {missing}"


def _anchor(title: str) -> str:
    return re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-")
