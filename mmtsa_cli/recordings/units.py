"""Units of sensors: what is measured in which of them, and by how much they differ."""

from __future__ import annotations

import math
from typing import Literal

Quantity = Literal["acceleration", "rotation", "angle"]

_G = 9.80665
_UNITS: dict[str, tuple[Quantity, float]] = {
    "m/s^2": ("acceleration", 1.0),
    "m/s2": ("acceleration", 1.0),
    "m/s²": ("acceleration", 1.0),
    "m/s/s": ("acceleration", 1.0),
    "g": ("acceleration", _G),
    "mg": ("acceleration", _G / 1000),
    "rad/s": ("rotation", 1.0),
    "deg/s": ("rotation", math.pi / 180),
    "°/s": ("rotation", math.pi / 180),
    "dps": ("rotation", math.pi / 180),
    "rad": ("angle", 1.0),
    "deg": ("angle", math.pi / 180),
    "degree": ("angle", math.pi / 180),
    "degrees": ("angle", math.pi / 180),
    "°": ("angle", math.pi / 180),
}
_RIVALS: dict[Quantity, tuple[str, str]] = {
    "acceleration": ("m/s^2", "g"),
    "rotation": ("rad/s", "deg/s"),
    "angle": ("rad", "deg"),
}


def known_units() -> tuple[str, ...]:
    """Return every spelling that is understood."""
    return tuple(_UNITS)


def quantity_of(unit: str | None) -> Quantity | None:
    """Return what a unit measures, None of one that is not known."""
    return _UNITS[_plain(unit)][0] if _plain(unit) in _UNITS else None


def conversion(unit: str | None, wanted: str | None) -> float | None:
    """Return what values in `unit` are multiplied by to be in `wanted`; None where there is no such factor.

    Two spellings that are the same need no table: the factor of `counts` and `counts` is 1.
    """
    if _plain(unit) == _plain(wanted):
        return 1.0
    first, second = _UNITS.get(_plain(unit)), _UNITS.get(_plain(wanted))
    if first is None or second is None or first[0] != second[0]:
        return None
    return first[1] / second[1]


def mistaken_for(unit: str | None, ratio: float) -> str | None:
    """Return the unit that values are probably in where they ought to be in `unit`; None where that is plausible.

    Parameters
    ----------
    unit : str or None
        What they ought to be in.
    ratio : float
        How large they are beside values that are known to be in `unit`.

    Returns
    -------
    str or None
        The other usual unit of the same quantity, if the ratio lies nearer to its factor than to 1 (on the scale of
        logarithms, as factors are).
    """
    quantity = quantity_of(unit)
    if quantity is None or not (ratio > 0 and math.isfinite(ratio)):
        return None
    for rival in _RIVALS[quantity]:
        factor = conversion(rival, unit)
        # Values in g where m/s^2 are expected are 9.8 times too small: ratio x factor is near 1.
        if factor and factor != 1.0 and abs(math.log(ratio * factor)) < abs(math.log(ratio)):
            return rival
    return None


def _plain(unit: str | None) -> str:
    return (unit or "").strip().lower()
