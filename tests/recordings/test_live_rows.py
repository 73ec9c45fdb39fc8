"""Rows through a pipe: JSON lines and CSV in the forms that loggers write, and what is wrong with some of them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmtsa_cli.errors import DataError
from mmtsa_cli.recordings.live_rows import LiveRows, LiveSensor
from mmtsa_cli.recordings.live_stamps import Row

ACC, GYRO = LiveSensor(("x", "y", "z"), True, 50.0), LiveSensor(("c1", "c2"), False, 50.0)
BOTH = {"acc": ACC, "gyro": GYRO}


def read(
    text: str | bytes, sensors: dict = BOTH, *, size: int = 0, by_arrival: bool = False
) -> tuple[list[Row], LiveRows, list[str]]:
    content = text if isinstance(text, bytes) else text.encode()
    told: list[str] = []
    rows = LiveRows(sensors, by_arrival=by_arrival, tell=told.append)
    size = size or len(content)
    found = [row for at in range(0, len(content), size) for row in rows.feed(content[at : at + size], 7.5)]
    return [*found, *rows.finish(7.5)], rows, told


def plain(rows: list[Row]) -> list[tuple]:
    return [(row.modality, round(row.time_s, 6), *row.values.tolist()) for row in rows]


KNOWN = [entry for n in range(20) for entry in (("acc", n / 50, n, 1.5, -2.0), ("gyro", n / 50, 0.5, n))]
FORMS = {
    "rows that say whose they are": [
        json.dumps({"t": t, "modality": name, "values": values}) for name, t, *values in KNOWN
    ],
    "sensors by name": [
        json.dumps({"timestamp": n / 50, "acc": [n, 1.5, -2.0], "gyro": [0.5, n], "battery": 0.9}) for n in range(20)
    ],
    "axes by name": [
        json.dumps(
            {"time": n / 50, "name": "Acc", "values": {"z": -2.0, "y": 1.5, "x": n}}
            if half == 0
            else {"time": n / 50, "sensor": "gyro", "c1": 0.5, "c2": n}
        )
        for n in range(20)
        for half in (0, 1)
    ],
    "side by side": [
        "time,acc_z,acc_x,acc_y,gyro_c1,gyro_c2,battery",
        *(f"{n / 50},-2.0,{n},1.5,0.5,{n},0.9" for n in range(20)),
    ],
    "one below the other": [
        "modality,time,v1,v2,v3",
        *(row for n in range(20) for row in (f"acc,{n / 50},{n},1.5,-2", f"gyro,{n / 50},0.5,{n},")),
    ],
    "semicolons and decimal commas": [
        "time;acc_x;acc_y;acc_z;gyro_1;gyro_2",
        *(f"{n / 50};{n};1.5;-2.0;0.5;{n}".replace(".", ",") for n in range(20)),
    ],
    "bare numbers": [f"{n / 50} {n} 1.5 -2.0 0.5 {n}" for n in range(20)],
    "cells left empty": [
        "time,acc_x,acc_y,acc_z,gyro_1,gyro_2",
        *(row for n in range(20) for row in (f"{n / 50},{n},1.5,-2.0,,", f"{n / 50},,,,0.5,{n}")),
    ],
    "milliseconds by their name": [
        "time_ms,acc_x,acc_y,acc_z,gyro_1,gyro_2",
        *(f"{n * 20},{n},1.5,-2.0,0.5,{n}" for n in range(20)),
    ],
    "milliseconds by the rate": [f"{n * 20},{n},1.5,-2.0,0.5,{n}" for n in range(20)],
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("size", [0, 7])
def test_all_forms_say_the_same(form: str, size: int) -> None:
    if form == "one below the other":
        sensors = {"acc": ACC}
        known = [one for one in KNOWN if one[0] == "acc"]
    else:
        sensors, known = BOTH, KNOWN
    rows, _, _ = read("\r\n".join(FORMS[form]), sensors, size=size)
    assert plain(rows) == [(name, pytest.approx(t), *values) for name, t, *values in known]
    assert {row.arrival_s for row in rows} == {7.5}


def test_stamps_since_1970_in_any_unit_and_dates_are_seconds() -> None:
    for stamp in (1.7e9, 1.7e12, 1.7e15, 1.7e18, '"2023-11-14T22:13:20Z"'):
        (row,), _, _ = read(f'{{"t": {stamp}, "acc": [1, 2, 3]}}')
        assert row.time_s == 1.7e9


def test_a_run_of_one_sensor_needs_no_name() -> None:
    rows, _, _ = read("t,a,b,c\n0,1,2,3\n0.02,1,2,3\n", {"acc": ACC})
    assert plain(rows) == [("acc", 0.0, 1, 2, 3), ("acc", 0.02, 1, 2, 3)]
    (row,), _, _ = read('{"t": 0.5, "values": [1, 2, 3]}', {"acc": ACC})
    assert plain([row]) == [("acc", 0.5, 1, 2, 3)]


def test_columns_may_be_named() -> None:
    said = {"acc": LiveSensor(("x", "y", "z"), True, 50.0, ("c", 3, 2))}
    (row,), _, _ = read("t,a,b,c\n0,1,2,3\n", said)
    assert plain([row]) == [("acc", 0.0, 3, 2, 1)]


def test_rows_without_time_are_stamped_by_their_arrival() -> None:
    rows, _, _ = read("1,2,3\n4,5,6\n", {"acc": ACC}, by_arrival=True)
    assert plain(rows) == [("acc", 7.5, 1, 2, 3), ("acc", 7.5, 4, 5, 6)]
    with pytest.raises(DataError, match=r"rows without time.*--clock arrival"):
        read("1,2,3\n" * 3, {"acc": ACC})
    with pytest.raises(DataError, match=r"rows without time.*columns x, y, z"):
        read("x,y,z\n1,2,3\n", {"acc": ACC})


GOOD = "time,acc_x,acc_y,acc_z,gyro_1,gyro_2\n0,1,2,3,4,5\n"


@pytest.mark.parametrize(
    "bad",
    ["0.02,1,2\n", "0.02,1,2,3,4,5,6\n", "0.02,1,x,3,,\n", "0.02,1,,3,4,5\n", ",1,2,3,4,5\n", "soon,1,2,3,4,5\n",
     "0.02,1,2,nan,,\n", "0.02,1,2,inf,,\n", "\x80\x81\x82\n", "0.02;1;2;3;4;5\n", '{"t": 1}\n', "a" * 100_000 + "\n"],
)  # fmt: skip
def test_a_malformed_row_is_dropped_and_counted(bad: str) -> None:
    rows, reader, told = read((GOOD + bad + "0.04,1,2,3,4,5\n").encode("latin-1"), size=5000)
    assert [row for row in plain(rows) if row[1] != 0.02] == plain(read(GOOD + "0.04,1,2,3,4,5\n")[0])
    assert reader.dropped == {"malformed row": 1}
    assert "line 3: malformed row dropped: " in told[0]


@pytest.mark.parametrize(
    "bad",
    ['{"t": 1, "acc": [1, 2]}', '{"t": 1, "acc": 5}', '{"t": 1, "acc": [1, 2, "3"]}', '{"acc": [1, 2, 3]}', "[1, 2]",
     '{"t": 1, "acc": [1, 2, 3', '{"t": null, "acc": [1, 2, 3]}', '{"t": 1, "acc": [1, 2, true]}', "{}", "null",
     '{"t": 1, "acc": {"x": 1, "y": 2}}', '{"t": NaN, "acc": [1, 2, 3]}', "0.5,1,2,3"],
)  # fmt: skip
def test_a_malformed_line_is_dropped_and_counted(bad: str) -> None:
    good = '{"t": 1.0, "acc": [1, 2, 3]}\n'
    rows, reader, _ = read(good + bad + "\n" + good)
    assert len(rows) == 2
    assert reader.dropped == {"malformed row": 1}


def test_of_many_malformed_rows_only_some_are_told() -> None:
    _, reader, told = read(GOOD + "x\n" * 1000)
    assert reader.dropped["malformed row"] == 1000
    assert len(told) == 5
    assert "further ones are only counted" in told[-1]


def test_an_unknown_modality_is_passed_over_and_told_once() -> None:
    lines = '{"t": 1.0, "modality": "accs", "values": [1]}\n' * 3 + '{"t": 1.0, "acc": [1, 2, 3]}\n'
    rows, reader, told = read(lines)
    assert len(rows) == 1
    assert reader.dropped == {"unknown modality": 3}
    assert told == ["rows of 'accs', which the run does not have, are passed over; did you mean acc?"]


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ('{"t": 1, "acc": [1, 2, 3, 4]}', "line 1: other axes of acc than the run was trained on, expected 3: x, y, z"),
        ('{"t": 1, "acc": {"x": 1, "y": 2, "w": 3}}', "expected 3: x, y, z, found x, y, w"),
        ("time,acc_x,acc_y\n0,1,2\n", "header: other axes of acc.*found acc_x, acc_y"),
        ("time,acc_a,acc_b,acc_c,acc_d\n", "header: other axes of acc"),
        ("time,temperature,light\n", "no columns of acc, gyro, expected time,acc_x,acc_y,acc_z,gyro_c1,gyro_c2"),
        ("hello world\n" * 60, "none of the first 50 lines is a row"),
        ('{"t": 1, "temperature": 20}\n' * 60, "none of the first 50 lines is a row of the run's sensors"),
        ("5,100,2,3,4,5\n9,1,2,3,4,5\n15,1,2,3,4,5\n", "stamps whose unit cannot be told.*call them time_s"),
    ],
)
def test_what_will_never_be_right_ends_the_stream(text: str, phrase: str) -> None:
    slow = {"acc": LiveSensor(("x", "y", "z"), True, 0.01), "gyro": GYRO}
    with pytest.raises(DataError, match=phrase):
        read(text, slow if text.startswith("5") else BOTH)


def test_a_line_that_was_cut_by_the_cable_is_no_header() -> None:
    rows, reader, _ = read(".5,3\n" + "\n".join(FORMS["bare numbers"]).replace(" ", ","))
    assert len(rows) == 40
    assert reader.dropped == {"malformed row": 1}


@given(st.binary(max_size=400), st.integers(1, 50))
def test_no_bytes_are_anything_but_rows_or_an_error_of_ours(content: bytes, size: int) -> None:
    try:
        rows, reader, _ = read(content, size=size)
    except DataError:
        return
    assert all(np.isfinite(row.values).all() for row in rows)
    assert sum(reader.dropped.values()) >= 0
