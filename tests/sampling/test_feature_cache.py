"""Features of clips: computed once, kept by content, written as they come."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmtsa_cli.sampling import feature_cache
from mmtsa_cli.sampling.feature_cache import clip_features, computed_anew
from mmtsa_cli.sampling.store import Store


def counted(store: Store, clip: int, parameters: Mapping[str, Any]) -> np.ndarray:
    """Return clip % 3 rows that tell the clip and the parameter."""
    return np.full((clip % 3, 4), clip + parameters.get("add", 0), np.float32)


def none(store: Store, clip: int, parameters: Mapping[str, Any]) -> np.ndarray:
    return np.zeros((0, 4), np.float32)


def broken(store: Store, clip: int, parameters: Mapping[str, Any]) -> np.ndarray:
    if clip == 40:
        raise OSError("no space")
    return counted(store, clip, parameters)


def test_each_clip_has_its_own_rows(samples: Path, cache: Path) -> None:
    store = Store(samples)
    found = clip_features(store, "counted", counted, {"add": 5})
    assert len(found) == len(store)
    for clip in range(len(store)):
        np.testing.assert_array_equal(found.rows(clip), counted(store, clip, {"add": 5}))
    (place,) = (cache / "features").iterdir()
    assert sorted(path.name for path in place.iterdir()) == ["bounds.npy", "rows.npy", "seconds.json"]


def test_they_are_computed_once_and_apart_for_other_parameters(samples: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, asked = Store(samples), []
    original = feature_cache._compute_all
    monkeypatch.setattr(feature_cache, "_compute_all", lambda *task: asked.append(task) or original(*task))
    for _ in range(2):
        clip_features(store, "counted", counted, {})
    assert len(asked) == 1
    assert clip_features(store, "counted", counted, {"add": 1}).rows(1)[0, 0] == 2
    assert len(asked) == 2
    with computed_anew():
        assert clip_features(store, "counted", counted, {}).rows(2).shape == (2, 4)
    assert len(asked) == 2


def test_no_rows_at_all(samples: Path) -> None:
    found = clip_features(Store(samples), "none", none, {})
    assert found.rows(3).shape[0] == 0
    assert found.rows(3).ndim == 2


def test_a_failure_leaves_nothing(samples: Path, cache: Path) -> None:
    with pytest.raises(OSError, match="no space"):
        clip_features(Store(samples), "broken", broken, {})
    assert list((cache / "features").iterdir()) == []


def test_what_a_killed_process_left_is_removed_and_that_of_a_living_one_stays(samples: Path, cache: Path) -> None:
    clip_features(Store(samples), "counted", counted, {})
    (place,) = (cache / "features").iterdir()
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    for pid in (dead.pid, os.getppid()):
        left = place.with_name(f"{place.name}.{pid}")
        left.mkdir()
        (left / ".writing").write_text(json.dumps({"pid": pid, "host": socket.gethostname()}))
    shutil.rmtree(place)
    clip_features(Store(samples), "counted", counted, {})
    assert {path.name for path in place.parent.iterdir()} == {place.name, f"{place.name}.{os.getppid()}"}
