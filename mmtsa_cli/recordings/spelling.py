"""Names that are one name to a person, and several to a program."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable

_DIGITS = re.compile(r"\d+")


def plain(name: str) -> str:
    """Return what two spellings of one name share: no case, no separators, no zeros before a number.

    >>> plain("Subject_01") == plain("subject 1")
    True
    """
    letters = re.sub(r"[^\w]|_", "", name.casefold())
    return _DIGITS.sub(lambda match: str(int(match[0])), letters)


def two_spellings(names: Iterable[str]) -> list[list[str]]:
    """Return the groups of `names` that look like one name written differently."""
    spellings: dict[str, list[str]] = defaultdict(list)
    for name in dict.fromkeys(names):
        spellings[plain(name)].append(name)
    return [same for same in spellings.values() if len(same) > 1]
