"""What the makers of native trees fill their files with: a synthetic body's video and sensors, at any rate."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mmtsa_cli.recordings.synthesis import generator, sensors
from mmtsa_cli.recordings.synthesis.activities import ACTIVITIES
from mmtsa_cli.recordings.synthesis.files import encode
from mmtsa_cli.recordings.synthesis.rendering import Image
from mmtsa_cli.recordings.synthesis.timing import FRAME_RATE


@dataclass(frozen=True)
class Performed:
    """One performance of an activity by a person: frames at 15 Hz, and any sensor at any rate, all from second 0.

    Parameters
    ----------
    number : int
        Which activity (any number counts round), subject : int from 1, session : int from 1, seconds : float at most.
    """

    number: int
    subject: int = 1
    session: int = 1
    seconds: float = 3.0
    size: int = 32

    @property
    def options(self) -> generator.SynthesisOptions:
        return generator.SynthesisOptions(size=self.size, seconds=self.seconds)

    @property
    def performance(self) -> generator.Performance:
        number = self.number % len(ACTIVITIES)
        clip = generator.Clip(ACTIVITIES[number], self.subject, self.session, seed=0, draw=number)
        return generator.perform(clip, self.options)

    @property
    def duration(self) -> float:
        return self.performance.timing.duration

    def frames(self) -> Iterator[Image]:
        """Yield the frames (size, size, 3), blue-green-red."""
        return generator.frames(self.performance, self.options)

    def mp4(self, *, rate: int = FRAME_RATE) -> bytes:
        """Return the frames as an MP4 (H.264), shown at `rate`."""
        return encode(self.frames(), size=self.size, rate=rate)

    def sensor(self, name: str, rate: float, *, start: float = 0.0, count: int | None = None) -> NDArray[np.float64]:
        """Return what an ideal sensor (a key of `sensors.SENSORS`) reads at start + i / rate, (n, 3), in its unit."""
        performance = self.performance
        length = int(self.duration * rate) if count is None else count
        placement = performance.placement(sensors.SENSORS[name].device, 0.0)
        return sensors.ideal(name, placement, start + np.arange(length) / rate)


def write_mp4(path: Path, performed: Performed) -> Path:
    """Write the video of a performance."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(performed.mp4())
    return path
