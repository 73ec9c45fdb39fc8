"""Frames while they are filmed: from a file that is whole, one that grows, and what is no video."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import av
import numpy as np
import pytest

from mmtsa_cli.errors import DataError
from mmtsa_cli.recordings.live_series import GapError
from mmtsa_cli.recordings.live_video import LiveVideo
from tests.trees.videos import level, write_video


def opened(path: Path, *, keep_s: float = 2.0) -> LiveVideo:
    return LiveVideo(str(path), keep_s=keep_s, shrink=lambda picture: picture)


@pytest.mark.parametrize("name", ["a.mp4", "b.mkv", "c.ts", "d.avi"])
def test_a_file_shows_the_frame_of_each_time(tmp_path: Path, name: str) -> None:
    video = opened(write_video(tmp_path / name, frames=30))
    assert video.wait(1.55, 2.0)
    levels = [int(np.median(picture)) for picture in video.at([1.0, 1.55], limit_s=0.5)]
    assert levels == pytest.approx([level(10), level(15)], abs=3)
    # No further than was asked for, but for a frame.
    assert video.newest_s is not None
    assert video.newest_s < 1.75
    assert video.grey is False
    assert not video.wait(9.0, 0.1)
    with pytest.raises(GapError, match="no frame for"):
        video.at([9.0], limit_s=0.5)
    video.close()
    assert not video._thread.is_alive()


def test_a_file_that_grows_is_followed(tmp_path: Path) -> None:
    content = write_video(tmp_path / "whole.ts", frames=46).read_bytes()
    path = tmp_path / "growing.ts"
    path.write_bytes(content[:1000])

    def grow() -> None:
        with path.open("ab") as file:
            for at in range(1000, len(content), 1000):
                file.write(content[at : at + 1000])
                file.flush()
                time.sleep(0.01)

    writer = threading.Thread(target=grow)
    video = opened(path)
    writer.start()
    for second in (1.0, 2.0, 4.0):
        assert video.wait(second, 5.0)
        (picture,) = video.at([second], limit_s=0.3)
        assert int(np.median(picture)) == pytest.approx(level(round(10 * second)), abs=5)
    writer.join()
    video.close()


def test_memory_is_that_of_some_frames(tmp_path: Path) -> None:
    path = tmp_path / "long.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=100)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "gray"
        for number in range(400):
            picture = np.full((32, 32), number % 256, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="gray")))
        container.mux(stream.encode())
    # Of 200 frames in two seconds, 64.
    video = opened(path, keep_s=2.0)
    held = []
    for second in np.arange(0.1, 3.9, 0.1):
        video.wait(float(second), 2.0)
        held.append(video.held)
    assert 50 < max(held) <= 66
    video.close()


def test_what_is_no_video_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"--camera .*none.mp4: no such file"):
        opened(tmp_path / "none.mp4")
    (tmp_path / "text.mp4").write_text("no video at all\n" * 100)
    video = opened(tmp_path / "text.mp4")
    assert not video.wait(1.0, 0.1)
    with pytest.raises(DataError, match=r"text\.mp4: cannot be read"):
        video.check()
    with pytest.raises(GapError, match="no frame yet"):
        video.at([0.0], limit_s=1.0)
    video.close()


def test_no_camera_is_an_error() -> None:
    video = LiveVideo("97", keep_s=1.0, shrink=lambda picture: picture)
    video._thread.join(timeout=20)
    with pytest.raises(DataError, match="--camera 97: cannot be read"):
        video.check()
    video.close()
