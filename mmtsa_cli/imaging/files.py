"""Images as files, read and written: grey and colour PNG of the grey values, NPY of the exact field."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmtsa_cli.artifacts.directory import replace_file
from mmtsa_cli.errors import ArtifactError, DataError
from mmtsa_cli.imaging.field import Kind, gramian, grey_field

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
    channels = grey_field(scaled, kind)
    # cv2 takes blue first.
    image = channels[0] if len(channels) == 1 else np.stack(list(channels[::-1]), axis=-1)
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


def read_fields(path: Path) -> NDArray[Any]:
    """Read the fields of an image that `write_png` or `write_npy` wrote.

    Parameters
    ----------
    path : Path
        Of a PNG by its name's ending, of an NPY file otherwise.

    Returns
    -------
    (C, n, n) floating array, in [-1, 1]
        Of a PNG to half a step of grey, 1 / 255.

    Raises
    ------
    DataError
        It cannot be read, or is no such image.
    """
    fields = _read_png(path) if path.suffix.lower() == ".png" else _read_npy(path)
    if fields.ndim != 3 or fields.shape[1] != fields.shape[2] or 0 in fields.shape:
        raise _no_field(path, "not square", " x ".join(map(str, fields.shape)))
    return fields


def _read_png(path: Path) -> NDArray[Any]:
    import cv2

    try:
        image = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror or error}", where=str(path)) from None
    except cv2.error:
        image = None
    if image is None:
        raise _no_field(path, "not a PNG", None)
    if image.dtype != np.uint8 or (image.ndim == 3 and image.shape[2] != 3):
        raise _no_field(path, "not grey or in colour of 8 bits", f"{image.dtype}, {' x '.join(map(str, image.shape))}")
    # cv2 gives blue first.
    channels = image[None] if image.ndim == 2 else image[:, :, ::-1].transpose(2, 0, 1)
    return channels / 127.5 - 1.0


def _read_npy(path: Path) -> NDArray[Any]:
    try:
        fields = np.load(path, mmap_mode="r", allow_pickle=False)
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror or error}", where=str(path)) from None
    except (ValueError, EOFError):
        raise _no_field(path, "neither .png nor .npy", None) from None
    if not isinstance(fields, np.ndarray) or fields.dtype.kind != "f":
        raise _no_field(path, "no array of floating numbers", str(getattr(fields, "dtype", "several arrays")))
    return fields[None] if fields.ndim == 2 else fields


def _no_field(path: Path, what: str, found: str | None) -> DataError:
    return DataError(f"no field: {what}", where=str(path), expected="an image that `mmtsa imagify` wrote", found=found)


@contextmanager
def _writable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        remedy = "nothing was kept; free some space or name another place" if full else "name another place"
        raise ArtifactError(f"cannot be written: {reason}", where=str(path), remedy=remedy) from error
