"""Segments and windows: equation 6 in seconds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmtsa_cli.sampling.segments import cut, draw_fractions, window_start

durations = st.floats(0.5, 1e4)
fractions = st.floats(0, 1)


@given(durations, st.integers(1, 20))
def test_segments_are_equal_and_cover_the_clip(duration, count):
    segments = cut(duration, count)
    assert len(segments) == count
    assert segments[0].start_s == 0
    assert segments[-1].end_s == pytest.approx(duration)
    assert [s.length_s for s in segments] == pytest.approx([duration / count] * count)


@given(durations, st.integers(1, 10), fractions, st.floats(0.01, 1))
def test_a_window_lies_in_its_segment_and_contains_the_drawn_time(duration, count, fraction, part):
    for segment in cut(duration, count):
        window = part * segment.length_s
        start = window_start(segment, fraction, window, duration)
        tolerance = 1e-9 * duration
        assert segment.start_s - tolerance <= start
        assert start + window <= segment.end_s + tolerance
        assert start - tolerance <= segment.time_at(fraction) <= start + window + tolerance


@given(durations, st.integers(2, 10), fractions)
def test_a_window_longer_than_its_segment_covers_it_and_stays_in_the_clip(duration, count, fraction):
    window = 1.5 * duration / count
    for segment in cut(duration, count):
        start = window_start(segment, fraction, window, duration)
        tolerance = 1e-9 * duration
        assert -tolerance <= start
        assert start + window <= duration + tolerance
        assert start <= segment.start_s + tolerance
        assert segment.end_s <= start + window + tolerance


def test_the_centre_is_drawn_where_nothing_is_random():
    assert draw_fractions(3, None).tolist() == [0.5] * 3
    drawn = draw_fractions(1000, np.random.default_rng(0))
    assert 0 <= drawn.min() < 0.02 < 0.98 < drawn.max() <= 1
