"""The errors that a person at the terminal reads: types with fields, made into one line at one place (`cli.py`)."""

from __future__ import annotations

import difflib
import signal
from collections.abc import Iterable, Sequence

_LONGEST_PART = 4000
"""Characters of a part of a message; files can hold names as long as themselves."""


class Terminated(KeyboardInterrupt):
    """SIGTERM, as a batch system sends it before it kills: whatever lets go on Ctrl-C lets go of this too."""


def interruption(number: int | None) -> KeyboardInterrupt:
    """Return what a signal raises: `Terminated` for SIGTERM, KeyboardInterrupt for any other."""
    return Terminated() if number == signal.SIGTERM else KeyboardInterrupt()


class MmtsaError(Exception):
    """Work that failed, in the five parts that its reader needs.

    Parameters
    ----------
    what : str
        What is wrong, as a short phrase ("not a number").
    where : str, optional
        File and row, option or key ("imu.csv, row 17, column 2").
    expected, found : str, optional
        What would have been right, and what stood there instead.
    remedy : str, optional
        What to do about it ("give --max-gap 0.5 to fill it").
    """

    exit_code = 1

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        expected: str | None = None,
        found: str | None = None,
        remedy: str | None = None,
    ) -> None:
        self.what = what
        self.where = where
        self.expected = expected
        self.found = found
        self.remedy = remedy
        super().__init__(self.line())

    def line(self) -> str:
        """Return the whole error as one line, of printable characters whatever the files hold that it speaks of."""
        what, where, expected, found, remedy = map(
            _shown, (self.what, self.where, self.expected, self.found, self.remedy)
        )
        parts = [f"{where}: {what}" if where else what]
        if expected:
            parts.append(f"expected {expected}")
        if found:
            parts.append(f"found {found}")
        text = ", ".join(parts)
        return f"{text}; {remedy}" if remedy else text


def _shown(text: str | None) -> str:
    """Return a text as a terminal may get it: on one line, its control characters escaped, not without end."""
    plain = " ".join((text or "").split())
    if len(plain) > _LONGEST_PART:
        plain = f"{plain[:_LONGEST_PART]}..."
    if plain.isprintable():
        return plain
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in plain)


class UsageError(MmtsaError):
    """A wrong option, argument, recipe or other wish that cannot be met as it was put (exit code 2)."""

    exit_code = 2


class DataError(MmtsaError):
    """A file of the user's that is damaged, missing or not what it should be (exit code 1)."""


class ArtifactError(MmtsaError):
    """A directory of ours, or one that should be, that cannot be read or written (exit code 1)."""


class ManyErrors(MmtsaError):  # noqa: N818 - it is several
    """Several errors found in one pass, each on its own line.

    Parameters
    ----------
    errors : sequence of MmtsaError
        At least one; the exit code is the largest of theirs.
    """

    def __init__(self, errors: Sequence[MmtsaError]) -> None:
        self.errors = tuple(errors)
        self.exit_code = max(error.exit_code for error in errors)
        super().__init__("; ".join(error.line() for error in errors))

    def __reduce__(self) -> tuple[type[ManyErrors], tuple[tuple[MmtsaError, ...]]]:
        """Let other processes raise it (an exception is otherwise made anew from its text)."""
        return ManyErrors, (self.errors,)


def nearest(name: object, names: Iterable[object], *, likeness: float = 0.6) -> str | None:
    """Return the one of `names` that `name` was probably meant to be, or None; `likeness` 1 asks for the same."""
    close = difflib.get_close_matches(str(name), [str(other) for other in names], n=1, cutoff=likeness)
    return close[0] if close else None


def did_you_mean(name: object, names: Iterable[object]) -> str:
    """Return a remedy: the nearest of `names` if there is one, else all of them."""
    choices = sorted(map(str, names))
    close = nearest(name, choices)
    return f"did you mean {close}?" if close else f"choose from {', '.join(choices)}"
