"""Stamps as they stand in files: rate, jitter, drift and faults, put in and found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mmtsa_cli.recordings.index import ModalitySpec
from mmtsa_cli.recordings.reading import read_stamps
from mmtsa_cli.recordings.synthesis import sensors
from mmtsa_cli.recordings.timing import StampQuality, stamp_quality

EPOCH = 1657534605.0


def quality(times: np.ndarray, rate: float | None = None) -> StampQuality:
    found = stamp_quality(times, rate)
    assert found is not None
    return found


@pytest.mark.parametrize("seconds", [6, 60, 600])
def test_the_jitter_of_a_synthetic_device_is_found(seconds: int) -> None:
    times = sensors.stamps(100.0, seconds, np.random.default_rng(seconds))
    assert quality(times).jitter_s == pytest.approx(8e-4, rel=0.2)


def test_rate_and_drift_of_a_slow_clock_are_found_on_stamps_of_the_epoch() -> None:
    times = EPOCH + np.arange(6000) / 100 * (1 + 500e-6)
    found = quality(times, 100.0)
    assert found.rate_measured == pytest.approx(99.95, abs=1e-3)
    assert found.drift_ppm == pytest.approx(-500, abs=2)
    assert quality(times).drift_ppm is None


def test_repeated_and_backward_stamps_are_counted_and_named() -> None:
    times = np.arange(200) / 100
    times[50] = times[49]
    times[120], times[121] = times[121], times[120]
    found = quality(times, 100.0)
    assert (found.repeated, found.backward) == (1, 1)
    assert found.longest_step_s == pytest.approx(0.02)
    assert found.text == "100 Hz, jitter 0.00 ms, longest step 0.020 s, 1 repeated, 1 backward, +0 ppm"


@pytest.mark.parametrize("jump", [30.0, -30.0])
def test_a_gap_or_a_clock_that_was_set_counts_neither_as_jitter_nor_as_rate(jump: float) -> None:
    times = sensors.stamps(50.0, 20, np.random.default_rng(0))
    times[500:] += jump
    found = quality(times, 50.0)
    assert found.rate_measured == pytest.approx(50, abs=0.05)
    assert found.jitter_s == pytest.approx(8e-4, rel=0.25)
    assert found.longest_step_s == pytest.approx(30.02, abs=0.01) if jump > 0 else found.backward == 1


def test_missing_stamps_still_count_as_samples() -> None:
    times = np.arange(300) / 10.0
    times[100:130] = np.nan
    assert quality(times).rate_measured == pytest.approx(10)


@pytest.mark.parametrize("times", [[], [0.0, 1.0], [5.0, 5.0, 5.0, 5.0], [3.0, 2.0, 1.0, 0.0], [np.nan] * 9])
def test_stamps_that_say_nothing_have_no_quality(times: list[float]) -> None:
    assert stamp_quality(np.asarray(times)) is None


def test_stamps_are_read_as_they_stand_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "acc.csv"
    path.write_text("timestamp,x\n1657534605000,0\n1657534605010,0\n1657534605010,0\n1657534605005,0\n")
    stamps = read_stamps(path, ModalitySpec("sensor"))
    np.testing.assert_allclose(np.asarray(stamps) - EPOCH, [0, 0.01, 0.01, 0.005], atol=1e-6)
    path.write_text("when,x\n2022-07-11 10:16:45.000,0\n2022-07-11 10:16:45.250,0\n")
    np.testing.assert_allclose(np.diff(np.asarray(read_stamps(path, ModalitySpec("sensor", time="when")))), 0.25)
    path.write_text("x,y\n1,2\n3,4\n")
    assert read_stamps(path, ModalitySpec("sensor", rate=10.0)) is None


@pytest.mark.data
def test_real_stamps_in_batches(data_root: Path) -> None:
    found = {}
    for device, rate in (("sp", 102.5), ("sw", 104.3)):
        files = sorted(data_root.glob(f"sp-sw-har/DATA/s*/*_{device}.csv"))
        assert len(files) == 45
        stamps = [np.asarray(read_stamps(path, ModalitySpec("sensor"))) for path in files]
        found[device] = [quality(times, 100.0) for times in stamps]
        assert np.median([one.rate_measured for one in found[device]]) == pytest.approx(rate, abs=0.1)
        zeros = sum(int(np.count_nonzero(np.diff(times) == 0)) for times in stamps)
        assert sum(one.repeated for one in found[device]) == zeros
    both = found["sp"] + found["sw"]
    assert sum(one.repeated for one in both) / (90 * 1150) == pytest.approx(0.04, abs=0.01)
    assert max(one.longest_step_s for one in both) == pytest.approx(0.154, abs=1e-3)
    # The phone delivers in batches, the watch one by one.
    assert np.median([one.jitter_s for one in found["sp"]]) > 2 * np.median([one.jitter_s for one in found["sw"]])
