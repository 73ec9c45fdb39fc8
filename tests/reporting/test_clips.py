"""The picture of a clip: where everything stands, and that what stands there is what was given."""

from __future__ import annotations

import dataclasses
import itertools
import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmtsa_cli.reporting.clip_layout import Box, ClipPicture, SensorRow, VideoRow, lay_out, overview_frames
from mmtsa_cli.reporting.clips import DPI, envelope, write_clip

SECONDS = 6.0


def picture(segments: int = 3, *, videos: int = 1, sensors: int = 2, aspect: float = 4 / 3) -> ClipPicture:
    """Return a clip whose every image is a plain grey or colour of its own."""
    edges = np.linspace(0, SECONDS, segments + 1)
    spans = tuple((float(start), float(end)) for start, end in itertools.pairwise(edges))
    count = overview_frames(aspect, segments)
    shape = (30, round(30 * aspect))
    frames = tuple((start + 0.1, np.full(shape, 10 + i, np.uint8)) for i, (start, _) in enumerate(spans))
    even = tuple(((i + 0.5) * SECONDS / count, np.full(shape, 100 + i, np.uint8)) for i in range(count))
    windows = tuple((max(0.0, start - 0.2), min(SECONDS, start + 1.8)) for start, _ in spans)
    fields = tuple(np.full((20, 20, 3), (50 + i, 150, 250), np.uint8) for i in range(segments))
    values = np.sin(np.arange(300)[:, None] / 20 + np.arange(3)).astype(np.float32)
    rows = tuple(
        SensorRow(f"sensor_{i}", "m/s^2", ("x", "y", "z"), 50.0, values, windows, fields, "x, y, z as red, green, blue")
        for i in range(sensors)
    )
    shown = tuple(VideoRow(f"video_{i}", even, frames) for i in range(videos))
    return ClipPicture("walk_1", "label walk", SECONDS, spans, shown, rows)


def centre(image: np.ndarray, box: Box) -> list[int]:
    """Return the pixel in the middle of a place, in RGB."""
    y, x = round((box.top + box.height / 2) * DPI), round((box.left + box.width / 2) * DPI)
    return image[y, x, ::-1].tolist()


@pytest.mark.parametrize("segments", [1, 3, 8])
def test_every_image_stands_in_its_place(tmp_path: Path, segments: int) -> None:
    clip = picture(segments)
    write_clip(tmp_path / "clip.png", clip)
    image, layout = cv2.imread(str(tmp_path / "clip.png")), lay_out(clip)
    assert image.shape[:2] == pytest.approx((layout.height * DPI, layout.width * DPI), abs=1)
    for number in range(segments):
        assert centre(image, layout.boxes["field", "sensor_1", number]) == [50 + number, 150, 250]
        assert centre(image, layout.boxes["frame", "video_0", number]) == [10 + number] * 3
    strip = layout.boxes["overview", "video_0"]
    for number, (time_s, _) in enumerate(clip.videos[0].overview):
        # A little beside its centre, where the border of a segment may run.
        left = strip.left + strip.width * time_s / SECONDS + 0.1
        assert centre(image, Box(left, strip.top, 0, strip.height)) == [100 + number] * 3


def overlap(one: Box, other: Box) -> bool:
    across = min(one.left + one.width, other.left + other.width) - max(one.left, other.left)
    down = min(one.top + one.height, other.top + other.height) - max(one.top, other.top)
    return across > 1e-9 and down > 1e-9


@pytest.mark.parametrize(
    ("segments", "videos", "sensors", "aspect"),
    [
        (1, 1, 4, 1.0),
        (3, 1, 4, 16 / 9),
        (8, 1, 4, 4 / 3),
        (8, 2, 3, 9 / 16),
        (30, 1, 1, 2.0),
        (3, 1, 0, 1),
        (3, 0, 1, 1),
    ],
)
def test_nothing_overlaps_and_all_of_it_is_inside(segments: int, videos: int, sensors: int, aspect: float) -> None:
    layout = lay_out(picture(segments, videos=videos, sensors=sensors, aspect=aspect))
    boxes = list(layout.boxes.values())
    assert len(boxes) == videos * (1 + segments) + sensors * (1 + segments) + 1 + bool(sensors)
    for one, other in itertools.combinations(boxes, 2):
        assert not overlap(one, other)
    for box in boxes:
        assert box.left >= 0
        assert box.left + box.width <= layout.width
        assert box.top > 0
        assert box.top + box.height <= layout.height


def test_fields_stand_under_their_segments() -> None:
    clip = picture(4)
    layout = lay_out(clip)
    axis = layout.boxes["curves", "sensor_0"]
    for number, (start, end) in enumerate(clip.segments):
        box = layout.boxes["field", "sensor_0", number]
        time_s = (box.left + box.width / 2 - axis.left) / axis.width * SECONDS
        assert time_s == pytest.approx((start + end) / 2)
        assert box.width == box.height


def test_windows_that_overlap_stand_in_lines_of_their_own() -> None:
    apart, over = picture(3), picture(8)
    assert lay_out(apart).boxes["windows",].height == pytest.approx(0.17)
    # Windows of 2 s that begin 0.75 s apart: three at any time.
    assert lay_out(over).boxes["windows",].height == pytest.approx(3 * 0.17)


def test_a_drawn_window_is_shaded(tmp_path: Path) -> None:
    clip = picture(1, videos=0, sensors=1)
    row = dataclasses.replace(
        clip.sensors[0], windows=((1.0, 2.0),), values=np.zeros((300, 1), np.float32), axes=("x",)
    )
    clip = dataclasses.replace(clip, sensors=(row,))
    write_clip(tmp_path / "clip.png", clip)
    image, axis = cv2.imread(str(tmp_path / "clip.png")), lay_out(clip).boxes["curves", "sensor_0"]
    y = round((axis.top + 0.3 * axis.height) * DPI)
    grey = [image[y, round((axis.left + axis.width * t / SECONDS) * DPI)].mean() for t in (0.9, 1.1, 1.9, 2.1)]
    assert grey[0] == grey[3] == 255
    assert grey[1] == grey[2] < 245


def test_the_envelope_keeps_every_peak() -> None:
    values = np.random.default_rng(0).standard_normal((30_011, 2))
    values[12_345, 1] = 50
    positions, rows = envelope(values, 100)
    assert rows.shape == (200, 2)
    assert rows.max(axis=0) == pytest.approx(values.max(axis=0))
    assert rows.min(axis=0) == pytest.approx(values.min(axis=0))
    assert positions[rows[:, 1].argmax()] == pytest.approx(12_345, abs=151)
    assert (np.diff(positions) >= 0).all()
    positions, rows = envelope(values[:200], 100)
    assert np.array_equal(rows, values[:200])
    assert np.array_equal(positions, np.arange(200))


def test_the_same_clip_gives_the_same_bytes(tmp_path: Path) -> None:
    for form in ("png", "svg"):
        for name in ("a", "b"):
            write_clip(tmp_path / f"{name}.{form}", picture())
        assert (tmp_path / f"a.{form}").read_bytes() == (tmp_path / f"b.{form}").read_bytes()
    assert (tmp_path / "a.svg").read_text().lstrip().startswith("<?xml")


def test_names_that_a_plot_could_trip_over(tmp_path: Path) -> None:
    clip = picture(sensors=1)
    row = dataclasses.replace(
        clip.sensors[0],
        name="a_very_long_name_of_a_sensor_on_the_left_wrist",
        unit="$x_{$",
        axes=("_hidden", "$\\frac{", "行走"),
        caption="$a$ " * 40,
    )
    clip = dataclasses.replace(clip, title="$\\bad{ 走る" * 30, subtitle="_$" * 200, sensors=(row,))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write_clip(tmp_path / "clip.png", clip)
    assert cv2.imread(str(tmp_path / "clip.png")) is not None


@pytest.mark.parametrize("values", [np.full((300, 1), 101325.0), np.full((2, 1), -1e12), np.zeros((300, 17))])
def test_series_without_contrast_and_with_many_axes(tmp_path: Path, values: np.ndarray) -> None:
    clip = picture(videos=0, sensors=1)
    axes = tuple(f"axis {number}" for number in range(values.shape[1]))
    row = dataclasses.replace(clip.sensors[0], values=values, axes=axes)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write_clip(tmp_path / "clip.png", dataclasses.replace(clip, sensors=(row,)))
    assert (tmp_path / "clip.png").stat().st_size > 5000


def test_nothing_half_written_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="No space"):
        write_clip(tmp_path / "clip.png", picture())
    assert list(tmp_path.iterdir()) == []
