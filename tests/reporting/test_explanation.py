"""The picture of reasons: its size and colours, whatever the names and numbers are."""

from __future__ import annotations

import cv2
import numpy as np

from mmtsa_cli.reporting.explanation import Reasons, SensorReasons, VideoReasons, draw_reasons


def reasons_of(importance, *, name="walk", segments=3, samples=300):
    rng = np.random.default_rng(0)
    spans = tuple((float(n), float(n + 1)) for n in range(segments))
    tiles = tuple(rng.integers(0, 255, (20, 20), dtype=np.uint8) for _ in spans)
    maps = rng.random((segments, 8, 8))
    centres = tuple(start + 0.5 for start, _ in spans)
    video = VideoReasons(f"{name} video", tiles, centres, maps, np.zeros(segments))
    values = rng.normal(size=(samples, 2)).cumsum(axis=0)
    strip = np.zeros((2, samples))
    strip[0] = importance
    rate = samples / segments
    sensor = SensorReasons(f"{name} acc", None, (name, "y"), rate, values, strip, (0.2, 0.9), spans, tiles, "y", maps)
    weights = tuple(1 / segments for _ in spans)
    about = (0.9, 0.0, float(segments), spans, weights, (video,), (sensor,), {video.name: 0.1, sensor.name: 0.95})
    return Reasons(f"{name}: 0.90", "recording", name, *about, "its features 0", "log-odds per second")


def picture_of(reasons):
    return cv2.imdecode(np.frombuffer(draw_reasons(reasons), np.uint8), cv2.IMREAD_COLOR)


def dark_red(picture):
    """Columns of the picture with the colour of the most important moment, in BGR."""
    return np.flatnonzero((np.abs(picture.astype(int) - (2, 20, 143)).sum(axis=2) < 12).sum(axis=0) > 5)


def test_the_strip_is_darkest_where_it_is_most_important():
    importance = np.exp(-0.5 * ((np.arange(300) - 200) / 8) ** 2)
    picture = picture_of(reasons_of(importance))
    assert picture.shape[1] == 1600
    # 200 of 300 samples, on an axis from 1.4 inches on of 140 pixels; the scale of colours ends left of it.
    middle = np.median([column for column in dark_red(picture) if column > 800])
    left, width = 1.4 * 140, 1600 - (1.4 + 1.35) * 140
    assert abs(middle - (left + width * 200 / 300)) < 12


def test_nothing_important_any_name_and_many_segments_are_drawn():
    plain = picture_of(reasons_of(np.zeros(300)))
    assert len([column for column in dark_red(plain) if column > 800]) == 0
    strange = picture_of(reasons_of(np.ones(300), name="a $\\frac{1}$ <b>name</b> " * 4, segments=24))
    assert strange.shape[1] == 1600
    # A series of more samples than the picture has columns.
    long = picture_of(reasons_of(np.ones(50_000), samples=50_000))
    assert long.shape[1] == 1600
