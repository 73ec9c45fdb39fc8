"""Which axis of the camera each column of its telemetry is: cameras of different years store them in different orders.

A capital letter stands for an axis, a small one for its negative ("YxZ": y, -x, z). The file itself says it (`ORIN`),
or the maker's table by camera, or the stream's name. Where none does, the columns stay as they are.
"""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from mmtsa_cli.recordings.gpmf import Block, numbers

AXES = ("x", "y", "z")
_ORDERS = {"hero5": "ZXY", "hero6": "YxZ", "hero7": "YxZ", "fusion": "yXZ"}
"""By the name of the camera, from the maker's description of the format; later cameras write `ORIN`."""
_LETTERS = re.compile(r"\(\s*(-?[xyz])\s*,\s*(-?[xyz])\s*,\s*(-?[xyz])\s*\)", re.IGNORECASE)
_WORDS = {"up/down": "Z", "right/left": "X", "forward/back": "Y"}


def oriented(block: Block, values: NDArray[np.float64], *, where: str) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """Return names of axes and the values in that order.

    Parameters
    ----------
    values : (n, C) float64
        As `gpmf.values` gives them.

    Returns
    -------
    names : tuple of str
        x, y, z; or axis1, axis2, ... where the camera does not say which is which.
    values : (n, C) float64

    Raises
    ------
    DataError
        A calibration matrix that is none of numbers.
    """
    width = values.shape[1]
    matrix = _calibration(block, width, where=where)
    order = axis_order(block) if matrix is None else block.text("ORIO")
    if matrix is not None:
        values = values @ matrix.T
    if sorted(order.lower()) != list(AXES) or width != len(AXES):
        return tuple(f"axis{column + 1}" for column in range(width)), values
    columns = [order.lower().index(axis) for axis in AXES]
    signs = np.array([1.0 if order[column].isupper() else -1.0 for column in columns])
    return AXES, values[:, columns] * signs


def axis_order(block: Block) -> str:
    """Return a letter per column, "" where nothing tells."""
    if order := block.text("ORIN"):
        return order
    camera = re.sub(r"[^a-z0-9]", "", block.model.lower())
    # The model before the stream's name: that is the same words in cameras of different orders.
    known = next((order for name, order in _ORDERS.items() if name in camera), "")
    return known or _named(block.text("STNM"))


def _named(name: str) -> str:
    """Return the order that the name of a stream tells ("Gyroscope (z,x,y)")."""
    if match := _LETTERS.search(name):
        return "".join(axis[1].lower() if axis[0] == "-" else axis.upper() for axis in match.groups())
    inside = re.search(r"\((.*)\)", name)
    words = [word.strip().lower() for word in inside[1].split(",")] if inside else []
    return "".join(_WORDS.get(word, "") for word in words)


def _calibration(block: Block, width: int, *, where: str) -> NDArray[np.float64] | None:
    """Return the matrix that the values are to be multiplied by, None where there is none.

    One of nothing but 0, 1 and -1 says again what `ORIN` says.
    """
    if "MTRX" not in block.properties:
        return None
    cells = numbers(block.properties["MTRX"], where=where).ravel()
    if len(cells) != width * width or np.isin(cells, (-1, 0, 1)).all():
        return None
    return cells.reshape(width, width)
