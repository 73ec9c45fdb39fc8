"""`mmtsa imagify`: the pixels of what it writes, and what it says of bad input."""

from __future__ import annotations

import json
import subprocess
import sys

import cv2
import numpy as np
import pytest
import scipy.io

from mmtsa_cli.imaging.field import gramian, piecewise_mean, rescale, to_grey

RATE = 50


@pytest.fixture
def values():
    return np.random.default_rng(0).normal(size=(60, 3)).cumsum(axis=0)


def write_csv(path, values, *, header="time,x,y,z"):
    times = np.arange(len(values)) / RATE
    rows = [",".join(map(repr, (float(t), *map(float, row)))) for t, row in zip(times, values, strict=True)]
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


@pytest.fixture
def imu(tmp_path, values):
    return write_csv(tmp_path / "imu.csv", values)


def field_of(values, *, kind="sum", range="signed", low=None, high=None):
    axes = np.asarray(values).T
    low = axes.min(axis=1) if low is None else low
    high = axes.max(axis=1) if high is None else high
    return gramian(rescale(axes, low, high, range=range), kind)


def read_png(path):
    """Return a PNG as (C, n, n), red first."""
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    return image[None] if image.ndim == 2 else image[:, :, ::-1].transpose(2, 0, 1)


def assert_grey(actual, field):
    expected = to_grey(field)
    assert actual.shape == expected.shape
    # Rounding of the text may tip a value over.
    assert np.abs(actual.astype(int) - expected).max() <= 1
    assert (actual != expected).mean() < 0.01


def test_three_axes_are_red_green_and_blue(mmtsa, imu, values, tmp_path):
    outcome = mmtsa("imagify", imu, "-o", tmp_path / "gaf.png")
    assert_grey(read_png(tmp_path / "gaf.png"), field_of(values))
    assert "60 x 60" in outcome.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["gaf.png", "imu.csv"]


def test_npy_holds_the_exact_field(mmtsa, imu, values, tmp_path):
    mmtsa("imagify", imu, "-o", tmp_path / "gaf.npy")
    field = np.load(tmp_path / "gaf.npy", allow_pickle=False)
    assert field.dtype == np.float64
    np.testing.assert_allclose(field, field_of(values), atol=1e-12)


@pytest.mark.parametrize("kind", ["sum", "difference"])
@pytest.mark.parametrize("scaled_range", ["signed", "unit"])
def test_field_and_range(mmtsa, imu, values, tmp_path, kind, scaled_range):
    mmtsa("imagify", imu, "-o", tmp_path / "gaf.npy", "--field", kind, "--range", scaled_range)
    expected = field_of(values, kind=kind, range=scaled_range)
    np.testing.assert_allclose(np.load(tmp_path / "gaf.npy"), expected, atol=1e-12)


def test_part_is_scaled_by_the_whole_or_by_itself_or_by_bounds(mmtsa, imu, values, tmp_path):
    part = values[10:35]
    expected = {
        "clip": field_of(part, low=values.min(axis=0), high=values.max(axis=0)),
        "window": field_of(part),
        "-4,4": field_of(part, low=np.full(3, -4.0), high=np.full(3, 4.0)),
    }
    for scale, field in expected.items():
        mmtsa("imagify", imu, "-o", tmp_path / "g.npy", "--start", 0.2, "--duration", 0.5, f"--scale={scale}")
        np.testing.assert_allclose(np.load(tmp_path / "g.npy"), field, atol=1e-12)


def test_part_equals_the_crop_of_the_whole(mmtsa, imu, tmp_path):
    mmtsa("imagify", imu, "-o", tmp_path / "whole.npy")
    mmtsa("imagify", imu, "-o", tmp_path / "part.npy", "--start", 0.2, "--duration", 0.5)
    whole, part = np.load(tmp_path / "whole.npy"), np.load(tmp_path / "part.npy")
    np.testing.assert_allclose(part, whole[:, 10:35, 10:35], atol=1e-12)


def test_size_averages_piecewise(mmtsa, imu, values, tmp_path):
    mmtsa("imagify", imu, "-o", tmp_path / "gaf.npy", "--size", 24)
    np.testing.assert_allclose(np.load(tmp_path / "gaf.npy"), field_of(piecewise_mean(values.T, 24).T), atol=1e-9)
    mmtsa("imagify", imu, "-o", tmp_path / "all.npy", "--size", 500)
    assert np.load(tmp_path / "all.npy").shape == (3, 60, 60)


def test_channels_are_separate_grey_images(mmtsa, imu, values, tmp_path):
    mmtsa("imagify", imu, "-o", tmp_path / "gaf.png", "--channels")
    for axis, name in enumerate("xyz"):
        assert_grey(read_png(tmp_path / f"gaf-{name}.png"), field_of(values[:, axis : axis + 1]))
    assert not (tmp_path / "gaf.png").exists()


def test_sensors_of_one_file_are_named(mmtsa, imu, values, tmp_path):
    outcome = mmtsa("imagify", imu, "-o", tmp_path / "g.png", "--columns", "a=z,y,x", "--columns", "b=3", "--json")
    assert_grey(read_png(tmp_path / "g-a.png"), field_of(values[:, ::-1]))
    assert_grey(read_png(tmp_path / "g-b.png"), field_of(values[:, 1:2]))
    images = json.loads(outcome.stdout)["images"]
    assert [image["axes"] for image in images] == [["z", "y", "x"], ["y"]]


def test_six_columns_are_two_images(mmtsa, tmp_path):
    values = np.random.default_rng(1).normal(size=(40, 6))
    scipy.io.savemat(tmp_path / "a1_s1_t1_inertial.mat", {"d_iner": values})
    outcome = mmtsa("imagify", tmp_path / "a1_s1_t1_inertial.mat", "-o", tmp_path / "gaf.png")
    assert_grey(read_png(tmp_path / "gaf.png"), field_of(values[:, :3]))
    assert_grey(read_png(tmp_path / "gaf-2.png"), field_of(values[:, 3:]))
    assert "2 images" in outcome.stderr
    mmtsa("imagify", tmp_path / "a1_s1_t1_inertial.mat", "-o", tmp_path / "gaf.npy")
    assert np.load(tmp_path / "gaf.npy").shape == (6, 40, 40)


@pytest.mark.data
def test_a_real_inertial_file_works_without_options(mmtsa, data_root, tmp_path):
    source = data_root / "utd-mhad" / "Inertial" / "a22_s1_t1_inertial.mat"
    mmtsa("imagify", source, "-o", tmp_path / "gaf.png")
    values = scipy.io.loadmat(source)["d_iner"]
    assert_grey(read_png(tmp_path / "gaf.png"), field_of(values[:, :3]))


def test_existing_file_is_replaced(mmtsa, imu, tmp_path):
    (tmp_path / "gaf.png").write_text("old")
    mmtsa("imagify", imu, "-o", tmp_path / "gaf.png")
    assert read_png(tmp_path / "gaf.png").shape == (3, 60, 60)


def test_constant_axis_is_mid_grey_with_one_warning(mmtsa, values, tmp_path):
    values[:, 1] = 9.81
    outcome = mmtsa("imagify", write_csv(tmp_path / "imu.csv", values), "-o", tmp_path / "gaf.png")
    assert set(np.unique(read_png(tmp_path / "gaf.png")[1])) <= {127, 128}
    assert outcome.stderr.count("warning") == 1
    assert "imu.csv: y constant, mid-grey" in outcome.stderr


def test_colour_image_needs_one_or_three_axes(mmtsa, imu, tmp_path):
    outcome = mmtsa("imagify", imu, "-o", tmp_path / "gaf.png", "--columns", "x,y", expect=2)
    assert "imu.csv: a colour image needs 1 axis, or 3 a sensor, found 2: x, y" in outcome.stderr
    assert "--channels" in outcome.stderr
    assert not (tmp_path / "gaf.png").exists()


def test_field_beyond_the_memory_names_the_size_that_fits(mmtsa, imu, tmp_path):
    outcome = mmtsa("imagify", imu, "-o", tmp_path / "gaf.png", "--max-memory", "60KB", expect=2)
    assert "the field of 60 x 60 would take 8.05e-05 GiB" in outcome.stderr
    assert "give --size 50 or less" in outcome.stderr
    mmtsa("imagify", imu, "-o", tmp_path / "gaf.png", "--max-memory", "60KB", "--size", 50)
    assert read_png(tmp_path / "gaf.png").shape == (3, 50, 50)


@pytest.mark.parametrize(
    ("arguments", "phrase"),
    [
        (["-o", "gaf.jpg"], "--output gaf.jpg: not an image that can be written, expected .png or .npy"),
        (["-o", "g.png", "--scale", "dataset"], "--scale: scale dataset belongs to training"),
        (["-o", "g.png", "--scale", "2,1"], "--scale: not a scale, expected LOW,HIGH with LOW below HIGH, found 2,1"),
        (["-o", "g.png", "--max-memory", "much"], "--max-memory: not an amount of memory"),
        (["-o", "g.png", "--columns", "a="], "--columns a=: names no columns"),
        (["-o", "g.png", "--columns", "a=1", "--columns", "a=2"], "g-a.png: two images of one name"),
    ],
)
def test_wrong_options(mmtsa, imu, tmp_path, monkeypatch, arguments, phrase):
    monkeypatch.chdir(tmp_path)
    outcome = mmtsa("imagify", imu, *arguments, expect=2)
    assert phrase in outcome.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["imu.csv"]


@pytest.mark.parametrize(
    ("arguments", "phrase"),
    [
        (
            ["--start", "5"],
            "fewer than two samples in the part asked for, expected --start and --duration within 1.2 s",
        ),
        (["--columns", "x,y,q"], "imu.csv: no column q"),
    ],
)
def test_what_the_file_does_not_have(mmtsa, imu, tmp_path, arguments, phrase):
    outcome = mmtsa("imagify", imu, "-o", tmp_path / "gaf.png", *arguments, expect=None)
    assert outcome.code in (1, 2)
    assert phrase in outcome.stderr
    assert not (tmp_path / "gaf.png").exists()


def test_text_among_numbers_is_named_and_nothing_written(mmtsa, imu, tmp_path):
    lines = imu.read_text().splitlines()
    lines[20] = "0.38,1.0,broken,2.0"
    imu.write_text("\n".join(lines))
    outcome = mmtsa("imagify", imu, "-o", tmp_path / "gaf.png", expect=1)
    assert "imu.csv, row 21" in outcome.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["imu.csv"]


def test_output_into_a_missing_folder(mmtsa, imu, tmp_path):
    for name in ("gaf.png", "gaf.npy"):
        outcome = mmtsa("imagify", imu, "-o", tmp_path / "none" / name, expect=1)
        assert f"none/{name}: cannot be written: No such file or directory" in outcome.stderr


def test_standard_input_and_no_torch(imu, values, tmp_path):
    script = (
        "import sys; from mmtsa_cli import cli; code = cli.run(sys.argv[1:]);"
        "sys.exit(9 if 'torch' in sys.modules else code)"
    )
    command = [sys.executable, "-c", script, "imagify", "-", "-o", str(tmp_path / "gaf.npy")]
    done = subprocess.run(command, input=imu.read_bytes(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(np.load(tmp_path / "gaf.npy"), field_of(values), atol=1e-12)


@pytest.fixture
def recordings(tmp_path):
    root = tmp_path / "rec"
    root.mkdir()
    generator = np.random.default_rng(2)
    for clip in ("one", "two"):
        write_csv(root / f"{clip}-acc.csv", generator.normal(size=(40, 3)))
        write_csv(root / f"{clip}-gyro.csv", generator.normal(size=(40, 3)))
    rows = [f"{clip},walk,s1,{clip}-acc.csv,{clip}-gyro.csv" for clip in ("one", "two")]
    (root / "index.csv").write_text("\n".join(["id,label,subject,acc,gyro", *rows]) + "\n")
    return root


def test_recordings_give_one_image_a_sensor_and_clip(mmtsa, recordings, tmp_path):
    outcome = mmtsa("imagify", recordings, "-o", tmp_path / "out", "--jobs", 1, "--json")
    assert json.loads(outcome.stdout)["images"] == 4
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["manifest.json", "one-acc.png", "one-gyro.png", "two-acc.png", "two-gyro.png"]
    values = np.loadtxt(recordings / "two-gyro.csv", delimiter=",", skiprows=1)[:, 1:]
    assert_grey(read_png(tmp_path / "out" / "two-gyro.png"), field_of(values))
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["stage"] == "imagify"
    again = mmtsa("imagify", recordings, "-o", tmp_path / "out", "--jobs", 2)
    assert "already holds this result" in again.stderr


@pytest.mark.usefixtures("eager_processes")
def test_recordings_in_parallel_with_chosen_sensors_and_format(mmtsa, recordings, tmp_path):
    arguments = ["--jobs", 2, "--modalities", "acc", "--format", "npy"]
    mmtsa("imagify", recordings, "-o", tmp_path / "out", *arguments)
    assert sorted(path.name for path in (tmp_path / "out").glob("*.npy")) == ["one-acc.npy", "two-acc.npy"]


def test_damaged_recording_leaves_nothing(mmtsa, recordings, tmp_path):
    (recordings / "two-acc.csv").write_text("")
    outcome = mmtsa("imagify", recordings, "-o", tmp_path / "out", "--jobs", 1, expect=1)
    assert "two-acc.csv" in outcome.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rec"]
