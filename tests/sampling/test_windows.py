"""Windows of a long recording are what `sample` makes of the same part, whatever is decoded together."""

import dataclasses

import numpy as np
import pytest

from mmtsa_cli.recordings.clip import open_clip
from mmtsa_cli.recordings.index import read_index
from mmtsa_cli.sampling import windows
from mmtsa_cli.sampling.packing import CuttingOptions, pack_clip
from mmtsa_cli.sampling.store import StoredModality
from mmtsa_cli.sampling.windows import pack_windows, temporary_store
from tests.trees.own import sensor_text, write_rows
from tests.trees.videos import write_video

OPTIONS = CuttingOptions(segments=2, frames=3, window_s=0.5, short_side=32)
RATES = {"acc": 50.0}


@pytest.fixture
def long(tmp_path):
    """A recording of 4 s with rgb of 10 frames a second and acc, and the parts of it as rows of an index."""
    write_video(tmp_path / "v.mp4", frames=40)
    (tmp_path / "a.csv").write_text(sensor_text(4.0))
    rows = ["id,label,subject,start,end,rgb,acc", "all,x,1,,,v.mp4,a.csv"]
    rows += [f"part{i},x,1,{i / 2},{i / 2 + 1},v.mp4,a.csv" for i in range(7)]
    return read_index(write_rows(tmp_path, "\n".join(rows) + "\n"))


@pytest.mark.parametrize("together", [1, 3, 16])
def test_windows_equal_the_clips_that_an_index_would_cut(long, monkeypatch, together):
    monkeypatch.setattr(windows, "_TOGETHER", together)
    whole, *parts = long.recordings
    spans = [(i / 2, i / 2 + 1) for i in range(7)]
    with open_clip(long, whole, ["rgb", "acc"]) as clip:
        packed = list(pack_windows(clip, long, whole, RATES, OPTIONS, spans))
    assert len(packed) == len(parts) == 7
    for window, part in zip(packed, parts, strict=True):
        known = pack_clip(long, part, ["rgb", "acc"], RATES, OPTIONS)
        assert [frame.jpeg for frame in window.frames["rgb"]] == [frame.jpeg for frame in known.frames["rgb"]]
        assert np.allclose(window.series["acc"], known.series["acc"], atol=1e-6)
        assert np.allclose(window.extremes["acc"], known.extremes["acc"], atol=1e-6)
        assert float(window.columns["duration_s"]) == 1.0


def test_each_moment_is_decoded_once_for_windows_that_overlap(long, monkeypatch):
    asked = []
    with open_clip(long, long.recordings[0], ["rgb", "acc"]) as clip:
        video = clip.videos["rgb"]
        decode = video.frames_at
        monkeypatch.setattr(video, "frames_at", lambda times: asked.extend(times) or decode(times))
        options = dataclasses.replace(OPTIONS, frames=1)
        assert (
            len(list(pack_windows(clip, long, long.recordings[0], RATES, options, [(0, 1), (0.5, 1.5), (1, 2)]))) == 3
        )
    # Centres of segments of half a second: 0.25, 0.75, ..., 1.75.
    assert asked == [0.25, 0.75, 1.25, 1.75]


def test_a_temporary_store_reads_as_one_and_is_gone_afterwards(long):
    whole = long.recordings[0]
    modalities = {
        "rgb": StoredModality("video", ("r", "g", "b"), 0.0),
        "acc": StoredModality("sensor", tuple("xyz"), 50.0),
    }
    with open_clip(long, whole, ["rgb", "acc"]) as clip:
        packed = list(pack_windows(clip, long, whole, RATES, OPTIONS, [(0, 1), (1, 2)]))
    with temporary_store(packed, modalities, OPTIONS) as store:
        assert len(store) == 2
        assert len(store.frames("rgb", 1)) == 6
        assert np.array_equal(store.series("acc", 1), packed[1].series["acc"])
    assert not store.directory.exists()
