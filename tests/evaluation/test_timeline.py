"""Time lines: windows cover everything, cells are means of what covers them, equal neighbours are one."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmtsa_cli.evaluation.timeline import UNKNOWN, TimeLine, stretches, window_spans


def test_windows_start_every_hop_and_the_last_one_ends_with_the_recording():
    assert window_spans(30, 15, 5) == [(0, 15), (5, 20), (10, 25), (15, 30)]
    assert window_spans(32, 15, 5)[-2:] == [(15, 30), (17, 32)]
    assert window_spans(10, 15, 5) == [(0.0, 10)]
    assert window_spans(15, 15, 5) == [(0.0, 15)]


@settings(max_examples=100, deadline=None)
@given(st.floats(0.5, 500), st.floats(0.5, 60), st.floats(0.05, 1))
def test_windows_lie_inside_and_leave_nothing_out(duration, window, part):
    hop = window * part
    spans = window_spans(duration, window, hop)
    line = TimeLine(duration, hop, 1)
    for start, end in spans:
        assert -1e-9 <= start < end <= duration + 1e-6
        line.add((start, end), np.ones(1))
    cells, values = line.cells()
    assert np.allclose(values, 1)
    assert cells[0][0] == 0
    assert cells[-1][1] == duration
    assert all(before[1] == after[0] for before, after in pairwise(cells))


def test_a_cell_is_the_mean_of_the_windows_that_cover_it():
    line = TimeLine(20, 5, 2)
    for span, p in (((0, 10), 0.9), ((5, 15), 0.6), ((10, 20), 0.0)):
        line.add(span, np.array([p, 1 - p]))
    cells, values = line.cells()
    assert cells == [(0, 5), (5, 10), (10, 15), (15, 20)]
    assert values[:, 0] == pytest.approx([0.9, 0.75, 0.3, 0.0])


def test_a_window_that_covers_half_a_cell_counts_half():
    line = TimeLine(8, 4, 1)
    line.add((0, 6), np.array([1.0]))
    line.add((2, 8), np.array([0.0]))
    assert line.cells()[1][:, 0] == pytest.approx([4 / 6, 2 / 6])


def test_what_no_window_covers_is_refused():
    line = TimeLine(20, 5, 2)
    line.add((0, 10), np.array([0.5, 0.5]))
    with pytest.raises(ValueError, match="leave a part"):
        line.cells()


def test_equal_neighbours_are_one_stretch_with_the_mean_by_seconds():
    spans = [(0.0, 5.0), (5.0, 10.0), (10.0, 11.0), (11.0, 16.0)]
    values = np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.7, 0.3]])
    found = stretches(spans, values, ["a", "b"])
    assert [(s.start_s, s.end_s, s.name) for s in found] == [(0, 5, "a"), (5, 11, "b"), (11, 16, "a")]
    assert found[1].confidence == pytest.approx((5 * 0.8 + 0.6) / 6)
    assert found[1].probabilities.sum() == pytest.approx(1)


def test_below_the_threshold_nothing_is_named_and_neighbours_join():
    spans = [(0.0, 1.0), (1.0, 2.0), (2.0, 3.0)]
    values = np.array([[0.55, 0.45], [0.45, 0.55], [0.1, 0.9]])
    found = stretches(spans, values, ["a", "b"], threshold=0.6)
    assert [(s.start_s, s.end_s, s.name) for s in found] == [(0, 2, UNKNOWN), (2, 3, "b")]
    assert found[0].confidence == pytest.approx(0.5)
