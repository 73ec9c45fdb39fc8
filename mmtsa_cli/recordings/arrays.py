"""Series in `.mat` and `.npy` files: one 2-D array of numbers, a row a sample."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmtsa_cli.artifacts.remote import local_file
from mmtsa_cli.errors import DataError, MmtsaError, did_you_mean
from mmtsa_cli.recordings import matlab

_NUMERIC_CLASSES = {"double", "single", "logical"}
_MOST_COLUMNS = 10_000
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
        array = np.load(local_file(path), mmap_mode="r", allow_pickle=False)
    except MmtsaError:
        raise
    # A damaged header fails in as many ways as its reader has parts.
    except Exception as error:  # noqa: BLE001
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
    with _damage_told(path):
        if _is_version_5(path):
            return [(one.name, one.shape, one.kind) for one in matlab.variables(path)]
        from scipy.io import whosmat

        matlab.check_version_4(path)
        return whosmat(local_file(path))


def load_variable(path: Path, name: str) -> NDArray[Any]:
    """Read one variable of a MATLAB file; of several by one name the last.

    Raises
    ------
    DataError
        Missing, damaged, version 7.3 (HDF5), without such a variable, or one that is no full array of numbers.
    """
    with _damage_told(path):
        if _is_version_5(path):
            found = {one.name: one for one in matlab.variables(path)}
            _check_numeric(path, name, {other: one.kind for other, one in found.items()})
            return matlab.read_variable(path, found[name])
        from scipy.io import loadmat, whosmat

        matlab.check_version_4(path)
        _check_numeric(path, name, {other: kind for other, _, kind in whosmat(local_file(path))})
        # The file's own attributes (version, header) are nothing that anyone acts upon.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return np.asarray(loadmat(local_file(path), variable_names=[name])[name])


def _check_numeric(path: Path, name: str, kinds: Mapping[str, str]) -> None:
    if name not in kinds:
        raise DataError(f"no variable {name}", where=str(path), remedy=did_you_mean(name, kinds))
    if not _is_numeric(kinds[name]):
        remedy = "save it as a full array (`full` in MATLAB)" if kinds[name] == "sparse" else None
        where, found = f"{path}, variable {name}", f"type {kinds[name]}"
        raise DataError("not an array of real numbers", where=where, found=found, remedy=remedy)


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


def _is_version_5(path: Path) -> bool:
    """Whether a MATLAB file is of version 5 to 7.2; False: of version 4.

    Raises
    ------
    DataError
        Missing, no MATLAB file, or version 7.3 (HDF5).
    """
    check_exists(path)
    with path.open("rb") as stream:
        head = stream.read(520)
    if head.startswith((b"MATLAB 7.3", _HDF5)) or head[512:520] == _HDF5:
        remedy = "save it again with `save -v7`, or export it as CSV"
        raise DataError("MATLAB 7.3 (HDF5)", where=str(path), expected="version 4 to 7.2", remedy=remedy)
    if not matlab.is_version_5(head) and 0 not in head[:4]:
        raise DataError("not a readable MATLAB file", where=str(path), expected="version 4 to 7.2")
    return matlab.is_version_5(head)


@contextmanager
def _damage_told(path: Path) -> Iterator[None]:
    try:
        yield
    except MmtsaError:
        raise
    except Exception as error:  # noqa: BLE001 - SciPy raises errors of many kinds for damaged files of version 4
        raise DataError(f"not a readable MATLAB file: {_first_line(error)}", where=str(path)) from None


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
    return len(shape) == 2 and max(shape) > 1 and _is_numeric(kind)


def _is_numeric(kind: str) -> bool:
    return kind in _NUMERIC_CLASSES or kind.startswith(("int", "uint"))


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
    if array.shape[1] > _MOST_COLUMNS:
        found, expected = f"{array.shape[1]} columns", f"a row a sample, at most {_MOST_COLUMNS} columns"
        raise DataError("too many columns", where=where, expected=expected, found=found, remedy="transpose it")
    return array


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0][:120] if text else type(error).__name__
