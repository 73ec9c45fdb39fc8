"""Units: each in a process of its own, kept when whole, its costs counted; failures are told and stop no other."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mmtsa_cli.artifacts.options import to_mapping
from mmtsa_cli.errors import ArtifactError
from mmtsa_cli.methods.registry import entries
from mmtsa_cli.models.network import ModelOptions
from mmtsa_cli.sampling import feature_cache
from mmtsa_cli.sampling.draw import DrawOptions, Samples
from mmtsa_cli.sampling.feature_cache import clip_features, computed_anew
from mmtsa_cli.sampling.store import Store
from mmtsa_cli.stages.processes import StoppedError, cores
from mmtsa_cli.stages.recipe import ValidationOptions
from mmtsa_cli.stages.tables.footprint import bytes_read
from mmtsa_cli.stages.tables.units import Unit, run_units
from mmtsa_cli.training.optimisation import TrainingOptions
from tests.stages import toy_systems

ROOT = Path(__file__).resolve().parents[2]
SENSORS = ("acc_phone", "acc_watch", "gyro", "orientation")


@pytest.fixture(autouse=True)
def toys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The toy systems, as of an installed package, here and in the processes of units."""
    place = tmp_path / "site"
    toy_systems.install(place)
    monkeypatch.syspath_prepend(str(place))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(place), str(ROOT)]))
    entries.cache_clear()
    yield
    entries.cache_clear()


def unit(method: str, **own: object) -> Unit:
    parts = {"sampling": DrawOptions(frame_size=32), "validation": ValidationOptions()}
    settings = {**{name: to_mapping(part) for name, part in parts.items()}, **own}
    return Unit(f"{method}-0", method, SENSORS, settings, "cross-subject", 0)


def changed(directory: Path) -> dict[str, int]:
    return {p.name: p.stat().st_mtime_ns for p in (directory / "units").rglob("*") if p.is_file()}


def test_a_unit_is_run_measured_and_kept(samples: Path, tmp_path: Path) -> None:
    store = Store(samples)
    heard: list[str] = []
    told: list[tuple[int, int]] = []
    wanted = [unit("toy", class_number=3)]
    (result,) = run_units(
        Store(samples),
        wanted,
        tmp_path,
        protocol="cross-subject",
        progress=lambda *now: told.append(now),
        listen=lambda result: heard.append(result.unit.name),
    )
    assert (result.status, result.error, result.unit) == ("done", None, wanted[0])
    assert (result.parameters, result.macs, result.epochs) == (7, 1000, None)
    assert (result.threads, result.device) == (cores(), "cpu")
    assert 0 < result.latency_ms <= result.latency_p95_ms < 1000
    assert 20 < result.peak_mb < 4000
    said = result.predictions()
    assert {store.clips[i]["id"] for i in range(len(store)) if store.clips[i]["subject"] == "4"} == set(said.ids)
    assert said.subjects == ("4",) * len(said.ids)
    labels = {clip["id"]: clip["label"] for clip in store.clips}
    assert [said.classes[label] for label in said.labels] == [labels[clip] for clip in said.ids]
    assert (said.probabilities.argmax(axis=1) == 3).all()
    # Test clips are as long as one another here: the mean over some is the size of any.
    clip = next(i for i in range(len(store)) if store.clips[i]["subject"] == "4")
    assert result.bytes_per_clip == pytest.approx(store.series("gyro", clip).nbytes, rel=0.02)
    assert not (tmp_path / "work").exists()
    assert (told, heard) == ([(0, 1), (1, 1)], ["toy-0"])
    before = changed(tmp_path)
    (again,) = run_units(
        Store(samples), wanted, tmp_path, protocol="cross-subject", listen=lambda r: heard.append("again")
    )
    assert (again.seconds, heard, changed(tmp_path)) == (result.seconds, ["toy-0"], before)


def test_systems_at_the_same_time_share_their_teachers_and_each_pays_for_them(samples: Path, tmp_path: Path) -> None:
    settings = {
        "training": to_mapping(TrainingOptions(epochs=1, batch_size=28, threads=1)),
        "model": to_mapping(ModelOptions(backbone="resnet10", width=0.125, hidden=16)),
    }
    wanted = [
        replace(unit(method, **settings), modalities=("rgb", "gyro"), name=method)
        for method in ("multi-teachers", "smd")
    ]
    results = run_units(Store(samples), wanted, tmp_path, protocol="cross-subject", jobs=2, measure=False)
    assert [result.error for result in results] == [None, None]
    (teacher,) = (tmp_path / "parts").iterdir()
    seconds = json.loads((teacher / "finished.json").read_text())["seconds"]
    assert all(result.seconds > 0.9 * seconds for result in results)
    again = run_units(
        Store(samples), [replace(wanted[0], name="again")], tmp_path, protocol="cross-subject", measure=False
    )
    assert 0.9 * seconds < again[0].seconds < seconds + 10
    assert [path.name for path in (tmp_path / "parts").iterdir()] == [teacher.name]


def test_a_result_of_other_settings_or_a_damaged_one_is_not_reused(samples: Path, tmp_path: Path) -> None:
    def run(number: int):
        (result,) = run_units(
            Store(samples), [unit("toy", class_number=number)], tmp_path, protocol="cross-subject", measure=False
        )
        return result

    first = run(3)
    assert (first.latency_ms, first.bytes_per_clip, first.parameters) == (None, None, None)
    assert set(run(5).predictions().probabilities.argmax(axis=1)) == {5}
    (tmp_path / "units" / "toy-0" / "result.json").write_text("{")
    second = run(5)
    assert second.status == "done"
    (tmp_path / "units" / "toy-0" / "predictions.npz").write_bytes(b"PK")
    with pytest.raises(ArtifactError, match=r"predictions\.npz: damaged"):
        second.predictions()


def test_what_fails_is_told_and_the_others_go_on(samples: Path, tmp_path: Path) -> None:
    wanted = [unit("killed"), unit("broken"), unit("toy")]
    killed, broken, toy = run_units(Store(samples), wanted, tmp_path, protocol="cross-subject", jobs=3, measure=False)
    assert killed.status == broken.status == "failed"
    assert "SIGKILL, as happens where memory is short" in killed.error
    assert broken.error == "ValueError: a bug of its own"
    assert "Traceback" in (tmp_path / "work" / "broken-0" / "log.txt").read_text()
    assert toy.status == "done"
    assert toy.threads == max(1, cores() // 3)
    assert [path.name for path in (tmp_path / "units").iterdir()] == ["toy-0"]


def test_a_loss_that_is_no_number_says_at_which_step(samples: Path, tmp_path: Path) -> None:
    from mmtsa_cli.methods.network_method import NetworkOptions
    from mmtsa_cli.models.network import ModelOptions
    from mmtsa_cli.training.optimisation import TrainingOptions

    training = TrainingOptions(epochs=3, lr=1e30, clip_norm=0, threads=1, precision="float32")
    model = ModelOptions(backbone="resnet10", width=0.125, hidden=16)
    options = to_mapping(NetworkOptions(model=model, training=training))
    one = replace(unit("mmtsa", **options), modalities=("gyro",))
    (result,) = run_units(Store(samples), [one], tmp_path, protocol="cross-subject", measure=False)
    assert result.status == "failed"
    assert "the loss is nan at step" in result.error
    assert "of epoch 1" in result.error


def test_asked_to_stop_it_keeps_the_step_and_goes_on_from_there(samples: Path, tmp_path: Path) -> None:
    work = tmp_path / "work" / "stepping-0"

    def run(should_stop: Callable[[], bool]):
        return run_units(
            Store(samples),
            [unit("stepping")],
            tmp_path,
            protocol="cross-subject",
            should_stop=should_stop,
            measure=False,
        )

    with pytest.raises(StoppedError, match="what is finished is kept") as stopped:
        run((work / "began").is_file)
    assert stopped.value.exit_code == 130
    assert not (tmp_path / "units").exists()
    kept = len(json.loads((work / "count").read_text()))
    assert 6 <= kept < toy_systems.STEPS
    (result,) = run(lambda: False)
    assert json.loads((tmp_path / "steps.json").read_text()) == [0] * kept + [kept] * (toy_systems.STEPS - kept)
    # Both parts' time, not the second's alone.
    assert toy_systems.STEPS * 0.05 < result.seconds < toy_systems.STEPS * 0.05 + 5


def test_what_hears_nothing_is_ended(samples: Path, tmp_path: Path) -> None:
    began = tmp_path / "work" / "deaf-0" / "began"
    started = time.monotonic()
    with pytest.raises(StoppedError):
        run_units(Store(samples), [unit("deaf")], tmp_path, protocol="cross-subject", should_stop=began.is_file)
    assert time.monotonic() - started < 20
    assert not (tmp_path / "units").exists()


def test_features_that_are_interrupted_leave_nothing_and_are_computed_when_run_again(
    samples: Path, tmp_path: Path, cache: Path
) -> None:
    began, kept = tmp_path / "work" / "computing-0" / "began", cache / "features"

    def run(should_stop: Callable[[], bool]):
        wanted = [unit("toy"), unit("computing")]
        return run_units(
            Store(samples), wanted, tmp_path, protocol="cross-subject", should_stop=should_stop, measure=False
        )

    with pytest.raises(StoppedError):
        run(began.is_file)
    assert list(kept.iterdir()) == []
    assert [path.name for path in (tmp_path / "units").iterdir()] == ["toy-0"]
    before = (tmp_path / "units" / "toy-0" / "result.json").stat().st_mtime_ns
    assert [result.status for result in run(lambda: False)] == ["done", "done"]
    assert (tmp_path / "units" / "toy-0" / "result.json").stat().st_mtime_ns == before
    assert len(list(kept.iterdir())) == 1


def test_bytes_are_those_of_the_frames_and_windows_that_are_drawn(samples: Path) -> None:
    store = Store(samples)
    drawn = Samples(store, range(4), modalities=("rgb", "gyro"), classes=store.labels, options=DrawOptions())

    class Draws:
        def predict_proba(self, samples: Samples) -> None:
            samples.narrowed(("rgb", "gyro")).batch([0])

    expected = []
    for clip in range(4):
        frames = store.frames("rgb", clip)
        middles = store.duration_s(clip) * np.array([1, 3, 5]) / 6
        nearest = {int(np.abs(frames["time_s"] - middle).argmin()) for middle in middles}
        series = store.series("gyro", clip)
        window = 3 * 3 * store.header.modalities["gyro"].window_samples(1.0) * 4
        expected.append(sum(int(frames["length"][i]) for i in nearest) + min(window, series.nbytes))
    assert bytes_read(Draws(), drawn, range(4)) == np.mean(expected)


def test_features_are_computed_anew_while_costs_are_measured(samples: Path, cache: Path) -> None:
    store = Store(samples)
    asked: list[int] = []

    def compute(store: Store, clip: int, parameters: object) -> np.ndarray:
        asked.append(clip)
        return np.full((2, 3), clip, np.float32)

    with computed_anew():
        features = clip_features(store, "toy", compute, {})
        assert len(features) == len(store)
        assert (features.rows(5) == 5).all()
        features.rows(5)
    assert asked == [5]
    assert not (cache / "features").exists()


def slow_feature(store: Store, clip: int, parameters: object) -> np.ndarray:
    time.sleep(0.005)
    return np.full((1, 1), clip, np.float32)


def test_a_system_pays_for_features_that_another_computed(samples: Path, cache: Path) -> None:
    store, before = Store(samples), feature_cache.seconds_saved()
    clip_features(store, "slow", slow_feature, {})
    clip_features(store, "slow", slow_feature, {})
    assert feature_cache.seconds_saved() == before, "computed here"
    # As in another process, which finds them.
    feature_cache._saved_s.clear()
    clip_features(store, "slow", slow_feature, {})
    saved = feature_cache.seconds_saved()
    assert saved >= 0.005 * len(store) / cores()
    clip_features(store, "slow", slow_feature, {})
    assert feature_cache.seconds_saved() == saved, "paid once"


def test_peak_memory_is_that_of_the_process_and_does_not_fall() -> None:
    program = (
        "import numpy as np\nfrom mmtsa_cli.stages.tables.footprint import peak_mb\n"
        "before = peak_mb()\nheld = np.ones(200_000_000, np.uint8)\ndel held\nprint(before, peak_mb())"
    )
    # This process holds as much again: what starts another one hands nothing on.
    here = np.ones(400_000_000, np.uint8)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    before, after = map(float, done.stdout.split())
    assert here.nbytes / 1e6 > before
    assert after - before == pytest.approx(200, abs=10)


def test_samples_that_changed_since_the_store_was_opened_are_refused(samples: Path, tmp_path: Path) -> None:
    copied = shutil.copytree(samples, tmp_path / "samples")
    store = Store(copied)
    part = max(copied.glob("*.bin"), key=lambda path: path.stat().st_size)
    os.utime(part, ns=(0, 0))
    (result,) = run_units(store, [unit("toy")], tmp_path / "table", protocol="cross-subject", measure=False)
    assert result.status != "done"
    assert "changed while it was read" in result.error
