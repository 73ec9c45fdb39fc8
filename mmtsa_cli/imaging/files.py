"""Images as files: grey and colour PNG of the grey values, NPY of the exact field; whole or not at all."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmtsa_cli.artifacts.directory import replace_file
from mmtsa_cli.errors import ArtifactError
from mmtsa_cli.imaging.field import Kind, gramian, to_grey

FORMATS = ("png", "npy")


def write_png(path: Path, scaled: NDArray[np.float64], kind: Kind) -> None:
    """Write the field of one axis as a grey PNG, of three axes as the red, green and blue of a colour one.

    Parameters
    ----------
    path : Path
    scaled : (1, n) or (3, n) array
        Rescaled samples.
    kind : "sum" or "difference"

    Raises
    ------
    ValueError
        Another number of axes.
    ArtifactError
        The file cannot be written.
    """
    import cv2

    if len(scaled) not in (1, 3):
        raise ValueError(f"{len(scaled)} axes in one PNG")
    # Axis by axis: the exact field is eight times the grey one.
    channels = [to_grey(gramian(axis, kind)) for axis in scaled]
    # cv2 takes blue first.
    image = channels[0] if len(channels) == 1 else np.stack(channels[::-1], axis=-1)
    with _writable(path):
        replace_file(path, cv2.imencode(".png", image)[1].tobytes())


def write_npy(path: Path, scaled: NDArray[np.float64], kind: Kind) -> None:
    """Write the exact field, (C, n, n) float64, of any number of axes.

    Parameters
    ----------
    path : Path
    scaled : (C, n) array
        Rescaled samples.
    kind : "sum" or "difference"

    Raises
    ------
    ArtifactError
        The file cannot be written.
    """
    axes, samples = scaled.shape
    partial = path.with_name(f".{path.name}.partial")
    try:
        with _writable(path), partial.open("wb") as stream:
            header: dict[str, Any] = {"descr": "<f8", "fortran_order": False, "shape": (axes, samples, samples)}
            np.lib.format.write_array_header_1_0(stream, header)
            for axis in scaled:
                stream.write(np.ascontiguousarray(gramian(axis, kind), "<f8").data)
        with _writable(path):
            partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def _writable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        remedy = "nothing was kept; free some space or name another place" if full else "name another place"
        raise ArtifactError(f"cannot be written: {reason}", where=str(path), remedy=remedy) from error
