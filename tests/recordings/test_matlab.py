"""MATLAB files of version 5 to 7.2 as SciPy writes and reads them; what is no full array of real numbers is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as its
from scipy.io import loadmat, savemat, whosmat
from scipy.sparse import csc_matrix

from mmtsa_cli.errors import DataError
from mmtsa_cli.recordings.arrays import load_variable, mat_variables, open_mat

NUMBERS = st.sampled_from(["<f8", "<f4", "i1", "u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "?"])
SHAPES = its.array_shapes(min_dims=2, max_dims=4, min_side=0, max_side=5)


@settings(max_examples=60, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data(), st.booleans(), st.text("abcdefg", min_size=1, max_size=20))
def test_it_reads_what_scipy_reads(tmp_path_factory: pytest.TempPathFactory, data, compressed: bool, name: str) -> None:
    array = data.draw(its.arrays(data.draw(NUMBERS), data.draw(SHAPES)))
    path = tmp_path_factory.mktemp("mat") / "a.mat"
    savemat(path, {name: array, "z": np.arange(3.0)}, do_compression=compressed)
    assert mat_variables(path) == whosmat(path)
    found, expected = load_variable(path, name), loadmat(path)[name]
    assert found.dtype == expected.dtype
    assert found.tobytes() == expected.tobytes()
    assert found.shape == expected.shape
    assert found.flags.writeable


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (csc_matrix(np.eye(3)), "sparse"),
        (np.eye(3) + 1j, "complex"),
        ({"a": np.eye(3)}, "struct"),
        (np.array([1, "x"], dtype=object), "cell"),
        ("text", "char"),
    ],
)
def test_what_is_no_full_array_of_numbers_is_not_even_read(tmp_path: Path, value: object, kind: str) -> None:
    savemat(tmp_path / "a.mat", {"v": value})
    with pytest.raises(DataError, match=f"variable v: not an array of real numbers, found type {kind}"):
        open_mat(tmp_path / "a.mat", "v")
    with pytest.raises(DataError, match="no 2-D array of numbers"):
        open_mat(tmp_path / "a.mat", None)


def test_a_file_that_is_cut_off_is_told(tmp_path: Path) -> None:
    savemat(tmp_path / "a.mat", {"v": np.eye(30)})
    whole = (tmp_path / "a.mat").read_bytes()
    for length in (200, len(whole) - 8):
        (tmp_path / "a.mat").write_bytes(whole[:length])
        with pytest.raises(DataError, match=r"a.mat: not a readable MATLAB file: an element of \d+ bytes where"):
            open_mat(tmp_path / "a.mat", None)


@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(
    array=its.arrays(
        st.sampled_from([np.float64, np.float32, np.int32, np.int16, np.uint8]),
        its.array_shapes(min_dims=2, max_dims=2, max_side=5),
        elements=st.integers(0, 100),
    ),
    other=st.sampled_from([np.array([[1 + 2j]]), "text", csc_matrix(np.eye(3)), None]),
)
def test_version_4_is_read_as_scipy_writes_it(
    tmp_path_factory: pytest.TempPathFactory, array: np.ndarray, other: object
) -> None:
    path = tmp_path_factory.mktemp("mat") / "four.mat"
    savemat(path, {**({} if other is None else {"other": other}), "acc": array}, format="4")
    assert [name for name, *_ in mat_variables(path)] == [*([] if other is None else ["other"]), "acc"]
    assert np.array_equal(load_variable(path, "acc"), array)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match="cut off"):
        mat_variables(path)


@pytest.mark.parametrize("rows", [-1, 1 << 30])
def test_version_4_with_lengths_that_are_not_true_is_told_at_once(tmp_path: Path, rows: int) -> None:
    path = tmp_path / "four.mat"
    path.write_bytes(np.array([0, rows, 4, 0, 2], "<i4").tobytes() + b"a\0" + bytes(64))
    with pytest.raises(DataError, match="cut off" if rows > 0 else "header that is none"):
        mat_variables(path)
