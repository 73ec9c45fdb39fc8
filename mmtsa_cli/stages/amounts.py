"""Amounts of bytes, as people write them."""

from __future__ import annotations

from mmtsa_cli.errors import UsageError

_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


def parse_bytes(text: str, *, where: str, what: str = "an amount of memory") -> int:
    """Return the bytes of "1GiB", "500 MB" or "1000000".

    Parameters
    ----------
    where, what : str
        The option and what it asks for, for the message.

    Raises
    ------
    UsageError
        Not such a text.
    """
    number = text.strip().rstrip("BKMGiIbkmg ")
    unit = text.strip()[len(number) :].strip().upper()
    try:
        return int(float(number) * _UNITS[unit])
    except (ValueError, KeyError, OverflowError):
        raise UsageError(f"not {what}", where=where, expected="1GiB, 500MB or bytes", found=text) from None
