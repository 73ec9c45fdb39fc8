"""Series in `.mat` and `.npy` files: one 2-D array of numbers, a row a sample."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmtsa_cli.errors import DataError, did_you_mean

_NUMERIC_CLASSES = {"double", "single", "logical", "sparse"}
_HDF5 = b"\x89HDF\r\n\x1a\n"


@dataclass(frozen=True)
class ArrayTable:
    """A 2-D array, its columns taken as those of a table.

    Attributes
    ----------
    path : Path
    array : (n, width) numbers
        Memory-mapped where the file allows it.
    """

    path: Path
    array: NDArray[Any]
    names: None = None

    @property
    def width(self) -> int:
        """Number of columns."""
        return int(self.array.shape[1])

    def name(self, column: int) -> str:
        """Return how messages call a column (counted from 0)."""
        return f"column {column + 1}"

    def is_text(self, column: int) -> bool:
        """Return False: an array holds numbers."""
        return False

    def numbers(self, columns: Sequence[int]) -> NDArray[Any]:
        """Return columns (counted from 0), (n, C); a view where they stand side by side."""
        if list(columns) == list(range(columns[0], columns[0] + len(columns))):
            return self.array[:, columns[0] : columns[0] + len(columns)]
        return self.array[:, list(columns)]

    def texts(self, column: int) -> list[str]:
        """Return nothing: an array holds numbers."""
        return []

    def place(self, index: int) -> str:
        """Return "FILE, row R" of a sample (counted from 0); the first row is 1."""
        return f"{self.path}, row {index + 1}"


def open_npy(path: Path) -> ArrayTable:
    """Open a `.npy` file without reading its values.

    Raises
    ------
    DataError
        Missing, damaged, not a 2-D array of real numbers, or one that would need pickle.
    """
    check_exists(path)
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise DataError(f"not a readable .npy file: {_first_line(error)}", where=str(path)) from None
    if not isinstance(array, np.ndarray):
        raise DataError("not a single array", where=str(path), expected="a .npy file", found="an .npz archive")
    return ArrayTable(path, _two_dimensional(array, str(path)))


def open_mat(path: Path, variable: str | None) -> ArrayTable:
    """Read one variable of a MATLAB file.

    Parameters
    ----------
    variable : str or None
        None: the only 2-D array of numbers.

    Raises
    ------
    DataError
        Missing or damaged, version 7.3 (HDF5), no such variable, or several that it could be.
    """
    name = variable or _only_variable(path)
    return ArrayTable(path, _two_dimensional(load_variable(path, name), f"{path}, variable {name}"))


def mat_variables(path: Path) -> list[tuple[str, tuple[int, ...], str]]:
    """Return name, shape and class of each variable of a MATLAB file, reading only what that takes.

    Raises
    ------
    DataError
        Missing, damaged, or version 7.3 (HDF5).
    """
    from scipy.io import whosmat

    _check_mat(path)
    try:
        return whosmat(path)
    except Exception as error:  # noqa: BLE001 - SciPy raises errors of many kinds for damaged files
        raise _damaged(path, error) from None


def load_variable(path: Path, name: str) -> NDArray[Any]:
    """Read one variable of a MATLAB file.

    Raises
    ------
    DataError
        Missing, damaged, version 7.3 (HDF5), or without such a variable.
    """
    from scipy.io import loadmat

    _check_mat(path)
    try:
        # The file's own attributes (version, header) are nothing that anyone acts upon.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = loadmat(path, variable_names=[name])
    except Exception as error:  # noqa: BLE001 - SciPy raises errors of many kinds for damaged files
        raise _damaged(path, error) from None
    if name not in found:
        names = [other for other, _, _ in mat_variables(path)]
        raise DataError(f"no variable {name}", where=str(path), remedy=did_you_mean(name, names))
    value = found[name]
    return value.toarray() if hasattr(value, "toarray") else value


def check_exists(path: Path) -> None:
    """Raise an error where `path` is no file, or an empty one.

    Raises
    ------
    DataError
    """
    if not path.is_file():
        raise DataError("a directory" if path.is_dir() else "no such file", where=str(path), expected="a file")
    if not path.stat().st_size:
        raise DataError("empty (0 bytes)", where=str(path))


def _check_mat(path: Path) -> None:
    check_exists(path)
    with path.open("rb") as stream:
        head = stream.read(520)
    if head.startswith((b"MATLAB 7.3", _HDF5)) or head[512:520] == _HDF5:
        remedy = "save it again with `save -v7`, or export it as CSV"
        raise DataError("MATLAB 7.3 (HDF5)", where=str(path), expected="version 4 to 7.2", remedy=remedy)


def _only_variable(path: Path) -> str:
    variables = mat_variables(path)
    names = [name for name, shape, kind in variables if _is_table(shape, kind)]
    if len(names) == 1:
        return names[0]
    inside = ", ".join(f"{name} ({'x'.join(map(str, shape))} {kind})" for name, shape, kind in variables) or "nothing"
    if not names:
        raise DataError("no 2-D array of numbers", where=str(path), found=inside)
    raise DataError("several arrays", where=str(path), found=inside, remedy="say which: variable in dataset.yaml")


def _is_table(shape: tuple[int, ...], kind: str) -> bool:
    return len(shape) == 2 and max(shape) > 1 and (kind in _NUMERIC_CLASSES or kind.startswith(("int", "uint")))


def _two_dimensional(array: NDArray[Any], where: str) -> NDArray[Any]:
    if array.dtype.kind not in "biuf":
        raise DataError("not an array of real numbers", where=where, found=f"type {array.dtype}")
    if array.ndim == 2 and array.shape[0] == 1:
        return array.T
    if array.ndim == 1:
        return array[:, None]
    if array.ndim != 2:
        shape = "x".join(map(str, array.shape))
        raise DataError("not a 2-D array", where=where, expected="a row a sample, a column an axis", found=shape)
    return array


def _damaged(path: Path, error: Exception) -> DataError:
    return DataError(f"not a readable MATLAB file: {_first_line(error)}", where=str(path))


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0][:120] if text else type(error).__name__
