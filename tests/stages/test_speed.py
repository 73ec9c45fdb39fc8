"""The parts of `benchmark --speed`: what counts as a ratio, what is measured, how it grows."""

from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest

from mmtsa_cli.imaging.field import gramian, rescale
from mmtsa_cli.stages.speeds import fields as speed_fields
from mmtsa_cli.stages.speeds import growth as speed_growth
from mmtsa_cli.stages.speeds import items as speed_items
from mmtsa_cli.stages.speeds import material as speed_material
from mmtsa_cli.stages.speeds.timing import SpeedRow, Times, in_turns, timed_row


def times(median_s, fastest_s=None):
    return Times(median_s, fastest_s or median_s, median_s, 3)


def test_ways_are_called_in_turns_and_the_warm_up_does_not_count():
    calls = []
    found = in_turns({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, repeats=2, warmup=1)
    assert "".join(calls) == "ababab"
    assert {name: taken.repeats for name, taken in found.items()} == {"a": 2, "b": 2}


def test_no_round_begins_after_the_budget_once_two_count():
    calls = []
    found = in_turns({"a": lambda: calls.append(1)}, repeats=50, warmup=0, budget_s=0)
    assert (len(calls), found["a"].repeats) == (2, 2)


def test_a_ratio_above_one_means_that_ours_takes_less():
    row = timed_row("train: step", times(0.5), times(2.0, 1.9), bar=4, naive_way="float32")
    assert (row.ours, row.naive, row.ratio, row.reached) == (500, 2000, 4, True)
    assert row.facts()["fastest_ratio"] == pytest.approx(3.8)
    assert not timed_row("train: step", times(0.5), times(1.9), bar=4, naive_way="float32").reached


def test_a_figure_that_is_asked_for_is_compared_with_ours():
    assert SpeedRow("start", "s", 0.2, 3.0, 0.25, "", absolute=True).reached
    assert not SpeedRow("start", "s", 0.3, 3.0, 0.25, "", absolute=True).reached


def test_without_a_naive_figure_there_is_no_ratio_and_no_verdict():
    row = SpeedRow("field", "ms", 0.2, None, 20, "pyts is not installed")
    assert (row.ratio, row.reached, row.facts()["naive"]) == (None, None, None)


def test_the_naive_way_written_out_is_that_of_pyts(monkeypatch):
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    image = pytest.importorskip("pyts.image")
    window = np.random.default_rng(0).normal(size=(3, 50)).cumsum(axis=1)
    theirs = image.GramianAngularField(method="summation").fit_transform(window)
    np.testing.assert_allclose(speed_fields._plain_fields(window), theirs, atol=1e-6)


def test_both_ways_to_make_a_field_make_the_same_image():
    window = np.random.default_rng(0).normal(size=(3, 50)).cumsum(axis=1)
    exact = gramian(rescale(window, window.min(axis=1), window.max(axis=1)))
    # The paper's code cuts off where ours rounds.
    assert np.abs(speed_fields.naive_grey(exact).astype(int) - speed_fields.our_grey(window)).max() <= 1
    half = speed_fields._mirrored(window[None])[0]
    assert np.abs(half.astype(int) - speed_fields.our_grey(window)).max() <= 1


def test_the_material_is_a_store_that_items_can_be_drawn_from(tmp_path):
    shown = speed_material.write_store(tmp_path / "store", clips=2)
    store = speed_items.Store(tmp_path / "store")
    item = speed_items.item_of(store, 64)(0)
    assert {name: values.shape for name, values in item.items()} == {
        "rgb": (1, 3, 64, 64, 3),
        "acc_phone": (1, 3, 3, 200),
        "acc_watch": (1, 3, 3, 200),
        "gyro": (1, 3, 3, 100),
        "orientation": (1, 3, 3, 100),
    }
    images = speed_items.item_of(store, 64, images=True)(0)
    assert images["gyro"].shape == (3, 3, 100, 100)
    assert images["gyro"].dtype == np.uint8
    frames = speed_material.extract(shown, tmp_path / "frames")
    assert len(frames) == 15
    naive = speed_items._Naive(lambda place: speed_items._opened(frames[place]))()
    assert [tuple(tensor.shape) for tensor in naive] == [(3, 224, 224)] * 15


def test_a_draw_allocates_no_more_of_a_long_series_than_of_a_short_one(tmp_path):
    speed_material.write_series_store(tmp_path / "store", (10.0, 3600.0))
    store = speed_growth.Store(tmp_path / "store")
    peaks = []
    for clip in (0, 1):
        draw = speed_growth._drawing(store, clip)
        draw()
        tracemalloc.start()
        draw()
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0] < 100_000


def test_numbers_of_clips_rise_to_the_largest():
    assert speed_growth.clip_counts(1000) == [100, 300, 1000]
    assert speed_growth.clip_counts(100_000) == [100, 300, 1000, 3000, 10_000, 30_000, 100_000]
    assert speed_growth.clip_counts(500) == [100, 300, 500]


@pytest.mark.parametrize("power", [0.0, 1.0, 2.0])
def test_the_exponent_is_the_slope_of_the_logarithm(power):
    rows = [
        {"what": "w", "of": "clips", "size": size, "value": 3 * size**power, "unit": "s"} for size in (10, 100, 1000)
    ]
    (found,) = speed_growth.exponents(rows)
    assert found["exponent"] == pytest.approx(power, abs=1e-9)
    assert (found["from"], found["to"]) == (10, 1000)
    assert math.isfinite(found["last"])
