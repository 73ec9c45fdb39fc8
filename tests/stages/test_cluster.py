"""Work on a real Dask cluster: what one machine alone had made, whichever worker dies, and one line where none can."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("distributed", reason="the extra `cluster` is not installed")

from mmtsa_cli.artifacts import cluster as cluster_module
from mmtsa_cli.artifacts.cluster import ClusterError
from mmtsa_cli.errors import ArtifactError, DataError, ManyErrors, UsageError
from mmtsa_cli.sampling.feature_cache import _computed, clip_features, computed_on
from mmtsa_cli.sampling.store import Store
from mmtsa_cli.stages import sample
from mmtsa_cli.stages.parallel import in_parallel
from tests.stages.dask_processes import Cluster, cluster

OPTIONS = sample.CuttingOptions(segments=2, frames=2, window_s=1.0, short_side=32)


@pytest.fixture(scope="module")
def dask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster(tmp_path_factory.mktemp("dask"), workers=2) as running:
        yield running


@pytest.fixture(scope="module")
def local(synthetic: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sample.run(synthetic, tmp_path_factory.mktemp("local") / "samples", options=OPTIONS).output


def content(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def number_of(number: int, wait_s: float) -> tuple[int, int]:
    time.sleep(wait_s)
    return number, os.getpid()


def refuse(number: int, error: Exception) -> int:
    if number == 3:
        raise error
    return number


def mark(directory: Path, number: int) -> int:
    time.sleep(0.05)
    (directory / str(number)).touch()
    return number


def end_worker(number: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return number


def test_results_come_in_order_from_both_workers(dask: Cluster) -> None:
    # The first ones take longest.
    tasks = [(number, 0.03 * (12 - number)) for number in range(12)]
    with in_parallel(number_of, tasks, cluster=dask.address) as results:
        found = list(results)
    assert [number for number, _ in found] == list(range(12))
    assert {process for _, process in found} == {worker.pid for worker in dask.workers}


@pytest.mark.parametrize(
    "error",
    [
        DataError("not a number", where="a.csv, row 3", expected="1", found="x", remedy="mend it"),
        ManyErrors([DataError("one", where="a"), UsageError("two", where="b")]),
        TimeoutError("of somebody else"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_arrives_as_it_was_raised_after_the_results_before_it(dask: Cluster, error: Exception) -> None:
    found = []
    with (
        pytest.raises(type(error)) as caught,
        in_parallel(refuse, [(number, error) for number in range(9)], cluster=dask.address) as results,
    ):
        found.extend(results)
    assert found == [0, 1, 2]
    assert str(caught.value) == str(error)
    assert getattr(caught.value, "exit_code", None) == getattr(error, "exit_code", None)


def test_nothing_begins_after_the_block_is_left(dask: Cluster, tmp_path: Path) -> None:
    def fail_after_the_first() -> None:
        with in_parallel(mark, [(tmp_path, number) for number in range(200)], cluster=dask.address) as results:
            next(results)
            raise ValueError("the disk")

    with pytest.raises(ValueError, match="the disk"):
        fail_after_the_first()
    begun = len(list(tmp_path.iterdir()))
    assert begun < 20
    time.sleep(0.3)
    assert len(list(tmp_path.iterdir())) == begun


def test_check_tells_what_it_tells_alone(mmtsa, synthetic: Path, dask: Cluster) -> None:
    alone = mmtsa("check", synthetic, "--afresh", "--json")
    assert mmtsa("check", synthetic, "--afresh", "--json", "--cluster", dask.address).stdout == alone.stdout


def test_imagify_writes_the_images_that_it_writes_alone(mmtsa, synthetic: Path, dask: Cluster, tmp_path: Path) -> None:
    wishes = ("--modalities", "acc_watch", "--size", 16)
    mmtsa("imagify", synthetic, "-o", tmp_path / "alone", *wishes)
    mmtsa("imagify", synthetic, "-o", tmp_path / "far", *wishes, "--cluster", dask.address)
    alone, far = content(tmp_path / "alone"), content(tmp_path / "far")
    assert sum(name.endswith(".png") for name in far) > 100
    assert far == alone


def test_a_worker_killed_in_the_middle_changes_no_byte_of_the_store(
    synthetic: Path, local: Path, tmp_path: Path
) -> None:
    with cluster(tmp_path, workers=2) as dask:

        def kill_one(done: int, total: int) -> None:
            if done == 10:
                dask.workers[0].kill()

        sample.run(synthetic, tmp_path / "far", options=OPTIONS, cluster=dask.address, progress=kill_one)
        assert [worker.poll() for worker in dask.workers] == [-signal.SIGKILL, None]
    assert content(tmp_path / "far") == content(local)


def test_a_task_that_ends_its_workers_is_told(tmp_path: Path) -> None:
    with (
        cluster(tmp_path, workers=2, allowed_failures=0) as dask,
        pytest.raises(ClusterError, match="one task ended 1 workers, one after the other; look whether"),
        in_parallel(end_worker, [(1,)], cluster=dask.address) as results,
    ):
        list(results)


def test_a_cluster_without_workers(mmtsa, synthetic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_module, "_WORKERS_S", 0.5)
    with cluster(tmp_path, workers=0) as dask:
        told = mmtsa("check", synthetic, "--cluster", dask.address, expect=1).stderr
    assert told == f"mmtsa: error: --cluster {dask.address}: no worker for 0.5 s; start some with `dask worker`\n"


def test_a_scheduler_that_goes_away_ends_the_work_in_one_line(synthetic: Path, tmp_path: Path) -> None:
    with cluster(tmp_path, workers=1) as dask:

        def kill_it(done: int, total: int) -> None:
            if done == 3:
                dask.scheduler.kill()

        with pytest.raises(ClusterError, match="the scheduler is gone; start the cluster and give the same command"):
            sample.run(synthetic, tmp_path / "far", options=OPTIONS, cluster=dask.address, progress=kill_it)
    assert not list(tmp_path.glob("far*"))


def test_nothing_answers(mmtsa, synthetic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_module, "_CONNECT_S", 1.0)
    address = "tcp://127.0.0.1:9"
    told = mmtsa("sample", synthetic, "-o", tmp_path / "far", "--cluster", address, expect=1).stderr
    assert told.startswith(f"mmtsa: error: --cluster {address}: no scheduler answers within 1 s; start one with")
    assert len(told.splitlines()) == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("address", ["nonsense", "http://127.0.0.1:1"])
def test_no_address(mmtsa, synthetic: Path, tmp_path: Path, address: str) -> None:
    told = mmtsa("check", synthetic, "--cluster", address, expect=2).stderr
    assert told.startswith(f"mmtsa: error: --cluster {address}: no scheduler, expected an address as in tcp://")


def test_without_the_extra(mmtsa, synthetic: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    told = mmtsa("check", synthetic, "--cluster", "tcp://127.0.0.1:9", expect=2).stderr
    assert "--cluster: needs Dask, which is not installed; install the extra: pip install 'mmtsa[cluster]'" in told


def test_workers_of_another_version(mmtsa, synthetic: Path, dask: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_module, "__version__", "99.0")
    told = mmtsa("check", synthetic, "--cluster", dask.address, expect=1).stderr
    assert "has another version, expected mmtsa 99.0, found" in told


def test_interrupted_leaves_nothing_and_says_so(synthetic: Path, dask: Cluster, tmp_path: Path) -> None:
    output = tmp_path / "far"
    command = [sys.executable, "-m", "mmtsa_cli", "sample", synthetic, "-o", output, "--cluster", dask.address]
    process = subprocess.Popen(list(map(str, command)), stderr=subprocess.PIPE, text=True)
    partial = tmp_path / "far.partial" / "clips.csv"
    until = time.monotonic() + 60
    while not partial.exists() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert told.strip().splitlines()[-1] == "mmtsa: interrupted"
    assert not list(tmp_path.iterdir())


def own_process(store: Store, clip: int, parameters: Mapping[str, Any]) -> NDArray[np.float32]:
    time.sleep(0.01)
    return np.array([[os.getpid(), clip, store.duration_s(clip)]], np.float32)


def test_features_of_classical_systems_are_computed_by_the_workers(local: Path, dask: Cluster) -> None:
    store = Store(local)
    with computed_on(dask.address):
        found = clip_features(store, "process", own_process, {})
    rows = np.concatenate([found.rows(clip) for clip in range(len(store))])
    assert rows[:, 1].tolist() == list(range(len(store)))
    assert set(rows[:, 0]) == {np.float32(worker.pid) for worker in dask.workers}


@pytest.mark.slow
def test_a_benchmark_says_what_it_says_alone(
    mmtsa, local: Path, dask: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wishes = ("--methods", "svm-hog", "--protocol", "cross-session", "--json")
    for name, more in (("alone", ()), ("far", ("--cluster", dask.address))):
        # Each with a cache of its own: nothing that the other computed is found there.
        monkeypatch.setenv("MMTSA_CACHE", str(tmp_path / f"cache-{name}"))
        mmtsa("benchmark", local, "-o", tmp_path / name, *wishes, *more)
    alone, far = (content(tmp_path / f"cache-{name}") for name in ("alone", "far"))
    rows = [name for name in far if name.endswith("rows.npy")]
    assert rows
    assert all(far[name] == alone[name] for name in rows)
    predictions = [next((tmp_path / name).glob("units/*/predictions.npz")).read_bytes() for name in ("alone", "far")]
    assert predictions[0] == predictions[1]


def test_a_benchmark_without_its_cluster_does_not_begin(mmtsa, local: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(cluster_module, "_CONNECT_S", 0.5)
    wishes = ("--methods", "svm-hog", "--protocol", "cross-session", "--cluster", "tcp://127.0.0.1:9")
    told = mmtsa("benchmark", local, "-o", tmp_path / "bench", *wishes, expect=1).stderr
    assert "--cluster tcp://127.0.0.1:9: no scheduler answers within 0.5 s" in told
    assert not (tmp_path / "bench").exists()


def test_features_of_another_store_than_ours_are_refused(local: Path) -> None:
    with pytest.raises(ArtifactError, match="another store than on the machine that asks"):
        _computed(local, "sha256:0", own_process, 0, {})
