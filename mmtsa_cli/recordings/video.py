"""Video by time: which frame is shown when, whatever holds the frames."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class VideoInfo:
    """What is known of a video.

    Attributes
    ----------
    duration_s : float
        From the first frame to the end of the last.
    frames : int
    rate : float
        Frames a second, on average.
    width, height : int
        Pixels as displayed, after rotation.
    grey : bool
        Whether frames have one channel.
    fault : str or None
        What is damaged or missing, as far as it has been met.
    """

    duration_s: float
    frames: int
    rate: float
    width: int
    height: int
    grey: bool
    fault: str | None = None


class Video(ABC):
    """An open video; second 0 is its first frame, plus `offset_s`.

    Attributes
    ----------
    offset_s : float
        Where the first frame stands on the clock of the times that `frames_at` takes and gives.
    """

    offset_s: float = 0.0

    @property
    @abstractmethod
    def info(self) -> VideoInfo:
        """What is known of the video; `fault` grows as damage is met."""

    @abstractmethod
    def _frames_at(self, times_s: Sequence[float]) -> list[tuple[float, NDArray[np.uint8]]]:
        """Return time and picture of the frame shown at each time; times ascend and count from the first frame."""

    @abstractmethod
    def probe(self) -> VideoInfo:
        """Decode the first, the middle and the last frame, and return the info with the damage that was met."""

    @abstractmethod
    def scan(self) -> VideoInfo:
        """Decode everything once, to find what is damaged, and return the info with it."""

    @abstractmethod
    def close(self) -> None:
        """Release the file."""

    def frames_at(self, times_s: Sequence[float]) -> list[tuple[float, NDArray[np.uint8]]]:
        """Return the frame that is shown at each time.

        Parameters
        ----------
        times_s : sequence of float
            Seconds, in any order; before the first frame the first, after the last one the last is meant.

        Returns
        -------
        list of (time_s, picture)
            In the order of `times_s`; the time at which the frame begins to be shown, and uint8 (H, W, 3) in RGB or,
            where `info.grey`, (H, W). Where a frame is damaged, the last sound one before it, else the first after.

        Raises
        ------
        DataError
            No frame can be decoded.
        """
        order = sorted(range(len(times_s)), key=lambda index: times_s[index])
        found = self._frames_at([times_s[index] - self.offset_s for index in order])
        result: list[tuple[float, NDArray[np.uint8]]] = [found[0]] * len(order) if found else []
        for index, (time_s, picture) in zip(order, found, strict=True):
            result[index] = (time_s + self.offset_s, picture)
        return result

    def __enter__(self) -> Video:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
