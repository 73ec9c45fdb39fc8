"""The errors that a person at the terminal reads: types with fields, made into one line at one place (`cli.py`)."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


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
        """Return the whole error as one line."""
        parts = [f"{self.where}: {self.what}" if self.where else self.what]
        if self.expected:
            parts.append(f"expected {self.expected}")
        if self.found:
            parts.append(f"found {self.found}")
        text = ", ".join(parts)
        if self.remedy:
            text += f"; {self.remedy}"
        return " ".join(text.split())


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


def nearest(name: str, names: Iterable[str], *, likeness: float = 0.6) -> str | None:
    """Return the one of `names` that `name` was probably meant to be, or None; `likeness` 1 asks for the same."""
    close = difflib.get_close_matches(name, list(names), n=1, cutoff=likeness)
    return close[0] if close else None


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Return a remedy: the nearest of `names` if there is one, else all of them."""
    choices = sorted(names)
    close = nearest(name, choices)
    return f"did you mean {close}?" if close else f"choose from {', '.join(choices)}"
