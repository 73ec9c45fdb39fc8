"""Field images back to the series that they were made of."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmtsa_cli.artifacts.directory import replace_file
from mmtsa_cli.errors import ArtifactError, DataError, UsageError
from mmtsa_cli.imaging.field import Range, parse_bounds
from mmtsa_cli.imaging.files import read_fields
from mmtsa_cli.imaging.inversion import is_difference_field, mismatch, series_of_field

FORMATS = ("csv", "npy")
_EXACT, _GREY = 1e-6, 0.03
"""How far, on the mean, the field of the found series may be from an exact one and from one of 8 bits."""


@dataclass(frozen=True)
class InvertResult:
    """What was found.

    Attributes
    ----------
    facts : dict
        Path, samples, axes, unit.
    notes : tuple of str
        What the image does not say.
    """

    facts: dict[str, Any]
    notes: tuple[str, ...]


def run(
    source: Path, output: Path, *, field: str = "sum", range: Range = "signed", scale: str = "clip", rate: float | None
) -> InvertResult:
    """Write the series whose summation fields an image holds, one column an axis.

    An image does not carry what its series was rescaled by: without `scale` "LOW,HIGH" the samples are the rescaled
    ones.

    Parameters
    ----------
    source : Path
        A `.png` or `.npy` file of `imagify`.
    output : Path
        A `.csv` or `.npy` file, (n, C); one that exists is replaced.
    field, range : str
        As it was made.
    scale : str
        "LOW,HIGH" as it was made with, in the sensor's unit; a name says nothing of the bounds.
    rate : float, optional
        Samples a second, for a column of time in a `.csv`.

    Raises
    ------
    UsageError
        A difference field, another output, a scale that is none.
    DataError
        No image of a summation field with this range.
    ArtifactError
        The output cannot be written.
    """
    if field == "difference":
        raise UsageError(
            "a difference field cannot be inverted: its diagonal is 0 whatever the series", where="--field difference"
        )
    form = output.suffix.lower().lstrip(".")
    if form not in FORMATS:
        raise UsageError("not a series that can be written", where=f"--output {output}", expected=".csv or .npy")
    try:
        bounds = parse_bounds(scale)
    except ValueError as error:
        raise UsageError("not a scale", where="--scale", expected=str(error), found=scale) from None
    fields = read_fields(source)
    tolerance = _EXACT if source.suffix.lower() == ".npy" else _GREY
    series = np.stack([_inverted(one, source, range, tolerance) for one in fields], axis=1)
    _write(output, _in_units(series, range, bounds), rate)
    facts = {"path": str(output), "samples": len(series), "axes": series.shape[1], "range": range}
    return InvertResult(facts, _notes(series, range, bounds))


def _inverted(field: NDArray[Any], source: Path, range: Range, tolerance: float) -> NDArray[np.float64]:
    if is_difference_field(field):
        raise DataError(
            "a difference field cannot be inverted: its diagonal is 0 whatever the series", where=str(source)
        )
    series = series_of_field(field, range=range)
    # Not <=: what is no number is no field either.
    if not mismatch(field, series) <= tolerance:
        raise DataError(
            f"no summation field of a series on {_interval(range)}",
            where=str(source),
            expected="an image that `mmtsa imagify` wrote with this --range, of its own size and depth",
            remedy=f"give --range {'signed' if range == 'unit' else 'unit'} if it was made so",
        )
    return series


def _interval(range: Range) -> str:
    return "[0, 1]" if range == "unit" else "[-1, 1]"


def _in_units(series: NDArray[np.float64], range: Range, bounds: tuple[float, float] | None) -> NDArray[np.float64]:
    if bounds is None:
        return series
    part = series if range == "unit" else (series + 1) / 2
    return bounds[0] + part * (bounds[1] - bounds[0])


def _notes(series: NDArray[np.float64], range: Range, bounds: tuple[float, float] | None) -> tuple[str, ...]:
    notes = []
    if range == "signed":
        mirrored = f"{sum(bounds):g} minus it" if bounds else "it times -1"
        notes.append(f"range signed: a series and its mirror image have one field: each axis is as found or {mirrored}")
    if bounds is None:
        notes.append(
            f"rescaled to {_interval(range)}: the image does not say by what; give --scale LOW,HIGH if it was made so"
        )
    flat = [str(axis) for axis, values in enumerate(series.T, start=1) if np.ptp(values) < _EXACT]
    if flat:
        notes.append(f"axis {', '.join(flat)} was constant: at which value is not in the image")
    return tuple(notes)


def _write(output: Path, series: NDArray[np.float64], rate: float | None) -> None:
    if output.suffix.lower() == ".npy":
        buffer = io.BytesIO()
        np.save(buffer, series)
        content = buffer.getvalue()
    else:
        names = [f"axis{number}" for number in range(1, series.shape[1] + 1)]
        if rate is not None:
            names, series = ["time", *names], np.column_stack([np.arange(len(series)) / rate, series])
        rows = [",".join(f"{value:.9g}" for value in row) for row in series]
        content = "\n".join([",".join(names), *rows, ""]).encode()
    try:
        replace_file(output, content)
    except OSError as error:
        raise ArtifactError(
            f"cannot be written: {error.strerror or error}", where=f"--output {output}", remedy="name another place"
        ) from None
