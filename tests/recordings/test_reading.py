"""Reading sensor series: formats, columns, timestamps, gaps."""

from __future__ import annotations

import io
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.io import savemat

from mmtsa_cli.errors import DataError, ManyErrors
from mmtsa_cli.recordings.cleaning import in_order, without_repeats
from mmtsa_cli.recordings.index import ModalitySpec
from mmtsa_cli.recordings.reading import first_stamp, read_series

RATE = ModalitySpec("sensor", rate=50.0)
TIMED = ModalitySpec("sensor")


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


def refused(path: Path, spec: ModalitySpec = TIMED, **options: float) -> str:
    with pytest.raises((DataError, ManyErrors)) as caught:
        read_series(path, spec, **options)
    return str(caught.value)


@given(
    values=arrays(np.float64, st.tuples(st.integers(2, 8), st.integers(2, 4)), elements=st.floats(-1e6, 1e6, width=32)),
    delimiter=st.sampled_from([",", ";", "\t", "|", " "]),
    decimal_comma=st.booleans(),
    header=st.booleans(),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le"]),
    line_end=st.sampled_from(["\n", "\r\n", "\r"]),
    comment=st.booleans(),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_dialect_reads_back_exactly(
    tmp_path: Path, values, delimiter, decimal_comma, header, encoding, line_end, comment
) -> None:
    decimal_comma &= delimiter != ","
    lines = [delimiter.join(repr(float(value)) for value in row) for row in values]
    if decimal_comma:
        lines = [line.replace(".", ",") for line in lines]
    if header:
        lines.insert(0, delimiter.join(f"axis{i}" for i in range(values.shape[1])))
    if comment:
        lines.insert(0, "# made by a test")
    path = write(tmp_path / "a.csv", line_end.join(lines) + line_end, encoding)
    series = read_series(path, RATE)
    np.testing.assert_array_equal(series.values, values)
    np.testing.assert_allclose(series.times, np.arange(len(values)) / 50)
    if header:
        assert series.channels == tuple(f"axis{i}" for i in range(values.shape[1]))


def test_mixed_line_ends(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "time,x\r\n0,1\n0.02,2\r0.04,3\r\n")
    assert read_series(path, TIMED).values[:, 0].tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("stamps", "clock"),
    [
        (["0", "0.02", "0.04"], "relative"),
        (["1657534605.00", "1657534605.02", "1657534605.04"], "absolute"),
        (["1657534605000", "1657534605020", "1657534605040"], "absolute"),
        (["1657534605000000", "1657534605020000", "1657534605040000"], "absolute"),
        (["1657534605000000000", "1657534605020000000", "1657534605040000000"], "absolute"),
        (["2022-07-11 10:16:45", "2022-07-11 10:16:45.02", "2022-07-11T10:16:45.040Z"], "absolute"),
        (["2022-07-11T12:16:45+02:00", "2022-07-11T12:16:45.02+02:00", "2022-07-11T12:16:45.04+0200"], "absolute"),
        (["20220711_10:16:45", "20220711_10:16:45.020", "20220711_10:16:45.040"], "absolute"),
    ],
)
def test_stamps_of_every_kind_are_seconds(tmp_path: Path, stamps: list[str], clock: str) -> None:
    path = write(tmp_path / "a.csv", "timestamp,x\n" + "".join(f"{stamp},1\n" for stamp in stamps))
    series = read_series(path, TIMED)
    assert series.clock == clock
    np.testing.assert_allclose(np.diff(series.times), 0.02, atol=1e-5)
    start = datetime(2022, 7, 11, 10, 16, 45, tzinfo=timezone.utc).timestamp() if clock == "absolute" else 0.0
    assert series.times[0] == pytest.approx(start, abs=1e-5)
    assert series.rate == pytest.approx(50, rel=1e-3)
    assert first_stamp(path, TIMED) == (pytest.approx(start) if clock == "absolute" else None)


@pytest.mark.parametrize("name", ["time_ms", "Time (ms)", "timestamp [ms]", "elapsed_time_ms", "t_ms"])
def test_a_unit_in_the_name_of_the_column(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / "a.csv", f"{name},x\n0,1\n20,2\n40,3\n")
    assert read_series(path, TIMED).times.tolist() == [0, 0.02, 0.04]


def test_the_nominal_rate_tells_the_unit(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "t,x\n0,1\n20,2\n40,3\n")
    assert read_series(path, RATE).times.tolist() == [0, 0.02, 0.04]
    text = refused(path)
    assert "column t: the unit of the timestamps cannot be told" in text
    assert "time_ms" in text


def test_mmact_rows_without_header(tmp_path: Path) -> None:
    rows = "20181115_12:11:59,0.1,9.8,0.2\n20181115_12:11:59.010,0.1,9.8,0.2\n20181115_12:11:59.020,0.1,9.8,0.2\n"
    series = read_series(write(tmp_path / "a.csv", rows), ModalitySpec("sensor", rate=100.0))
    assert series.values.shape == (3, 3)
    assert series.clock == "absolute"


def test_a_first_column_that_looks_like_time_counts_only_without_a_rate(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "0.00 5\n0.02 6\n0.04 5\n")
    assert read_series(path, TIMED).values.tolist() == [[5], [6], [5]]
    assert read_series(path, RATE).values.shape == (3, 2)


def test_columns_by_name_and_number_and_texts_beside_them(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "x,y,timestamp,label\n1,2,0.00,WALK\n3,4,0.02,TURN\n")
    assert read_series(path, TIMED).channels == ("x", "y")
    chosen = read_series(path, ModalitySpec("sensor", columns=("y", 1)))
    assert chosen.channels == ("y", "x")
    assert chosen.values.tolist() == [[2, 1], [4, 3]]
    text = refused(path, ModalitySpec("sensor", columns=("x", "yy")))
    assert "no column yy" in text
    assert "did you mean y?" in text
    assert "found 4 columns: x, y, timestamp, label" in refused(path, ModalitySpec("sensor", columns=(5,)))


def test_row_numbers_of_pandas_are_no_axis(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", ",time,x\n0,0.00,5\n1,0.02,6\n")
    assert read_series(path, TIMED).channels == ("x",)


def test_missing_values_deep_in_a_file_and_the_row_after_them(tmp_path: Path) -> None:
    rows = [f"{i / 100:.2f},{i}" for i in range(25_000)]
    rows[21_000] = "210.00,"
    path = write(tmp_path / "a.csv", "time,x\n" + "\n".join(rows))
    np.testing.assert_allclose(read_series(path, TIMED).values[:, 0], np.arange(25_000))
    rows[23_000] = "230.00,oops"
    assert "row 23002, column x: not a number, found 'oops'" in refused(write(path, "time,x\n" + "\n".join(rows)))


def test_a_small_file_needs_numpy_only(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "time,x\n0,1\n0.1,2\n")
    script = (
        "import sys; from pathlib import Path; from mmtsa_cli.recordings.reading import read_series; "
        "from mmtsa_cli.recordings.index import ModalitySpec; "
        f"read_series(Path({str(path)!r}), ModalitySpec('sensor')); "
        "sys.exit(','.join({'pandas', 'scipy', 'torch', 'av', 'cv2', 'joblib'} & set(sys.modules)) or 0)"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")


def test_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Stdin:
        buffer = io.BytesIO(b"time;x\n0,00;1,5\n0,02;2,5\n")

    monkeypatch.setattr(sys, "stdin", Stdin)
    assert read_series(Path("-"), TIMED).values.tolist() == [[1.5], [2.5]]


@pytest.mark.parametrize(
    ("text", "phrases"),
    [
        ("", ["a.csv: empty"]),
        ("\n\n", ["a.csv: empty"]),
        ("# only a comment\n", ["no rows"]),
        ("time,x,y\n", ["has a header and no rows"]),
        ("time,x,y\n0,1,2\n", ["one row", "at least two samples"]),
        ("time,x\n0,1\n0.1,2\n0.2,abc\n0.3,4\n", ["a.csv, row 4, column x: not a number, found 'abc'"]),
        ("time,x\n0,1\n0.1,a\n0.2,b\n", ["row 3, column x", "row 4, column x"]),
        ("time,x\n0,1\n0.1,2,3\n0.2,3\n", ["row 3: wrong number of cells, expected 2, found 3"]),
        ("time,x,y\n0,1,1\n0.1,2\n0.2,3,1\n", ["row 3: wrong number of cells, expected 3, found 2"]),
        ("time,x\n0,1\n0.1,inf\n0.2,3\n", ["row 3, x: infinite value"]),
        ("time,x\n0,1\n5,2\n5.1,3\n", ["row 3: timestamps jump for 5.000 s", "at most 0.5 s", "--max-gap 5"]),
        ("time,x\n0,1\n0.1,2\n9,3\n0.2,3\n0.3,3\n", ["row 5: timestamps run backwards by 8.8 s"]),
        ("time,x\n3,1\n2,2\n1,3\n", ["row 3: timestamps run backwards by 1 s"]),
        ("time,x\n1,1\n1,2\n1,3\n", ["timestamps do not advance"]),
        ("time,x\n0,\n0.1,\n0.2,\n", ["no value at all"]),
        (
            "time,x\n0,1\n" + "".join(f"0.{i},\n" for i in range(1, 9)) + "0.9,1\n",
            ["row 3, x: values are missing for 0.900"],
        ),
        (
            "time,x\n" + "".join(f"0.{i},\n" for i in range(1, 9)) + "0.9,1\n",
            ["row 2, x: values are missing for 0.800"],
        ),
        (
            "time,x\n2022-01-01 10:00:00,1\n2022-01-01 10:00:00.1,1\n2022-13-01 10:00:00,1\n",
            ["row 4", "not a timestamp"],
        ),
        ("x,y\n1,2\n3,4\n", ["no column of timestamps and no rate", "give the rate"]),
        ("label\nwalk\nsit\n", ["no column of numbers"]),
        ("\0\1\2binary\0\3", ["not a text file"]),
    ],
)
def test_bad_text_files_are_refused_with_file_and_row(tmp_path: Path, text: str, phrases: list[str]) -> None:
    path = write(tmp_path / "a.csv", text)
    message = refused(path)
    assert str(path) in message
    for phrase in phrases:
        assert phrase in message


def test_rows_are_named_by_line_also_below_comments_and_blank_lines(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "# made today\n\ntime,x\n0,1\n\n0.1,2\n# pause\n0.2,oops\n")
    assert "row 8, column x" in refused(path)
    path = write(tmp_path / "b.csv", "# made today\n\ntime,x\n0,1\n\n0.1,2\n# pause\n7,1\n")
    assert "row 8: timestamps jump" in refused(path)


def test_short_gaps_are_filled_linearly_and_long_ones_by_request(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "time,x,y\n0,0,5\n0.1,,5\n0.2,NA,5\n0.3,3,\n")
    series = read_series(path, TIMED)
    np.testing.assert_allclose(series.values, [[0, 5], [1, 5], [2, 5], [3, 5]])
    assert series.notes == ("3 missing values filled",)
    assert "--max-gap 0.3" in refused(path, max_gap_s=0.2)
    jump = write(tmp_path / "b.csv", "time,x\n0,1\n0.1,1\n2,1\n2.1,1\n")
    assert "row 4" in refused(jump)
    assert len(read_series(jump, TIMED, max_gap_s=2).times) == 4


def test_small_disorder_is_sorted_and_repeats_are_spread(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "time,x\n0,0\n0.2,2\n0.1,1\n0.3,3\n0.4,4\n")
    series = read_series(path, TIMED)
    assert series.values[:, 0].tolist() == [0, 1, 2, 3, 4]
    assert series.notes == ("1 timestamps out of order, sorted",)
    whole_seconds = "timestamp,x\n" + "".join(f"2022-07-11 10:16:{i // 50:02d},{i}\n" for i in range(150))
    spread = read_series(write(tmp_path / "b.csv", whole_seconds), TIMED)
    np.testing.assert_allclose(np.diff(spread.times), 0.02, rtol=0.05)
    assert spread.rate == pytest.approx(50, rel=0.01)


@given(
    stamps=st.lists(st.integers(0, 40), min_size=3, max_size=60).filter(lambda s: len(set(s)) > 1),
    unit=st.sampled_from([0.001, 0.01, 1.0]),
)
def test_times_in_order_increase_strictly_and_stay_near_their_stamps(stamps: list[int], unit: float) -> None:
    given_s = np.sort(np.asarray(stamps, dtype=np.float64)) * unit
    times, order, _ = in_order(given_s, max_gap_s=0.5, place=str)
    origin = given_s if order is None else given_s[order]
    assert (np.diff(times) > 0).all()
    assert (times >= origin).all()
    last_run = int(np.sum(given_s == given_s[-1]))
    mean = (given_s[-1] - given_s[0]) / (len(given_s) - last_run)
    assert times[-1] <= given_s[-1] + mean * last_run
    assert set(given_s) <= set(times)


@pytest.mark.parametrize("suffix", [".mat", ".npy"])
def test_arrays(tmp_path: Path, suffix: str) -> None:
    values = np.random.default_rng(0).normal(size=(20, 6))
    path = tmp_path / f"a{suffix}"
    if suffix == ".mat":
        savemat(path, {"d_iner": values, "name": "a", "frames": np.zeros((3, 3, 3))})
    else:
        np.save(path, values)
    series = read_series(path, ModalitySpec("sensor", rate=50, columns=(4, 5, 6)))
    np.testing.assert_array_equal(series.values, values[:, 3:])
    assert series.channels == ("c4", "c5", "c6")
    assert "no column 7, found 6 columns" in refused(path, ModalitySpec("sensor", rate=50, columns=(7,)))
    stamped = np.column_stack([np.arange(20) / 50, values])
    np.save(tmp_path / "t.npy", stamped)
    assert read_series(tmp_path / "t.npy", ModalitySpec("sensor", time=1)).values.shape == (20, 6)


def test_bad_arrays_are_refused(tmp_path: Path) -> None:
    savemat(tmp_path / "two.mat", {"a": np.ones((4, 3)), "b": np.ones((4, 3))})
    assert "several arrays" in refused(tmp_path / "two.mat", RATE)
    assert "a (4x3 double), b (4x3 double)" in refused(tmp_path / "two.mat", RATE)
    text = refused(tmp_path / "two.mat", ModalitySpec("sensor", rate=50, variable="bb"))
    assert "no variable bb" in text
    assert "did you mean b?" in text
    (tmp_path / "new.mat").write_bytes(
        b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(512) + b"\x89HDF\r\n\x1a\n" + bytes(99)
    )
    assert "MATLAB 7.3 (HDF5)" in refused(tmp_path / "new.mat", RATE)
    assert "save -v7" in refused(tmp_path / "new.mat", RATE)
    (tmp_path / "cut.mat").write_bytes((tmp_path / "two.mat").read_bytes()[:200])
    assert "not a readable MATLAB file" in refused(tmp_path / "cut.mat", ModalitySpec("sensor", rate=50, variable="a"))
    np.save(tmp_path / "o.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    assert "not a readable .npy file" in refused(tmp_path / "o.npy", RATE)
    np.save(tmp_path / "c.npy", np.ones((2, 3, 4)))
    assert "not a 2-D array" in refused(tmp_path / "c.npy", RATE)
    np.save(tmp_path / "x.npy", np.ones((5, 2), dtype=complex))
    assert "not an array of real numbers" in refused(tmp_path / "x.npy", RATE)
    (tmp_path / "zero.npy").write_bytes(b"")
    assert "empty (0 bytes)" in refused(tmp_path / "zero.npy", RATE)
    assert "no such file" in refused(tmp_path / "nothing.csv", RATE)
    assert "cannot be read" in refused(tmp_path, RATE)


@pytest.mark.data
def test_real_series(data_root: Path) -> None:
    phone = read_series(data_root / "sp-sw-har" / "DATA" / "s02" / "s02_02_sp.csv", TIMED)
    assert phone.channels == ("x_acc", "y_acc", "z_acc", "x_gyro", "y_gyro", "z_gyro")
    assert phone.clock == "absolute"
    assert phone.rate == pytest.approx(102.5, rel=0.01)
    assert (np.diff(phone.times) > 0).all()
    gravity = ModalitySpec("sensor", rate=10, columns=(4, 5, 6))
    series = read_series(data_root / "mm-egocentric" / "sensor" / "act01seq01.csv", gravity)
    np.testing.assert_allclose(np.linalg.norm(series.values, axis=1), 9.807, atol=0.01)
    wrist = ModalitySpec("sensor", rate=50, columns=(1, 2, 3))
    assert len(read_series(data_root / "utd-mhad" / "Inertial" / "a22_s1_t1_inertial.mat", wrist).times) == 174


def test_a_header_may_hold_numbers_where_a_column_is_called_time(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("time,1,2,3\n" + "".join(f"{i / 50},{i},{i},{i}\n" for i in range(9)))
    series = read_series(tmp_path / "a.csv", ModalitySpec("sensor"))
    assert (series.channels, len(series.times)) == (("1", "2", "3"), 9)


def test_rows_written_twice_are_left_out_and_samples_of_one_stamp_kept(tmp_path: Path) -> None:
    rows = ["0.0,1,2,3", "0.1,2,3,4", "0.1,2,3,4", "0.2,5,5,5", "0.2,6,6,6", "0.1,2,3,4", "0.3,5,5,5", "0.4,5,5,5"]
    path = tmp_path / "a.csv"
    path.write_text("time,x,y,z\n" + "\n".join(rows) + "\n")
    series = read_series(path, ModalitySpec("sensor"))
    assert series.values[:, 0].tolist() == [1, 2, 5, 6, 5, 5]
    assert series.notes == ("2 repeated rows left out", "1 repeated timestamps spread evenly")
    by_rate = read_series(path, ModalitySpec("sensor", rate=20.0, timing="rate"))
    assert by_rate.values[:, 0].tolist() == [1, 2, 5, 6, 5, 5]
    assert by_rate.times == pytest.approx([0, 0.05, 0.1, 0.15, 0.2, 0.25])


def test_a_fault_after_a_repeated_row_is_told_with_its_own_row(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("time,x\n0.0,1\n0.0,1\n0.1,2\n0.2,inf\n0.3,1\n")
    with pytest.raises(DataError, match=r"a\.csv, row 5, x: infinite value"):
        read_series(path, ModalitySpec("sensor"))


@given(
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 2)), min_size=2, max_size=30),
)
def test_what_is_kept_has_no_repeats_and_lacks_nothing(rows: list[tuple[int, int]]) -> None:
    stamps, values = np.array([r[0] for r in rows], float), np.array([[r[1]] for r in rows], float)
    kept = without_repeats(stamps, values)
    wanted = list(dict.fromkeys(rows))
    assert [rows[i] for i in (range(len(rows)) if kept is None else kept)] == wanted
