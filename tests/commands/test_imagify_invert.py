"""`mmtsa imagify --invert`: images back to series, and what cannot be inverted."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

RATE = 50


@pytest.fixture
def values():
    # Every axis largest where it is positive, so that the sign that is chosen is its own.
    values = np.random.default_rng(0).normal(size=(60, 3)).cumsum(axis=0)
    values -= values.mean(axis=0)
    return values * np.where(values.max(axis=0) > -values.min(axis=0), 1, -1)


@pytest.fixture
def imu(tmp_path, values):
    times = np.arange(len(values)) / RATE
    rows = [",".join(f"{v:.9g}" for v in (t, *row)) for t, row in zip(times, values, strict=True)]
    (tmp_path / "imu.csv").write_text("\n".join(["time,x,y,z", *rows]) + "\n")
    return tmp_path / "imu.csv"


def read_csv(path):
    header, *rows = path.read_text().splitlines()
    return header, np.array([[float(cell) for cell in row.split(",")] for row in rows])


@pytest.mark.parametrize(("form", "bound"), [("npy", 2e-8), ("png", 0.05)])
def test_the_unit_range_comes_back_as_it_was(mmtsa, imu, values, tmp_path, form, bound):
    mmtsa("imagify", imu, "-o", tmp_path / f"gaf.{form}", "--range", "unit")
    done = mmtsa("imagify", tmp_path / f"gaf.{form}", "--invert", "-o", tmp_path / "back.npy", "--range", "unit")
    expected = (values - values.min(axis=0)) / np.ptp(values, axis=0)
    np.testing.assert_allclose(np.load(tmp_path / "back.npy"), expected, atol=bound)
    assert "mirror" not in done.stderr
    assert "rescaled to [0, 1]: the image does not say by what" in done.stderr


def test_the_signed_range_comes_back_up_to_its_sign_and_says_so(mmtsa, imu, values, tmp_path):
    bounds = f"--scale={-np.abs(values).max():.9g},{np.abs(values).max():.9g}"
    mmtsa("imagify", imu, "-o", tmp_path / "gaf.npy", bounds)
    done = mmtsa("imagify", tmp_path / "gaf.npy", "--invert", "-o", tmp_path / "back.csv", bounds, "--rate", RATE)
    assert done.stderr.count("\n") == 1
    assert "a series and its mirror image have one field: each axis is as found or 0 minus it" in done.stderr
    header, rows = read_csv(tmp_path / "back.csv")
    assert header == "time,axis1,axis2,axis3"
    np.testing.assert_allclose(rows[:, 0], np.arange(60) / RATE)
    # In the sensor's unit, as the bounds were given.
    np.testing.assert_allclose(rows[:, 1:], values, atol=1e-6)


def test_a_series_that_came_back_makes_the_same_image(mmtsa, imu, tmp_path):
    mmtsa("imagify", imu, "-o", tmp_path / "gaf.npy")
    mmtsa("imagify", tmp_path / "gaf.npy", "--invert", "-o", tmp_path / "back.csv", "--rate", RATE)
    mmtsa("imagify", tmp_path / "back.csv", "-o", tmp_path / "again.npy")
    np.testing.assert_allclose(np.load(tmp_path / "again.npy"), np.load(tmp_path / "gaf.npy"), atol=1e-6)


def test_json_says_what_was_written_and_a_constant_axis_is_told(mmtsa, tmp_path):
    (tmp_path / "flat.csv").write_text("x,y\n" + "".join(f"{i % 5},3\n" for i in range(20)))
    mmtsa("imagify", tmp_path / "flat.csv", "-o", tmp_path / "gaf.npy", "--range", "unit")
    done = mmtsa("imagify", tmp_path / "gaf.npy", "--invert", "-o", tmp_path / "b.csv", "--range", "unit", "--json")
    assert json.loads(done.stdout) == {
        "path": str(tmp_path / "b.csv"), "samples": 20, "axes": 2, "range": "unit"
    }  # fmt: skip
    assert "axis 2 was constant: at which value is not in the image" in done.stderr


@pytest.mark.parametrize("form", ["npy", "png"])
def test_a_difference_field_is_refused(mmtsa, imu, tmp_path, form):
    image = tmp_path / f"gaf.{form}"
    mmtsa("imagify", imu, "-o", image, "--field", "difference")
    reason = "a difference field cannot be inverted: its diagonal is 0 whatever the series"
    assert f"{image}: {reason}" in mmtsa("imagify", image, "--invert", "-o", tmp_path / "b.csv", expect=1).stderr
    told = mmtsa("imagify", image, "--invert", "-o", tmp_path / "b.csv", "--field", "difference", expect=2)
    assert f"--field difference: {reason}" in told.stderr
    assert not (tmp_path / "b.csv").exists()


def test_what_is_no_field_is_refused(mmtsa, imu, tmp_path):
    def refused(source, *options):
        return mmtsa("imagify", source, "--invert", "-o", tmp_path / "b.csv", *options, expect=1).stderr

    mmtsa("imagify", imu, "-o", tmp_path / "gaf.png")
    wrong = refused(tmp_path / "gaf.png", "--range", "unit")
    assert "no summation field of a series on [0, 1]" in wrong
    assert "give --range signed if it was made so" in wrong
    cv2.imwrite(str(tmp_path / "photo.png"), np.random.default_rng(0).integers(0, 255, (40, 40), np.uint8))
    assert "photo.png: no summation field" in refused(tmp_path / "photo.png")
    cv2.imwrite(str(tmp_path / "wide.png"), np.zeros((40, 50), np.uint8))
    assert "wide.png: no field: not square" in refused(tmp_path / "wide.png")
    cv2.imwrite(str(tmp_path / "deep.png"), np.zeros((40, 40), np.uint16))
    assert "deep.png: no field: not grey or in colour of 8 bits" in refused(tmp_path / "deep.png")
    np.save(tmp_path / "nan.npy", np.full((1, 8, 8), np.nan))
    assert "nan.npy: no summation field" in refused(tmp_path / "nan.npy")
    np.save(tmp_path / "whole.npy", np.zeros((1, 8, 8), int))
    assert "whole.npy: no field: no array of floating numbers" in refused(tmp_path / "whole.npy")
    assert "imu.csv: no field: neither .png nor .npy" in refused(imu)
    assert "none.png: cannot be read: No such file" in refused(tmp_path / "none.png")
    (tmp_path / "torn.png").write_bytes((tmp_path / "gaf.png").read_bytes()[:30])
    assert "torn.png: no field: not a PNG" in refused(tmp_path / "torn.png")
    assert not (tmp_path / "b.csv").exists()


def test_options_that_say_nothing_of_an_inversion_are_refused(mmtsa, imu, tmp_path):
    mmtsa("imagify", imu, "-o", tmp_path / "gaf.npy")
    image = tmp_path / "gaf.npy"
    sized = mmtsa("imagify", image, "--invert", "-o", tmp_path / "b.csv", "--size", 8, expect=2)
    assert "--size: says nothing of an inversion; leave it out" in sized.stderr
    text = mmtsa("imagify", image, "--invert", "-o", tmp_path / "b.txt", expect=2)
    assert "not a series that can be written, expected .csv or .npy" in text.stderr
    nowhere = mmtsa("imagify", image, "--invert", "-o", tmp_path / "no" / "b.csv", expect=1)
    assert "cannot be written: No such file or directory; name another place" in nowhere.stderr
