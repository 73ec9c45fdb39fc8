"""MMAct as its authors ship it, tiny: real folders, names and formats, a synthetic body's video and sensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

import numpy as np

from tests.trees.synthetic import Performed

RATES = {"acc_phone": 100.0, "acc_watch": 100.0, "gyro": 50.0, "orientation": 50.0}
HEADERS = {name: "time,azimuth,pitch,roll" if name == "orientation" else "time,x,y,z" for name in RATES}
START = datetime(2018, 10, 16, 13, 33, 45, 500_000)
"""Local time in Tokyo; the samples at whole seconds have no fraction."""


@dataclass(frozen=True)
class Clip:
    """One performance, with the troubles that are in its files.

    Parameters
    ----------
    views : sequence of int
        The cameras that saw it.
    sensors : sequence of str
        Those that have a file; `empty` of them have one of no bytes.
    header : bool
        Whether the sensors' files begin with the names of the columns.
    disorder : bool
        Row 11 stands before row 10, and row 21 stands twice.
    slow : float
        By how many parts of itself the true step is longer than the nominal one.
    sensor_activity : str or None
        The name of the sensors' files, where it is not `activity`.
    """

    activity: str = "walking"
    subject: int = 1
    scene: int = 1
    session: int = 1
    views: Sequence[int] = (1, 2, 3, 4)
    sensors: Sequence[str] = tuple(RATES)
    empty: Sequence[str] = ()
    header: bool = False
    disorder: bool = False
    slow: float = 0.0
    sensor_activity: str | None = None

    @property
    def performed(self) -> Performed:
        return Performed(len(self.activity), self.subject, self.session, seconds=1.0)

    def values(self, sensor: str) -> np.ndarray:
        """Return what a sensor's file holds, (n, 3), in the order of time."""
        return np.round(self.performed.sensor(sensor, RATES[sensor]), 4)

    def video(self, root: Path, view: int) -> Path:
        place = f"subject{self.subject}/cam{view}/scene{self.scene}/session{self.session}/{self.activity}.mp4"
        return root / place

    def sensor(self, root: Path, sensor: str) -> Path:
        name = self.sensor_activity or self.activity
        return root / f"{sensor}_clip/subject{self.subject}/scene{self.scene}/session{self.session}/{name}.csv"


CLIPS = (
    Clip("walking", 1, 1, 1),
    Clip("running", 1, 2, 5, slow=0.02),
    Clip("using_phone", 1, 3, 2, views=(1, 2)),
    Clip("talking_on_phone", 2, 3, 1, views=(3,), header=True),
    Clip("using_phone", 2, 4, 1, views=(4,), disorder=True),
    Clip("carrying_light", 17, 1, 2, views=(1, 4), sensor_activity="Carrying_light"),
    Clip("walking", 17, 2, 5, views=(2,), empty=("acc_watch",)),
    Clip("running", 20, 4, 1, views=(), sensors=("acc_phone", "gyro")),
    Clip("fall", 20, 4, 3, views=(1,), sensors=()),
)
"""Every trouble that is known of the real files, and clips without any."""


def write_mmact(
    root: Path, *, clips: Sequence[Clip] = CLIPS, videos: str = "", sensors: str = "", strangers: Sequence[str] = ()
) -> Path:
    """Write a tree.

    Parameters
    ----------
    videos, sensors : str
        The folders that their own folders lie in ("cross_view/trainval").
    strangers : sequence of str
        Further files, of a few bytes.
    """
    for clip in clips:
        for view in clip.views:
            write(clip.video(root / videos, view), _mp4(clip.performed))
        for name in clip.sensors:
            write(clip.sensor(root / sensors, name), b"" if name in clip.empty else sensor_text(clip, name).encode())
    for name in strangers:
        write(root / name, b"?\n")
    return root


def write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def sensor_text(clip: Clip, name: str) -> str:
    """Return a sensor's file."""
    step = (1 + clip.slow) / RATES[name]
    rows = [
        f"{stamp(i * step)},{','.join(repr(float(value)) for value in row)}" for i, row in enumerate(clip.values(name))
    ]
    if clip.disorder:
        rows[9:11] = rows[10], rows[9]
        rows[20:21] = [rows[20]] * 2
    return "\n".join([*([HEADERS[name]] if clip.header else []), *rows]) + "\n"


def stamp(seconds: float) -> str:
    """Return a time after `START`, without a fraction where it is a whole second."""
    time = START + timedelta(milliseconds=round(seconds * 1000))
    fraction = f".{time.microsecond // 1000:03d}" if time.microsecond else ""
    return f"{time:%Y%m%d_%H:%M:%S}{fraction}"


@cache
def _mp4(performed: Performed) -> bytes:
    return performed.mp4()
