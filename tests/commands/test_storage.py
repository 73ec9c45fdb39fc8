"""Recordings and stores that lie elsewhere: what comes of them is what comes of a copy, whole or not at all."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("fsspec", reason="the extra `cluster` is not installed")

from mmtsa_cli.artifacts.remote import RemotePath, UnreachableError, place_of
from mmtsa_cli.errors import ArtifactError
from mmtsa_cli.sampling import parts
from mmtsa_cli.sampling.draw import DrawOptions, Samples
from mmtsa_cli.sampling.store import Store
from tests.trees.servers import content, put, web_server

SMALL = ("--segments", 2, "--frames", 2, "--window", 1, "--short-side", 32, "--jobs", 1)


def test_a_store_made_elsewhere_of_recordings_elsewhere_is_the_one_made_here(mmtsa, ten, elsewhere, tmp_path):
    mmtsa("sample", ten, "-o", tmp_path / "here", *SMALL)
    done = mmtsa("sample", put(ten, f"{elsewhere}/rec"), "-o", f"{elsewhere}/samples", *SMALL)
    assert f"{elsewhere}/samples" in done.stdout
    assert content(f"{elsewhere}/samples") == content(tmp_path / "here")
    manifest = json.loads(RemotePath(f"{elsewhere}/samples/manifest.json").read_text())
    assert list(manifest["inputs"]) == [f"{elsewhere}/rec"]
    here = json.loads((tmp_path / "here" / "manifest.json").read_text())
    assert list(manifest["inputs"].values()) == list(here["inputs"].values())
    assert manifest["results"] == here["results"]


def test_recordings_of_a_web_server(mmtsa, ten, web, tmp_path):
    mmtsa("sample", ten, "-o", tmp_path / "here", *SMALL)
    mmtsa("sample", f"{web}/rec", "-o", tmp_path / "web", *SMALL)
    assert content(tmp_path / "web") == content(tmp_path / "here")


def test_check_finds_what_it_finds_here(mmtsa, ten, elsewhere, tmp_path):
    rec = tmp_path / "rec"
    shutil.copytree(ten, rec)
    broken = min((rec / "gyro").rglob("*.csv"))
    lines = broken.read_text().splitlines()
    broken.write_text("\n".join([*lines[:2], lines[2].replace(",", ",x"), *lines[3:]]) + "\n")
    max((rec / "rgb").rglob("*.*")).write_bytes(b"no video")
    here = mmtsa("check", rec, "--json", expect=1).stdout
    there = mmtsa("check", put(rec, f"{elsewhere}/rec"), "--json", "--jobs", 1, expect=1).stdout
    assert there.replace(f"{elsewhere}/rec", str(rec)) == here
    assert f"{elsewhere}/rec/{broken.relative_to(rec)}, row 3" in there


def test_images_of_recordings_and_of_one_file(mmtsa, ten, elsewhere, tmp_path):
    wishes = ("--modalities", "gyro", "--size", 16, "--jobs", 1)
    put(ten, f"{elsewhere}/rec")
    mmtsa("imagify", ten, "-o", tmp_path / "here", *wishes)
    mmtsa("imagify", f"{elsewhere}/rec", "-o", f"{elsewhere}/images", *wishes)
    assert content(f"{elsewhere}/images") == content(tmp_path / "here")
    file = next((ten / "gyro").rglob("*.csv"))
    mmtsa("imagify", file, "-o", tmp_path / "here.png")
    mmtsa("imagify", f"{elsewhere}/rec/{file.relative_to(ten)}", "-o", tmp_path / "there.png")
    assert (tmp_path / "there.png").read_bytes() == (tmp_path / "here.png").read_bytes()


def test_shards_elsewhere_merge_to_the_store(mmtsa, ten, elsewhere, tmp_path):
    for number in (1, 2):
        mmtsa("sample", ten, "-o", f"{elsewhere}/{number}", *SMALL, "--shard", f"{number}/2")
    mmtsa("merge", f"{elsewhere}/1", f"{elsewhere}/2", "-o", f"{elsewhere}/whole")
    mmtsa("sample", ten, "-o", tmp_path / "here", *SMALL)
    assert content(f"{elsewhere}/whole") == content(tmp_path / "here")


@pytest.mark.parametrize("whole_bytes", [0, 1 << 20], ids=["by range", "small files whole"])
def test_batches_of_a_store_elsewhere_are_those_of_a_copy(mmtsa, ten, elsewhere, tmp_path, monkeypatch, whole_bytes):
    monkeypatch.setattr(parts, "_WHOLE_BYTES", whole_bytes)
    mmtsa("sample", ten, "-o", tmp_path / "here", *SMALL, "--part-size", "20kB")
    url = put(tmp_path / "here", f"{elsewhere}/samples")
    drawn = []
    for store in (Store(tmp_path / "here"), Store(place_of(url))):
        names = tuple(store.header.modalities)
        some = Samples(store, range(len(store)), modalities=names, classes=store.labels, options=DrawOptions())
        drawn.append(some.batch(range(8), generators=[np.random.default_rng(number) for number in range(8)]))
    for name, values in drawn[0].inputs.items():
        assert values.tobytes() == drawn[1].inputs[name].tobytes()


def test_only_the_ranges_that_are_drawn_are_fetched(mmtsa, ten, memory, tmp_path, monkeypatch):
    monkeypatch.setattr(parts, "_WHOLE_BYTES", 0)
    mmtsa("sample", ten, "-o", tmp_path / "here", *SMALL)
    store = Store(place_of(put(tmp_path / "here", f"{memory}/samples")))
    asked: list[tuple[str, int, int]] = []
    really = RemotePath.read_range

    def noted(path: RemotePath, begin: int, after: int) -> bytes:
        asked.append((path.name, begin, after))
        return really(path, begin, after)

    monkeypatch.setattr(RemotePath, "read_range", noted)
    record = store.frames("rgb", 3)[1]
    for _ in range(2):
        store.jpeg("rgb", record)
    begin = int(record["offset"])
    assert asked == [("frames-rgb.bin", begin, begin + int(record["length"]))]


def test_a_server_without_ranges_is_told(mmtsa, ten, tmp_path, monkeypatch):
    pytest.importorskip("aiohttp")
    monkeypatch.setattr(parts, "_WHOLE_BYTES", 0)
    mmtsa("sample", ten, "-o", tmp_path / "here", *SMALL)
    with web_server(tmp_path, ranges=False) as address:
        store = Store(place_of(f"{address}/here"))
        with pytest.raises(ArtifactError, match=r"frames-rgb\.bin: not the range asked for, expected \d+ bytes from"):
            store.jpeg("rgb", store.frames("rgb", 3)[1])


def test_made_already_made_otherwise_and_replaced(mmtsa, ten, elsewhere):
    out = f"{elsewhere}/samples"
    mmtsa("sample", ten, "-o", out, *SMALL)
    assert f"{out} already holds this result" in mmtsa("sample", ten, "-o", out, *SMALL).stderr
    other = ("--modalities", "rgb", *SMALL)
    assert f"--output {out}: made with other settings" in mmtsa("sample", ten, "-o", out, *other, expect=2).stderr
    mmtsa("sample", ten, "-o", out, *other, "--overwrite")
    assert sorted(content(out)) == ["clips.csv", "frames-rgb.bin", "frames-rgb.npy", "store.json"]


@pytest.mark.parametrize("after", [0, 2, 7])
def test_what_was_put_in_part_is_never_taken_for_whole(mmtsa, ten, elsewhere, monkeypatch, after):
    out, really, count = f"{elsewhere}/samples", RemotePath.upload, iter(range(100))

    def failing(path: RemotePath, local: Path) -> None:
        if next(count) == after:
            raise UnreachableError("cannot be written", where=str(path), found="no answer")
        really(path, local)

    monkeypatch.setattr(RemotePath, "upload", failing)
    told = mmtsa("sample", ten, "-o", out, *SMALL, expect=1).stderr
    assert "cannot be written, found no answer" in told.splitlines()[-1]
    assert RemotePath(out).files() == []
    monkeypatch.setattr(RemotePath, "upload", really)
    mmtsa("sample", ten, "-o", out, *SMALL)
    assert len(Store(place_of(out))) == 10


@pytest.mark.parametrize("after", [0, 2, 4])
def test_a_result_that_could_not_be_replaced_leaves_the_place_ours(mmtsa, ten, memory, monkeypatch, after):
    out, really, count = f"{memory}/samples", RemotePath.upload, iter(range(100))
    mmtsa("sample", ten, "-o", out, *SMALL)

    def failing(path: RemotePath, local: Path) -> None:
        if next(count) == after:
            raise UnreachableError("cannot be written", where=str(path), found="no answer")
        really(path, local)

    other = ("--modalities", "rgb", *SMALL)
    with monkeypatch.context() as patch:
        patch.setattr(RemotePath, "upload", failing)
        mmtsa("sample", ten, "-o", out, *other, "--overwrite", expect=1)
    assert "manifest.json" not in [path.name for path in RemotePath(out).files()]
    mmtsa("sample", ten, "-o", out, *other)
    assert sorted(content(out)) == ["clips.csv", "frames-rgb.bin", "frames-rgb.npy", "store.json"]


def test_what_a_killed_stage_left_is_replaced_and_what_is_not_ours_is_not(mmtsa, ten, elsewhere, tmp_path):
    out = RemotePath(f"{elsewhere}/samples")
    (tmp_path / "x").write_text("x")
    (out / "frames-old.bin").upload(tmp_path / "x")
    told = mmtsa("sample", ten, "-o", out, *SMALL, expect=2).stderr
    assert f"--output {out}: exists and was not made by mmtsa, left as it is" in told
    (out / ".writing").upload(tmp_path / "x")
    mmtsa("sample", ten, "-o", out, *SMALL)
    assert not {"frames-old.bin", ".writing"} & set(content(str(out)))


def test_a_cluster_reads_what_lies_elsewhere(mmtsa, ten, s3, tmp_path):
    pytest.importorskip("distributed", reason="the extra `cluster` is not installed")
    from tests.stages.dask_processes import cluster

    put(ten, f"{s3}/far/rec")
    with cluster(tmp_path, workers=2) as dask:
        mmtsa("sample", f"{s3}/far/rec", "-o", f"{s3}/far/samples", *SMALL, "--cluster", dask.address)
    mmtsa("sample", ten, "-o", tmp_path / "here", *SMALL)
    assert content(f"{s3}/far/samples") == content(tmp_path / "here")


@pytest.mark.slow
def test_training_and_predicting_need_no_copy(mmtsa, samples, ten, s3, tmp_path):
    put(samples, f"{s3}/training/samples")
    wishes = ("--recipe", "fast", "--protocol", "cross-subject", "--set", "training.epochs=1")
    for name, store in (("here", samples), ("there", f"{s3}/training/samples")):
        mmtsa("train", store, "-o", tmp_path / name, *wishes, "--modalities", "rgb,gyro")
        mmtsa("eval", tmp_path / name, store, "-o", tmp_path / f"eval-{name}")
    here, there = (content(tmp_path / name) for name in ("here", "there"))
    weights = [name for name in here if name.endswith("best.safetensors")]
    assert weights
    assert all(here[name] == there[name] for name in weights)
    assert content(tmp_path / "eval-here")["predictions.csv"] == content(tmp_path / "eval-there")["predictions.csv"]
    rec = put(ten, f"{s3}/training/rec")
    predicted = mmtsa("predict", tmp_path / "here", ten, "--format", "csv").stdout
    assert mmtsa("predict", tmp_path / "here", rec, "--format", "csv").stdout == predicted
